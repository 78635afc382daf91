"""What makes grey ultrasound of echoes: speckle, tissue fibres and smooth noise, drawn once and cut from at random."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
_SIDE = 1024
SPECKLES = ("fine", "medium", "coarse")
"""Speckle by the probe's frequency: the higher, the finer."""
_SIGMAS: Mapping[str, tuple[float, float]] = MappingProxyType(  # pixels along and across
    {
        "fine": (1.3, 0.8), "medium": (1.7, 1.0), "coarse": (2.4, 1.4), "fibres": (22.0, 1.5), "grain": (1.6, 1.5),
        "flow": (5.0, 4.0), "slow": (16.0, 12.0),
    }
)  # fmt: skip


@lru_cache(maxsize=len(_SIGMAS))
def _sheet(kind: str) -> Grey:
    """A read-only sheet of texture, always the same: only where it is cut is left to chance."""
    rng = np.random.Generator(np.random.SFC64(list(_SIGMAS).index(kind)))
    wide, high = _SIGMAS[kind]

    def blurred() -> Grey:
        noise = rng.standard_normal((_SIDE, _SIDE), np.float32)
        soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), wide, sigmaY=high), np.float32)
        return np.asarray(soft / soft.std(), np.float32)

    sheet = blurred()
    if kind in SPECKLES:
        # Envelopes of many scatterers' echoes from two angles, compounded, and compressed as a display does.
        sheet = np.asarray((np.hypot(sheet, blurred()) + np.hypot(blurred(), blurred())) ** 0.75, np.float32)
        sheet /= sheet.mean()
    elif kind == "fibres":
        sheet = np.exp(0.7 * sheet)  # few bright streaks, many dull ones
        sheet = (sheet - sheet.mean()) / sheet.std()
    sheet.setflags(write=False)
    return sheet


def cut_texture(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """A piece of a kind of texture: speckle (mean 1), or fibres, grain, flow, slow (mean 0, s.d. 1)."""
    sheet = _sheet(kind)
    if max(shape) > _SIDE:
        side = max(shape) + 1
        sheet = np.asarray(cv2.resize(sheet, (side, side)), np.float32)
    y, x = (int(rng.integers(0, full - part + 1)) for full, part in zip(sheet.shape, shape, strict=True))
    piece = sheet[y : y + shape[0], x : x + shape[1]]
    return piece[:, ::-1] if rng.random() < 0.5 else piece
