"""The tables and figures of paper 001, RA recognised and staged by five networks, beside ours."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rajobs.records.splits import PrintedSplit
from rajobs.reports import figures as draw
from rajobs.reports.evaluation.figure_data import curve_data, matrix_data
from rajobs.reports.evaluation.history import history_curves
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Text
from rajobs.reports.papers.beside import Line, definition, entry, figure_cell, figure_table, printed
from rajobs.reports.papers.evaluated import (
    as_figures,
    drawn_by_evaluate,
    figure_rows,
    judged,
    mode_of,
    why_missing,
)
from rajobs.reports.papers.runs import PaperRuns, StudyRun
from rajobs.reports.wording import humanize
from rajobs.studies.ra_recognition import ARCHITECTURES, MEASURES, NAMES

RECOGNITION, STAGING = "recognition", "staging"
TARGETS = {RECOGNITION: "ra", STAGING: "stage"}
PRINTED_NAMES = dict(zip(ARCHITECTURES, NAMES, strict=True))
TRAINING_CURVES = ("loss", "validation_loss", "accuracy", "validation_accuracy")
HONEST = ("accuracy", "within_one", "qwk", "kappa_linear", "mae", "ovr_accuracy")
"""What one answer for each hand is worth: the paper has none of these for staging."""

CHOICE = (
    "The paper compares single networks on its test part. In published mode the one that is most accurate there "
    "answers, in clean mode the one that is most accurate on the validation part. The last column has what the leaks "
    "in learning and choosing add, on rows that both are judged by; that thresholds of classes are tuned on the test "
    "part is another leak, which only the published column contains."
)
NO_CURVE = "no class has rows in both parts, or the model has a single network"
NO_MAP = "the model has a single network"


def counterparts() -> Mapping[str, Callable[[PaperRuns], Sequence[Part]]]:
    """By table or figure, the parts that stand in its place."""
    return {
        "Table 1": _hands, "Table 2": partial(_networks, name=RECOGNITION), "Table 3": _staging,
        "Figure 2": _confusions, "Figure 3": partial(_curves, name=RECOGNITION),
        "Figure 4": partial(_curves, name=STAGING), "Figure 5": _maps, "Figure 6": _losses,
    }  # fmt: skip


def _hands(runs: PaperRuns) -> list[Part]:
    """Hands by class and part, of each task and mode."""
    parts: list[Part] = []
    for name in TARGETS:
        parts += [_count_table(runs, run) for run in judged(runs, name)]
    if not parts:
        split = _printed_split(runs, STAGING)
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (_class_name(STAGING, each), *(split.count(each, part) for part in ("train", "test")))
            for each in split.learn
        )
        parts.append(PageTable(columns=("hands", "train, paper", "test, paper"), rows=rows))
    return [*parts, *why_missing(runs, *TARGETS)]


def _printed_split(runs: PaperRuns, name: str) -> PrintedSplit:
    split = next(run for run in runs.protocol if run.name == name).declared_study.printed_split
    assert isinstance(split, PrintedSplit), "001 prints its counts"
    return split


def _count_table(runs: PaperRuns, run: StudyRun) -> PageTable:
    split = _printed_split(runs, run.run.name)
    counts: Mapping[str, Mapping[str, int]] = run.metrics.get("class_counts", {})
    parts = [part for part in ("train", "validation", "test") if sum(counts.get(part, {}).values())]
    rows: list[tuple[Cell, ...]] = []
    for name in split.learn:
        cells = [cell for part in parts for cell in (split.count(name, part), counts[part].get(name, 0))]
        rows.append((_class_name(run.run.name, name), *cells))
    sums: tuple[Cell, ...] = tuple(sum(int(str(row[at])) for row in rows) for at in range(1, 1 + 2 * len(parts)))
    heads = [f"{part}, {who}" for part in parts for who in ("paper", "here")]
    caption = f"{humanize(run.run.name)}, {mode_of(run)}"
    return PageTable(
        columns=("hands", *heads), rows=(*rows, ("in all", *sums)), caption=caption, strong=(len(rows),)
    )  # fmt: skip


def _class_name(name: str, value: str) -> str:
    if name == RECOGNITION:
        return "RA" if value == "1" else "no RA"
    return f"stage {value}" if value != "0" else "normal"


def _networks(runs: PaperRuns, name: str) -> list[Part]:
    """The paper's row and ours of each mode for every network, then the recipe's answers with the leaks' worth."""
    study = next(run for run in runs.protocol if run.name == name).declared_study
    modes = judged(runs, name)
    rows: list[tuple[Cell, ...]] = []
    for member in ARCHITECTURES:
        of_member = [each for each in study.printed_members if each.member == member]
        lines = [Line(what=each.what, metric=each.metric, member=member) for each in of_member]
        what = f"{name}, {PRINTED_NAMES[member]}"
        in_paper = [printed(runs.paper, what, measure) for measure in entry(runs.paper, what).numbers]
        rows += figure_rows(PRINTED_NAMES[member], in_paper, lines, modes)
    metrics = [each.metric for each in study.printed_members if each.member == ARCHITECTURES[0]]
    definitions = tuple((what, definition(metric)) for what, metric in zip(MEASURES, metrics, strict=True))
    parts: list[Part] = [
        PageTable(columns=("network", "", *MEASURES), rows=tuple(rows), caption="Each network alone on the test part"),
        PageTable(columns=("measure", "definition here"), rows=definitions, caption="Definitions"),
    ]
    if modes:
        lines = [Line(what=what, metric=metric, printed=None) for what, metric in zip(MEASURES, metrics, strict=True)]
        caption = "The network that answers, and what the leaks are worth to it"
        parts += [figure_table(runs, name, lines, caption, definitions=False), Text(paragraphs=(CHOICE,))]
    return [*parts, *why_missing(runs, name)]


