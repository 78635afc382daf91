"""What a job prints while it works: a bar on a terminal, a line now and then in a log, a short table at the end."""

import io
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from types import TracebackType

from rajobs.reports.wording import format_figure

EVERY = 30.0  # seconds between two lines in a log


def line(text: str) -> None:
    """Print one line for the user."""
    print(text, flush=True)


def table(title: str, rows: Mapping[str, object]) -> None:
    """Print a summary: a title, and one line per row."""
    width = max(len(name) for name in rows)
    line(f"\n{title}")
    for name, value in rows.items():
        line(f"  {name:<{width}}  {value:,}" if isinstance(value, int) else f"  {name:<{width}}  {value}")


def figure(figure: Mapping[str, float | None]) -> str:
    """A figure with its interval, or the reason why there is none."""
    value = figure["value"]
    if value is None or math.isnan(value):
        return "unknown: too few rows"
    return format_figure(figure) or f"{value:.3f} (no interval: too few patients)"


class Progress:
    """Shows how many steps of a job are done."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self._start = self._last_shown = time.monotonic()
        # Time and count of the first steps done. The rate is measured from there, since workers start slowly.
        self._first: tuple[float, int] | None = None
        self._bar = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def step(self, count: int = 1, note: str = "") -> None:
        """Count steps that are done."""
        self.done += count
        now = time.monotonic()
        if self._first is None:
            self._first = now, self.done
        if self._bar or now - self._last_shown >= EVERY:
            self._last_shown = now
            self._show(note)

    def _show(self, note: str) -> None:
        text = f"{self.what}: {self.done:,} of {self.total:,}{self._left()}"
        text = f"{text}, {note}" if note else text
        if not self._bar:
            line(text)
            return
        filled = round(30 * self.done / max(self.total, 1))
        sys.stderr.write(f"\r\x1b[K[{'#' * filled}{'.' * (30 - filled)}] {text}")
        sys.stderr.flush()

    def _left(self) -> str:
        """The estimated time left, once there is a rate to estimate it from."""
        assert self._first is not None
        since, before = self._first
        if self.done <= before or self.done >= self.total:
            return ""
        rate = (time.monotonic() - since) / (self.done - before)
        return f", {clock(rate * (self.total - self.done))} left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            sys.stderr.write("\r\x1b[K")
        if error is None and self.done:
            line(f"{self.what}: {self.done:,} in {clock(time.monotonic() - self._start)}")


def clock(seconds: float) -> str:
    """A duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def silence() -> Iterator[None]:
    """For what is done a second time, elsewhere: its lines have been shown."""
    with redirect_stdout(io.StringIO()):
        yield


@contextmanager
def step(what: str) -> Iterator[None]:
    """A step of unknown length; its time is printed at the end."""
    start = time.monotonic()
    yield
    line(f"{what}: {clock(time.monotonic() - start)}")
