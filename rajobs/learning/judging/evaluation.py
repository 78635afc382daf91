"""A model's answers to one part of a split, their truth, and the metrics that follow from both."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.learning.bundle import Model, TrainedMembers
from rajobs.learning.comparison import FigureByMetric, MemberFigures
from rajobs.learning.ensemble import member_targets, names_of_groups
from rajobs.learning.judging.calibration import NO_CALIBRATION, Calibration
from rajobs.learning.points import LEAST_CONFIDENCE, UNKNOWN, joint_widths
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode, merge_classes, predicted
from rajobs.learning.voting import MemberProbabilities, Numbers, Probabilities
from rajobs.records import metrics
from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.statistics.by_patient import student_interval

CHUNK = 512  # rows in memory at a time


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The answers to some rows of a study, by target: class numbers and probabilities."""

    study: Study
    at: Numbers  # the rows, by number
    patients: NDArray[np.str_]
    truth: Mapping[str, Numbers]
    predicted: Mapping[str, Numbers]
    p: Mapping[str, Probabilities]
    answered_targets: Mapping[str, Target] = field(default_factory=dict)  # as the model learnt them; empty for points
    sites: NDArray[np.str_] | None = None  # for points: the site of each answer
    votes: Mapping[str, Numbers] = field(default_factory=dict)  # members x rows: the answer of each member alone
    members: MemberProbabilities = field(default_factory=dict)  # of each member alone, in its own classes

    def rows(self, known: pa.Table) -> pa.Table:
        """The rows of the answers, out of all rows; for points, one per site."""
        rows = known.take(pa.array(self.at))
        if self.sites is None:
            return rows
        return rows.set_column(rows.column_names.index("site"), "site", pa.array(self.sites.tolist(), pa.string()))

    def answers(self, target: str) -> metrics.Answers:
        """The labelled rows' answers to one target."""
        labelled = self.truth[target] != MISSING
        return metrics.Answers(
            truth=self.truth[target][labelled],
            predicted=self.predicted[target][labelled],
            p=self.p[target][labelled],
            patients=self.patients[labelled],
        )

    def figures(self, calibration: Calibration = NO_CALIBRATION) -> dict[str, dict[str, float]]:
        """Every metric of the study with its interval."""
        return figures(self.study, {name: self.answers(name) for name in self.p}, calibration)


def figures(
    study: Study, answers: Mapping[str, metrics.Answers], calibration: Calibration = NO_CALIBRATION
) -> dict[str, dict[str, float]]:
    """Every metric of a study with its interval; accuracy also with the paper's classes.

    The calibration has the thresholds of those metrics that need one; without a threshold they are left out.
    """
    computed = {}
    for target in study.targets:
        of_target = answers.get(target.name)
        if of_target is None or not len(of_target.truth):
            continue
        of_target = calibration.at_thresholds(target.name, of_target)
        for name in study.metrics_of(target):
            if not metrics.is_known(name, of_target):
                continue
            computed[f"{target.name}.{name}"] = metrics.figure(metrics.METRICS[name], of_target)
        if study.merged_classes and set(study.merged_classes.values()) <= set(target.classes):
            as_printed = metrics.figure(metrics.accuracy, _with_printed_classes(study, target, of_target))
            computed[f"{target.name}.accuracy_as_printed"] = as_printed
    summed = [answers[name] for name in study.summed if name in answers and len(answers[name].truth)]
    if summed and len(summed) == len(study.summed):
        computed[metrics.TOTAL_ERROR] = metrics.figure(metrics.weighted_total_error, _as_one(summed))
    return computed


def without_images(
    study: Study, answers: metrics.Answers, kept: NDArray[np.bool_]
) -> tuple[FigureByMetric, FigureByMetric]:
    """The study's metrics of counts on the rows that are kept, and by how much they differ from those of all rows."""
    without: dict[str, dict[str, float]] = {}
    change: dict[str, dict[str, float]] = {}
    for name in study.metrics:
        if name not in metrics.BY_COUNTS:
            continue
        metric = metrics.METRICS[name]

        def difference(rows: Numbers, metric: metrics.Metric = metric) -> float:
            return metric(answers.take(rows[kept[rows]])) - metric(answers.take(rows))

        low, high = student_interval(difference, answers.patients)
        without[name] = metrics.figure(metric, answers.take(np.flatnonzero(kept)))
        change[name] = {"value": difference(np.arange(len(answers.truth))), "low": low, "high": high}
    return without, change


def _as_one(answers: Sequence[metrics.Answers]) -> metrics.Answers:
    """Answers to several scores, which add up to patients' totals; their probabilities do not add up."""
    return metrics.Answers(
        truth=np.concatenate([each.truth for each in answers]),
        predicted=np.concatenate([each.predicted for each in answers]),
        p=np.zeros((sum(len(each.truth) for each in answers), 1)),
        patients=np.concatenate([each.patients for each in answers]),
    )


