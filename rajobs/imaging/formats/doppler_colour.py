"""Whether an ultrasound frame holds a colour signal: flow, not a tint and not what a machine or a person drew on it.

Flow is graded: from pixel to pixel of a patch brightness and hue change, in both directions. Letters, callipers,
arrows, rulers and body marks are flat, and the strip of a palette changes along one direction only.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_MIN_CHROMA = 80  # of 255: difference between the highest and the lowest channel of a strongly coloured pixel
_MIN_TINT_DIFFERENCE = 56  # of 255: difference from the frame's own tint at the pixel's brightness
_MIN_BRIGHTNESS = 32  # of 255: darker pixels have no reliable tint
_TINT_SAMPLE = 20_000  # pixels by which the tint is estimated
_PATCH_PIXELS = 10  # a smaller patch is a stray dot
_MOST_PATCHES = 256  # of a frame, the largest first
_MOST_OF_ONE_COLOUR = 0.37  # share of a patch of flow that has the same colour, in steps of 16 of 255 a channel
_LEAST_INSIDE = 0.15  # share of a patch whose pixels have coloured pixels all around; strokes have less
_LEAST_SPREAD = (
    0.20  # of brightness inside a patch of flow: between its tenth and ninetieth percentile, over the latter
)
_LEAST_STEP = 12  # of 255: how much brightness changes around the middle pixel of a patch of flow, by the median
_LEAST_TURN = 3.0  # degrees of hue between the tenth and the ninetieth percentile of a patch of flow
_LEAST_ACROSS = 0.28  # share of a patch's variance that lies within its rows, and within its columns; 0 for a palette
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SQUARE = np.ones((3, 3), np.uint8)


def has_doppler_colour(pixels: NDArray[Any]) -> bool:
    """Whether an RGB frame shows flow; thresholds by benchmarks/recipes/doppler_flag.py, on drawings."""
    if pixels.ndim == 2:
        return False
    red, green, blue = cv2.split(np.ascontiguousarray(pixels, np.uint8))
    warm_or_cold = cv2.max(red, blue)
    brightest = cv2.max(warm_or_cold, green)
    chroma = cv2.subtract(brightest, cv2.min(cv2.min(red, blue), green))
    strong = (chroma > _MIN_CHROMA) & (cv2.subtract(green, warm_or_cold) <= 20)  # green is for markers
    stray_count = max(12, strong.size // 20_000)
    if np.count_nonzero(strong) <= stray_count:
        return False
    tint = _estimate_tint(pixels, (chroma <= _MIN_CHROMA) & (brightest > _MIN_BRIGHTNESS))
    strong[strong] = np.abs(_tint_difference(pixels[strong], tint)).max(axis=1) > _MIN_TINT_DIFFERENCE
    if np.count_nonzero(strong) <= stray_count:
        return False
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strong.astype(np.uint8), connectivity=8)
    largest = 1 + np.argsort(-stats[1:count, cv2.CC_STAT_AREA], kind="stable")[:_MOST_PATCHES]
    for number in largest:
        x, y, width, height, area = (int(value) for value in stats[number])
        window = np.s_[y : y + height, x : x + width]
        if area >= _PATCH_PIXELS and _is_flow(pixels[window], labels[window] == number, tint):
            return True
    return False


def _estimate_tint(pixels: NDArray[Any], weak: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The channels as shares of the brightest one, by the median of pixels too weakly coloured to show flow."""
    places = np.flatnonzero(weak)
    if not len(places):
        return np.ones(3)
    sample = pixels.reshape(-1, 3)[places[:: 1 + len(places) // _TINT_SAMPLE]].astype(np.float64)
    return np.asarray(np.median(sample / sample.max(axis=1, keepdims=True), axis=0))


def _tint_difference(colours: NDArray[Any], tint: NDArray[np.float64]) -> NDArray[np.float64]:
    """How colours (n, 3) differ from the frame's tint at their brightness."""
    values = colours.astype(np.float64)
    return np.asarray(values - values.max(axis=1, keepdims=True) * tint)


def _is_flow(window: NDArray[Any], patch: NDArray[np.bool_], tint: NDArray[np.float64]) -> bool:
    """Whether a patch of colour is graded as flow is; `window` is the box around it."""
    inside = cv2.erode(patch.astype(np.uint8), _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    area = np.count_nonzero(patch)
    if np.count_nonzero(inside) < max(4, _LEAST_INSIDE * area):
        return False
    colours = window[patch]
    steps = (colours >> 4).astype(np.intp) @ np.array([256, 16, 1])
    if np.bincount(steps).max() > _MOST_OF_ONE_COLOUR * area:
        return False
    luma = np.ascontiguousarray(window, np.float32) @ _LUMA
    change = cv2.dilate(luma, _SQUARE) - cv2.erode(luma, _SQUARE)
    low, high = np.percentile(luma[inside], (10, 90))
    is_graded = high - low > _LEAST_SPREAD * high and np.median(change[inside]) >= _LEAST_STEP
    return bool(is_graded and _hue_turn(colours, tint) >= _LEAST_TURN and _varies_both_ways(luma, patch))


def _hue_turn(colours: NDArray[Any], tint: NDArray[np.float64]) -> float:
    """Degrees between the tenth and the ninetieth percentile of hue, without the pixels that are weakly coloured.

    A colour over grey has the same hue whether it is opaque or not, so the soft edges of letters do not turn.
    """
    red, green, blue = _tint_difference(colours, tint).T
    hue = (red - green) / np.sqrt(2) + 1j * (red + green - 2 * blue) / np.sqrt(6)
    strength = np.abs(hue)
    hue = hue[strength >= 0.6 * np.percentile(strength, 95)] * np.exp(-1j * np.angle(hue.sum()))
    low, high = np.percentile(np.rad2deg(np.angle(hue)), (10, 90))
    return float(high - low)


def _varies_both_ways(luma: NDArray[np.float32], patch: NDArray[np.bool_]) -> bool:
    """Whether brightness varies along rows and along columns alike."""
    whole = luma[patch].var() + 1
    for axis in (0, 1):
        count = patch.sum(axis=axis)
        lines = count > 0
        total = np.where(patch, luma, 0).sum(axis=axis)[lines] / count[lines]
        squares = np.where(patch, luma * luma, 0).sum(axis=axis)[lines] / count[lines]
        if (squares - total * total).mean() <= _LEAST_ACROSS * whole:
            return False
    return True
