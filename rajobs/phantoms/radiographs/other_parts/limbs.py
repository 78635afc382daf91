"""Films of arms and legs that show no hand. Coordinates in mm, y downwards."""

import numpy as np

from rajobs.phantoms.drawing.bones import Plate, draw_bone
from rajobs.phantoms.drawing.canvas import affine_map, compose_maps
from rajobs.phantoms.drawing.carpus import wrist_bones
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build


def _joint_line(*points: tuple[float, float], width: float = 2.0) -> Plate:
    """A bright joint line through these points (x, y)."""
    return Plate(points=np.array(points, dtype=float)[:, ::-1], width=width, weight=4.0)


def draw_knee(pencil: Pencil) -> None:
    """A knee from the front or from the side."""
    dense = float(pencil.rng.uniform(0.85, 1.15))
    pencil.add_limb([(0, -320), (0, -130), (0, -20), (4, 90), (6, 320)], [88, 72, 60, 56, 50])
    if pencil.rng.random() < 0.35:
        _draw_lateral_knee(pencil, dense)
        return
    femur = [
        (-15, -320),
        (-15, -150),
        (-18, -90),
        (-30, -58),
        (-42, -36),
        (-43, -16),
        (-34, -4),
        (-20, -2),
        (-8, -10),
        (0, -18),
        (8, -10),
        (20, -1),
        (34, -3),
        (43, -15),
        (42, -38),
        (30, -60),
        (18, -92),
        (16, -150),
        (16, -320),
    ]
    pencil.add_bone(
        femur,
        cortex=5.0,
        marrow=0.085,
        tubular=True,
        ends=5.0,
        depth=0.55 * dense,
        plates=(_joint_line((-34, -7), (-20, -4), (-10, -10)), _joint_line((10, -10), (20, -3), (34, -6))),
    )
    tibia = [
        (-39, 10),
        (-36, 3),
        (-20, 5),
        (-4, 3),
        (0, -2),
        (4, 3),
        (20, 5),
        (36, 4),
        (39, 12),
        (34, 34),
        (22, 64),
        (17, 110),
        (15, 200),
        (14, 320),
        (-14, 320),
        (-15, 200),
        (-18, 110),
        (-22, 64),
        (-34, 34),
    ]
    pencil.add_bone(
        tibia,
        cortex=5.0,
        marrow=0.085,
        tubular=True,
        ends=0.7,
        depth=0.6 * dense,
        plates=(_joint_line((-35, 6), (-20, 8), (-6, 6), width=2.4), _joint_line((6, 6), (20, 8), (35, 7), width=2.4)),
    )
    fibula = [(28, 30), (36, 16), (45, 26), (44, 44), (38, 70), (38, 200), (38, 320), (28, 320), (29, 200), (29, 70)]
    pencil.add_bone(fibula, cortex=2.4, marrow=0.08, tubular=True, ends=0.5, depth=0.8 * dense)
    ring = np.linspace(0, 2 * np.pi, 11)[:-1]
    pencil.add_bone(np.column_stack([22 * np.cos(ring), -38 + 21 * np.sin(ring)]), cortex=0.8, marrow=0.05, depth=0.4)


def _draw_lateral_knee(pencil: Pencil, dense: float) -> None:
    """Adds the bones of a knee from the side."""
    femur = [
        (-26, -320),
        (-22, -140),
        (-20, -80),
        (-26, -50),
        (-36, -26),
        (-34, -4),
        (-16, 4),
        (6, 2),
        (24, -8),
        (34, -28),
        (30, -48),
        (14, -70),
        (8, -110),
        (6, -180),
        (4, -320),
    ]
    pencil.add_bone(femur, cortex=5.0, marrow=0.085, tubular=True, ends=5.0, depth=0.55 * dense)
    tibia = [
        (-28, 14),
        (-24, 8),
        (0, 9),
        (24, 12),
        (28, 22),
        (20, 46),
        (16, 80),
        (8, 180),
        (4, 320),
        (-22, 320),
        (-18, 180),
        (-18, 80),
        (-24, 36),
    ]
    pencil.add_bone(tibia, cortex=5.0, marrow=0.085, tubular=True, ends=0.7, depth=0.6 * dense)
    pencil.add_bone(
        [(-30, 34), (-22, 24), (-14, 32), (-18, 70), (-22, 320), (-32, 320), (-28, 70)],
        cortex=2.4,
        marrow=0.08,
        tubular=True,
        ends=0.5,
        depth=0.8,
    )
    pencil.add_bone(
        [(40, -50), (50, -44), (54, -24), (46, -6), (38, -16), (36, -36)], cortex=1.0, marrow=0.14, depth=0.8
    )


