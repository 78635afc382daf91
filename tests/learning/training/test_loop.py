"""The training loop: it learns, it repeats itself, and a run that was stopped goes on as if it had not been."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rajobs.learning.ensemble import build_member
from rajobs.learning.recipe import OPTIMISERS, Augment, Recipe, Training
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.training.loop import TrainingRun, learning_rate_factor
from rajobs.learning.training.members import Worker, build_run, scale_epochs, train_member
from rajobs.learning.training.state import Epoch, TrainingState, load_state, save_state
from rajobs.records.errors import DataError

BUSY = Augment(rotate=5, noise=0.02, contrast=0.1)


def run(
    dataset: Dataset, recipe: Recipe, seed: int = 0, *, until: int = 99, state: TrainingState | None = None
) -> TrainingState:
    """Train the recipe's first member for some epochs."""
    member = recipe.members[0]

    def on_epoch(epoch: Epoch, now: TrainingState) -> bool:
        return epoch.epoch < until

    return train_member(dataset, recipe, member, seed, on_epoch, state)[1]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def with_training(recipe: Recipe, **changed: object) -> Recipe:
    return replace(recipe, training=replace(recipe.training, **changed))


def test_classes_that_differ_are_learnt(dataset: Dataset, recipe: Recipe) -> None:
    state = run(dataset, with_training(recipe, epochs=25))
    first, last = state.history[0], state.history[-1]
    assert last.metric == 1.0 and last.loss < first.loss / 4
    assert [epoch.epoch for epoch in state.history] == list(range(1, 26))
    assert state.best_loss == min(epoch.validation_loss or math.inf for epoch in state.history)
    assert state.history[state.best_epoch - 1].validation_loss == state.best_loss


def test_equal_seeds_give_equal_runs_and_another_seed_gives_another(dataset: Dataset, recipe: Recipe) -> None:
    shaken = with_training(recipe, augment=BUSY, epochs=2)
    once = run(dataset, shaken)
    torch.manual_seed(99)  # whatever else has drawn numbers in this process
    assert same(run(dataset, shaken).weights, once.weights)
    assert not same(run(dataset, shaken, seed=1).weights, once.weights)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_stopped_run_goes_on_as_if_undisturbed(dataset: Dataset, recipe: Recipe, optimiser: str) -> None:
    dropout = replace(recipe.members[0], settings={"width": 4, "stages": 2, "dropout": 0.3})
    shaken = replace(with_training(recipe, augment=BUSY, epochs=4, optimiser=optimiser), members=(dropout,))
    whole = run(dataset, shaken)
    stopped = run(dataset, shaken, until=2)
    assert len(stopped.history) == 2
    resumed = run(dataset, shaken, state=load_state(save_state(stopped)))
    assert same(resumed.weights, whole.weights) and same(resumed.best, whole.best)
    assert resumed.history == whole.history and resumed.best_epoch == whole.best_epoch


def test_a_state_comes_back_from_its_bytes(dataset: Dataset, recipe: Recipe) -> None:
    state = run(dataset, recipe, until=1)
    back = load_state(save_state(state))
    assert same(back.weights, state.weights) and same(back.best, state.best) and back.history == state.history
    assert save_state(back) == save_state(state)


def test_patience_ends_a_run_and_the_best_weights_are_kept(dataset: Dataset, recipe: Recipe) -> None:
    # A rate that does no more than harm after the first epochs.
    wild = with_training(recipe, epochs=30, learning_rate=0.5, schedule="constant", patience=3)
    state = run(dataset, wild)
    assert len(state.history) == state.best_epoch + 3 < 30
    assert not same(state.best, state.weights)
    last = run(dataset, with_training(recipe, epochs=3, learning_rate=0.5, keep="last"))
    assert same(last.best, last.weights) and last.best_epoch == 3


def test_a_run_is_validated_every_so_many_steps_and_at_its_end(dataset: Dataset, recipe: Recipe) -> None:
    """Two steps an epoch, and a validation after every third: in the middle of the second epoch, and so on."""
    state = run(dataset, with_training(recipe, epochs=7, validate_every=3))
    checked = [epoch.validation_loss is not None for epoch in state.history]
    assert checked == [False, True, True, False, True, True, True]
    plain = run(dataset, with_training(recipe, epochs=7))
    assert same(state.weights, plain.weights), "a validation changes nothing"
    assert state.history[2].validation_loss == plain.history[2].validation_loss, "the sixth step ends the third epoch"
    assert state.history[1].validation_loss not in (plain.history[0].validation_loss, plain.history[1].validation_loss)
    assert state.best_loss == min(epoch.validation_loss or math.inf for epoch in state.history)
    early = run(dataset, with_training(recipe, epochs=7, validate_every=30), until=1)
    assert early.best and early.history[0].metric is None, "a run that ends early keeps weights, too"
    resumed = run(dataset, with_training(recipe, epochs=7, validate_every=3), state=load_state(save_state(
        run(dataset, with_training(recipe, epochs=7, validate_every=3), until=2))))  # fmt: skip
    assert resumed.history == state.history and same(resumed.best, state.best)


