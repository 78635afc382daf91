"""One bone: an outline with a shell of cortex, a spongy inside, and erosions."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import (
    SUBPIXEL,
    Affine,
    Canvas,
    Grey,
    Points,
    compose_maps,
    fill_polygon,
    to_fixed_point,
)
from rajobs.phantoms.drawing.solid_bones import SolidBone, draw_solid

_OUTLINE_MARGIN = 1.5  # mm by which disease may move an outline beyond its healthy place
_BITE_ROUGHNESS = 0.30  # how uneven the edge of an erosion is, as a share of its radius


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A subchondral plate or another edge seen end-on: a bright line along `points` (u, v in mm)."""

    points: Points
    width: float  # mm
    weight: float  # mm of cortex that it adds


@dataclass(frozen=True, kw_only=True)
class Bite:
    """An erosion: bone is missing around (u, v), with radii along and across, in mm."""

    u: float
    v: float
    along: float
    across: float
    depth: float  # share of the bone's thickness that is missing in the middle


@dataclass(frozen=True, kw_only=True)
class Bone:
    """An outline in mm in its own frame (u along the bone from its base, v across), and where that frame lies."""

    name: str
    outline: Points
    place: Affine  # (u, v) -> body mm
    cortex: tuple[float, float, float]  # mm at the base, the shaft and the head
    marrow: tuple[float, float]  # density of the ends and of the shaft, as a share of cortex
    depth: float = 0.85  # thickness along the beam over the width
    tubular: bool = True
    grain: float = 0.35  # contrast of the trabeculae
    plates: tuple[Plate, ...] = ()
    bites: tuple[Bite, ...] = ()
    cuts: tuple[Points, ...] = ()  # outlines that hold no bone: growth plates
    texture_at: tuple[int, int] = (0, 0)
    weight: float = 1.0  # factor of the whole thickness
    box: tuple[float, float, float, float] | None = None  # u, v, u, v around the healthy bone; None: around `outline`
    half_thickness: float | None = None  # mm, of a bone that is no tube; None: half the width of `outline`


def bounding_box(points: Points) -> tuple[float, float, float, float]:
    """The box around points: lowest u and v, highest u and v."""
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _catmull_rom(per_segment: int) -> Points:
    """Weights of four neighbouring control points at `per_segment` places between the middle two."""
    t = np.arange(per_segment)[:, None] / per_segment
    cubic = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return np.hstack([np.ones_like(t), t, t**2, t**3]) @ cubic


def closed_curve(points: Points, per_segment: int = 6) -> Points:
    """A smooth closed curve through control points (Catmull-Rom)."""
    near = (np.arange(len(points))[:, None] + np.arange(-1, 3)) % len(points)
    curve: Points = (_catmull_rom(per_segment) @ points[near]).reshape(-1, 2)
    return curve


def open_curve(points: Points, per_segment: int = 6) -> Points:
    """A smooth curve with two free ends through control points."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    near = np.arange(len(points) - 1)[:, None] + np.arange(4)
    return np.vstack([(_catmull_rom(per_segment) @ padded[near]).reshape(-1, points.shape[1]), points[-1:]])


def _bone_mask(bone: Bone, low: Points, shape: tuple[int, int], pitch: float) -> Grey:
    """The bone's outline without its cuts, on the grid that starts at `low` (u, v)."""
    mask = np.zeros(shape, np.uint8)
    fill_polygon(mask, ((bone.outline - low) / pitch)[:, ::-1])
    for cut in bone.cuts:
        fill_polygon(mask, ((cut - low) / pitch)[:, ::-1], 0)
    return mask


def _shaft_weight(u: Grey, end_share: float) -> Grey:
    """0 at both ends of the bone, 1 along the shaft; u runs from 0 to 1."""
    rise = np.minimum(np.maximum(np.minimum(u, 1 - u) / np.float32(end_share), 0), 1)
    weight: Grey = rise * rise * (3 - 2 * rise)
    return weight


def _half_widths(bone: Bone, mask: Grey, distance: Grey, pitch: float, span: tuple[float, float], u: Grey) -> Grey:
    """Half the bone's width in each row: how thick a round bone is there."""
    if not bone.tubular:
        return np.full((mask.shape[0], 1), bone.half_thickness or max(float(distance.max()), pitch), np.float32)
    width = cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F) * np.float32(pitch / 510)
    # The ends are as thick as the bone a little further in.
    edge = 0.085 * (span[1] - span[0])
    first, last = np.searchsorted(u[:, 0], (edge / (span[1] - span[0]), 1 - edge / (span[1] - span[0])))
    width[:first] = np.maximum(width[:first], width[first : first + 3].mean())
    width[last:] = np.maximum(width[last:], width[last - 3 : last].mean())
    kernel = max(3, round(0.05 * (span[1] - span[0]) / pitch) | 1)
    return cv2.blur(width, (1, kernel), borderType=cv2.BORDER_REPLICATE).reshape(-1, 1)


def _cortex_and_marrow(bone: Bone, u: Grey) -> tuple[Grey, Grey]:
    """Cortex in mm and marrow density of each row."""
    if not bone.tubular:
        return np.full_like(u, bone.cortex[1]), np.full_like(u, bone.marrow[0])
    end = np.where(u < 0.5, bone.cortex[0], bone.cortex[2]).astype(np.float32)
    cortex = end + (bone.cortex[1] - end) * _shaft_weight(u, 0.42)
    return cortex, bone.marrow[0] + (bone.marrow[1] - bone.marrow[0]) * _shaft_weight(u, 0.33)


