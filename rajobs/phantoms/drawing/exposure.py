"""From a canvas to stored values: beam, scatter, detector, processing, collimation and side markers."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import (
    MU_BONE,
    MU_SOFT,
    SUBPIXEL,
    Canvas,
    Grey,
    Points,
    affine_map,
    map_points,
    to_fixed_point,
)
from rajobs.phantoms.presets import Preset

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX)


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Beam, detector and processing of a film, all drawn without regard to disease."""

    floor: float  # attenuation shown as black
    span: float  # attenuation from black to white
    gamma: float
    toe: float  # how strongly the darkest and brightest values are compressed
    heel: tuple[float, float]  # change of the beam over the film, across and down
    scatter: float
    noise: float
    grain_px: float
    blur_mm: float
    sharpen: float
    sharpen_mm: float
    halo: float  # how strongly fine edges are sharpened, which leaves bright and dark rims beside them
    halo_mm: float
    flatten: float  # share of the wide differences of brightness that is taken away, as vendors' processing does
    flatten_mm: float
    saturate: bool
    inverted: bool
    bits: int
    noise_seed: int


def draw_exposure(rng: np.random.Generator, preset: Preset, *, peak_attenuation: float) -> Exposure:
    """An exposure chosen for a part whose densest spots weaken the beam by `peak_attenuation` (a logarithm)."""
    saturate = bool(rng.random() < 0.25)
    floor = float(rng.normal(0.0, 0.06) if saturate else rng.uniform(-0.50, 0.0))
    # A film that shows what lies in front of black mostly shows the densest bone too; a few are burnt out.
    span = float(rng.uniform(*preset.contrast) - min(floor, 0.0) * rng.choice((0.0, 0.7, 1.0), p=(0.1, 0.3, 0.6)))
    return Exposure(
        floor=floor * peak_attenuation,
        span=span * peak_attenuation,
        gamma=float(np.exp(rng.normal(0.0, 0.20))),
        toe=float(rng.uniform(0.0, 1.0)),
        heel=(float(rng.normal(0, 0.06)), float(rng.normal(0, 0.10))),
        scatter=float(rng.uniform(0.03, 0.30)),
        noise=float(np.exp(rng.uniform(*np.log(preset.noise)))),
        grain_px=float(rng.choice((0.0, 0.6, 1.0))),
        blur_mm=float(rng.uniform(*preset.blur_mm)),
        sharpen=float(rng.choice((0.0, 0.3, 0.6, 1.0))),
        sharpen_mm=float(rng.uniform(0.6, 2.2)),
        halo=float(rng.choice((0.0, 0.0, 0.0, 0.4, 0.8, 1.6)) * rng.uniform(0.6, 1.3)),
        halo_mm=float(rng.uniform(0.18, 0.55)),
        flatten=float(rng.choice((0.0, 0.0, 0.25, 0.45)) * rng.uniform(0.7, 1.2)),
        flatten_mm=float(rng.uniform(4.0, 14.0)),
        saturate=saturate,
        inverted=bool(rng.random() < 0.22),
        bits=12 if rng.random() < 0.88 else 10,
        noise_seed=int(rng.integers(2**63)),
    )


def _heel_ramp(shape: tuple[int, int], heel: tuple[float, float]) -> Grey:
    """How the beam changes over the film, because the anode weakens it on one side."""
    across = np.linspace(-heel[0], heel[0], shape[1], dtype=np.float32)
    down = np.linspace(-heel[1], heel[1], shape[0], dtype=np.float32)
    return down[:, None] + across[None, :]


def _scattered_light(canvas: Canvas, exposure: Exposure) -> Grey:
    """The share of scattered light; it depends on soft tissue alone, so that disease of the bones cannot change it."""
    beam = np.exp(canvas.soft * np.float32(-MU_SOFT))
    small = cv2.resize(beam, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(1.0, 14.0 / (4 * canvas.coarse_step * canvas.pitch)))
    return cv2.resize(small, (canvas.soft.shape[1], canvas.soft.shape[0])) * np.float32(exposure.scatter)


