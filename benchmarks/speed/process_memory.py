"""Memory of a process and all its descendants, sampled five times per second (Linux)."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY = 0.2  # seconds
DECODER = b"rajobs.imaging.child_process"


@dataclass(kw_only=True)
class Peaks:
    """Peak bytes: all processes together (resident minus shared), the driver, a worker with its decoder (resident)."""

    tree: int = 0
    driver: int = 0
    worker: int = 0


class Watch:
    """Samples the memory from entry to exit. A worker is a descendant whose command line contains `worker`."""

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
            self._sample()

    def _sample(self) -> None:
        children = _children()
        tree, waiting = 0, [self._pid]
        while waiting:
            pid = waiting.pop()
            below = children.get(pid, [])
            waiting += below
            tree += _private_bytes(pid)
            if pid == self._pid:
                self.peaks.driver = max(self.peaks.driver, _peak_bytes(pid))
            elif self._worker in (command := _command_line(pid)) and DECODER not in command:
                decoders = sum(_peak_bytes(child) for child in below if DECODER in _command_line(child))
                self.peaks.worker = max(self.peaks.worker, _peak_bytes(pid) + decoders)
        self.peaks.tree = max(self.peaks.tree, tree)


def _children() -> dict[int, list[int]]:
    """The processes that each process has started."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _read(f"{folder}/stat").rpartition(b")")[2].split()
            if fields:
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    return children


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""  # the process has ended in the meantime


def _command_line(pid: int) -> bytes:
    return _read(f"/proc/{pid}/cmdline")


def _private_bytes(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return (int(fields[1]) - int(fields[2])) * PAGE if fields else 0


def _peak_bytes(pid: int) -> int:
    lines = _read(f"/proc/{pid}/status").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(b"VmHWM:"))
