"""Every table and figure of the five papers: what it shows, and why some of them have no counterpart here."""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files

from rajobs.papers.paper_data import PAPERS

_RANGE = re.compile(r"Tables (S?)(\d+) to S?(\d+)")


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A table or figure, or a row of tables that are alike ("Tables S1 to S4"), in the paper's order."""

    paper: str
    name: str
    shows: str
    differs: str = ""  # from the paper, on our page
    leak: str = ""  # of the paper, in these numbers
    missing: str = ""  # why it has no counterpart

    @property
    def covers(self) -> tuple[str, ...]:
        """The tables or figures by number, each by itself."""
        several = _RANGE.fullmatch(self.name)
        if several is None:
            return (self.name,)
        supplement, first, last = several.groups()
        return tuple(f"Table {supplement}{number}" for number in range(int(first), int(last) + 1))


def read_exhibits(paper: str) -> tuple[Exhibit, ...]:
    """A paper's tables and figures, in its order."""
    document = tomllib.loads((files("rajobs.papers") / f"{paper}.toml").read_text(encoding="utf-8"))
    return tuple(Exhibit(paper=paper, **entry) for entry in document.get("exhibit", ()))


def every_exhibit() -> tuple[Exhibit, ...]:
    """Those of all papers."""
    return tuple(exhibit for paper in PAPERS for exhibit in read_exhibits(paper))
