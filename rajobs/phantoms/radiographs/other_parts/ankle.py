"""A foot and its ankle from the side: no joint of it can be named. Coordinates in mm, x to the toes, y to the sole."""

import numpy as np

from rajobs.phantoms.drawing.bones import Plate, closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Points, affine, chain, move
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
_APPEARS = {"cuneiform1": 2.0, "cuneiform2": 3.0, "navicular": 3.0, "cuboid": 0.3}
# Base, head and tip of each ray, from the great toe on: a fan that is seen from its side.
_RAYS = (
    ((84, 38), (143, 69), (204, 68)),
    ((83, 27), (144, 62), (199, 64)),
    ((80, 33), (141, 66), (190, 69)),
    ((74, 42), (135, 71), (180, 72)),
    ((66, 54), (127, 76), (168, 75)),
)  # fmt: skip
_SHARES = ((0.0, 0.54, 1.0), (0.0, 0.52, 0.76, 1.0))
_WIDTHS = ((15.5, 11.0, 8.5), (8.0, 6.5, 5.0, 4.2))


def ankle(pencil: Pencil, build: Build) -> None:
    """A foot and the lower shin, the toes to the right."""
    rng, s = pencil.rng, build.size
    grown = Pencil(canvas=pencil.canvas, to_px=chain(pencil.to_px, affine(0, (0, 0), scale=s)), rng=rng, wobble=0.006)
    dense = s * build.density**0.5 * float(rng.uniform(0.9, 1.1))
    point = float(rng.normal(0, 9))  # degrees by which the foot points down or up
    shin = np.array(_SKIN, float)
    share = np.clip((shin[:, 1] + 40) / 60, 0, 1)[:, None]
    turn = affine(point, (0, 0))
    foot = Pencil(canvas=pencil.canvas, to_px=chain(grown.to_px, turn), rng=rng, wobble=0.006)
    skin = shin * (1 - share) + move(shin, turn) * share
    fat = np.array([1.0 + 0.10 * (build.flesh - 1), 1.0])
    grown.body([closed_curve(skin * fat, 5)], round_mm=26, height=46 * build.flesh * s)
    foot.mass([(-60, 44), (0, 30), (44, 30), (40, 62), (-50, 82)], 20 * s, blur=12)
    _shafts(grown, build, dense)
    _tarsals(foot, build, dense)
    for number in (4, 3, 2, 1, 0):
        _ray(foot, build, number, dense)
    if build.age > 11:
        foot.bone([(130, 77), (137, 76), (139, 80), (132, 83)], cortex=0.8, marrow=0.2, depth=0.9 * dense)
        if rng.random() < 0.3 * min(1.0, build.age / 60):
            foot.bone([(-62, 80), (-46, 81), (-36, 84), (-50, 84.5)], cortex=2.0, marrow=0.3, depth=0.8 * dense)


def _shafts(pencil: Pencil, build: Build, dense: float) -> None:
    """Shin bone and, over its hind part, calf bone; a child's ends are still apart from them."""
    cut = (np.array([(-10.0, -40), (-10, 40), (-13.5, 40), (-13.5, -40)]),) if build.child else ()
    roof = Plate(points=np.array([(-1.0, 22), (-5, 12), (-7, 0), (-4, -14)]), width=2.2, weight=3.2)
    pencil.bone(
        _TIBIA, cortex=4.6, marrow=0.09, tubular=True, ends=0.7, depth=0.62 * dense, plates=(roof,), cuts=cut, grain=0.4
    )
    pencil.bone(_FIBULA, cortex=2.4, marrow=0.10, tubular=True, ends=0.6, depth=0.75 * dense, cuts=cut)


def _tarsals(pencil: Pencil, build: Build, dense: float) -> None:
    ripe = float(np.interp(build.age, (1, 12), (0.6, 1.0)))
    for name, corners in _TARSALS.items():
        if build.age < _APPEARS.get(name, 0.0):
            continue
        points = np.array(corners, float)
        middle = points.mean(axis=0)
        thin = 0.55 if name == "cuneiform2" else 0.8
        pencil.bone(
            middle + (points - middle) * ripe, cortex=1.0, marrow=0.17, depth=thin * dense, grain=0.5,
        )  # fmt: skip
    if build.age < 9:
        return
    hind = [np.array([(-16, 33), (0, 29), (12, 35)]), np.array([(44, 14), (46, 22), (44, 28)])]
    pencil.lines([open_curve(line.astype(float), 6) for line in hind], width=2.0, dense=2.4 * dense, blur=0.5)
    # The struts of the heel bone run from the joint above to the heel and forward from it.
    fans = [np.array([(-10 + 5 * k, 36), (-30 + 3 * k, 54), (-58 + 5 * k, 76)], float) for k in range(4)]
    pencil.lines([open_curve(line, 6) for line in fans], width=1.6, dense=0.7 * dense, blur=0.6)


def _ray(pencil: Pencil, build: Build, number: int, dense: float) -> None:
    """A metatarsal and its toe, a little bent."""
    rng = pencil.rng
    base, head, tip = (np.array(point, float) for point in _RAYS[number])
    head = head + rng.normal(0, 1.2, 2)
    pencil.bone(_shaft(base, head, (15.0, 8.0, 13.0) if number == 0 else (12.0, 6.6, 10.5)),
                cortex=2.0, marrow=0.16, depth=0.75 * dense, grain=0.4)  # fmt: skip
    shares, widths = (_SHARES[number > 0], _WIDTHS[number > 0])
    bend = float(rng.normal(0, 3)) - (4.0 if number else 0.0)
    start = head + (tip - head) * 0.14
    knots = [start + (tip - start) * share + (0, bend * np.sin(np.pi * share)) for share in shares]
    for bone in range(len(knots) - 1):
        step = knots[bone + 1] - knots[bone]
        gap = 0.09 + 0.06 * (1 - build.maturity)
        w = widths[bone]
        pencil.bone(
            _shaft(knots[bone] + gap * step, knots[bone + 1] - 0.5 * gap * step, (w, 0.62 * w, 0.8 * widths[bone + 1])),
            cortex=1.3, marrow=0.18, depth=0.75 * dense,
        )  # fmt: skip


def _shaft(base: Points, head: Points, widths: tuple[float, float, float]) -> Points:
    """The outline of a long bone from base to head, as wide as this at its base, waist and head."""
    along = head - base
    aside = np.array([-along[1], along[0]]) / np.hypot(*along)
    outline = []
    for share, half in zip((0.0, 0.10, 0.3, 0.6, 0.86, 0.97), (0.40, 0.5, 0.58, 0.5, 0.5, 0.36), strict=True):
        wide = widths[0] if share < 0.2 else widths[1] if share < 0.8 else widths[2]
        outline.append((base + share * along, half * wide * aside))
    return np.array([at + off for at, off in outline] + [at - off for at, off in outline[::-1]])
