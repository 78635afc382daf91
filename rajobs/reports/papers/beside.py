"""The paper's numbers beside ours: published mode, clean mode, and what the difference on equal rows is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rajobs.papers.paper_data import Entry, read_paper
from rajobs.papers.protocols import CLEAN, PUBLISHED
from rajobs.records import metrics
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, PageTable, Text, format_cell
from rajobs.reports.papers.runs import Measure, PaperRuns, StudyRun
from rajobs.reports.wording import format_figure, humanize

OURS = {PUBLISHED: "here, published mode", CLEAN: "here, clean mode"}
WORTH = "published less clean, on equal rows"
NOT_RUN = "Not run yet."
LEFT_OUT = "Not run: what is missing in DATA stands under the heading What is run."


@dataclass(frozen=True, kw_only=True)
class Line:
    """One number of a paper and where ours of the same definition is."""

    what: str
    metric: str | None  # "<target>.<metric id>"; None: we have no number of that definition
    printed: str | float | None = None
    member: str | None = None  # of one network alone
    run: str | None = None  # where it is not the table's


def machinery(run: StudyRun) -> str:
    """What stands above a column whose networks had less than their whole training; else nothing."""
    return "" if run.is_whole else f", budget {run.budget:g}: the machinery, no comparison"


def figure_table(
    runs: PaperRuns, name: str, lines: Sequence[Line], caption: str = "", *, definitions: bool = True
) -> PageTable:
    """A row for each line: what it is, the paper's number, ours in both modes, what the leaks are worth, definition."""
    modes = [run for run in runs.both(name) if run is not None]
    compared = name in runs.apart and any(line.member is None and line.metric for line in lines)
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        own = [runs.get(line.run or name, run.mode) for run in modes]
        cells: list[Cell] = [figure_cell(_ours(line, run)) for run in own]
        if compared:
            worth = None if line.member or line.metric is None else runs.leak_worth(line.run or name, line.metric)
            cells.append(figure_cell(worth, signed=True))
        cells += [definition(line.metric)] if definitions else []
        rows.append((line.what, line.printed, *cells))
    columns = (
        "", "paper", *(OURS[run.mode] + machinery(run) for run in modes),
        *((WORTH + max(map(machinery, modes)),) if compared else ()),
        *(("definition here",) if definitions else ()),
    )  # fmt: skip
    return PageTable(columns=columns, rows=tuple(rows), caption=caption)


def _ours(line: Line, run: StudyRun | None) -> Measure | None:
    if run is None or line.metric is None:
        return None
    return run.figure(line.metric) if line.member is None else run.member_figure(line.member, line.metric)


def figure_cell(figure: Measure | None, *, signed: bool = False) -> Cell:
    """A figure with its interval, or alone where it has none."""
    if figure is None:
        return None
    value = float(figure["value"])
    return format_figure(figure, signed=signed) or (f"{value:+.3f}" if signed and value == value else value)


def definition(metric: str | None) -> str:
    """What a metric is, in its own words."""
    name = (metric or "").partition(".")[2]
    return (metrics.METRICS[name].__doc__ or "").strip() if name in metrics.METRICS else ""


def not_run(runs: PaperRuns, name: str) -> Text | None:
    """That a run has no figures; None if it has some."""
    if any(run is not None for run in runs.both(name)):
        return None
    left_out = any(run == name for run, _ in runs.missing)
    return Text(paragraphs=(LEFT_OUT if left_out else NOT_RUN,))


def entry(paper: str, what: str, where: str = "") -> Entry:
    """The paper's entry that begins so, at that place if one is named."""
    every = read_paper(paper).entries
    return next(each for each in every if each.what.startswith(what) and where in each.where)


def printed(paper: str, what: str, named: str = "", where: str = "") -> str:
    """One number of an entry with the digits that are printed; a percentage as a share, as ours are."""
    numbers = entry(paper, what, where).numbers
    number = numbers[named or next(iter(numbers))]
    return f"{number.digits / 100:.{number.decimals + 2}f}" if number.is_percent else number.text


def matrix_table(matrix: Sequence[Sequence[int]], classes: Sequence[str], caption: str) -> PageTable:
    """A confusion matrix: truth down, answer across."""
    rows: list[tuple[Cell, ...]] = [(name, *map(int, of)) for name, of in zip(classes, matrix, strict=True)]
    return PageTable(columns=("truth", *(f"answer {name}" for name in classes)), rows=tuple(rows), caption=caption)


def matrix_tables(runs: PaperRuns, name: str, target: str) -> list[PageTable]:
    """The confusion matrix of the answers together, in each mode."""
    tables = []
    for run in runs.both(name):
        answers = run.answers(target) if run is not None else None
        if run is not None and answers is not None:
            classes = run.study.target(target).classes
            caption = f"{humanize(OURS[run.mode])}{machinery(run)}"
            tables.append(matrix_table(metrics.confusion(answers).tolist(), classes, caption))
    return tables


def matrix_figure(matrix: Sequence[Sequence[int]], classes: Sequence[str], caption: str) -> Figure:
    """A confusion matrix as a figure."""
    return Figure(png=draw.confusion(np.array(matrix, np.int64), classes), caption=caption)


def text_of(figure: Measure | None) -> str:
    """A figure in a sentence or a tile."""
    return format_cell(figure_cell(figure))


def roc_figure(answers: metrics.Answers, classes: Sequence[str], caption: str) -> Figure:
    """Each class against the rest, with the points of the curves as data."""
    rows: list[tuple[Cell, ...]] = []
    for at, name in enumerate(classes):
        curve = draw.roc_curve(answers.truth == at, answers.p[:, at])
        if curve is not None:
            rows += [(name, float(false), float(true)) for false, true in zip(*curve)]
    data = PageTable(columns=("class", "1 - specificity", "sensitivity"), rows=tuple(rows), caption=caption)
    return Figure(png=draw.roc(answers.truth, answers.p, classes, others={}), caption=caption, data=data)
