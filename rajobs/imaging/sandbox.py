"""Reading files that are not trusted: their decoders run in a child process that may hang, crash or run out of memory.

One child serves thousands of files. A request is a line of JSON; the file and the pixels are passed through two unnamed
files in memory, and nothing is pickled. The child ends by itself: when this process is gone its input ends, and when a
decoder hangs a timer on its CPU time ends it. It gets no credentials and no key: its environment is an allow-list.
"""

import ctypes
import dataclasses
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rajobs.imaging.formats.reader import ReadPlan, plan_read, read_planned
from rajobs.imaging.image import Header, Ignored, Image, ReadOptions
from rajobs.imaging.limits import MIB
from rajobs.records.errors import Reject

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
_MAX_KEPT = 64 * MIB  # larger exchange files are emptied after a request
_ATTEMPTS = 2
_WALL_SECONDS_PER_CPU_SECOND = 6.0  # on a busy machine
_START_SECONDS = 10  # wall clock time in addition to that

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt, in glibc's malloc.h
_MAX_FREE_MEMORY = 256 * MIB
_LARGEST_HEAP_BLOCK = 32 * MIB  # the most that glibc accepts as M_MMAP_THRESHOLD


class ChildDied(Exception):
    """The child process ended, or was ended, before it answered."""


class Decoder:
    """Reads files, the risky ones in a child process, which is started when first needed and again after it died."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the child before it is needed: it takes a second to be ready."""
        if self._child is None:
            self._child = _Child()

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def peak_bytes(self) -> int:
        """The child's highest resident memory so far; 0 without a child or where the system does not tell."""
        return 0 if self._child is None else self._child.peak_bytes()

    def read(self, data: bytes, options: ReadOptions) -> list[Image]:
        """All images of a file, or its Reject or Ignored."""
        return self.read_planned(plan_read(data, options))

    def read_planned(self, plan: ReadPlan) -> list[Image]:
        """The images of a planned read, or its Reject or Ignored."""
        if plan.is_safe:
            return list(read_planned(plan))
        for _ in range(_ATTEMPTS):
            if self._child is None:
                self._child = _Child()
            try:
                return list(self._child.read_images(plan))
            except ChildDied:
                self.close()
        raise Reject("decoder-crashed", "decode")


class _Child:
    """The child process and the files shared with it."""

    def __init__(self) -> None:
        self._in, self._out = open_exchange_file("rajobs-in"), open_exchange_file("rajobs-out")
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # The same modules as here, even if a cluster's working directory was added to the path at run time.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rajobs.imaging.decoder_process", str(self._in), str(self._out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print what they read, header text included
            pass_fds=(self._in, self._out),
            env=environment,
        )

    def close(self) -> None:
        """Kill the child; it has nothing to save."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was left in the pipe's buffer is not needed
        os.close(self._in)
        os.close(self._out)

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))

    def read_images(self, plan: ReadPlan) -> Iterator[Image]:
        """The images of a file as the child decodes them."""
        write_exchange(self._in, plan.data)
        self._send({"size": len(plan.data), "options": dataclasses.asdict(plan.options)})
        while True:
            answer = self._receive(plan)
            if "image" in answer:
                yield self._take_image(answer["image"])
                self._send({})
                continue
            _empty_if_large(self._in)
            _empty_if_large(self._out)
            if "reject" in answer:
                raise Reject(*answer["reject"])
            if "ignored" in answer:
                raise Ignored(answer["ignored"])
            return

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise ChildDied from None

    def _receive(self, plan: ReadPlan) -> dict[str, Any]:
        assert self._process.stdout is not None
        # The child's own timer counts CPU time; this one is for a child that sleeps.
        timeout = _START_SECONDS + _WALL_SECONDS_PER_CPU_SECOND * plan.frame_seconds
        ready, _, _ = select.select([self._process.stdout], [], [], timeout)
        line = self._process.stdout.readline() if ready else b""
        if not line.endswith(b"\n"):
            raise ChildDied
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _take_image(self, description: dict[str, Any]) -> Image:
        """The image whose pixels are in the exchange file."""
        pixels = np.empty(description["shape"], np.dtype(description["dtype"]))
        read_exchange_into(self._out, pixels.reshape(-1).view(np.uint8).data)
        return Image(
            pixels=pixels,
            bits=description["bits"],
            window=tuple(description["window"]) if description["window"] else None,
            frame=description["frame"],
            doppler=description["doppler"],
            header=_header_from_json(description["header"]),
        )


def _header_from_json(fields: dict[str, Any]) -> Header:
    day = fields.pop("study_date")
    return Header(study_date=date.fromisoformat(day) if day else None, **fields)


def open_exchange_file(name: str) -> int:
    """The handle of an unnamed file that two processes share: in memory where the system offers that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, 0)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def write_exchange(handle: int, data: bytes | memoryview) -> None:
    """Write an exchange file from its start."""
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(handle, view[at:], at)


def read_exchange_into(handle: int, buffer: memoryview) -> None:
    """Fill a buffer from the start of an exchange file."""
    at = 0
    while at < len(buffer):
        count = os.preadv(handle, [buffer[at:]], at)
        if not count:
            raise ChildDied
        at += count


def read_exchange(handle: int, size: int) -> bytes:
    """The first `size` bytes of an exchange file."""
    data = os.pread(handle, size, 0)
    while len(data) < size:
        more = os.pread(handle, size - len(data), len(data))
        if not more:
            raise ChildDied
        data += more
    return data


def _empty_if_large(handle: int) -> None:
    if os.fstat(handle).st_size > _MAX_KEPT:
        os.ftruncate(handle, 0)


def keep_memory() -> None:
    """Let this process keep freed memory for the next film, which takes a tenth of the time of asking for it anew."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # only glibc has it
        mallopt(_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK)
        mallopt(_TRIM_THRESHOLD, _MAX_FREE_MEMORY)
