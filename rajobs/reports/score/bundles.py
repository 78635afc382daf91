"""Which models filled which columns of score's tables, and what those learnt from: a section of its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rajobs.learning.bundle_description import DrawnFilms
from rajobs.reports.page import Notice, PageTable, Part, Section
from rajobs.reports.wording import format_list

DRAWN_LEAD = (
    "What real films the package's own models were tried on, and where they fail, stands in README.md beside them."
)


@dataclass(frozen=True, kw_only=True)
class BundleFacts:
    """A bundle that was asked: what it fills and what it learnt from."""

    hash: str
    study: str
    columns: Mapping[str, tuple[str, ...]]  # by table
    drawn: DrawnFilms | None  # the drawings that it learnt from; None: it learnt from data

    @property
    def filled(self) -> str:
        """The columns in words."""
        return "; ".join(f"{format_list(names)} of {table}" for table, names in self.columns.items())

    def to_json(self) -> dict[str, Any]:
        columns = {table: list(names) for table, names in self.columns.items()}
        return {"study": self.study, "learnt_from": "drawings" if self.drawn else "data", "columns": columns}


def bundle_sections(bundles: Sequence[BundleFacts], left_out: Sequence[str]) -> list[Section]:
    """The section about models; `left_out`: studies whose models were not asked because of --no-scores."""
    drawn = [_describe_drawn(each.study, each.drawn) for each in bundles if each.drawn is not None]
    parts: list[Part] = [Notice(text=f"Learnt from drawings alone: {'; '.join(drawn)}.")] if drawn else []
    if left_out:
        names = format_list(left_out)
        parts.append(Notice(text=f"The columns of scores are empty because of --no-scores: {names} would fill them."))
    if bundles:
        rows = tuple(
            (each.study, each.hash, "drawings alone" if each.drawn else "data", each.filled) for each in bundles
        )
        parts.append(PageTable(columns=("model", "bundle", "learnt from", "fills"), rows=rows))
    lead = DRAWN_LEAD if drawn else ""
    return [Section(title="Which models answered", lead=lead, parts=tuple(parts))] if parts else []


def _describe_drawn(study: str, drawn: DrawnFilms) -> str:
    return f"{study}, from {drawn.films:,} drawn films, tried on {drawn.tried:,} others"
