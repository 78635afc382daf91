"""The section of evaluate's page about conformal sets of scores and intervals of expected totals."""

from collections.abc import Sequence

from rajobs.learning.judging.coverage import Coverage
from rajobs.records.statistics.conformal import LEVEL
from rajobs.records.tables.schemas import MEASURES
from rajobs.reports.page import Cell, PageTable, Part, Section
from rajobs.reports.wording import format_figure, format_percent, humanize


def uncertainty_sections(sets: Sequence[Coverage], totals: Sequence[Coverage]) -> list[Section]:
    """How often the sets and the intervals hold the readers' scores; none for models without a calibration."""
    parts: list[Part] = []
    if totals:
        rows: list[tuple[Cell, ...]] = [
            (
                MEASURES[each.what], f"{each.of}s" if each.of == "hand" else "feet", each.rows, each.patients,
                _covered(each), each.width, each.error, each.likeliest_error,
            )
            for each in totals
        ]  # fmt: skip
        names: tuple[str, ...] = (
            "total", "of", "n", "patients", "truth inside", "mean length", "mean error, expected",
            "mean error, likeliest",
        )  # fmt: skip
        parts.append(PageTable(columns=names, rows=tuple(rows), caption="Intervals of expected totals"))
    if sets:
        rows = [(humanize(each.what), each.of, each.rows, each.patients, _covered(each), each.width) for each in sets]
        names = ("score", "sites", "n", "patients", "truth inside", "mean scores in a set")
        parts.append(PageTable(columns=names, rows=tuple(rows), caption="Sets of scores"))
    if not parts:
        return []
    lead = (
        f"Validation patients decided how wide a set of scores and the interval of an expected total must be to hold "
        f"{format_percent(LEVEL)} of a new patient's. Here is how often they do so, with a 95 % interval by patient. "
        "An expected total adds up expected scores; the likeliest total adds up the scores of the tables. A set always "
        "has the answer in it, so that where more than 90 % of the answers are right, it holds more."
    )
    return [Section(title="How much the scores can be off", lead=lead, parts=tuple(parts))]


def _covered(coverage: Coverage) -> str:
    return format_figure(coverage.covered) or f"{coverage.covered['value']:.3f}"
