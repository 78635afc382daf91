"""Drawn films that are cropped, blurred or stored as negatives, and their labels."""

from itertools import islice

import numpy as np
import pytest

from rajobs.phantoms.people.cohort import plan_sample
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.radiographs import spoiling
from rajobs.phantoms.radiographs.films import draw_film, sample_film
from rajobs.phantoms.radiographs.spoiling import joint_places, spoil
from rajobs.records.anatomy import FINGER_JOINTS

SHAPE = (250, 185)


def spoil_only(monkeypatch: pytest.MonkeyPatch, **shares: float) -> None:
    kinds = ("NEGATIVE", "BLURRED", "CROPPED", "MONTAGE", "SMALL", "COMPRESSED")
    for name in (f"{kind}_SHARE" for kind in kinds):
        monkeypatch.setattr(spoiling, name, shares.get(name, 0.0))


def film(kind: str, number: int) -> Picture:
    return sample_film(np.random.default_rng((7, number)), kind=kind, size=SHAPE)


def shown_at(picture: Picture, at: np.ndarray) -> np.ndarray:
    x, y = (int(value) for value in at)
    return picture.frames[0][y : y + 4, x : x + 4]


@pytest.mark.slow
def test_a_cropped_film_labels_the_joints_that_it_still_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_only(monkeypatch, CROPPED_SHARE=1.0)
    fewer = 0
    for number in range(12):
        whole = film("unilateral", number)
        part = spoil(whole, np.random.default_rng(number))
        before, after = joint_places(whole), joint_places(part)
        assert sum(site in FINGER_JOINTS for _, site in after) >= spoiling.FEWEST_JOINTS["hand"] or part is whole
        rows, columns = part.frames[0].shape
        assert all(0 <= x < columns and 0 <= y < rows for x, y in after.values())
        for name, at in after.items():
            seen = shown_at(part, at)
            assert np.array_equal(seen, shown_at(whole, before[name])[: seen.shape[0], : seen.shape[1]])
        assert {truth.study for truth in whole.truths} == {truth.study for truth in part.truths}
        absent = {(truth.side, truth.site) for truth in part.truths if truth.target == "present"}
        assert before.keys() - after.keys() <= absent and absent.isdisjoint(after), "cut off: not there"
        fewer += len(after) < len(before)
    assert fewer > 6


def test_a_film_of_both_hands_and_a_foot_without_joints_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of both hands shows one hand, and the middle of a foot from the side is an ankle."""
    spoil_only(monkeypatch, CROPPED_SHARE=1.0)
    plans = (plan_sample(np.random.default_rng((7, number)), kind="foot", size=SHAPE, difficulty="standard")
             for number in range(40))  # fmt: skip
    aside = [draw_film(plan) for plan in islice((plan for plan in plans if plan.part == "lateral_foot"), 3)]
    assert aside and not any(joint_places(picture) for picture in aside)
    for picture in [*aside, film("both", 0)]:
        assert spoil(picture, np.random.default_rng(0)) is picture


def test_a_blurred_film_is_softer_and_a_negative_is_inverted(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, rng = film("unilateral", 3), np.random.default_rng(0)
    spoil_only(monkeypatch, BLURRED_SHARE=1.0)
    monkeypatch.setattr(spoiling, "BLUR_RANGE", (0.006, 0.006))
    soft = spoil(picture, rng)
    steps = [np.abs(np.diff(each.frames[0].astype(np.int64), axis=1)).max() for each in (picture, soft)]
    assert steps[1] < 0.5 * steps[0] and soft.frames[0].dtype == picture.frames[0].dtype
    spoil_only(monkeypatch, NEGATIVE_SHARE=1.0)
    assert spoil(picture, rng).inverted != picture.inverted


def darkest_near(picture: Picture, at: np.ndarray) -> float:
    """Mean grey of the nine pixels around a place, bones bright."""
    x, y = np.round(at).astype(int)
    grey = picture.frames[0][y - 1 : y + 2, x - 1 : x + 2].astype(float).mean() / ((1 << picture.bits) - 1)
    return 1 - grey if picture.inverted else grey


def test_a_compressed_film_has_blocks_and_a_small_one_its_joints_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, rng = sample_film(np.random.default_rng(3), kind="unilateral", size=(670, 497)), np.random.default_rng(0)
    spoil_only(monkeypatch, COMPRESSED_SHARE=1.0)
    packed = spoil(picture, rng)
    assert packed.truths == picture.truths and packed.frames[0].dtype == picture.frames[0].dtype
    changed = np.abs(packed.frames[0].astype(int) - picture.frames[0])
    assert 0 < changed.mean() < 0.03 * (1 << picture.bits)
    spoil_only(monkeypatch, SMALL_SHARE=1.0)
    small = spoil(picture, rng)
    assert spoiling.SMALL_SIDES[0] <= max(small.frames[0].shape) <= spoiling.SMALL_SIDES[1]
    factor = small.frames[0].shape[0] / picture.frames[0].shape[0]
    assert small.spacing_mm == pytest.approx(picture.spacing_mm / factor, rel=0.01)
    before, after = joint_places(picture), joint_places(small)
    assert before.keys() == after.keys()
    assert max(np.abs((at + 0.5) / factor - 0.5 - before[name]).max() for name, at in after.items()) < 1.0


@pytest.mark.slow
def test_a_hand_beside_its_mirror_image_is_both_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_only(monkeypatch, MONTAGE_SHARE=1.0)
    for number in range(6):
        one = film("unilateral", number)
        pair = spoil(one, np.random.default_rng(number))
        assert next(truth.value for truth in pair.truths if truth.target == "view") == "both"
        places = joint_places(pair)
        assert {side for side, _ in places} == {"L", "R"} and len(places) == 2 * len(joint_places(one))
        for (side, site), at in joint_places(one).items():
            twin = places["LR"[side == "L"], site]
            if (at > 2).all() and (at < np.array(one.frames[0].shape[::-1]) - 3).all():
                assert darkest_near(pair, twin) == pytest.approx(darkest_near(pair, places[side, site]), abs=0.08)
    both = film("both", 0)
    assert spoil(both, np.random.default_rng(0)) is both


def test_most_films_stay_as_they_are() -> None:
    picture, rng = film("unilateral", 3), np.random.default_rng(0)
    assert 0.55 < np.mean([spoil(picture, rng) is picture for _ in range(300)]) < 0.85
