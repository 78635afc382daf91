"""The tables and figures of paper 002, power-Doppler grades learnt from drawings, beside ours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.papers.paper_data import read_paper
from rajobs.papers.protocols import PUBLISHED
from rajobs.phantoms.ultrasound.base_drawings import PUBLISHED_COUNTS, bases_of_grade
from rajobs.phantoms.ultrasound.scans import sample_scan
from rajobs.phantoms.ultrasound.variation_ranges import RANGES
from rajobs.records import metrics
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Text
from rajobs.reports.papers.beside import (
    OURS,
    Line,
    entry,
    figure_cell,
    figure_table,
    machinery,
    matrix_table,
    matrix_tables,
    not_run,
    printed,
    roc_figure,
)
from rajobs.reports.papers.runs import PaperRuns, StudyRun, known_figure

TARGET = "grade"
MAIN, FOLDS = "grading", "folds"
FIRST, SECOND = "initial", "second"
GRADES = ("0", "1", "2", "3")
PER_GRADE = {
    "accuracy": "accuracy", "precision": "precision", "sensitivity": "sensitivity", "f1": "f1",
    "specificity": "specificity", "auc": "one_point_auc",
}  # fmt: skip
"""The paper's figures of a grade by the name that it prints, and ours of the same definition."""

NO_SECOND = (
    "No drawing to learn from was modelled on an image of the test part, so DATA hold what the paper's first model is "
    "of. `rajobs phantom --like PREDICTIONS` draws like the errors of a model; ingested with them, DATA hold the "
    "second."
)
NO_FIRST = (
    "Drawings to learn from were modelled on images of the test part, so what is judged here is the paper's second "
    "model. DATA without these drawings hold the first."
)


def counterparts() -> Mapping[str, Callable[[PaperRuns], Sequence[Part]]]:
    """By table or figure, the parts that stand in its place."""
    return {
        "Figure 1": _base_drawings, "Table 1": _patients, "Table 2": partial(_confusion, model=FIRST),
        "Figure 3": _course, "Figure 4": partial(_curves, model=FIRST), "Table 3": partial(_confusion, model=SECOND),
        "Figure 5": partial(_curves, model=SECOND), "In the text": _in_the_text,
    }  # fmt: skip


def _is_here(run: StudyRun, model: str) -> bool:
    """Whether a run is the paper's first or second model, by the drawings that it learnt from.

    In clean mode the images that were drawn after do not judge, and published mode says which model it is.
    """
    return ("seeded" in run.metrics) == (model == SECOND)


def _model(runs: PaperRuns, model: str) -> tuple[list[StudyRun], list[Part]]:
    """The judged runs of one of the paper's models, or why there are none."""
    published = runs.get(MAIN)
    if published is None:
        return [], [not_run(runs, MAIN) or Text(paragraphs=())]
    if not _is_here(published, model):
        return [], [Text(paragraphs=(NO_SECOND if model == SECOND else NO_FIRST,))]
    return [run for run in runs.both(MAIN) if run is not None], []


def _base_drawings(runs: PaperRuns) -> list[Part]:
    """One drawing of each grade, plain as an illustrator's, and how many there are."""
    figures = []
    for grade in range(len(GRADES)):
        scan = sample_scan(np.random.default_rng([0, grade]), grade=grade, ranges=RANGES["easy"])
        caption = f"Grade {grade}: one of {len(bases_of_grade(grade))} base drawings here, varied."
        figures.append(Figure(png=draw.image_png(np.asarray(scan.frames[0], np.uint8)), caption=caption))
    rows: list[tuple[Cell, ...]] = []
    for what, here in (
        ("base drawings", [len(bases_of_grade(grade)) for grade in range(len(GRADES))]),
        ("drawings (grades", PUBLISHED_COUNTS),
    ):
        of_paper = entry(runs.paper, what)
        rows.append((of_paper.what, _as_sum(of_paper["sum"]), _as_sum(here)))
    table = PageTable(columns=("", "paper", "drawn by rajobs"), rows=tuple(rows))
    return [Figures(figures=tuple(figures)), table]


def _as_sum(numbers: Sequence[int]) -> str:
    return f"{sum(numbers):,} = {' + '.join(map(str, numbers))}"


