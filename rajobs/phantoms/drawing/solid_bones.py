"""A bone as a solid: slices across the beam, each with its shell and its spongy inside, added up along the beam.

The frame of a bone is u along it from its base, v across it, w towards the X-ray tube (the back of a hand), in mm. A
bone that is bent out of the film's plane, or turned about its own axis, shows its rims beside each other, as on films.
"""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Canvas, Grey, Points, compose_maps

SLICE_MM = 0.45  # between slices, at most: surfaces of neighbouring ones must not show as rings
_SLICES_OF_GRID = 3.2  # thickness of slices on a coarse grid, whose pixels smooth them, over its pitch
_SAMPLES_AT_ONCE = 60_000  # of all slices that are added together: more no longer fit into a core's cache
_EDGE = 0.16  # mm over which a surface fades in
ROUNDING_MM = 0.9  # mm by which the rim between side and end is rounded
_SHAFT = (0.33, 0.60)  # shares of the length between which a bone is a plain tube
_CORNERS = (0.14, *_SHAFT, 0.78)  # shares of the length between which a bone becomes a tube
CORNERED = 0.85  # how square the ends are across: 1 is a curve of the fourth degree
_MINERAL = 0.80  # density of a bone's shell over that of compact cortex


@dataclass(frozen=True, kw_only=True)
class EndSurface:
    """A joint surface: u beyond the middle of the end, over v and w."""

    across: Points  # (v, u) in mm, v ascending
    curve: float  # u per w squared: negative for a head's ball and for the lips of a socket
    plate: float  # mm, thickness of the subchondral plate
    lean: float = 0.0  # u per w: one lip reaches farther than the other

    def at(self, v: Grey, w: float | Grey) -> Grey:
        """u of the surface."""
        heights: Grey = np.interp(v, self.across[:, 0], self.across[:, 1])
        return heights + self.curve * w * w + self.lean * w


