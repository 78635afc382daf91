"""The child process that opens archives for archive_reader.ArchiveReader: it asks its parent for the bytes it needs.

The time from one member to the next is limited, at first by an exception, which ends the innermost archive alone; and
so is the time for all members together, after which the rest of the archive is given up.
"""

import dataclasses
import io
import signal
import sys
import time
from collections.abc import Iterator
from itertools import count
from types import FrameType
from typing import Any, BinaryIO

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.archives.splitting import read_piece, split_archive
from rajobs.imaging.child_process.exchange import read_exchange_into, write_exchange
from rajobs.imaging.child_process.limiting import (
    keep_memory,
    limit_memory,
    mapped_bytes,
    receive,
    send,
    start_timer,
    stop_timer,
)
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject
from rajobs.records.store.seekable import SeekableBytes

_GRACE_SECONDS = 5.0  # after the exception; then the process ends
_STEPS = 10  # that may take all of their time, before the archive is given up
_LARGEST_PIECE = 64 * MIB  # that is asked for at once
_TOGETHER_BYTES = MIB  # of members that are sent at once


def main() -> None:
    """Answer requests until the parent closes the pipe or is gone."""
    source, _, target = map(int, sys.argv[1:])
    keep_memory()
    _load_libraries()
    mapped = mapped_bytes()
    while True:
        request = receive()
        limits = Limits(**request["limits"])
        limit_memory(mapped, limits)
        work = _Work(limits)
        file: BinaryIO = io.BufferedReader(_ParentFile(source, request["size"], work), buffer_size=request["buffer"])
        if request["job"] == "split":
            work.start()
            split = split_archive(file, request["kind"], request["max_bytes"], request["max_members"], limits)
            work.stop()
            send({"split": dataclasses.asdict(split)})
        else:
            members = read_piece(file, request["key"], request["kind"], request["members"], limits)
            _send_members(members, request, target, work)
            send({"done": True})


def _load_libraries() -> None:
    """Load the usual libraries before memory is limited: what they map is not the archives' fault."""
    import bz2
    import lzma
    import zlib

    from imagecodecs import deflate_decode

    assert all((bz2, lzma, zlib, deflate_decode))


def _send_members(members: Iterator[ArchiveMember], request: dict[str, Any], target: int, work: "_Work") -> None:
    """Send the members, small ones together; the first `skip` ones the parent has from an earlier child."""
    together: list[dict[str, Any]] = []
    size = 0
    for number in count():
        work.start()
        member = next(members, None)
        work.stop()
        if member is not None and work.is_spent():
            members = iter(())
            reject = Reject("too-large", "archive", "work above the limit")
            member = ArchiveMember(path=request["key"], reject=reject, size=request["size"])
        elif member is not None and number < request["skip"]:
            continue
        if together and (member is None or len(together) == request["together"] or size >= _TOGETHER_BYTES):
            send({"members": together})
            receive()
            together, size = [], 0
        if member is None:
            return
        assert isinstance(member.data, bytes)
        write_exchange(target, member.data, size)
        together.append(_describe_member(member))
        size += len(member.data)


def _describe_member(member: ArchiveMember) -> dict[str, Any]:
    reject = member.reject
    why = [reject.reason, reject.stage, reject.detail] if isinstance(reject, Reject) else None
    return {"path": member.path, "size": member.size, "bytes": len(member.data), "reject": why}


class _Work:
    """The CPU time of the step at hand, and of all steps: more bytes may take more of it."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._runs = limits, False
        self._left = _STEPS * limits.archive_seconds
        self._last = time.process_time()

    def is_spent(self) -> bool:
        """Whether the archive has taken more time than all of it may take."""
        now = time.process_time()
        self._left -= now - self._last
        self._last = now
        return self._left < 0

    def start(self) -> None:
        self._runs = True
        signal.signal(signal.SIGPROF, self._end_step)
        start_timer(self._limits.archive_seconds)

    def stop(self) -> None:
        self._runs = False
        stop_timer()

    def pause(self) -> float:
        """Stop the timer for an exchange with the parent, which must not be broken off; the seconds left."""
        return stop_timer() if self._runs else 0.0

    def go_on(self, left: float, earned_bytes: int) -> None:
        earned = self._limits.archive_seconds_per_mib * earned_bytes / MIB
        self._left += 2 * earned
        if self._runs:
            start_timer(max(left, 1e-3) + earned)

    def _end_step(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        start_timer(_GRACE_SECONDS)
        raise Reject("too-large", "archive", "time above the limit")


class _ParentFile(SeekableBytes):
    """The archive, of which the parent reads the ranges that are asked for."""

    def __init__(self, source: int, size: int, work: _Work) -> None:
        super().__init__(size)
        self._source, self._work = source, work

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._length - self._position, _LARGEST_PIECE)
        if length <= 0:
            return 0
        left = self._work.pause()
        send({"start": self._position, "length": length})
        size = min(int(receive()["size"]), length)
        read_exchange_into(self._source, memoryview(buffer).cast("B")[:size])
        self._position += size
        self._work.go_on(left, size)
        return size


if __name__ == "__main__":
    main()
