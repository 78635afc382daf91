"""Unnamed files in memory, through which a process and its child pass bytes."""

import mmap
import os
import tempfile
from dataclasses import dataclass

from rajobs.imaging.limits import MIB

_MAX_KEPT = 64 * MIB  # larger exchange files are emptied after a request


class ChildDied(Exception):
    """The child process ended, or was ended, before it answered; `over_time`: by the limit on its CPU time."""

    def __init__(self, *, over_time: bool = False) -> None:
        super().__init__(over_time)
        self.over_time = over_time


def open_exchange_file(name: str) -> int:
    """The handle of an unnamed file that two processes share: in memory where the system offers that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, 0)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def write_exchange(handle: int, data: bytes | memoryview, start: int = 0) -> None:
    """Write an exchange file from its start, or from another byte."""
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(handle, view[at:], start + at)


def read_exchange_into(handle: int, buffer: memoryview) -> None:
    """Fill a buffer from the start of an exchange file."""
    at = 0
    while at < len(buffer):
        count = os.preadv(handle, [buffer[at:]], at)
        if not count:
            raise ChildDied
        at += count


def map_exchange(handle: int, size: int, start: int = 0) -> memoryview:
    """Bytes of an exchange file without a copy: until it is written again."""
    if not size:
        return memoryview(b"")
    return memoryview(mmap.mmap(handle, start + size, prot=mmap.PROT_READ))[start:]


@dataclass(frozen=True, kw_only=True)
class ExchangeBytes:
    """Bytes that lie in an exchange file, until it is written again: another child can read them there."""

    handle: int
    start: int
    size: int

    def __len__(self) -> int:
        return self.size

    def view(self) -> memoryview:
        """The bytes, without a copy."""
        return map_exchange(self.handle, self.size, self.start)


def empty_if_large(handle: int) -> None:
    """Give the memory of a large exchange file back."""
    if os.fstat(handle).st_size > _MAX_KEPT:
        os.ftruncate(handle, 0)