def _cut_erosions(thickness: Grey, bone: Bone, low: Points, pitch: float, texture: Grey) -> None:
    """Removes the bites from the thickness, with uneven edges."""
    for bite in bone.bites:
        reach = 1.6 * max(bite.along, bite.across)
        centre = np.array([bite.u, bite.v])
        first = np.maximum(((centre - reach - low) / pitch).astype(int), 0)
        last = np.minimum(((centre + reach - low) / pitch).astype(int) + 1, thickness.shape)
        if (last <= first).any():
            continue
        window = (slice(first[0], last[0]), slice(first[1], last[1]))
        du = (np.arange(first[0], last[0], dtype=np.float32) * pitch + low[0] - bite.u)[:, None] / bite.along
        dv = (np.arange(first[1], last[1], dtype=np.float32) * pitch + low[1] - bite.v)[None, :] / bite.across
        angle = np.arctan2(dv, du)
        edge = 1 + _BITE_ROUGHNESS * (0.5 * np.cos(3 * angle + 5 * bite.u) + 0.35 * np.cos(5 * angle + 7 * bite.v))
        hole = np.clip((1.1 * edge - np.sqrt(du * du + dv * dv) + 0.06 * texture[window]) / 0.4, 0, 1)
        thickness[window] *= 1 - bite.depth * hole


def _add_plates(thickness: Grey, bone: Bone, low: Points, pitch: float, mask: Grey) -> None:
    """Adds the plates, drawn together on one sheet: the faint ones first, so that bright ones stay on top."""
    strongest = max((plate.weight for plate in bone.plates), default=0.0)
    if strongest <= 0:
        return
    sheet = np.zeros(mask.shape, np.uint8)
    for plate in sorted(bone.plates, key=lambda plate: plate.weight):
        corners = [to_fixed_point(((plate.points - low) / pitch)[:, ::-1])]
        width, grey = plate.width / pitch, 255 * plate.weight / strongest
        cv2.polylines(sheet, corners, False, 0.55 * grey, max(1, round(1.3 * width)), cv2.LINE_AA, SUBPIXEL)
        cv2.polylines(sheet, corners, False, grey, max(1, round(0.65 * width)), cv2.LINE_AA, SUBPIXEL)
    side = max(3, round(0.4 / pitch) | 1)
    visible = np.minimum(cv2.blur(sheet, (side, side)), mask)
    thickness += visible * np.float32(strongest / 255)


def bone_thickness(bone: Bone, canvas: Canvas) -> tuple[Grey, Points]:
    """How many mm of cortex the beam passes, on a grid in the bone's frame, and that grid's first (u, v)."""
    pitch = canvas.bone_pitch
    # The grid and the texture keep their places when disease changes the outline.
    lowest, highest = bone.outline.min(axis=0), bone.outline.max(axis=0)
    box = bone.box or (*lowest, *highest)
    margin = np.array([_OUTLINE_MARGIN, 0.3 if bone.tubular else _OUTLINE_MARGIN]) * (bone.box is not None)
    first = np.floor(np.minimum(lowest, box[:2] - margin) / pitch).astype(int) - 2
    low = first * pitch
    shape = np.ceil((np.maximum(highest, box[2:] + margin) - low) / pitch).astype(int) + 3
    mask = _bone_mask(bone, low, (int(shape[0]), int(shape[1])), pitch)
    distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    distance = (distance - 0.5) * np.float32(pitch)
    span = (float(box[0]), float(box[2]))
    u = (np.arange(mask.shape[0])[:, None] * pitch + low[0] - span[0]) / (span[1] - span[0])
    u = u.astype(np.float32)
    radius = _half_widths(bone, mask, distance, pitch, span, u)
    cortex, marrow = _cortex_and_marrow(bone, u)
    texture = canvas.crop_texture(
        mask.shape[0], mask.shape[1], (bone.texture_at[0] + int(first[0]), bone.texture_at[1] + int(first[1]))
    )
    inward = np.maximum(radius - distance, np.float32(0))
    inward *= inward
    outer = cv2.sqrt(np.maximum(radius * radius - inward, np.float32(0)))
    hollow = np.maximum(radius - cortex, np.float32(0)) ** 2
    inner = cv2.sqrt(np.maximum(hollow - inward, np.float32(0)))
    # Shell plus sponge, each a little uneven: (outer - inner) (1 + 0.18 grain) + inner marrow (1 + grain).
    grain = texture * np.float32(bone.grain)
    thickness = inner * (marrow - 1)
    thickness += outer
    inner *= marrow - np.float32(0.18)
    inner += np.float32(0.18) * outer
    inner *= grain
    thickness += inner
    thickness *= np.float32(2 * bone.depth * bone.weight / 255)
    thickness *= mask
    _add_plates(thickness, bone, low, pitch, mask)
    _cut_erosions(thickness, bone, low, pitch, texture)
    return thickness, low


def draw_bone(canvas: Canvas, bone: Bone | SolidBone, to_px: Affine) -> None:
    """Adds a bone to the film; `to_px` maps body millimetres to the film's columns and rows."""
    if isinstance(bone, SolidBone):
        draw_solid(canvas, bone, to_px)
        return
    thickness, low = bone_thickness(bone, canvas)
    if canvas.bone_pitch < canvas.pitch:
        thickness = cv2.blur(thickness, (2, 2))
    # The patch's columns are v and its rows u.
    grid = np.array([[0.0, canvas.bone_pitch, low[0]], [canvas.bone_pitch, 0.0, low[1]]])
    canvas.paste(thickness, compose_maps(to_px, compose_maps(bone.place, grid)))
