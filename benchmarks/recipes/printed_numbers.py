"""Keeps track of which of a paper's printed numbers were compared with ours, and lists the others at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rajobs.papers.paper_data import Entry, Paper, read_paper

Place = tuple[str, str]
"""Where in a paper, and what it prints there."""


@dataclass(frozen=True, kw_only=True)
class PrintedNumbers:
    """A paper and its entries that were compared with ours."""

    paper: Paper
    compared: set[Place] = field(default_factory=set)

    @classmethod
    def read(cls, number: str) -> "PrintedNumbers":
        return cls(paper=read_paper(number))

    def take(self, what: str, where: str = "") -> Entry:
        """The first entry whose text begins with `what`; from now on it counts as compared."""
        entry = next(each for each in self.paper.entries if each.what.startswith(what) and each.where.startswith(where))
        self.compared.add((entry.where, entry.what))
        return entry

    def text(self, what: str, name: str = "") -> str:
        """One number of an entry as it is printed."""
        numbers = self.take(what).numbers
        return numbers[name or next(iter(numbers))].text

    def finish(self, without: Mapping[str, str]) -> None:
        """Print how many entries were compared, and the others with the reason that `without` has for them."""
        every = [(entry.where, entry.what) for entry in self.paper.entries]
        done, number = len(self.compared), self.paper.number
        print(f"\n{done} of the {len(every)} places where {number} prints numbers are compared above")
        for where, what in every:
            if (where, what) not in self.compared:
                print(f"  not compared: {what} ({where}): {without.get(what, 'LEFT OUT')}")


def as_sum(numbers: Sequence[int]) -> str:
    """The numbers as a sum in text, such as `43 + 41`."""
    return " + ".join(map(str, numbers))
