"""What makes grey ultrasound of echoes: speckle, tissue fibres and smooth noise, drawn once and cut from at random."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
_SIDE = 1536
_KINDS = ("speckle", "fibres", "flow")


@lru_cache(maxsize=len(_KINDS))
def _sheet(kind: str) -> Grey:
    """A read-only sheet of texture, always the same: only where it is cut is left to chance."""
    rng = np.random.Generator(np.random.SFC64(_KINDS.index(kind)))
    if kind == "speckle":
        # The envelope of many scatterers' echoes, a little wider than high, as a linear probe shows them.
        parts = [
            cv2.GaussianBlur(rng.normal(size=(_SIDE, _SIDE)).astype(np.float32), (0, 0), 2.0, sigmaY=1.1)
            for _ in range(2)
        ]
        sheet: Grey = np.asarray(np.sqrt(np.hypot(parts[0], parts[1])), np.float32)  # compressed, as a display is
        sheet = np.asarray(sheet / sheet.mean(), np.float32)
    else:
        wide, high = (26.0, 1.7) if kind == "fibres" else (4.5, 4.0)
        noise = rng.normal(size=(_SIDE, _SIDE)).astype(np.float32)
        sheet = np.asarray(cv2.GaussianBlur(noise, (0, 0), wide, sigmaY=high), np.float32)
        sheet = np.asarray(sheet / sheet.std(), np.float32)
    sheet.setflags(write=False)
    return sheet


def cut(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """A piece of a kind of texture: speckle (mean 1), fibres or flow (mean 0, s.d. 1)."""
    sheet = _sheet(kind)
    if max(shape) > _SIDE:
        side = max(shape) + 1
        sheet = np.asarray(cv2.resize(sheet, (side, side)), np.float32)
    y, x = (int(rng.integers(0, full - part + 1)) for full, part in zip(sheet.shape, shape, strict=True))
    piece = sheet[y : y + shape[0], x : x + shape[1]]
    return piece[:, ::-1] if rng.random() < 0.5 else piece
