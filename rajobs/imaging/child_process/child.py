"""A child process as its parent sees it: lines of JSON in turn, and bytes through two unnamed files in memory.

The child ends by itself: when this process is gone its input ends, and a timer on its CPU time ends it when it hangs.
It gets no credentials and no key: its environment is an allow-list.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rajobs.imaging.child_process.exchange import ChildDied, open_exchange_file

ATTEMPTS = 2
"""How often one object may kill a child before it is turned away."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
_WALL_SECONDS_PER_CPU_SECOND = 6.0  # on a busy machine
_START_SECONDS = 10  # wall clock time in addition to that
_LONGEST_LINE = 64 << 20  # bytes: a member's name may be a megabyte, and each of its letters six
_PIECE = 1 << 16


class Child:
    """A child process that runs a module, and the files shared with it."""

    def __init__(self, module: str, shared: int | None = None) -> None:
        """`shared` is an exchange file of several children, which is left open when this one ends; else its own."""
        self.to_child, self.from_child = open_exchange_file("rajobs-in"), open_exchange_file("rajobs-out")
        self._owns_shared = shared is None
        self.shared = open_exchange_file("rajobs-members") if shared is None else shared
        files = (self.to_child, self.from_child, self.shared)
        self._read_ahead = b""
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # The same modules as here, even if a cluster's working directory was added to the path at run time.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print what they read, header text included
            pass_fds=files,
            env=environment,
        )

    def close(self) -> None:
        """Kill the child; it has nothing to save."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was left in the pipe's buffer is not needed
        for handle in (self.to_child, self.from_child, *((self.shared,) if self._owns_shared else ())):
            os.close(handle)

    def peak_bytes(self) -> int:
        """The highest resident memory so far; 0 where the system does not tell."""
        status = Path(f"/proc/{self.process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise self._died() from None

    def receive(self, cpu_seconds: float) -> dict[str, Any]:
        """The next message. The child's own timer counts its CPU time; this one is for a child that sleeps."""
        ends = time.monotonic() + _START_SECONDS + _WALL_SECONDS_PER_CPU_SECOND * cpu_seconds
        pieces = [self._read_ahead]
        size = len(self._read_ahead)
        while b"\n" not in pieces[-1]:
            piece = self._read_piece(ends)
            size += len(piece)
            if not piece or size > _LONGEST_LINE:
                raise self._died()
            pieces.append(piece)
        line, _, self._read_ahead = b"".join(pieces).partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            raise self._died() from None
        return dict(message)

    def _read_piece(self, ends: float) -> bytes:
        assert self.process.stdout is not None
        handle = self.process.stdout.fileno()
        ready, _, _ = select.select([handle], [], [], max(0.0, ends - time.monotonic()))
        return os.read(handle, _PIECE) if ready else b""

    def _died(self) -> ChildDied:
        try:
            code = self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return ChildDied()
        return ChildDied(over_time=code == -signal.SIGPROF)


class ChildUser:
    """Has a child process that is started when it is first needed, and again after it died."""

    def __init__(self, module: str, shared: int | None) -> None:
        """`shared` is an exchange file that other children have too."""
        self._module, self._shared = module, shared
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> Child:
        """The child, ready or about to be: it takes a second."""
        if self._child is None:
            self._child = Child(self._module, self._shared)
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def peak_bytes(self) -> int:
        """The child's highest resident memory so far; 0 without a child or where the system does not tell."""
        return 0 if self._child is None else self._child.peak_bytes()
