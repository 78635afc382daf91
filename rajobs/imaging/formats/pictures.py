"""Pictures without a DICOM header: PNG, JPEG, TIFF and BMP, read completely or not at all."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging import file_types
from rajobs.imaging.formats import ultrasound_regions
from rajobs.imaging.formats.codestreams import parse_codestream
from rajobs.imaging.formats.doppler_colour import has_doppler_colour
from rajobs.imaging.formats.jpeg_scans import check_jpeg_scans
from rajobs.imaging.formats.pixel_values import rgb_to_grey
from rajobs.imaging.image import Box, Header, Image, ReadOptions
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

_PHOTOMETRIC = 262  # a tag of TIFF
_MOST_CHUNKS, _BYTES_PER_CHUNK = 10_000, 256  # of a PNG: so many, and more of them if they are that large


def check_wanted(kind: str, options: ReadOptions) -> None:
    """Reject a picture or loop that cannot be read, or of which neither user nor labels say what it shows."""
    if kind == file_types.OTHER:
        raise Reject("unsupported-picture", "header")
    if options.pictures is None:
        raise Reject("no-modality", "header")
    if kind in file_types.LOOPS and options.pictures == "radiograph":
        raise Reject("not-a-joint-modality", "header", "a loop is no radiograph")
    if options.pictures == "ultrasound" and not options.masks and options.ultrasound_regions != "all":
        raise Reject("no-region", "region")


def make_header(options: ReadOptions) -> Header:
    """The header of a picture or loop: all that is known is its modality."""
    return Header(modality="US" if options.pictures == "ultrasound" else "RG")


def boxes_to_keep(rows: int, columns: int, options: ReadOptions) -> tuple[Box, ...] | None:
    """The boxes of a picture that are kept, by a mask for ultrasound; None: all of it, as for a radiograph."""
    if options.pictures == "radiograph":
        return None
    return ultrasound_regions.select_boxes((), options, manufacturer=None, model=None, rows=rows, columns=columns)


def decode_pages(data: bytes, kind: str, options: ReadOptions) -> Iterator[Image]:
    """A picture as one image, or the pages of a TIFF as several."""
    if kind == "jpeg":
        check_jpeg_scans(data)
    header = make_header(options)
    for index, (pixels, bits) in enumerate(_decode(data, options.limits)):
        yield make_image(pixels, bits, index, header, options)


def make_image(pixels: NDArray[Any], bits: int, index: int, header: Header, options: ReadOptions) -> Image:
    """The pixels of a picture or loop as an image, with what may identify the patient blanked."""
    pixels = ultrasound_regions.blank_outside(pixels, boxes_to_keep(pixels.shape[0], pixels.shape[1], options))
    radiograph = header.modality != "US"
    if radiograph and pixels.ndim == 3:
        pixels = rgb_to_grey(pixels)
    doppler = not radiograph and has_doppler_colour(pixels)
    return Image(pixels=pixels, bits=bits, window=None, frame=index, doppler=doppler, header=header)


def check_complete(data: bytes, kind: str) -> None:
    """Reject a picture that its own lengths and checksums show to be cut or changed: decoders fill in silently."""
    if kind == "png":
        _check_png(data)
    elif kind == "jpeg":
        parse_codestream(memoryview(data))
    elif kind == "bmp":
        (size,) = struct.unpack_from("<I", data, 2)
        if size > len(data):
            raise Reject("truncated", "decode", "BMP")


def _check_png(data: bytes) -> None:
    at = 8
    for _ in range(_MOST_CHUNKS + len(data) // _BYTES_PER_CHUNK):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        (stated,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4 : at + 8 + length]) != stated:
            raise Reject("corrupt", "decode", "PNG sum")
        if kind == b"IEND":
            return
        at += 12 + length
    else:
        raise Reject("too-large", "decode", "PNG chunks above the limit")
    raise Reject("truncated", "decode", "PNG")


def _decode(data: bytes, limits: Limits) -> Iterator[tuple[NDArray[Any], int]]:
    """The pages, as grey or RGB, with their bits."""
    from PIL import Image as Pillow
    from PIL import ImageOps, ImageSequence, UnidentifiedImageError

    # The limits below apply; Pillow would warn about large films.
    Pillow.MAX_IMAGE_PIXELS = None
    try:
        with Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF", "BMP")) as picture:
            total = 0
            # Pillow calls a camera's JPEG that announces a second view MPO. The first view is the picture.
            pages = [picture] if picture.format == "MPO" else ImageSequence.Iterator(picture)
            for index, page in enumerate(pages):
                total += _check_page(page.size, index, len(data), total, limits)
                # Pillow turns a TIFF by itself.
                yield _to_array(page if picture.format == "TIFF" else ImageOps.exif_transpose(page))
    except UnidentifiedImageError:
        if _has_unknown_tiff_compression(data):
            raise Reject("unsupported-picture", "decode") from None
        raise Reject("corrupt", "decode", "picture") from None
    except KeyError:  # a sample layout that is not in Pillow's tables
        raise Reject("unsupported-picture", "decode") from None
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, struct.error) as error:
        truncated = "truncated" in str(error)
        raise Reject("truncated" if truncated else "corrupt", "decode", type(error).__name__) from None


def _has_unknown_tiff_compression(data: bytes) -> bool:
    """Whether this is a TIFF with a readable directory that names a compression which Pillow lacks."""
    from PIL.TiffImagePlugin import COMPRESSION, COMPRESSION_INFO

    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return False
    try:
        (directory,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, directory)
        entries = [struct.unpack_from(order + "HHIH", data, directory + 2 + 12 * number) for number in range(count)]
    except struct.error:
        return False
    return any(tag == COMPRESSION and value not in COMPRESSION_INFO for tag, _, _, value in entries)


def _check_page(size: tuple[int, int], index: int, file_size: int, total: int, limits: Limits) -> int:
    """The decoded bytes of a page, or a Reject if it goes beyond the limits; `total` is that of the pages before."""
    pixels = size[0] * size[1]
    if pixels > limits.pixels or index >= limits.frames or total + pixels * 3 > limits.decoded_bytes:
        raise Reject("too-large", "decode", "pixels or pages above the limits")
    if pixels > limits.ratio_from and pixels > limits.ratio * file_size:
        raise Reject("too-large", "decode", "compression ratio above the limit")
    return pixels * 3


def _to_array(page: Any) -> tuple[NDArray[Any], int]:
    mode = page.mode
    if mode == "1":
        return np.asarray(page, np.uint8) * np.uint8(255), 8
    if mode.startswith("I"):
        return _to_grey16(np.asarray(page), page)
    if mode in ("RGBA", "LA", "PA") or "transparency" in page.info:
        return np.asarray(_on_black(page)), 8
    if mode == "L":
        return np.asarray(page), 8
    if mode in ("RGB", "P", "CMYK", "YCbCr"):
        return np.asarray(page.convert("RGB")), 8
    raise Reject("not-grey-or-colour", "decode", "sample layout of a picture")


def _on_black(page: Any) -> Any:
    """A picture as it is seen on black: what its alpha hides (a name, perhaps) stays hidden."""
    from PIL import Image as Pillow

    opaque = page.convert("RGBA")
    seen = Pillow.alpha_composite(Pillow.new("RGBA", opaque.size, (0, 0, 0, 255)), opaque)
    return seen.convert("L" if page.mode in ("L", "LA") else "RGB")


def _to_grey16(samples: NDArray[Any], page: Any) -> tuple[NDArray[Any], int]:
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high > 65535:
        raise Reject("not-grey-or-colour", "decode", "values beyond 16 bits")
    grey = samples.astype(np.uint16)
    hidden = page.info.get("transparency")
    if isinstance(hidden, int):
        grey[samples == hidden] = 0
    white_is_zero = page.format == "TIFF" and page.tag_v2.get(_PHOTOMETRIC) == 0  # which Pillow heeds for 8 bits alone
    return np.uint16(65535) - grey if white_is_zero else grey, 16
