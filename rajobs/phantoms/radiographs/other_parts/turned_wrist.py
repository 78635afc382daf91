"""Wrist and forearm turned about their long axis: oblique by the bones' places in space, lateral by own outlines.

Coordinates in mm of an adult man's right hand, zero at the joint between capitate and metacarpal 3, y to the elbow. In
the side view x runs from the palm to the back of the hand.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.bones import Bone, Plate, draw_bone
from rajobs.phantoms.drawing.canvas import Points, affine_map, compose_maps, map_points
from rajobs.phantoms.drawing.carpus import is_ossified, wrist_bones
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build

SIDE_VIEW_FROM = 62.0  # degrees of turn from which the side view's own outlines are drawn
_PALMWARDS: Mapping[str, float] = MappingProxyType(
    {
        "trapezium": 10.0, "trapezoid": 3.0, "scaphoid": 6.0, "pisiform": 15.0, "hamate": 2.0, "triquetrum": 1.0}
)  # fmt: skip
"""How far a bone's middle lies in front of the capitate's, towards the palm."""
_SHAFTS = MappingProxyType({"radius": 3.0, "ulna": 27.0})
"""Where the ends of the long bones lie across the wrist."""
_ROUNDNESS = 0.9  # thickness of a carpal over its width
_SIDE_OUTLINES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "pisiform": ((-20, 15), (-15, 13), (-11, 17), (-11, 23), (-15, 27), (-20, 25), (-22, 20)),
        "trapezium": ((-23, -1), (-16, -5), (-8, -3), (-6, 4), (-9, 9), (-17, 10), (-23, 6)),
        "hamate": ((-7, 2), (4, 0), (10, 3), (9, 12), (3, 18), (-5, 16), (-8, 12), (-15, 12), (-16, 7), (-10, 5)),
        "triquetrum": ((-4, 14), (5, 12), (11, 16), (10, 23), (3, 27), (-5, 25), (-8, 19)),
        "scaphoid": ((-13, 4), (-6, 6), (-1, 14), (6, 22), (8, 28), (3, 32), (-5, 30), (-11, 22), (-17, 14), (-18, 7)),
        "capitate": ((-8, 2), (0, -1), (9, 1), (10, 8), (7, 14), (8, 20), (3, 24), (-4, 23), (-7, 18), (-6, 11)),
        "lunate": ((-10, 21), (-6, 21), (-4, 25), (1, 26.5), (6, 25), (8, 20), (11, 22), (10, 29), (4, 33), (-4, 33),
                   (-10, 29)),
    }
)  # fmt: skip
_RADIUS = (
    (-12, 35), (-6, 33.5), (2, 32.5), (9, 32), (12, 33), (12, 40), (9, 52), (7, 70), (7, 110), (8, 200), (8, 300),
    (-6, 300), (-7, 200), (-7, 110), (-7, 72), (-8, 56), (-11, 44),
)  # fmt: skip
_ULNA = (
    (-4, 32), (2, 29), (8, 30), (12, 27), (14, 31), (11, 38), (8, 50), (6, 80), (4, 140), (6, 220), (8, 300), (-5, 300),
    (-7, 220), (-8, 140), (-5, 80), (-5, 50), (-7, 40),
)  # fmt: skip


def draw_turned_wrist(
    pencil: Pencil, build: Build, *, turn: float, wrist: float, forearm: float, shafts: bool = True
) -> None:
    """Adds carpals and, with `shafts`, radius and ulna, turned by `turn` degrees.

    `wrist` is the forearm's angle in degrees, `forearm` its length on the film in mm.
    """
    if abs(turn) >= SIDE_VIEW_FROM:
        _draw_side_view(pencil, build, turn=turn, wrist=wrist, shafts=shafts)
        return
    for bone in wrist_bones(build, "R", {}, wrist=wrist, forearm=forearm):
        if bone.name in _SHAFTS and not shafts:
            continue
        draw_bone(pencil.canvas, _turn_bone(bone, build, turn), pencil.to_px)


def _turn_bone(bone: Bone, build: Build, turn: float) -> Bone:
    """A bone of the PA view at its place in the turned hand; a carpal keeps about its width."""
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    middle = float(map_points(bone.outline.mean(axis=0)[None], bone.place)[0, 0])
    narrow = float(np.hypot(cos, _ROUNDNESS * sin))
    at = middle * cos - _PALMWARDS.get(bone.name, 0.0) * build.size * sin
    if bone.name in _SHAFTS:  # long bones move as their ends at the wrist do
        at, narrow = middle + _SHAFTS[bone.name] * (cos - 1) * build.size, 1.0
    return replace(bone, place=compose_maps(np.array([[narrow, 0.0, at - narrow * middle], [0, 1.0, 0]]), bone.place))


def _draw_side_view(pencil: Pencil, build: Build, *, turn: float, wrist: float, shafts: bool) -> None:
    """Adds the bones as seen from the side; what the turn lacks of 90 degrees spreads them a little."""
    size, dense = build.size, build.size * build.density
    rest = np.cos(np.deg2rad(turn))
    mirror = np.array([np.sign(turn) or 1.0, 1.0])
    lean = affine_map(-0.5 * wrist, (0, 30 * size))
    for name, corners in _SIDE_OUTLINES.items():
        if not is_ossified(name, build):
            continue
        points = np.array(corners, float)
        middle = points.mean(axis=0)
        grown = 1.0 if not build.child else float(np.clip(build.age / 14, 0.5, 1.0))
        aside = {"scaphoid": -8.0, "trapezium": -18.0, "hamate": 11.0, "triquetrum": 19.0, "pisiform": 24.0}
        points = (middle + (points - middle) * grown) * mirror + np.array([aside.get(name, 0.0) * rest, 0.0])
        pencil.add_bone(points * size, cortex=0.75, marrow=0.26 * build.density, depth=1.0 * dense, grain=0.45)
    for name, outline in (("ulna", _ULNA), ("radius", _RADIUS)) if shafts else ():
        points = np.array(outline, float) * mirror + np.array([(24.0 if name == "ulna" else -2.0) * rest, 0.0])
        points = map_points(points * size - (0, 30 * size), lean)
        plates: tuple[Plate, ...] = ()
        if name == "radius":
            rim = map_points(np.array([(-10, 36.5), (-3, 35), (4, 34.5), (10, 35)]) * mirror * size - (0, 30 * size),
                             lean)  # fmt: skip
            plates = (Plate(points=rim[:, ::-1], width=1.6, weight=3.0 * build.density),)
        pencil.add_bone(
            points, cortex=2.3 * build.density, marrow=0.12 * build.density, tubular=True, ends=0.5,
            depth=1.35 * dense, plates=plates, cuts=_growth_plate(build, size, mirror),
        )  # fmt: skip


def _growth_plate(build: Build, size: float, mirror: Points) -> tuple[Points, ...]:
    """The growth plates of a child's radius and ulna from the side: (u, v) corners."""
    if not build.child:
        return ()
    gap = float(np.interp(build.maturity, (0.1, 0.7, 0.97, 1.0), (2.4, 1.4, 0.6, 0.15)))
    x = np.linspace(-20, 20, 7)
    middle = 41 + 0.5 * np.cos(0.5 * x)
    cut = np.vstack([np.column_stack([middle - gap / 2, x]), np.column_stack([middle + gap / 2, x])[::-1]])
    return (cut * (1, mirror[0]) * size,)
