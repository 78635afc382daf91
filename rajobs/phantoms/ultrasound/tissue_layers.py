"""The grey layers of a scan: tissue with speckle, bone with its shadow, and synovium, merged into one image."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.base_drawings import Bone, Capsule, Drawing
from rajobs.phantoms.ultrasound.doppler_colours import Mask
from rajobs.phantoms.ultrasound.machine import Machine
from rajobs.phantoms.ultrasound.speckle import Grey, cut_texture

_SHIFT = 4  # fractional bits of the coordinates of polygons


def bone_line(bone: Bone, x: Grey) -> Grey:
    """Depth of the bone's surface in mm at positions `x` along the joint; it is deep in the joint space."""
    head = bone.head + bone.neck * np.clip((-x - 2.2) / 5.0, 0, 1) ** 1.3
    head = head + 2.0 * np.clip((x + 2.6) / 2.6, 0, 1) ** 2.5
    base = bone.base + 1.8 * np.clip((bone.gap + 1.3 - x) / 1.6, 0, 1) ** 2 + 0.05 * np.clip(x - 3, 0, None)
    line = np.where(x < bone.gap / 2, head, base)
    return np.asarray(line + np.tan(np.deg2rad(bone.tilt)) * x, np.float32)


def capsule_lines(capsule: Capsule, bone: Bone, x: Grey) -> tuple[Grey, Grey]:
    """Depths of the upper and the lower border of the synovium in mm."""
    lower = bone_line(bone, x)
    ends = (bone.head + 0.9 * bone.neck * (capsule.proximal > 5), bone.base)
    along = np.interp(x, [-capsule.proximal, 0.0, capsule.distal], [0.0, 1.0, 1.0]).astype(np.float32)
    across = np.clip((x + capsule.proximal) / (capsule.proximal + capsule.distal), 0, 1)
    upper = np.interp(x, [-capsule.proximal, -2.2, capsule.distal], [ends[0], bone.head, ends[1]])
    vault = np.abs(np.sin(np.pi * across)) ** 0.6 * (0.65 + 0.35 * along)
    upper = upper + np.tan(np.deg2rad(bone.tilt)) * x - capsule.height * vault
    return np.minimum(upper, lower).astype(np.float32), lower


@dataclass(frozen=True, kw_only=True, eq=False)
class GreyScan:
    """The grey scan, and masks of the synovium and of what lies below the bone's surface, of the region alone."""

    grey: Grey
    capsule: Mask
    below_bone: Mask
    joint_px: float  # position of the joint space along the scan
    head_px: float  # depth of the metacarpal head
    pitch: float  # mm per pixel


def draw_layers(drawing: Drawing, machine: Machine, shape: tuple[int, int], rng: np.random.Generator) -> GreyScan:
    """Draws all layers except the vessels and merges them."""
    rows, columns = shape
    pitch = machine.width_mm / columns
    joint_px = columns * machine.joint_offset
    column = np.arange(columns, dtype=np.float32)
    x = np.asarray((column - joint_px) * pitch, np.float32)
    roughness = 0.9 * cut_texture("slow", (1, columns), rng)[0] + 0.4 * cut_texture("grain", (1, columns), rng)[0]
    line = np.asarray(bone_line(drawing.bone, x) / pitch + roughness, np.float32)
    below_bone = _fill_polygon(shape, _polygon_between(column, line, np.full(columns, rows, np.float32)))
    capsule, upper_border, capsule_columns = _draw_capsule(drawing, x, line, pitch, shape)
    echo = _draw_tissue(drawing, x, shape, pitch, rng)
    echo *= 1 - machine.synovium_darkness * _soften(capsule, 2.2)
    echo *= 1 - machine.bone_shadow * _soften(below_bone, 3.0)
    echo += _draw_bright_borders(drawing, x, line, (upper_border, capsule_columns), shape, rng)
    speckle = cut_texture(machine.speckle, shape, rng)
    contact = 1 + 0.16 * cut_texture("slow", (1, columns), rng)  # of the probe with the skin, better or worse
    depth = np.linspace(1, 1 - machine.depth_fade, rows, dtype=np.float32)[:, None]
    echo *= depth * contact * (155 * machine.gain)
    echo += 4
    echo *= speckle
    return GreyScan(
        grey=np.clip(echo, 0, 250), capsule=capsule, below_bone=below_bone, joint_px=joint_px,
        head_px=drawing.bone.head / pitch, pitch=pitch,
    )  # fmt: skip


