"""The section of evaluate's page about changes between visits: what repeats make detectable, and who is beyond it."""

from collections.abc import Sequence

import numpy as np

from rajobs.learning.judging.progression import Progression
from rajobs.learning.judging.repeats import DetectableChange, DetectableChanges
from rajobs.records.statistics.film_repeats import ALL
from rajobs.records.tables.schemas import MEASURES
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Section, Text, format_cell
from rajobs.reports.wording import format_figure

WITHOUT_REPEATS = (
    "No smallest detectable change is known: it takes two films of the same hand, view and visit of five patients or "
    "more."
)
KEPT = "The smallest detectable changes come from repeats of validation patients; the rows that judge check them."
OF_A_HALF = (
    "The bundle has no smallest detectable changes. These come from a half of the patients who judge here, and score "
    "does not use them."
)
MEANING = (
    "A repeat is two films of the same hand, view and visit, so that nothing has changed between them. 1.96 standard "
    "deviations of the differences of their expected totals (1.96 x √2 standard errors of measurement) are the "
    "smallest detectable change. The one used is the half width of a 95 % prediction interval, larger where few "
    "patients have repeats or differences have long tails, so that at most 5 % of changes are beyond it by chance."
)
PARTS = {"hand": "hand", "foot": "foot", ALL: "patient"}


def progression_sections(
    detectable: DetectableChanges, progressions: Sequence[Progression], drawn: dict[str, bytes]
) -> list[Section]:
    """The figures' PNG are added to `drawn`."""
    parts: list[Part] = [Text(paragraphs=(_source(detectable),))]
    if detectable.checks:
        parts.append(_changes_table(detectable))
    if progressions:
        parts += [_patients_table(progressions), Figures(figures=tuple(_curves(progressions, drawn)))]
    return [Section(title="Changes between visits", lead=MEANING, parts=tuple(parts))]


def _source(detectable: DetectableChanges) -> str:
    if not detectable.checks:
        return WITHOUT_REPEATS
    return KEPT if detectable.from_bundle else OF_A_HALF


def _order(check: DetectableChange) -> tuple[int, int]:
    return [*PARTS].index(check.part), [*MEASURES].index(check.measure)


def _changes_table(detectable: DetectableChanges) -> PageTable:
    rows: list[tuple[Cell, ...]] = [
        (
            MEASURES[each.measure], PARTS[each.part], each.sites,
            format_figure(each.spread, digits=2) or each.spread["value"], f"{each.change:.2f}",
            f"{each.repeats} ({each.patients})",
            f"{format_figure(each.beyond, digits=2) or format_cell(each.beyond['value'])} of {each.checked}",
        )
        for each in sorted(detectable.checks, key=_order)
    ]  # fmt: skip
    columns = (
        "total", "of", "scores", "1.96 SD of repeats", "change used", "repeats (patients)",
        "others' beyond it",
    )  # fmt: skip
    return PageTable(columns=columns, rows=tuple(rows), caption="Smallest detectable changes")


def _patients_table(progressions: Sequence[Progression]) -> PageTable:
    rows: list[tuple[Cell, ...]] = [
        (
            MEASURES[each.measure], len(each.expected), f"{np.mean(each.truth):.2f}", f"{np.mean(each.expected):.2f}",
            None if each.detectable is None else f"{each.detectable:.2f}",
            None if each.beyond is None else format_figure(each.beyond, digits=2) or each.beyond["value"],
        )
        for each in progressions
    ]  # fmt: skip
    columns = (
        "total", "patients", "readers' mean change", "expected", "smallest detectable change", "patients beyond it",
    )  # fmt: skip
    return PageTable(columns=columns, rows=tuple(rows), caption="Patients from their first to their last visit")


def _curves(progressions: Sequence[Progression], drawn: dict[str, bytes]) -> list[Figure]:
    figures = []
    for each in progressions[-1:]:  # JSN and erosion together, if both are scored
        curves = {"readers": np.array(each.truth, float), "expected": np.array(each.expected)}
        image = draw.cumulative(curves, f"change of {MEASURES[each.measure]}", each.detectable)
        drawn[f"{each.measure}-changes.png"] = image
        lines = "" if each.detectable is None else " The dotted lines are the smallest detectable change, up and down."
        caption = f"Cumulative probability of patients' changes of {MEASURES[each.measure]}.{lines}"
        figures.append(Figure(png=image, caption=caption))
    return figures
