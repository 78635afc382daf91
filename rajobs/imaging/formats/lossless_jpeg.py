"""Checks that a lossless JPEG was decoded as it was written: after an error, decoders silently go on guessing.

The decoded samples and the code tables determine how many bits the scan has. If it has another number, the decoder lost
its place somewhere; and after a wrong difference the samples soon leave their range.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.formats.codestreams import Codestream
from rajobs.records.errors import Reject

Plane = NDArray[np.uint16]
_MAX_PADDING = 16  # bits at the end of a scan


def check_lossless_jpeg(stream: Codestream, pixels: NDArray[np.generic]) -> None:
    """Reject a lossless JPEG whose samples are out of range or do not take as many bits as its scan has."""
    if int(pixels.max()) >> stream.precision:
        raise Reject("corrupt", "decode", "lossless samples out of range")
    header = _read_scan_header(bytes(stream.data))
    if header is None:
        return
    tables, selectors, predictor, shift, start = header
    planes = pixels.reshape(stream.rows, stream.columns, -1)
    if len(selectors) != planes.shape[2] or any(s not in tables for s in selectors) or not 1 <= predictor <= 7:
        return
    body = bytes(stream.data[start:-2])
    scan_bits = 8 * (len(body) - body.count(b"\xff\x00"))
    first_prediction = 1 << (stream.precision - shift - 1)
    needed_bits = 0
    for index, selector in enumerate(selectors):
        plane = planes[..., index].astype(np.uint16) >> np.uint16(shift)
        differences = _differences(plane, predictor, first_prediction)
        needed_bits += int(_count_differences(differences) @ _bits_per_difference(tables[selector]))
    if not 0 <= scan_bits - needed_bits < _MAX_PADDING:
        raise Reject("corrupt", "decode", "lossless scan out of step")


def _differences(plane: Plane, predictor: int, first_prediction: int) -> Plane:
    """The samples minus their predictions, modulo 65536 as in the coding."""
    prediction = np.empty_like(plane)
    prediction[0, 0] = first_prediction
    prediction[0, 1:] = plane[0, :-1]
    prediction[1:, 0] = plane[:-1, 0]
    left, above, corner = plane[1:, :-1], plane[:-1, 1:], plane[:-1, :-1]
    if predictor <= 3:
        prediction[1:, 1:] = (left, above, corner)[predictor - 1]
    elif predictor == 4:
        prediction[1:, 1:] = left + above - corner
    else:
        a, b, c = (neighbour.astype(np.int32) for neighbour in (left, above, corner))
        mixed = (a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1)[predictor - 5]
        prediction[1:, 1:] = mixed.astype(np.uint16)
    return plane - prediction


def _count_differences(differences: Plane) -> NDArray[np.int64]:
    """How often each difference occurs; counted in pieces because OpenCV counts in 32-bit floats."""
    import cv2

    total = np.zeros(65536, np.int64)
    rows = max(1, (1 << 24) // differences.shape[1])
    for at in range(0, differences.shape[0], rows):
        piece = np.ascontiguousarray(differences[at : at + rows])
        total += cv2.calcHist([piece], [0], None, [65536], [0, 65536]).reshape(-1).astype(np.int64)
    return total


def _bits_per_difference(code_lengths: dict[int, int]) -> NDArray[np.int64]:
    """The bits that each difference modulo 65536 takes: its category's code and its extra bits."""
    magnitude = np.minimum(np.arange(65536), 65536 - np.arange(65536))
    category = np.zeros(65536, np.int64)
    category[1:] = np.floor(np.log2(magnitude[1:])).astype(np.int64) + 1
    extra = np.where(category == 16, 0, category)
    code = np.array([code_lengths.get(c, 0) for c in range(17)])
    bits: NDArray[np.int64] = code[category] + extra
    return bits


def _read_scan_header(data: bytes) -> tuple[dict[int, dict[int, int]], list[int], int, int, int] | None:
    """Code lengths by table, each component's table, predictor, point transform and the position of the scan."""
    tables: dict[int, dict[int, int]] = {}
    at = 2
    while data[at + 1] != 0xDA:
        while data[at + 1] == 0xFF:
            at += 1
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xDD and any(body):
            return None  # every restart interval has its own padding; their markers have been checked
        if data[at + 1] == 0xC4:
            _add_tables(tables, body)
        at += 2 + length
    (length,) = struct.unpack_from(">H", data, at + 2)
    body = data[at + 4 : at + 2 + length]
    count = body[0] if body else 0
    if len(body) != 4 + 2 * count:
        raise Reject("corrupt", "decode", "scan header")
    selectors = [body[2 + 2 * i] >> 4 for i in range(count)]
    return tables, selectors, body[1 + 2 * count], body[3 + 2 * count] & 15, at + 2 + length


def _add_tables(tables: dict[int, dict[int, int]], body: bytes) -> None:
    at = 0
    while at + 17 <= len(body):
        counts = body[at + 1 : at + 17]
        symbols = body[at + 17 : at + 17 + sum(counts)]
        lengths = [bits + 1 for bits, count in enumerate(counts) for _ in range(count)]
        tables[body[at] & 15] = dict(zip(symbols, lengths))
        at += 17 + sum(counts)