def _patients(runs: PaperRuns) -> list[Part]:
    """Sex and age of the patients whose images judge."""
    run = runs.get(MAIN) or runs.get(MAIN, "clean")
    here = ("", "") if run is None else _sex_and_age(run)
    sexes = _as_sum(entry(runs.paper, "patients (female")["sum"])
    values = str(entry(runs.paper, "medians and ranges")["printed"])
    rows = (
        ("patients = female + male", sexes, here[0]),
        ("age; CRP; ESR; RF; DAS28-ESR: median (range)", values, here[1]),
    )
    parts: list[Part] = [PageTable(columns=("", "paper", "here"), rows=rows)]
    return [*parts, *filter(None, [not_run(runs, MAIN)])]


def _sex_and_age(run: StudyRun) -> tuple[str, str]:
    rows = {row["patient"]: row for row in _judged(run).to_pylist()}.values()
    sexes = [sum(row["sex"] == sex for row in rows) for sex in ("F", "M")]
    ages = [row["age_years"] for row in rows if row["age_years"] is not None]
    age = f"{np.median(ages):.0f} ({min(ages):.0f}-{max(ages):.0f})" if ages else "not known"
    return _as_sum(sexes), f"{age}; the others are in no table of images"


def _judged(run: StudyRun) -> pa.Table:
    return run.predictions.filter(pc.equal(run.predictions.column("target"), TARGET))


def _confusion(runs: PaperRuns, model: str) -> list[Part]:
    """The paper's matrix, and ours of the trial that answers and of each trial."""
    matrix = read_paper(runs.paper).matrices[model].tolist()
    judged, why = _model(runs, model)
    parts: list[Part] = [matrix_table(matrix, GRADES, f"Paper, {model} model"), *why]
    if judged:
        parts += matrix_tables(runs, MAIN, TARGET)
        rows = [row for run in judged for row in _trial_rows(run)]
        columns = ("trial", "mode", *(f"{truth} as {answer}" for truth in GRADES for answer in GRADES))
        parts.append(PageTable(columns=columns, rows=tuple(rows), caption="Every trial, true grade as answered grade"))
    return parts


def _trial_rows(run: StudyRun) -> Iterator[tuple[Cell, ...]]:
    for each in run.members(TARGET):
        name = each["member"] + (", which answers" if each["member"] == run.bundle.best else "")
        yield (name, f"{OURS[run.mode]}{machinery(run)}", *(count for row in each["matrix"] for count in row))


def _course(runs: PaperRuns) -> list[Part]:
    """The steps of the paper's study, and what of each is here."""
    run = runs.get(MAIN)
    seeded = None if run is None else run.metrics.get("seeded")
    learnt = "not run yet" if run is None else f"{run.bundle.rows['train']} of the images, by the labels' column split"
    second = NO_SECOND if seeded is None else f"here: {seeded['drawings']} drawings like {seeded['images']} image(s)"
    steps = (
        ("drawings teach the first model", _as_sum(entry(runs.paper, "drawings (grades")["sum"]), learnt),
        ("it grades real images", _as_sum(entry(runs.paper, "test images")["sum"]), _tested(run)),
        ("drawings like one of its errors are added", "5", "" if run is None else second),
        ("a second model grades the same images", "", "" if seeded is None else "the tables below are of it"),
    )
    return [PageTable(columns=("step", "paper", "here"), rows=steps)]


def _tested(run: StudyRun | None) -> str:
    if run is None:
        return "not run yet"
    truth = _judged(run).column("truth").to_pylist()
    return _as_sum([truth.count(grade) for grade in GRADES])


def _curves(runs: PaperRuns, model: str) -> list[Part]:
    """Real ROC curves of the grades, and both areas beside the paper's."""
    judged, why = _model(runs, model)
    rows: list[tuple[Cell, ...]] = []
    for grade in range(len(GRADES)):
        cells: list[Cell] = [printed(runs.paper, f"{model} model, grade {grade}", "auc")]
        for run in judged:
            answers = run.answers(TARGET)
            assert answers is not None, "its test part has grades"
            cells += [run.by_class(TARGET)[GRADES[grade]]["one_point_auc"]]
            cells += [metrics.roc_area(answers.truth == grade, answers.p[:, grade])]
        rows.append((f"grade {grade}", *cells))
    heads = [f"{OURS[run.mode]}{machinery(run)}, {of}" for run in judged for of in ("one point", "whole curve")]
    caption = "Areas: (sensitivity + specificity) / 2 of the answers, as the paper prints it, and under the curve"
    table = PageTable(columns=("", "paper", *heads), rows=tuple(rows), caption=caption)
    figures = tuple(_roc(run) for run in judged)
    return [*why, table, *((Figures(figures=figures),) if figures else ())]


