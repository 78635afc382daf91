"""Copies of rows by class, and copies that are changed once and kept beside the rows themselves, as 003 has them."""

from dataclasses import replace

import numpy as np

from rajobs.learning.ensemble import member_points, member_targets
from rajobs.learning.recipe import Member, Training
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.training.loop import Numbers, Samples
from rajobs.records.errors import BadRecipe


def copy_rows(
    dataset: Dataset, member: Member, training: Training, train: Samples, validation: Samples, seed: int
) -> tuple[Training, Samples, Samples]:
    """Rows as often as they are shown in an epoch, and the settings for them; unchanged if every row is shown alike."""
    kept = training.copying == "kept"
    if not kept and not member.copies:
        return training, train, validation
    if member_points(dataset.study, member) is not None:
        raise BadRecipe(f"member {member.name} shows points: it has no kept copies, and no copies by class")
    if training.validation_cut == "after" and len(validation):
        train, validation = _cut_copies(dataset, member, training, train, validation, seed)
    else:
        train = _copies(train, _counts(dataset, member, training, train))
    return replace(training, copies=1), train if kept else replace(train, copy=None), validation


def _counts(dataset: Dataset, member: Member, training: Training, samples: Samples) -> Numbers:
    """How often each row is shown, by its class."""
    classes = dataset.labels[member_targets(dataset.study, member)[0].name]
    return np.array([member.copies.get(classes[row] or "", training.copies) for row in samples.at], np.int64)


def _copies(samples: Samples, counts: Numbers) -> Samples:
    numbers = np.concatenate([np.arange(0), *(np.arange(count) for count in counts)])
    return replace(samples.take(np.repeat(np.arange(len(samples)), counts)), copy=numbers)


def _cut_copies(
    dataset: Dataset, member: Member, training: Training, train: Samples, validation: Samples, seed: int
) -> tuple[Samples, Samples]:
    """The leak: as large a share of all copies validates as of the rows, and other copies of these rows train."""
    learning = Samples(
        arrays=train.arrays,
        at=np.concatenate([train.at, validation.at]),
        truth={name: np.concatenate([of, validation.truth[name]]) for name, of in train.truth.items()},
        kinds=np.concatenate([train.kinds, validation.kinds]),
        shares={name: np.concatenate([of, validation.shares[name]]) for name, of in train.shares.items()},
    )
    copies = _copies(learning, _counts(dataset, member, training, learning))
    order = np.random.default_rng(seed).permutation(len(copies))
    cut = round(len(copies) * len(validation) / len(learning))
    return copies.take(np.sort(order[cut:])), copies.take(np.sort(order[:cut]))
