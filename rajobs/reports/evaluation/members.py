"""The section of evaluate's page that shows every network of a model alone, such as a paper's trials."""

from collections.abc import Sequence

import numpy as np

from rajobs.learning.comparison import MemberFigures
from rajobs.records.statistics.count_statistics import runs_mean, runs_sd
from rajobs.reports import figures as draw
from rajobs.reports.evaluation.classes import class_table
from rajobs.reports.evaluation.figure_data import figure_files, matrix_data
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Section, format_cell
from rajobs.reports.wording import format_figure, format_list, humanize

LEAD = (
    "Each network was also asked alone, on the rows of the classes that it learns from and in the classes that it "
    "distinguishes. The answers judged above are those of the networks together, or of the one that the recipe keeps."
)


def network_sections(members: Sequence[MemberFigures], drawn: dict[str, bytes]) -> list[Section]:
    """Figures, classes and confusion of each network; none of models with a single network."""
    if not members:
        return []
    questions = dict.fromkeys((each.target, each.classes) for each in members)
    parts: list[Part] = []
    for target, classes in questions:
        same = [each for each in members if (each.target, each.classes) == (target, classes)]
        matrices = {_name(each, same): np.array(each.matrix) for each in same}
        parts += [_figure_table(same), class_table(matrices, classes)]
    pictures = {_file(each): _confusion(each, members) for each in members}
    drawn |= figure_files(pictures)
    return [Section(title="Each network alone", lead=LEAD, parts=(*parts, Figures(figures=tuple(pictures.values()))))]


def _figure_table(members: Sequence[MemberFigures]) -> PageTable:
    """One row per network; of several networks of one model, their mean and standard deviation as well."""
    names = list(members[0].figures)
    validated = any(each.validated for each in members)
    rows: list[tuple[Cell, ...]] = [
        (
            _name(each, members), each.rows, *((_validated(each),) if validated else ()),
            *(format_figure(of) or format_cell(of["value"]) for of in each.figures.values()),
        )
        for each in members
    ]  # fmt: skip
    trials = len(members) > 1 and len({each.model for each in members}) == 1
    if trials:
        values = [[each.figures[name]["value"] for each in members] for name in names]
        empty: tuple[Cell, ...] = (None, None) if validated else (None,)
        rows.append(("mean", *empty, *(f"{runs_mean(of):.3f}" for of in values)))
        rows.append(("standard deviation", *empty, *(f"{runs_sd(of):.3f}" for of in values)))
    return PageTable(
        columns=("network", "rows", *(("accuracy in validation",) if validated else ()), *map(humanize, names)),
        rows=tuple(rows),
        caption=f"{humanize(members[0].target)}: {format_list(members[0].classes)}",
        strong=(len(members),) if trials else (),
    )


def _validated(member: MemberFigures) -> str:
    """The accuracy on the validation part, and whether copies of its rows were learnt."""
    if member.validated is None:
        return format_cell(None)
    figure = format_figure(member.validated) or format_cell(member.validated["value"])
    return f"{figure}, a leak: cut after copying" if member.cut_after else figure


def _name(member: MemberFigures, among: Sequence[MemberFigures]) -> str:
    """The network's name, with its model's where several models have one of that name."""
    alike = [each for each in among if (each.member, each.target) == (member.member, member.target)]
    return member.member if len(alike) == 1 else f"{member.member} of {member.model[:8]}"


def _file(member: MemberFigures) -> str:
    return f"{member.target}-confusion-{member.model}-{member.member}.png"


def _confusion(member: MemberFigures, among: Sequence[MemberFigures]) -> Figure:
    return Figure(
        png=draw.confusion(np.array(member.matrix), member.classes),
        caption=f"{_name(member, among)}: answers (across) of each true class (down).",
        data=matrix_data(np.array(member.matrix), member.classes),
    )
