"""The page of `rajobs evaluate`: what the models answered to films they never saw, beside the truth and the paper."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.recipe import to_dict
from rajobs.learning.study import Study
from rajobs.records import metrics
from rajobs.reports import figures as draw
from rajobs.reports.answers import Given, given, surety
from rajobs.reports.comparisons import members, plain, ratio, readers
from rajobs.reports.page import (
    Cell,
    Facts,
    Figure,
    Figures,
    Notice,
    PageTable,
    Part,
    Picture,
    Pictures,
    Section,
    Text,
    Tile,
    Tiles,
    interval,
    render,
    short_id,
    shown,
    words,
)

MOST_WRONG = 12
PARTS = (("train", "to learn from"), ("validation", "to choose by"), ("test", "to judge by, looked at once"))
MODES = {
    "clean": "Clean mode: no patient, and nothing derived from one, stands in two parts of the split. "
    "Models and thresholds were chosen on the validation part.",
    "published": "Published mode repeats the paper's protocol, with the leaks that it has. "
    "Read its figures as too good, and clean mode's as the ones to expect.",
}
GIVEN = (
    "The answers were brought in a table. What gave them, and whether it has learnt from the patients that judge, "
    "cannot be told from here."
)

Values = Mapping[str, Mapping[str, float]]


def wrong_answers(study: Study, predictions: pa.Table, most: int = MOST_WRONG) -> list[str]:
    """Images of the test part with the surest wrong answers, surest first: the pictures that the page needs."""
    wrong = predictions.filter(
        pc.and_(
            pc.equal(predictions.column("split"), "test"),
            pc.not_equal(predictions.column("truth"), predictions.column("predicted")),
        )
    )
    told = wrong.select(["image_id", "target", "predicted", "p"]).to_pylist()
    order = sorted(told, key=lambda row: (-(surety(study, row) or 0.0), row["image_id"]))
    return list(dict.fromkeys(row["image_id"] for row in order))[:most]


def evaluation_page(
    study: Study,
    facts: Mapping[str, Any],
    predictions: pa.Table,
    figures: Values,
    history: pa.Table | None,
    thumbnails: Mapping[str, bytes],
) -> tuple[str, dict[str, bytes]]:
    """The page and its figures as PNG, by file name.

    `figures` are `Verdict.figures()` of the test part. `facts`: `mode`, `budget`, `bundles` (each the content of a
    bundle.json), `rows` (a count a part), `rules` (what was answered without a model), `readers` and `baseline` (see
    learning/reader_agreement.py and tabular_baseline.py), `all_rows` (why all labelled rows judge, where no test part
    does) and, if the
    other mode was evaluated too, `other`: {"mode", "figures"}.
    """
    drawn: dict[str, bytes] = {}
    judges = "all labelled rows" if facts.get("all_rows") else "the test part"
    tested = [given(study, target, predictions, "test") for target in study.targets]
    tested = [each for each in tested if each.rows]
    sections = [
        _short(study, facts, tested, figures, judges),
        *(_answers(study, each, predictions, figures, drawn, judges) for each in tested),
        *members(predictions),
        *readers(facts.get("readers", ())),
        *plain(facts.get("baseline", ())),
        _paper(study, facts, figures),
        _mistakes(study, predictions, thumbnails, judges),
        _making(study, facts, history, drawn),
    ]
    lead = f"{study.question} An evaluation after paper {study.paper}."
    return render(f"{words(study.name)}: evaluation", lead, sections), drawn


def _short(study: Study, facts: Mapping[str, Any], tested: Sequence[Given], figures: Values, judges: str) -> Section:
    parts: list[Part] = [Notice(text=facts["all_rows"])] if facts.get("all_rows") else []
    if not tested:
        parts.append(Notice(text=f"No row of {judges} has a label, so there is nothing to judge by."))
    headline = figures.get(study.headline)
    if headline:
        parts.append(Tiles(tiles=(_headline(study, headline), *_sizes(tested, judges))))
    protocol = MODES[facts["mode"]] if facts["bundles"] else GIVEN
    told = () if facts.get("all_rows") else (protocol,)  # of a split that nobody has judged by
    parts.append(Text(paragraphs=(*told, *facts.get("rules", ()))))
    if facts["mode"] == "published" and study.folds:
        folded = ", ".join(f"{name} as {into}" for name, into in study.folds.items())
        parts.append(Text(paragraphs=(f"The paper has fewer classes: {folded}.",)))
    for bundle in facts["bundles"]:
        if bundle.get("best"):
            parts.append(Notice(text=_best(bundle, judges)))
    if facts["budget"] < 1:
        spent = f"{100 * facts['budget']:g} %"
        parts.append(
            Notice(
                text=f"Trained with {spent} of the recipe's epochs and rows. The figures show that the line works; "
                "they do not show what the recipe can do."
            )
        )
    return Section(title="In short", parts=tuple(parts))


def _best(bundle: Mapping[str, Any], judges: str) -> str:
    told = f"Of {len(bundle['recipe']['members'])} networks {bundle['best']} answers, the most accurate one"
    if bundle["mode"] == "published" and judges == "the test part":
        return f"{told} on this very test part, as in the paper. That is a leak: what judges has chosen."
    if bundle["mode"] == "published":
        return f"{told} on the test part of the data that it was made with, as in the paper."
    return f"{told} on the validation part."


def _headline(study: Study, figure: Mapping[str, float]) -> Tile:
    target, metric = study.headline.split(".")
    span = interval(figure["low"], figure["high"])
    return Tile(
        value=shown(figure["value"]),
        label=f"{words(metric)}, {target.replace('_', ' ')}",
        note=f"95 % interval {span}" if span else "",
    )


def _sizes(tested: Sequence[Given], judges: str) -> list[Tile]:
    rows = sum(each.rows for each in tested)
    wrong = sum(int(np.sum(each.answers.truth != each.answers.predicted)) for each in tested)
    patients = {name for each in tested for name in each.answers.patients.tolist()}
    return [
        Tile(value=shown(rows), label="answers judged", note=judges),
        Tile(value=shown(len(patients)), label="patients" if len(patients) != 1 else "patient"),
        Tile(value=shown(wrong), label="wrong answers"),
    ]


def _answers(
    study: Study, each: Given, predictions: pa.Table, figures: Values, drawn: dict[str, bytes], judges: str
) -> Section:
    """All of one target: its metrics, its classes and its figures."""
    name = each.target.name
    pictures = [Figure(png=draw.confusion(metrics.confusion(each.answers), each.classes), caption=CONFUSION)]
    drawn[f"{name}-confusion.png"] = pictures[0].png
    if each.target.ordered:
        _counts(each, pictures, drawn)
    if each.sure:
        _probabilities(study, each, predictions, pictures, drawn)
    return Section(
        title=f"{words(name)}: truth and answer",
        parts=(_metrics(study, name, figures, judges), _classes(each), Figures(figures=tuple(pictures))),
    )


CONFUSION = "Answers (across) of each true class (down). The shade is the share of the row."


def _counts(each: Given, pictures: list[Figure], drawn: dict[str, bytes]) -> None:
    width = len(each.classes)
    groups = {
        "readers": np.bincount(each.answers.truth, minlength=width),
        "model": np.bincount(each.answers.predicted, minlength=width),
    }
    image = draw.counts(groups, each.classes, each.target.name.replace("_", " "))
    drawn[f"{each.target.name}-scores.png"] = image
    pictures.append(Figure(png=image, caption="How often each score was given, by readers and by the model."))


def _probabilities(
    study: Study, each: Given, predictions: pa.Table, pictures: list[Figure], drawn: dict[str, bytes]
) -> None:
    """The figures that need a probability of each class."""
    name, answers = each.target.name, each.answers
    trained = given(study, each.target, predictions, "train")
    others = {"training": (trained.answers.truth, trained.answers.p)} if trained.rows and trained.sure else {}
    right, sure = answers.truth == answers.predicted, metrics.sureness(answers)
    dashed = " Dashed: the part it learnt from." if others else ""
    made = {
        "roc": (
            draw.roc(answers.truth, answers.p, each.classes, others=others),
            f"ROC, each class against the rest.{dashed}",
        ),
        "calibration": (
            draw.reliability(sure, right),
            "Is it right as often as it is sure? On the dashed line it is; below, it is too sure.",
        ),
        "confidence": (
            draw.histogram({"right": sure[right], "wrong": sure[~right]}, "probability of the answer given"),
            "How sure the answers are, right and wrong ones.",
        ),
    }
    for kind, (image, caption) in made.items():
        drawn[f"{name}-{kind}.png"] = image
        pictures.append(Figure(png=image, caption=caption))


def _metrics(study: Study, target: str, figures: Values, judges: str) -> PageTable:
    rows: list[tuple[Cell, ...]] = []
    for name in study.metrics:
        figure = figures.get(f"{target}.{name}")
        if figure:
            meaning = (metrics.METRICS[name].__doc__ or "").strip()
            less = " Less is better." if name in metrics.LESS_IS_BETTER else ""
            span = interval(figure["low"], figure["high"])
            rows.append((words(name), float(figure["value"]), span, f"{meaning}{less}"))
    return PageTable(
        columns=("measure", "value", "95 % interval", "what it is"),
        rows=tuple(rows),
        caption=f"Measures of {judges}; intervals by drawing patients anew",
    )


def _classes(each: Given) -> PageTable:
    """What a clinician asks of each class: how many, how many of them found, how many of those named so are."""
    matrix = metrics.confusion(each.answers)
    rows: list[tuple[Cell, ...]] = []
    for at, name in enumerate(each.classes):
        hit, true, said = int(matrix[at, at]), int(matrix[at].sum()), int(matrix[:, at].sum())
        rest = each.rows - true
        rows.append((name, true, ratio(hit, true), ratio(rest - (said - hit), rest), ratio(hit, said)))
    return PageTable(
        columns=("class", "rows", "sensitivity", "specificity", "precision"), rows=tuple(rows), caption="By class"
    )


def _paper(study: Study, facts: Mapping[str, Any], figures: Values) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for printed in study.printed:
        ours = figures.get(printed.metric or "")
        rows.append(
            (
                words(printed.what),
                float(printed.value),
                float(ours["value"]) if ours else None,
                interval(ours["low"], ours["high"]) if ours else None,
            )
        )
    parts: list[Part] = []
    if rows:
        parts.append(PageTable(columns=("what the paper prints", "paper", "here", "95 % interval"), rows=tuple(rows)))
    else:
        parts.append(Text(paragraphs=("The paper prints no figure of this question.",)))
    if facts.get("other"):
        parts.append(_modes(facts["mode"], figures, facts["other"]["mode"], facts["other"]["figures"]))
        parts.append(
            Text(
                paragraphs=(
                    "The modes judge different images, so the difference is not paired and has no interval. "
                    "It tells roughly what the paper's protocol adds.",
                )
            )
        )
    lead = (
        f"The figures of paper {study.paper} come from patients and from the authors' own split. "
        "If the images here are phantoms, the two columns are not comparable: the paper's says where it stood, no more."
    )
    return Section(title="Beside the paper", lead=lead, parts=tuple(parts))


def _modes(mode: str, figures: Values, other: str, theirs: Values) -> PageTable:
    rows: list[tuple[Cell, ...]] = []
    for name in figures:
        if name in theirs:
            here, there = float(figures[name]["value"]), float(theirs[name]["value"])
            rows.append((words(name), here, there, f"{there - here:+.3f}"))
    return PageTable(
        columns=("measure", mode, other, "difference"), rows=tuple(rows), caption=f"{words(mode)} and {other}"
    )


def _mistakes(study: Study, predictions: pa.Table, thumbnails: Mapping[str, bytes], judges: str) -> Section:
    chosen = wrong_answers(study, predictions)
    mine = predictions.filter(
        pc.and_(
            pc.equal(predictions.column("split"), "test"),
            pc.is_in(predictions.column("image_id"), value_set=pa.array(chosen, pa.string())),
        )
    )
    rows = [row for row in mine.to_pylist() if row["truth"] != row["predicted"]]
    pictures = []
    for image in chosen:
        wrong = [row for row in rows if row["image_id"] == image]
        pictures.append(
            Picture(
                png=thumbnails.get(image),
                title=f"{wrong[0]['predicted']}, truly {wrong[0]['truth']}",
                lines=tuple(_said(study, row) for row in wrong[:3]),
                code=short_id(image),
            )
        )
    if not pictures:
        return Section(title="Surest mistakes", parts=(Text(paragraphs=(f"No answer of {judges} is wrong.",)),))
    return Section(
        title="Surest mistakes",
        lead="The wrong answers that the model was surest of. Look here first for a wrong label or an odd film.",
        parts=(Pictures(pictures=tuple(pictures)),),
    )


def _said(study: Study, row: Mapping[str, Any]) -> str:
    where = f"{row['site']} " if row["site"] else ""
    p = surety(study, row)
    sure = "" if p is None else f", {100 * p:.0f} % sure"
    return f"{where}{row['target'].replace('_', ' ')}{sure}"


def _making(study: Study, facts: Mapping[str, Any], history: pa.Table | None, drawn: dict[str, bytes]) -> Section:
    rows = facts["rows"]
    told = {words(part): f"{rows.get(part, 0):,} {study.rows}, {why}" for part, why in PARTS}
    if facts.get("all_rows"):
        told.pop(words("test"))
        told["Judged"] = f"{rows.get('test', 0):,} answers, all labelled rows"
    parts: list[Part] = [Facts(pairs=tuple(told.items()))]
    if facts["bundles"]:
        parts.append(
            PageTable(
                columns=("model", "recipe", "networks", "mode", "seed", "budget"),
                rows=tuple(_bundle(study, bundle) for bundle in facts["bundles"]),
                caption="Models that answered",
            )
        )
    if history is not None and history.num_rows:
        image = draw.losses(_curves(history), words(study.headline.split(".")[1]))
        drawn["history.png"] = image
        caption = "Loss while learning, and the headline measure on the validation part."
        parts.append(Figures(figures=(Figure(png=image, caption=caption, wide=True),)))
    return Section(title="How it was made", parts=tuple(parts))


def _bundle(study: Study, bundle: Mapping[str, Any]) -> tuple[Cell, ...]:
    known = [name for name, recipe in study.recipes.items() if to_dict(recipe) == bundle["recipe"]]
    networks = ", ".join(f"{member['name']} ({member['architecture']})" for member in bundle["recipe"]["members"])
    return (
        bundle["hash"],
        known[0] if known else "a file",
        networks,
        bundle["mode"],
        bundle["seed"],
        f"{bundle['budget']:g}",
    )


def _curves(history: pa.Table) -> dict[str, dict[str, list[float | None]]]:
    """A history table's columns, a member at a time, in order of epochs."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for row in history.sort_by([("member", "ascending"), ("epoch", "ascending")]).to_pylist():
        columns = found.setdefault(row["member"], {"loss": [], "validation_loss": [], "metric": []})
        for name, values in columns.items():
            values.append(row[name])
    return found