def _polygon_between(x: Grey, upper: Grey, lower: Grey) -> np.ndarray:
    points = np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])
    corners: np.ndarray = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    return corners


def _fill_polygon(shape: tuple[int, int], polygon: np.ndarray) -> Mask:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [polygon], 255, shift=_SHIFT)
    return mask


def _soften(mask: Mask, sigma: float) -> Grey:
    """The mask as 0 to 1, blurred; two box blurs come close to a Gaussian one and are much faster."""
    side = 2 * round(sigma * 1.1) + 1
    return np.asarray(cv2.blur(cv2.blur(mask, (side, side)), (side, side)), np.float32) * np.float32(1 / 255)


def _draw_capsule(
    drawing: Drawing, x: Grey, line: Grey, pitch: float, shape: tuple[int, int]
) -> tuple[Mask, Grey, np.ndarray]:
    """The synovium's mask, its upper border in pixels, and the columns in which it lies."""
    inside = np.flatnonzero((x >= -drawing.capsule.proximal) & (x <= drawing.capsule.distal))
    lower = line[inside]
    upper = np.minimum(capsule_lines(drawing.capsule, drawing.bone, x[inside])[0] / pitch, lower)
    return _fill_polygon(shape, _polygon_between(inside.astype(np.float32), upper, lower)), upper, inside


def _draw_bright_borders(
    drawing: Drawing, x: Grey, line: Grey, upper_border: tuple[Grey, np.ndarray], shape: tuple[int, int],
    rng: np.random.Generator,
) -> Grey:  # fmt: skip
    """Echoes of the surfaces of bone and synovium, bright where they face the probe."""
    bright = np.zeros(shape, np.uint8)
    surface = np.rint(np.stack([np.arange(len(x), dtype=np.float32), line], 1) * (1 << _SHIFT)).astype(np.int32)
    gap = (x > -0.7) & (x < drawing.bone.gap + 0.4)  # the walls of the joint space give no echo
    for side in (~gap & (x < 0), ~gap & (x > 0)):
        cv2.polylines(bright, [surface[side]], False, 255, 5, cv2.LINE_AA, _SHIFT)
    rows, columns = upper_border
    border = np.rint(np.stack([columns, rows], 1) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(bright, [border], False, 80, 2, cv2.LINE_AA, _SHIFT)
    facing = 1 / (1 + 4 * np.gradient(line) ** 2)
    glow = _soften(bright, 1.8)
    glow *= facing * (1.15 + 0.25 * cut_texture("slow", (1, len(x)), rng))
    # A reverberation: the bone's echo appears once more, faintly, in its shadow.
    repeated = np.roll(glow, round(0.55 * float(line.mean())), axis=0)
    repeated[: int(line.mean())] = 0
    return np.asarray(glow + 0.07 * repeated, np.float32)


def _draw_tissue(drawing: Drawing, x: Grey, shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> Grey:
    """Echoes of skin, fat and tendon: bands with fibres along them, which bend over the joint."""
    tissue, rows = drawing.tissue, shape[0]
    depth = np.arange(rows, dtype=np.float32) * pitch
    skin, top, thickness = tissue.skin, tissue.tendon, tissue.tendon_thickness
    bottom = top + thickness
    depths = [0, 0.2, skin - 0.2, skin, skin + 0.4, top - 0.3, top, bottom, bottom + 0.3, 9, 20]
    level = float(rng.uniform(0.8, 1.1))
    band = np.interp(depth, depths, [0.2, 0.7, 0.55, 0.66, 0.24, 0.28, 0.46, 0.42, 0.27, 0.28, 0.24]) * level
    strength = np.interp(depth, [0, top - 0.3, top, bottom, top + 2, 20], [0.22, 0.38, 0.34, 0.34, 0.36, 0.28])
    echo = cut_texture("fibres", shape, rng) * (band * strength).astype(np.float32)[:, None]
    echo += band.astype(np.float32)[:, None]
    bend = np.tan(np.deg2rad(drawing.bone.tilt)) * x + float(rng.uniform(0.2, 0.9)) * (1 - np.exp(-((x / 9) ** 2)))
    source_rows = np.arange(rows, dtype=np.float32)[:, None] - (bend / pitch).astype(np.float32)[None]
    source_columns = np.broadcast_to(np.arange(len(x), dtype=np.float32)[None], shape)
    columns = np.ascontiguousarray(source_columns)
    bent = cv2.remap(echo, columns, source_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.clip(bent, 0.03, 1).astype(np.float32)
