"""The section of evaluate's page about films in, scores out: models place the joints; one not placed is an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from rajobs.learning.judging.end_to_end import ALL, EndToEndFigure, PlacedShare
from rajobs.learning.judging.readers.scores import ReaderScores
from rajobs.learning.judging.review import ReviewFacts
from rajobs.learning.study import Study
from rajobs.records.tables.schemas import MEASURES
from rajobs.reports.evaluation.reader_scores import reader_score_sections
from rajobs.reports.evaluation.review import review_sections
from rajobs.reports.page import Cell, Notice, PageTable, Part, Section, Text, format_cell
from rajobs.reports.wording import format_count, format_figure, humanize

PLACES = {"by_labels": "places by labels", "placed": "by models, placed", "every": "by models, all"}
"""The columns of each table of figures, by the field of the figure."""
CHANGE = "change on the same"


@dataclass(frozen=True, kw_only=True)
class EndToEndFacts:
    """How many joints models placed, and the figures on these and on all."""

    shares: tuple[PlacedShare, ...]
    figures: tuple[EndToEndFigure, ...]
    totals: tuple[EndToEndFigure, ...]
    review: ReviewFacts | None = None  # of hands that models placed
    reader_scores: ReaderScores | None = None  # of studies whose paper counts groups of sites
    beyond: int = 0  # labels at sites that no finder looks for
    taught: int = 0  # judged films that the finders have learnt from

    def to_dict(self) -> dict[str, Any]:
        parts = {name: [each.to_dict() for each in getattr(self, name)] for name in ("shares", "figures", "totals")}
        several = {"review": self.review, "reader_scores": self.reader_scores}
        more = {name: each.to_dict() for name, each in several.items() if each}
        return {**parts, **more, "beyond": self.beyond, "taught": self.taught}

    def summary(self, headline: str) -> dict[str, str]:
        """What the terminal shows: how many were placed, and the headline metric and accuracy end to end."""
        target, _, metric = headline.partition(".")
        rows = {f"placed of {each.labelled:,}": _figure(each.placed) for each in self.shares if each.kind == ALL}
        for each in self.figures:
            if each.target == target and each.metric in (metric, "accuracy"):
                rows[f"{target}.{each.metric}, placed"] = _figure(each.placed)
                rows |= {f"{target}.{each.metric}, all": _figure(each.every)} if each.every is not None else {}
        return rows


def end_to_end_sections(study: Study, facts: EndToEndFacts | None, drawn: dict[str, bytes]) -> list[Section]:
    """None where models were not asked to place anything. The figures' PNG are added to `drawn`."""
    if facts is None:
        return []
    if not facts.shares:
        text = "No label that judges lies where a finder looks."
        return [Section(title="End to end", parts=(Text(paragraphs=(text,)),))]
    noun = "joint" if study.rows.labels_name_site else "hand"
    parts: list[Part] = []
    if facts.taught:
        text = (
            f"{format_count(facts.taught, 'film')} of those that judge {'has' if facts.taught == 1 else 'have'} taught "
            "the finders, so that the share that was placed is too good. Name finders that have not seen them."
        )
        parts.append(Notice(text=text))
    parts += [_share_table(facts.shares, noun), *_figure_tables(facts.figures)]
    if facts.totals:
        names = {(each.metric, each.target): each for each in facts.totals}
        rows = tuple((MEASURES[measure], part, *_cells(each)) for (part, measure), each in names.items())
        caption = "ICC(2,1) of expected totals with the readers'; a joint that was not placed adds nothing to its total"
        parts.append(PageTable(columns=("total", "of", *PLACES.values()), rows=rows, caption=caption))
    what = "hands and their joints" if study.rows.labels_name_site else "hands"
    lead = (
        f"Films went in, as in score: models placed {what} and answered there. Places by labels are those of the other "
        f"sections, for the same {noun}s. Where models place, figures are on the {noun}s that were placed, and on all "
        f"labelled ones. On all, a {noun} that was not placed counts as wrong: neither equal nor close, neither found "
        "nor cleared; only shares have such a figure. The change is that of the models' places on the "
        f"{noun}s that both place. A hand that was taken for the other side's counts as not placed."
    )
    if facts.beyond:
        lead += (
            f" {format_count(facts.beyond, 'label')} at sites that no finder looks for (those of feet) are left out."
        )
    section = Section(title="End to end", lead=lead, parts=tuple(parts))
    return [
        section,
        *reader_score_sections(study, facts.reader_scores, drawn, ", end to end"),
        *review_sections(facts.review, drawn, ", end to end"),
    ]


def _share_table(shares: Sequence[PlacedShare], noun: str) -> PageTable:
    near = any(each.near for each in shares)
    rows: list[tuple[Cell, ...]] = [
        (
            f"all {noun}s" if each.kind == ALL else each.kind, each.labelled, each.patients, _figure(each.placed),
            *([_figure(each.near)] if near else []),
        )
        for each in shares
    ]  # fmt: skip
    columns = (f"{noun}s", "labelled", "patients", "placed", *(["within half a joint's width"] if near else []))
    caption = "Placed by models"
    if near:
        caption += "; of those that labels place too, how many lie within half a joint's width of the label"
    return PageTable(columns=columns, rows=tuple(rows), caption=caption, strong=(0,) if len(rows) > 1 else ())


def _figure_tables(figures: Sequence[EndToEndFigure]) -> list[PageTable]:
    tables = []
    for target in dict.fromkeys(each.target for each in figures):
        chosen = [each for each in figures if each.target == target]
        counts: tuple[Cell, ...] = ("n", *(chosen[0].rows[name] for name in PLACES), "")
        rows = (
            counts, *((humanize(each.metric), *_cells(each), _figure(each.change, signed=True)) for each in chosen)
        )  # fmt: skip
        columns = ("metric", *PLACES.values(), CHANGE)
        tables.append(PageTable(columns=columns, rows=rows, caption=f"{humanize(target)}, end to end"))
    return tables


def _cells(figure: EndToEndFigure) -> list[Cell]:
    return [_figure(getattr(figure, name)) for name in PLACES]


def _figure(figure: Mapping[str, float] | None, *, signed: bool = False) -> str:
    if figure is None:
        return ""
    if isnan(figure["value"]):
        return format_cell(figure["value"])
    return format_figure(figure, signed=signed) or f"{figure['value']:{'+' if signed else ''}.3f}"