def _staging(runs: PaperRuns) -> list[Part]:
    """The paper's means of one stage against the rest, then what one answer for each hand is worth."""
    parts = _networks(runs, STAGING)
    modes = judged(runs, STAGING)
    if not modes:
        return parts
    rows: list[tuple[Cell, ...]] = []
    for member in ARCHITECTURES:
        for at, run in enumerate(modes):
            ours = [figure_cell(run.member_figure(member, f"stage.{name}")) for name in HONEST]
            rows.append(("" if at else PRINTED_NAMES[member], mode_of(run), *ours))
    caption = "One answer for each hand, the likeliest stage; the paper prints none of these"
    columns = ("network", "", *map(humanize, HONEST))
    return [*parts, PageTable(columns=columns, rows=tuple(rows), caption=caption)]


def _confusions(runs: PaperRuns) -> list[Part]:
    """A matrix of each network and task."""
    parts: list[Part] = []
    for name, target in TARGETS.items():
        figures = [_confusion(run, member) for run in judged(runs, name) for member in run.members(target)]
        parts += [Figures(figures=tuple(figures))] if figures else []
    return [*parts, *why_missing(runs, *TARGETS)]


def _confusion(run: StudyRun, member: Mapping[str, Any]) -> Figure:
    matrix = np.array(member["matrix"], np.int64)
    caption = f"{humanize(run.run.name)} by {_printed_name(member['member'])}, {mode_of(run)}."
    data = matrix_data(matrix, member["classes"])
    return Figure(png=draw.confusion(matrix, member["classes"]), caption=caption, data=data)


def _printed_name(member: str) -> str:
    return PRINTED_NAMES.get(member, member)


def _curves(runs: PaperRuns, name: str) -> list[Part]:
    """ROC curves of all networks, of each class against the rest, on the training part and on the test part."""
    parts: list[Part] = []
    for run in judged(runs, name):
        target = run.study.target(TARGETS[name])
        shown = target.classes[1:] if len(target.classes) == 2 else target.classes
        figures = [
            drawn_by_evaluate(
                run,
                f"{target.name}-roc-{part}-{each}",
                f"{humanize(_class_name(name, each))} against the rest, {words}",
            )
            for each in shown
            for part, words in (("learnt", "training part"), ("judged", "test part"))
        ]
        parts.append(as_figures(figures, NO_CURVE))
    return [*parts, *why_missing(runs, name)]


def _maps(runs: PaperRuns) -> list[Part]:
    """A map of each network and task."""
    parts: list[Part] = []
    for name, target in TARGETS.items():
        for run in judged(runs, name):
            maps = {
                member: next((of for of in run.pictures if _is_map(of, target, member)), None)
                for member in ARCHITECTURES
            }
            figures = [
                drawn_by_evaluate(run, of.removesuffix(".png"), f"{humanize(name)} by {_printed_name(member)}")
                for member, of in maps.items()
                if of is not None
            ]
            parts.append(as_figures(figures, NO_MAP))
    return [*parts, *why_missing(runs, *TARGETS)]


def _is_map(file: str, target: str, member: str) -> bool:
    return file.startswith(f"{target}-map-") and file.endswith(f"-{member}.png")


def _losses(runs: PaperRuns) -> list[Part]:
    """The loss by epoch, and the share of right answers, which the paper does not draw."""
    parts: list[Part] = []
    for name in TARGETS:
        figures = [_losses_of(run) for run in judged(runs, name)]
        parts += [Figures(figures=tuple(figures))] if figures else []
    return [*parts, *why_missing(runs, *TARGETS)]


def _losses_of(run: StudyRun) -> Figure:
    curves = {_printed_name(member): of for member, of in history_curves(run.history).items()}
    shown = {member: {name: of[name] for name in TRAINING_CURVES} for member, of in curves.items()}
    png = draw.learning_curves({member: {**of, "metric": ()} for member, of in shown.items()}, "")
    caption = f"{humanize(run.run.name)}, {mode_of(run)}: dashed on the rows that teach, as they were shown."
    return Figure(png=png, caption=caption, wide=True, data=curve_data(shown, TRAINING_CURVES))
