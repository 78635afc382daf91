"""A drawing flattened: tissue with speckle, bone with its shadow, synovium, and the screen around the scan."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.doppler import Colour, Mask, colours
from rajobs.phantoms.speckle import Grey, cut
from rajobs.phantoms.ultrasound_drawings import Bone, Capsule, Drawing

Box = tuple[int, int, int, int]
_SHIFT = 4  # bits of a pixel's fraction in polygons


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How the scan is shown: gain, how fast echoes fade with depth, darkness under bone, width in millimetres."""

    gain: float = 1.0
    fade: float = 0.35
    shadow: float = 0.86
    width_mm: float = 34.0
    mirrored: bool = False


def region_of(size: tuple[int, int]) -> Box:
    """x0, y0, x1, y1 of the scan on a screen of so many rows and columns, the last ones included."""
    rows, columns = size
    return round(columns * 0.075), round(rows * 0.20), round(columns * 0.925) - 1, round(rows * 0.86) - 1


def bone_line(bone: Bone, x: Grey) -> Grey:
    """Depth of the bone's surface in mm at places along the joint; deep where the joint space opens."""
    head = bone.head + bone.neck * np.clip((-x - 2.2) / 5.0, 0, 1) ** 1.3
    head = head + 3.2 * np.clip((x + 2.6) / 2.6, 0, 1) ** 2.5
    base = bone.base + 3.0 * np.clip((bone.gap + 1.3 - x) / 1.6, 0, 1) ** 2 + 0.05 * np.clip(x - 3, 0, None)
    line = np.where(x < bone.gap / 2, head, base)
    return np.asarray(line + np.tan(np.deg2rad(bone.tilt)) * x, np.float32)


def capsule_lines(capsule: Capsule, bone: Bone, x: Grey) -> tuple[Grey, Grey]:
    """Upper and lower border of the synovium in mm."""
    floor = bone_line(bone, x)
    ends = (bone.head + 0.9 * bone.neck * (capsule.proximal > 5), bone.base)
    along = np.interp(x, [-capsule.proximal, 0.0, capsule.distal], [0.0, 1.0, 1.0]).astype(np.float32)
    across = np.clip((x + capsule.proximal) / (capsule.proximal + capsule.distal), 0, 1)
    lid = np.interp(x, [-capsule.proximal, -2.2, capsule.distal], [ends[0], bone.head, ends[1]])
    lid = (
        lid + np.tan(np.deg2rad(bone.tilt)) * x - capsule.height * np.sin(np.pi * across) ** 0.6 * (0.65 + 0.35 * along)
    )
    return np.minimum(lid, floor).astype(np.float32), floor


@dataclass(frozen=True, kw_only=True, eq=False)
class Plate:
    """The grey scan and the synovium as a mask, both of the region alone."""

    grey: Grey
    capsule: Mask
    pitch: float  # mm a pixel


