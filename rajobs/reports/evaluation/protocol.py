"""The sections of evaluate's page on a paper's protocol: what it shows of its networks, patients and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rajobs.learning.comparison import FigureByMetric, MemberFigures, NetworkView, ProbeFacts
from rajobs.learning.study import Printed, Study
from rajobs.records.metrics import AT_CLASS_THRESHOLDS
from rajobs.records.splits import PARTS, PrintedSplit
from rajobs.records.statistics.characteristics import Characteristic
from rajobs.reports.evaluation.characteristics import characteristics_sections
from rajobs.reports.evaluation.network_views import view_sections
from rajobs.reports.evaluation.probes import probe_sections
from rajobs.reports.page import Cell, Figure, Figures, Notice, PageTable, Part, Section, Text
from rajobs.reports.wording import humanize

HAND = (
    "The judged hand with the highest total: joints in boxes, narrowing in yellow at the upper left, erosion in blue "
    "at the lower right."
)
ClassCounts = Mapping[str, Mapping[str, int]]
"""By part of the split and class, how many rows there are."""


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """The patients and films of one part."""

    patients: int
    films: int
    female: int
    male: int
    age: tuple[float, ...]  # years: median and quartiles; empty where no age is known

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class ProtocolFacts:
    """What papers show besides the figures of their answers."""

    class_counts: ClassCounts = field(default_factory=dict)  # where the paper prints its own
    parts: Mapping[str, PartFacts] = field(default_factory=dict)  # where the paper deals whole patients
    group_counts: Mapping[str, Mapping[str, ClassCounts]] = field(default_factory=dict)  # by target, group of sites
    hand: bytes | None = None  # a judged one with its scores drawn on it, as PNG
    views: tuple[NetworkView, ...] = ()  # of every network of models with several
    probes: tuple[ProbeFacts, ...] = ()
    characteristics: Mapping[str, Sequence[Characteristic]] = field(default_factory=dict)  # by part of the split

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without empty fields; views are drawn, not written."""
        tables = {part: [each.to_dict() for each in of_part] for part, of_part in self.characteristics.items()}
        content: dict[str, Any] = {
            "class_counts": self.class_counts, "characteristics": tables, "group_counts": self.group_counts,
            "parts": {part: each.to_dict() for part, each in self.parts.items()},
        }  # fmt: skip
        content["probes"] = [each.to_dict() for each in self.probes]
        return {name: value for name, value in content.items() if value}


def protocol_sections(
    study: Study,
    mode: str,
    figures: FigureByMetric,
    members: Sequence[MemberFigures],
    facts: ProtocolFacts,
    drawn: dict[str, bytes],
) -> list[Section]:
    """The networks' curves and maps, what the answers depend on, who the patients are, and the paper's protocol."""
    parts: list[Part] = [*_threshold_notices(study, mode, figures)]
    ours = {each.member for each in members} & {str(printed.member) for printed in study.printed_members}
    if ours:
        parts.append(_member_table([each for each in study.printed_members if each.member in ours], members))
    if facts.class_counts:
        parts.append(_count_table(study, mode, facts.class_counts))
    if facts.hand is not None:
        drawn["overlay.png"] = facts.hand
        parts.append(Figures(figures=(Figure(png=facts.hand, caption=HAND),)))
    if mode == "published" and study.assumptions:
        parts.append(Text(paragraphs=study.assumptions))
    return [
        *view_sections(facts.views, drawn),
        *probe_sections(facts.probes),
        *characteristics_sections(study, facts.characteristics),
        *([Section(title="The paper's protocol", parts=tuple(parts))] if parts else ()),
    ]


def _threshold_notices(study: Study, mode: str, figures: FigureByMetric) -> list[Notice]:
    """Where the thresholds of the classes come from."""
    if not any(f"{target.name}.{name}" in figures for target in study.targets for name in AT_CLASS_THRESHOLDS):
        return []
    if mode == "published":
        text = (
            "The thresholds of the classes were tuned on this very test part, as the paper must have done, which has "
            "no other: a leak. How it chose them is not printed; here it is by the highest sensitivity + specificity."
        )
    else:
        text = (
            "The thresholds of the classes were tuned on the validation part, by the highest sensitivity + specificity."
        )
    return [Notice(text=text)]


def _member_table(printed: Sequence[Printed], members: Sequence[MemberFigures]) -> PageTable:
    """Two rows for each network that the paper prints figures of: the paper's and ours."""
    ours = {(each.member, f"{each.target}.{name}"): of for each in members for name, of in each.figures.items()}
    paper = {(each.member, each.metric): each.value for each in printed}
    names = list(dict.fromkeys(each.metric or "" for each in printed))
    rows: list[tuple[Cell, ...]] = []
    for member in dict.fromkeys(each.member or "" for each in printed):
        rows.append((member, "paper", *(paper.get((member, name)) for name in names)))
        rows.append(("", "here", *(ours.get((member, name), {}).get("value") for name in names)))
    columns = ("network", "", *(humanize(name.partition(".")[2]) for name in names))
    caption = "Each network alone, in the paper and here"
    return PageTable(columns=columns, rows=tuple(rows), caption=caption)


def _count_table(study: Study, mode: str, counts: ClassCounts) -> PageTable:
    """Rows by class and part; in published mode the paper's counts beside them."""
    printed = study.printed_split
    assert isinstance(printed, PrintedSplit), "rows are counted where the paper's are printed"
    beside = mode == "published"
    parts = [part for part in PARTS if sum(counts.get(part, {}).values())]
    rows: list[tuple[Cell, ...]] = []
    for name in printed.learn:
        pairs = [(counts[part].get(name, 0), printed.count(name, part)) for part in parts]
        rows.append((name, *(cell for pair in pairs for cell in (pair if beside else pair[:1]))))
    total: tuple[Cell, ...] = ("total", *(sum(int(str(row[at])) for row in rows) for at in range(1, len(rows[0]))))
    columns = [f"{part}{who}" for part in parts for who in (("", ", paper") if beside else ("",))]
    caption = f"{str(study.rows).capitalize()} by {printed.target.replace('_', ' ')} and part of the split"
    if printed.whole_patients and beside:
        caption += ": whole patients, as near to the paper's counts as they allow"
    return PageTable(
        columns=(printed.target, *columns), rows=(*rows, total), caption=caption, strong=(len(rows),)
    )  # fmt: skip
