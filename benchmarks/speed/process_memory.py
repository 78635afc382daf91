"""The memory of a process and all that descend from it, looked at five times a second (Linux)."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY = 0.2  # seconds
DECODER = b"rajobs.imaging.decoder_process"


@dataclass(kw_only=True)
class Peaks:
    """Bytes: all processes at once (resident less shared), the first process, a worker with its decoder (resident)."""

    tree: int = 0
    driver: int = 0
    worker: int = 0


class Watch:
    """Watches from entry to exit. A worker is a descendant whose command line holds `worker`."""

    def __init__(self, pid: int, worker: bytes) -> None:
        self.peaks = Peaks()
        self._pid, self._worker = pid, worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY):
            self._look()

    def _look(self) -> None:
        children = _children()
        tree, waiting = 0, [self._pid]
        while waiting:
            pid = waiting.pop()
            below = children.get(pid, [])
            waiting += below
            tree += _own(pid)
            if pid == self._pid:
                self.peaks.driver = max(self.peaks.driver, _highest(pid))
            elif self._worker in (title := _title(pid)) and DECODER not in title:
                decoders = sum(_highest(child) for child in below if DECODER in _title(child))
                self.peaks.worker = max(self.peaks.worker, _highest(pid) + decoders)
        self.peaks.tree = max(self.peaks.tree, tree)


def _children() -> dict[int, list[int]]:
    """The processes that each process has started."""
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            told = _read(f"{folder}/stat").rpartition(b")")[2].split()
            if told:
                found.setdefault(int(told[1]), []).append(int(folder.name))
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""  # it ended meanwhile


def _title(pid: int) -> bytes:
    return _read(f"/proc/{pid}/cmdline")


def _own(pid: int) -> int:
    told = _read(f"/proc/{pid}/statm").split()
    return (int(told[1]) - int(told[2])) * PAGE if told else 0


def _highest(pid: int) -> int:
    lines = _read(f"/proc/{pid}/status").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(b"VmHWM:"))