def _resize_to_film(canvas: Canvas, coarse: Grey) -> Grey:
    """What is known on the coarse grid, for each pixel of the film."""
    rows, columns = canvas.shape
    full = cv2.resize(
        coarse,
        (coarse.shape[1] * canvas.coarse_step, coarse.shape[0] * canvas.coarse_step),
        interpolation=cv2.INTER_CUBIC,
    )
    return full[:rows, :columns]


def detected_attenuation(canvas: Canvas, exposure: Exposure) -> Grey:
    """What the detector records: the negative logarithm of the light, blurred and with quantum noise."""
    # Scatter fills the shadows: -log(exp(-attenuation) + scattered), with one exponential per pixel.
    light: Grey = canvas.bone * np.float32(-MU_BONE)
    light += _resize_to_film(canvas, canvas.soft * np.float32(-MU_SOFT))
    cv2.exp(light, dst=light)
    light += _resize_to_film(canvas, _scattered_light(canvas, exposure))
    sigma = exposure.blur_mm / canvas.pitch
    if sigma > 0.25:
        light = cv2.GaussianBlur(light, (0, 0), sigma)
    rng = np.random.Generator(np.random.SFC64(exposure.noise_seed))
    noise: Grey = rng.standard_normal(light.shape, dtype=np.float32)
    if exposure.grain_px:
        noise = cv2.GaussianBlur(noise, (0, 0), exposure.grain_px) * np.float32(2.0 * exposure.grain_px)
    # The noise of counted photons, as it is at the pitch of a full-size film.
    strength = exposure.noise * min(1.0, 0.17 / canvas.pitch)
    light += noise * cv2.sqrt(light) * np.float32(strength)
    np.maximum(light, np.float32(1e-4), out=light)
    cv2.log(light, dst=light)
    np.negative(light, out=light)
    light += np.float32(np.log1p(exposure.scatter))
    return _processed(light, exposure, canvas.pitch)


