"""What every store promises: the Store interface and the entry of an object."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An object: its key below the store's root, its size in bytes, and a tag that changes with its content."""

    key: str
    size: int
    etag: str


class Store(Protocol):
    """A flat set of objects below one root URI.

    An object is written whole or not at all. Nothing is renamed, moved or copied. Every failure is a StoreError; where
    bytes still do not arrive after several attempts, a MediumFault.
    """

    uri: str

    def put(self, key: str, data: bytes) -> None:
        """Write one object, atomically."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Write one object unless there is one; of several writers at once exactly one does, and hears True."""

    def put_file(self, key: str, path: Path) -> None:
        """Write one object, atomically, from a local file that may be larger than the memory."""

    def get(self, key: str, etag: str = "") -> bytes:
        """Read one object whole; with the etag of an entry, the very object that was listed."""

    def read_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        """Read at most `length` bytes from `start`; with the etag of an entry, of the very object that was listed."""

    def stat(self, key: str) -> Entry | None:
        """The object's entry, or None."""

    def age(self, key: str) -> float | None:
        """Seconds since the object was written, by the store's own clock; None without one."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object whose key starts with `prefix`, in the order of the keys' bytes."""

    def delete(self, key: str) -> None:
        """Remove one object if it is there."""

    def sweep(self) -> None:
        """Remove what killed writers left unfinished; call it only while nobody writes."""
