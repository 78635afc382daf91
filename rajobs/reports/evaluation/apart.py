"""The page of `rajobs evaluate --apart`: models side by side, paired row by row, and what the leaks of a paper add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeGuard

from rajobs.learning.judging.side_by_side import Figure as Measure
from rajobs.learning.judging.side_by_side import Measured
from rajobs.learning.study import Study
from rajobs.papers.paper_data import read_paper
from rajobs.records import metrics
from rajobs.records.statistics.by_patient import LEAST_PATIENTS
from rajobs.reports import figures as draw
from rajobs.reports.evaluation_page import MODEL_COLUMNS, ModelFacts, model_row
from rajobs.reports.page import Cell, Figure, Figures, Notice, PageTable, Part, Section, Text, Tile, Tiles, render
from rajobs.reports.wording import format_count, format_figure, humanize

ROWS = (
    "Each model has a test part of its own: that of the mode in which it was trained. Shared rows lie in the test "
    "parts of all models, so that none of them has learnt from them. A difference is paired, row by row."
)
SIGNS = "bold where the difference's interval leaves 0 out, ↓ less is better"
LEAD = (
    "A clean and a published model of the same recipe; published mode repeats the paper's protocol with its leaks. "
    "From left to right: what the published model reaches on its own test part, both models on the rows that the two "
    "test parts share, their paired difference, and what the clean model reaches on its own test part. The difference "
    "on equal rows is what the leaks in learning and choosing add, together with the rows that each mode learns from. "
    f"The rest of the way between the two ends comes from the rows that judge. Signs: {SIGNS}."
)
NO_LEAK = "No leak of the paper is known: the difference is that of the two splits."
ANY_LEAK = "Leaks that are known of the paper; the difference is that of all of them together:"


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One of the models, with the number that the page gives it."""

    number: int
    model: ModelFacts
    rows: Mapping[str, int]  # by part of its split

    @property
    def name(self) -> str:
        return f"{self.number} ({self.model.mode})"


@dataclass(frozen=True, kw_only=True)
class ModePair:
    """A clean and a published model of one recipe; `measured` has the clean one first."""

    clean: ComparedModel
    published: ComparedModel
    measured: tuple[Measured, ...]

    def to_dict(self) -> dict[str, Any]:
        hashes = {"clean": self.clean.model.hash, "published": self.published.model.hash}
        return {**hashes, "measured": [each.to_dict() for each in self.measured]}


@dataclass(frozen=True, kw_only=True)
class ApartFacts:
    """What the page shows."""

    models: tuple[ComparedModel, ...]
    measured: tuple[Measured, ...]
    modes: tuple[ModePair, ...]
    judged_on_all: str | None = None  # a sentence, where some models have no test part in these data

    def to_dict(self) -> dict[str, Any]:
        return {
            "measured": [each.to_dict() for each in self.measured],
            "modes": [each.to_dict() for each in self.modes],
        }


def apart_page(study: Study, facts: ApartFacts) -> str:
    """The page as HTML."""
    targets = dict.fromkeys(each.target for each in facts.measured)
    sections = [
        _summary(study, facts),
        *_mode_sections(study, facts),
        *(_target_section(facts, target) for target in targets),
        _models(study, facts),
    ]
    return render(f"{humanize(study.name)}: models side by side", study.question, sections)


def _summary(study: Study, facts: ApartFacts) -> Section:
    parts: list[Part] = []
    headline = next((each for each in facts.measured if each.name == study.headline), None)
    if headline is not None:
        parts.append(Tiles(tiles=(
            Tile(value=str(len(facts.models)), label="models"),
            Tile(value=f"{headline.shared_rows:,}", label="shared rows", note=f"of {study.headline}"),
            Tile(value=f"{headline.shared_patients:,}", label="patients"),
        )))  # fmt: skip
        parts += _comparison(facts, headline)
    parts.append(Text(paragraphs=(ROWS,)))
    if facts.judged_on_all:
        parts.append(Notice(text=facts.judged_on_all))
    budget = min(each.model.budget for each in facts.models)
    if budget < 1:
        text = f"Budget {budget:g}: with a share of the epochs and rows the machinery is shown, and no recipe compared."
        parts.append(Notice(text=text))
    return Section(title="In short", parts=tuple(parts))


