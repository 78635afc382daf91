"""A model's calibration, from its answers to the validation part."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import nn

from rajobs.learning.ensemble import FittedNetwork, member_targets
from rajobs.learning.judging.calibration import JOINT, Calibration
from rajobs.learning.judging.evaluation import Evaluation, member_answers
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.repeats import estimate_detectable, find_repeats
from rajobs.learning.judging.review import judged_hands, review_curve
from rajobs.learning.judging.totals import hand_totals
from rajobs.learning.recipe import Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.targets import Target, predicted
from rajobs.learning.training.members import build_run
from rajobs.records import metrics
from rajobs.records.statistics.conformal import conformal_bound


def calibrate(study: Study, predictions: pa.Table) -> Calibration:
    """The calibration by the predictions of validation rows; what they are too few for is left out."""
    return Calibration(
        thresholds=dict(_thresholds(study, predictions)),
        class_thresholds=tune_joint_thresholds(study, predictions),
        least_p={
            target.name: bounds
            for target in study.conformal_targets
            if (bounds := dict(_least_p(study, target, predictions)))
        },
        widths=_widths(predictions),
        detectable=estimate_detectable(find_repeats(predictions)),
        review=review_curve(judged_hands(study, predictions)),
    )


def headline_by_centre(study: Study, predictions: pa.Table) -> dict[str, dict[str, float]]:
    """The headline's figure on each centre's rows, which a network answered that saw none of the centre's images."""
    name, _, metric = study.headline.partition(".")
    figures = {}
    for centre in sorted(set(predictions.column("centre").drop_null().to_pylist())):
        of_centre = predictions.filter(pc.equal(predictions.column("centre"), centre))
        answers = answers_of(study.target(name), of_centre)
        if answers is not None and metrics.is_known(metric, answers):
            figures[f"{study.headline}, {centre} left out"] = metrics.figure(metrics.METRICS[metric], answers)
    return figures


def accuracies_of_groups(
    dataset: Dataset, recipe: Recipe, trained: Mapping[str, FittedNetwork], seeds: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    """The accuracy of each network that distinguishes groups of classes, on its own validation rows, or copies."""
    figures = {}
    for member in recipe.members:
        network = trained[member.name]
        several = any(len(group) > 1 for group in member.groups)  # else the joint answer's accuracy is its own
        if not several or not isinstance(network, nn.Module):
            continue
        run, (target,) = build_run(dataset, recipe, member, seeds[member.name]), member_targets(dataset.study, member)
        samples = run.validation
        if samples is None or not len(samples):
            continue
        p = target.p(run.logits(network, samples)[target.name]).double().cpu().numpy()
        answers = metrics.Answers(
            truth=samples.truth[target.name], predicted=predicted(target, p), p=p,
            patients=np.array(dataset.arrays.rows.column("patient").to_pylist(), np.str_)[samples.at],
        )  # fmt: skip
        figures[f"{member.name}.accuracy"] = metrics.figure(metrics.accuracy, answers)
    return figures


def tune_joint_thresholds(study: Study, predictions: pa.Table) -> dict[str, dict[str, tuple[float, ...]]]:
    """By target with metrics that need them, a threshold for each class of the joint answer, by these rows."""
    tuned = {}
    for target in study.targets:
        answers = answers_of(target, predictions)
        if answers is not None and set(metrics.AT_CLASS_THRESHOLDS) & set(study.metrics_of(target)):
            tuned[target.name] = {JOINT: metrics.tune_class_thresholds(answers)}
    return tuned


def add_member_thresholds(calibration: Calibration, recipe: Recipe, evaluation: Evaluation) -> Calibration:
    """The calibration with the thresholds of every network alone, by these rows."""
    tuned = {target: dict(by) for target, by in calibration.class_thresholds.items()}
    for member, target, answers in member_answers(recipe, evaluation):
        if set(metrics.AT_CLASS_THRESHOLDS) & set(evaluation.study.metrics_of(target)):
            tuned.setdefault(target.name, {})[member.name] = metrics.tune_class_thresholds(answers)
    return replace(calibration, class_thresholds=tuned)


def _thresholds(study: Study, predictions: pa.Table) -> Iterator[tuple[str, float]]:
    for target in study.targets:
        answers = answers_of(target, predictions)
        if answers is not None and set(metrics.AT_THRESHOLD) & set(study.metrics_of(target)):
            threshold = metrics.threshold_of_specificity(answers)
            if threshold is not None:
                yield target.name, threshold


def _least_p(study: Study, target: Target, predictions: pa.Table) -> Iterator[tuple[str, float]]:
    """By kind of site: sites of one kind look alike, and are scored alike well."""
    rows_of_target = predictions.filter(pc.equal(predictions.column("target"), target.name))
    answers = answers_of(target, rows_of_target)
    if answers is None:
        return
    p_of_truth = answers.p[np.arange(len(answers.truth)), answers.truth]
    kinds = study.kinds_of(rows_of_target.column("site").to_pylist())
    for kind in np.unique(kinds[kinds != ""]):
        rows = kinds == kind
        bound = conformal_bound(1 - p_of_truth[rows], answers.patients[rows])
        if bound is not None:
            yield str(kind), 1 - bound


def _widths(predictions: pa.Table) -> dict[str, dict[str, float]]:
    widths: dict[str, dict[str, float]] = {}
    totals = list(hand_totals(predictions))
    for part, measure in sorted({(each.part, each.measure) for each in totals}):
        chosen = [each for each in totals if (each.part, each.measure) == (part, measure)]
        misfits, patients = np.array([each.misfit for each in chosen]), np.array([each.patient for each in chosen])
        bound = conformal_bound(misfits, patients)
        if bound is not None:
            widths.setdefault(part, {})[measure] = bound
    return widths
