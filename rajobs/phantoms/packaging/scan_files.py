"""A scan as a scanner ships it: names burned in around the scan, and loops without a header as AVI."""

import struct
from dataclasses import replace

import cv2
import numpy as np

from rajobs.phantoms.packaging.canaries import Identity
from rajobs.phantoms.packaging.sample_encodings import Array
from rajobs.phantoms.picture import Picture

_INK, _SIZE, _LINE = (235, 235, 235), 0.42, 16
_RATE = 12  # frames a second
_WHOLE = 0x10  # a frame that needs no other


def burn_in(picture: Picture, who: Identity) -> Picture:
    """The scan with name, number, day and hospital written on its screen; the region stays as it was drawn."""
    assert picture.region is not None
    frames = tuple(_written(frame, picture.region, _words(picture, who)) for frame in picture.frames)
    return replace(picture, frames=frames)


def _words(picture: Picture, who: Identity) -> tuple[str, ...]:
    name = f"{who['family']}, {who['given']}".upper()
    return name, f"{who.patient_id} {picture.taken:%d/%m/%Y}", f"Klinik {who['institution'].title()}"


def _written(frame: Array, region: tuple[int, int, int, int], words: tuple[str, ...]) -> Array:
    x0, y0, x1, y1 = region
    screen = frame.astype(np.uint8)
    for number, line in enumerate(reversed(words)):
        at = (x0 + 4, y0 - 6 - _LINE * number)
        cv2.putText(screen, line, at, cv2.FONT_HERSHEY_SIMPLEX, _SIZE, _INK, 1, cv2.LINE_AA)
    screen[y0 : y1 + 1, x0 : x1 + 1] = frame[y0 : y1 + 1, x0 : x1 + 1]
    return screen


def avi_bytes(picture: Picture, who: Identity) -> bytes:
    """The frames as a loop of JPEG pictures, with planted names in its own list of facts."""
    import imagecodecs

    frames = [
        bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(frame), level=92, outcolorspace="YCBCR", subsampling="422"))
        for frame in picture.frames
    ]
    rows, columns = picture.frames[0].shape[:2]
    facts = _chunk(b"INAM", who["comment"].encode()) + _chunk(b"IART", who["physician"].encode())
    pictures = [_chunk(b"00dc", frame) for frame in frames]
    places, at = [], 4
    for frame, chunk in zip(frames, pictures, strict=True):
        places.append(struct.pack("<4sIII", b"00dc", _WHOLE, at, len(frame)))
        at += len(chunk)
    head = _head(rows, columns, len(frames), max(map(len, frames)))
    body = b"AVI " + _list(b"hdrl", head) + _list(b"INFO", facts) + _list(b"movi", b"".join(pictures))
    return _chunk(b"RIFF", body + _chunk(b"idx1", b"".join(places)))


def _head(rows: int, columns: int, count: int, largest: int) -> bytes:
    main = struct.pack(
        "<14I", 1_000_000 // _RATE, largest * _RATE, 0, _WHOLE, count, 0, 1, largest, columns, rows, 0, 0, 0, 0
    )
    stream = struct.pack(
        "<4s4sIHHIIIIIIiI4H", b"vids", b"MJPG", 0, 0, 0, 0, 1, _RATE, 0, count, largest, -1, 0, 0, 0, columns, rows
    )
    form = struct.pack("<IiiHH4sIiiII", 40, columns, rows, 1, 24, b"MJPG", rows * columns * 3, 0, 0, 0, 0)
    return _chunk(b"avih", main) + _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", form))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)
