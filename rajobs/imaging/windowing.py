"""Grey values to brightness, by the header's window or by the range that contains nearly all pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLACK_PERCENTILE, WHITE_PERCENTILE = 0.5, 99.5  # shown as black and as white without a window


def find_grey_range(pixels: NDArray[Any], window: tuple[float, float] | None) -> tuple[float, float]:
    """The values shown as black and as white. A window that contains hardly any pixels is ignored."""
    if pixels.ndim == 3:
        return 0.0, 255.0
    sample = sample_pixels(pixels)
    if window is not None:
        low, high = window[0] - 0.5 - (window[1] - 1) / 2, window[0] - 0.5 + (window[1] - 1) / 2
        inside = np.count_nonzero((sample > low) & (sample < high))
        if high > low and inside > sample.size // 20:
            return low, high
    low, high = np.percentile(sample, (BLACK_PERCENTILE, WHITE_PERCENTILE))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return float(low), float(max(high, low + 1))


def sample_pixels(pixels: NDArray[Any]) -> NDArray[Any]:
    """About 60,000 pixels on a grid: enough for a film's percentiles to well under one grey level."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 60_000) ** 0.5))
    return pixels[::step, ::step].reshape(-1)


def to_unit(pixels: NDArray[Any], window: tuple[float, float] | None) -> NDArray[np.float32]:
    """Pixels as 0 .. 1; colours by their full range."""
    if pixels.ndim == 3:
        return pixels.astype(np.float32) / np.float32(255)
    low, high = find_grey_range(pixels, window)
    scaled = (pixels.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(scaled, 0, 1, out=scaled)


def to_bytes(pixels: NDArray[Any], window: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Pixels as 0 .. 255."""
    return apply_grey_range(pixels, find_grey_range(pixels, window))


def apply_grey_range(pixels: NDArray[Any], black_white: tuple[float, float]) -> NDArray[np.uint8]:
    """Pixels as 0 .. 255 between the values for black and white; colours are not changed."""
    if pixels.ndim == 3:
        return pixels.astype(np.uint8, copy=False)
    low, high = black_white
    # A film has far more pixels than grey levels, so it goes through a table; a joint has fewer.
    count = np.iinfo(pixels.dtype).max + 1
    levels = (np.arange(count) if pixels.size > count else pixels).astype(np.float32)
    scaled = np.clip((levels - np.float32(low)) * np.float32(255 / (high - low)) + np.float32(0.5), 0, 255)
    out: NDArray[np.uint8] = scaled.astype(np.uint8)
    return out[pixels] if pixels.size > count else out