def _with_printed_classes(study: Study, target: Target, answers: metrics.Answers) -> metrics.Answers:
    p, classes = merge_classes(answers.p, target.classes, study.merged_classes)
    number = np.array([classes.index(study.merged_classes.get(name, name)) for name in target.classes])
    return metrics.Answers(
        truth=number[answers.truth], predicted=number[answers.predicted], p=p, patients=answers.patients
    )


def evaluate_folds(model: Model, folds: Sequence[Dataset]) -> Evaluation:
    """The answers to the validation part; in a cross-validated model, by the network that never saw the row."""
    evaluations = []
    for number, dataset in enumerate(folds):
        of_fold: TrainedMembers = {name: [networks[number]] for name, networks in model.trained.items()}
        evaluations.append(evaluate_model(dataclasses.replace(model, trained=of_fold), dataset, "validation"))
    first, sites = evaluations[0], [each.sites for each in evaluations if each.sites is not None]
    return Evaluation(
        study=first.study,
        at=np.concatenate([each.at for each in evaluations]),
        patients=np.concatenate([each.patients for each in evaluations]),
        truth=_join([each.truth for each in evaluations], first.p),
        predicted=_join([each.predicted for each in evaluations], first.p),
        p=_join([each.p for each in evaluations], first.p),
        answered_targets=first.answered_targets,
        sites=None if model.answers_targets else np.concatenate(sites),
        votes=_join([each.votes for each in evaluations], first.votes, axis=1),
        members={name: _join([each.members[name] for each in evaluations], of) for name, of in first.members.items()},
    )


def _join(
    folds: Sequence[Mapping[str, NDArray[Any]]], names: Collection[str], axis: int = 0
) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([by_name[name] for by_name in folds], axis=axis) for name in names}


