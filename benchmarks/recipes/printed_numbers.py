"""A paper's printed numbers, taken up one after the other beside ours; what nobody has taken up is told at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rajobs.papers.paper_data import Entry, Paper, read_paper

Place = tuple[str, str]
"""Where in a paper, and what it prints there."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A paper, and the entries of it that have their counterpart."""

    paper: Paper
    told: set[Place] = field(default_factory=set)

    @classmethod
    def of(cls, number: str) -> "Beside":
        return cls(paper=read_paper(number))

    def take(self, what: str, where: str = "") -> Entry:
        """The entry that begins with these words; from now on it counts as told."""
        found = next(each for each in self.paper.entries if each.what.startswith(what) and each.where.startswith(where))
        self.told.add((found.where, found.what))
        return found

    def text(self, what: str, name: str = "") -> str:
        """A number of an entry as it is printed."""
        numbers = self.take(what).numbers
        return numbers[name or next(iter(numbers))].text

    def finish(self, without: Mapping[str, str]) -> None:
        """How many entries have a counterpart, and which have none: `without` says why, by what is printed."""
        every = [(entry.where, entry.what) for entry in self.paper.entries]
        print(
            f"\n{len(self.told)} of the {len(every)} places where {self.paper.number} prints numbers have theirs above"
        )
        for where, what in every:
            if (where, what) not in self.told:
                print(f"  none: {what} ({where}): {without.get(what, 'LEFT OUT')}")
