"""The section of evaluate's page about agreement with the readers: by kind of site, and of totals."""

from collections.abc import Mapping, Sequence

import numpy as np

from rajobs.learning.judging.reliability import KIND_METRICS, KindAgreement, TotalAgreement
from rajobs.records.tables.schemas import MEASURES
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Section, format_cell
from rajobs.reports.wording import format_figure, humanize

KIND_COLUMNS = ("exact", "at most one off", "quadratic kappa", "linear kappa", "any: sensitivity", "any: specificity")
assert len(KIND_COLUMNS) == len(KIND_METRICS)
TOTAL_COLUMNS = ("ICC(2,1)", "ICC(3,1)", "Pearson", "mean difference", "lower limit", "upper limit")


def reliability_sections(
    kinds: Sequence[KindAgreement], totals: Sequence[TotalAgreement], drawn: dict[str, bytes]
) -> list[Section]:
    """None for studies that score no joints. The figures' PNG are added to `drawn`."""
    parts: list[Part] = []
    if kinds:
        rows: list[tuple[Cell, ...]] = [
            (humanize(each.target), each.kind, each.rows, each.patients, *_cells(each.figures)) for each in kinds
        ]
        columns = ("score", "sites", "n", "patients", *KIND_COLUMNS)
        parts.append(PageTable(columns=columns, rows=tuple(rows), caption="Scores by kind of site"))
    if totals:
        rows = [
            (MEASURES[each.measure], each.part, len(each.truth), each.patients, *_cells(each.figures))
            for each in totals
        ]
        columns = ("total", "of", "n", "patients", *TOTAL_COLUMNS)
        parts.append(PageTable(columns=columns, rows=tuple(rows), caption="Expected totals and the readers'"))
        parts.append(Figures(figures=tuple(_figures([each for each in totals if each.measure == "svdh"], drawn))))
    if not parts:
        return []
    lead = (
        "ICC(2,1) is agreement, ICC(3,1) leaves a constant difference out of account. A difference is the model's "
        "total less the readers'; 95 % of the differences lie between the limits (Bland and Altman). Totals are over "
        "the labelled sites of a hand or foot. All intervals are by patient."
    )
    return [Section(title="Agreement with the readers", lead=lead, parts=tuple(parts))]


def _cells(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [format_figure(figure) or format_cell(figure["value"]) for figure in figures.values()]


def _figures(totals: Sequence[TotalAgreement], drawn: dict[str, bytes]) -> list[Figure]:
    figures = []
    for each in totals:
        truth, expected = np.array(each.truth, float), np.array(each.expected)
        scatter = draw.scatter(truth, expected, "readers' total", "expected total")
        limits = [each.figures[name]["value"] for name in ("mean_difference", "low_limit", "high_limit")]
        differences = draw.differences((truth + expected) / 2, expected - truth, limits)
        drawn |= {f"{each.part}-totals.png": scatter, f"{each.part}-differences.png": differences}
        figures += [
            Figure(png=scatter, caption=f"JSN and erosion of each {each.part}: expected total and the readers'."),
            Figure(
                png=differences,
                caption=f"Their differences by their mean, for each {each.part}; the dashed lines are the limits of "
                "agreement.",
            ),
        ]
    return figures
