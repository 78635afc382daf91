"""A cascade's training, stage by stage: from joints, and from false alarms of the stages before.

OpenCV itself looks for the false alarms. All randomness of a stage follows from the seed and the stage's number.
"""

from collections.abc import Sequence

import numpy as np

from rajobs.learning.cascade.boosting import Stage, grow_stage
from rajobs.learning.cascade.clips import Boxes, Hands, cut_patches, jitter_boxes
from rajobs.learning.cascade.detector import Cascade, equalise
from rajobs.learning.cascade.haar import Haar, Patches, Windows, every_feature, read_windows
from rajobs.learning.cascade.joint_naming import Layout, usual_shape
from rajobs.learning.points import UNKNOWN, Points
from rajobs.learning.recipe import Member, Training
from rajobs.learning.training.loop import OnEpoch, TrainingRun
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.errors import BadRecipe, DataError, UnknownName

MOST_PER_HAND = 20  # false alarms that a stage learns from, unless there are few hands
LEAST_FALSE_ALARMS = 0.1  # of those wanted; with fewer no further stage is learnt


def fit_cascade(fit: TrainingRun, member: Member, on_epoch: OnEpoch) -> tuple[Cascade, TrainingState]:
    """Stages until there are as many as epochs, too few false alarms are left, or `on_epoch` returns false."""
    settings, training, seed, state = Haar(**member.settings), fit.training, fit.seed, TrainingState()
    hands = _select_hands(fit, member)
    joints = _cut_joints(hands, settings, training, np.random.default_rng([seed, 0]))
    all_features, layout = every_feature(settings.window), _usual_layout(hands)
    stages: list[Stage] = []
    for number in range(1, training.epochs + 1):
        rng = np.random.default_rng([seed, number])
        joints = joints.take(stages[-1].passes(joints)) if stages else joints
        positives = joints.take(np.sort(rng.permutation(len(joints))[: settings.positives]))
        cascade = Cascade.from_stages(settings, stages, layout) if stages else None
        negatives = _find_false_alarms(hands, settings, stages, cascade, rng)
        if len(negatives) < LEAST_FALSE_ALARMS * settings.negatives:
            break
        features = all_features[np.sort(rng.permutation(len(all_features))[: settings.features])]
        windows = Windows.concatenate([positives, negatives])
        stage, loss = grow_stage(features, windows, np.arange(len(windows)) < len(positives), settings)
        stages.append(stage)
        epoch = Epoch(epoch=number, loss=loss, validation_loss=None, metric=None, learning_rate=1.0)
        state.history.append(epoch)
        state.best_epoch = number
        if not on_epoch(epoch, state):
            break
    if not stages:
        raise DataError("too few windows without a joint are left to learn from")
    return Cascade.from_stages(settings, stages, layout), state


def _select_hands(fit: TrainingRun, member: Member) -> Hands:
    """The training rows that have at least one of the points that the member looks for."""
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
    all_known = ~(truth[:, sought] == UNKNOWN).all(axis=2).any(axis=1)
    truth = np.where(((truth >= 0) & (truth < 1)).all(axis=2, keepdims=True), truth, np.nan)
    rows = np.flatnonzero(np.isfinite(truth[:, sought]).any(axis=(1, 2)))
    if not len(rows):
        raise DataError("no row with a joint whose place is known is left to learn from")
    return Hands(
        image=lambda number: equalise(samples.arrays.take(samples.at[rows[number : number + 1]])[0, 0]),
        side=samples.arrays.shape[1], points=truth[rows], point_names=points.point_names, sought=sought,
        all_known=all_known[rows],
    )  # fmt: skip


def _usual_layout(hands: Hands) -> Layout:
    points = hands.points[:, hands.sought]
    whole = points[np.isfinite(points).all(axis=(1, 2))]
    places = np.full(hands.points.shape[1:], np.nan)
    places[hands.sought] = usual_shape(whole) if len(whole) else np.nanmedian(points, axis=0)
    return Layout.from_places(hands.point_names, places)


def _cut_joints(hands: Hands, settings: Haar, training: Training, rng: np.random.Generator) -> Windows:
    """Clips of all joints, and their mirror images if the recipe flips (004)."""
    clips: list[Patches] = []
    for number in range(len(hands)):
        boxes = np.repeat(hands.joint_boxes(number, settings.clip), training.copies, axis=0)
        boxes, turns = jitter_boxes(boxes, training.augment, rng)
        clips.append(cut_patches(hands.image(number), boxes, settings.window, turns))
    patches = np.concatenate(clips)
    if training.augment.flip_horizontal:
        patches = np.concatenate([patches, patches[:, :, ::-1]])
    joints = read_windows(patches)
    return joints.take(joints.scale > 0)


def _find_false_alarms(
    hands: Hands, settings: Haar, stages: Sequence[Stage], cascade: Cascade | None, rng: np.random.Generator
) -> Windows:
    """Windows without a joint that pass all stages so far."""
    false_alarms = [read_windows(np.zeros((0, settings.window, settings.window), np.uint8))]
    count = 0
    most = max(MOST_PER_HAND, -(-settings.negatives // len(hands)))
    for number in rng.permutation(len(hands)).tolist():
        image = hands.image(number)
        boxes = _detect_boxes(cascade, image) if cascade else _draw_boxes(settings, hands.side, 8 * most, rng)
        boxes = hands.without_joint(number, settings.clip, boxes)
        boxes = boxes[np.sort(rng.permutation(len(boxes))[:most])]
        windows = read_windows(cut_patches(image, boxes, settings.window))
        passing = np.all([windows.scale > 0, *(stage.passes(windows) for stage in stages)], axis=0)
        false_alarms.append(windows.take(passing))
        count += len(false_alarms[-1])
        if count >= settings.negatives:
            break
    return Windows.concatenate(false_alarms).take(np.arange(min(count, settings.negatives)))


def _detect_boxes(cascade: Cascade, image: Patches) -> Boxes:
    rows, _ = cascade.windows(image, 0)
    return np.column_stack([rows[:, :2] + rows[:, 2:] / 2, rows[:, 2]])


def _draw_boxes(settings: Haar, side: int, count: int, rng: np.random.Generator) -> Boxes:
    """Random boxes that lie in the image."""
    sides = rng.uniform(settings.least, settings.most, count) * side
    middles = rng.uniform(0, 1, (len(sides), 2)) * (side - sides)[:, None] + sides[:, None] / 2
    return np.column_stack([middles, sides])