def draw_lower_leg(pencil: Pencil) -> None:
    """A lower leg with its ankle, sometimes with metatarsals."""
    dense = float(pencil.rng.uniform(0.85, 1.15))
    pencil.add_limb([(0, -380), (0, -240), (2, -60), (2, 10), (4, 70)], [58, 62, 40, 36, 40])
    tibia = [
        (-16, -380),
        (-15, -200),
        (-16, -80),
        (-22, -36),
        (-30, -14),
        (-29, 6),
        (-22, 14),
        (-17, 4),
        (-12, -3),
        (16, -3),
        (22, -8),
        (20, -36),
        (14, -80),
        (12, -200),
        (14, -380),
    ]
    pencil.add_bone(
        tibia,
        cortex=5.0,
        marrow=0.085,
        tubular=True,
        ends=5.0,
        depth=0.62 * dense,
        plates=(_joint_line((-16, -1), (0, -5), (16, -5), width=2.2),),
    )
    fibula = [
        (24, -380),
        (24, -200),
        (20, -60),
        (20, -30),
        (20, 6),
        (26, 22),
        (32, 18),
        (36, -4),
        (32, -40),
        (30, -80),
        (34, -200),
        (34, -380),
    ]
    pencil.add_bone(fibula, cortex=2.6, marrow=0.085, tubular=True, ends=2.6, depth=0.85 * dense)
    talus = [(-16, 8), (-12, 2), (14, 2), (18, 8), (20, 34), (8, 46), (-10, 46), (-20, 34)]
    pencil.add_bone(talus, cortex=1.0, marrow=0.14, depth=0.9 * dense)
    pencil.add_bone(
        [(-16, 48), (18, 46), (24, 70), (16, 96), (-8, 98), (-18, 74)], cortex=1.0, marrow=0.10, depth=0.8 * dense
    )
    if pencil.rng.random() < 0.6:
        pencil.add_limb([(-6, 50), (-20, 120), (-24, 200)], [34, 36, 30])
        for k in range(5):
            x = -44 + 12 * k
            pencil.add_bone(
                [(x - 6, 110), (x + 6, 110), (x + 4, 150), (x + 5, 200), (x - 5, 200), (x - 4, 150)],
                cortex=1.6,
                marrow=0.1,
                depth=0.8,
            )


_HUMERUS = (
    (-22, -158), (-10, -170), (8, -171), (20, -164), (27, -150), (20, -130), (13, -95), (11, 0), (11, 90), (14, 118),
    (26, 138), (29, 150), (22, 159), (8, 162), (-2, 157), (-12, 161), (-25, 156), (-33, 145), (-26, 136), (-14, 116),
    (-11, 90), (-11, 0), (-13, -90), (-21, -130), (-28, -146),
)  # fmt: skip


def draw_upper_arm(pencil: Pencil) -> None:
    """An upper arm beside the chest."""
    dense = float(pencil.rng.uniform(0.85, 1.15))
    pencil.add_limb([(-20, -260), (0, -160), (2, -40), (0, 80), (0, 300)], [76, 60, 50, 42, 38])
    pencil.add_mass([(-300, -260), (-70, -260), (-58, -100), (-66, 60), (-80, 300), (-300, 300)], 50, blur=7)
    pencil.add_bone(_HUMERUS, cortex=4.4, marrow=0.10, tubular=True, ends=0.7, depth=0.62 * dense)
    blade = [(-38, -182), (-32, -150), (-44, -118), (-80, -60), (-130, -100), (-130, -176)]
    pencil.add_bone(blade, cortex=1.2, marrow=0.03, depth=0.5 * dense)
    pencil.add_band([(-130, -178), (-60, -190), (-10, -192), (14, -182)], width=13, inside=2.2, edge=4.0)
    for place, length in ((-16.0, 8.0), (18.0, 14.0)):
        ends = [(place - 9, 300), (place - 7, 190), (place - 10, 172 - length / 2), (place, 166), (place + 10, 172)]
        pencil.add_bone(
            [*ends, (place + 7, 190), (place + 6, 300)], cortex=2.6, marrow=0.1, tubular=True, depth=0.6 * dense
        )


