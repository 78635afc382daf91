"""Byte streams for archives: a window on a file, and a decompressor that stops at the limits."""

import bz2
import lzma
import zlib
from typing import Any, BinaryIO, Protocol

from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject
from rajobs.records.store.seekable import SeekableBytes

_STEP = MIB // 4


class Source(Protocol):
    """Bytes read forward."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer only at the end."""


class Window(SeekableBytes):
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


class Inflated:
    """What a compressed source holds, read forward. `kind` is gzip, bzip2, xz or a zip member's method number."""

    def __init__(self, source: Source, kind: str | int, limits: Limits, *, compressed: int | None = None) -> None:
        self._source, self._kind, self._limits = source, kind, limits
        self._engine, self._input, self._held = _engine(kind), b"", b""
        self._left = compressed  # bytes of the source that belong to this member; None: all
        self.taken, self.given, self._ended = 0, 0, False

    def read(self, size: int, /) -> bytes:
        parts, missing = [], size
        while missing > 0:
            if not self._held and not self._fill():
                break
            part, self._held = self._held[:missing], self._held[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        """More output in `_held`; False at the end."""
        while not self._ended:
            out = self._step()
            if out:
                self.given += len(out)
                self._check_ratio()
                self._held = out
                return True
        return False

    def _step(self) -> bytes:
        if not self._input and self._needs_input():
            self._input = self._more()
            if not self._input:
                raise Reject("truncated", "archive", "compressed data")
        try:
            out = self._decompress()
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            raise Reject("corrupt", "archive", "compressed data") from None
        if self._engine.eof:
            self._next_stream()
        return out

    def _needs_input(self) -> bool:
        return bool(getattr(self._engine, "needs_input", True))

    def _more(self) -> bytes:
        size = _STEP if self._left is None else min(_STEP, self._left)
        data = self._source.read(size) if size else b""
        self.taken += len(data)
        if self._left is not None:
            self._left -= len(data)
        return data

    def _decompress(self) -> bytes:
        out: bytes = self._engine.decompress(self._input, _STEP)
        # zlib hands back what it did not look at; the others keep it.
        self._input = getattr(self._engine, "unconsumed_tail", b"")
        return out

    def _next_stream(self) -> None:
        """After the end of a gzip, bzip2 or xz stream another one may follow; padding may too."""
        rest = self._engine.unused_data or (self._more() if isinstance(self._kind, str) else b"")
        rest = rest.lstrip(b"\0")
        if isinstance(self._kind, int) or not rest:
            self._ended = True
        else:
            self._engine, self._input = _engine(self._kind), rest

    def _check_ratio(self) -> None:
        if self.given > self._limits.ratio_from and self.given > self._limits.ratio * max(1, self.taken):
            raise Reject("too-large", "archive", "compression ratio above the limit")


def _engine(kind: str | int) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(31)
    if kind in ("bzip2", 12):
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(memlimit=128 * MIB)
    if kind == 8:
        return zlib.decompressobj(-15)
    raise Reject("corrupt", "archive", "a compression method that is not read")


class Peeked:
    """A source whose first bytes were looked at; counts what is read and stops at its stated size."""

    def __init__(self, source: Source, size: int | None = None) -> None:
        self._source, self._left = source, size
        self._head = self._pull(512)

    @property
    def head(self) -> bytes:
        return self._head

    def read(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head if len(head) == size else head + self._pull(size - len(head))

    def _pull(self, size: int) -> bytes:
        if self._left is not None:
            size = min(size, self._left)
        data = self._source.read(size) if size > 0 else b""
        if self._left is not None:
            if len(data) < size:
                raise Reject("truncated", "archive", "a member ends before its length says")
            self._left -= len(data)
        return data


def read_all(source: Source, most: int, expected: int | None = None) -> bytes:
    """All that is left of a source, or a Reject when it is more than `most`."""
    if expected is not None and expected <= most:
        first = source.read(expected)
        if not source.read(1):
            return first
        raise Reject("corrupt", "archive", "a member longer than its length says")
    parts, held = [], 0
    while part := source.read(_STEP):
        held += len(part)
        if held > most:
            raise Reject("too-large", "archive", "a member above the limit")
        parts.append(part)
    return b"".join(parts)
