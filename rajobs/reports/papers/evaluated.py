"""Figures of evaluate's page with their data, and what its metrics.json says of networks, for a paper's page."""

from collections.abc import Mapping, Sequence

from rajobs.reports.evaluation.figure_data import read_data
from rajobs.reports.page import Cell, Figure, Figures, Part, Text
from rajobs.reports.papers.beside import OURS, Line, figure_cell, machinery, not_run
from rajobs.reports.papers.runs import PaperRuns, StudyRun, known_figure

NO_FIGURE = "The evaluation has no such figure: {why}."


def drawn_by_evaluate(run: StudyRun, name: str, caption: str, *, wide: bool = False) -> Figure | None:
    """A figure of evaluate's page by its name without ending; None if there was nothing to draw."""
    png, data = (run.pictures.get(f"{name}.{ending}") for ending in ("png", "csv"))
    if png is None:
        return None
    table = None if data is None else read_data(data)
    return Figure(png=png, caption=f"{caption}, {mode_of(run)}.", wide=wide, data=table)


def as_figures(figures: Sequence[Figure | None], why: str) -> Figures | Text:
    """Figures side by side, or the reason why there are none."""
    drawn = tuple(figure for figure in figures if figure is not None)
    return Figures(figures=drawn) if drawn else Text(paragraphs=(NO_FIGURE.format(why=why),))


def mode_of(run: StudyRun) -> str:
    """The run's mode in words, and its budget if it is below 1."""
    return f"{OURS[run.mode]}{machinery(run)}"


def judged(runs: PaperRuns, name: str) -> list[StudyRun]:
    """The modes of a run that are judged."""
    return [run for run in runs.both(name) if run is not None]


def figure_rows(
    what: str, printed: Sequence[str | float | None], lines: Sequence[Line], runs: Sequence[StudyRun]
) -> list[tuple[Cell, ...]]:
    """The paper's numbers in a row, and ours of each mode in a row of their own below it."""
    rows: list[tuple[Cell, ...]] = [(what, "paper", *printed)]
    for run in runs:
        own = [
            run.figure(line.metric or "") if line.member is None else run.member_figure(line.member, line.metric or "")
            for line in lines
        ]
        rows.append(("", mode_of(run), *map(figure_cell, own)))
    return rows


def why_missing(runs: PaperRuns, *names: str) -> list[Part]:
    """Why runs have no figures, each reason once."""
    texts = [text for name in names if (text := not_run(runs, name)) is not None]
    paragraphs = tuple(dict.fromkeys(paragraph for text in texts for paragraph in text.paragraphs))
    return [Text(paragraphs=paragraphs)] if paragraphs else []


def share_of(figure: Mapping[str, float | None] | None) -> Cell:
    """A figure of metrics.json as a cell."""
    return figure_cell(known_figure(figure))