def choose_member(model: Model, folds: Sequence[Dataset], mode: str) -> str:
    """The member that answers alone: the one most often right on the validation part, or the one in the middle.

    Of equally accurate ones the first one. Published mode chooses the most accurate one on the test part, which is the
    leak of paper 000.
    """
    most = model.recipe.combine == "most_accurate"
    on_test = most and mode == "published"
    evaluation = evaluate_model(model, folds[0], "test") if on_test else evaluate_folds(model, folds)
    right = np.zeros(len(model.recipe.members))
    for target in model.study.targets:
        labelled = evaluation.truth[target.name] != MISSING
        right += (evaluation.votes[target.name] == evaluation.truth[target.name])[:, labelled].sum(axis=1)
    order = np.argsort(-right, kind="stable")
    return model.recipe.members[int(order[0 if most else len(order) // 2])].name


def evaluate_model(model: Model, dataset: Dataset, part: str) -> Evaluation:
    """A model's answers to the labelled rows of a part."""
    if not model.answers_targets:
        return evaluate_points(model, dataset, part)
    study = dataset.study
    truth = {target.name: encode(target, dataset.labels[target.name]) for target in study.targets}
    labelled = np.any([numbers != MISSING for numbers in truth.values()], axis=0)
    at = np.flatnonzero((dataset.parts == part) & labelled)
    p: dict[str, list[Probabilities]] = {}
    answers: dict[str, list[Numbers]] = {}
    votes: dict[str, list[Numbers]] = {}
    members: dict[str, dict[str, list[Probabilities]]] = {}
    sites = np.array(dataset.arrays.rows.column("site").to_pylist(), dtype=np.str_)
    kinds = study.kind_numbers(sites.tolist())
    for start in range(0, max(len(at), 1), CHUNK):
        chunk = at[start : start + CHUNK]
        of_members = model.member_probabilities(dataset.arrays.take(chunk), kinds[chunk])
        predictions, member_votes = model.combine(of_members)
        for member, by_target in of_members.items():
            for name, values in by_target.items():
                members.setdefault(member, {}).setdefault(name, []).append(values)
        for name, (every, likeliest) in predictions.items():
            values, numbers = within_method(model.answered_targets[name], sites[chunk], every, likeliest)
            p.setdefault(name, []).append(values)
            answers.setdefault(name, []).append(numbers)
            votes.setdefault(name, []).append(member_votes[name])
    return Evaluation(
        study=study,
        at=at,
        patients=np.array(dataset.arrays.rows.column("patient").to_pylist(), dtype=np.str_)[at],
        truth={name: numbers[at] for name, numbers in truth.items()},
        predicted={name: np.concatenate(chunks) for name, chunks in answers.items()},
        p={name: np.concatenate(chunks) for name, chunks in p.items()},
        answered_targets=model.answered_targets,
        votes={name: np.concatenate(chunks, axis=1) for name, chunks in votes.items()},
        members={
            member: {name: np.concatenate(chunks) for name, chunks in by_target.items()}
            for member, by_target in members.items()
        },
    )


def within_method(
    target: Target, sites: NDArray[np.str_], p: Probabilities, answers: Numbers
) -> tuple[Probabilities, Numbers]:
    """Probabilities and answers without the scores that the method does not have at a site, as in score's tables."""
    if target.name not in SCORES:
        return p, answers
    most = np.array([SITES[site].highest(target.name) if site in SITES else None for site in sites.tolist()], float)
    beyond = np.arange(p.shape[1]) > most[:, None]  # nothing is where a site has no such score
    possible = np.where(beyond, 0.0, p)
    possible /= possible.sum(axis=1, keepdims=True)
    return possible, np.where(beyond.any(axis=1), predicted(target, possible), answers)


def evaluate_points(model: Model, dataset: Dataset, part: str) -> Evaluation:
    """Whether each point of a part's rows is found within half a joint's width, or correctly not shown."""
    study, points = dataset.study, dataset.study.points
    assert points is not None and dataset.points is not None
    at = np.flatnonzero((dataset.parts == part) & ~(dataset.points == UNKNOWN).all(axis=(1, 2)))
    known = ~(dataset.points[at] == UNKNOWN).all(axis=2)
    truth = np.where(known[..., None], dataset.points[at].astype(np.float64), np.nan)
    chunks = [model.locate(dataset.arrays.take(at[start : start + CHUNK])) for start in range(0, len(at), CHUNK)]
    located = np.concatenate([np.zeros((0, points.outputs, 3)), *chunks])
    in_view = ((truth >= 0) & (truth < 1)).all(axis=2)
    near = np.linalg.norm(located[..., :2] - truth, axis=2) <= joint_widths(points.point_names, truth) / 2
    confidence = located[..., 2]
    right_if_shown = (confidence >= LEAST_CONFIDENCE) & (near | ~in_view)
    judged = np.isfinite(confidence) & known  # a point that no member looks for, or nobody labelled, is not judged
    patients = np.array(dataset.arrays.rows.column("patient").to_pylist(), dtype=np.str_)[at]
    return Evaluation(
        study=study,
        at=np.repeat(at, points.outputs),
        patients=np.repeat(patients, points.outputs),
        truth={points.name: np.where(judged, in_view, MISSING).ravel()},
        predicted={points.name: right_if_shown.ravel().astype(np.int64)},
        p={points.name: np.stack([1 - confidence.ravel(), confidence.ravel()], axis=1)},
        sites=np.tile(np.array([site for _, site in points.point_names], np.str_), len(at)),
    )


def member_figures(
    model: str, recipe: Recipe, evaluation: Evaluation, calibration: Calibration = NO_CALIBRATION
) -> list[MemberFigures]:
    """The figures of every network that answers targets; none of a recipe with a single network, which is the model."""
    return [
        _judge(model, evaluation.study, member, target, calibration.at_thresholds(target.name, answers, member.name))
        for member, target, answers in member_answers(recipe, evaluation)
    ]


def member_answers(recipe: Recipe, evaluation: Evaluation) -> Iterator[tuple[Member, Target, metrics.Answers]]:
    """The answers of every network that answers targets; none of a recipe with a single network, which is the model."""
    for member in recipe.members if len(recipe.members) > 1 else ():
        for name, p in evaluation.members.get(member.name, {}).items():
            target = next(each for each in member_targets(evaluation.study, member) if each.name == name)
            answers = _answers(evaluation, member, target, p)
            if len(answers.truth):
                yield member, target, answers


def _answers(evaluation: Evaluation, member: Member, target: Target, p: Probabilities) -> metrics.Answers:
    """A member's answers to the labelled rows of the classes that it learns from."""
    truth = _own_truth(evaluation.study.target(target.name), member, target, evaluation.truth[target.name])
    rows = np.flatnonzero(truth != MISSING)
    answers = metrics.Answers(truth=truth, predicted=predicted(target, p), p=p, patients=evaluation.patients)
    return answers.take(rows)


def _own_truth(whole: Target, member: Member, own: Target, truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The truth as a class number of the member's own; MISSING for a class that it does not learn from."""
    group_of = names_of_groups(member) if member.groups else {name: name for name in whole.classes}
    seen = {name: group_of.get(name) for name in member.sees or whole.classes}
    own_number = encode(own, [seen.get(name) for name in whole.classes])
    return np.where(truth == MISSING, MISSING, own_number[truth])


def _judge(model: str, study: Study, member: Member, target: Target, answers: metrics.Answers) -> MemberFigures:
    names: Sequence[str] = study.metrics_of(target if member.groups else study.target(target.name))
    return MemberFigures(
        model=model, member=member.name, target=target.name, classes=target.classes,
        figures={
            name: metrics.figure(metrics.METRICS[name], answers) for name in names if metrics.is_known(name, answers)
        },
        matrix=tuple(tuple(row) for row in metrics.confusion(answers).tolist()),
    )  # fmt: skip
