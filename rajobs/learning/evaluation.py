"""A model's answers to one part of a split, beside the truth, and the figures they come to."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.learning.bundle import Model, TrainedMembers
from rajobs.learning.ensemble import Dataset, P
from rajobs.learning.points import LEAST_CONFIDENCE, UNKNOWN, joint_widths
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode, fold
from rajobs.learning.training.loop import Numbers
from rajobs.records import metrics

CHUNK = 512  # rows held in memory at a time


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A study's answers to some rows: class numbers and probabilities, a target that the model answers."""

    study: Study
    at: Numbers  # the rows, by number
    patients: NDArray[np.str_]
    truth: Mapping[str, Numbers]
    predicted: Mapping[str, Numbers]
    p: Mapping[str, P]
    answered_targets: Mapping[str, Target] = field(
        default_factory=dict
    )  # the targets as they are answered; of points none
    sites: NDArray[np.str_] | None = None  # of points: which of a row's places each answer is about
    votes: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)  # members x rows: what each says alone

    def rows(self, known: pa.Table) -> pa.Table:
        """The rows that the answers are about, out of all; of points each with its site."""
        mine = known.take(pa.array(self.at))
        if self.sites is None:
            return mine
        return mine.set_column(mine.column_names.index("site"), "site", pa.array(self.sites.tolist(), pa.string()))

    def answers(self, target: str) -> metrics.Answers:
        """The labelled rows' answers to one target."""
        there = self.truth[target] != MISSING
        return metrics.Answers(
            truth=self.truth[target][there],
            predicted=self.predicted[target][there],
            p=self.p[target][there],
            patients=self.patients[there],
        )

    def figures(self) -> dict[str, dict[str, float]]:
        """Every metric of the study with its interval."""
        return figures(self.study, {name: self.answers(name) for name in self.p})


def figures(study: Study, answers: Mapping[str, metrics.Answers]) -> dict[str, dict[str, float]]:
    """Every metric of a study with its interval; accuracy also with the classes that the paper has."""
    found = {}
    for target in study.targets:
        mine = answers.get(target.name)
        if mine is None or not len(mine.truth):
            continue
        for name in study.metrics:
            found[f"{target.name}.{name}"] = metrics.figure(metrics.METRICS[name], mine)
        if study.folds and set(study.folds) <= set(target.classes):
            found[f"{target.name}.accuracy_as_printed"] = metrics.figure(metrics.accuracy, _folded(study, target, mine))
    return found


def _folded(study: Study, target: Target, answers: metrics.Answers) -> metrics.Answers:
    p, kept = fold(answers.p, target.classes, study.folds)
    number = np.array([kept.index(study.folds.get(name, name)) for name in target.classes])
    return metrics.Answers(
        truth=number[answers.truth], predicted=number[answers.predicted], p=p, patients=answers.patients
    )


def evaluate_folds(model: Model, lessons: Sequence[Dataset]) -> Evaluation:
    """The validation part's answers; of a cross-validated model each row's by a network that never saw it."""
    verdicts = []
    for turn, lesson in enumerate(lessons):
        own: TrainedMembers = {name: [networks[turn]] for name, networks in model.trained.items()}
        verdicts.append(evaluate_model(dataclasses.replace(model, trained=own), lesson, "validation"))
    first, names = verdicts[0], list(verdicts[0].p)
    return Evaluation(
        study=first.study,
        at=np.concatenate([each.at for each in verdicts]),
        patients=np.concatenate([each.patients for each in verdicts]),
        truth={name: np.concatenate([each.truth[name] for each in verdicts]) for name in names},
        predicted={name: np.concatenate([each.predicted[name] for each in verdicts]) for name in names},
        p={name: np.concatenate([each.p[name] for each in verdicts]) for name in names},
        answered_targets=first.answered_targets,
        sites=np.concatenate([each.sites for each in verdicts if each.sites is not None])
        if not model.answers_targets
        else None,
        votes={name: np.concatenate([each.votes[name] for each in verdicts], axis=1) for name in first.votes},
    )


