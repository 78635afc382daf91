"""Writes a film as a picture file (PNG, JPEG, TIFF or BMP), with planted names in its comments but no header."""

import io

import numpy as np

from rajobs.phantoms.packaging.canaries import Identity
from rajobs.phantoms.packaging.sample_encodings import Array
from rajobs.phantoms.picture import Picture

PICTURE_SUFFIXES = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "bmp": ".bmp"}
"""Kinds of picture file and the suffixes of their names."""

_TIFF_DESCRIPTION, _TIFF_ARTIST = 270, 315


def picture_bytes(picture: Picture, kind: str, who: Identity) -> bytes:
    """The first frame as a picture file, with 16 bits in PNG and TIFF and 8 bits in JPEG and BMP."""
    from PIL import Image, PngImagePlugin, TiffImagePlugin

    frame, deep = picture.frames[0], kind in ("png", "tiff")
    if picture.inverted:
        frame = ((1 << picture.bits) - 1 - frame).astype(frame.dtype)  # a picture file has no tag for inverted grey
    if frame.ndim == 2:
        frame = _scale_bits(frame, picture.bits, 16 if deep else 8)
    image, note = Image.fromarray(frame), f"{who['family']} {who['comment']}"
    buffer = io.BytesIO()
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", note)
        image.save(buffer, "PNG", compress_level=1, pnginfo=text)
    elif kind == "jpeg":
        image.save(buffer, "JPEG", quality=92, comment=note.encode())
    elif kind == "tiff":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[_TIFF_DESCRIPTION], tags[_TIFF_ARTIST] = note, who["physician"]
        image.save(buffer, "TIFF", tiffinfo=tags)
    else:
        image.save(buffer, "BMP")
    return buffer.getvalue()


def _scale_bits(frame: Array, bits: int, wanted: int) -> Array:
    """The samples scaled to the range of `wanted` bits."""
    shift = wanted - bits
    scaled = np.left_shift(frame, shift) if shift >= 0 else np.right_shift(frame, -shift)
    return scaled.astype(np.uint16 if wanted == 16 else np.uint8)
