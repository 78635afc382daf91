"""Copies by class, originals beside changed copies, and the leak of a cut after copying: 003's protocol."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rajobs import studies
from rajobs.learning.ensemble import member_targets
from rajobs.learning.recipe import Augment, Member, Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.training.loop import TrainingRun
from rajobs.learning.training.members import build_run
from rajobs.records.errors import BadRecipe, UnknownName
from tests.learning.conftest import prepared_of

COPIES = {"left": 3, "right": 1}
KEPT = {"copying": "kept", "copies": 2, "augment": Augment(rotate=20, shift=0.1, channel_shift=0.2)}


def run_of(dataset: Dataset, recipe: Recipe, seed: int = 0, **training: object) -> TrainingRun:
    member = replace(recipe.members[0], copies=COPIES)
    changed = replace(recipe, members=(member,), training=replace(recipe.training, **training))
    return build_run(dataset, changed, member, seed)


def films_of_003(validation: float = 0.2) -> Dataset:
    """003's 841 films to learn from, blank."""
    counts = {"unilateral": 213, "both": 104, "foot": 100, "other": 424}
    views = [view for view, count in counts.items() for _ in range(count)]
    parts = np.array([
        "validation" if at < round(count * validation) else "train" for count in counts.values() for at in range(count)
    ])  # fmt: skip
    study = studies.find("hand_filter")
    arrays = prepared_of(np.zeros((len(views), 2, 2), np.uint8))
    return Dataset(
        study=study, arrays=arrays, labels={"view": views, "kind": [None] * len(views)}, parts=parts,
        groups=np.array([f"p{at}" for at in range(len(views))]),
    )  # fmt: skip


def test_003_s_networks_see_as_many_copies_as_it_prints() -> None:
    dataset, study = films_of_003(), studies.find("hand_filter")
    for name, printed in (("m1", (2343, 3140)), ("m2", (1144, 1572))):
        # The printed counts are of all films to learn from, those that validate among them.
        recipe = study.recipe("published-cut-after")
        member = next(each for each in recipe.members if each.name == name)
        run = build_run(dataset, recipe, member, 0)
        assert run.validation is not None
        truth = np.concatenate([run.train.truth["view"], run.validation.truth["view"]])
        assert tuple(np.bincount(truth)) == printed
        assert len(run.validation) == pytest.approx(sum(printed) / 5, rel=0.01)
        assert set(run.train.at) & set(run.validation.at), "the leak: copies of one film on both sides"
        before = build_run(dataset, study.recipe("published"), member, 0)
        assert before.validation is not None and not set(before.train.at) & set(before.validation.at)
        yes = int(np.sum(before.train.truth["view"] == 0))
        assert yes == 11 * (170 if name == "m1" else 83) and before.validation.copy is None


def test_a_row_is_shown_beside_copies_that_stay_as_they_are(dataset: Dataset, recipe: Recipe) -> None:
    run = run_of(dataset, recipe, **KEPT)
    rows, counts = np.unique(run.train.at, return_counts=True)
    names = np.array(dataset.labels["half"])[rows]
    assert {name: set(counts[names == name]) for name in ("left", "right", "top")} == {
        "left": {3}, "right": {1}, "top": {2},
    }  # fmt: skip
    shown = run._images(run.train, np.arange(len(run.train)))
    plain = torch.from_numpy(dataset.arrays.take(run.train.at)) / 255
    assert run.train.copy is not None
    same = (shown == plain).flatten(1).all(dim=1).numpy()
    assert (same == (run.train.copy == 0)).all(), "the first copy is the row itself, and the others are changed"
    backwards = run._images(run.train, np.arange(len(run.train))[::-1].copy())
    assert torch.equal(backwards.flip(0), shown), "a copy does not depend on its batch"
    assert not torch.equal(run_of(dataset, recipe, seed=1, **KEPT)._images(run.train, np.arange(9)), shown[:9])
    first, second = (np.sort(np.concatenate(list(run._batches(epoch)))) for epoch in (1, 2))
    assert len(first) == len(second) == len(run.train) // 16 * 16


def test_copies_by_class_change_each_time_unless_they_are_kept(dataset: Dataset, recipe: Recipe) -> None:
    run = run_of(dataset, recipe, copies=2)
    assert run.train.copy is None and len(run.train) == 12 * 3 + 12 * 1 + 12 * 2 and run.training.copies == 1


def test_copies_that_cannot_be_are_refused(study: Study, recipe: Recipe) -> None:
    with pytest.raises(UnknownName, match="unknown class in copies of net 'lft'; did you mean left"):
        member_targets(study, replace(recipe.members[0], copies={"lft": 2}))
    with pytest.raises(BadRecipe, match='it needs copying = "kept"'):
        replace(recipe.training, validation_cut="after")
    with pytest.raises(BadRecipe, match="copies must lie between 1 and 10,000, not be 0"):
        Member(name="n", architecture="compact", copies={"left": 0})
    with pytest.raises(BadRecipe, match="drawn rows have no kept copies"):
        replace(recipe, drawn=1.0, members=(replace(recipe.members[0], copies={"left": 2}),))
