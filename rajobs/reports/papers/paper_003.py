"""The tables and figures of paper 003, hand radiographs selected from an archive, beside ours."""

from collections.abc import Callable, Mapping, Sequence

from rajobs.papers.paper_data import read_paper
from rajobs.records.splits import PARTS, PrintedSplit
from rajobs.reports.page import Cell, PageTable, Part, Text
from rajobs.reports.papers.beside import Line, figure_cell, figure_table, machinery, matrix_tables, not_run
from rajobs.reports.papers.runs import PaperRuns, StudyRun

FILTER, CUT_AFTER = "filter", "cut-after"
NETWORKS = {"m1": "model 1, a single hand or not", "m2": "model 2, both hands or not"}


def counterparts() -> Mapping[str, Callable[[PaperRuns], Sequence[Part]]]:
    """By table or figure, the parts that stand in its place."""
    return {
        "Figure 1": _idea, "Figure 2": _layers, "Table 2": _copies, "Table 3": _accuracies, "Figure 4": _mistakes,
        "Table 4": _confusion,
    }  # fmt: skip


def _idea(runs: PaperRuns) -> list[Part]:
    recipe = runs.protocol[0].declared_recipe
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (member.name.upper(), " or ".join(member.groups[0]), " or ".join(member.groups[1]),
         ", ".join(member.sees) or "every film")
        for member in recipe.members
    )  # fmt: skip
    text = (
        "A film is a single hand if M1 says so; else it shows both hands if M2 says so; else it is another part. "
        "A foot counts as another part, as in the paper."
    )
    table = PageTable(columns=("network", "yes", "no", "learns from"), rows=rows, caption="The recipe's two networks")
    return [table, Text(paragraphs=(text,))]


def _layers(runs: PaperRuns) -> list[Part]:
    """The printed neurons beside those of the network that was trained, whose size follows from its input."""
    run = runs.get(FILTER)
    ours = _neurons(run.bundle.shape) if run is not None else [None] * len(NEURONS)
    in_figure = [each for each in read_paper(runs.paper).entries if each.where == "figure 2"]
    rows = tuple(
        (each.what, each.numbers[""].text, number) for each, number in zip(in_figure, ours, strict=True)
    )  # fmt: skip
    parts: list[Part] = [PageTable(columns=("neurons", "paper", "here"), rows=rows)]
    if run is not None:
        counts = ", ".join(f"{name.upper()} {count:,}" for name, count in run.bundle.parameters.items())
        parts.append(Text(paragraphs=(f"Parameters of the networks that were trained here: {counts}.",)))
    return parts


