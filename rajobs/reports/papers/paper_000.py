"""The tables and figures of paper 000, clinical findings drawn as one picture, beside ours."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rajobs.imaging.clinical_picture import (
    GRADED,
    GREEN,
    HEIGHT,
    ITEMS,
    ORANGE,
    PRESENT,
    RED,
    SCALES,
    WIDTH,
    YELLOW,
    Drawing,
    Scale,
    draw_findings,
)
from rajobs.learning.comparison import ProbeFacts
from rajobs.papers.paper_data import read_paper
from rajobs.records.metrics import METRICS
from rajobs.records.statistics.characteristics import Characteristic
from rajobs.reports.evaluation.characteristics import characteristics_sections
from rajobs.reports.evaluation.probes import probe_sections
from rajobs.reports.figures import image_png
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Text
from rajobs.reports.papers.beside import (
    OURS,
    Line,
    figure_cell,
    figure_table,
    machinery,
    matrix_table,
    matrix_tables,
    not_run,
    printed,
)
from rajobs.reports.papers.runs import PaperRuns, StudyRun, known_figure

TARGET = "ra_clinical"
MAIN = "alexnet"
CLASSES = ("no RA", "RA")
COLOUR_NAMES = {GREEN: "green", YELLOW: "yellow", ORANGE: "orange", RED: "red"}
EXPERTS = ("first", "second", "third")
NO_EXPERTS = (
    "The clinic's table names no reader who has given a diagnosis of these patients, so there is no expert to compare "
    "with."
)


def counterparts() -> Mapping[str, Callable[[PaperRuns], Sequence[Part]]]:
    """By table or figure, the parts that stand in its place."""
    return {
        "Table 1": _best_trial, "Tables S1 to S4": partial(_trials, name=MAIN), "Table 2": _colours,
        "Table 4": partial(_characteristics, part="train"), "Table 3": partial(_characteristics, part="test"),
        "Tables S5 to S9": partial(_trials, name="resnet18"),
        "Tables S10 to S14": partial(_trials, name="cruciforms"),
        "Tables S15 to S19": partial(_trials, name="squares"), "Figure 1": _pictures, "In the text": _in_the_text,
    }  # fmt: skip


def _best_trial(runs: PaperRuns) -> list[Part]:
    best = "AlexNet's third trial, RA"
    lines = [
        Line(what="accuracy", metric=f"{TARGET}.accuracy", printed=printed(runs.paper, best, "accuracy")),
        Line(what="precision of RA", metric=f"{TARGET}.any_precision", printed=printed(runs.paper, best, "precision")),
        Line(what="sensitivity", metric=f"{TARGET}.any_sensitivity", printed=printed(runs.paper, best, "sensitivity")),
    ]
    matrix = read_paper(runs.paper).matrices["third_trial"].tolist()
    return [
        figure_table(runs, MAIN, lines), matrix_table(matrix, CLASSES, "Paper, the third of five trials"),
        *matrix_tables(runs, MAIN, TARGET), *filter(None, [not_run(runs, MAIN)]),
    ]  # fmt: skip


def _trials(runs: PaperRuns, name: str) -> list[Part]:
    """Each trial's accuracy beside the printed one, and its matrix as four counts."""
    if (text := not_run(runs, name)) is not None:
        return [text]
    study = runs.protocol[0].declared_study
    lines = [
        Line(what=each.what, metric=each.metric, printed=f"{each.value:.2f}", member=each.member)
        for each in study.printed_members
        if (each.member or "").startswith(f"{name}-")
    ]
    rows = [row for run in runs.both(name) if run is not None for row in _counts_of_trials(run)]
    columns = ("trial", "mode", "RA, called RA", "RA, missed", "no RA, called RA", "no RA, cleared")
    return [
        figure_table(runs, name, lines, definitions=False),
        PageTable(columns=columns, rows=tuple(rows), caption="The matrix of each trial here, as counts"),
    ]


def _counts_of_trials(run: StudyRun) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for each in run.members(TARGET):
        (cleared, called), (missed, right) = each["matrix"]
        rows.append((each["member"], f"{OURS[run.mode]}{machinery(run)}", right, missed, called, cleared))
    return rows


def _colours(runs: PaperRuns) -> list[Part]:
    """The rules by which the picture is drawn here."""
    blocks = {"symptom, tender, swollen": PRESENT, "grey-scale and power-Doppler score": GRADED}
    characteristics = runs.protocol[0].declared_study.characteristics
    assert characteristics is not None, "000 prints its patients' variables"
    words = characteristics.columns
    rows = [(str(number), words[name], _rule(name, scale)) for number, (name, scale) in enumerate(ITEMS.items(), 1)]
    rows += [("cruciform", name, _rule(name, scale)) for name, scale in blocks.items()]
    return [
        PageTable(
            columns=("square", "finding", "colour here"),
            rows=tuple(rows),
            caption=f"Paper {runs.paper}'s rules as they are drawn",
        )
    ]


