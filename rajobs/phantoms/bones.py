"""One bone: an outline with a shell of cortex, a spongy inside, and what disease took away from it."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from rajobs.phantoms.canvas import Affine, Canvas, Grey, Points, chain, fill, fixed_point, move, SUBPIXEL


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A subchondral plate or another edge seen end-on: a bright line along `points` (u, v in mm)."""

    points: Points
    width: float  # mm
    weight: float  # mm of cortex that it adds


@dataclass(frozen=True, kw_only=True)
class Bite:
    """Bone taken away around (u, v), with radii along and across, in mm: an erosion."""

    u: float
    v: float
    along: float
    across: float
    depth: float  # share of the bone's thickness that is gone in the middle
    rough: float = 0.35


@dataclass(frozen=True, kw_only=True)
class Bone:
    """An outline in its own frame (u along the bone from its base, v across), in mm, and where that frame lies."""

    name: str
    outline: Points
    place: Affine  # (u, v) -> body mm
    cortex: tuple[float, float, float]  # mm at the base, the shaft and the head
    marrow: tuple[float, float]  # density of the ends and of the shaft, as a share of cortex
    depth: float = 0.85  # thickness towards the beam over the width
    tubular: bool = True
    grain: float = 0.35  # contrast of the trabeculae
    plates: tuple[Plate, ...] = ()
    bites: tuple[Bite, ...] = ()
    cuts: tuple[Points, ...] = ()  # outlines that are taken out whole: growth plates
    texture_at: tuple[int, int] = (0, 0)
    weight: float = 1.0
    details: dict[str, float] = field(default_factory=dict)


def closed_curve(points: Points, per: int = 6) -> Points:
    """A smooth closed curve through control points (Catmull-Rom)."""
    before, after, next_after = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = (np.arange(per) / per)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (before, points, after, next_after))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.reshape(-1, 2)