def _neurons(shape: Sequence[int]) -> list[int | None]:
    """The outputs of each layer in the order of the figure: two convolutions, a pooling, two more, a pooling."""
    channels, side, _ = shape
    first, second = side - 2, side - 4
    half = second // 2
    third, fourth = half, half - 2
    sides = (side, first, second, half, third, fourth, fourth // 2)
    return [depth * each * each for depth, each in zip((channels, *NEURONS[1:]), sides, strict=True)]


NEURONS = (3, 32, 64, 64, 128, 128, 128)
"""Channels of the input and of each layer in the figure."""


def _copies(runs: PaperRuns) -> list[Part]:
    """The films of each class times the copies that the recipe shows of them."""
    run, recipe = runs.get(FILTER), runs.protocol[0].declared_recipe
    printed = runs.protocol[0].declared_study.printed_split
    assert isinstance(printed, PrintedSplit), "003 prints its counts"
    sums = [each for each in read_paper(runs.paper).entries if each.what.startswith("copies for model")]
    rows: list[tuple[Cell, ...]] = []
    for number, member in enumerate(recipe.members, 1):
        yes = member.groups[0]
        for which, is_yes in (("yes", True), ("no", False)):
            classes = [
                name for name in printed.learn if (name in yes) == is_yes and (not member.sees or name in member.sees)
            ]
            copies = {name: member.copies.get(name, recipe.training.copies) for name in classes}
            by_recipe = sum(printed.learn[name] * count for name, count in copies.items())
            in_paper = [each for each in sums if each.what.startswith(f"copies for model {number}")]
            here = None if run is None else sum(_films(run, "train", name) * count for name, count in copies.items())
            text = in_paper[0 if is_yes else 1].numbers[""].text
            words = f"{member.name.upper()}, {which}: {' and '.join(classes)}"
            rows.append((words, text, by_recipe, here))
    columns = ("copies", "paper", "by the recipe, of 841 films", "here, of the films that teach")
    films: list[tuple[Cell, ...]] = [
        (part, *(cell for name in printed.learn for cell in (printed.count(name, part), _films(run, part, name))))
        for part in PARTS
    ]
    heads = tuple(head for name in printed.learn for head in (f"{name}, paper", f"{name}, here"))
    caption = "Films by part: a fifth of the paper's 841 validates, and the classes of its test part are assumed"
    return [
        PageTable(columns=columns, rows=tuple(rows)),
        PageTable(columns=("part", *heads), rows=tuple(films), caption=caption),
    ]


def _films(run: StudyRun | None, part: str, name: str) -> int:
    counts: Mapping[str, Mapping[str, int]] = {} if run is None else run.metrics.get("class_counts", {})
    return counts.get(part, {}).get(name, 0)


def _accuracies(runs: PaperRuns) -> list[Part]:
    """Each network's accuracy on the part that validates, cut before and after copying, and on the test part."""
    if (text := not_run(runs, FILTER)) is not None:
        return [text]
    printed = {each.metric: each.value for each in runs.protocol[0].declared_study.printed}
    rows: list[tuple[Cell, ...]] = []
    judged = [run for run in (*runs.both(FILTER), runs.get(CUT_AFTER)) if run is not None]
    for name, words in NETWORKS.items():
        rows.append((words, "paper", printed[f"{name}.accuracy"], None, ""))
        for run in judged:
            for member in (each for each in run.members() if each["member"] == name):
                cut = "after copying: a leak" if member["cut_after"] else "before copying"
                validated, tested = member["validated"], member["figures"].get("accuracy")
                mode = f"here, {run.mode} mode{machinery(run)}"
                rows.append((words, mode, figure_cell(validated), figure_cell(tested), cut))
    columns = ("network", "", "accuracy in validation", "accuracy on the test part", "validation cut off")
    return [PageTable(columns=columns, rows=tuple(rows), caption="Share of right answers of each network alone")]


def _mistakes(runs: PaperRuns) -> list[Part]:
    if (text := not_run(runs, FILTER)) is not None:
        return [text]
    rows: list[tuple[Cell, ...]] = []
    for run in (each for each in runs.both(FILTER) if each is not None):
        answers = run.answers("view")
        assert answers is not None, "it is judged by films of every class"
        classes = run.study.target("view").classes
        for at, name in enumerate(classes):
            wrong = (answers.truth == at) & (answers.predicted != at)
            became = ", ".join(sorted({classes[number] for number in answers.predicted[wrong]}))
            rows.append(
                (f"{run.mode}{machinery(run)}", name, int((answers.truth == at).sum()), int(wrong.sum()), became)
            )
    columns = ("mode", "true class", "films", "answered wrongly", "as")
    return [PageTable(columns=columns, rows=tuple(rows))]


def _confusion(runs: PaperRuns) -> list[Part]:
    if (text := not_run(runs, FILTER)) is not None:
        return [text]
    value = next(each.value for each in runs.protocol[0].declared_study.printed if each.part == "test")
    lines = [Line(what="three classes, all films right", metric="view.accuracy_as_printed", printed=value)]
    return [figure_table(runs, FILTER, lines), *matrix_tables(runs, FILTER, "view")]
