"""The section of evaluate's page on views that were changed on purpose, to see what the answers depend on."""

from collections.abc import Sequence

from rajobs.learning.comparison import ProbeFacts
from rajobs.reports.page import Cell, PageTable, Section
from rajobs.reports.wording import humanize

LEAD = (
    "The models were asked again about the rows that judge, with one finding shown otherwise. Only rows whose picture "
    "changes count. Answers that change depend on that finding; those that stay rest on the others."
)


def probe_sections(probes: Sequence[ProbeFacts]) -> list[Section]:
    """A table by target: of each change and true class, how many answers it turns."""
    tables = []
    for target in dict.fromkeys(each.target for each in probes):
        same = [each for each in probes if each.target == target]
        classes = same[0].classes
        rows: list[tuple[Cell, ...]] = []
        for each in same:
            for number, of_truth in enumerate(each.counts):
                became = [
                    sum(of_answer[to] for answer, of_answer in enumerate(of_truth) if answer != to)
                    for to in range(len(classes))
                ]
                rows.append((each.probe, classes[number], sum(map(sum, of_truth)), sum(of_truth[number]), *became))
        columns = ("change", "true class", "rows", "right before", *(f"answer became {name}" for name in classes))
        tables.append(PageTable(columns=columns, rows=tuple(rows), caption=humanize(target)))
    return [Section(title="What the answers depend on", lead=LEAD, parts=tuple(tables))] if tables else []
