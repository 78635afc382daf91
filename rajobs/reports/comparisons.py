"""What stands beside the models' answers on the evaluation's page: single members, readers, a plain model."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.tabular_baseline import verdict
from rajobs.reports.page import Cell, PageTable, Section, Text, interval, shown, words

Values = Mapping[str, Mapping[str, float]]


def members(predictions: pa.Table) -> list[Section]:
    """How often the networks that answer together differ, and what their answer is worth then."""
    told = predictions.filter(
        pc.and_(pc.equal(predictions.column("split"), "test"), pc.is_valid(predictions.column("dissent")))
    )
    rows: list[tuple[Cell, ...]] = []
    for target in dict.fromkeys(told.column("target").to_pylist()):
        mine = told.filter(pc.equal(told.column("target"), target))
        right = pc.equal(mine.column("truth"), mine.column("predicted")).to_numpy()
        differ = mine.column("dissent").to_numpy() > 0
        for words_, which in (("all members agree", ~differ), ("a member says otherwise", differ)):
            count = int(which.sum())
            rows.append((words(target), words_, count, ratio(count, len(which)), ratio(int(right[which].sum()), count)))
    if not rows:
        return []
    lead = (
        "The networks that answer together, asked one by one. Where one of them says something else than they do "
        "together, look again: the column dissent of the predictions tells the share of those who do."
    )
    table = PageTable(
        columns=("target", "members", "rows", "share", "right"), rows=tuple(rows), caption="Members apart"
    )
    return [Section(title="Where members differ", lead=lead, parts=(table,))]


def readers(comparisons: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The readers' own agreement: what a model can be asked to reach."""
    if not comparisons:
        return []
    lead = (
        "Agreement of the model and of each reader with the reference, on the rows that a reader has scored, and with "
        "one another. A reader is held against an adjudicated reference alone. The lead is paired, row by row."
    )
    return [Section(title="The readers", lead=lead, parts=_compared(comparisons, "readers and model"))]


def plain(comparisons: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Whether it takes networks at all."""
    if not comparisons:
        return []
    told = Text(paragraphs=tuple(verdict(each) for each in comparisons if "lead" in each))
    taught = next(each["learnt_from"] for each in comparisons if "lead" in each)
    source = "train part" if len(taught) == 1 else f"{' and '.join(taught)} parts, as networks with folds do"
    lead = (
        f"A plain model that learnt from the split's {source}, on the same rows; it sees the numbers themselves. "
        "The lead is paired, row by row."
    )
    return [Section(title="A plain model beside it", lead=lead, parts=(told, *_compared(comparisons, "both models")))]


def _compared(comparisons: Sequence[Mapping[str, Any]], who: str) -> tuple[PageTable, ...]:
    tables = []
    for target in dict.fromkeys(each["target"] for each in comparisons):
        mine = [each for each in comparisons if each["target"] == target]
        names = list(mine[0]["figures"])
        rows = tuple(
            (f"{words(each['who'])} and {each['against']}", each["rows"], *_spans(each["figures"]), *_lead(each, names))
            for each in mine
        )
        lead = f"model's lead, {words(names[-1])}"
        columns = ("who and whom", "rows", *(words(name) for name in names), lead)
        tables.append(PageTable(columns=columns, rows=rows, caption=f"{words(target)}: {who}"))
    return tuple(tables)


def _spans(figures: Values) -> list[str]:
    """Figures with their intervals, a cell each."""
    spans = [(shown(each["value"]), interval(each["low"], each["high"])) for each in figures.values()]
    return [f"{value} ({span})" if span else value for value, span in spans]


def _lead(each: Mapping[str, Any], names: Sequence[str]) -> tuple[str]:
    held = each.get("lead", {}).get(names[-1])
    return (f"{held['value']:+.3f} ({held['low']:+.3f} to {held['high']:+.3f})" if held else "",)


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
