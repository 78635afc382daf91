"""One driver at a time writes an OUT: it has the lease there, an object with a number that is never used twice.

    OUT/lease/000001.json   of the first run
    OUT/lease/000002.json   of the run that came after it, or took its place: the highest number is the lease

Creating the next number is one conditional put, so that of several drivers one alone gets it. Whoever holds the lease
writes its object anew now and then; by the store's own clock it is stale when that has not happened for a while. What a
run writes carries its number, and the highest number counts: a driver that wakes up late writes nothing that does.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rajobs.records.errors import LeaseHeld, LeaseLost, StoreError
from rajobs.records.store.base import Store

FOLDER = "lease"
STALE = 120.0
"""Seconds without a sign of life, by the store's clock, after which anybody may take a lease."""
RENEW = 30.0  # seconds between two signs of life
TRUSTED = 10.0  # seconds for which the answer that a run still has its lease is good enough for a worker's next part
RELEASED = MappingProxyType({"state": "given back"})
"""What stands in a lease that nobody holds: nothing of who held it, so that equal outputs are equal bytes."""

_NUMBER = re.compile(r"\.(\d+)(?=\.[a-z]+$)")


def numbered(key: str, number: int) -> str:
    """A key with the number of the run that writes it, before its ending."""
    stem, _, ending = key.rpartition(".")
    return f"{stem}.{number}.{ending}"


def number_of(key: str) -> int:
    """The number of the run that wrote a key; 0 of a version that numbered none."""
    number = _NUMBER.search(key)
    return int(number[1]) if number else 0


def without_number(key: str) -> str:
    """A key as it is whichever run writes it."""
    return _NUMBER.sub("", key)


class Fence:
    """Whether a run still has the lease of OUT: what its workers ask before they write."""

    def __init__(self, store: Store, number: int) -> None:
        self.store, self.number, self._trusted_until = store, number, -1.0

    def check(self, *, now: bool = False) -> None:
        """LeaseLost if another run has taken the lease; asked again after some seconds only, or `now`."""
        if not now and time.monotonic() < self._trusted_until:
            return
        if self.store.stat(_key(self.number + 1)) is not None:
            raise LeaseLost(
                f"another command has taken {self.store.uri} over from this one (run {self.number}), which stops: "
                "nothing that it still writes counts"
            )
        self._trusted_until = time.monotonic() + TRUSTED


@contextmanager
def hold(store: Store, job: str, *, take_over: bool = False) -> Iterator[Fence]:
    """The lease of OUT while a driver works; LeaseHeld if another one has it and lives, unless this one takes over."""
    number = _next_number(store, take_over=take_over)
    content = {"job": job, "owner": _owner(), "since": _now(), **_process()}
    if not store.put_new(_key(number), _to_json(content)):
        raise LeaseHeld(f"another command has begun to write {store.uri} at this moment; wait for it or stop it")
    if store.put_new(_key(number), b"a put that must be refused"):
        raise StoreError(
            f"{store.uri} overwrites what a conditional put must not: nothing keeps two drivers apart there"
        )
    over = threading.Event()
    renewer = threading.Thread(target=_renew, args=(store, number, content, over), daemon=True)
    renewer.start()
    try:
        yield Fence(store, number)
    finally:
        over.set()
        renewer.join()
        with suppress(StoreError):  # then it becomes stale by itself
            store.put(_key(number), _to_json(RELEASED))


def _renew(store: Store, number: int, content: dict[str, Any], over: threading.Event) -> None:
    """Write the lease anew from time to time. A store that is away for a while takes it from nobody."""
    while not over.wait(RENEW):
        with suppress(StoreError):
            store.put(_key(number), _to_json(content))


def describe(store: Store) -> str | None:
    """Who holds the lease of OUT, and their last sign of life; None if nobody does."""
    last = _last(store)
    return None if last is None else _describe_holder(store, last)


def _next_number(store: Store, *, take_over: bool) -> int:
    """The number that follows the last run's, if that run's lease is free."""
    last = _last(store)
    if last is None:
        return 1
    holder = None if take_over else _describe_holder(store, last)
    if holder is not None:
        raise LeaseHeld(
            f"{store.uri} is being written by {holder}; wait for it or stop it. If it is gone, --take-over takes its "
            f"place at once, and without it anybody can after {STALE:.0f} s without a sign of life"
        )
    return last + 1


def _last(store: Store) -> int | None:
    """The highest number."""
    numbers = [int(Path(entry.key).stem) for entry in store.list(f"{FOLDER}/")]
    return max(numbers, default=None)


def _describe_holder(store: Store, number: int) -> str | None:
    """Who holds a lease, or None if it is free: given back, its process gone, or without a sign of life."""
    content = _read(store, number)
    if content == RELEASED or _is_dead(content):
        return None
    age = store.age(_key(number))
    if age is None or age > STALE:
        return None
    who = f"rajobs {content['job']} on {content['owner']} since {content['since']}" if content else "another command"
    return f"{who} (last sign of life {max(age, 0.0):.0f} s ago)"


def _read(store: Store, number: int) -> dict[str, Any]:
    try:
        return dict(json.loads(store.get(_key(number))))
    except ValueError:
        return {}  # a file that is being written at this moment


def _key(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"


def _to_json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(content), sort_keys=True, indent=1).encode() + b"\n"


def _now() -> str:
    """For people alone: no clock of a machine decides anything."""
    return datetime.now(UTC).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00") + " UTC"


def _owner() -> str:
    return f"{socket.gethostname()} (process {os.getpid()})"


def _process() -> dict[str, Any]:
    """What tells this process from any other one on any machine, where the system says it (Linux)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = str(Path("/proc/self/ns/pid").readlink())
        return {"processes": f"{boot} {space}", "pid": os.getpid(), "began": _began(os.getpid())}
    except OSError:
        return {}


def _began(pid: int) -> str:
    """When a process began, in ticks since the system's start: its number may be another's later."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _is_dead(content: dict[str, Any]) -> bool:
    """Whether the holder was a process that could be seen from here, and is no more: nobody need wait for it."""
    here = _process()
    if not here or content.get("processes") != here["processes"]:
        return False
    try:
        return bool(_began(content["pid"]) != content["began"])
    except (FileNotFoundError, ProcessLookupError):
        return True
