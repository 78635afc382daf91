"""A drawing flattened: tissue with speckle, bone with its shadow, synovium, each a layer of its own."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.base_drawings import Bone, Capsule, Drawing
from rajobs.phantoms.ultrasound.doppler_colours import Mask
from rajobs.phantoms.ultrasound.machine import Machine
from rajobs.phantoms.ultrasound.speckle import Grey, cut_texture

_SHIFT = 4  # bits of a pixel's fraction in polygons


def bone_line(bone: Bone, x: Grey) -> Grey:
    """Depth of the bone's surface in mm at places along the joint; deep where the joint space opens."""
    head = bone.head + bone.neck * np.clip((-x - 2.2) / 5.0, 0, 1) ** 1.3
    head = head + 2.0 * np.clip((x + 2.6) / 2.6, 0, 1) ** 2.5
    base = bone.base + 1.8 * np.clip((bone.gap + 1.3 - x) / 1.6, 0, 1) ** 2 + 0.05 * np.clip(x - 3, 0, None)
    line = np.where(x < bone.gap / 2, head, base)
    return np.asarray(line + np.tan(np.deg2rad(bone.tilt)) * x, np.float32)


def capsule_lines(capsule: Capsule, bone: Bone, x: Grey) -> tuple[Grey, Grey]:
    """Upper and lower border of the synovium in mm."""
    floor = bone_line(bone, x)
    ends = (bone.head + 0.9 * bone.neck * (capsule.proximal > 5), bone.base)
    along = np.interp(x, [-capsule.proximal, 0.0, capsule.distal], [0.0, 1.0, 1.0]).astype(np.float32)
    across = np.clip((x + capsule.proximal) / (capsule.proximal + capsule.distal), 0, 1)
    lid = np.interp(x, [-capsule.proximal, -2.2, capsule.distal], [ends[0], bone.head, ends[1]])
    vault = np.abs(np.sin(np.pi * across)) ** 0.6 * (0.65 + 0.35 * along)
    lid = lid + np.tan(np.deg2rad(bone.tilt)) * x - capsule.height * vault
    return np.minimum(lid, floor).astype(np.float32), floor


@dataclass(frozen=True, kw_only=True, eq=False)
class GreyScan:
    """The grey scan, the synovium and the soft tissue over the bone as masks, all of the region alone."""

    grey: Grey
    capsule: Mask
    bone: Mask
    joint_px: float  # the joint space's place along the scan
    head_px: float  # the depth of the metacarpal head
    pitch: float  # mm a pixel


def draw_layers(drawing: Drawing, machine: Machine, shape: tuple[int, int], rng: np.random.Generator) -> GreyScan:
    """All layers but the vessels, in one."""
    rows, columns = shape
    pitch = machine.width_mm / columns
    joint = columns * machine.offset
    places = np.arange(columns, dtype=np.float32)
    x = np.asarray((places - joint) * pitch, np.float32)
    rough = 0.9 * cut_texture("slow", (1, columns), rng)[0] + 0.4 * cut_texture("grain", (1, columns), rng)[0]
    line = np.asarray(bone_line(drawing.bone, x) / pitch + rough, np.float32)
    under = _filled(shape, _polygon(places, line, np.full(columns, rows, np.float32)))
    capsule, lid, within = _capsule(drawing, x, line, pitch, shape)
    echo = _tissue(drawing, x, shape, pitch, rng)
    soft = _soft(capsule, 2.2)
    echo *= 1 - machine.dark * soft
    shade = _soft(under, 3.0)
    echo *= 1 - machine.shadow * shade
    echo += _glow(drawing, x, line, (lid, within), shape, rng)
    speckle = cut_texture(machine.speckle, shape, rng)
    contact = 1 + 0.16 * cut_texture("slow", (1, columns), rng)  # how well the probe lies on the skin
    depth = np.linspace(1, 1 - machine.fade, rows, dtype=np.float32)[:, None]
    echo *= depth * contact * (155 * machine.gain)
    echo += 4
    echo *= speckle
    return GreyScan(
        grey=np.clip(echo, 0, 250), capsule=capsule, bone=under, joint_px=joint,
        head_px=drawing.bone.head / pitch, pitch=pitch,
    )  # fmt: skip


