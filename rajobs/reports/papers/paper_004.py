"""The tables and figures of paper 004, finger joints found and scored, beside ours."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from rajobs.learning.judging.readers.scores import ALL
from rajobs.learning.judging.readers.totals import MODEL
from rajobs.learning.targets import YES
from rajobs.records.anatomy import JOINT_KINDS
from rajobs.records.splits import PrintedPatients
from rajobs.records.statistics.by_patient import share_interval
from rajobs.reports import figures as draw
from rajobs.reports.evaluation.figure_data import curve_data
from rajobs.reports.evaluation.history import history_curves
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Text
from rajobs.reports.papers.beside import entry, printed
from rajobs.reports.papers.evaluated import (
    as_figures,
    drawn_by_evaluate,
    judged,
    mode_of,
    share_of,
    why_missing,
)
from rajobs.reports.papers.runs import PaperRuns, StudyRun
from rajobs.reports.wording import humanize

DETECTION, SCORING = "detection", "scoring"
GROUPS = ("PIP and IP", "MCP")
SCORES = {"jsn": "JSN", "erosion": "erosion"}
MEASURES = {"accuracy": ("PEA", "share of equal scores"), "within_one": ("PCA", "share of scores at most one apart")}
CLINICIANS = ("clinician 1", "clinician 2")
KINDS = {"joints": ("PIP", "IP", "MCP"), "PIP joints": ("PIP",), "IP joints": ("IP",), "MCP joints": ("MCP",)}
CURVES = ("loss", "validation_loss", "accuracy", "validation_accuracy")
READERS = (
    "Readers of these data stand in for the paper's clinicians, in the order of their pseudonyms; where no reader is "
    "named, the reference of the labels does. In published mode places are by labels, so that every joint is scored; "
    "end to end, a joint that no model placed has no score, as in the paper."
)


def counterparts() -> Mapping[str, Callable[[PaperRuns], Sequence[Part]]]:
    """By table or figure, the parts that stand in its place."""
    return {
        "Figure 1": _steps, "Table 1": _patients, "Table 2": _scores_to_learn, "Figure 2": _overlay,
        "Figure 3": _figure_three, "Table 3": _agreement, "Tables S1 to S2": _any_damage, "In the text": _in_the_text,
    }  # fmt: skip


def _sum_of(paper: str, what: str, where: str = "") -> str:
    numbers: Sequence[int] = entry(paper, what, where)["sum"]
    return f"{sum(numbers):,} = {' + '.join(f'{number:,}' for number in numbers)}"


def _parts(run: StudyRun) -> Mapping[str, Mapping[str, Any]]:
    of_part: Mapping[str, Mapping[str, Any]] = run.metrics.get("parts", {})
    return of_part


def _steps(runs: PaperRuns) -> list[Part]:
    """The films of each part, the clips and their copies, and the networks that learn from them."""
    modes = judged(runs, SCORING)
    rows: list[tuple[Cell, ...]] = []
    split = next(run for run in runs.protocol if run.name == SCORING).declared_study.printed_split
    assert isinstance(split, PrintedPatients), "004 deals whole patients"
    for part, patients in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        ours = [_parts(run).get(part, {}) for run in modes]
        rows.append((f"films, {part}", patients * split.images, *(of.get("films", 0) for of in ours)))
        rows.append((f"patients, {part}", patients, *(of.get("patients", 0) for of in ours)))
    for part, what in (("train", "copies for training"), ("validation", "copies for validation")):
        copies: int = entry(runs.paper, what)["product"][-1]  # of each clip; the recipe has as many
        clips = [copies * run.bundle.rows.get(part, 0) for run in modes]
        rows.append((f"clips with their copies, {part}", printed(runs.paper, what), *clips))
    columns = ("", "paper", *map(mode_of, modes))
    parts: list[Part] = [PageTable(columns=columns, rows=tuple(rows), caption="Films, clips and copies")]
    networks: tuple[tuple[Cell, ...], ...] = tuple(
        (name.upper() if name == "jsn" else name, mode_of(run), count, " x ".join(map(str, run.bundle.shape)))
        for run in modes
        for name, count in run.bundle.parameters.items()
    )
    if networks:
        heads = ("network", "", "parameters", "channels, rows, columns of a clip")
        parts.append(PageTable(columns=heads, rows=networks, caption="The two networks; the paper prints no size"))
    return [*parts, *why_missing(runs, SCORING)]


def _patients(runs: PaperRuns) -> list[Part]:
    """Sex and age by part: all that a film's header says of these."""
    modes = judged(runs, SCORING)
    rows: list[tuple[Cell, ...]] = []
    ages = str(entry(runs.paper, "medians and quartiles of age")["printed"]).split("; ")
    in_paper = {
        "all": ("patients, all (female, male)", ages[0]),
        "training and validation": ("patients, training and validation (female, male)", ages[1]),
        "test": ("patients, test (female, male)", ages[2]),
    }
    for words, (what, age) in in_paper.items():
        rows.append((f"{words}: female + male", _sum_of(runs.paper, what), *(_sexes(run, words) for run in modes)))
        rows.append((f"{words}: age, median (quartiles)", age, *(_age(run, words) for run in modes)))
    for what in ("patients, all (class I to IV)", "patients, all (stage I to IV)"):
        rows.append((what.removeprefix("patients, "), _sum_of(runs.paper, what), *(None for _ in modes)))
    for what in ("ACPA positive, all", "ACPA positive, test"):
        rows.append((what, printed(runs.paper, what), *(None for _ in modes)))
    durations = str(entry(runs.paper, "medians and quartiles of disease duration")["printed"]).partition(";")[0]
    rows.append(("all: disease duration, years", durations, *(None for _ in modes)))
    return [PageTable(columns=("", "paper", *map(mode_of, modes)), rows=tuple(rows)), *why_missing(runs, SCORING)]


