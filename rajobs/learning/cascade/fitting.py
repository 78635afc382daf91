"""A cascade's training, stage after stage: from joints and from what the stages before it took for joints.

False alarms are looked for by OpenCV itself. All randomness of a stage follows from the seed and its number.
"""

from collections.abc import Sequence

import numpy as np

from rajobs.learning.cascade.boosting import Stage, grow
from rajobs.learning.cascade.clips import Boxes, Hands, cut, moved
from rajobs.learning.cascade.detector import Cascade, levelled
from rajobs.learning.cascade.haar import Haar, Patches, Windows, every_feature, windows
from rajobs.learning.cascade.joint_naming import Layout
from rajobs.learning.points import Points
from rajobs.learning.recipe import Member, Training
from rajobs.learning.training.loop import OnEpoch, TrainingRun
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.errors import BadRecipe, DataError, UnknownName

OF_A_HAND = 20  # false alarms that a stage learns from, at most, unless hands are few
FEWEST = 0.1  # of the false alarms wanted: with fewer no stage is learnt


def fit_cascade(fit: TrainingRun, member: Member, on_epoch: OnEpoch) -> tuple[Cascade, TrainingState]:
    """Stages until there are as many as epochs, too few false alarms are left, or `on_epoch` says so."""
    settings, training, seed, state = Haar(**member.settings), fit.training, fit.seed, TrainingState()
    hands = _hands(fit, member)
    joints = _joints(hands, settings, training, np.random.default_rng([seed, 0]))
    every, layout = every_feature(settings.window), _layout(hands)
    stages: list[Stage] = []
    for number in range(1, training.epochs + 1):
        rng = np.random.default_rng([seed, number])
        joints = joints.take(stages[-1].passes(joints)) if stages else joints
        mine = joints.take(np.sort(rng.permutation(len(joints))[: settings.positives]))
        so_far = Cascade.of(settings, stages, layout) if stages else None
        others = _others(hands, settings, stages, so_far, rng)
        if len(others) < FEWEST * settings.negatives:
            break
        features = every[np.sort(rng.permutation(len(every))[: settings.features])]
        both = Windows.joined([mine, others])
        stage, loss = grow(features, both, np.arange(len(both)) < len(mine), settings)
        stages.append(stage)
        told = Epoch(epoch=number, loss=loss, validation_loss=None, metric=None, learning_rate=1.0)
        state.history.append(told)
        state.best_epoch = number
        if not on_epoch(told, state):
            break
    if not stages:
        raise DataError("too few windows without a joint are left to learn from")
    return Cascade.of(settings, stages, layout), state


def _hands(fit: TrainingRun, member: Member) -> Hands:
    """The rows to learn from in which any of the places is there that are to be found."""
    (points,) = fit.targets
    assert isinstance(points, Points)
    samples, sites = fit.train, [site for _, site in points.point_names]
    for site in member.sees:
        if site not in sites:
            raise UnknownName.among(f"site of {points.name}", site, sites)
    if samples.arrays.shape[0] != 1 or samples.arrays.shape[1] != samples.arrays.shape[2]:
        raise BadRecipe(f"haar takes grey squares, not {samples.arrays.shape}")
    sought = np.array([at for at, site in enumerate(sites) if not member.sees or site in member.sees])
    truth = samples.truth[points.name].astype(np.float64)
    truth = np.where(((truth >= 0) & (truth < 1)).all(axis=2, keepdims=True), truth, np.nan)
    rows = np.flatnonzero(np.isfinite(truth[:, sought]).any(axis=(1, 2)))
    if not len(rows):
        raise DataError("no row with a joint whose place is known is left to learn from")
    return Hands(
        image=lambda number: levelled(samples.arrays.take(samples.at[rows[number : number + 1]])[0, 0]),
        side=samples.arrays.shape[1], points=truth[rows], point_names=points.point_names, sought=sought,
    )  # fmt: skip


def _layout(hands: Hands) -> Layout:
    places = np.full(hands.points.shape[1:], np.nan)
    places[hands.sought] = np.nanmean(hands.points[:, hands.sought], axis=0)
    return Layout.of(hands.point_names, places)


def _joints(hands: Hands, settings: Haar, training: Training, rng: np.random.Generator) -> Windows:
    """Clips about every joint, and their mirror images where the recipe flips (004)."""
    found: list[Patches] = []
    for number in range(len(hands)):
        boxes = np.repeat(hands.joints(number, settings.clip), training.copies, axis=0)
        boxes, turns = moved(boxes, training.augment, rng)
        found.append(cut(hands.image(number), boxes, settings.window, turns))
    patches = np.concatenate(found)
    if training.augment.flip_horizontal:
        patches = np.concatenate([patches, patches[:, :, ::-1]])
    joints = windows(patches)
    return joints.take(joints.scale > 0)


def _others(
    hands: Hands, settings: Haar, stages: Sequence[Stage], so_far: Cascade | None, rng: np.random.Generator
) -> Windows:
    """Windows about no joint that the stages so far let through."""
    found, count = [windows(np.zeros((0, settings.window, settings.window), np.uint8))], 0
    most = max(OF_A_HAND, -(-settings.negatives // len(hands)))
    for number in rng.permutation(len(hands)).tolist():
        image = hands.image(number)
        boxes = _seen(so_far, image) if so_far else _anywhere(settings, hands.side, 8 * most, rng)
        boxes = hands.elsewhere(number, settings.clip, boxes)
        boxes = boxes[np.sort(rng.permutation(len(boxes))[:most])]
        mine = windows(cut(image, boxes, settings.window))
        found.append(mine.take(np.all([mine.scale > 0, *(stage.passes(mine) for stage in stages)], axis=0)))
        count += len(found[-1])
        if count >= settings.negatives:
            break
    return Windows.joined(found).take(np.arange(min(count, settings.negatives)))


def _seen(cascade: Cascade, image: Patches) -> Boxes:
    rows, _ = cascade.windows(image, 0)
    return np.column_stack([rows[:, :2] + rows[:, 2:] / 2, rows[:, 2]])


def _anywhere(settings: Haar, side: int, count: int, rng: np.random.Generator) -> Boxes:
    sides = rng.uniform(settings.least, settings.most, count) * side
    middles = rng.uniform(0, 1, (len(sides), 2)) * (side - sides)[:, None] + sides[:, None] / 2
    return np.column_stack([middles, sides])
