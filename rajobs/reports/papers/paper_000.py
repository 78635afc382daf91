"""The tables and figures of paper 000 beside ours."""

from collections.abc import Callable, Mapping, Sequence

from rajobs.reports.page import Part
from rajobs.reports.papers.runs import PaperRuns


def counterparts() -> Mapping[str, Callable[[PaperRuns], Sequence[Part]]]:
    """By table or figure, the parts that stand in its place."""
    return {}
