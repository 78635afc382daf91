"""Films of the skull from the front, and from the side with the face on the right. Coordinates in mm, y downwards."""

from collections.abc import Sequence

import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Points
from rajobs.phantoms.drawing.strokes import Pencil, mirror_points
from rajobs.phantoms.radiographs.other_parts.teeth import (
    LOWER_TEETH,
    UPPER_TEETH,
    Dentition,
    draw_spongy_bone,
    draw_tooth,
    draw_tooth_layers,
)
from rajobs.phantoms.radiographs.other_parts.trunk import draw_vertebral_column

_Corners = Sequence[tuple[float, float]]
_VAULT = (
    (14, -133), (42, -125), (66, -102), (77, -66), (77, -28), (71, 6), (64, 30), (60, 50), (52, 52), (44, 38), (20, 42),
)  # fmt: skip
_SELLA = (
    (56, -16), (30, -9), (22, -10), (18, -4), (17, 4), (11, 8), (4, 6), (2, -4), (5, -9), (0, -6), (-12, 20), (-20, 36),
)  # fmt: skip
_LATERAL_VAULT = (
    (84, -18), (90, -42), (88, -68), (74, -102), (44, -126), (0, -134), (-48, -124), (-86, -92), (-101, -46),
    (-94, -6), (-74, 22), (-44, 34), (-18, 36), (-2, 12), (20, 8), (44, -6),
)  # fmt: skip
_LATERAL_HEAD = (
    (93, -12), (100, -46), (94, -84), (70, -120), (30, -140), (-20, -144), (-76, -126), (-108, -76), (-111, -30),
    (-98, 16), (-82, 50), (-80, 130), (-96, 190), (-120, 330), (90, 330), (50, 210), (34, 150),
    (50, 122), (90, 118), (101, 100), (98, 84),
    (106, 72), (101, 62), (107, 54), (100, 42), (116, 30), (104, 2),
)  # fmt: skip
_LATERAL_JAW = (
    (90, 74), (95, 92), (90, 104), (68, 104), (38, 98), (8, 88), (-2, 72), (-4, 44), (-6, 26), (2, 20), (8, 30),
    (16, 34), (22, 22), (28, 34), (32, 62), (42, 72),
)  # fmt: skip


def draw_skull(pencil: Pencil) -> None:
    """A skull from the front or the side."""
    (_draw_from_side if pencil.rng.random() < 0.5 else _draw_from_front)(pencil)


def _both_sides(corners: _Corners) -> list[Points]:
    """A shape and its mirror image on the other side of x = 0."""
    points = np.asarray(corners, dtype=float)
    return [points, mirror_points(points)]


def _draw_curves(
    pencil: Pencil, shapes: Sequence[Points], *, width: float, thickness: float, blur: float = 0.6
) -> None:
    """Adds smooth, slightly unsteady lines."""
    pencil.add_lines(
        [open_curve(pencil.jitter(shape), 6) for shape in shapes], width=width, thickness=thickness, blur=blur
    )


def _draw_cavity(pencil: Pencil, corners: Points, depth: float, rim: float) -> None:
    """Adds a cavity with a thin wall."""
    curve = closed_curve(pencil.jitter(corners), 6)
    pencil.add_flat_shapes([curve], -depth, blur=1.6)
    pencil.add_lines([curve], width=1.6, thickness=rim, blur=0.6)


def _draw_suture(pencil: Pencil, line: _Corners) -> None:
    """Adds a jagged seam between two bones of the vault."""
    curve = open_curve(np.asarray(line, dtype=float), 12)
    jagged = curve + pencil.rng.normal(0, 1.5, curve.shape)
    pencil.add_lines([jagged], width=1.0, thickness=-1.3, blur=0.2)
    pencil.add_lines([jagged + np.array([1.0, 0.4])], width=1.0, thickness=0.7, blur=0.3)


