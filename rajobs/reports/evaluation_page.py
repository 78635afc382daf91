"""The page of `rajobs evaluate`: the models' answers to rows that they never saw, beside the truth and the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.comparison import Comparison, FigureByMetric, MemberFigures, RaterFacts, SeededFacts
from rajobs.learning.judging.coverage import Coverage
from rajobs.learning.judging.readers.scores import ReaderScores
from rajobs.learning.judging.reliability import KindAgreement, TotalAgreement
from rajobs.learning.judging.review import ReviewFacts
from rajobs.learning.judging.trial_facts import TrialFacts
from rajobs.learning.recipe import Recipe, to_dict
from rajobs.learning.study import Study
from rajobs.records import metrics
from rajobs.reports import figures as draw
from rajobs.reports.answers import TargetAnswers, answer_probability, target_answers
from rajobs.reports.comparisons import baseline_sections, member_sections, reader_sections
from rajobs.reports.evaluation.classes import class_table
from rajobs.reports.evaluation.end_to_end import EndToEndFacts, end_to_end_sections
from rajobs.reports.evaluation.figure_data import class_roc_data, count_data, figure_files, matrix_data
from rajobs.reports.evaluation.history import history_parts
from rajobs.reports.evaluation.members import network_sections
from rajobs.reports.evaluation.printed import printed_sections, rater_sections, seeded_sections
from rajobs.reports.evaluation.protocol import ProtocolFacts, protocol_sections
from rajobs.reports.evaluation.reader_scores import reader_score_sections
from rajobs.reports.evaluation.review import review_sections
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
    format_cell,
    render,
)
from rajobs.reports.reliability import reliability_sections
from rajobs.reports.trial.sections import trial_sections
from rajobs.reports.trial.strata import worse_strata
from rajobs.reports.uncertainty import uncertainty_sections
from rajobs.reports.wording import format_interval, format_list, format_percent, humanize, short_id

MOST_WRONG = 12
MODEL_COLUMNS = ("model", "recipe", "networks", "mode", "seed", "budget")
PARTS = (
    ("train", "for learning"),
    ("validation", "for choosing models and thresholds"),
    ("test", "for judging, used only once"),
)
MODES = {
    "clean": "Clean mode: all rows of a patient, and everything derived from them, are in the same part of the split. "
    "Models and thresholds were chosen on the validation part.",
    "published": "Published mode repeats the paper's protocol, including its leaks. "
    "Its figures are therefore too good; expect those of clean mode.",
}
FOREIGN_ANSWERS = (
    "The answers come from a table of predictions. It does not show which model gave them, or whether that model has "
    "learnt from the patients on whom it is judged."
)
CONFUSION = "Answers (across) of each true class (down). The shade is the share of the row."


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """One of the models that answered, as its bundle describes it."""

    hash: str
    recipe: Recipe
    mode: str
    seed: int
    budget: float
    best: str | None = None  # the member that alone answers, where the recipe keeps one
    validation: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)  # of its bundle


@dataclass(frozen=True, kw_only=True)
class EvaluationFacts:
    """What the page shows besides the predictions themselves."""

    mode: str
    budget: float = 1.0  # share of the recipe's epochs and rows; of several models the smallest
    models: tuple[ModelFacts, ...] = ()  # none where the predictions come from a table
    rows: Mapping[str, int] = field(default_factory=dict)  # by part of the split
    figures: FigureByMetric = field(default_factory=dict)  # "<target>.<metric id>" to its figure on the test part
    rules: tuple[str, ...] = ()  # what was answered without a model, in sentences
    sets: tuple[Coverage, ...] = ()  # how often conformal sets of scores hold the truth
    totals: tuple[Coverage, ...] = ()  # and intervals of expected totals
    raters: tuple[RaterFacts, ...] = ()
    seeded: SeededFacts | None = None  # where drawings to learn from were modelled on images of the test part
    members: tuple[MemberFigures, ...] = ()  # of models with several networks: how each of them answers alone
    protocol: ProtocolFacts = field(default_factory=ProtocolFacts)
    kinds: tuple[KindAgreement, ...] = ()
    agreement: tuple[TotalAgreement, ...] = ()
    review: ReviewFacts | None = None  # of studies whose scores add up to totals
    end_to_end: EndToEndFacts | None = None
    reader_scores: ReaderScores | None = None  # of studies whose paper counts groups of sites
    readers: tuple[Comparison, ...] = ()
    trial: TrialFacts = field(default_factory=TrialFacts)
    baseline: tuple[Comparison, ...] = ()
    placed: Mapping[str, int] = field(default_factory=dict)  # judged rows by who placed their joints: labels, models
    why_all_rows: str | None = None  # a sentence, where all labelled rows judge instead of a test part

    @property
    def judging_rows(self) -> str:
        return "all labelled rows" if self.why_all_rows else "the test part"


def wrong_answers(study: Study, predictions: pa.Table, most: int = MOST_WRONG) -> list[str]:
    """Images of the test part with the most confident wrong answers, in that order: the page needs their pictures."""
    wrong = predictions.filter(
        pc.and_(
            pc.equal(predictions.column("split"), "test"),
            pc.not_equal(predictions.column("truth"), predictions.column("predicted")),
        )
    )
    rows = wrong.select(["image_id", "target", "predicted", "p"]).to_pylist()

    def confidence(row: Mapping[str, Any]) -> float:
        return answer_probability(study, row["target"], row["predicted"], row["p"]) or 0.0

    order = sorted(rows, key=lambda row: (-confidence(row), row["image_id"]))
    return list(dict.fromkeys(row["image_id"] for row in order))[:most]


def evaluation_page(
    study: Study,
    facts: EvaluationFacts,
    predictions: pa.Table,
    history: pa.Table | None,
    thumbnails: Mapping[str, bytes],
) -> tuple[str, dict[str, bytes]]:
    """The page as HTML, and its figures as PNG by file name; `thumbnails` by image_id, `history` of the first model."""
    drawn: dict[str, bytes] = {}
    answered = [target_answers(target, predictions, "test") for target in study.targets]
    answered = [each for each in answered if each.rows]
    sections = [
        _summary(study, facts, answered),
        *(_target_section(study, facts, each, predictions, drawn) for each in answered),
        *reliability_sections(facts.kinds, facts.agreement, drawn),
        *reader_score_sections(study, facts.reader_scores, drawn),
        *uncertainty_sections(facts.sets, facts.totals),
        *trial_sections(facts.trial, drawn),
        *review_sections(facts.review, drawn),
        *end_to_end_sections(study, facts.end_to_end, drawn),
        *network_sections(facts.members, drawn),
        *member_sections(predictions),
        *reader_sections(facts.readers),
        *rater_sections(facts.raters),
        *seeded_sections(facts.seeded),
        *baseline_sections(facts.baseline),
        *printed_sections(
            study, facts.figures, [(model.recipe, model.validation) for model in facts.models], facts.seeded is not None
        ),
        *protocol_sections(study, facts.mode, facts.figures, facts.members, facts.protocol, drawn),
        _mistakes(study, facts, predictions, thumbnails),
        _data_and_models(study, facts, history, drawn),
    ]
    lead = f"{study.question} This evaluation follows paper {study.paper}."
    return render(f"{humanize(study.name)}: evaluation", lead, sections), drawn


def _summary(study: Study, facts: EvaluationFacts, answered: Sequence[TargetAnswers]) -> Section:
    parts: list[Part] = [Notice(text=facts.why_all_rows)] if facts.why_all_rows else []
    if not answered:
        labelled = "No row has a label" if facts.why_all_rows else "No row of the test part has a label"
        parts.append(Notice(text=f"{labelled}, so there is nothing to judge by."))
    headline = facts.figures.get(study.headline)
    if headline:
        parts.append(Tiles(tiles=(_headline(study, headline), *_sizes(answered, facts))))
    parts += [Notice(text=text) for text in worse_strata(facts.trial.strata)]
    parts.append(Text(paragraphs=(*_protocol(facts), *facts.rules)))
    if facts.mode == "published" and study.merged_classes:
        merged = ", ".join(f"{name} as {into}" for name, into in study.merged_classes.items())
        parts.append(Text(paragraphs=(f"The paper has fewer classes: it counts {merged}.",)))
    total = facts.figures.get(metrics.TOTAL_ERROR)
    if total:
        interval = "" if isnan(total["low"]) else f" ({total['low']:.1f} to {total['high']:.1f})"
        text = (
            f"Patients' totals of {format_list(study.summed)} over the judged sites are wrong by {total['value']:.1f}"
            f"{interval}: a mean in which each range of true totals (0, 1, 2-3, 4-7, and so on) has equal weight."
        )
        parts.append(Text(paragraphs=(text,)))
    parts += [Notice(text=_chosen_member(model, facts)) for model in facts.models if model.best]
    if facts.budget < 1:
        text = (
            f"Trained with {100 * facts.budget:g} % of the recipe's epochs and rows. "
            "The figures show that the pipeline works; they do not show what the recipe can achieve."
        )
        parts.append(Notice(text=text))
    return Section(title="In short", parts=tuple(parts))


def _protocol(facts: EvaluationFacts) -> tuple[str, ...]:
    """How the judging rows were chosen; nothing where all rows judge, since no split was used."""
    if facts.why_all_rows:
        return ()
    return (MODES[facts.mode] if facts.models else FOREIGN_ANSWERS,)


def _chosen_member(model: ModelFacts, facts: EvaluationFacts) -> str:
    text = f"Of {len(model.recipe.members)} networks only {model.best} answers"
    if model.recipe.combine == "middle":
        return f"{text}: the one in the middle by its accuracy on the validation part. All are shown below."
    text += ": the most accurate one"
    if model.mode == "published" and not facts.why_all_rows:
        return f"{text} on this very test part, as in the paper. That is a leak: the part that judges has chosen."
    if model.mode == "published":
        return f"{text} on the test part of the data that it was made with, as in the paper."
    return f"{text} on the validation part."


def _headline(study: Study, figure: Mapping[str, float]) -> Tile:
    target, metric = study.headline.split(".")
    interval = format_interval(figure["low"], figure["high"])
    return Tile(
        value=format_cell(figure["value"]),
        label=f"{humanize(metric)}, {target.replace('_', ' ')}",
        note=f"95 % interval {interval}" if interval else "",
    )


def _sizes(answered: Sequence[TargetAnswers], facts: EvaluationFacts) -> list[Tile]:
    rows = sum(each.rows for each in answered)
    wrong = sum(int(np.sum(each.answers.truth != each.answers.predicted)) for each in answered)
    patients = {name for each in answered for name in each.answers.patients.tolist()}
    return [
        Tile(value=format_cell(rows), label="answers judged", note=facts.judging_rows),
        Tile(value=format_cell(len(patients)), label="patients" if len(patients) != 1 else "patient"),
        Tile(value=format_cell(wrong), label="wrong answers"),
    ]


def _target_section(
    study: Study, facts: EvaluationFacts, answered: TargetAnswers, predictions: pa.Table, drawn: dict[str, bytes]
) -> Section:
    """All about one target: its metrics, its classes and its figures."""
    name = answered.target.name
    matrix = metrics.confusion(answered.answers)
    data = matrix_data(matrix, answered.classes)
    figures = {"confusion": Figure(png=draw.confusion(matrix, answered.classes), caption=CONFUSION, data=data)}
    if answered.target.ordered:
        figures["scores"] = _score_counts(answered)
    if answered.has_probabilities:
        figures |= _probability_figures(answered, target_answers(answered.target, predictions, "train"))
    drawn |= figure_files({f"{name}-{kind}.png": figure for kind, figure in figures.items()})
    return Section(
        title=f"{humanize(name)}: truth and answers",
        parts=(
            _metric_table(study, facts, name),
            class_table({"": metrics.confusion(answered.answers)}, answered.classes),
            Figures(figures=tuple(figures.values())),
        ),
    )


def _score_counts(answered: TargetAnswers) -> Figure:
    width = len(answered.classes)
    groups = {
        "readers": np.bincount(answered.answers.truth, minlength=width),
        "model": np.bincount(answered.answers.predicted, minlength=width),
    }
    image = draw.counts(groups, answered.classes, answered.target.name.replace("_", " "))
    data = count_data(groups, answered.classes)
    return Figure(png=image, caption="How often the readers and the model gave each score.", data=data)


def _probability_figures(answered: TargetAnswers, trained: TargetAnswers) -> dict[str, Figure]:
    """The figures that need a probability of each class; `trained` are the answers to the training part, if any."""
    answers, learnt = answered.answers, trained.answers
    others = {"training": (learnt.truth, learnt.p)} if trained.rows and trained.has_probabilities else {}
    right, confidence = answers.truth == answers.predicted, metrics.sureness(answers)
    dashed = " The dashed curves are those of the training part." if others else ""
    groups = {"right": confidence[right], "wrong": confidence[~right]}
    answer_points = _bins(confidence, right)
    return {
        "roc": Figure(
            png=draw.roc(answers.truth, answers.p, answered.classes, others=others),
            caption=f"ROC curves, each class against the rest.{dashed}",
            data=class_roc_data({"test": answers, **({"training": learnt} if others else {})}, answered.classes),
        ),
        "calibration": Figure(
            png=draw.reliability(confidence, right),
            caption="How often answers are right, by their probability. Below the dashed line the model is "
            "overconfident.",
            data=answer_points,
        ),
        "confidence": Figure(
            png=draw.histogram(groups, "probability of the answer"),
            caption="Right and wrong answers by their probability.",
            data=answer_points,
        ),
    }


def _bins(confidence: draw.Reals, right: draw.Flags) -> PageTable:
    """Answers by their probability in tenths: how many, how probable on average, and how many are right."""
    tenths = np.minimum((confidence * 10).astype(int), 9)
    rows: list[tuple[Cell, ...]] = []
    for tenth in np.unique(tenths).tolist():
        inside = tenths == tenth
        rows.append((tenth / 10, int(inside.sum()), float(confidence[inside].mean()), int(right[inside].sum())))
    return PageTable(columns=("probability from", "answers", "mean probability", "right"), rows=tuple(rows))


def _metric_table(study: Study, facts: EvaluationFacts, target: str) -> PageTable:
    rows: list[tuple[Cell, ...]] = []
    for name in study.metrics:
        figure = facts.figures.get(f"{target}.{name}")
        if figure:
            definition = (metrics.METRICS[name].__doc__ or "").strip()
            less = " Less is better." if name in metrics.LESS_IS_BETTER else ""
            interval = format_interval(figure["low"], figure["high"])
            rows.append((humanize(name), float(figure["value"]), interval, f"{definition}{less}"))
    return PageTable(
        columns=("metric", "value", "95 % interval", "definition"),
        rows=tuple(rows),
        caption=f"Metrics on {facts.judging_rows}, with intervals by patient",
    )


def _mistakes(study: Study, facts: EvaluationFacts, predictions: pa.Table, thumbnails: Mapping[str, bytes]) -> Section:
    chosen = wrong_answers(study, predictions)
    rows = predictions.filter(
        pc.and_(
            pc.equal(predictions.column("split"), "test"),
            pc.is_in(predictions.column("image_id"), value_set=pa.array(chosen, pa.string())),
        )
    )
    wrong_rows = [row for row in rows.to_pylist() if row["truth"] != row["predicted"]]
    pictures = []
    for image in chosen:
        wrong = [row for row in wrong_rows if row["image_id"] == image]
        pictures.append(
            Picture(
                png=thumbnails.get(image),
                title=f"{wrong[0]['predicted']}, truly {wrong[0]['truth']}",
                lines=tuple(_describe_answer(study, row) for row in wrong[:3]),
                code=short_id(image),
            )
        )
    title = "Most confident mistakes"
    if not pictures:
        return Section(title=title, parts=(Text(paragraphs=(f"No answer on {facts.judging_rows} is wrong.",)),))
    return Section(
        title=title,
        lead="The wrong answers with the highest probability. Look here first for wrong labels and unusual images.",
        parts=(Pictures(pictures=tuple(pictures)),),
    )


def _describe_answer(study: Study, row: Mapping[str, Any]) -> str:
    site = f"{row['site']} " if row["site"] else ""
    probability = answer_probability(study, row["target"], row["predicted"], row["p"])
    confidence = "" if probability is None else f", {format_percent(probability)} sure"
    return f"{site}{row['target'].replace('_', ' ')}{confidence}"


def _data_and_models(
    study: Study, facts: EvaluationFacts, history: pa.Table | None, drawn: dict[str, bytes]
) -> Section:
    pairs = {humanize(part): f"{facts.rows.get(part, 0):,} {study.rows} {purpose}" for part, purpose in PARTS}
    if facts.why_all_rows:
        pairs.pop(humanize("test"))
        pairs["Judged"] = f"{facts.rows.get('test', 0):,} answers: all labelled rows"
    if facts.placed:
        pairs["Joints placed"] = (
            f"by labels for {facts.placed['labels']:,} of the answers, by models for {facts.placed['models']:,}"
        )
    parts: list[Part] = [Facts(pairs=tuple(pairs.items()))]
    if facts.models:
        parts.append(
            PageTable(
                columns=MODEL_COLUMNS,
                rows=tuple(model_row(study, model) for model in facts.models),
                caption="Models that answered",
            )
        )
    parts += history_parts(study, history, drawn)
    return Section(title="Data and models", parts=tuple(parts))


def model_row(study: Study, model: ModelFacts) -> tuple[Cell, ...]:
    """A row under MODEL_COLUMNS."""
    same = [name for name, recipe in study.recipes.items() if to_dict(recipe) == to_dict(model.recipe)]
    networks = ", ".join(f"{member.name} ({member.architecture})" for member in model.recipe.members)
    return (model.hash, same[0] if same else "a file", networks, model.mode, model.seed, f"{model.budget:g}")
