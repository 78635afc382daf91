"""What a child process does to itself: its messages, its address space and the CPU time of each step of its work."""

import ctypes
import json
import mmap
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from rajobs.imaging.limits import MIB, Limits

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt, in glibc's malloc.h
_MAX_FREE_MEMORY = 256 * MIB
_LARGEST_HEAP_BLOCK = 32 * MIB  # the most that glibc accepts as M_MMAP_THRESHOLD


def mapped_bytes() -> int:
    """The address space in use; 0 where the system does not tell, and memory is then not limited."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * mmap.PAGESIZE if statm.exists() else 0


def limit_memory(mapped: int, limits: Limits) -> None:
    """Limit the address space to what was mapped at the start and what a file may take."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if mapped:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + limits.child_bytes, resource.RLIM_INFINITY))


def start_timer(cpu_seconds: float) -> None:
    """Limit the CPU time of what comes: where nothing handles the signal, it ends the process even in a decoder."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def stop_timer() -> float:
    """Stop the timer; the CPU seconds that were left."""
    return signal.setitimer(signal.ITIMER_PROF, 0)[0]


def send(message: dict[str, Any]) -> None:
    """Send a message to the parent."""
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def receive() -> dict[str, Any]:
    """The parent's next message; without a parent the process ends."""
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit()
    return dict(json.loads(line))


def keep_memory() -> None:
    """Let this process keep freed memory for the next film, which takes a tenth of the time of asking for it anew."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # only glibc has it
        mallopt(_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK)
        mallopt(_TRIM_THRESHOLD, _MAX_FREE_MEMORY)