def _comparison(facts: ApartFacts, headline: Measured) -> list[Part]:
    """The headline of all models with the paired differences, as far as there are intervals to draw."""
    if headline.shared_patients < LEAST_PATIENTS:
        text = (
            f"{format_count(headline.shared_patients, 'patient')} in the test parts of all models: an interval needs "
            f"{LEAST_PATIENTS}, so that nothing is compared."
        )
        return [Notice(text=text)]
    names = [each.name for each in facts.models]
    values = [(name, figure) for name, figure in zip(names, headline.shared) if _has_interval(figure)]
    leads = [(f"{name} − 1", figure) for name, figure in zip(names, headline.lead) if _has_interval(figure)]
    if not values:
        return []
    image = draw.intervals(dict(values), dict(leads), humanize(headline.name))
    caption = f"{humanize(headline.name)} on the shared rows, and each model's paired difference from model 1."
    return [Figures(figures=(Figure(png=image, caption=caption, wide=True),))]


def _has_interval(figure: Measure | None) -> TypeGuard[Measure]:
    return figure is not None and isfinite(figure["low"] + figure["high"])


def _target_section(facts: ApartFacts, target: str) -> Section:
    of_target = [each for each in facts.measured if each.target == target]
    rows: list[tuple[Cell, ...]] = []
    strong: list[int] = []
    for each in of_target:
        for number, model in enumerate(facts.models):
            if each.own[number] is None:
                continue
            if _differs(each.lead[number]):
                strong.append(len(rows))
            rows.append((
                _metric_name(each), model.name, _cell(each.shared[number]),
                _cell(each.lead[number], signed=True, digits=3), _cell(each.own[number]), each.own_rows[number],
            ))  # fmt: skip
    columns = ("metric", "model", "shared rows", "less model 1", "own test part", "rows")
    caption = f"On {format_count(of_target[0].shared_rows, 'shared row')}; {SIGNS}"
    table = PageTable(columns=columns, rows=tuple(rows), caption=caption, strong=tuple(strong))
    return Section(title=humanize(target), parts=(table,))


def _mode_sections(study: Study, facts: ApartFacts) -> list[Section]:
    """Clean beside published, where a recipe was trained in both modes."""
    modes = {each.model.mode for each in facts.models}
    if len(modes) < 2:
        return []
    leaks = [text.removeprefix("Leak: ") for text in read_paper(study.paper).oddities if "leak" in text.lower()]
    known = tuple(f"– {text[:1].upper()}{text[1:]}" for text in leaks)
    parts: list[Part] = [Text(paragraphs=(ANY_LEAK, *known) if known else (NO_LEAK,))]
    if not facts.modes:
        text = "No recipe was trained in both modes: train the published recipe with --mode clean, too."
        parts.append(Notice(text=text))
    targets = dict.fromkeys(each.target for each in facts.measured)
    parts += [
        _mode_table(pair, target)
        for pair in facts.modes
        for target in targets
        if any(each.target == target and None not in each.own for each in pair.measured)
    ]
    return [Section(title="Clean beside published", lead=LEAD, parts=tuple(parts))]


def _mode_table(pair: ModePair, target: str) -> PageTable:
    of_target = [each for each in pair.measured if each.target == target and None not in each.own]
    rows = tuple(
        (
            _metric_name(each), _value(each.own[1]), _cell(each.shared[1]), _cell(each.shared[0]),
            _cell(each.lead[1], signed=True), _value(each.own[0]),
        )
        for each in of_target
    )  # fmt: skip
    first = of_target[0]
    columns = ("metric", "published", "published, shared", "clean, shared", "difference", "clean")
    caption = (
        f"{humanize(target)}: model {pair.published.number} (published, {first.own_rows[1]:,} rows) and model "
        f"{pair.clean.number} (clean, {first.own_rows[0]:,} rows), of which they share {first.shared_rows:,} of "
        f"{format_count(first.shared_patients, 'patient')}"
    )
    strong = tuple(number for number, each in enumerate(of_target) if _differs(each.lead[1]))
    return PageTable(columns=columns, rows=rows, caption=caption, strong=strong)


def _models(study: Study, facts: ApartFacts) -> Section:
    rows: Sequence[tuple[Cell, ...]] = [
        (each.number, *model_row(study, each.model), each.rows.get("train")) for each in facts.models
    ]
    table = PageTable(columns=("", *MODEL_COLUMNS, "rows to learn from"), rows=tuple(rows), caption="Models")
    return Section(title="Models", parts=(table,))


def _metric_name(measured: Measured) -> str:
    return humanize(measured.metric) + (" ↓" if measured.metric in metrics.LESS_IS_BETTER else "")


def _differs(lead: Measure | None) -> bool:
    return lead is not None and (lead["low"] > 0 or lead["high"] < 0)


def _value(figure: Measure | None) -> Cell:
    return None if figure is None else float(figure["value"])


def _cell(figure: Measure | None, *, signed: bool = False, digits: int = 2) -> Cell:
    if figure is None:
        return None
    return format_figure(figure, signed=signed, digits=digits) or float(figure["value"])
