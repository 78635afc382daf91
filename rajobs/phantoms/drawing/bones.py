"""One bone: an outline with a shell of cortex, a spongy inside, and what disease took away from it."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import SUBPIXEL, Affine, Canvas, Grey, Points, chain, fill, fixed_point, move

_REACH = 1.5  # mm that disease may carry an outline beyond its healthy place


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
    rough: float = 0.30


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
    box: tuple[float, float, float, float] | None = None  # u, v, u, v around the bone in health; else the outline's own
    thick: float | None = None  # mm, half the thickness of a bone that is no tube; the outline's own if not given


def around(points: Points) -> tuple[float, float, float, float]:
    """The box around points: least u and v, greatest u and v."""
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _catmull_rom(per: int) -> Points:
    """Weights of four neighbouring control points at `per` places between the middle two."""
    t = np.arange(per)[:, None] / per
    cubic = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return np.hstack([np.ones_like(t), t, t**2, t**3]) @ cubic


def closed_curve(points: Points, per: int = 6) -> Points:
    """A smooth closed curve through control points (Catmull-Rom)."""
    near = (np.arange(len(points))[:, None] + np.arange(-1, 3)) % len(points)
    return (_catmull_rom(per) @ points[near]).reshape(-1, 2)


def open_curve(points: Points, per: int = 6) -> Points:
    """A smooth curve through control points with two free ends."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    near = np.arange(len(points) - 1)[:, None] + np.arange(4)
    return np.vstack([(_catmull_rom(per) @ padded[near]).reshape(-1, points.shape[1]), points[-1:]])


def _coverage(bone: Bone, low: Points, shape: tuple[int, int], fine: float) -> Grey:
    mask = np.zeros(shape, np.uint8)
    fill(mask, ((bone.outline - low) / fine)[:, ::-1])
    for cut in bone.cuts:
        fill(mask, ((cut - low) / fine)[:, ::-1], 0)
    return mask


def _bump(u: Grey, ends: float) -> Grey:
    """0 at both ends of the bone, 1 along the shaft; u runs from 0 to 1."""
    rise = np.minimum(np.maximum(np.minimum(u, 1 - u) / np.float32(ends), 0), 1)
    return rise * rise * (3 - 2 * rise)


def _radius(bone: Bone, mask: Grey, distance: Grey, fine: float, span: tuple[float, float], u: Grey) -> Grey:
    """Half the bone's width a row: how thick it is there, if it is round."""
    if not bone.tubular:
        return np.full((mask.shape[0], 1), bone.thick or max(float(distance.max()), fine), np.float32)
    width = cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F) * np.float32(fine / 510)
    # The ends are as thick as the bone a little further in.
    edge = 0.085 * (span[1] - span[0])
    first, last = np.searchsorted(u[:, 0], (edge / (span[1] - span[0]), 1 - edge / (span[1] - span[0])))
    width[:first] = np.maximum(width[:first], width[first : first + 3].mean())
    width[last:] = np.maximum(width[last:], width[last - 3 : last].mean())
    kernel = max(3, round(0.05 * (span[1] - span[0]) / fine) | 1)
    return cv2.blur(width, (1, kernel), borderType=cv2.BORDER_REPLICATE).reshape(-1, 1)


def _ends(bone: Bone, u: Grey) -> tuple[Grey, Grey]:
    """Cortex in mm and marrow density, a row each."""
    if not bone.tubular:
        return np.full_like(u, bone.cortex[1]), np.full_like(u, bone.marrow[0])
    end = np.where(u < 0.5, bone.cortex[0], bone.cortex[2]).astype(np.float32)
    cortex = end + (bone.cortex[1] - end) * _bump(u, 0.42)
    return cortex, bone.marrow[0] + (bone.marrow[1] - bone.marrow[0]) * _bump(u, 0.33)


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
        angle = np.arctan2(dv, du)
        edge = 1 + bite.rough * (0.5 * np.cos(3 * angle + 5 * bite.u) + 0.35 * np.cos(5 * angle + 7 * bite.v))
        hole = np.clip((1.1 * edge - np.sqrt(du * du + dv * dv) + 0.06 * texture[window]) / 0.4, 0, 1)
        thickness[window] *= 1 - bite.depth * hole


def _plates(thickness: Grey, bone: Bone, low: Points, fine: float, mask: Grey) -> None:
    """Adds the plates: all in one sheet of grey levels, the faint ones first so that the bright ones stay on top."""
    strongest = max((plate.weight for plate in bone.plates), default=0.0)
    if strongest <= 0:
        return
    line = np.zeros(mask.shape, np.uint8)
    for plate in sorted(bone.plates, key=lambda plate: plate.weight):
        corners = [fixed_point(((plate.points - low) / fine)[:, ::-1])]
        wide, grey = plate.width / fine, 255 * plate.weight / strongest
        cv2.polylines(line, corners, False, 0.55 * grey, max(1, round(1.3 * wide)), cv2.LINE_AA, SUBPIXEL)
        cv2.polylines(line, corners, False, grey, max(1, round(0.65 * wide)), cv2.LINE_AA, SUBPIXEL)
    side = max(3, round(0.4 / fine) | 1)
    seen = np.minimum(cv2.blur(line, (side, side)), mask)
    thickness += seen * np.float32(strongest / 255)


def bone_thickness(bone: Bone, canvas: Canvas) -> tuple[Grey, Points]:
    """Millimetres of cortex the beam passes, on a grid in the bone's frame, and that grid's first (u, v)."""
    fine = canvas.fine
    # The grid and the texture keep their places when disease changes the outline.
    lowest, highest = bone.outline.min(axis=0), bone.outline.max(axis=0)
    box = bone.box or (*lowest, *highest)
    slack = np.array([_REACH, 0.3 if bone.tubular else _REACH]) * (bone.box is not None)
    first = np.floor(np.minimum(lowest, box[:2] - slack) / fine).astype(int) - 2
    low = first * fine
    shape = np.ceil((np.maximum(highest, box[2:] + slack) - low) / fine).astype(int) + 3
    mask = _coverage(bone, low, (int(shape[0]), int(shape[1])), fine)
    distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    distance = (distance - 0.5) * np.float32(fine)
    span = (float(box[0]), float(box[2]))
    u = (np.arange(mask.shape[0])[:, None] * fine + low[0] - span[0]) / (span[1] - span[0])
    u = u.astype(np.float32)
    radius = _radius(bone, mask, distance, fine, span, u)
    cortex, marrow = _ends(bone, u)
    texture = canvas.texture(
        mask.shape[0], mask.shape[1], (bone.texture_at[0] + int(first[0]), bone.texture_at[1] + int(first[1]))
    )
    inward = np.maximum(radius - distance, np.float32(0))
    inward *= inward
    outer = cv2.sqrt(np.maximum(radius * radius - inward, np.float32(0)))
    hollow = np.maximum(radius - cortex, np.float32(0)) ** 2
    inner = cv2.sqrt(np.maximum(hollow - inward, np.float32(0)))
    # Shell plus sponge, each a little uneven: (outer - inner) (1 + 0.18 g t) + inner m (1 + g t).
    grain = texture * np.float32(bone.grain)
    thickness = inner * (marrow - 1)
    thickness += outer
    inner *= marrow - np.float32(0.18)
    inner += np.float32(0.18) * outer
    inner *= grain
    thickness += inner
    thickness *= np.float32(2 * bone.depth * bone.weight / 255)
    thickness *= mask
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
