"""The boosted cascade: OpenCV reads its file as we do, it finds what it learnt, and the finds get their names."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rajobs.learning.cascade.boosting import grow_stage
from rajobs.learning.cascade.detector import Cascade
from rajobs.learning.cascade.fitting import _select_hands, fit_cascade
from rajobs.learning.cascade.haar import Haar, Windows, every_feature, read_windows
from rajobs.learning.cascade.joint_naming import Layout, name_detections
from rajobs.learning.points import UNKNOWN, WIDTH, Points
from rajobs.learning.recipe import Augment, Member, Training
from rajobs.learning.training.loop import Samples, TrainingRun
from rajobs.learning.voting import mean_of_known
from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.errors import BadRecipe, DataError, UnknownName
from tests.learning.conftest import prepared_of

pytestmark = pytest.mark.slow

SIDE = 160
TEN = tuple((None, site) for site in (*FINGER_JOINTS, "RC"))
PLACES = {"MCP2": (0.36, 0.62), "MCP3": (0.55, 0.6), "PIP2": (0.3, 0.36), "PIP3": (0.56, 0.3), "RC": (0.5, 0.85)}
POINTS = Points(name="joints", point_names=tuple((None, site) for site in PLACES))
MEMBER = Member(
    name="joints", architecture="haar", targets=("joints",), sees=("MCP2", "MCP3", "PIP2", "PIP3"), fit="cascade",
    settings={"least": 0.15, "most": 0.19, "features": 400, "positives": 200, "negatives": 200},
)  # fmt: skip


def drawn_hands(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright ring at each of four joints and at two that nobody labels, where DIP joints lie."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 120, (count, SIDE, SIDE), dtype=np.uint8)
    points = np.array(list(PLACES.values())) + rng.uniform(-0.03, 0.03, (count, 1, 2))
    for image, joints in zip(images, points):
        ends = joints[2:4] + 0.6 * (joints[2:4] - joints[:2])
        for x, y in np.concatenate([joints[:4], ends]) * SIDE:
            cv2.circle(image, (round(x), round(y)), 6, 230, 3)
    return images, points.astype(np.float32)


def fit_of(seed: int = 0, count: int = 24, epochs: int = 5) -> TrainingRun:
    images, points = drawn_hands(count, 5)
    train = Samples(
        arrays=prepared_of(images), at=np.arange(count), truth={"joints": points}, kinds=np.zeros(count, np.int64)
    )
    how = Training(epochs=epochs, augment=Augment(shift=0.04, zoom=0.1, flip_horizontal=True))
    return TrainingRun(targets=(POINTS,), training=how, train=train, validation=None, seed=seed)


def test_hands_with_an_unlabelled_joint_give_joints_and_no_false_alarms() -> None:
    run = fit_of()
    run.train.truth["joints"][::2, 1] = UNKNOWN
    run.train.truth["joints"][1::4, 1] = np.nan  # labelled as not there
    hands = _select_hands(run, MEMBER)
    anywhere = np.array([[0.5, 0.5, 0.17]]) * SIDE
    assert [len(hands.without_joint(number, 1.0, anywhere)) for number in range(4)] == [0, 1, 0, 1]
    assert [len(hands.joint_boxes(number, 1.0)) for number in range(4)] == [3, 3, 3, 4]


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    return fit_cascade(fit_of(), MEMBER, lambda epoch, state: True)[0]


def test_a_window_has_all_the_features_that_opencv_s_trainer_has() -> None:
    features = every_feature(24)
    assert len(features) == 162_336, "of a window of 24 pixels, as Viola and Jones count them"
    assert len(np.unique(features.reshape(len(features), -1), axis=0)) == len(features)
    areas = features[..., 2] * features[..., 3] * features[..., 4]
    assert not areas.sum(axis=1).any(), "an even window has the value 0"
    x, y, w, h, weight = features.reshape(-1, 5).T
    assert ((x + w <= 24) & (y + h <= 24) | (weight == 0)).all() and x.min() == y.min() == 0


def test_opencv_decides_about_every_window_as_we_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (600, 24, 24), dtype=np.uint8)
    joint = np.arange(600) % 2 == 0
    patches[joint, 6:18, 9:15] //= 4
    patches[joint, 6:18, 9:15] *= 3
    patches[500:] //= rng.integers(4, 24, 100).astype(np.uint8)[:, None, None]  # some of them too even for OpenCV
    samples, settings = read_windows(patches), Haar(stumps=12, hit_rate=0.9, false_alarms=0.2)
    assert 0 < (samples.scale == 0).sum() < 100
    stages, left = [], np.ones(600, bool)
    for number in range(3):
        stages.append(grow_stage(every_feature(24)[number::800], samples, joint, settings)[0])
        left &= stages[-1].passes(samples)
    assert 100 < left.sum() < 500 and left[joint].mean() > 2 * left[~joint].mean()
    (tmp_path / "cascade.xml").write_text(
        Cascade.from_stages(settings, stages, Layout.from_places(POINTS.point_names, np.zeros((5, 2)))).xml
    )
    theirs = cv2.CascadeClassifier(str(tmp_path / "cascade.xml"))
    detections = [len(theirs.detectMultiScale(patch, minNeighbors=0, maxSize=(24, 24))) for patch in patches]
    assert detections == left.astype(int).tolist()


def test_a_cascade_finds_what_it_learnt_and_a_find_beyond_a_finger_is_no_joint(cascade: Cascade) -> None:
    images, points = drawn_hands(8, 9)
    rows, _ = cascade.windows(images[0], 3)
    assert len(rows) > 4, "the rings that nobody labels are found too"
    located = cascade.locate(images[:, None])
    assert located.shape == (8, 5, 3) and (located[:, :4, 2] >= 0.5).mean() > 0.9
    there = located[:, :4, 2] >= 0.5
    assert np.linalg.norm(located[:, :4, :2] - points[:, :4], axis=2)[there].max() < WIDTH / 2
    assert np.isnan(located[:, 4]).all(), "it does not look for the wrist"
    nothing = cascade.locate(np.full((1, 1, SIDE, SIDE), 90, np.uint8))
    assert (nothing[0, :4, 2] == 0).all() and cascade.locate(images[:0, None]).shape == (0, 5, 3)


def test_the_same_seed_gives_the_same_file(cascade: Cascade) -> None:
    assert fit_cascade(fit_of(), MEMBER, lambda epoch, state: True)[0].xml == cascade.xml
    assert fit_cascade(fit_of(seed=1), MEMBER, lambda epoch, state: True)[0].xml != cascade.xml
    again = Cascade.read(cascade.xml, cascade.settings)
    assert (again.layout.places[:4] == cascade.layout.places[:4]).all() and again.numbers == cascade.numbers > 0


def test_every_stage_is_reported_and_too_few_rows_are_refused() -> None:
    reported = []
    _, state = fit_cascade(fit_of(), MEMBER, lambda epoch, state: reported.append(epoch) or len(reported) < 2)
    assert [epoch.epoch for epoch in reported] == [1, 2] == [epoch.epoch for epoch in state.history]
    empty = fit_of(count=3)
    empty.train.truth["joints"][:] = np.nan
    with pytest.raises(DataError, match="no row with a joint"):
        fit_cascade(empty, MEMBER, lambda epoch, state: True)
    with pytest.raises(UnknownName, match="did you mean MCP2"):
        fit_cascade(fit_of(), replace(MEMBER, sees=("MCP22",)), lambda epoch, state: True)
    with pytest.raises(BadRecipe, match="starts from no weights"):
        replace(MEMBER, weights="given")


def test_finds_are_named_on_a_turned_hand_with_missing_and_false_finds() -> None:
    hand = np.array([[0.35, 0.56], [0.46, 0.40], [0.55, 0.39], [0.62, 0.41], [0.70, 0.44],
                     [0.25, 0.47], [0.42, 0.24], [0.53, 0.21], [0.64, 0.24], [0.74, 0.31]])  # fmt: skip
    layout = Layout.from_places(TEN, np.concatenate([hand, [[np.nan, np.nan]]]))
    turn = np.deg2rad(12)
    turned = (hand - 0.5) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + 0.53
    tips = turned[6:] + 0.6 * (turned[6:] - turned[1:5])
    wrist = turned[[1, 2]] + (0.0, 0.3)
    finds = np.concatenate([np.delete(turned, 4, axis=0), tips, wrist])[::-1]
    named = name_detections(layout, finds, np.full(len(finds), 0.9))
    there = named[:, 2] >= 0.5
    assert there.tolist() == [True] * 4 + [False] + [True] * 5 + [False]
    assert np.allclose(named[there, :2], np.delete(turned, 4, axis=0))
    assert np.isnan(named[10]).all() and np.linalg.norm(named[4, :2] - turned[4]) < WIDTH
    toes = np.column_stack([np.tile(np.linspace(0.3, 0.7, 5), 2), np.repeat([0.3, 0.5], 5)])
    assert not name_detections(layout, toes, np.full(len(toes), 0.9))[:10, 2].any(), "a foot is no hand"


def test_values_that_are_not_known_do_not_count_in_the_mean() -> None:
    one, other = np.array([[0.2, np.nan, np.nan]]), np.array([[0.6, 0.4, np.nan]])
    assert np.array_equal(mean_of_known([one, other]), [[0.4, 0.4, np.nan]], equal_nan=True)


def test_windows_are_taken_and_joined() -> None:
    samples = read_windows(np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8))
    both = Windows.concatenate([samples.take(np.array([3, 4])), samples.take(np.arange(5) < 3)])
    assert (both.sums == samples.sums[[3, 4, 0, 1, 2]]).all() and len(both) == 5
