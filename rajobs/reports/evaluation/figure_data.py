"""The numbers that figures are drawn from, as tables to save beside them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rajobs.records import metrics
from rajobs.records.tables.csv_files import unescape_cell
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, PageTable, table_csv

Reals = NDArray[np.floating]
DIGITS = 5  # of a point of a curve: a figure shows less


def matrix_data(matrix: NDArray[np.int64], classes: Sequence[str]) -> PageTable:
    """A confusion matrix: truth down, answer across."""
    rows: list[tuple[Cell, ...]] = [(name, *map(int, of)) for name, of in zip(classes, matrix, strict=True)]
    return PageTable(columns=("truth", *(f"answer {name}" for name in classes)), rows=tuple(rows))


def count_data(groups: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> PageTable:
    """How often each voice gives each class."""
    rows: list[tuple[Cell, ...]] = [(name, *(int(of[at]) for of in groups.values())) for at, name in enumerate(classes)]
    return PageTable(columns=("class", *groups), rows=tuple(rows))


def roc_data(curves: Iterable[tuple[str, NDArray[np.bool_], Reals]]) -> PageTable:
    """The points of ROC curves: the name of each, which rows are positive, and their probabilities."""
    rows: list[tuple[Cell, ...]] = []
    for name, positive, score in curves:
        curve = draw.roc_curve(positive, score)
        if curve is not None:
            rows += [(name, round(float(false), DIGITS), round(float(true), DIGITS)) for false, true in zip(*curve)]
    return PageTable(columns=("curve", "1 - specificity", "sensitivity"), rows=tuple(rows))


def class_roc_data(answers: Mapping[str, metrics.Answers], classes: Sequence[str]) -> PageTable:
    """Each class against the rest, in each part of the split."""
    return roc_data(
        (f"{name}, {part}", of.truth == at, of.p[:, at])
        for part, of in answers.items()
        for at, name in enumerate(classes)
    )


def point_data(columns: Sequence[str], *values: Sequence[str | int | float]) -> PageTable:
    """A row for each point, a column for each sequence."""
    return PageTable(columns=tuple(columns), rows=tuple(zip(*values, strict=True)))


def curve_data(curves: Mapping[str, Mapping[str, Sequence[float | None]]], names: Sequence[str]) -> PageTable:
    """A row for each network and epoch."""
    rows = tuple(
        (member, epoch, *(None if value is None else round(value, DIGITS) for value in values))
        for member, columns in curves.items()
        for epoch, values in enumerate(zip(*(columns[name] for name in names), strict=True), 1)
    )
    return PageTable(columns=("network", "epoch", *names), rows=rows)


def figure_files(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Figures by the name of their PNG, and with it the CSV of those that have data."""
    pictures = {name: figure.png for name, figure in figures.items()}
    tables = {name.removesuffix(".png") + ".csv": figure.data for name, figure in figures.items()}
    return pictures | {name: table_csv(data) for name, data in tables.items() if data is not None}


def read_data(content: bytes) -> PageTable:
    """A figure's CSV as a table again; every cell is text."""
    columns, *rows = csv.reader(io.StringIO(content.decode()))
    return PageTable(
        columns=tuple(map(unescape_cell, columns)), rows=tuple(tuple(map(unescape_cell, row)) for row in rows)
    )
