"""Reading files that are not trusted: decoders run in a child that may hang, crash or run out of memory.

One child serves thousands of files. The request is a line of JSON, the file and the pixels go through two unnamed files
in memory; nothing is pickled. The child ends by itself: at the end of its input when this process is gone, and by a
timer on its processor time when a decoder hangs. It gets no credentials and no key: its environment is a short list.
"""

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

from rajobs.imaging.fates import Ignored
from rajobs.imaging.formats import reader
from rajobs.imaging.formats.reader import Plan
from rajobs.imaging.image import Header, Image, ReadOptions
from rajobs.imaging.limits import MIB
from rajobs.records.errors import Reject

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
_KEPT = 64 * MIB  # of the exchange files between requests
_ATTEMPTS = 2
_PATIENCE = 6.0  # wall clock seconds for each second of processor time, on a busy machine


class Died(Exception):
    """The child ended, or was ended, before its answer."""


class Decoder:
    """Reads files; the risky ones in a child process that is started when first needed and again when it died."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the child before it is needed: it takes a second to be ready."""
        if self._child is None:
            self._child = _Child()

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def peak_bytes(self) -> int:
        """The living child's highest resident memory; 0 where there is none, or no way to tell."""
        return 0 if self._child is None else self._child.peak_bytes()

    def read(self, data: bytes, options: ReadOptions) -> list[Image]:
        """All images of an object, or the Reject or Ignored that it ends in."""
        return self.finish(reader.plan(data, options))

    def finish(self, plan: Plan) -> list[Image]:
        """The images of a plan."""
        if plan.safe:
            return list(reader.frames(plan))
        for _ in range(_ATTEMPTS):
            if self._child is None:
                self._child = _Child()
            try:
                return list(self._child.images(plan))
            except Died:
                self.close()
        raise Reject("decoder-crashed", "decode")


class _Child:
    """The child process and the files shared with it."""

    def __init__(self) -> None:
        self._in, self._out = exchange_file("rajobs-in"), exchange_file("rajobs-out")
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # The same modules as here, also where a cluster's working directory put them on the path at run time.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rajobs.imaging.child", str(self._in), str(self._out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print what they find, header text too
            pass_fds=(self._in, self._out),
            env=environment,
        )

    def close(self) -> None:
        """Kills the child; it holds nothing that is worth a farewell."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was still in the pipe's buffer is for nobody
        os.close(self._in)
        os.close(self._out)

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))

    def images(self, plan: Plan) -> Iterator[Image]:
        """The child's images of a file."""
        put(self._in, plan.data)
        self._send({"size": len(plan.data), "options": dataclasses.asdict(plan.options)})
        while True:
            answer = self._receive(plan)
            if "image" in answer:
                yield self._image(answer)
                self._send({})
                continue
            _trim(self._in)
            _trim(self._out)
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
            raise Died from None

    def _receive(self, plan: Plan) -> dict[str, Any]:
        assert self._process.stdout is not None
        limits, layout = plan.options.limits, plan.scan.layout if plan.scan else None
        megapixels = layout.rows * layout.columns / 1e6 if layout else limits.pixels / 1e7
        seconds = limits.decode_seconds + limits.decode_seconds_per_megapixel * megapixels
        # The child's own timer counts processor time; this one is for a child that sleeps.
        ready, _, _ = select.select([self._process.stdout], [], [], 10 + _PATIENCE * seconds)
        line = self._process.stdout.readline() if ready else b""
        if not line.endswith(b"\n"):
            raise Died
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _image(self, answer: dict[str, Any]) -> Image:
        found = answer["image"]
        pixels = np.empty(found["shape"], np.dtype(found["dtype"]))
        take(self._out, pixels.reshape(-1).view(np.uint8).data)
        window = tuple(found["window"]) if found["window"] else None
        return Image(
            pixels=pixels,
            bits=found["bits"],
            window=window,
            frame=found["frame"],
            doppler=found["doppler"],
            header=header_from(found["header"]),
        )


def header_from(found: dict[str, Any]) -> Header:
    """A header out of JSON."""
    studied = found.pop("study_date")
    return Header(study_date=date.fromisoformat(studied) if studied else None, **found)


def exchange_file(name: str) -> int:
    """An unnamed file that two processes share: in memory where the system offers it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, 0)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def put(handle: int, data: bytes | memoryview) -> None:
    """Bytes into an exchange file."""
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(handle, view[at:], at)


def take(handle: int, into: memoryview) -> None:
    """Bytes out of an exchange file."""
    at = 0
    while at < len(into):
        got = os.preadv(handle, [into[at:]], at)
        if not got:
            raise Died
        at += got


def whole(handle: int, size: int) -> bytes:
    """The first bytes of an exchange file."""
    data = os.pread(handle, size, 0)
    while len(data) < size:
        more = os.pread(handle, size - len(data), len(data))
        if not more:
            raise Died
        data += more
    return data


def _trim(handle: int) -> None:
    if os.fstat(handle).st_size > _KEPT:
        os.ftruncate(handle, 0)
