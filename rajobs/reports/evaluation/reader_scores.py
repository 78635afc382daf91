"""The sections of evaluate's page with the tables and figures of a paper's test: each reader beside the model."""

from collections.abc import Sequence

import numpy as np

from rajobs.learning.judging.readers.scores import AGREEMENT, ALL, ANY_DAMAGE, GroupAgreement, ReaderScores
from rajobs.learning.judging.readers.totals import MODEL
from rajobs.learning.study import Study
from rajobs.reports import figures as draw
from rajobs.reports.evaluation.figure_data import count_data, figure_files, point_data
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Section
from rajobs.reports.reliability import figure_cells
from rajobs.reports.wording import format_figure, format_list, humanize

NAMES = {
    "accuracy": "exact", "within_one": "within one", "any_sensitivity": "sensitivity",
    "any_specificity": "specificity",
}  # fmt: skip
CAPTIONS = {
    AGREEMENT: "share of equal scores, and of scores at most one apart",
    ANY_DAMAGE: "any damage, with the reader as the truth",
}
MOST_READERS = 4  # whose totals are drawn


def reader_score_sections(
    study: Study, scores: ReaderScores | None, drawn: dict[str, bytes], where: str = ""
) -> list[Section]:
    """The figures' PNG are added to `drawn`. `where`: a word that sets one of several sections apart."""
    if scores is None:
        return []
    groups = list(dict.fromkeys(each.group for each in scores.agreement))
    parts: list[Part] = [
        _agreement_table(scores.agreement, target, names, groups)
        for target in scores.counts
        for names in (AGREEMENT, ANY_DAMAGE)
    ]
    rows: list[tuple[Cell, ...]] = [
        (
            humanize(each.target), each.against, len(each.model), each.patients,
            format_figure(each.pearson) or float(each.pearson["value"]),
        )
        for each in scores.totals
    ]  # fmt: skip
    if rows:
        columns = ("total of", "reader", "hands", "patients", "Pearson")
        caption = "Totals of a hand over these joints, by the model and by a reader"
        parts.append(PageTable(columns=columns, rows=tuple(rows), caption=caption))
    figures = [*_count_figures(study, scores), *_total_figures(scores)]
    ending = where.replace(", ", "-").replace(" ", "-")
    drawn |= figure_files({f"{name}{ending}.png": figure for name, figure in figures})
    parts.append(Figures(figures=tuple(figure for _, figure in figures)))
    lead = (
        f"The tables and figures of paper {study.paper}'s test, for the sites that it scored alone: "
        f"{format_list(list(study.printed_kinds))}. The model is compared with each reader on the sites that it has "
        "answered, readers with one another on all that they have read. A site without a score adds nothing to the "
        "total, which is the sum of the likeliest scores."
    )
    return [Section(title=f"Each reader beside the model{where}", lead=lead, parts=tuple(parts))]


def _agreement_table(
    agreement: Sequence[GroupAgreement], target: str, names: tuple[str, str], groups: Sequence[str]
) -> PageTable:
    """A row for each pair and figure, a column for each group of sites."""
    by_pair: dict[tuple[str, str], dict[str, GroupAgreement]] = {}
    for each in agreement:
        if each.target == target and set(names) <= each.figures.keys():
            by_pair.setdefault((each.who, each.against), {})[each.group] = each
    rows: list[tuple[Cell, ...]] = [
        (
            f"{who}, {against}", NAMES[name], of[ALL].rows,
            *(figure_cells(of[group].figures, (name,))[0] if group in of else None for group in groups),
        )
        for (who, against), of in by_pair.items()
        for name in names
    ]  # fmt: skip
    return PageTable(
        columns=("compared", "share", "joints", *groups), rows=tuple(rows),
        caption=f"{humanize(target)}: {CAPTIONS[names]}",
    )  # fmt: skip


def _count_figures(study: Study, scores: ReaderScores) -> list[tuple[str, Figure]]:
    """How often the model and each reader give each score."""
    figures = []
    for target, voices in scores.counts.items():
        most = max(at for of in voices.values() for at, count in enumerate(of) if count or not at)
        groups = {who: np.array(of[: most + 1]) for who, of in voices.items()}
        image = draw.counts(groups, study.target(target).classes[: most + 1], humanize(target))
        caption = f"How often the model and each reader gave each score of {humanize(target)} at these joints."
        data = count_data(groups, study.target(target).classes[: most + 1])
        figures.append((f"{target}-by-reader", Figure(png=image, caption=caption, data=data)))
    return figures


def _total_figures(scores: ReaderScores) -> list[tuple[str, Figure]]:
    figures = []
    for target in scores.counts:
        for number, each in enumerate([each for each in scores.totals if each.target == target][:MOST_READERS], 1):
            image = draw.scatter(np.array(each.reader, float), np.array(each.model, float), each.against, MODEL)
            caption = f"{humanize(target)} of each hand, summed over these joints: the model and {each.against}."
            data = point_data((each.against, MODEL), each.reader, each.model)
            figures.append((f"{target}-totals-{number}", Figure(png=image, caption=caption, data=data)))
    return figures
