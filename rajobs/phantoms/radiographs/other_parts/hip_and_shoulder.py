"""Films of hip and shoulder. Coordinates in mm, y downwards."""

import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.radiographs.other_parts.trunk import draw_vertebral_column


def _draw_half_pelvis(pencil: Pencil, side: int, dense: float) -> None:
    """Adds half a pelvis with the upper femur; the centre of the hip is at (90, 0)."""
    wing = np.array(
        [
            (12, -92),
            (24, -128),
            (70, -152),
            (112, -138),
            (136, -96),
            (126, -60),
            (118, -34),
            (108, -27),
            (90, -28),
            (70, -18),
            (60, -6),
            (46, -18),
            (30, -44),
        ]
    ) * (side, 1)
    pencil.add_bone(wing, cortex=1.1, marrow=0.055, depth=0.42 * dense)
    ring = [(70, -22), (62, 8), (70, 44), (62, 72), (44, 74), (24, 52), (6, 34), (6, 12), (26, 4), (52, -4), (70, -22)]
    pencil.add_band(np.array(ring) * (side, 1), width=18, inside=4.0 * dense, edge=6.0 * dense)
    roof = np.linspace(-2.6, -0.3, 10)
    pencil.add_band(
        np.column_stack([side * (90 + 28 * np.cos(roof)), 28 * np.sin(roof)]),
        width=3.5,
        inside=5.0 * dense,
        edge=5.0 * dense,
    )
    _draw_upper_femur(pencil, side, dense, float(pencil.rng.normal(8, 8)))


def _draw_upper_femur(pencil: Pencil, side: int, dense: float, spread: float) -> None:
    """Adds the upper femur of a hip at (90, 0), with its shaft turned outwards by `spread` degrees."""
    arc = np.deg2rad(np.linspace(125, 330, 9))
    head = np.column_stack([24 * np.cos(arc), 24 * np.sin(arc)])
    rest = np.array(
        [
            (30, -8),
            (42, -8),
            (52, -24),
            (64, -16),
            (70, 16),
            (68, 60),
            (66, 140),
            (66, 230),
            (36, 230),
            (36, 140),
            (35, 80),
            (28, 62),
            (27, 48),
            (14, 28),
            (-2, 26),
        ]
    )
    corners = np.vstack([head, rest])
    turn = np.deg2rad(-spread)
    share = np.clip((corners[:, 1] + 30) / 80, 0, 1)
    angle = turn * share
    corners = np.column_stack(
        [
            corners[:, 0] * np.cos(angle) - corners[:, 1] * np.sin(angle),
            corners[:, 0] * np.sin(angle) + corners[:, 1] * np.cos(angle),
        ]
    )
    points = np.column_stack([(90 + corners[:, 0]) * side, corners[:, 1]])
    pencil.add_bone(points, cortex=5.5, marrow=0.09, tubular=True, ends=0.8, depth=0.55 * dense)


def draw_hip(pencil: Pencil) -> None:
    """A pelvis or one hip."""
    trunk = np.array(
        [
            (-150, -260),
            (-168, -120),
            (-190, -20),
            (-196, 60),
            (-175, 250),
            (175, 250),
            (196, 60),
            (190, -20),
            (168, -120),
            (150, -260),
        ]
    )
    pencil.add_body([closed_curve(trunk, 5)], round_mm=75, thickness=70)
    pencil.add_mass([(-14, 60), (14, 60), (40, 260), (-40, 260)], -34, blur=9)
    dense = float(pencil.rng.uniform(0.8, 1.2))
    sacrum = [(-50, -104), (0, -110), (50, -104), (40, -60), (18, -10), (0, 0), (-18, -10), (-40, -60)]
    pencil.add_bone(sacrum, cortex=1.2, marrow=0.10, depth=0.4 * dense)
    for y in (-84, -64, -46):
        for side in (-1, 1):
            pencil.add_band([(side * 14, y), (side * 19, y - 4), (side * 25, y)], width=3, inside=2, edge=2.5)
    draw_vertebral_column(pencil, -270, -108, width=(46, 52), height=(36, 38), dense=1.1, ribs=False)
    for side in (-1, 1):
        _draw_half_pelvis(pencil, side, dense)
    pencil.add_blobs(np.array([(-70.0, -120.0), (70.0, 10.0)]), int(pencil.rng.integers(2, 10)), (6, 20), (-26, -8))
    if pencil.rng.random() < 0.12:
        side = int(pencil.rng.choice((-1, 1)))
        ring = np.linspace(0, 2 * np.pi, 24)
        pencil.add_metal(np.column_stack([side * 90 + 25 * np.cos(ring), 25 * np.sin(ring)]), 25.0)
        pencil.add_metal(
            np.array([(104, 14), (124, 30), (150, 60), (148, 170), (140, 170), (132, 60)]) * (side, 1), 25.0
        )


def draw_shoulder(pencil: Pencil) -> None:
    """A shoulder from the front, with the trunk on the left."""
    pencil.add_body(
        [
            closed_curve(
                np.array(
                    [
                        (-240, -60),
                        (-120, -95),
                        (-20, -70),
                        (58, -40),
                        (74, 20),
                        (70, 240),
                        (14, 240),
                        (-10, 120),
                        (-40, 240),
                        (-240, 240),
                    ]
                ),
                5,
            )
        ],
        round_mm=45,
        thickness=52,
    )
    pencil.add_mass([(-240, -40), (-150, -60), (-105, 20), (-92, 110), (-88, 240), (-240, 240)], -30, blur=2.5)
    dense = float(pencil.rng.uniform(0.85, 1.2))
    for k in range(7):
        y = -40 + 40 * k
        reach = np.interp(k, (0, 3, 6), (-130, -95, -84))
        pencil.add_band(
            [(-250, y - 6), (-190, y - 8), (reach - 14, y + 18), (reach, y + 48)], width=13, inside=1.6, edge=3.2
        )
    turn = float(pencil.rng.normal(0, 8))
    arc = np.deg2rad(np.linspace(130, 350, 8))
    humerus = np.vstack(
        [
            np.column_stack([24 * np.cos(arc), 24 * np.sin(arc)]),
            [(30, -4), (34, 16), (30, 50), (28, 110), (28, 240), (3, 240), (3, 110), (2, 60), (-6, 34), (-14, 22)],
        ]
    )
    swing = np.deg2rad(turn)
    humerus = humerus @ np.array([[np.cos(swing), np.sin(swing)], [-np.sin(swing), np.cos(swing)]])
    pencil.add_bone(humerus, cortex=4.2, marrow=0.1, tubular=True, ends=0.6, depth=0.6 * dense)
    pencil.add_bone(
        [
            (-32, -28),
            (-24, -14),
            (-25, 8),
            (-33, 26),
            (-48, 60),
            (-64, 120),
            (-78, 140),
            (-96, 80),
            (-110, 10),
            (-108, -30),
            (-70, -32),
        ],
        cortex=1.2,
        marrow=0.03,
        depth=0.5 * dense,
    )
    pencil.add_band([(-108, -20), (-60, -38), (-20, -46), (16, -38)], width=14, inside=2.2, edge=4.0)
    pencil.add_band([(-230, -20), (-160, -42), (-80, -58), (-6, -50)], width=13, inside=2.8, edge=5.2)
    pencil.add_band([(-44, -34), (-34, -22), (-24, -8)], width=12, inside=1.6, edge=2.6)
