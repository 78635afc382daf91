"""What the five papers print: their matrices, counts and figures (000.toml to 004.toml), and printed numbers."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from math import floor
from typing import Any

import numpy as np

from rajobs.records.statistics.count_statistics import Ints

PAPERS = ("000", "001", "002", "003", "004")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number as it is printed: `65.4%`, `0.62`, `8,760` or `<0.0001`. Values are shares, not percentages."""

    text: str

    @cached_property
    def is_percent(self) -> bool:
        return self.text.endswith("%")

    @cached_property
    def digits(self) -> float:
        """The printed digits as a number; a percentage is not divided by 100."""
        return float(self.text.strip("<%").replace(",", ""))

    @cached_property
    def decimals(self) -> int:
        return len(self.text.strip("<%").partition(".")[2])

    def is_rounded(self, value: float) -> bool:
        """Whether a value is printed like this after rounding; half-way, both directions count as rounding."""
        scaled = self._scale(value)
        if self.text.startswith("<"):
            return scaled < self.digits
        return abs(scaled - self.digits) <= 0.5 * 10.0**-self.decimals + 1e-9

    def is_half_way(self, value: float) -> bool:
        """Whether a value is half-way between this number and the next one with as many digits."""
        return abs(self.distance(value) * 10.0**self.decimals - 0.5) < 1e-6

    def is_cut_off(self, value: float) -> bool:
        """Whether a value is printed like this if its further digits are cut off."""
        unit = 10.0**self.decimals
        return floor(self._scale(value) * unit + 1e-9) == round(self.digits * unit)

    def distance(self, value: float) -> float:
        """How far a value is from the printed number, in the printed unit."""
        return abs(self._scale(value) - self.digits)

    def format(self, value: float) -> str:
        """A value in the printed unit, with two more digits."""
        return f"{self._scale(value):,.{self.decimals + 2}f}{'%' if self.is_percent else ''}"

    def counts_of(self, whole: float) -> tuple[int, ...]:
        """The counts whose share of `whole` rounds to this number."""
        near = self.digits / (100 if self.is_percent else 1) * whole
        candidates = range(max(int(near) - 2, 0), int(near) + 4)
        return tuple(k for k in candidates if k <= whole and self.is_rounded(k / whole))

    def _scale(self, value: float) -> float:
        return value * 100 if self.is_percent else value


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a paper prints in one place, and the counts that it can be compared with.

    `kind` names the check (audit.CHECKS); `fields` are the further keys of the entry, which depend on its kind.
    """

    kind: str
    where: str
    what: str
    fields: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    @property
    def note(self) -> str:
        return str(self.fields.get("note", ""))

    @property
    def numbers(self) -> dict[str, Number]:
        """The printed numbers by the name that the paper gives them."""
        printed = self.fields["printed"]
        if isinstance(printed, str):
            printed = {str(self.fields.get("named", "")): printed}
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
    """One paper's data, by its number."""
    document = tomllib.loads((files("rajobs.papers") / f"{number}.toml").read_text(encoding="utf-8"))
    entries = (
        Entry(kind=entry.pop("kind"), where=entry.pop("where"), what=entry.pop("what"), fields=entry)
        for entry in document["entry"]
    )
    return Paper(
        number=number,
        title=document["title"],
        oddities=tuple(document["oddities"]),
        matrices={name: np.array(matrix["counts"], np.int64) for name, matrix in document.get("matrix", {}).items()},
        entries=tuple(entries),
    )


def read_papers() -> tuple[Paper, ...]:
    """The data of all five papers."""
    return tuple(map(read_paper, PAPERS))
