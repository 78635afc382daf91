"""An object of a store as a file that can be sought in: for zip directories and Parquet footers."""

import io
from typing import Any

from rajobs.records.errors import StoreError
from rajobs.records.store import Store


class Span(io.RawIOBase):
    """A place in a run of bytes of known length that can be sought in; how they are read is its heirs' affair."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length, self._at = length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at


class RangeFile(Span):
    """Reads what is asked for, and no more, by ranges of bytes."""

    def __init__(self, store: Store, key: str, size: int) -> None:
        super().__init__(size)
        self._store, self._key = store, key

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._length - self._at)
        if length <= 0:
            return 0
        data = self._store.read_range(self._key, self._at, length)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_object(store: Store, key: str, *, buffer: int = 1 << 20) -> io.BufferedReader:
    """An object as a buffered, seekable binary file."""
    entry = store.stat(key)
    if entry is None:
        raise StoreError(f"an object that was listed is no longer at {store.uri}; start the job again")
    return io.BufferedReader(RangeFile(store, key, entry.size), buffer_size=buffer)
