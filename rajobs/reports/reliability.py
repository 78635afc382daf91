"""The section of evaluate's page about agreement with the readers: by kind of site, and of totals."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from rajobs.learning.judging.reliability import KindAgreement, TotalAgreement
from rajobs.records.tables.schemas import MEASURES
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Section, format_cell
from rajobs.reports.wording import format_figure, humanize

KIND_TABLES: Mapping[str, Mapping[str, str]] = {
    "Scores by kind of site": {
        "accuracy": "exact", "within_one": "at most one off", "qwk": "quadratic kappa",
    },
    "Linear kappa and any damage by kind of site": {
        "kappa_linear": "linear kappa", "any_sensitivity": "any: sensitivity", "any_specificity": "any: specificity",
    },
}  # fmt: skip
"""Tables by caption, with a name for the column of each figure: tables with all of them are wider than a page."""
TOTAL_TABLES: Mapping[str, Mapping[str, str]] = {
    "Expected totals and the readers'": {
        "icc_agreement": "ICC(2,1)", "icc_consistency": "ICC(3,1)", "pearson": "Pearson",
    },
    "Differences of totals": {
        "mean_difference": "mean difference", "low_limit": "lower limit", "high_limit": "upper limit",
    },
}  # fmt: skip


def reliability_sections(
    kinds: Sequence[KindAgreement], totals: Sequence[TotalAgreement], drawn: dict[str, bytes]
) -> list[Section]:
    """None for studies that score no joints. The figures' PNG are added to `drawn`."""
    parts: list[Part] = []
    if kinds:
        parts += [
            PageTable(
                columns=("score", "sites", "n", "patients", *names.values()),
                rows=tuple(
                    (humanize(each.target), each.kind, each.rows, each.patients, *figure_cells(each.figures, names))
                    for each in kinds
                ),
                caption=caption,
            )
            for caption, names in KIND_TABLES.items()
        ]
    if totals:
        parts += [
            PageTable(
                columns=("total", "of", "n", "patients", *names.values()),
                rows=tuple(
                    (
                        MEASURES[each.measure],
                        each.part,
                        len(each.truth),
                        each.patients,
                        *figure_cells(each.figures, names),
                    )
                    for each in totals
                ),
                caption=caption,
            )
            for caption, names in TOTAL_TABLES.items()
        ]
        parts.append(Figures(figures=tuple(_figures([each for each in totals if each.measure == "svdh"], drawn))))
    if not parts:
        return []
    lead = (
        "ICC(2,1) is agreement, ICC(3,1) leaves a constant difference out of account. A difference is the model's "
        "total less the readers'; 95 % of the differences lie between the limits (Bland and Altman). Totals are over "
        "the labelled sites of a hand or foot. All intervals are by patient."
    )
    return [Section(title="Agreement with the readers", lead=lead, parts=tuple(parts))]


def figure_cells(figures: Mapping[str, Mapping[str, float]], names: Collection[str], digits: int = 3) -> list[Cell]:
    """Each figure with its interval, where it has one."""
    return [format_figure(figures[name], digits=digits) or format_cell(figures[name]["value"]) for name in names]


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