def _polygon(x: Grey, upper: Grey, lower: Grey) -> np.ndarray:
    points = np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def _filled(shape: tuple[int, int], polygon: np.ndarray) -> Mask:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [polygon], 255, shift=_SHIFT)
    return mask


def _soft(mask: Mask, sigma: float) -> Grey:
    side = 2 * round(sigma * 1.1) + 1  # two boxes are nearly a bell, and much quicker
    return np.asarray(cv2.blur(cv2.blur(mask, (side, side)), (side, side)), np.float32) * np.float32(1 / 255)


def _capsule(
    drawing: Drawing, x: Grey, line: Grey, pitch: float, shape: tuple[int, int]
) -> tuple[Mask, Grey, np.ndarray]:
    """The synovium's mask, its upper border and the columns it lies in."""
    within = np.flatnonzero((x >= -drawing.capsule.proximal) & (x <= drawing.capsule.distal))
    floor = line[within]
    lid = np.minimum(capsule_lines(drawing.capsule, drawing.bone, x[within])[0] / pitch, floor)
    return _filled(shape, _polygon(within.astype(np.float32), lid, floor)), lid, within


def _glow(
    drawing: Drawing, x: Grey, line: Grey, lid: tuple[Grey, np.ndarray], shape: tuple[int, int],
    rng: np.random.Generator,
) -> Grey:  # fmt: skip
    """Echoes of bone and capsule: bright where they face the probe."""
    bright = np.zeros(shape, np.uint8)
    surface = np.rint(np.stack([np.arange(len(x), dtype=np.float32), line], 1) * (1 << _SHIFT)).astype(np.int32)
    gap = (x > -0.7) & (x < drawing.bone.gap + 0.4)  # walls of the joint space give no echo
    for part in (~gap & (x < 0), ~gap & (x > 0)):
        cv2.polylines(bright, [surface[part]], False, 255, 5, cv2.LINE_AA, _SHIFT)
    edge = np.rint(np.stack([lid[1], lid[0]], 1) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(bright, [edge], False, 80, 2, cv2.LINE_AA, _SHIFT)
    facing = 1 / (1 + 4 * np.gradient(line) ** 2)
    glow = _soft(bright, 1.8)
    glow *= facing * (1.15 + 0.25 * cut_texture("slow", (1, len(x)), rng))
    # A faint echo of the bone's echo lies in its shadow.
    below = np.roll(glow, round(0.55 * float(line.mean())), axis=0)
    below[: int(line.mean())] = 0
    return np.asarray(glow + 0.07 * below, np.float32)


def _tissue(drawing: Drawing, x: Grey, shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> Grey:
    """Echoes of skin, fat and tendon: bright bands at their depths that bend over the joint, with fibres along them."""
    tissue, rows = drawing.tissue, shape[0]
    mm = np.arange(rows, dtype=np.float32) * pitch
    skin, top, thick = tissue.skin, tissue.tendon, tissue.thick
    at = [0, 0.2, skin - 0.2, skin, skin + 0.4, top - 0.3, top, top + thick, top + thick + 0.3, 9, 20]
    level = float(rng.uniform(0.8, 1.1))
    band = np.interp(mm, at, [0.2, 0.7, 0.55, 0.66, 0.24, 0.28, 0.46, 0.42, 0.27, 0.28, 0.24]) * level
    strength = np.interp(mm, [0, top - 0.3, top, top + thick, top + 2, 20], [0.22, 0.38, 0.34, 0.34, 0.36, 0.28])
    echo = cut_texture("fibres", shape, rng) * (band * strength).astype(np.float32)[:, None]
    echo += band.astype(np.float32)[:, None]
    bend = np.tan(np.deg2rad(drawing.bone.tilt)) * x + float(rng.uniform(0.2, 0.9)) * (1 - np.exp(-((x / 9) ** 2)))
    rows_at = np.arange(rows, dtype=np.float32)[:, None] - (bend / pitch).astype(np.float32)[None]
    columns_at = np.broadcast_to(np.arange(len(x), dtype=np.float32)[None], shape)
    bent = cv2.remap(echo, np.ascontiguousarray(columns_at), rows_at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.clip(bent, 0.03, 1).astype(np.float32)
