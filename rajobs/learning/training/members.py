"""Training of one member of a recipe: its rows, drawn rows in addition, and its run of the training loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from rajobs.imaging.rows import ULTRASOUND_PICTURE
from rajobs.learning.cascade.fitting import fit_cascade
from rajobs.learning.ensemble import FittedNetwork, build_member, member_points, member_samples, member_targets
from rajobs.learning.networks.starting_weights import StartingWeights
from rajobs.learning.recipe import NONE, Member, Recipe, Training
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode_shares, predicted
from rajobs.learning.training.cross_validation import redraw_validation
from rajobs.learning.training.fixed_copies import with_fixed_copies
from rajobs.learning.training.kept_copies import copy_rows
from rajobs.learning.training.loop import Numbers, OnEpoch, Samples, TrainingRun, pick_device
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.learning.voting import Probabilities
from rajobs.records import metrics
from rajobs.records.errors import BadRecipe, UsageError
from rajobs.records.tables.schemas import PREPARED

DRAWN_SEED = 2002

Share = Callable[[nn.Module], nn.Module]
"""Wraps a network so that several workers train it together."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One of the workers that train a network together."""

    rank: int = 0
    world: int = 1
    share: Share | None = None


ALONE = Worker()


def train_member(
    dataset: Dataset,
    recipe: Recipe,
    member: Member,
    seed: int,
    on_epoch: OnEpoch,
    state: TrainingState | None = None,
    start: StartingWeights | None = None,
    worker: Worker = ALONE,
) -> tuple[FittedNetwork, TrainingState]:
    """Train one member in this process, from `state` if there is one; its network has the best weights."""
    if member.weights != NONE and start is None and state is None:
        raise UsageError(f"{member.name} starts from {member.weights} weights, and none are given: it is no such model")
    run = build_run(dataset, recipe, member, seed, worker)
    if member.fit == "cascade":
        return fit_cascade(run, member, on_epoch)
    network = build_member(dataset.study, member, dataset.arrays.shape, seed)
    if start is not None and state is None:
        start.load_into(network)
    network = network.to(run.device).to(memory_format=torch.channels_last)  # a third faster, on processors too
    state = run.run(worker.share(network) if worker.share is not None else network, on_epoch, state)
    network.load_state_dict(state.best)
    return network.eval(), state


def train_in_rounds(
    rounds: Iterable[Dataset],
    first: int,
    recipe: Recipe,
    member: Member,
    seed: int,
    on_epoch: Callable[[Epoch, TrainingState], None],
    state: TrainingState,
) -> tuple[nn.Module, TrainingState]:
    """Train one member for one epoch per dataset, with rounds counted from `first`; those in `state` are skipped."""

    def end_round(epoch: Epoch, state: TrainingState) -> bool:
        on_epoch(epoch, state)
        return False

    network: nn.Module | None = None
    for number, dataset in enumerate(rounds, first):
        if network is None:
            network = build_member(dataset.study, member, dataset.arrays.shape, seed)
            network = network.to(pick_device()).to(memory_format=torch.channels_last)
        if number >= len(state.history):
            state = build_run(dataset, recipe, member, seed).run(network, end_round, state)
    assert network is not None, "there is at least one round"
    network.load_state_dict(state.weights)
    return network.eval(), state


def build_run(dataset: Dataset, recipe: Recipe, member: Member, seed: int, worker: Worker = ALONE) -> TrainingRun:
    """A member's run of the training loop for one worker."""
    training = scale_epochs(recipe.training_of(member), dataset.budget)
    dataset = redraw_validation(dataset, recipe.redraw, seed)
    train, validation = member_samples(dataset, member, "train"), member_samples(dataset, member, "validation")
    if dataset.budget < 1:
        order = np.random.default_rng(seed).permutation(len(train))
        train = train.take(np.sort(order[: max(1, round(len(train) * dataset.budget))]))
    if recipe.drawn:
        train = _add_drawn_rows(dataset, recipe, member, train)
    if training.augment.fixed:
        train, validation, training = _fix_copies(dataset.study, member, train, validation, training)
    training, train, validation = copy_rows(dataset, member, training, train, validation, seed)
    points, targets = member_points(dataset.study, member), member_targets(dataset.study, member)
    return TrainingRun(
        targets=targets if points is None else (points, *targets), training=training, train=train,
        validation=validation, seed=seed, device=pick_device(), rank=worker.rank, world=worker.world,
        # All outputs of points would fill the memory, so such a member's best epoch is chosen by its loss.
        score=headline_score(dataset.study, targets) if points is None else None,
        watched=_headline_target(dataset.study, targets) if points is None else None,
    )  # fmt: skip