def _named_parts(words: str) -> tuple[str, ...]:
    every = ("train", "validation", "test")
    return {"all": every, "test": every[2:]}.get(words, every[:2])


def _sexes(run: StudyRun, words: str) -> str | None:
    known = [_parts(run)[part] for part in _named_parts(words) if part in _parts(run)]
    if not known:
        return None
    female, male = (sum(of[sex] for of in known) for sex in ("female", "male"))
    return f"{female + male:,} = {female:,} + {male:,}"


def _age(run: StudyRun, words: str) -> str | None:
    """Of one part; quartiles of several parts do not follow from theirs."""
    known = [_parts(run)[part]["age"] for part in _named_parts(words) if part in _parts(run)]
    if len(known) != 1 or not known[0]:
        return None
    median, low, high = known[0]
    return f"{median:.1f} ({low:.1f}, {high:.1f})"


def _scores_to_learn(runs: PaperRuns) -> list[Part]:
    """The joints of each score that are learnt from and chosen by, in both groups."""
    modes = judged(runs, SCORING)
    parts: list[Part] = []
    for target, name in SCORES.items():
        rows: list[tuple[Cell, ...]] = []
        for group in GROUPS:
            counts: Sequence[int] = entry(runs.paper, f"joints by score: {name}, {group}")["sum"]
            rows.append((group, "paper", *counts, sum(counts)))
            for run in modes:
                ours = _learnt(run, target, group, len(counts))
                rows.append(("", mode_of(run), *ours, sum(ours)))
            scores = tuple(f"score {score}" for score in range(len(counts)))
        caption = f"Joints by {name}, training and validation"
        parts.append(PageTable(columns=("joints", "", *scores, "in all"), rows=tuple(rows), caption=caption))
    return [*parts, *why_missing(runs, SCORING)]


def _learnt(run: StudyRun, target: str, group: str, scores: int) -> list[int]:
    of_group: Mapping[str, Mapping[str, int]] = run.metrics.get("group_counts", {}).get(target, {}).get(group, {})
    return [
        sum(of_group.get(part, {}).get(str(score), 0) for part in ("train", "validation")) for score in range(scores)
    ]


def _overlay(runs: PaperRuns) -> list[Part]:
    """A hand of the test part with its joints and their scores."""
    modes = judged(runs, SCORING)
    if not modes:
        return why_missing(runs, SCORING)
    words = "The test hand with the highest total: boxes in red, JSN upper left in yellow, erosion lower right in blue"
    return [
        as_figures([drawn_by_evaluate(run, "overlay", words) for run in modes], "no hand of the test part is scored")
    ]


