"""The section of evaluate's page that tabulates the patients' variables by class, beside the paper's tables."""

from collections.abc import Mapping, Sequence

from rajobs.learning.study import Study
from rajobs.papers.paper_data import Entry, read_paper
from rajobs.records.statistics.characteristics import Characteristic
from rajobs.reports.page import Cell, PageTable, Section
from rajobs.reports.wording import humanize

LEAD = (
    "Of numbers the median, then the quartiles and the range; of yes and no the count (of the sex, how many are "
    "female). P is Mann-Whitney's, or the chi-squared test's, of independent rows: variants of one patient are not. "
    "What was not examined is left out."
)


def characteristics_sections(study: Study, tables: Mapping[str, Sequence[Characteristic]]) -> list[Section]:
    """A table for each part of the split whose patients the paper tabulates; none without characteristics."""
    printed = study.characteristics
    if printed is None or not tables:
        return []
    entries = read_paper(study.paper).entries
    parts = []
    for part, of_part in tables.items():
        in_paper = [entry for entry in entries if entry.where == printed.tables[part]]
        rows: list[tuple[Cell, ...]] = [
            (words, *_cells(each), _p(each), _as_printed(words, in_paper))
            for each in of_part
            for words in (printed.columns[each.variable],)
        ]
        first = of_part[0]
        answered = [f"{humanize(study.targets[0].name)} {name}" for name in reversed(first.classes)]
        columns = ("variable", *answered, "P", f"paper, {printed.tables[part]}")
        parts.append(PageTable(columns=columns, rows=tuple(rows), caption=f"{humanize(part)} part"))
    return [Section(title="Who the patients are", lead=LEAD, parts=tuple(parts))]


def _cells(each: Characteristic) -> list[str]:
    """The last class first, as in the paper."""
    of_classes = zip(reversed(each.values), reversed(each.rows))
    return [_text(values, rows, counted=each.counted) for values, rows in of_classes]


def _text(values: Sequence[float], rows: int, *, counted: bool) -> str:
    if counted:
        return f"{values[0]:.0f} of {rows}"
    if not values:
        return "–"
    median, low, high, least, most = (f"{value:.4g}" if value < 1000 else f"{value:.0f}" for value in values)
    return f"{median} ({low} to {high}; {least} to {most})"


def _p(each: Characteristic) -> str | None:
    return None if each.p is None else "< 0.0001" if each.p < 0.0001 else f"{each.p:.4f}"


def _as_printed(words: str, entries: Sequence[Entry]) -> str:
    """The paper's line; of counts it prints P alone beside them."""
    entry = next(each for each in entries if each.what.startswith(words))
    counts = entry.what.partition(": ")[2]
    return f"{counts}; P = {entry['printed']}" if counts else str(entry["printed"])
