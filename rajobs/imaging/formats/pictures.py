"""Pictures without a header: PNG, JPEG, TIFF and BMP, whole or not at all."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging import file_types
from rajobs.imaging.formats import codestreams, jpeg_scans, ultrasound_regions
from rajobs.imaging.formats.pixel_values import grey_of
from rajobs.imaging.image import Box, Header, Image, ReadOptions
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject


def check_wanted(kind: str, options: ReadOptions) -> None:
    """Reject a picture or loop that can't be read, or of which nobody says what it shows."""
    if kind == file_types.OTHER:
        raise Reject("unsupported-picture", "header")
    if options.pictures is None:
        raise Reject("no-modality", "header")
    if kind in file_types.LOOPS and options.pictures == "radiograph":
        raise Reject("not-a-joint-modality", "header", "a loop is no radiograph")
    if options.pictures == "ultrasound" and not options.masks and options.ultrasound_regions != "all":
        raise Reject("no-region", "region")


def header_of(options: ReadOptions) -> Header:
    """All that is known of a picture or loop."""
    return Header(modality="US" if options.pictures == "ultrasound" else "RG")


def boxes_of(rows: int, columns: int, options: ReadOptions) -> tuple[Box, ...] | None:
    """What is kept of a picture: a radiograph whole, ultrasound by mask."""
    if options.pictures == "radiograph":
        return None
    return ultrasound_regions.kept((), options, manufacturer=None, model=None, rows=rows, columns=columns)


def images(data: bytes, kind: str, options: ReadOptions) -> Iterator[Image]:
    """The picture as an image; the pages of a TIFF as frames."""
    if kind == "jpeg":
        jpeg_scans.check(data)
    header = header_of(options)
    for index, (pixels, bits) in enumerate(_decoded(data, options.limits)):
        yield image_of(pixels, bits, index, header, options)


def image_of(pixels: NDArray[Any], bits: int, index: int, header: Header, options: ReadOptions) -> Image:
    """Pixels of a picture or loop, blanked where they must be, as an image."""
    pixels = ultrasound_regions.blanked(pixels, boxes_of(pixels.shape[0], pixels.shape[1], options))
    radiograph = header.modality != "US"
    if radiograph and pixels.ndim == 3:
        pixels = grey_of(pixels)
    doppler = not radiograph and ultrasound_regions.has_colour(pixels)
    return Image(pixels=pixels, bits=bits, window=None, frame=index, doppler=doppler, header=header)


def check_whole(data: bytes, kind: str) -> None:
    """Reject what its own lengths and sums say is cut or changed: decoders fill in without a word."""
    if kind == "png":
        _check_png(data)
    elif kind == "jpeg":
        codestreams.parse(memoryview(data))
    elif kind == "bmp":
        (size,) = struct.unpack_from("<I", data, 2)
        if size > len(data):
            raise Reject("truncated", "decode", "BMP")


def _check_png(data: bytes) -> None:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        (stated,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4 : at + 8 + length]) != stated:
            raise Reject("corrupt", "decode", "PNG sum")
        if kind == b"IEND":
            return
        at += 12 + length
    raise Reject("truncated", "decode", "PNG")


def _decoded(data: bytes, limits: Limits) -> Iterator[tuple[NDArray[Any], int]]:
    """Pages as grey or RGB with their bits."""
    from PIL import Image as Pillow
    from PIL import ImageSequence, UnidentifiedImageError

    # Our own limits apply: Pillow's warning for large films would quote nothing but still be noise.
    Pillow.MAX_IMAGE_PIXELS = None
    try:
        with Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF", "BMP", "MPO")) as picture:
            total = 0
            for index, page in enumerate(ImageSequence.Iterator(picture)):
                if picture.format == "MPO" and index:
                    break  # a camera's second view
                total += _checked(page.size, index, len(data), total, limits)
                yield _samples(page)
    except UnidentifiedImageError:
        raise Reject("corrupt", "decode", "picture") from None
    except KeyError:  # Pillow's tables of codings and sample layouts
        raise Reject("unsupported-picture", "decode") from None
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, struct.error) as error:
        cut = "truncated" in str(error)
        raise Reject("truncated" if cut else "corrupt", "decode", type(error).__name__) from None


def _checked(size: tuple[int, int], index: int, length: int, total: int, limits: Limits) -> int:
    pixels = size[0] * size[1]
    if pixels > limits.pixels or index >= limits.frames or total + pixels * 3 > limits.decoded_bytes:
        raise Reject("too-large", "decode", "pixels or pages above the limits")
    if pixels > limits.ratio_from and pixels > limits.ratio * length:
        raise Reject("too-large", "decode", "compression ratio above the limit")
    return pixels * 3


def _samples(page: Any) -> tuple[NDArray[Any], int]:
    mode = page.mode
    if mode == "1":
        return np.asarray(page, np.uint8) * np.uint8(255), 8
    if mode == "L":
        return np.asarray(page), 8
    if mode.startswith("I"):
        return _grey16(np.asarray(page))
    if mode in ("RGB", "RGBA", "P", "PA", "LA", "CMYK", "YCbCr"):
        return np.asarray(page.convert("L" if mode == "LA" else "RGB")), 8
    raise Reject("not-grey-or-colour", "decode", "sample layout of a picture")


def _grey16(samples: NDArray[Any]) -> tuple[NDArray[Any], int]:
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high > 65535:
        raise Reject("not-grey-or-colour", "decode", "values beyond 16 bits")
    return samples.astype(np.uint16), 16