def _fix_copies(
    study: Study, member: Member, train: Samples, validation: Samples, training: Training
) -> tuple[Samples, Samples, Training]:
    """The rows in all their fixed copies, and the training settings without what the copies do already."""
    if member_points(study, member) is not None:
        raise BadRecipe(f"member {member.name} shows points: augment.fixed is for networks that answer alone")
    augment = training.augment
    drawn = replace(augment, fixed=False, rotate=0.0, flip_horizontal=False)
    train, validation = with_fixed_copies(train, augment), with_fixed_copies(validation, augment)
    return train, validation, replace(training, augment=drawn)


def scale_epochs(training: Training, budget: float) -> Training:
    """The training settings with a share of the epochs."""
    return replace(training, epochs=max(1, round(training.epochs * budget)))


def _add_drawn_rows(dataset: Dataset, recipe: Recipe, member: Member, train: Samples) -> Samples:
    """The rows to learn from with drawn ones added; drawn rows neither validate nor test."""
    from rajobs.learning.samples.drawn_rows import draw_scans  # slow to import; few recipes need it

    study, count = dataset.study, round(recipe.drawn * len(train))
    if study.rows.picture != ULTRASOUND_PICTURE:
        raise BadRecipe(
            f"drawn = {recipe.drawn}: only scans are drawn for a recipe, but {study.name} learns from {study.rows}"
        )
    if not count:
        return train
    arrays, labels = draw_scans(study, recipe.view, DRAWN_SEED, count)
    names = [f"drawn-{number}" for number in range(count)]
    rows = PREPARED.rows([{"image_id": name, "extremity": 0, "site": "", "patient": name} for name in names])
    drawn_dataset = replace(
        dataset, arrays=Prepared(rows=rows, arrays=(arrays,), starts=np.zeros(1, np.int64)), labels=labels, shares={},
        points=None, parts=np.full(count, "train"), groups=np.array(names),
    )  # fmt: skip
    drawn, prepared = member_samples(drawn_dataset, member, "train"), dataset.arrays
    target_of = {target.name: target for target in member_targets(study, member)}
    both = Prepared(
        rows=pa.concat_tables([prepared.rows, rows]), arrays=(*prepared.arrays, arrays),
        starts=np.append(prepared.starts, len(prepared)),
    )  # fmt: skip
    return Samples(
        arrays=both, at=np.concatenate([train.at, len(prepared) + drawn.at]),
        truth={name: np.concatenate([numbers, drawn.truth[name]]) for name, numbers in train.truth.items()},
        kinds=np.concatenate([train.kinds, drawn.kinds]),
        shares={
            name: np.concatenate([of_target, encode_shares(target_of[name], drawn.truth[name], {})])
            for name, of_target in train.shares.items()
        },
    )  # fmt: skip


def _headline_target(study: Study, targets: Sequence[Target]) -> Target | None:
    """The target by which a network that answers these is followed: the headline's, else its first one."""
    name, _, _ = study.headline_of([target.name for target in targets]).partition(".")
    return next((target for target in targets if target.name == name), None)


def headline_score(
    study: Study, targets: Sequence[Target]
) -> Callable[[Mapping[str, Probabilities], Mapping[str, Numbers]], float] | None:
    """The headline metric as a function of answers; None without a target."""
    headline = _headline_target(study, targets)
    if headline is None:
        return None
    name, metric = headline.name, study.headline.partition(".")[2]

    def score(p: Mapping[str, Probabilities], truth: Mapping[str, Numbers]) -> float:
        labelled = truth[name] != MISSING
        answers = metrics.Answers(
            truth=truth[name][labelled],
            predicted=predicted(headline, p[name][labelled]),
            p=p[name][labelled],
            patients=np.full(int(labelled.sum()), "", dtype=np.str_),
        )
        return metrics.METRICS[metric](answers)

    return score