def _draw_mouth(
    pencil: Pencil, arches: Sequence[tuple[bool, Sequence[tuple[float, float, int]]]], depth: float
) -> None:
    """Adds teeth at (x, y), each with its number in the arch; upper teeth have their roots up."""
    mouth = Dentition(scale=0.95, depth=depth, care=float(pencil.rng.random()))
    missing = float(pencil.rng.choice((0.0, 0.15, 0.5)))
    for upper, places in arches:
        for x, y, number in places:
            if pencil.rng.random() >= missing:
                turn = float(pencil.rng.normal(0, 4)) + (180.0 if upper else 0.0)
                draw_tooth(pencil, mouth, (UPPER_TEETH if upper else LOWER_TEETH)[number], np.array([x, y]), turn)
    draw_tooth_layers(pencil, mouth)


def _draw_vault(pencil: Pencil, vault: Points) -> None:
    """Adds the vault: two tables of compact bone and the spongy bone between them."""
    pencil.add_bone(vault, cortex=7.0, marrow=0.035, depth=0.22, grain=0.5)
    inner = vault.mean(axis=0) + (vault - vault.mean(axis=0)) * 0.945
    _draw_curves(pencil, [np.vstack([inner, inner[:1]])], width=1.6, thickness=1.5, blur=0.8)
    draw_spongy_bone(pencil, [vault], 1.6, 2.2)


def _draw_from_front(pencil: Pencil) -> None:
    """Adds a skull from the front."""
    rng = pencil.rng
    vault = np.vstack([np.array(_VAULT, float), mirror_points(_VAULT)[::-1]])
    neck = np.array([(60, 60), (64, 120), (70, 330)], float)
    head = np.vstack([np.array(_VAULT, float)[:6] * (1.09, 1.07), neck])
    pencil.add_body([closed_curve(np.vstack([head, mirror_points(head)[::-1]]), 5)], round_mm=45, thickness=62)
    draw_vertebral_column(pencil, 66, 330, width=(24, 30), height=(17, 21), dense=0.8, ribs=False)
    _draw_vault(pencil, vault)
    _draw_suture(pencil, [(-62, -20), (-48, -62), (-18, -96), (0, -106), (18, -96), (48, -62), (62, -20)])
    _draw_suture(pencil, [(0, -132), (1, -118), (0, -106)])
    low = np.array([0, rng.normal(4, 6)])  # shift of the petrous bones, which depends on how the chin is held
    for side in (-1, 1):
        _draw_half_face(pencil, np.array([side, 1]), low)
    nose = [(0, 2), (8, 8), (15, 30), (15, 42), (0, 46)]
    pencil.add_flat_shapes([closed_curve(np.vstack([nose, mirror_points(nose)[::-1]]), 5)], -5.0, blur=2.0)
    _draw_curves(pencil, [np.array([(0, -4), (0.8, 20), (0, 46)])], width=2.0, thickness=2.4)
    sinus = [(2, -24), (4, -44), (14, -50), (22, -42), (32, -38), (26, -27), (10, -24)]
    for half in _both_sides(sinus):
        _draw_cavity(pencil, half * rng.uniform(0.7, 1.15), 2.2, 1.2)
    jaw = [
        (0, 74),
        (24, 72),
        (42, 62),
        (47, 40),
        (49, 6),
        (54, 0),
        (60, 6),
        (60, 46),
        (54, 72),
        (34, 92),
        (14, 99),
        (0, 98),
    ]
    draw_spongy_bone(pencil, [*_both_sides(jaw)], 3.4, 0.9)
    _draw_curves(pencil, _both_sides(jaw[4:]), width=3.2, thickness=3.2, blur=0.8)
    places = [
        (sum(tooth[0] for tooth in UPPER_TEETH[:number]) * 0.8 + 3.4 - 0.5 * number * number, number)
        for number in range(7)
    ]
    arches = [
        (
            upper,
            [
                (side * x, 62 - 0.003 * x * x + (-0.8 if upper else 0.8), number)
                for x, number in places
                for side in (-1, 1)
            ],
        )
        for upper in (True, False)
    ]
    _draw_mouth(pencil, arches, 0.5)


