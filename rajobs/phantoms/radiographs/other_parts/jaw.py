"""Panoramic films of the jaw, from joint to joint. Coordinates in mm, y downwards."""

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

_LOWER_EDGE = ((84.0, 47.0), (60.0, 56.0), (34.0, 63.0), (14.0, 66.0), (-4.0, 65.0))


def _bite_row(x: float, smile: float, middle: float) -> float:
    """The row at which upper and lower teeth meet, `x` mm from the middle: the film bends the plane of the bite."""
    return middle - smile * (x / 75) ** 2


def _draw_arch(pencil: Pencil, mouth: Dentition, upper: bool, smile: float, middle: float) -> None:
    """Adds the teeth of the upper or the lower jaw."""
    rng = pencil.rng
    missing, wisdom = 0.25 * mouth.care * float(rng.random()), bool(rng.random() < 0.6)
    for side in (-1, 1):
        x = 0.4
        for number, tooth in enumerate(UPPER_TEETH if upper else LOWER_TEETH):
            width = 1.2 * tooth[0]
            place, x = x + width / 2, x + width * 0.99
            if rng.random() < missing * (0.4 if number < 3 else 1.4) or (number == 7 and not wisdom):
                continue
            slope = np.rad2deg(np.arctan(2 * smile * place / 75**2)) * side
            fan = side * place * (0.10 if upper else 0.06) * (-1 if upper else 1)
            tilt = float(rng.normal(0, 4) if number < 7 or upper else rng.choice((8.0, 30.0, 70.0))) * side
            retained = 0.0 if number < 7 else float(rng.uniform(0, 7))
            y = _bite_row(place, smile, middle) + (-1.2 - retained if upper else 1.2 + retained)
            turn = -slope + (180.0 + fan if upper else -fan) + tilt
            draw_tooth(pencil, mouth, tooth, np.array([side * place, y]), turn)


def draw_jaw(pencil: Pencil) -> None:
    """A panoramic film of the jaw."""
    rng = pencil.rng
    mouth = Dentition(scale=1.2, depth=0.62, care=float(rng.random()))
    smile, middle = float(rng.normal(11, 5)), float(rng.normal(6, 3))
    _draw_head(pencil)
    x = np.array([-4.0, 8, 20, 32, 44, 56, 68, 76, 84])
    lower_jaws, upper_jaws = list[Points](), list[Points]()
    crest = np.array([_bite_row(at, smile, middle) for at in x])
    for side in (-1, 1):
        ramus = [(92, middle - smile - 8), (96, -26), (100, -38), (106, -28), (112, -32), (114, -46), (120, -52)]
        ramus += [(127, -46), (124, -30), (120, 0), (113, 24), (100, 38)]
        lower_jaws.append(np.vstack([np.column_stack([x, crest + 12]), ramus, _LOWER_EDGE]) * (side, 1))
        upper_jaw = np.vstack([np.column_stack([x, crest - 13])[:8], [(92, -34), (80, -62), (40, -84), (-4, -84)]])
        upper_jaws.append(upper_jaw * (side, 1))
        _draw_half_jaw(pencil, np.array(ramus), side)
        _draw_half_face(pencil, side)
    draw_spongy_bone(pencil, lower_jaws, 3.4, 0.8)
    draw_spongy_bone(pencil, upper_jaws, 2.4, 0.8)
    pencil.add_lines(
        [open_curve(np.array([(-95, -28), (-50, -34), (0, -36), (50, -34), (95, -28)]), 8)],
        width=3.5,
        thickness=4.0,
        blur=0.8,
    )
    for upper in (True, False):
        _draw_arch(pencil, mouth, upper, smile, middle)
    draw_tooth_layers(pencil, mouth)
    # A panoramic film shows the cervical spine twice: as a shadow behind the front teeth, and at both edges.
    pencil.add_mass([(-20, -90), (20, -90), (26, 0), (22, 90), (-22, 90), (-26, 0)], float(rng.uniform(14, 34)), blur=9)


def _draw_head(pencil: Pencil) -> None:
    """Soft tissue, throat and the cervical spine at both edges."""
    trunk = np.array([(-200, -400), (200, -400), (190, 70), (110, 70), (74, 90), (66, 400)])
    head = np.vstack([trunk, mirror_points(trunk[2:])[::-1]])
    pencil.add_body([closed_curve(head, 6)], round_mm=40, thickness=40)
    for side in (-1, 1):
        throat = np.array([(58, -34), (96, -20), (104, 6), (92, 40), (84, 40), (94, 4), (86, -12), (54, -24)]) * (
            side,
            1,
        )
        pencil.add_mass(throat, -20, blur=3)
        for k in range(4):
            y = -60 + 34 * k
            box = [(138, y), (160, y - 2), (162, y + 26), (140, y + 28)]
            pencil.add_bone(np.array(box) * (side, 1), cortex=1.2, marrow=0.14, depth=0.4)


def _draw_half_jaw(pencil: Pencil, ramus: Points, side: int) -> None:
    """Edges of one side of the lower jaw, and its canal."""
    lower = np.array(_LOWER_EDGE) * (side, 1)
    pencil.add_lines([open_curve(np.vstack([ramus[1:] * (side, 1), lower]), 8)], width=3.6, thickness=2.4, blur=0.9)
    pencil.add_lines([open_curve(lower[:-1], 8)], width=6.0, thickness=2.6, blur=1.0)
    canal = np.array([(106, -4), (101, 16), (88, 32), (66, 41), (48, 42), (38, 38)]) * (side, 1)
    pencil.add_lines([open_curve(canal, 8)], width=4.6, thickness=0.9, blur=0.5)
    pencil.add_lines([open_curve(canal, 8)], width=3.0, thickness=-1.7, blur=0.5)


def _draw_half_face(pencil: Pencil, side: int) -> None:
    """Maxillary sinus, nasal cavity, cheekbone and the socket of the jaw's joint on one side."""
    sinus = np.array([(26, -40), (34, -28), (56, -25), (78, -32), (80, -52), (62, -66), (36, -64)]) * (side, 1)
    pencil.add_mass(sinus, -18, blur=2)
    pencil.add_lines([closed_curve(sinus.astype(float), 6)], width=1.6, thickness=1.8, blur=0.5)
    pencil.add_mass(np.array([(3, -40), (20, -42), (18, -64), (8, -84), (3, -84)]) * (side, 1), -22, blur=2)
    pencil.add_band(np.array([(10, -46), (14, -56), (10, -64)]) * (side, 1), width=6, inside=0.8, edge=0.9)
    pencil.add_band(np.array([(58, -36), (76, -50), (100, -58), (124, -60)]) * (side, 1), width=7, inside=1.6, edge=2.4)
    pencil.add_band(
        np.array([(98, -58), (108, -52), (116, -60), (128, -56), (140, -62)]) * (side, 1), width=4, inside=3, edge=3
    )
    orbit = np.array([(24, -88), (34, -74), (54, -72), (70, -88)]) * (side, 1)
    pencil.add_lines([open_curve(orbit.astype(float), 6)], width=2.4, thickness=2.6, blur=0.6)
    pencil.add_band(np.array([(52, 74), (70, 68), (84, 60)]) * (side, 1), width=5, inside=1.2, edge=1.8)
