"""Byte streams for reading archives: a range of a file, and a decompressor that stops at the limits."""

import bz2
import lzma
import zlib
from typing import Any, BinaryIO, Protocol

from rajobs.imaging.file_types import HEAD_BYTES
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject
from rajobs.records.store.seekable import SeekableBytes

_CHUNK = MIB // 4
_SHORT_STREAMS, _BYTES_PER_STREAM = 10_000, 1024  # compressed streams in a row, and more of them if they hold more
_LZMA_MEMORY = 128 * MIB
_ZIP_DEFLATE, _ZIP_BZIP2 = 8, 12  # a zip member's method numbers


class ByteStream(Protocol):
    """Bytes that are read forward."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer only at the end."""


class FileRange(SeekableBytes):
    """A range of a seekable file as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        super().__init__(length)
        self._file, self._start = file, start

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._length - self._position)
        size = left if size is None or size < 0 else min(size, left)
        self._file.seek(self._start + self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data


class DecompressedStream:
    """A compressed stream, decompressed as it is read. `kind` is gzip, bzip2, xz or a zip member's method number."""

    def __init__(
        self, source: ByteStream, kind: str | int, limits: Limits, *, compressed_size: int | None = None
    ) -> None:
        self._source, self._kind, self._limits = source, kind, limits
        self._decompressor, self._input, self._output = _new_decompressor(kind), b"", b""
        self._left = compressed_size  # bytes of the source that are still to be read; None: until it ends
        self._bytes_in, self._bytes_out, self._streams, self._ended = 0, 0, 1, False

    def read(self, size: int, /) -> bytes:
        parts, missing = [], size
        while missing > 0:
            if not self._output and not self._fill_output():
                break
            part, self._output = self._output[:missing], self._output[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _fill_output(self) -> bool:
        """Decompress until there is some output; False at the end of the stream."""
        while not self._ended:
            output = self._decompress_chunk()
            if output:
                self._bytes_out += len(output)
                self._check_ratio()
                self._output = output
                return True
        return False

    def _decompress_chunk(self) -> bytes:
        if not self._input and self._needs_input():
            self._input = self._read_source()
            if not self._input:
                raise Reject("truncated", "archive", "compressed data")
        try:
            output: bytes = self._decompressor.decompress(self._input, _CHUNK)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            raise Reject("corrupt", "archive", "compressed data") from None
        # zlib returns the input that it has not used; the other libraries keep it.
        self._input = getattr(self._decompressor, "unconsumed_tail", b"")
        if self._decompressor.eof:
            self._start_next_stream()
        return output

    def _needs_input(self) -> bool:
        return bool(getattr(self._decompressor, "needs_input", True))

    def _read_source(self) -> bytes:
        size = _CHUNK if self._left is None else min(_CHUNK, self._left)
        data = self._source.read(size) if size else b""
        self._bytes_in += len(data)
        if self._left is not None:
            self._left -= len(data)
        return data

    def _start_next_stream(self) -> None:
        """After the end of a gzip, bzip2 or xz stream there may be padding and another stream."""
        if isinstance(self._kind, int):
            self._ended = True
            return
        rest = self._decompressor.unused_data or self._read_source()
        while rest and not rest.strip(b"\0"):
            rest = self._read_source()
        if not rest:
            self._ended = True
            return
        self._streams += 1
        if self._streams > _SHORT_STREAMS + self._bytes_out // _BYTES_PER_STREAM:
            raise Reject("too-large", "archive", "streams above the limit")
        self._decompressor, self._input = _new_decompressor(self._kind), rest.lstrip(b"\0")

    def _check_ratio(self) -> None:
        if self._bytes_out > self._limits.ratio_from and self._bytes_out > self._limits.ratio * max(1, self._bytes_in):
            raise Reject("too-large", "archive", "compression ratio above the limit")


def _new_decompressor(kind: str | int) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(31)
    if kind in ("bzip2", _ZIP_BZIP2):
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    if kind == _ZIP_DEFLATE:
        return zlib.decompressobj(-15)
    raise Reject("corrupt", "archive", "a compression method that is not read")


class PeekedStream:
    """A stream whose first bytes can be looked at before they are read; it must have at least its stated size."""

    def __init__(self, source: ByteStream, size: int | None = None) -> None:
        self._source, self._left = source, size
        self._head = self._read_source(HEAD_BYTES)

    @property
    def head(self) -> bytes:
        return self._head

    def read(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head if len(head) == size else head + self._read_source(size - len(head))

    def _read_source(self, size: int) -> bytes:
        if self._left is not None:
            size = min(size, self._left)
        data = self._source.read(size) if size > 0 else b""
        if self._left is not None:
            if len(data) < size:
                raise Reject("truncated", "archive", "a member ends before its length says")
            self._left -= len(data)
        return data


def read_all(source: ByteStream, max_bytes: int, expected: int | None = None) -> bytes:
    """The rest of a stream, or a Reject if it is longer than `max_bytes` or than the `expected` length."""
    if expected is not None and expected <= max_bytes:
        data = source.read(expected)
        if not source.read(1):
            return data
        raise Reject("corrupt", "archive", "a member longer than its length says")
    parts, total = [], 0
    while part := source.read(_CHUNK):
        total += len(part)
        if total > max_bytes:
            raise Reject("too-large", "archive", "a member above the limit")
        parts.append(part)
    return b"".join(parts)
