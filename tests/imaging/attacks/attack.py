"""A hostile or odd input, the fate that a careful reader must give each object in it, and what that may cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

IMAGE, NO_IMAGE = "image", "ignored:not-an-image"
CORRUPT, TRUNCATED, TOO_LARGE = "reject:corrupt", "reject:truncated", "reject:too-large"
UNREADABLE, UNSAFE = "reject:unreadable", "reject:unsafe-path"
SLOW = "reject:too-large|reject:decoder-crashed"
"""Ended by a limit, whichever comes first."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """`make` writes it into an empty folder; `fates` are by path, with `|` between those that are as good."""

    name: str
    make: Callable[[Path], None]
    fates: Mapping[str, str]
    shows: str = "radiograph"  # what pictures without a header show
    seconds: float = 8.0  # of CPU time, of all processes that read it
    mebibytes: int = 400  # of memory, of the largest of them, beyond what it starts with
    long: bool = False  # for `make attack` alone


def one_file(
    name: str, data: Callable[[], bytes], fates: Mapping[str, str] | str, **more: float | bool | str
) -> Attack:
    """An attack of one file: its fate, or those of its members."""
    fates = {name: fates} if isinstance(fates, str) else fates
    return Attack(name=name, make=lambda folder: _write(folder / name, data()), fates=fates, **more)  # type: ignore[arg-type]


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
