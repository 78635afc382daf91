"""The lossless coding of stored pixels, and the small preview beside them.

High-throughput JPEG 2000 (part 15, reversible): of all codings within 15 ms or so a film it takes the fewest bytes
(`python benchmarks/pixel_coding.py`), tells its size and depth itself, and is an open standard that other tools read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging import windowing

PREVIEW_SIDE = 256


def encode(pixels: NDArray[Any]) -> bytes:
    """Pixels (uint8 or uint16, rows x columns; or uint8, rows x columns x 3) as one codestream."""
    import imagecodecs

    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise ValueError("only 8 and 16 bit grey and 8 bit colour are stored")
    return bytes(imagecodecs.htj2k_encode(np.ascontiguousarray(pixels), reversible=True))


def decode(data: bytes) -> NDArray[Any]:
    """The pixels that went into `encode`."""
    import imagecodecs

    pixels: NDArray[Any] = imagecodecs.htj2k_decode(data)
    return pixels


def preview(pixels: NDArray[Any], window: tuple[float, float] | None) -> bytes:
    """A PNG of 8 bits by window or percentiles, its longest side 256; smaller pictures stay as small as they are."""
    import cv2

    # Made small before it is windowed, which is a linear matter but for the few pixels beyond the window.
    shown = windowing.shown(small(pixels), windowing.span(pixels, window))
    if shown.ndim == 3:
        shown = shown[..., ::-1]
    done, data = cv2.imencode(".png", shown, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert done
    return bytes(data)


def small(pixels: NDArray[Any]) -> NDArray[Any]:
    """The picture within 256 x 256, its shape kept."""
    import cv2

    rows, columns = pixels.shape[:2]
    scale = PREVIEW_SIDE / max(rows, columns)
    if scale >= 1:
        return pixels
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    resized: NDArray[Any] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return resized
