"""004's six copies of every clip: in training and in validation, the same ones in every epoch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rajobs import studies
from rajobs.learning.recipe import Augment, Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.training.fixed_copies import copy_maps
from rajobs.learning.training.loop import TrainingRun
from rajobs.learning.training.members import build_run, train_member

SIX = Augment(rotate=10, flip_horizontal=True, fixed=True)


def run_of(dataset: Dataset, recipe: Recipe, augment: Augment) -> TrainingRun:
    changed = replace(recipe, training=replace(recipe.training, augment=augment))
    return build_run(dataset, changed, changed.members[0], 0)


def test_every_row_is_there_six_times_in_training_and_in_validation(dataset: Dataset, recipe: Recipe) -> None:
    run = run_of(dataset, recipe, SIX)
    assert run.validation is not None
    assert (len(run.train), len(run.validation)) == (6 * 36, 6 * 12)
    for samples, rows in ((run.train, 36), (run.validation, 12)):
        assert np.bincount(samples.at, minlength=60).max() == 6 and len(np.unique(samples.at)) == rows
        assert (samples.truth["half"].reshape(6, rows) == samples.truth["half"][:rows]).all()
    drawn = run.training.augment
    assert not drawn.rotate and not drawn.flip_horizontal, "nothing is drawn besides"


def test_the_copies_are_turned_by_ten_degrees_either_way_and_flipped(dataset: Dataset, recipe: Recipe) -> None:
    run = run_of(dataset, recipe, SIX)
    first = np.arange(0, 6 * 36, 36)
    images = run._images(run.train, first).numpy()[:, 0]
    plain = dataset.arrays.take(run.train.at[:1])[0, 0] / 255
    assert np.allclose(images[0], plain, atol=1e-5) and np.allclose(images[3], plain[:, ::-1], atol=1e-5)
    assert len({picture.round(4).tobytes() for picture in images}) == 6
    assert torch.equal(run._images(run.train, first), run._images(run.train, first)), "the same in every epoch"
    turned = [np.rad2deg(np.arctan2(one[1, 0] * np.sign(one[0, 0]), abs(one[0, 0]))) for one in copy_maps(SIX)]
    assert turned == pytest.approx([0, 10, -10, 0, 10, -10], abs=1e-4)
    assert len(copy_maps(Augment(flip_horizontal=True, fixed=True))) == 2


def test_the_published_scorer_learns_8760_and_validates_2400_clips() -> None:
    recipe = studies.find("svdh_scoring").recipe("published")
    for member in recipe.members:
        training = recipe.training_of(member)
        clips = len(copy_maps(training.augment)) * training.copies
        assert training.augment.fixed and (clips * 146 * 10, clips * 40 * 10) == (8760, 2400)


def test_every_epoch_keeps_the_share_of_right_answers_of_both_parts(dataset: Dataset, recipe: Recipe) -> None:
    long = replace(recipe, training=replace(recipe.training, epochs=25))
    _, state = train_member(dataset, long, long.members[0], 0, lambda epoch, state: True)
    first, last = state.history[0], state.history[-1]
    assert last.validation_accuracy == last.metric == 1.0
    assert first.accuracy is not None and last.accuracy is not None and first.accuracy < last.accuracy
