"""Drivers and workers that are killed in the middle of their work."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 120  # until the moment to kill must have come


def kill_driver(command: Sequence[str], ready: Callable[[], bool], folder: Path) -> None:
    """Start a driver in a folder, and kill it with its children as soon as the moment has come."""
    driver = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + SECONDS
        while not ready() and time.monotonic() < end:
            assert driver.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait(30)


@contextmanager
def one_killed(name: bytes, ready: Callable[[], bool]) -> Iterator[None]:
    """One worker of a kind is killed as soon as the moment has come."""
    killed: list[int] = []
    over = threading.Event()

    def kill_one() -> None:
        while not killed and not over.wait(0.02):
            if ready():
                for worker in _workers(name)[:1]:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()
    assert killed, "it ended before a worker could be killed"


def wait_for_end(name: bytes) -> None:
    """Until no worker of a kind is left, as those of a dead driver are for a moment."""
    end = time.monotonic() + SECONDS
    while _workers(name) and time.monotonic() < end:
        time.sleep(0.1)


def _workers(name: bytes) -> list[int]:
    """This process's Ray workers of a kind, by the names that Ray gives them."""
    workers = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            if title.startswith(b"ray::") and name in title and os.getpid() in ancestors(folder):
                workers.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return workers


def ancestors(folder: Path) -> list[int]:
    """The processes that a process descends from."""
    ancestors = []
    while folder.name != "0":
        parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        ancestors.append(int(parent))
        folder = folder.parent / parent
    return ancestors
