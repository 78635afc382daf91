"""What the five papers print: matrices, counts and figures (papers/*.toml), and which values round to a number."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from math import floor
from typing import Any

import numpy as np

from rajobs.records.count_statistics import Ints

NUMBERS = ("000", "001", "002", "003", "004")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number as it stands in print: `65.4%`, `0.62`, `8,760` or `<0.0001`."""

    text: str

    @cached_property
    def percent(self) -> bool:
        return self.text.endswith("%")

    @cached_property
    def shown(self) -> float:
        """The digits as they stand, a percentage not divided."""
        return float(self.text.strip("<%").replace(",", ""))

    @cached_property
    def decimals(self) -> int:
        return len(self.text.strip("<%").partition(".")[2])

    def rounds(self, value: float) -> bool:
        """Whether a value is printed so; of a value half-way both are."""
        mine = self._scaled(value)
        if self.text.startswith("<"):
            return mine < self.shown
        return abs(mine - self.shown) <= 0.5 * 10.0**-self.decimals + 1e-9

    def halfway(self, value: float) -> bool:
        """Whether a value rounds up to one number and down to the next."""
        return abs(self.away(value) * 10.0**self.decimals - 0.5) < 1e-6

    def cuts(self, value: float) -> bool:
        """Whether a value is printed so by leaving its further digits off."""
        unit = 10.0**self.decimals
        return floor(self._scaled(value) * unit + 1e-9) == round(self.shown * unit)

    def away(self, value: float) -> float:
        """How far a value is from what is printed."""
        return abs(self._scaled(value) - self.shown)

    def show(self, value: float) -> str:
        """A value in the same unit, with two digits more."""
        return f"{self._scaled(value):,.{self.decimals + 2}f}{'%' if self.percent else ''}"

    def wholes(self, whole: float) -> tuple[int, ...]:
        """The counts of so many that are printed so."""
        near = self.shown / (100 if self.percent else 1) * whole
        return tuple(k for k in range(max(int(near) - 2, 0), int(near) + 4) if k <= whole and self.rounds(k / whole))

    def _scaled(self, value: float) -> float:
        return value * 100 if self.percent else value


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A place in a paper with what it prints, and the counts it can be held against."""

    kind: str
    where: str
    what: str
    has: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.has[name]

    @property
    def note(self) -> str:
        return str(self.has.get("note", ""))

    @property
    def numbers(self) -> dict[str, Number]:
        """The printed numbers by the name that the paper gives them."""
        printed = self.has["printed"]
        if isinstance(printed, str):
            printed = {str(self.has.get("named", "")): printed}
        return {name: Number(text=text) for name, text in printed.items()}


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper's printed matrices and figures, and what is odd about them."""

    number: str
    title: str
    oddities: tuple[str, ...]
    matrices: Mapping[str, Ints]  # truth down, answer across
    entries: tuple[Entry, ...]


def read_paper(number: str) -> Paper:
    """A paper's data."""
    told = tomllib.loads((files("rajobs.papers") / f"{number}.toml").read_text(encoding="utf-8"))
    entries = (
        Entry(kind=entry.pop("kind"), where=entry.pop("where"), what=entry.pop("what"), has=entry)
        for entry in told["entry"]
    )
    return Paper(
        number=number,
        title=told["title"],
        oddities=tuple(told["oddities"]),
        matrices={name: np.array(matrix["counts"], np.int64) for name, matrix in told.get("matrix", {}).items()},
        entries=tuple(entries),
    )


def papers() -> tuple[Paper, ...]:
    """All five."""
    return tuple(map(read_paper, NUMBERS))