def _draw_half_face(pencil: Pencil, side: Points, low: Points) -> None:
    """Adds eye socket, petrous bone, cheek and upper jaw of one side."""
    orbit = np.array([(15, -8), (22, -23), (38, -26), (52, -17), (54, 0), (46, 12), (30, 15), (18, 8)]) * side
    pencil.add_flat_shapes([closed_curve(pencil.jitter(orbit), 6)], -3.2, blur=2.2)
    _draw_curves(pencil, [np.vstack([orbit, orbit[:1]])], width=2.6, thickness=2.6)
    _draw_curves(pencil, [orbit[1:5]], width=2.6, thickness=1.6)
    _draw_curves(pencil, [np.array([(56, -26), (47, -10), (42, 12)]) * side], width=1.8, thickness=2.0)
    petrous = np.array([(12, 2), (28, -4), (46, -6), (64, 2), (66, 16), (44, 14), (26, 14), (12, 12)])
    draw_spongy_bone(pencil, [(petrous + low) * side], 5.0, 1.6)
    _draw_curves(pencil, [(petrous[:4] + low) * side], width=2.2, thickness=2.4)
    pencil.add_flat_shapes(
        [closed_curve((np.array([(34, 2), (44, 1), (44, 6), (34, 7)]) + low) * side, 5)], -2.5, blur=0.8
    )
    _draw_cavity(pencil, np.array([(18, 22), (40, 20), (46, 28), (36, 46), (24, 48)]) * side, 2.4, 1.4)
    draw_spongy_bone(pencil, [np.array([(2, 46), (20, 48), (34, 48), (34, 58), (20, 60), (2, 60)]) * side], 2.4, 0.9)
    _draw_curves(
        pencil, [np.array([(50, 10), (58, 18), (54, 30), (42, 44)]) * side], width=4.0, thickness=2.4, blur=1.0
    )
    _draw_curves(pencil, [np.array([(56, 18), (66, 24), (71, 22)]) * side], width=5.0, thickness=1.6, blur=1.0)
    cells = np.array([(58, 34), (68, 34), (64, 56), (56, 56)]) * side
    for _ in range(10):
        at = pencil.rng.uniform(cells.min(axis=0), cells.max(axis=0))
        ring = np.array([(2, 0), (0, 2.6), (-2, 0), (0, -2.6)]) + at
        pencil.add_flat_shapes([ring], -1.2, blur=0.7)
    _draw_curves(pencil, [np.array([(6, 14), (12, 24), (8, 32)]) * side], width=5.0, thickness=1.2, blur=1.2)


def _draw_from_side(pencil: Pencil) -> None:
    """Adds a skull from the side."""
    rng = pencil.rng
    pencil.add_body([closed_curve(np.array(_LATERAL_HEAD, float), 5)], round_mm=45, thickness=58)
    pencil.add_mass([(6, 30), (20, 34), (16, 64), (8, 100), (2, 180), (-8, 180), (-4, 100), (4, 60)], -22, blur=3)
    _draw_neck(pencil)
    _draw_vault(pencil, np.array(_LATERAL_VAULT, float))
    _draw_suture(pencil, [(34, -127), (34, -96), (24, -64), (26, -34)])
    _draw_suture(pencil, [(-72, -106), (-68, -70), (-80, -40), (-66, -8), (-58, 20)])
    for grooves in ([(20, -20), (10, -60), (-14, -100)], [(12, -48), (-30, -70), (-64, -78)], [(22, -40), (44, -84)]):
        curve = open_curve(np.asarray(grooves, float), 8)
        pencil.add_lines([curve + rng.normal(0, 0.8, curve.shape)], width=1.6, thickness=-0.7, blur=0.5)
    petrous = np.array([(-46, 30), (-36, 10), (-16, 2), (0, 8), (2, 20), (-12, 34), (-30, 40)], float)
    for shift in rng.normal(0, 2.5, (2, 2)):
        draw_spongy_bone(pencil, [petrous + shift], 4.6, 1.6)
    for at in rng.uniform((-52, 20), (-32, 52), (14, 2)):
        pencil.add_flat_shapes([at + np.array([(2, 0), (0, 2.6), (-2, 0), (0, -2.6)])], -1.4, blur=0.7)
    ring = np.linspace(0, 2 * np.pi, 9)[:-1]
    pencil.add_flat_shapes([np.column_stack([-17 + 4 * np.cos(ring), 24 + 4 * np.sin(ring)])], -4.0, blur=0.6)
    _draw_curves(pencil, [np.array(_SELLA, float)], width=2.2, thickness=4.0, blur=0.5)
    _draw_curves(
        pencil,
        [np.array([(88, -20), (60, -20), (34, -12)]), np.array([(88, -17), (62, -14), (40, -6)])],
        width=1.8,
        thickness=2.6,
    )
    _draw_lateral_face(pencil)
    _draw_lateral_jaw(pencil)