def _figure_three(runs: PaperRuns) -> list[Part]:
    """Curves of both networks, then how often each voice gives each score, then totals of films."""
    modes = judged(runs, SCORING)
    if not modes:
        return why_missing(runs, SCORING)
    rows: list[tuple[Cell, ...]] = [
        (SCORES[target], printed(runs.paper, f"{SCORES[target]}, validation"),
         *(share_of(run.bundle.validation.get(f"{target}.accuracy")) for run in modes))
        for target in SCORES
    ]  # fmt: skip
    columns = ("network", "paper", *map(mode_of, modes))
    caption = "Share of equal scores in validation; the paper's figures fit its six copies of each clip"
    figures: list[Figure | None] = []
    for run in modes:
        for target, name in SCORES.items():
            figures.append(drawn_by_evaluate(run, f"{target}-by-reader", f"How often each score of {name} was given"))
            for number in (1, 2):
                words = f"Totals of {name} of each hand, the model and reader {number}"
                figures.append(drawn_by_evaluate(run, f"{target}-totals-{number}", words))
    return [
        PageTable(columns=columns, rows=tuple(rows), caption=caption),
        Figures(figures=tuple(map(_learning, modes))), as_figures(figures, "no joint of the ten is judged"),
    ]  # fmt: skip


def _learning(run: StudyRun) -> Figure:
    shown = {member: {name: of[name] for name in CURVES} for member, of in history_curves(run.history).items()}
    png = draw.learning_curves({member: {**of, "metric": ()} for member, of in shown.items()}, "")
    caption = f"By epoch, {mode_of(run)}: dashed in training, the other lines in validation."
    return Figure(png=png, caption=caption, wide=True, data=curve_data(shown, CURVES))


def _agreement(runs: PaperRuns) -> list[Part]:
    """PEA and PCA of the model with each clinician and between them, in both groups."""
    parts: list[Part] = []
    for target, name in SCORES.items():
        rows: list[tuple[Cell, ...]] = []
        for pair in ("model with clinician 1", "model with clinician 2", "between the clinicians"):
            for measure, (short, _) in MEASURES.items():
                what = f"{name}, {pair}, {short}"
                rows.append(
                    (f"{pair}, {short}", "paper", None, *(printed(runs.paper, what, group) for group in (ALL, *GROUPS)))
                )
                rows += _agreement_rows(runs, target, pair, measure)
        columns = ("compared", "", "joints", "all", *GROUPS)
        parts.append(PageTable(columns=columns, rows=tuple(rows), caption=humanize(name)))
    words = tuple((short, text) for short, text in MEASURES.values())
    parts.append(PageTable(columns=("measure", "definition"), rows=words, caption="Definitions"))
    return [*parts, Text(paragraphs=(READERS,)), *why_missing(runs, SCORING)]


def _agreement_rows(runs: PaperRuns, target: str, pair: str, measure: str) -> Iterable[tuple[Cell, ...]]:
    """A row for each mode, and one end to end, in which joints that no model placed are left out as in the paper."""
    for run in judged(runs, SCORING):
        for words, scores in _reader_scores(run):
            of_pair = _pair(scores, target, pair)
            if of_pair:
                cells = [share_of(of_pair[group]["figures"].get(measure)) if group in of_pair else None
                         for group in (ALL, *GROUPS)]  # fmt: skip
                yield ("", f"{mode_of(run)}{words}", of_pair[ALL]["rows"], *cells)


def _reader_scores(run: StudyRun) -> list[tuple[str, Mapping[str, Any]]]:
    """What readers and the model say of joints that labels place, and of those that models place."""
    by_models = run.metrics.get("end_to_end", {}).get("reader_scores")
    every = (("", run.metrics.get("reader_scores")), (", end to end", by_models))
    return [(words, scores) for words, scores in every if scores]


def _readers(scores: Mapping[str, Any], target: str) -> list[str]:
    """The voices beside the model's, in their order."""
    return [name for name in scores["counts"].get(target, {}) if name != MODEL]


