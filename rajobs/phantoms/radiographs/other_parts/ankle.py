"""A foot and ankle from the side, where no joint can be labelled. Coordinates in mm, x to the toes, y to the sole."""

from dataclasses import replace

import numpy as np

from rajobs.phantoms.drawing.bones import Plate, closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Points, affine_map, compose_maps, map_points
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build

_SKIN = (
    (36, -330), (32, -120), (27, -45), (33, -14), (54, -2), (84, 16), (116, 36), (142, 47), (170, 52), (196, 58),
    (209, 67), (202, 77), (176, 79), (156, 86), (134, 89), (112, 80), (84, 74), (50, 79), (10, 84), (-30, 90),
    (-62, 88), (-76, 70), (-76, 48), (-62, 26), (-50, -10), (-46, -50), (-60, -150), (-66, -330),
)  # fmt: skip
_TIBIA = (
    (14, -330), (13, -120), (15, -50), (22, -18), (25, -2), (18, -4), (0, -7), (-14, -4), (-20, 2), (-22, -12),
    (-17, -50), (-13, -120), (-14, -330),
)  # fmt: skip
_FIBULA = (
    (-8, -330), (-7, -120), (-6, -50), (2, -22), (6, 4), (2, 22), (-5, 27), (-12, 20), (-15, 0), (-15, -30),
    (-17, -120), (-20, -330),
)  # fmt: skip
_TARSALS = {
    "talus": ((-26, 12), (-20, 0), (-4, -5), (14, -2), (24, 8), (34, 8), (43, 14), (44, 25), (36, 33), (22, 30),
              (8, 27), (-8, 31), (-22, 26)),
    "calcaneus": ((-14, 30), (0, 27), (12, 33), (18, 42), (32, 36), (37, 44), (36, 57), (18, 63), (-8, 68), (-34, 80),
                  (-56, 82), (-67, 70), (-66, 50), (-56, 38), (-38, 37), (-24, 32)),
    "navicular": ((43, 9), (51, 8), (56, 18), (58, 34), (50, 37), (45, 28)),
    "cuboid": ((38, 44), (50, 39), (62, 44), (70, 52), (66, 64), (54, 66), (44, 68), (39, 58)),
    "cuneiform1": ((58, 24), (70, 22), (83, 34), (86, 52), (76, 58), (62, 48)),
    "cuneiform2": ((57, 12), (70, 14), (82, 22), (84, 40), (70, 42), (60, 34)),
}  # fmt: skip
_OSSIFICATION_YEARS = {"cuneiform1": 2.0, "cuneiform2": 3.0, "navicular": 3.0, "cuboid": 0.3}
# Base, head and tip of each ray from the great toe on, as seen from the side.
_RAYS = (
    ((84, 38), (143, 69), (204, 68)),
    ((83, 27), (144, 62), (199, 64)),
    ((80, 33), (141, 66), (190, 69)),
    ((74, 42), (135, 71), (180, 72)),
    ((66, 54), (127, 76), (168, 75)),
)  # fmt: skip
_TOE_JOINT_SHARES = ((0.0, 0.54, 1.0), (0.0, 0.52, 0.76, 1.0))
_TOE_WIDTHS = ((15.5, 11.0, 8.5), (8.0, 6.5, 5.0, 4.2))


_FRONT_TIBIA = (
    (-13, -330), (-12, -120), (-13, -60), (-19, -32), (-26, -14), (-27, 2), (-22, 11), (-17, 6), (-15, -2), (-4, -5),
    (8, -6), (19, -5), (21, -14), (20, -34), (15, -62), (12, -120), (12, -330),
)  # fmt: skip
_FRONT_FIBULA = (
    (20, -330), (19, -120), (16, -56), (17, -26), (20, -4), (21, 10), (25, 21), (31, 18), (33, 4), (31, -20),
    (27, -56), (28, -120), (30, -330),
)  # fmt: skip
_FRONT_TARSALS = {
    "talus": ((-15, 0), (-4, -2), (8, -3), (18, -1), (20, 8), (19, 18), (12, 24), (-6, 24), (-16, 19), (-17, 8)),
    "calcaneus": ((-10, 22), (6, 18), (20, 22), (24, 40), (20, 60), (6, 68), (-10, 64), (-16, 46)),
    "navicular": ((-26, 24), (-10, 20), (2, 26), (-2, 36), (-16, 40), (-28, 34)),
    "cuboid": ((6, 34), (22, 32), (26, 46), (20, 58), (8, 56)),
    "cuneiform1": ((-26, 40), (-12, 38), (-10, 56), (-22, 60), (-28, 50)),
    "cuneiform2": ((-10, 38), (2, 38), (4, 54), (-8, 56)),
}  # fmt: skip
"""From the front: the fibula is on the right, and the foot lies behind its own tarsals."""


