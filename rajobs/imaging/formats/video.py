"""Loops without a header: AVI and MP4, frame by frame, from memory."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.formats.pictures import boxes_to_keep, make_header, make_image
from rajobs.imaging.image import Image, ReadOptions
from rajobs.records.errors import Reject

_MOST_CHUNKS, _BYTES_PER_CHUNK = 10_000, 256  # of a loop: so many, and more of them if they are that large


def decode_frames(data: bytes, options: ReadOptions) -> Iterator[Image]:
    """The frames of a loop; one that ends before its header says is rejected."""
    import cv2

    _check_chunks(data)
    cv2.setNumThreads(1)
    stream: Any = io.BytesIO(data)
    capture = cv2.VideoCapture(stream, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise Reject("corrupt", "decode", "a loop that can't be opened")
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rows, columns = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        _check_size(rows, columns, stated, options)
        boxes_to_keep(rows, columns, options)  # rejects the loop before it is decoded
        header, count = make_header(options), 0
        for frame in _read_frames(capture):
            if frame.shape[:2] != (rows, columns) or count >= options.limits.frames:
                raise Reject("corrupt", "decode", "frames that differ from the header")
            yield make_image(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), 8, count, header, options)
            count += 1
        if count < stated:
            raise Reject("truncated", "decode", "fewer frames than the header says")
    finally:
        capture.release()


def _read_frames(capture: Any) -> Iterator[NDArray[np.uint8]]:
    while True:
        success, frame = capture.read()
        if not success:
            return
        yield frame


def _check_size(rows: int, columns: int, frames: int, options: ReadOptions) -> None:
    limits = options.limits
    if rows <= 0 or columns <= 0 or frames < 0:
        raise Reject("corrupt", "decode", "size of a loop")
    size = rows * columns * 3
    if rows * columns > limits.pixels or frames > limits.frames or size * frames > limits.decoded_bytes:
        raise Reject("too-large", "decode", "pixels or frames above the limits")


def _check_chunks(data: bytes) -> None:
    """Each chunk's length must lead to the next chunk, the last one to the end of the file."""
    chunk_length = _riff_length if data[:4] == b"RIFF" else _box_length
    at, left = 0, _MOST_CHUNKS + len(data) // _BYTES_PER_CHUNK
    while at + 8 <= len(data):
        left -= 1
        if left < 0:
            raise Reject("too-large", "decode", "chunks of a loop above the limit")
        length = chunk_length(data, at)
        if length < 8 or at + length > len(data) + 1:
            raise Reject("truncated", "decode", "a loop's chunk")
        at += length


def _riff_length(data: bytes, at: int) -> int:
    """The length of a chunk of an AVI file, with its header and padding."""
    (length,) = struct.unpack_from("<I", data, at + 4)
    return 8 + int(length) + int(length) % 2


def _box_length(data: bytes, at: int) -> int:
    """The length of a box of an MP4 file, with its header."""
    (length,) = struct.unpack_from(">I", data, at)
    if length == 0:
        return len(data) - at
    if length == 1 and at + 16 <= len(data):
        (length,) = struct.unpack_from(">Q", data, at + 8)
    return int(length)
