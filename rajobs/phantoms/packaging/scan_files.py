"""Scans as machines export them: with names burned in around the scan, and loops without a header as AVI."""

import struct
from dataclasses import replace

import cv2
import numpy as np

from rajobs.phantoms.packaging.canaries import Identity
from rajobs.phantoms.packaging.sample_encodings import Array
from rajobs.phantoms.picture import Picture

_TEXT_COLOUR, _TEXT_SCALE, _LINE_HEIGHT = (235, 235, 235), 0.42, 16
_FRAME_RATE = 12  # per second
_KEY_FRAME = 0x10


def burn_in(picture: Picture, who: Identity) -> Picture:
    """The scan with name, patient ID, date and hospital written on its screen, outside the region."""
    assert picture.region is not None
    frames = tuple(_write_lines(frame, picture.region, _identifying_lines(picture, who)) for frame in picture.frames)
    return replace(picture, frames=frames)


def _identifying_lines(picture: Picture, who: Identity) -> tuple[str, ...]:
    name = f"{who['family']}, {who['first_name']}".upper()
    return name, f"{who.patient_id} {picture.taken:%d/%m/%Y}", f"Klinik {who['institution'].title()}"


def _write_lines(frame: Array, region: tuple[int, int, int, int], lines: tuple[str, ...]) -> Array:
    x0, y0, x1, y1 = region
    screen = frame.astype(np.uint8)
    for number, line in enumerate(reversed(lines)):
        position = (x0 + 4, y0 - 6 - _LINE_HEIGHT * number)
        cv2.putText(screen, line, position, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SCALE, _TEXT_COLOUR, 1, cv2.LINE_AA)
    screen[y0 : y1 + 1, x0 : x1 + 1] = frame[y0 : y1 + 1, x0 : x1 + 1]
    return screen


def avi_bytes(picture: Picture, who: Identity) -> bytes:
    """The frames as a motion JPEG loop in an AVI file, with planted names in its INFO list."""
    import imagecodecs

    frames = [
        bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(frame), level=92, outcolorspace="YCBCR", subsampling="422"))
        for frame in picture.frames
    ]
    rows, columns = picture.frames[0].shape[:2]
    info = _riff_chunk(b"INAM", who["comment"].encode()) + _riff_chunk(b"IART", who["physician"].encode())
    chunks = [_riff_chunk(b"00dc", frame) for frame in frames]
    index, offset = [], 4
    for frame, chunk in zip(frames, chunks, strict=True):
        index.append(struct.pack("<4sIII", b"00dc", _KEY_FRAME, offset, len(frame)))
        offset += len(chunk)
    header = _avi_header(rows, columns, len(frames), max(map(len, frames)))
    body = b"AVI " + _riff_list(b"hdrl", header) + _riff_list(b"INFO", info) + _riff_list(b"movi", b"".join(chunks))
    return _riff_chunk(b"RIFF", body + _riff_chunk(b"idx1", b"".join(index)))


def _avi_header(rows: int, columns: int, count: int, largest: int) -> bytes:
    main = struct.pack(
        "<14I", 1_000_000 // _FRAME_RATE, largest * _FRAME_RATE, 0, _KEY_FRAME, count, 0, 1, largest, columns, rows,
        0, 0, 0, 0,
    )  # fmt: skip
    stream = struct.pack(
        "<4s4sIHHIIIIIIiI4H", b"vids", b"MJPG", 0, 0, 0, 0, 1, _FRAME_RATE, 0, count, largest, -1, 0, 0, 0, columns,
        rows,
    )  # fmt: skip
    bitmap = struct.pack("<IiiHH4sIiiII", 40, columns, rows, 1, 24, b"MJPG", rows * columns * 3, 0, 0, 0, 0)
    return _riff_chunk(b"avih", main) + _riff_list(b"strl", _riff_chunk(b"strh", stream) + _riff_chunk(b"strf", bitmap))


def _riff_chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _riff_list(name: bytes, data: bytes) -> bytes:
    return _riff_chunk(b"LIST", name + data)
