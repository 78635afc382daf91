"""The space between two bones as the film shows it, from the bones' solids: what a reader measures on a perfect film.

The film shows the outline of a head, and of a base the floor of its socket, where the beam touches the surface: in
front of the floor lie only the lips, behind it all of the bone. Both are projected with the bones' bend and roll.
"""

import numpy as np

from rajobs.phantoms.drawing.canvas import Grey, Points, map_points
from rajobs.phantoms.drawing.solid_bones import CORNERED, ROUNDING_MM, EndSurface, SolidBone, cornered_radius

_MIDDLE = 1 / 3  # of a base's half width: over how much of it, to either side, a space is measured
_INSIDE = 0.8  # of an end's half depth: beyond it lie its rounded rims
_ISLAND = 0.9  # width of an epiphysis over that of its bone, below which it is an island in cartilage


def shown_width(proximal: SolidBone, distal: SolidBone) -> float | None:
    """The mean distance in mm on the film from the floor of the base to the outline of the head; 0 where they overlap.

    Over the middle third of the base's width, across the line midway between both. Erosions do not count. None: an end
    is still mostly cartilage, so that its outline is not that of the joint.
    """
    if any(bone.physis and bone.physis.narrower < _ISLAND for bone in (proximal, distal)):
        return None
    head, base = contour_of(proximal, head=True), contour_of(distal, head=False)
    if not (np.isfinite(head).all() and np.isfinite(base).all()):  # so rolled that a slice's middle is not shown
        return None
    back = -(_axis(proximal) + _axis(distal))
    down = back / np.linalg.norm(back)
    across = np.array([down[1], -down[0]])
    x = np.linspace(-_MIDDLE, _MIDDLE, 41) * _half_width(distal, head=False)
    first, second = (_heights(line - base.mean(axis=0), across, down, x) for line in (base, head))
    slope = np.gradient((first + second) / 2, x)
    return max(0.0, float(np.mean((second - first) / np.hypot(slope, 1))))


def _heights(line: Points, across: Points, down: Points, x: Grey) -> Grey:
    """How far down a contour lies at x across."""
    at = line @ across
    order = np.argsort(at)
    heights: Grey = np.interp(x, at[order], (line @ down)[order])
    return heights


def _axis(bone: SolidBone) -> Points:
    """From the base to the head on the film."""
    axis: Points = bone.place[:, 0]
    return axis


def _half_width(bone: SolidBone, *, head: bool) -> float:
    return float(np.interp(bone.length if head else 0.0, bone.sides[:, 0], bone.sides[:, 1:].mean(axis=1)))


def _end(bone: SolidBone, *, head: bool) -> tuple[EndSurface, float, float, float]:
    """The surface of an end, u of its middle, and its half depths to the palm and to the back."""
    at = bone.length if head else 0.0
    palm, back = (float(np.interp(at, bone.depths[:, 0], bone.depths[:, side])) for side in (1, 2))
    return bone.head if head else bone.base, at, palm, back


def contour_of(bone: SolidBone, *, head: bool) -> Points:
    """Body mm: the farthest that the film shows of an end's surface, over the middle of its width."""
    surface, at, palm, back = _end(bone, head=head)
    half = _half_width(bone, head=head)
    shown_v = np.linspace(-0.6, 0.6, 61) * half
    w = np.linspace(-_INSIDE * palm, _INSIDE * back, 81)[:, None]
    v = shown_v / np.cos(bone.roll) - w * np.tan(bone.roll)  # of each slice's places that are shown there
    deep = np.where(w < 0, palm, back)
    from_side = (1 - cornered_radius((v / half) ** 2, (w / deep) ** 2, CORNERED)) * np.minimum(half, deep)
    rounded = ROUNDING_MM**2 / (4 * np.maximum(from_side, ROUNDING_MM / 2))
    u = at + surface.at(v, w) + (-rounded if head else rounded)
    shown_u = np.where(from_side > 0.15 * half, bone.project(u, w), -np.inf).max(axis=0)
    return map_points(np.column_stack([shown_u, shown_v]), bone.place)


def clear_space(proximal: SolidBone, distal: SolidBone, gap: float) -> float:
    """The width in mm of the space between two bones that neither overlaps, as the film shows it; below 0: overlap."""
    spaces = []
    for middle in (-0.4, 0.0, 0.4):
        head = _edge(proximal, middle, head=True).max() - proximal.length * np.cos(proximal.pitch)
        base = _edge(distal, middle, head=False).min()
        spaces.append(gap + base - head)
    return float(np.mean(spaces))


def _edge(bone: SolidBone, middle: float, *, head: bool) -> Grey:
    """Where the film shows the surface of an end, slice by slice, at a share of its half width."""
    surface, at, palm, back = _end(bone, head=head)
    v = np.full(9, middle * float(np.interp(at, bone.sides[:, 0], bone.sides[:, 1])))
    w = np.linspace(-0.8 * palm, 0.8 * back, 9)
    return bone.project(at + surface.at(v, w), w)