def _rule(name: str, scale: Scale) -> str:
    """`green < 15, yellow from 15, red from 30`, or `no green, yes red`."""
    first, *others = (COLOUR_NAMES[colour] for colour in scale.colours)
    if list(scale.bounds) == [1]:
        no, yes = ("male", "female") if name == "sex" else ("no", "yes")
        return f"{no} {first}, {yes} {others[0]}"
    bounds = [f"{bound:g}" for bound in scale.bounds]
    return ", ".join(
        [f"{first} < {bounds[0]}", *(f"{name} from {of}" for name, of in zip(others, bounds, strict=True))]
    )


def _characteristics(runs: PaperRuns, part: str) -> list[Part]:
    """The variables of one part of the split, as evaluate's page has them beside the paper's."""
    run = runs.get(MAIN) or runs.get(MAIN, "clean")
    if run is None:
        return [not_run(runs, MAIN) or Text(paragraphs=())]
    tables = {
        name: [_characteristic(each) for each in of_part]
        for name, of_part in run.metrics.get("characteristics", {}).items()
        if name == part
    }
    return [each for section in characteristics_sections(run.study, tables) for each in section.parts]


def _characteristic(content: Mapping[str, Any]) -> Characteristic:
    values = tuple(tuple(of) for of in content["values"])
    return Characteristic(
        **{**content, "values": values, "classes": tuple(content["classes"]), "rows": tuple(content["rows"])}
    )


def _pictures(runs: PaperRuns) -> list[Part]:
    """The layout with every square in its harmless and in its worst colour, and the two ablations."""
    worst = {name: scale.bounds[-1] for name, scale in SCALES.items()} | {"sex": "F"}
    least = dict.fromkeys(SCALES, 0.0) | {"sex": "M"}
    shown = {
        "Every finding in its worst colour.": draw_findings(worst),
        "Every finding in its most harmless colour.": draw_findings(least),
        "The worst colours, cruciforms alone.": draw_findings(worst, Drawing(shows="cruciforms")),
        "The worst colours, squares alone.": draw_findings(worst, Drawing(shows="squares")),
    }
    figures = tuple(Figure(png=image_png(image), caption=caption, wide=True) for caption, image in shown.items())
    text = f"The picture has {WIDTH} x {HEIGHT} pixels, as in paper {runs.paper}; the places of the blocks are our own."
    return [Figures(figures=figures), Text(paragraphs=(text,))]


def _in_the_text(runs: PaperRuns) -> list[Part]:
    """Experts, a changed ACPA, and the other AlexNet."""
    if (text := not_run(runs, MAIN)) is not None:
        return [text]
    parts: list[Part] = [_experts(runs)]
    for run in runs.both(MAIN):
        if run is not None:
            probes = [ProbeFacts(**each) for each in run.metrics.get("probes", ())]
            parts += [
                Text(paragraphs=(f"{OURS[run.mode].capitalize()}{machinery(run)}: an ACPA that is shown otherwise.",))
            ]
            parts += [part for section in probe_sections(probes) for part in section.parts]
    other = runs.get("torchvision")
    if other is not None:
        rows = tuple(
            (each["member"], figure_cell(known_figure(each["figures"]["accuracy"]))) for each in other.members(TARGET)
        )
        caption = f"torchvision's AlexNet, of 2014, accuracy of each trial{machinery(other)}"
        parts.append(PageTable(columns=("trial", "accuracy"), rows=rows, caption=caption))
    return parts


def _experts(runs: PaperRuns) -> Part:
    """Cohen's kappa of the model with each reader of the clinic's table, beside the paper's three."""
    name = "kappa_unweighted"
    rows: list[tuple[Cell, ...]] = [
        (
            f"with the {which} expert",
            "paper",
            printed(runs.paper, f"AlexNet's third trial with the {which} expert"),
            None,
        )
        for which in EXPERTS
    ]
    ours = 0
    for run in runs.both(MAIN):
        for each in run.metrics["readers"] if run is not None else ():
            if (
                run is not None
                and each["who"] == "model"
                and each["against"] != "reference"
                and name in each["figures"]
            ):
                ours += 1
                kappa = figure_cell(known_figure(each["figures"][name]))
                rows.append(
                    (f"{each['who']} with {each['against']}", f"{OURS[run.mode]}{machinery(run)}", kappa, each["rows"])
                )
    if not ours:
        rows.append((NO_EXPERTS, "here", None, None))
    caption = f"Kappa: {(METRICS[name].__doc__ or '').strip()}"
    return PageTable(columns=("", "", "kappa", "patients"), rows=tuple(rows), caption=caption)