def open_curve(points: Points, per: int = 6) -> Points:
    """A smooth curve through control points with two free ends."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = (np.arange(per) / per)[None, :, None]
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i][:, None, :] for i in range(4))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.vstack([curve.reshape(-1, 2), points[-1:]])


def _coverage(bone: Bone, low: Points, shape: tuple[int, int], fine: float) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    fill(mask, ((bone.outline - low) / fine)[:, ::-1])
    for cut in bone.cuts:
        fill(mask, ((cut - low) / fine)[:, ::-1], 0)
    return mask


def _bump(rows: int, ends: float) -> Grey:
    """0 at both ends of the bone, 1 along the shaft."""
    u = np.linspace(0.0, 1.0, rows, dtype=np.float32)
    rise = np.clip(np.minimum(u, 1 - u) / ends, 0, 1)
    return rise * rise * (3 - 2 * rise)


def _radius(mask: np.ndarray, distance: Grey, fine: float, *, tubular: bool) -> Grey:
    """Half the bone's width a row: how thick it is there, if it is round."""
    if not tubular:
        return np.full((mask.shape[0], 1), max(float(distance.max()), fine), np.float32)
    width = (mask > 127).sum(axis=1).astype(np.float32) * (fine / 2)
    rows = len(width)
    edge = max(2, rows // 12)
    width[:edge] = np.maximum(width[:edge], width[edge : 2 * edge].mean())
    width[-edge:] = np.maximum(width[-edge:], width[-2 * edge : -edge].mean())
    kernel = max(3, (rows // 20) | 1)
    return cv2.blur(width[:, None], (1, kernel), borderType=cv2.BORDER_REPLICATE).reshape(-1, 1)


def _ends(bone: Bone, rows: int) -> tuple[Grey, Grey]:
    """Cortex in mm and marrow density, a row each."""
    if not bone.tubular:
        return np.full((rows, 1), bone.cortex[1], np.float32), np.full((rows, 1), bone.marrow[0], np.float32)
    bump = _bump(rows, 0.42)
    end = np.where(np.arange(rows) < rows / 2, bone.cortex[0], bone.cortex[2]).astype(np.float32)
    cortex = end + (bone.cortex[1] - end) * bump
    marrow = bone.marrow[0] + (bone.marrow[1] - bone.marrow[0]) * _bump(rows, 0.33)
    return cortex.reshape(-1, 1), marrow.reshape(-1, 1)


def _gnaw(thickness: Grey, bone: Bone, low: Points, fine: float, texture: Grey) -> None:
    for bite in bone.bites:
        reach = 1.6 * max(bite.along, bite.across)
        centre = np.array([bite.u, bite.v])
        first = np.maximum(((centre - reach - low) / fine).astype(int), 0)
        last = np.minimum(((centre + reach - low) / fine).astype(int) + 1, thickness.shape)
        if (last <= first).any():
            continue
        window = (slice(first[0], last[0]), slice(first[1], last[1]))
        du = (np.arange(first[0], last[0], dtype=np.float32) * fine + low[0] - bite.u)[:, None] / bite.along
        dv = (np.arange(first[1], last[1], dtype=np.float32) * fine + low[1] - bite.v)[None, :] / bite.across
        ripple = cv2.blur(texture[window], (5, 5)) * bite.rough
        hole = np.clip((1.12 - np.sqrt(du * du + dv * dv) - ripple) / 0.35, 0, 1)
        thickness[window] *= 1 - bite.depth * hole


def _plates(thickness: Grey, bone: Bone, low: Points, fine: float, mask: np.ndarray) -> None:
    for plate in bone.plates:
        points = ((plate.points - low) / fine)[:, ::-1]
        wide = plate.width / fine
        margin = int(wide) + 2
        first = np.maximum(points.min(axis=0).astype(int) - margin, 0)
        last = np.minimum(points.max(axis=0).astype(int) + margin + 1, mask.shape[::-1])
        if (last <= first).any():
            continue
        window = (slice(first[1], last[1]), slice(first[0], last[0]))
        line = np.zeros(mask[window].shape, np.uint8)
        corners = [fixed_point(points - first)]
        for share, grey in ((1.5, 90), (1.0, 190), (0.55, 255)):  # brightest in the middle
            cv2.polylines(line, corners, False, grey, max(1, round(share * wide)), cv2.LINE_AA, SUBPIXEL)
        side = max(3, round(0.5 * wide) | 1)
        line = cv2.blur(line, (side, side))
        thickness[window] += np.minimum(line, mask[window]).astype(np.float32) * np.float32(plate.weight / 255)


def bone_thickness(bone: Bone, canvas: Canvas) -> tuple[Grey, Points]:
    """Millimetres of cortex the beam passes, on a grid of `canvas.fine` in the bone's frame, and that grid's first (u, v)."""
    fine = canvas.fine
    low = bone.outline.min(axis=0) - 2 * fine
    span = np.ceil((bone.outline.max(axis=0) + 2 * fine - low) / fine).astype(int) + 1
    mask = _coverage(bone, low, (int(span[0]), int(span[1])), fine)
    distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    distance = (distance - 0.5) * np.float32(fine)
    radius = _radius(mask, distance, fine, tubular=bone.tubular)
    cortex, marrow = _ends(bone, mask.shape[0])
    texture = canvas.texture(mask.shape[0], mask.shape[1], bone.texture_at)
    inward = np.clip(radius - distance, 0, radius)
    inward *= inward
    outer = np.sqrt(np.maximum(radius * radius - inward, 0))
    hollow = np.maximum(radius - cortex, 0) ** 2
    inner = np.sqrt(np.maximum(hollow - inward, 0))
    spongy = inner * marrow
    spongy += spongy * texture * bone.grain
    shell = outer - inner
    shell += shell * texture * (0.18 * bone.grain)
    thickness = (shell + spongy) * np.float32(2 * bone.depth * bone.weight)
    thickness *= mask.astype(np.float32) * np.float32(1 / 255)
    _plates(thickness, bone, low, fine, mask)
    _gnaw(thickness, bone, low, fine, texture)
    return thickness, low


def draw_bone(canvas: Canvas, bone: Bone, to_px: Affine) -> None:
    """Adds a bone to the film; `to_px` maps body millimetres to the film's columns and rows."""
    thickness, low = bone_thickness(bone, canvas)
    if canvas.fine < canvas.pitch:
        thickness = cv2.blur(thickness, (2, 2))
    # The patch's columns are v and its rows u.
    grid = np.array([[0.0, canvas.fine, low[0]], [canvas.fine, 0.0, low[1]]])
    canvas.paste(thickness, chain(to_px, chain(bone.place, grid)))


def bone_point(bone: Bone, u: float, v: float) -> Points:
    """Where (u, v) of a bone's frame lies in the body, in mm."""
    return move(np.array([[u, v]]), bone.place)[0]
