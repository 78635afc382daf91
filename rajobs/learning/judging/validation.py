"""A model's calibration, from its answers to the validation part."""

import pyarrow as pa

from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.study import Study
from rajobs.records import metrics


def calibrate(study: Study, predictions: pa.Table) -> Calibration:
    """The calibration by the predictions of validation rows."""
    thresholds: dict[str, float] = {}
    for target in study.targets:
        answers = answers_of(target, predictions)
        if answers is None or not set(metrics.AT_THRESHOLD) & set(study.metrics_of(target)):
            continue
        threshold = metrics.threshold_of_specificity(answers)
        if threshold is not None:
            thresholds[target.name] = threshold
    return Calibration(thresholds=thresholds)