def _processed(light: Grey, exposure: Exposure, pitch: float) -> Grey:
    """The film after a vendor's processing: sharpened at two scales, wide differences of brightness flattened."""
    if exposure.flatten:
        small = cv2.resize(light, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        wide = _wide_blur(small, exposure.flatten_mm / (4 * pitch))
        wide = cv2.resize(wide - np.float32(np.median(wide)), (light.shape[1], light.shape[0]))
        light -= wide * np.float32(exposure.flatten)
    if exposure.sharpen:
        light += (light - _wide_blur(light, exposure.sharpen_mm / pitch)) * np.float32(exposure.sharpen)
    if exposure.halo and exposure.halo_mm / pitch > 0.5:
        light += (light - cv2.GaussianBlur(light, (0, 0), exposure.halo_mm / pitch)) * np.float32(exposure.halo)
    return light


def _wide_blur(image: Grey, sigma: float) -> Grey:
    """A Gaussian blur, approximated by boxes because it is wide."""
    side = max(3, round(sigma * 2.0) | 1)
    return cv2.blur(cv2.blur(image, (side, side)), (side, side))


def displayed_grey(values: Grey, canvas: Canvas, exposure: Exposure) -> Grey:
    """Grey from 0 (black) to 1 (white) with bright bones, before side markers and collimation."""
    floor = exposure.floor + (0.10 * exposure.span if exposure.saturate else 0.0)
    shown = values + _heel_ramp(canvas.shape, exposure.heel)
    shown -= np.float32(floor)
    shown *= np.float32(1 / exposure.span)
    greys = np.linspace(0, 1, 1025, dtype=np.float32)
    curve = (1 - exposure.toe) * greys + exposure.toe * greys * greys * (3 - 2 * greys)
    curve = curve**exposure.gamma
    np.clip(shown, 0, 1, out=shown)
    index = (shown * np.float32(1024)).astype(np.uint16)
    return curve.astype(np.float32)[index]


@dataclass(frozen=True, kw_only=True)
class Shutter:
    """Collimation: the corners of the lit rectangle in film pixels, and how the rest of the film looks."""

    corners: Points
    shade: float  # 0 black, 1 white
    glow: float  # mm over which a bright border fades in


def is_lit(shutter: Shutter | None, at: Points) -> bool:
    """Whether a place on the film lies inside the collimation."""
    if shutter is None:
        return True
    return cv2.pointPolygonTest(shutter.corners.astype(np.float32), (float(at[0]), float(at[1])), False) >= 0


def cover_unlit(shown: Grey, shutter: Shutter | None, pitch: float) -> Grey:
    """The film with everything outside the lit rectangle covered."""
    if shutter is None:
        return shown
    factor = 4 if shutter.glow else 1
    shape = (-(-shown.shape[0] // factor), -(-shown.shape[1] // factor))
    lit = np.zeros(shape, np.uint8)
    corners = (shutter.corners + 0.5) / factor - 0.5
    cv2.fillConvexPoly(lit, to_fixed_point(corners), 255, cv2.LINE_AA, SUBPIXEL)
    if not shutter.glow:
        weight = lit.astype(np.float32) * np.float32(1 / 255)
    else:
        side = max(1, round(1.7 * shutter.glow / pitch / factor)) | 1
        soft = cv2.blur(cv2.blur(lit, (side, side)), (side, side))
        weight = cv2.resize(soft, (shown.shape[1], shown.shape[0])).astype(np.float32) * np.float32(1 / 255)
    shown -= np.float32(shutter.shade)
    shown *= weight
    shown += np.float32(shutter.shade)
    return shown


@dataclass(frozen=True, kw_only=True)
class SideMarker:
    """A side marker: text at a place on the film with its height in mm, its angle and its style."""

    text: str
    at: tuple[float, float]  # column, row
    height: float
    angle: float
    mirrored: bool
    style: str  # lead | ring | box | plain
    font: int


def write_side_marker(shown: Grey, marker: SideMarker, pitch: float) -> None:
    """Puts a side marker on a film; lead and ink are white."""
    scale = marker.height / pitch / 22.0
    font = _FONTS[marker.font % len(_FONTS)]
    stroke = max(1, round(scale * 2.4))
    (width, height), base = cv2.getTextSize(marker.text, font, scale, stroke)
    pad = round(height * 0.5) + stroke + 1
    side = max(width, height) + 2 * pad if marker.style == "ring" else 0
    cols, rows = max(width + 2 * pad, side), max(height + base + 2 * pad, side)
    patch, cover = np.zeros((rows, cols), np.float32), np.zeros((rows, cols), np.float32)
    middle = ((cols - 1) / 2, (rows - 1) / 2)
    if marker.style == "ring":
        cv2.circle(cover, (int(middle[0]), int(middle[1])), side // 2 - 1, 1.0, -1, cv2.LINE_AA)
        cv2.circle(patch, (int(middle[0]), int(middle[1])), side // 2 - 2 - stroke, 1.0, stroke, cv2.LINE_AA)
    elif marker.style == "box":
        cover[:] = 0.35
    cv2.putText(patch, marker.text, ((cols - width) // 2, (rows + height) // 2), font, scale, 1.0, stroke, cv2.LINE_AA)
    place = affine_map(marker.angle, marker.at, mirror=marker.mirrored)
    place[:, 2] -= place[:, :2] @ np.array(middle)
    corners = map_points(np.array([[0, 0], [cols, 0], [0, rows], [cols, rows]], float), place)
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, (shown.shape[1], shown.shape[0]))
    if (high <= low).any():
        return
    place[:, 2] -= low
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    window = shown[low[1] : high[1], low[0] : high[0]]
    window *= 1 - cv2.warpAffine(cover, place, size)
    np.maximum(window, cv2.warpAffine(patch, place, size), out=window)


def stored_values(shown: Grey, exposure: Exposure) -> np.ndarray:
    """Stored values of a film; those of a MONOCHROME1 film are inverted, so that it is displayed in the same way."""
    highest = (1 << exposure.bits) - 1
    if exposure.inverted:
        return np.subtract(np.float32(highest + 0.5), shown * np.float32(highest)).astype(np.uint16)
    return (shown * np.float32(highest) + np.float32(0.5)).astype(np.uint16)