def _pair(scores: Mapping[str, Any], target: str, pair: str) -> dict[str, Mapping[str, Any]]:
    """By group, the agreement of a pair of voices; nothing where there is no such reader."""
    readers = _readers(scores, target)
    wanted: tuple[str, str] | None = None
    if pair.startswith("between"):
        wanted = (readers[0], readers[1]) if len(readers) > 1 else None
    else:
        number = int(pair[-1])
        wanted = (MODEL, readers[number - 1]) if len(readers) >= number else None
    return {
        each["group"]: each
        for each in scores["agreement"]
        if each["target"] == target and (each["who"], each["against"]) == wanted
    }


def _any_damage(runs: PaperRuns) -> list[Part]:
    """Sensitivity and specificity of a score above nought, with each reader as the truth."""
    rows: list[tuple[Cell, ...]] = []
    for target, name in SCORES.items():
        what = f"{name}, zero against"
        for measure in ("sensitivity", "specificity"):
            text = " to ".join(printed(runs.paper, what, f"{measure}, {end}") for end in ("lower", "higher"))
            rows.append((f"{name}, {measure}", "paper", text, text))
            for run in judged(runs, SCORING):
                for words, scores in _reader_scores(run):
                    pairs = [_pair(scores, target, f"model with {clinician}") for clinician in CLINICIANS]
                    cells = [share_of(of[ALL]["figures"].get(f"any_{measure}")) if of else None for of in pairs]
                    rows.append(("", f"{mode_of(run)}{words}", *cells))
    columns = ("any damage", "", *CLINICIANS)
    caption = "A score of at least 1 against 0; the paper gives the range over both clinicians"
    return [PageTable(columns=columns, rows=tuple(rows), caption=caption), *why_missing(runs, SCORING)]


def _in_the_text(runs: PaperRuns) -> list[Part]:
    """Joints that were found by kind, correlations of totals, and the seconds of a film."""
    return [_detected(runs), *_totals(runs), *why_missing(runs, DETECTION, SCORING), _seconds(runs)]


def _detected(runs: PaperRuns) -> PageTable:
    """The cascade's share of joints, by kind; of the paper with its counts."""
    modes = judged(runs, DETECTION)
    rows: list[tuple[Cell, ...]] = []
    for what, kinds in KINDS.items():
        of_paper = entry(runs.paper, f"{what} found")
        hits, of = of_paper["counts"]
        text = f"{printed(runs.paper, f'{what} found')} ({hits} of {of})"
        rows.append((what, text, *(_detected_share(run, kinds) for run in modes)))
    caption = "Finger joints found; right is within half a joint's width of the label's place"
    return PageTable(columns=("joints", "paper", *map(mode_of, modes)), rows=tuple(rows), caption=caption)


def _detected_share(run: StudyRun, kinds: Sequence[str]) -> Cell:
    """Among the labelled joints of these kinds that judge."""
    table = run.predictions.filter(pc.equal(run.predictions.column("split"), "test"))
    rows = [row for row in table.to_pylist() if JOINT_KINDS.get(row["site"]) in kinds and row["truth"] == YES]
    if not rows:
        return None
    hit = np.array([row["predicted"] == row["truth"] for row in rows])
    low, high = share_interval(hit, np.array([row["patient"] for row in rows], np.str_))
    return share_of({"value": float(hit.mean()), "low": low, "high": high})


def _totals(runs: PaperRuns) -> list[Part]:
    ranges = str(entry(runs.paper, "Pearson's correlation of film totals")["printed"]).split("; ")
    rows: list[tuple[Cell, ...]] = []
    for text, (target, name) in zip(ranges, SCORES.items(), strict=True):
        rows.append((name, "paper", text, text))
        for run in judged(runs, SCORING):
            for words, scores in _reader_scores(run):
                by_reader = {each["against"]: each["pearson"] for each in scores["totals"] if each["target"] == target}
                readers = [*_readers(scores, target), None, None][:2]
                rows.append(("", f"{mode_of(run)}{words}", *(share_of(by_reader.get(reader)) for reader in readers)))
    caption = "Pearson's correlation of film totals over the ten joints; the paper gives the range"
    return [PageTable(columns=("totals of", "", *CLINICIANS), rows=tuple(rows), caption=caption)]


def _seconds(runs: PaperRuns) -> Part:
    text = (
        f"A film takes {printed(runs.paper, 'seconds a film')} s in the paper, on a computer that it does not compare "
        "with others. The rate of `rajobs score` on your machines is in its summary; docs/results.md has ours."
    )
    return Text(paragraphs=(text,))
