"""The table of evaluate's page that tells how well each class is distinguished from the others."""

from collections.abc import Mapping, Sequence

from rajobs.records.statistics.count_statistics import OF_A_CLASS, Ints, class_statistics
from rajobs.reports.page import Cell, PageTable
from rajobs.reports.wording import humanize

CAPTION = (
    "By class, each against the rest. One-point AUC is (sensitivity + specificity) / 2 of the answers, which some "
    "papers print as their AUC."
)


def class_table(matrices: Mapping[str, Ints], classes: Sequence[str]) -> PageTable:
    """A row per class; of several networks' confusion matrices, by name, a row per class and network."""
    several = len(matrices) > 1
    statistics = {who: class_statistics(matrix) for who, matrix in matrices.items()}
    rows: list[tuple[Cell, ...]] = [
        (name, *((who,) if several else ()), *of[at].values())
        for at, name in enumerate(classes)
        for who, of in statistics.items()
    ]
    columns = ("class", *(("network",) if several else ()), "rows", *map(humanize, OF_A_CLASS))
    return PageTable(columns=columns, rows=tuple(rows), caption=CAPTION)
