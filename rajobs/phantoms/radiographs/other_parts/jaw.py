"""The jaw in one sweep from joint to joint, rolled out flat. Coordinates in mm, y downwards."""

import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Points
from rajobs.phantoms.drawing.strokes import Pencil, mirrored
from rajobs.phantoms.radiographs.other_parts.teeth import LOWER, UPPER, Dentition, add_tooth, ink, sponge

_LOWER_EDGE = ((84.0, 47.0), (60.0, 56.0), (34.0, 63.0), (14.0, 66.0), (-4.0, 65.0))


def _bite(x: float, smile: float, middle: float) -> float:
    """Where upper and lower teeth meet, `x` mm from the middle: the sweep bends the plane of the bite."""
    return middle - smile * (x / 75) ** 2


def _arch(pencil: Pencil, mouth: Dentition, up: bool, smile: float, middle: float) -> None:
    rng = pencil.rng
    gone, wisdom = 0.25 * mouth.care * float(rng.random()), bool(rng.random() < 0.6)
    for side in (-1, 1):
        x = 0.4
        for number, kind in enumerate(UPPER if up else LOWER):
            w = 1.2 * kind[0]
            place, x = x + w / 2, x + w * 0.99
            if rng.random() < gone * (0.4 if number < 3 else 1.4) or (number == 7 and not wisdom):
                continue
            slope = np.rad2deg(np.arctan(2 * smile * place / 75**2)) * side
            fan = side * place * (0.10 if up else 0.06) * (-1 if up else 1)
            lying = float(rng.normal(0, 4) if number < 7 or up else rng.choice((8.0, 30.0, 70.0))) * side
            deep = 0.0 if number < 7 else float(rng.uniform(0, 7))
            y = _bite(place, smile, middle) + (-1.2 - deep if up else 1.2 + deep)
            turn = -slope + (180.0 + fan if up else -fan) + lying
            add_tooth(pencil, mouth, kind, np.array([side * place, y]), turn)


def jaw(pencil: Pencil) -> None:
    """A panoramic film of a jaw."""
    rng = pencil.rng
    mouth = Dentition(scale=1.2, thick=0.62, care=float(rng.random()))
    smile, middle = float(rng.normal(11, 5)), float(rng.normal(6, 3))
    _face(pencil)
    x = np.array([-4.0, 8, 20, 32, 44, 56, 68, 76, 84])
    jaws, cheeks = list[Points](), list[Points]()
    crest = np.array([_bite(at, smile, middle) for at in x])
    for side in (-1, 1):
        ramus = [(92, middle - smile - 8), (96, -26), (100, -38), (106, -28), (112, -32), (114, -46), (120, -52)]
        ramus += [(127, -46), (124, -30), (120, 0), (113, 24), (100, 38)]
        jaws.append(np.vstack([np.column_stack([x, crest + 12]), ramus, _LOWER_EDGE]) * (side, 1))
        upper = np.vstack([np.column_stack([x, crest - 13])[:8], [(92, -34), (80, -62), (40, -84), (-4, -84)]])
        cheeks.append(upper * (side, 1))
        _half_jaw(pencil, np.array(ramus), side)
        _half_face(pencil, side)
    sponge(pencil, jaws, 3.4, 0.8)
    sponge(pencil, cheeks, 2.4, 0.8)
    pencil.lines(
        [open_curve(np.array([(-95, -28), (-50, -34), (0, -36), (50, -34), (95, -28)]), 8)],
        width=3.5,
        dense=4.0,
        blur=0.8,
    )
    for up in (True, False):
        _arch(pencil, mouth, up, smile, middle)
    ink(pencil, mouth)
    # The neck's spine is swept over twice: once as a shadow behind the front teeth, once at either edge.
    pencil.mass([(-20, -90), (20, -90), (26, 0), (22, 90), (-22, 90), (-26, 0)], float(rng.uniform(14, 34)), blur=9)


def _face(pencil: Pencil) -> None:
    trunk = np.array([(-200, -400), (200, -400), (190, 70), (110, 70), (74, 90), (66, 400)])
    head = np.vstack([trunk, mirrored(trunk[2:])[::-1]])
    pencil.body([closed_curve(head, 6)], round_mm=40, height=40)
    for side in (-1, 1):
        throat = np.array([(58, -34), (96, -20), (104, 6), (92, 40), (84, 40), (94, 4), (86, -12), (54, -24)]) * (
            side,
            1,
        )
        pencil.mass(throat, -20, blur=3)
        for k in range(4):
            y = -60 + 34 * k
            box = [(138, y), (160, y - 2), (162, y + 26), (140, y + 28)]
            pencil.bone(np.array(box) * (side, 1), cortex=1.2, marrow=0.14, depth=0.4)


def _half_jaw(pencil: Pencil, ramus: Points, side: int) -> None:
    lower = np.array(_LOWER_EDGE) * (side, 1)
    pencil.lines([open_curve(np.vstack([ramus[1:] * (side, 1), lower]), 8)], width=3.6, dense=2.4, blur=0.9)
    pencil.lines([open_curve(lower[:-1], 8)], width=6.0, dense=2.6, blur=1.0)
    canal = np.array([(106, -4), (101, 16), (88, 32), (66, 41), (48, 42), (38, 38)]) * (side, 1)
    pencil.lines([open_curve(canal, 8)], width=4.6, dense=0.9, blur=0.5)
    pencil.lines([open_curve(canal, 8)], width=3.0, dense=-1.7, blur=0.5)


def _half_face(pencil: Pencil, side: int) -> None:
    """The sinus of the upper jaw, half the nose, cheekbone and the joint's socket."""
    sinus = np.array([(26, -40), (34, -28), (56, -25), (78, -32), (80, -52), (62, -66), (36, -64)]) * (side, 1)
    pencil.mass(sinus, -18, blur=2)
    pencil.lines([closed_curve(sinus.astype(float), 6)], width=1.6, dense=1.8, blur=0.5)
    pencil.mass(np.array([(3, -40), (20, -42), (18, -64), (8, -84), (3, -84)]) * (side, 1), -22, blur=2)
    pencil.band(np.array([(10, -46), (14, -56), (10, -64)]) * (side, 1), width=6, inside=0.8, edge=0.9)
    pencil.band(np.array([(58, -36), (76, -50), (100, -58), (124, -60)]) * (side, 1), width=7, inside=1.6, edge=2.4)
    pencil.band(
        np.array([(98, -58), (108, -52), (116, -60), (128, -56), (140, -62)]) * (side, 1), width=4, inside=3, edge=3
    )
    orbit = np.array([(24, -88), (34, -74), (54, -72), (70, -88)]) * (side, 1)
    pencil.lines([open_curve(orbit.astype(float), 6)], width=2.4, dense=2.6, blur=0.6)
    pencil.band(np.array([(52, 74), (70, 68), (84, 60)]) * (side, 1), width=5, inside=1.2, edge=1.8)