@dataclass(frozen=True, kw_only=True)
class Hole:
    """Missing bone: an ellipsoid around (u, v, w) in mm."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    left: float = 0.0  # share of the density that is left in the middle
    rim: float = 0.0  # mm of sclerosis around it
    phase: float = 0.0  # of its uneven edge


@dataclass(frozen=True, kw_only=True)
class Physis:
    """A growth plate: no bone within half a gap of a wavy sheet at u."""

    u: float
    gap: float
    wave: Points  # (v, u) in mm
    plate: float  # mm, thickness of the bone along the sheet
    narrower: float = 1.0  # width of the epiphysis over that of the shaft's end
    at_base: bool


@dataclass(frozen=True, kw_only=True)
class SolidBone:
    """A long bone as a solid, and where it lies."""

    name: str
    place: Affine  # projected (u, v) -> body mm
    length: float  # mm along the bone itself
    sides: Points  # (u, half width at -v, half width at +v) in mm
    depths: Points  # (u, half depth to the palm, half depth to the back) in mm
    base: EndSurface
    head: EndSurface
    cortex: Points  # (u, mm)
    marrow: Points  # (u, share of the cortex's density)
    grain: float  # contrast of the trabeculae
    pitch: float = 0.0  # radians by which the head is bent to the palm
    roll: float = 0.0  # radians about its own axis
    holes: tuple[Hole, ...] = ()
    physis: Physis | None = None
    texture_at: tuple[int, int] = (0, 0)
    weight: float = 1.0

    def project(self, u: Grey, w: float | Grey) -> Grey:
        """Where the film shows a place of the bone, along its axis."""
        shown: Grey = u * np.cos(self.pitch) + w * np.sin(self.pitch)
        return shown


def _extent(bone: SolidBone) -> tuple[Points, Points]:
    """The lowest and highest projected (u, v) that the bone can reach."""
    depth = float(bone.depths[:, 1:].max())
    lean = depth * abs(np.sin(bone.pitch))
    first = min(0.0, float(bone.base.across[:, 1].min()) - abs(bone.base.curve) * depth**2) - 1.0
    last = bone.length + max(0.0, float(bone.head.across[:, 1].max())) + 1.0
    wide = float(bone.sides[:, 1:].max()) + depth * abs(np.sin(bone.roll)) + 0.5
    cos = np.cos(bone.pitch)
    return np.array([first * cos - lean, -wide]), np.array([last * cos + lean, wide])


def bone_thickness(bone: SolidBone, canvas: Canvas) -> tuple[Grey, Points]:
    """How many mm of cortex the beam passes, on a grid in the bone's projected frame, and that grid's first (u, v)."""
    pitch = canvas.bone_pitch
    lowest, highest = _extent(bone)
    first = np.floor(lowest / pitch).astype(int)
    shape = np.ceil(highest / pitch).astype(int) - first + 1
    shown_u = ((first[0] + np.arange(shape[0])) * pitch).astype(np.float32)
    shown_v = ((first[1] + np.arange(shape[1])) * pitch).astype(np.float32)
    texture = canvas.crop_texture(
        int(shape[0]), int(shape[1]), (bone.texture_at[0] + int(first[0]), bone.texture_at[1] + int(first[1]))
    )
    grain = 1 + texture * np.float32(bone.grain)
    thickness = np.zeros((int(shape[0]), int(shape[1])), np.float32)
    straight, across = shown_u / np.float32(np.cos(bone.pitch)), shown_v / np.float32(np.cos(bone.roll))
    first_of_shaft, last_of_shaft = np.searchsorted(straight, np.array(_SHAFT) * bone.length)
    for rows in (slice(0, first_of_shaft), slice(last_of_shaft, len(straight))):
        _add_slices(bone, thickness[rows], straight[rows], across, grain[rows])
    shaft = slice(first_of_shaft, last_of_shaft)
    thickness[shaft] = _shaft_thickness(bone, straight[shaft], across, grain[shaft])
    thickness *= np.float32(_MINERAL * bone.weight / (np.cos(bone.pitch) * np.cos(bone.roll)))
    return thickness, first * pitch


def _add_slices(bone: SolidBone, thickness: Grey, straight: Grey, across: Grey, grain: Grey) -> None:
    """Adds an end of a bone, slice by slice, over a grid; `straight` is u and `across` is v where w is 0."""
    if not len(straight):
        return
    palm, back = float(bone.depths[:, 1].max()), float(bone.depths[:, 2].max())
    grid = float(straight[-1] - straight[0]) / max(len(straight) - 1, 1)
    count = max(7, round((palm + back) / max(SLICE_MM, _SLICES_OF_GRID * grid)))
    edges = np.linspace(-palm, back, count + 1)
    depths = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    step = np.float32((palm + back) / count)
    together = max(1, _SAMPLES_AT_ONCE // max(grain.size, 1))  # small grids are added many slices at a time
    for first in range(0, count, together):
        w = depths[first : first + together, None]
        u, v = straight - w * np.float32(np.tan(bone.pitch)), across - w * np.float32(np.tan(bone.roll))
        deep = np.where(w < 0, *(np.interp(u, bone.depths[:, 0], bone.depths[:, side]) for side in (1, 2)))
        there = (deep > np.abs(w)) & (u > -3.5) & (u < bone.length + 3.0)
        rows = np.flatnonzero(there.any(axis=0))
        columns = np.flatnonzero((np.abs(v) < float(bone.sides[:, 1:].max()) + 0.2).any(axis=0))
        if not len(rows) or not len(columns):  # on a coarse grid a slice may lie between its lines
            continue
        down, along = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        density = _slice_density(bone, u[:, down], v[:, along], w, step, deep[:, down], grain[down, along])
        density *= there[:, down, None]
        thickness[down, along] += step * density.sum(axis=0)


def _shaft_thickness(bone: SolidBone, u: Grey, v: Grey, grain: Grey) -> Grey:
    """The shaft is an elliptic tube, whose chords need no slices; `grain` is the factor of its spongy inside."""
    palm, back, near, far, cortex, marrow = (
        np.interp(u, table[:, 0], table[:, column]).astype(np.float32)[:, None]
        for table, column in ((bone.depths, 1), (bone.depths, 2), (bone.sides, 1), (bone.sides, 2),
                              (bone.cortex, 1), (bone.marrow, 1))
    )  # fmt: skip
    wide, deep = np.where(v[None, :] < 0, near, far), (palm + back) / 2
    inner = np.maximum(1 - cortex / np.minimum(wide, deep), np.float32(0.02))
    tan = np.float32(np.tan(bone.roll))
    outside, inside = (_chord(v[None, :], wide * share, deep * share, tan) for share in (np.float32(1), inner))
    thickness: Grey = outside - inside * (1 - marrow * grain)
    return thickness


def _chord(v: Grey, wide: Grey, deep: Grey, tan: np.float32) -> Grey:
    """How long a beam stays in an ellipse with these half axes; `tan` is the slope of the beam in its frame."""
    slope = (tan / wide) ** 2 + 1 / deep**2
    share = v / wide
    chord: Grey = 2 * np.sqrt(np.maximum((share * tan / wide) ** 2 - slope * (share * share - 1), 0)) / slope
    return chord


def _slice_density(bone: SolidBone, u: Grey, v: Grey, w: Grey, step: np.float32, deep: Grey, grain: Grey) -> Grey:
    """Density of slices, which are `step` mm thick: over slice, u and v; a row of `u`, `v`, `w` and `deep` for each."""
    near, far = (_interpolated(u, bone.sides, side) for side in (1, 2))
    side = np.where(v[:, None, :] < 0, near[..., None], far[..., None])
    if bone.physis is not None and bone.physis.narrower != 1.0:
        inside = (u < bone.physis.u) if bone.physis.at_base else (u > bone.physis.u)
        side = np.where(inside[..., None], side * np.float32(bone.physis.narrower), side)
    share = ((w / deep) ** 2).astype(np.float32)[..., None]
    ratio = v[:, None, :] / side
    # A shaft is an ellipse across; its ends have corners.
    square = ratio * ratio
    corners = np.interp(u, np.array(_CORNERS) * bone.length, (CORNERED, 0, 0, CORNERED)).astype(np.float32)[..., None]
    radius = cornered_radius(square, share, corners)
    # A surface that faces the tube fades in over the slice, so that slices do not show as rings.
    edge = np.float32(_EDGE) + step * share / np.maximum(square + share, np.float32(0.01))
    from_side = (1 - radius) * np.minimum(side, deep.astype(np.float32)[..., None])
    from_base = u[..., None] - bone.base.at(v, w).astype(np.float32)[:, None, :]
    from_head = (bone.length + bone.head.at(v, w)).astype(np.float32)[:, None, :] - u[..., None]
    end = np.minimum(from_base, from_head)
    gap = from_side - end
    edge = np.where(gap < 0, edge, np.float32(_EDGE))  # a joint surface is seen from its edge, which stays sharp
    depth = (from_side + end - np.sqrt(gap * gap + np.float32(ROUNDING_MM**2))) * np.float32(0.5)
    cortex = _interpolated(u, bone.cortex, 1)[..., None]
    # How far below the shell a place lies: 0 at its inner face.
    below = np.minimum(from_side - cortex, from_base - np.float32(bone.base.plate))
    below = np.minimum(below, from_head - np.float32(bone.head.plate))
    if bone.physis is not None:
        wave = _interpolated(v, bone.physis.wave, 1)[:, None, :]
        from_sheet = np.abs(u[..., None] - np.float32(bone.physis.u) - wave) - np.float32(bone.physis.gap / 2)
        depth, below = np.minimum(depth, from_sheet), np.minimum(below, from_sheet - np.float32(bone.physis.plate))
    marrow = _interpolated(u, bone.marrow, 1)[..., None]
    inside = np.clip(depth / edge + np.float32(0.5), 0, 1)
    spongy = np.clip(below / (edge + np.float32(_EDGE)) + np.float32(0.5), 0, 1)
    density: Grey = inside * (1 - spongy * (1 - marrow * grain))
    for hole in bone.holes:
        _cut_hole(density, hole, u, v, w[:, 0])
    return density


def _interpolated(at: Grey, table: Points, column: int) -> Grey:
    """A column of a table over its first one."""
    values: Grey = np.interp(at, table[:, 0], table[:, column]).astype(np.float32)
    return values


def cornered_radius(square: Grey, share: Grey, corners: Grey | float) -> Grey:
    """How far out a place lies in a cross-section, 1 at its rim, by the squares of its shares of both half axes."""
    rounded = np.sqrt(square + share)
    radius: Grey = rounded + corners * (np.sqrt(np.sqrt(square * square + share * share)) - rounded)
    return radius


def _cut_hole(density: Grey, hole: Hole, u: Grey, v: Grey, w: Grey) -> None:
    """Takes a hole out of slices; its edge is uneven."""
    (at_u, at_v, at_w), (along, across, through) = hole.centre, hole.radii
    reach = 1.5
    lift = (w - at_w) / through
    near = (
        np.flatnonzero(np.abs(lift) <= reach),
        np.flatnonzero((np.abs(u - at_u) < reach * along + hole.rim).any(axis=0)),
        np.flatnonzero((np.abs(v - at_v) < reach * across + hole.rim).any(axis=0)),
    )
    if not all(len(each) for each in near):
        return
    slices, rows, columns = (slice(each[0], each[-1] + 1) for each in near)
    part = density[slices, rows, columns]
    du = ((u[slices, rows] - at_u) / along)[..., None]
    dv = ((v[slices, columns] - at_v) / across)[:, None, :]
    angle = np.arctan2(dv, du)
    edge = 1 + 0.14 * np.cos(3 * angle + hole.phase) + 0.09 * np.cos(5 * angle + 2.3 * hole.phase)
    away = (np.sqrt(du * du + dv * dv + (lift[slices] ** 2)[:, None, None]) / edge).astype(np.float32)
    size = np.float32(min(along, across))
    if hole.rim:
        ring = np.clip(1 - np.abs((away - 1) * size - np.float32(hole.rim / 2)) / np.float32(hole.rim), 0, 1)
        part += ring * np.float32(0.5) * (part > 0.02)
    lost = np.clip((1 - away) * size / np.float32(0.35) + np.float32(0.5), 0, 1)
    part *= 1 - np.float32(1 - hole.left) * lost


def draw_solid(canvas: Canvas, bone: SolidBone, to_px: Affine) -> None:
    """Adds a bone to the film; `to_px` maps body millimetres to the film's columns and rows."""
    thickness, low = bone_thickness(bone, canvas)
    pitch = canvas.bone_pitch
    grid = np.array([[0.0, pitch, low[0]], [pitch, 0.0, low[1]]])  # the patch's columns are v and its rows u
    canvas.paste(thickness, compose_maps(to_px, compose_maps(bone.place, grid)))
