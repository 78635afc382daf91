"""What the figures of a model's single networks are drawn from: ROC curves, and maps of their representations."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.bundle import Model
from rajobs.learning.comparison import NetworkView
from rajobs.learning.judging.evaluation import Evaluation, evaluate_model, member_answers
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.voting import Numbers

MOST = 1000  # rows of the training part that are asked about, and of each part in a map; drawn where there are more
SEED = 0
PERPLEXITY = 30.0


def network_views(model: Model, dataset: Dataset, judged: Evaluation) -> Iterator[NetworkView]:
    """A view for each network and target of a model with several networks; `judged`: its answers to the test part."""
    recipe = model.recipe
    if len(recipe.members) == 1 or not model.answers_targets:
        return
    some = _some_learnt(dataset)
    learnt = evaluate_model(model, some, "train")
    if not len(judged.at) or not len(learnt.at):
        return
    chosen = _choose(np.arange(len(judged.at)))
    shown = model.representations(dataset.arrays.take(np.concatenate([judged.at[chosen], learnt.at])))
    maps = {name: _embed(features) for name, features in shown.items()}
    of_learnt = {(member.name, target.name): answers for member, target, answers in member_answers(recipe, learnt)}
    for member, target, answers in member_answers(recipe, judged):
        truth = np.concatenate([judged.truth[target.name][chosen], learnt.truth[target.name]])
        if (member.name, target.name) in of_learnt and member.name in maps and not member.groups:
            yield NetworkView(
                model=model.hash, member=member.name, target=target.name, classes=target.classes, judged=answers,
                learnt=of_learnt[member.name, target.name], places=maps[member.name], truth=truth,
                judges=np.arange(len(truth)) < len(chosen),
            )  # fmt: skip


def _some_learnt(dataset: Dataset) -> Dataset:
    """The dataset with at most MOST labelled rows in its training part, and no others."""
    parts = np.full(len(dataset.parts), "", dataset.parts.dtype)
    parts[_choose(np.flatnonzero((dataset.parts == "train") & dataset.labelled()))] = "train"
    return replace(dataset, parts=parts)


def _choose(rows: Numbers) -> Numbers:
    return np.sort(np.random.default_rng(SEED).permutation(rows)[:MOST])


def _embed(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """t-SNE (van der Maaten and Hinton 2008) in two dimensions: the same picture for the same rows."""
    from sklearn.manifold import TSNE  # slow to import

    rows = len(features)
    if rows < 4 or not np.ptp(features, axis=0).any():
        return np.zeros((rows, 2))
    perplexity = min(PERPLEXITY, (rows - 1) / 3)
    places: NDArray[np.float64] = TSNE(perplexity=perplexity, random_state=SEED).fit_transform(features)
    return places
