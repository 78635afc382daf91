"""Textures of grey ultrasound: speckle, tissue fibres and smooth noise, cut at random from sheets drawn once."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
_SHEET_SIDE = 1024  # pixels
SPECKLES = ("fine", "medium", "coarse")
"""Kinds of speckle; it becomes finer as the probe's frequency rises."""
_SIGMAS: Mapping[str, tuple[float, float]] = MappingProxyType(  # blur in pixels, along rows and across them
    {
        "fine": (1.3, 0.8), "medium": (1.7, 1.0), "coarse": (2.4, 1.4), "fibres": (22.0, 1.5), "grain": (1.6, 1.5),
        "flow": (5.0, 4.0), "slow": (16.0, 12.0),
    }
)  # fmt: skip


@lru_cache(maxsize=len(_SIGMAS))
def _draw_sheet(kind: str) -> Grey:
    """A read-only sheet of texture. It is always the same: only the place of a cut is random."""
    rng = np.random.Generator(np.random.SFC64(list(_SIGMAS).index(kind)))
    sigma_x, sigma_y = _SIGMAS[kind]

    def blurred_noise() -> Grey:
        noise = rng.standard_normal((_SHEET_SIDE, _SHEET_SIDE), np.float32)
        blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma_x, sigmaY=sigma_y), np.float32)
        return np.asarray(blurred / blurred.std(), np.float32)

    sheet = blurred_noise()
    if kind in SPECKLES:
        # The sum of two echo envelopes stands for compounding two angles; the power for a display's compression.
        first, second = np.hypot(sheet, blurred_noise()), np.hypot(blurred_noise(), blurred_noise())
        sheet = np.asarray((first + second) ** 0.75, np.float32)
        sheet /= sheet.mean()
    elif kind == "fibres":
        sheet = np.exp(0.7 * sheet)  # few bright streaks and many dull ones
        sheet = (sheet - sheet.mean()) / sheet.std()
    sheet.setflags(write=False)
    return sheet


def cut_texture(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """A random piece of one texture: speckle (mean 1), or fibres, grain, flow or slow (mean 0, s.d. 1)."""
    sheet = _draw_sheet(kind)
    if max(shape) > _SHEET_SIDE:
        side = max(shape) + 1
        sheet = np.asarray(cv2.resize(sheet, (side, side)), np.float32)
    y, x = (int(rng.integers(0, full - part + 1)) for full, part in zip(sheet.shape, shape, strict=True))
    piece = sheet[y : y + shape[0], x : x + shape[1]]
    return piece[:, ::-1] if rng.random() < 0.5 else piece
