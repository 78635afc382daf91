"""The lossless coding of stored pixels, and their small preview.

High-throughput JPEG 2000 (part 15, reversible): of all codings that take up to about 15 ms per film it takes the fewest
bytes (`python benchmarks/speed/pixel_coding.py`), it states its size and depth, and it is an open standard.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging import windowing

PREVIEW_SIDE = 256


def encode(pixels: NDArray[Any]) -> bytes:
    """The codestream of pixels (uint8 or uint16, rows x columns; or uint8, rows x columns x 3)."""
    import imagecodecs

    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise ValueError("only 8 and 16 bit grey and 8 bit colour are stored")
    return bytes(imagecodecs.htj2k_encode(np.ascontiguousarray(pixels), reversible=True))


def decode(data: bytes) -> NDArray[Any]:
    """The pixels of a codestream that `encode` made."""
    import imagecodecs

    pixels: NDArray[Any] = imagecodecs.htj2k_decode(data)
    return pixels


def preview(pixels: NDArray[Any], window: tuple[float, float] | None) -> bytes:
    """An 8-bit PNG, by window or percentiles, whose longest side is at most 256."""
    import cv2

    # Shrinking first is faster and gives the same, except for the few pixels beyond the window.
    preview_pixels = windowing.apply_grey_range(shrink_to_preview(pixels), windowing.find_grey_range(pixels, window))
    if preview_pixels.ndim == 3:
        preview_pixels = preview_pixels[..., ::-1]  # OpenCV encodes BGR
    success, data = cv2.imencode(".png", preview_pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert success
    return bytes(data)


def shrink_to_preview(pixels: NDArray[Any]) -> NDArray[Any]:
    """The picture, shrunk in proportion to at most 256 x 256."""
    import cv2

    rows, columns = pixels.shape[:2]
    scale = PREVIEW_SIDE / max(rows, columns)
    if scale >= 1:
        return pixels
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    resized: NDArray[Any] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return resized