def test_a_run_that_diverges_still_keeps_weights(dataset: Dataset, recipe: Recipe) -> None:
    wild = with_training(recipe, optimiser="sgd", learning_rate=100, weight_decay=10, schedule="constant", epochs=6)
    state = run(dataset, wild)
    assert math.isnan(state.history[-1].loss) and state.best_epoch == 1 and state.best


def test_copies_are_shown_and_workers_share_a_batch(dataset: Dataset, recipe: Recipe) -> None:
    twice = with_training(recipe, copies=2)
    fit = build_run(dataset, twice, twice.members[0], 0)
    rows = np.concatenate(list(fit._batches(1)))
    assert len(rows) == 64 and np.bincount(rows).max() == 2  # 72 shown, of which a batch that is not full waits
    halves = [build_run(dataset, twice, twice.members[0], 0, Worker(rank=rank, world=2)) for rank in (0, 1)]
    for one, other, both in zip(halves[0]._batches(1), halves[1]._batches(1), fit._batches(1)):
        assert set(one) | set(other) == set(both) and len(one) == len(other) == 8


def test_rare_classes_weigh_more_where_the_recipe_says_so(dataset: Dataset, recipe: Recipe) -> None:
    fit = build_run(dataset, with_training(recipe, class_weights=True), recipe.members[0], 0)
    truth = {"half": np.array([0] * 24 + [1] * 9 + [-1] * 3)}
    weights = replace(fit, train=replace(fit.train, truth=truth))._class_weights(fit.targets[0])
    assert weights[0] < weights[1] < weights[2] <= 10
    assert weights[0] * 24 == pytest.approx(float(weights[1]) * 9)


def test_a_run_needs_rows_to_learn_from_but_none_to_validate_on(dataset: Dataset, recipe: Recipe) -> None:
    member = recipe.members[0]
    unlabelled = replace(dataset, labels={"half": [None] * 60})
    with pytest.raises(DataError, match="no row with a label is left to learn from"):
        run(unlabelled, recipe)
    alone = replace(dataset, parts=np.array(["train"] * 60))
    state = run(alone, with_training(recipe, epochs=1))
    assert state.best_epoch == 1 and state.history[0].metric is None
    fit = build_run(alone, recipe, member, 0)
    assert isinstance(fit, TrainingRun) and fit.validation is not None
    assert fit.logits(build_member(dataset.study, member, (1, 16, 16), 0), fit.validation)["half"].shape == (0, 3)


def test_a_budget_takes_its_share_of_epochs_and_rows(dataset: Dataset, recipe: Recipe) -> None:
    fit = build_run(replace(dataset, budget=0.5), recipe, recipe.members[0], 0)
    assert (fit.training.epochs, len(fit.train), len(fit.validation or ())) == (3, 18, 12)
    assert scale_epochs(Training(epochs=3), 0.01).epochs == 1


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_a_schedule_ends_where_it_says(schedule: str) -> None:
    paces = [learning_rate_factor(schedule, step / 100) for step in range(101)]
    assert max(paces) == pytest.approx(1.0) and min(paces) >= 0
    assert paces[-1] == (1.0 if schedule == "constant" else pytest.approx(0.0, abs=1e-3))


def test_heads_learn_faster_where_the_recipe_says_so_and_a_run_measures_its_pace(
    dataset: Dataset, recipe: Recipe
) -> None:
    quick = with_training(recipe, epochs=1, head_rate=10.0, schedule="constant")
    trunk, heads = run(dataset, quick).optimiser["param_groups"]
    assert heads["lr"] == pytest.approx(10 * trunk["lr"]) and trunk["lr"] == recipe.training.learning_rate
    fit = build_run(dataset, quick, quick.members[0], 0)
    network = build_member(dataset.study, quick.members[0], dataset.arrays.shape, 0)
    pace = fit.pace(network)
    assert 0 < pace.row < 1 and 0 <= pace.step < 1