def draw_elbow(pencil: Pencil) -> None:
    """An elbow, extended from the front or flexed from the side."""
    dense = float(pencil.rng.uniform(0.85, 1.15))
    humerus = [
        (-11, -260),
        (-10, -120),
        (-13, -60),
        (-22, -34),
        (-32, -18),
        (-26, -6),
        (-12, 0),
        (2, -4),
        (10, 2),
        (22, 0),
        (27, -14),
        (22, -34),
        (13, -62),
        (10, -120),
        (11, -260),
    ]
    if pencil.rng.random() < 0.5:
        pencil.add_limb([(0, -260), (0, -90), (0, 0), (2, 80), (4, 260)], [48, 42, 40, 40, 30])
        pencil.add_bone(humerus, cortex=3.6, marrow=0.09, tubular=True, ends=3.6, depth=0.6 * dense)
        ulna = [
            (-22, -20),
            (-10, -30),
            (4, -22),
            (4, 2),
            (-2, 14),
            (-4, 60),
            (-6, 260),
            (-18, 260),
            (-18, 60),
            (-20, 20),
            (-25, 6),
        ]
        pencil.add_bone(ulna, cortex=2.6, marrow=0.09, tubular=True, ends=0.6, depth=0.7 * dense)
        radius = [
            (8, 4),
            (18, 3),
            (26, 5),
            (25, 14),
            (19, 22),
            (20, 44),
            (16, 70),
            (22, 140),
            (20, 260),
            (8, 260),
            (8, 140),
            (8, 64),
            (12, 40),
            (10, 22),
            (8, 14),
        ]
        pencil.add_bone(radius, cortex=2.4, marrow=0.09, tubular=True, ends=0.6, depth=0.75 * dense)
        return
    pencil.add_limb([(0, -260), (0, -60), (4, 6), (60, 22), (260, 26)], [46, 42, 40, 38, 28])
    pencil.add_bone(np.array(humerus) * (0.62, 1), cortex=3.4, marrow=0.09, tubular=True, ends=3.4, depth=0.75 * dense)
    pencil.add_bone(
        [
            (-22, -16),
            (-14, -24),
            (-8, -10),
            (0, 6),
            (14, 8),
            (22, 2),
            (26, 12),
            (60, 22),
            (260, 34),
            (260, 46),
            (60, 38),
            (10, 32),
            (-14, 22),
            (-24, 4),
        ],
        cortex=1.6,
        marrow=0.12,
        depth=0.9 * dense,
    )
    pencil.add_bone(
        [
            (20, -8),
            (32, -10),
            (34, 4),
            (46, 4),
            (120, 14),
            (260, 14),
            (260, 26),
            (120, 26),
            (46, 16),
            (34, 12),
            (22, 10),
        ],
        cortex=1.6,
        marrow=0.12,
        depth=0.9 * dense,
    )


def draw_forearm(pencil: Pencil, build: Build) -> None:
    """A forearm with its wrist, sometimes with the elbow, never with fingers."""
    scale = build.size
    angle = float(pencil.rng.normal(8, 4))
    bones = wrist_bones(build, "R", {}, wrist=angle, forearm=260.0)
    to_elbow = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))]) * 260 * scale
    middle = np.array([2.0, 14.0]) * scale
    pencil.add_limb(
        [
            (-2 * scale, -45 * scale),
            tuple(middle),
            (7.0 + 2.0 * (scale - 1), 14.0 * scale + 40),
            tuple(middle + 0.5 * to_elbow),
            tuple(middle + to_elbow),
        ],
        [33 * scale, 31 * scale, 30 * scale, 37 * scale, 46 * scale],
    )
    for bone in bones:
        draw_bone(pencil.canvas, bone, pencil.to_px)
    for k, x in enumerate((-12.2, -0.6, 11.0, 19.0)):
        shaft = [
            (x - 6, 0),
            (x + 6, 0),
            (x + 4.5 + k, -18),
            (x + 3.5 + 1.5 * k, -60),
            (x - 3.5 + 1.5 * k, -60),
            (x - 4.5 + k, -18),
        ]
        pencil.add_bone(np.array(shaft) * scale, cortex=2.0, marrow=0.1, depth=0.8)
    if pencil.rng.random() < 0.4:
        to_px = compose_maps(pencil.to_px, affine_map(180.0 - angle, middle + to_elbow + (10, -14)))
        elbow_pencil = Pencil(canvas=pencil.canvas, to_px=to_px, rng=pencil.rng)
        elbow_pencil.add_bone(
            [
                (-11, 260),
                (-10, 120),
                (-22, 34),
                (-32, 18),
                (-26, 6),
                (-12, 0),
                (10, -2),
                (22, 0),
                (27, 14),
                (22, 34),
                (10, 120),
                (11, 260),
            ],
            cortex=3.6,
            marrow=0.09,
            depth=0.5,
        )