def choose_most_accurate(model: Model, lessons: Sequence[Dataset], mode: str) -> str:
    """The member that is right most often, of equal ones the first: on the validation part, or as 000 has it.

    Published mode asks the test part: the paper's leak, since what judges has chosen.
    """
    verdict = evaluate_model(model, lessons[0], "test") if mode == "published" else evaluate_folds(model, lessons)
    right = np.zeros(len(model.recipe.members))
    for target in model.study.targets:
        there = verdict.truth[target.name] != MISSING
        right += (verdict.votes[target.name] == verdict.truth[target.name])[:, there].sum(axis=1)
    return model.recipe.members[int(right.argmax())].name


def evaluate_model(model: Model, lesson: Dataset, part: str) -> Evaluation:
    """Ask a model about the labelled rows of a part."""
    if not model.answers_targets:
        return evaluate_points(model, lesson, part)
    study = lesson.study
    truth = {target.name: encode(target, lesson.labels[target.name]) for target in study.targets}
    labelled = np.any([numbers != MISSING for numbers in truth.values()], axis=0)
    at = np.flatnonzero((lesson.parts == part) & labelled)
    p: dict[str, list[P]] = {target.name: [] for target in study.targets}
    said: dict[str, list[Numbers]] = {target.name: [] for target in study.targets}
    voices: dict[str, list[NDArray[np.int64]]] = {target.name: [] for target in study.targets}
    kinds = study.kind_numbers(lesson.arrays.rows.column("site").to_pylist())
    for start in range(0, max(len(at), 1), CHUNK):
        mine = at[start : start + CHUNK]
        answers, own = model.predict_with_votes(lesson.arrays.take(mine), kinds[mine])
        for name, (values, numbers) in answers.items():
            p[name].append(values)
            said[name].append(numbers)
            voices[name].append(own[name])
    return Evaluation(
        study=study,
        at=at,
        patients=np.array(lesson.arrays.rows.column("patient").to_pylist(), dtype=np.str_)[at],
        truth={name: numbers[at] for name, numbers in truth.items()},
        predicted={name: np.concatenate(parts) for name, parts in said.items() if parts},
        p={name: np.concatenate(parts) for name, parts in p.items() if parts},
        answered_targets=model.answered_targets,
        votes={
            name: np.concatenate(parts, axis=1) if parts else np.zeros((0, len(at)), np.int64)
            for name, parts in voices.items()
        },
    )


def evaluate_points(model: Model, lesson: Dataset, part: str) -> Evaluation:
    """Whether each place of a part's rows is found within half a joint's width, or rightly said not to be there."""
    study, points = lesson.study, lesson.study.points
    assert points is not None and lesson.points is not None
    at = np.flatnonzero((lesson.parts == part) & ~(lesson.points == UNKNOWN).all(axis=(1, 2)))
    truth = lesson.points[at].astype(np.float64)
    chunks = [model.locate(lesson.arrays.take(at[start : start + CHUNK])) for start in range(0, len(at), CHUNK)]
    found = np.concatenate([np.zeros((0, points.outputs, 3)), *chunks])
    there = ((truth >= 0) & (truth < 1)).all(axis=2)
    near = np.linalg.norm(found[..., :2] - truth, axis=2) <= joint_widths(points.point_names, truth) / 2
    said = (found[..., 2] >= LEAST_CONFIDENCE) & (near | ~there)
    sure = found[..., 2].ravel()
    asked = np.isfinite(found[..., 2])  # a place that no member looks for is not judged
    patients = np.array(lesson.arrays.rows.column("patient").to_pylist(), dtype=np.str_)[at]
    return Evaluation(
        study=study,
        at=np.repeat(at, points.outputs),
        patients=np.repeat(patients, points.outputs),
        truth={points.name: np.where(asked, there, MISSING).ravel()},
        predicted={points.name: said.ravel().astype(np.int64)},
        p={points.name: np.stack([1 - sure, sure], axis=1)},
        sites=np.tile(np.array([site for _, site in points.point_names], np.str_), len(at)),
    )