def draw_front_ankle(pencil: Pencil, build: Build) -> None:
    """An ankle from the front, its foot pointing at the X-ray tube or downwards."""
    rng, s = pencil.rng, build.size
    dense = s * build.density**0.5 * float(rng.uniform(0.9, 1.1))
    ankle = replace(pencil, to_px=compose_maps(pencil.to_px, affine_map(0, (0, 0), scale=s)), wobble=0.008)
    fat = 1.0 + 0.12 * (build.flesh - 1)
    ankle.add_limb([(2, -330), (2, -130), (2, -60), (3, -10), (2, 40), (-2, 130)],
                   [50 * fat, 38 * fat, 33 * fat, 36 * fat, 36 * fat, 40 * fat])  # fmt: skip
    ankle.add_mass([(-28, 20), (26, 16), (34, 60), (30, 130), (-38, 130), (-36, 56)], 26 * s, blur=12)
    cuts: tuple[Points, ...] = ()
    if build.child:
        x = np.linspace(-40, 40, 9)
        wave = -16 + 0.8 * np.cos(0.3 * x)
        cuts = (np.vstack([np.column_stack([wave - 1.2, x]), np.column_stack([wave + 1.2, x])[::-1]]),)
    roof = Plate(points=np.array([(-3.0, -14), (-6, -3), (-7, 8), (-6, 18)]), width=2.0, weight=3.0)
    ankle.add_bone(_FRONT_FIBULA, cortex=2.6, marrow=0.10, tubular=True, ends=0.6, depth=0.85 * dense, cuts=cuts)
    ankle.add_bone(_FRONT_TIBIA, cortex=4.6, marrow=0.10, tubular=True, ends=0.7, depth=0.65 * dense, plates=(roof,),
                   cuts=cuts, grain=0.4)  # fmt: skip
    for number, place in enumerate((-22, -10, -1, 8, 17)):
        if build.age > 1:
            top, reach = 56 + 1.5 * number, float(rng.uniform(55, 75))
            shaft = _shaft_outline(np.array([place, top]), np.array([1.5 * place, top + reach]), (13.0, 8.0, 12.0))
            ankle.add_bone(shaft, cortex=2.0, marrow=0.16, depth=0.8 * dense)
    grown = float(np.interp(build.age, (1, 12), (0.6, 1.0)))
    for name, corners in _FRONT_TARSALS.items():
        if build.age >= _OSSIFICATION_YEARS.get(name, 0.0):
            points = np.array(corners, float)
            middle = points.mean(axis=0)
            ankle.add_bone(middle + (points - middle) * grown, cortex=0.9, marrow=0.17,
                           depth=(0.9 if name == "talus" else 0.6) * dense, grain=0.45)  # fmt: skip


def draw_ankle(pencil: Pencil, build: Build) -> None:
    """A foot with the lower end of the shin, with the toes on the right."""
    rng, s = pencil.rng, build.size
    shin_pencil = Pencil(
        canvas=pencil.canvas, to_px=compose_maps(pencil.to_px, affine_map(0, (0, 0), scale=s)), rng=rng, wobble=0.006
    )
    dense = s * build.density**0.5 * float(rng.uniform(0.9, 1.1))
    flexion = float(rng.normal(0, 9))  # degrees by which the foot is turned down or up
    straight_skin = np.array(_SKIN, float)
    share = np.clip((straight_skin[:, 1] + 40) / 60, 0, 1)[:, None]
    turn = affine_map(flexion, (0, 0))
    foot_pencil = Pencil(canvas=pencil.canvas, to_px=compose_maps(shin_pencil.to_px, turn), rng=rng, wobble=0.006)
    skin = straight_skin * (1 - share) + map_points(straight_skin, turn) * share
    fat = np.array([1.0 + 0.10 * (build.flesh - 1), 1.0])
    shin_pencil.add_body([closed_curve(skin * fat, 5)], round_mm=26, thickness=46 * build.flesh * s)
    foot_pencil.add_mass([(-60, 44), (0, 30), (44, 30), (40, 62), (-50, 82)], 20 * s, blur=12)
    _draw_shin_bones(shin_pencil, build, dense)
    _draw_tarsals(foot_pencil, build, dense)
    for number in (4, 3, 2, 1, 0):
        _draw_ray(foot_pencil, build, number, dense)
    if build.age > 11:
        foot_pencil.add_bone([(130, 77), (137, 76), (139, 80), (132, 83)], cortex=0.8, marrow=0.2, depth=0.9 * dense)
        if rng.random() < 0.3 * min(1.0, build.age / 60):
            foot_pencil.add_bone(
                [(-62, 80), (-46, 81), (-36, 84), (-50, 84.5)], cortex=2.0, marrow=0.3, depth=0.8 * dense
            )