def _polygon(x: Grey, upper: Grey, lower: Grey) -> np.ndarray:
    points = np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def flatten(drawing: Drawing, machine: Machine, shape: tuple[int, int], rng: np.random.Generator) -> Plate:
    """All layers but the vessels, in one."""
    rows, columns = shape
    pitch = machine.width_mm / columns
    places = np.arange(columns, dtype=np.float32)
    x = (places - columns * 0.56) * pitch
    line = bone_line(drawing.bone, x) / pitch
    within = (x >= -drawing.capsule.proximal) & (x <= drawing.capsule.distal)
    lid, floor = capsule_lines(drawing.capsule, drawing.bone, x[within])
    capsule = np.zeros(shape, np.uint8)
    cv2.fillPoly(capsule, [_polygon(places[within], lid / pitch, floor / pitch)], 255, shift=_SHIFT)
    echo = _tissue(drawing, shape, pitch, rng)
    soft = cv2.GaussianBlur(capsule, (0, 0), 3).astype(np.float32) / 255
    echo *= 1 - soft * (0.74 - 0.06 * drawing.grey_grade)
    rim = np.zeros(shape, np.uint8)
    edge = np.rint(np.stack([places[within], lid / pitch], 1) * 16).astype(np.int32)
    cv2.polylines(rim, [edge], False, 90, 2, cv2.LINE_AA, _SHIFT)
    under = np.zeros(shape, np.uint8)
    cv2.fillPoly(under, [_polygon(places, line, np.full(columns, rows, np.float32))], 255, shift=_SHIFT)
    shade = cv2.GaussianBlur(under, (0, 0), 4).astype(np.float32) / 255
    echo *= 1 - machine.shadow * shade
    bright = np.zeros(shape, np.uint8)
    surface = np.rint(np.stack([places, line], 1) * (1 << _SHIFT)).astype(np.int32)
    gap = (x > -0.7) & (x < drawing.bone.gap + 0.4)  # walls of the joint space give no echo
    for part in (~gap & (x < 0), ~gap & (x > 0)):
        cv2.polylines(bright, [surface[part]], False, 255, 5, cv2.LINE_AA, _SHIFT)
    glow = cv2.GaussianBlur(bright, (0, 0), 2.0).astype(np.float32) / 255 * 0.95
    glow += cv2.GaussianBlur(rim, (0, 0), 1.2).astype(np.float32) / 255 * 0.7
    fibres = cut("fibres", shape, rng)
    echo += glow * (0.85 + 0.16 * fibres)
    depth = np.linspace(1, 1 - machine.fade, rows, dtype=np.float32)[:, None]
    speckle = cut("speckle", shape, rng)
    grey = (echo * speckle * depth) * (185 * machine.gain) + 5 * speckle
    return Plate(grey=np.clip(grey, 0, 250), capsule=capsule, pitch=pitch)


def _tissue(drawing: Drawing, shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> Grey:
    """Echoes of skin, fat and tendon: bright bands at their depths, with fibres along them."""
    tissue, rows = drawing.tissue, shape[0]
    mm = np.arange(rows, dtype=np.float32) * pitch
    skin, top = tissue.skin, tissue.tendon
    at = [0, 0.25, skin, skin + 0.3, top - 0.2, top, top + tissue.thick, top + tissue.thick + 0.3, 9, 20]
    band = np.interp(mm, at, [0.1, 0.75, 0.62, 0.30, 0.34, 0.58, 0.52, 0.36, 0.36, 0.3])
    strength = np.interp(mm, [0, top - 0.2, top, top + tissue.thick, top + 2, 20], [0.16, 0.2, 0.3, 0.3, 0.2, 0.2])
    fibres = cut("fibres", shape, rng)
    echo = band[:, None] * (1 + strength[:, None] * fibres)
    return np.clip(echo, 0.04, 1).astype(np.float32)


def blank_screen(size: tuple[int, int], words: tuple[str, ...], settings: tuple[str, ...]) -> Colour:
    """The screen around the scan: text, colour bar, scale; nothing of it lies in the region."""
    rows, columns = size
    screen = np.zeros((rows, columns, 3), np.uint8)
    x0, y0, x1, y1 = region_of(size)
    scale = columns / 640
    for number, word in enumerate(words):
        _write(screen, word, (round(8 * scale), round((18 + 17 * number) * scale)), scale)
    for number, word in enumerate(settings):
        _write(screen, word, (round(430 * scale), round((18 + 17 * number) * scale)), scale)
    bar = cv2.resize(colours()[::-1, None].copy(), (max(4, round(14 * scale)), round(90 * scale)))
    left = x1 + round(12 * scale)
    screen[y0 + 20 : y0 + 20 + bar.shape[0], left : left + bar.shape[1]] = bar
    ticks = np.linspace(y0, y1, 11).astype(int)
    for number, y in enumerate(ticks):
        cv2.line(screen, (x0 - (9 if number % 5 == 0 else 5), int(y)), (x0 - 3, int(y)), (200, 200, 200), 1)
    _write(screen, "PWR", (left - 4, y0 + 14), scale)
    return screen


def _write(screen: Colour, word: str, at: tuple[int, int], scale: float) -> None:
    plain = word.encode("ascii", "replace").decode()
    cv2.putText(screen, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, (225, 225, 225), 1, cv2.LINE_AA)
