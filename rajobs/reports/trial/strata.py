"""The section of evaluate's page with figures by maker, sex, age, side, view position and centre."""

from collections.abc import Sequence

from rajobs.learning.judging.strata import ERROR_RATE, Strata, Stratum, StratumTotals
from rajobs.reports.page import Cell, PageTable, Part, Section, Text
from rajobs.reports.reliability import figure_cells
from rajobs.reports.wording import format_figure, format_list, format_percent, humanize

COLUMNS = {
    "accuracy": "exact", "within_one": "at most one off", "qwk": "quadratic kappa",
    "balanced_accuracy": "balanced accuracy",
}  # fmt: skip
TOTAL_COLUMNS = {
    "icc_agreement": "ICC(2,1)", "mean_difference": "mean difference", "low_limit": "lower limit",
    "high_limit": "upper limit",
}  # fmt: skip
DIFFERENCES = tuple(TOTAL_COLUMNS)[1:]


def worse_strata(strata: Strata) -> list[str]:
    """A sentence for each stratum that is worse than the rest."""
    by_place: dict[tuple[str, str], list[Stratum]] = {}
    for each in strata.worse:
        by_place.setdefault((each.variable, each.value), []).append(each)
    sentences = []
    for (variable, value), several in by_place.items():
        targets = format_list([humanize(each.target) for each in several])
        errors = format_list([f"{each.excess['value']:.2f}" for each in several if each.excess is not None])
        sentences.append(
            f"Worse than the rest: {variable} {value} ({targets}). At equal true scores its mean error is larger by "
            f"{errors}, which chance does not explain."
        )
    return sentences


def strata_sections(strata: Strata) -> list[Section]:
    """None where nothing is known that differs between rows."""
    if not strata.answers:
        return []
    lead = (
        "A model may fail for one maker's films or in one hospital while its overall figures look well. The last "
        "column is the mean error in the stratum less that of all other rows, at equal true scores. Its interval "
        f"allows for all {strata.compared} comparisons made here: by chance, a lower end is above 0 in at most "
        f"{format_percent(ERROR_RATE)} of such pages. Strata of fewer than five patients are not compared."
    )
    sentences = worse_strata(strata) or ["No stratum is worse than the rest beyond chance."]
    parts: list[Part] = [Text(paragraphs=tuple(sentences))]
    parts += [
        _answers_table(target, [each for each in strata.answers if each.target == target])
        for target in dict.fromkeys(each.target for each in strata.answers)
    ]
    parts += [
        _totals_table(part, [each for each in strata.totals if each.part == part])
        for part in dict.fromkeys(each.part for each in strata.totals)
    ]
    return [Section(title="By maker, sex, age, side, view and centre", lead=lead, parts=tuple(parts))]


def _answers_table(target: str, strata: Sequence[Stratum]) -> PageTable:
    rows: list[tuple[Cell, ...]] = [
        (
            f"{each.variable}: {each.value}", f"{each.rows} ({each.patients})",
            *figure_cells(each.figures, each.figures, 2),
            None if each.excess is None else format_figure(each.excess, signed=True, digits=2),
        )
        for each in strata
    ]  # fmt: skip
    names = [COLUMNS[name] for name in strata[0].figures]
    return PageTable(
        columns=("stratum", "n (patients)", *names, "error above the rest's"), rows=tuple(rows),
        caption=humanize(target), strong=tuple(number for number, each in enumerate(strata) if each.worse),
    )  # fmt: skip


def _totals_table(part: str, strata: Sequence[StratumTotals]) -> PageTable:
    return PageTable(
        columns=("stratum", "n (patients)", *TOTAL_COLUMNS.values()),
        rows=tuple(
            (
                f"{each.variable}: {each.value}", f"{each.rows} ({each.patients})",
                *figure_cells(each.figures, ("icc_agreement",), 2), *figure_cells(each.figures, DIFFERENCES, 1),
            )
            for each in strata
        ),
        caption=f"Expected totals of JSN and erosion and the readers': {'hands' if part == 'hand' else 'feet'}",
    )  # fmt: skip