def _draw_shin_bones(pencil: Pencil, build: Build, dense: float) -> None:
    """Adds tibia and, behind it, fibula; the epiphyses of a child are still separate."""
    cut = (np.array([(-10.0, -40), (-10, 40), (-13.5, 40), (-13.5, -40)]),) if build.child else ()
    roof = Plate(points=np.array([(-1.0, 22), (-5, 12), (-7, 0), (-4, -14)]), width=2.2, weight=3.2)
    pencil.add_bone(
        _TIBIA, cortex=4.6, marrow=0.09, tubular=True, ends=0.7, depth=0.62 * dense, plates=(roof,), cuts=cut, grain=0.4
    )
    pencil.add_bone(_FIBULA, cortex=2.4, marrow=0.10, tubular=True, ends=0.6, depth=0.75 * dense, cuts=cut)


def _draw_tarsals(pencil: Pencil, build: Build, dense: float) -> None:
    """Adds the tarsals that have ossified."""
    maturity = float(np.interp(build.age, (1, 12), (0.6, 1.0)))
    for name, corners in _TARSALS.items():
        if build.age < _OSSIFICATION_YEARS.get(name, 0.0):
            continue
        points = np.array(corners, float)
        middle = points.mean(axis=0)
        thin = 0.55 if name == "cuneiform2" else 0.8
        pencil.add_bone(
            middle + (points - middle) * maturity,
            cortex=1.0,
            marrow=0.17,
            depth=thin * dense,
            grain=0.5,
        )
    if build.age < 9:
        return
    joint_lines = [np.array([(-16, 33), (0, 29), (12, 35)]), np.array([(44, 14), (46, 22), (44, 28)])]
    pencil.add_lines(
        [open_curve(line.astype(float), 6) for line in joint_lines], width=2.0, thickness=2.4 * dense, blur=0.5
    )
    # The struts of the calcaneus run from the joint above it to the heel.
    struts = [np.array([(-10 + 5 * k, 36), (-30 + 3 * k, 54), (-58 + 5 * k, 76)], float) for k in range(4)]
    pencil.add_lines([open_curve(line, 6) for line in struts], width=1.6, thickness=0.7 * dense, blur=0.6)


def _draw_ray(pencil: Pencil, build: Build, number: int, dense: float) -> None:
    """Adds a metatarsal and its slightly bent toe."""
    rng = pencil.rng
    base, head, tip = (np.array(point, float) for point in _RAYS[number])
    head = head + rng.normal(0, 1.2, 2)
    pencil.add_bone(
        _shaft_outline(base, head, (15.0, 8.0, 13.0) if number == 0 else (12.0, 6.6, 10.5)),
        cortex=2.0,
        marrow=0.16,
        depth=0.75 * dense,
        grain=0.4,
    )
    shares, widths = (_TOE_JOINT_SHARES[number > 0], _TOE_WIDTHS[number > 0])
    bend = float(rng.normal(0, 3)) - (4.0 if number else 0.0)
    start = head + (tip - head) * 0.14
    knots = [start + (tip - start) * share + (0, bend * np.sin(np.pi * share)) for share in shares]
    for bone in range(len(knots) - 1):
        step = knots[bone + 1] - knots[bone]
        gap = 0.09 + 0.06 * (1 - build.maturity)
        toe_widths = (widths[bone], 0.62 * widths[bone], 0.8 * widths[bone + 1])
        outline = _shaft_outline(knots[bone] + gap * step, knots[bone + 1] - 0.5 * gap * step, toe_widths)
        pencil.add_bone(outline, cortex=1.3, marrow=0.18, depth=0.75 * dense)


def _shaft_outline(base: Points, head: Points, widths: tuple[float, float, float]) -> Points:
    """The outline of a long bone from base to head, with these widths of its base, waist and head."""
    along = head - base
    aside = np.array([-along[1], along[0]]) / np.hypot(*along)
    outline = []
    for share, half in zip((0.0, 0.10, 0.3, 0.6, 0.86, 0.97), (0.40, 0.5, 0.58, 0.5, 0.5, 0.36), strict=True):
        width = widths[0] if share < 0.2 else widths[1] if share < 0.8 else widths[2]
        outline.append((base + share * along, half * width * aside))
    return np.array([at + offset for at, offset in outline] + [at - offset for at, offset in outline[::-1]])