def _draw_lateral_face(pencil: Pencil) -> None:
    """Adds face, sinuses and nose from the side."""
    draw_spongy_bone(pencil, [np.array([(36, -2), (86, -16), (90, 10), (88, 56), (40, 58), (32, 40)], float)], 2.6, 1.6)
    _draw_cavity(pencil, np.array([(54, -12), (78, -14), (82, 2), (76, 14), (56, 12)]), 3.0, 1.6)
    _draw_cavity(pencil, np.array([(46, 16), (76, 16), (78, 40), (48, 42)]), 2.8, 1.4)
    _draw_cavity(pencil, np.array([(14, 13), (34, 8), (38, 22), (20, 28)]), 2.6, 1.2)
    _draw_cavity(pencil, np.array([(84, -26), (92, -46), (96, -40), (90, -22)]) - (3, 0), 2.2, 1.2)
    _draw_curves(pencil, [np.array([(88, -18), (96, -6), (102, 6)])], width=3.6, thickness=2.6, blur=0.5)
    _draw_curves(
        pencil,
        [np.array([(84, -20), (78, -6), (78, 8), (70, 18), (52, 20), (24, 16), (-6, 14)])],
        width=3.4,
        thickness=2.2,
    )
    _draw_curves(
        pencil,
        [np.array([(34, 47), (60, 48), (92, 49)]), np.array([(42, 10), (38, 30), (36, 48)])],
        width=2.4,
        thickness=2.8,
    )
    pencil.add_mass([(92, 8), (104, 8), (106, 34), (92, 40)], -6, blur=2)


def _draw_lateral_jaw(pencil: Pencil) -> None:
    """Adds both halves of the lower jaw and all teeth from the side."""
    rng = pencil.rng
    jaw = np.array(_LATERAL_JAW, float)
    for shift in (np.zeros(2), rng.normal(0, 3.0, 2) * (1, 0.7)):
        draw_spongy_bone(pencil, [jaw + shift], 2.4, 0.9)
        _draw_curves(pencil, [jaw[:13] + shift], width=3.2, thickness=2.2, blur=0.7)
    steps = [(92.0, 0), (86.5, 1), (81.0, 2), (75.0, 3), (69.0, 4), (60.5, 5), (50.5, 6)]
    arches = []
    for upper in (True, False):
        places = [
            (x + shift, 62.5 - 0.05 * (92 - x) + (-0.8 if upper else 0.8), number)
            for x, number in steps
            for shift in (0.0, -3.0)
        ]
        arches.append((upper, places))
    _draw_mouth(pencil, arches, 0.34)


def _draw_neck(pencil: Pencil) -> None:
    """Adds the cervical spine from the side."""
    bow = float(pencil.rng.uniform(2, 12))
    _draw_curves(pencil, [np.array([(-8, 44), (-30, 46), (-52, 48)])], width=7.0, thickness=3.0, blur=1.0)
    pencil.add_bone(
        [(-16, 38), (-8, 40), (-8, 68), (-27, 69), (-26, 56), (-17, 52)], cortex=1.2, marrow=0.16, depth=0.6
    )
    for k in range(1, 12):
        y, x = 54 + 20.0 * k, -17 + bow * np.sin(0.45 * k)
        box = np.array([(-9, -7.5), (9, -6.5), (8, 0), (9, 8), (-9, 7), (-8, 0)]) + np.array([x, y])
        pencil.add_bone(box, cortex=1.1, marrow=0.16, depth=0.65)
        pencil.add_band([(x - 9, y - 3), (x - 18, y + 1), (x - 24, y + 4)], width=9, inside=1.6, edge=2.4)
        pencil.add_band([(x - 22, y + 3), (x - 34, y + 8), (x - 42 - 2 * k, y + 12)], width=7, inside=1.4, edge=2.6)
