"""Extensions of tar headers: pax records, and maps of sparse files, of which only the parts with data are stored."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rajobs.imaging.archives.byte_streams import ByteStream
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

BLOCK = 512
LARGEST = 1 << 60
"""Bytes: no archive is larger, and whatever states more is wrong."""

_MOST_PARTS = 100_000  # of a sparse file
_LONGEST_NUMBER = 20  # digits
_GNU_FIRST, _GNU_IN_HEADER, _GNU_IN_BLOCK, _GNU_ENTRY = 386, 4, 21, 24
_GNU_EXTENDED, _GNU_REAL_SIZE, _GNU_BLOCK_EXTENDED = 482, slice(483, 495), 504


@dataclass(frozen=True, kw_only=True)
class SparseMap:
    """Offset and length of each stored part; `in_data`: the map stands before the data (GNU's format 1.0)."""

    size: int  # of the file that was packed
    parts: tuple[tuple[int, int], ...] = ()
    in_data: bool = False

    def expand(self, stored: bytes, limits: Limits) -> bytes:
        """The file that was packed, with zeros between its parts."""
        parts, at = _read_map_in_data(stored) if self.in_data else (self.parts, 0)
        if self.size > limits.member_bytes or self.size > max(limits.ratio_from, limits.ratio * len(stored)):
            raise Reject("too-large", "archive", "a sparse member above the limit")
        out, end = bytearray(self.size), 0
        for offset, length in parts:
            if not end <= offset <= offset + length <= self.size or at + length > len(stored):
                raise Reject("corrupt", "archive", "map of a sparse member")
            out[offset : offset + length] = stored[at : at + length]
            end, at = offset + length, at + length
        if stored[at:].strip(b"\0"):
            raise Reject("corrupt", "archive", "map of a sparse member")
        return bytes(out)


@dataclass(frozen=True, kw_only=True)
class PaxRecords:
    """What a pax header says about the member that follows; None where it does not say it."""

    name: str | None = None
    size: int | None = None
    sparse: SparseMap | None = None

    def rename(self, body: bytes) -> "PaxRecords":
        """These records with a name in GNU's form."""
        return replace(self, name=_as_name(body))

    def add(self, body: bytes) -> "PaxRecords":
        """These records with those of a pax header's body."""
        values: dict[bytes, bytes] = {}
        numbers: list[int] = []  # of format 0.0, which repeats its keys
        for key, value in _pax_records(body):
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                numbers.append(_number(value))
            values[key] = value
        if b"GNU.sparse.map" in values:
            numbers = [_number(value) for value in values[b"GNU.sparse.map"].split(b",")]
        name = values.get(b"GNU.sparse.name", values.get(b"path"))
        size = _number(values[b"size"]) if b"size" in values else self.size
        real = values.get(b"GNU.sparse.realsize", values.get(b"GNU.sparse.size"))
        sparse = self.sparse
        if real is not None:
            in_data = values.get(b"GNU.sparse.major") == b"1"
            sparse = SparseMap(size=_number(real), parts=_pairs(numbers), in_data=in_data)
        return PaxRecords(name=self.name if name is None else _as_name(name), size=size, sparse=sparse)


def _pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of "length key=value" records, up to the first that is none."""
    at = 0
    while at < len(body) and body[at : at + 1] != b"\0":
        space = body.find(b" ", at, at + _LONGEST_NUMBER)
        length = _number(body[at:space]) if space > 0 else 0
        if length <= space - at or at + length > len(body):
            raise Reject("corrupt", "archive", "tar header")
        key, _, value = body[space + 1 : at + length - 1].partition(b"=")
        yield key, value
        at += length


def _as_name(text: bytes) -> str:
    return text.split(b"\0")[0].decode("utf-8", "replace")


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > _LONGEST_NUMBER or int(text) > LARGEST:
        raise Reject("corrupt", "archive", "tar header")
    return int(text)


def _pairs(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    if len(numbers) % 2 or len(numbers) > 2 * _MOST_PARTS:
        raise Reject("corrupt", "archive", "map of a sparse member")
    return tuple(zip(numbers[::2], numbers[1::2]))


def read_gnu_map(block: bytes, source: ByteStream) -> SparseMap:
    """The map of a member in GNU's old format: in its header, and in blocks that follow it."""
    numbers = _gnu_numbers(block, _GNU_FIRST, _GNU_IN_HEADER)
    extended = block[_GNU_EXTENDED]
    while extended:
        more = source.read(BLOCK)
        if len(more) < BLOCK:
            raise Reject("truncated", "archive", "tar")
        numbers += _gnu_numbers(more, 0, _GNU_IN_BLOCK)
        extended = more[_GNU_BLOCK_EXTENDED]
        if len(numbers) > 2 * _MOST_PARTS:
            raise Reject("too-large", "archive", "map of a sparse member")
    return SparseMap(size=_gnu_number(block[_GNU_REAL_SIZE]), parts=_pairs(numbers))


def _gnu_numbers(block: bytes, start: int, count: int) -> list[int]:
    numbers: list[int] = []
    for at in range(start, start + count * _GNU_ENTRY, _GNU_ENTRY):
        if block[at : at + 1] in (b"\0", b""):
            break
        numbers += [_gnu_number(block[at : at + 12]), _gnu_number(block[at + 12 : at + 24])]
    return numbers


def _gnu_number(field: bytes) -> int:
    try:
        number = int(tarfile.nti(field))  # type: ignore[attr-defined]
    except tarfile.HeaderError:
        number = -1
    if not 0 <= number <= LARGEST:
        raise Reject("corrupt", "archive", "tar header")
    return number


def _read_map_in_data(stored: bytes) -> tuple[tuple[tuple[int, int], ...], int]:
    """The map that stands before the data, as lines of numbers, and where the data begins."""
    numbers: list[int] = []
    at, wanted = 0, 1
    while len(numbers) < wanted:
        end = stored.find(b"\n", at, at + _LONGEST_NUMBER + 1)
        if end < 0:
            raise Reject("corrupt", "archive", "map of a sparse member")
        numbers.append(_number(stored[at:end]))
        at = end + 1
        if len(numbers) == 1:
            wanted = 1 + 2 * min(numbers[0], _MOST_PARTS + 1)
    return _pairs(numbers[1:]), -(-at // BLOCK) * BLOCK