def _roc(run: StudyRun) -> Figure:
    answers = run.answers(TARGET)
    assert answers is not None, "its test part has grades"
    return roc_figure(answers, GRADES, f"Each grade against the rest, {OURS[run.mode]}{machinery(run)}.")


def _in_the_text(runs: PaperRuns) -> list[Part]:
    """Figures by grade and kappas of both models, the raters, the leak's price, and the folds."""
    published = runs.get(MAIN)
    here = None if published is None else next(each for each in (FIRST, SECOND) if _is_here(published, each))
    parts: list[Part] = [
        table for model in (FIRST, SECOND) for table in _by_grade(runs, model, with_ours=model == here)
    ]
    if published is not None:
        parts += [*_raters(runs, published), *_seeded(published)]
    parts.append(_folded(runs))
    return [*parts, *filter(None, [not_run(runs, MAIN)])]


def _by_grade(runs: PaperRuns, model: str, *, with_ours: bool) -> list[Part]:
    """Six figures of each grade and the kappa."""
    judged = [run for run in runs.both(MAIN) if run is not None] if with_ours else []
    rows: list[tuple[Cell, ...]] = []
    for grade in GRADES:
        numbers = entry(runs.paper, f"{model} model, grade {grade}").numbers
        rows.append((f"grade {grade}", "paper", *(numbers[name].text for name in PER_GRADE)))
        for run in judged:
            of_grade = run.by_class(TARGET)[grade]
            rows.append(("", f"{OURS[run.mode]}{machinery(run)}", *(of_grade[name] for name in PER_GRADE.values())))
    columns = ("", "", *(name if name != "auc" else "AUC, of one point" for name in PER_GRADE))
    interval = entry(runs.paper, f"{model} model, 95 % interval of kappa").numbers
    text = f"{printed(runs.paper, f'{model} model, all grades')} ({interval['low'].text} to {interval['high'].text})"
    lines = [Line(what="linear kappa", metric=f"{TARGET}.kappa_linear", printed=text)]
    kappas = (
        figure_table(runs, MAIN, lines)
        if with_ours
        else PageTable(columns=("", "paper"), rows=(("linear kappa", text),))
    )
    return [PageTable(columns=columns, rows=tuple(rows), caption=f"The {model} model by grade"), kappas]


def _raters(runs: PaperRuns, run: StudyRun) -> list[Part]:
    text = str(entry(runs.paper, "weighted kappa of the two raters")["printed"])
    images, third = (
        str(entry(runs.paper, what)["printed"]) for what in ("test images (grades", "test images on which")
    )
    rows: list[tuple[Cell, ...]] = [("paper", images, third, third, None, text)]
    for each in run.metrics["raters"]:
        if each["target"] == TARGET:
            kappa = figure_cell(known_figure(each["agreement"]["figures"]["kappa_linear"]))
            rows.append(("here", each["read"], each["differ"], each["third"], each["left_out"], kappa))
    columns = ("", "images read", "raters differ", "read by a third", "left out", "linear kappa of two raters")
    return [PageTable(columns=columns, rows=tuple(rows), caption="Raters of the images that judge")]


def _seeded(run: StudyRun) -> list[Part]:
    """What the images are worth that drawings were modelled on."""
    seeded = run.metrics.get("seeded")
    if seeded is None:
        return []
    rows = tuple(
        (
            name,
            figure_cell(known_figure(seeded["without"][name])),
            figure_cell(known_figure(seeded["change"][name]), signed=True),
        )
        for name in seeded["without"]
    )
    caption = (
        f"Without the {seeded['images']} image(s) that {seeded['drawings']} drawings are modelled on{machinery(run)}"
    )
    return [PageTable(columns=("metric", "without", "difference"), rows=rows, caption=caption)]


def _folded(runs: PaperRuns) -> Part:
    """The accuracy of the cross-validation on the drawings."""
    run = runs.get(FOLDS, PUBLISHED)
    ours: Cell = None
    if run is not None:
        ours = figure_cell(known_figure(run.bundle.validation.get(f"{TARGET}.accuracy")))
    columns = ("", "paper", "here" + (machinery(run) if run is not None else ""))
    rows = (("accuracy of five folds", printed(runs.paper, "second model, five-fold"), ours),)
    return PageTable(columns=columns, rows=rows, caption="Cross-validation on the drawings")
