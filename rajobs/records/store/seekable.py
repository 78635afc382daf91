"""An object of a store as a seekable file: for the directory of a zip and the footer of a Parquet file."""

import io
from typing import Any

from rajobs.records.errors import StoreError, Unreadable
from rajobs.records.store.base import Entry, Store


class SeekableBytes(io.RawIOBase):
    """A position in a known number of bytes; a subclass says in `readinto` how they are read."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length, self._position = length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position


class ObjectFile(SeekableBytes):
    """An object of a store, of which only the ranges that are asked for are read."""

    def __init__(self, store: Store, entry: Entry) -> None:
        super().__init__(entry.size)
        self._store, self._entry = store, entry

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._length - self._position)
        if length <= 0:
            return 0
        data = self._store.read_range(self._entry.key, self._position, length, self._entry.etag)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def open_object(store: Store, key: str, *, buffer: int = 1 << 20, etag: str = "") -> io.BufferedReader:
    """An object (the one with that etag) as a seekable binary file that reads at least `buffer` bytes at a time."""
    entry = store.stat(key)
    if entry is None:
        raise Unreadable(f"an object that was listed is no longer at {store.uri}; start the job again")
    if etag and entry.etag != etag:
        raise StoreError(f"an object at {store.uri} has changed since it was listed; start the job again")
    return io.BufferedReader(ObjectFile(store, entry), buffer_size=buffer)
