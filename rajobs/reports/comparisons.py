"""The sections that compare the models' answers on evaluate's page: single networks, readers and a plain model."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.comparison import Comparison
from rajobs.learning.tabular_baseline import verdict
from rajobs.reports.page import Cell, PageTable, Section, Text, format_cell
from rajobs.reports.wording import format_figure, humanize, ratio


def member_sections(predictions: pa.Table) -> list[Section]:
    """How often the networks that answer together disagree, and how often their joint answer is right then."""
    voted = predictions.filter(
        pc.and_(pc.equal(predictions.column("split"), "test"), pc.is_valid(predictions.column("dissent")))
    )
    rows: list[tuple[Cell, ...]] = []
    for target in dict.fromkeys(voted.column("target").to_pylist()):
        answers = voted.filter(pc.equal(voted.column("target"), target))
        right = pc.equal(answers.column("truth"), answers.column("predicted")).to_numpy()
        disagree = answers.column("dissent").to_numpy() > 0
        for label, chosen in (("all networks agree", ~disagree), ("a network disagrees", disagree)):
            count = int(chosen.sum())
            right_share = ratio(int(right[chosen].sum()), count)
            rows.append((humanize(target), label, count, ratio(count, len(chosen)), right_share))
    if not rows:
        return []
    lead = (
        "Each of the networks that answer together was also asked alone. Look again at rows where one of them "
        "disagrees with the joint answer: the column dissent of the predictions is the share of those that disagree."
    )
    table = PageTable(columns=("target", "networks", "rows", "share of rows", "share right"), rows=tuple(rows))
    return [Section(title="Where the networks disagree", lead=lead, parts=(table,))]


def reader_sections(comparisons: Sequence[Comparison]) -> list[Section]:
    """The readers' own agreement: what can be expected of a model."""
    if not comparisons:
        return []
    lead = (
        "How well the model and each reader agree with the reference and with each other, on the rows that the reader "
        "has scored. Readers are compared with an adjudicated reference only. The model's lead is a paired difference "
        "on the same rows."
    )
    return [Section(title="Model and readers", lead=lead, parts=_comparison_tables(comparisons, "model and readers"))]


def baseline_sections(comparisons: Sequence[Comparison]) -> list[Section]:
    """Whether the networks are better than a plain model of the same variables."""
    baselines = [each for each in comparisons if each.lead]
    if not baselines:
        return []
    verdicts = [verdict(each.deciding_metric, each.lead[each.deciding_metric]) for each in baselines]
    parts = baselines[0].learnt_from
    source = "train part" if len(parts) == 1 else f"{' and '.join(parts)} parts, as networks with folds do"
    lead = (
        f"A plain model learnt from the split's {source}. It uses the variables as numbers, without a picture, and "
        "answers the same rows. The networks' lead is a paired difference on these rows."
    )
    tables = _comparison_tables(comparisons, "networks and plain model")
    return [Section(title="Compared with a plain model", lead=lead, parts=(Text(paragraphs=tuple(verdicts)), *tables))]


def _comparison_tables(comparisons: Sequence[Comparison], parties: str) -> tuple[PageTable, ...]:
    """One table per target, one row per comparison."""
    tables = []
    for target in dict.fromkeys(each.target for each in comparisons):
        compared = [each for each in comparisons if each.target == target]
        deciding = compared[0].deciding_metric
        rows: list[tuple[Cell, ...]] = [
            (f"{humanize(each.who)} and {each.against}", each.rows, *_figure_cells(each), _lead_cell(each, deciding))
            for each in compared
        ]
        metrics = (humanize(name) for name in compared[0].figures)
        columns = ("compared", "rows", *metrics, f"model's lead, {humanize(deciding)}")
        tables.append(PageTable(columns=columns, rows=tuple(rows), caption=f"{humanize(target)}: {parties}"))
    return tuple(tables)


def _figure_cells(comparison: Comparison) -> list[str]:
    """Each figure with its interval, where it has one."""
    return [format_figure(figure) or format_cell(figure["value"]) for figure in comparison.figures.values()]


def _lead_cell(comparison: Comparison, metric: str) -> str:
    lead = comparison.lead.get(metric)
    return format_figure(lead, signed=True) or "" if lead else ""
