"""What answers depend on: models asked again about the rows that judge, in views that a study changes on purpose."""

from collections.abc import Callable, Iterator

import numpy as np

from rajobs.learning.bundle import Model
from rajobs.learning.comparison import ProbeFacts
from rajobs.learning.judging.evaluation import CHUNK, Evaluation, evaluate_model
from rajobs.learning.recipe import Settings
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.targets import MISSING


def probe(
    model: Model, dataset: Dataset, judged: Evaluation, dataset_of: Callable[[Settings], Dataset]
) -> Iterator[ProbeFacts]:
    """For each probe and target, the answers before and after, of the rows whose pictures it changes.

    `judged` are the answers about `dataset`; `dataset_of` gives the same rows in another view.
    """
    for one in dataset.study.probes:
        other = dataset_of({**model.recipe.view, **one.view})
        again = evaluate_model(model, other, "test")
        assert np.array_equal(judged.at, again.at), "the same rows in another view"
        changed = np.zeros(len(judged.at), bool)
        for start in range(0, len(judged.at), CHUNK):
            chunk = judged.at[start : start + CHUNK]
            differ = dataset.arrays.take(chunk) != other.arrays.take(chunk)
            changed[start : start + CHUNK] = differ.any(axis=(1, 2, 3))
        for name in judged.predicted:
            truth = judged.truth[name]
            rows = changed & (truth != MISSING)
            classes = judged.study.target(name).classes
            counts = np.zeros((len(classes),) * 3, np.int64)
            np.add.at(counts, (truth[rows], judged.predicted[name][rows], again.predicted[name][rows]), 1)
            yield ProbeFacts(probe=one.name, model=model.hash, target=name, classes=classes, counts=counts.tolist())
