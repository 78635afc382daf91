"""A chest from the side, with the back on the right. Coordinates in mm, y downwards."""

import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve, open_curve
from rajobs.phantoms.drawing.strokes import Pencil

_TRUNK = (
    (-34, -330), (-40, -210), (-70, -170), (-104, -110), (-122, -20), (-126, 80), (-124, 330), (128, 330),
    (132, 120), (140, 0), (136, -90), (112, -160), (70, -205), (56, -330),
)  # fmt: skip
_LUNGS = (
    (14, -150), (-34, -128), (-74, -84), (-92, -20), (-96, 50), (-88, 84), (-50, 70), (0, 68), (48, 84), (84, 116),
    (112, 142), (120, 120), (122, 30), (116, -50), (96, -112), (56, -148),
)  # fmt: skip
_HEART = ((-92, 10), (-70, -30), (-30, -44), (10, -30), (30, 10), (34, 50), (10, 74), (-40, 74), (-88, 80))


def draw_lateral_chest(pencil: Pencil) -> None:
    """A chest from the side; the arms are raised."""
    rng = pencil.rng
    deep = np.array([float(rng.uniform(0.85, 1.15)), 1.0])
    pencil.add_body([closed_curve(np.array(_TRUNK, float) * deep, 5)], round_mm=60, thickness=82)
    pencil.add_mass([(40, -120), (-26, -116), (-66, -190), (-140, -350), (-60, -350), (0, -240)], 34, blur=9)
    air = float(rng.uniform(34, 56))
    lungs = np.array(_LUNGS, float) * deep
    pencil.add_mass(lungs, -air, blur=2.2)
    pencil.add_mass([(-20, -190), (-4, -190), (12, -60), (8, -44), (-8, -60)], -14, blur=2.0)
    pencil.add_mass(np.array(_HEART, float) * deep * rng.uniform(0.9, 1.1), float(rng.uniform(22, 34)), blur=4)
    arch = np.array([(-24, -50), (-16, -92), (24, -100), (58, -70), (70, 0), (72, 120), (52, 120), (48, 0), (30, -64)])
    pencil.add_mass(arch, float(rng.uniform(5, 12)), blur=4)
    pencil.add_blobs(np.array([(-14.0, -34.0), (28.0, 4.0)]), 6, (6, 13), (5, 11))
    # The other half of the diaphragm lies higher or lower.
    dome = np.array([(-92, 78), (-40, 58), (10, 56), (60, 78), (114, 134), (114, 330), (-100, 330)], float) * deep
    pencil.add_mass(dome + np.array([0.0, float(rng.uniform(4, 26))]), 14, blur=1.6)
    density = float(rng.uniform(0.5, 1.3))
    _draw_vertebrae(pencil, density)
    _draw_rib_cage(pencil, density, float(deep[0]))
    for _ in range(22):
        at = rng.uniform((-30, -60), (70, 60))
        step = rng.normal(0, 13, 2)
        pencil.add_band(
            np.array([at + k * step + rng.normal(0, 3, 2) for k in range(4)]),
            width=float(rng.uniform(1.2, 3.6)),
            inside=0.9,
            edge=0.7,
        )
    if rng.random() < 0.5:
        pencil.add_blobs(np.array([(-100.0, 88.0), (-20.0, 130.0)]), 2, (10, 22), (-26, -10))


def _draw_vertebrae(pencil: Pencil, density: float) -> None:
    """Adds the vertebrae of a back that is more or less round."""
    bow, y = float(pencil.rng.uniform(12, 34)), -215.0
    while y < 260:
        size = float(np.interp(y, (-215, 260), (19, 33)))
        x = 62 + bow * np.cos((y + 10) / 150)
        box = np.array([(-0.55, -0.42), (0, -0.37), (0.55, -0.42), (0.5, 0), (0.55, 0.42), (0, 0.37), (-0.55, 0.42)])
        pencil.add_bone(box * size + np.array([x, y]), cortex=1.1, marrow=0.12, depth=0.5 * density, grain=0.3)
        pencil.add_band(
            [(x + 0.6 * size, y - 3), (x + size, y + 4), (x + 1.35 * size, y + 0.7 * size)],
            width=7,
            inside=1.0 * density,
            edge=2.0 * density,
        )
        y += 1.13 * size


def _draw_rib_cage(pencil: Pencil, density: float, deep: float) -> None:
    """Adds shoulder blades, an arm, the sternum and ribs; one side is larger, as it is farther from the detector."""
    rng = pencil.rng
    for side in (1.0, 1.07):
        shift = rng.normal(0, 5, 2)
        for k in range(10):
            y = -150 + 25.0 * k
            front = np.interp(k, (0, 3, 9), (-30, -84, -60)) * deep
            rib = np.array([(84, y - 8), (122, y + 4), (112, y + 30), (40, y + 62), (front, y + 86)]) * side + shift
            pencil.add_band(rib, width=float(rng.uniform(8, 10)), inside=0.8 * density, edge=2.0 * density)
        blade = [(96, -150), (112, -120), (116, -70), (106, -20), (98, -60), (88, -120)]
        pencil.add_bone(np.array(blade) * side + shift, cortex=0.8, marrow=0.03, depth=0.5 * density)
    arm = [(2, -142), (22, -146), (18, -170), (-70, -340), (-92, -334), (-8, -166)]
    pencil.add_bone(arm, cortex=3.4, marrow=0.08, depth=0.3 * density)
    plate = open_curve(np.array([(-62, -112), (-88, -60), (-102, 0), (-106, 40)]) * np.array([deep, 1.0]), 8)
    pencil.add_band(plate, width=10, inside=1.8 * density, edge=3.6 * density)
