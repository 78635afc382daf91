"""Doubt is earned where the hands that have it hold more than their share of the errors; it is score's own doubt."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rajobs import studies
from rajobs.learning.judging.calibration import Calibration, combine
from rajobs.learning.judging.review import (
    SCALES,
    WHOLE,
    JudgedHands,
    choose_scale,
    expected_at,
    judge_review,
    judged_hands,
    review,
    review_curve,
    risk_coverage,
)
from rajobs.learning.judging.validation import calibrate
from rajobs.records.errors import UsageError
from rajobs.records.tables.schemas import END_TO_END, PREDICTIONS
from rajobs.reports.evaluation.review import review_sections
from rajobs.reports.page import render

SCORING = studies.find("svdh_scoring")
SITES = ("MCP2", "MCP3", "MCP4", "PIP2", "PIP3")


def answers(seed: int, patients: int = 40, *, honest: bool = True) -> list[dict[str, Any]]:
    """Both hands' JSN; every third film is poor, and an `honest` model's probabilities show it."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for patient in range(patients):
        for hand in (0, 1):
            noise = 1.5 if rng.random() < 1 / 3 else 0.25
            shown = noise if honest else rng.choice([0.25, 1.5])
            for site in SITES:
                truth = int(rng.integers(0, 2) * rng.integers(1, 5))
                weight = np.exp(-(((np.arange(5) - truth - rng.normal(0, noise)) / (shown + 0.2)) ** 2))
                p = weight / weight.sum()
                rows.append({
                    "image_id": f"film {patient}", "extremity": hand, "site": site, "side": "LR"[hand],
                    "patient": f"p{patient}", "target": "jsn", "truth": str(truth), "predicted": str(int(p.argmax())),
                    "p": p.tolist(), "split": "test", "bundles": [],
                })  # fmt: skip
    return rows


def hands_of(rows: list[dict[str, Any]]) -> JudgedHands:
    return judged_hands(SCORING, PREDICTIONS.rows(rows))


def test_a_hand_s_doubt_and_error_are_made_of_its_own_answers() -> None:
    rows = answers(0, patients=2)
    rows[0] |= {"apart": 0.6}
    assessable = {**rows[0], "target": "assessable", "truth": "1", "p": [0.9, 0.1], "predicted": "0", "apart": None}
    hands = hands_of([*rows, assessable])
    first, second = rows[:5], rows[5:10]
    assert len(hands) == 4 and hands.scores.tolist() == [5] * 4
    assert hands.points[0] == sum(abs(int(row["truth"]) - int(row["predicted"])) for row in first)
    unsure = np.mean([1 - max(row["p"]) for row in first])
    assert hands.levels["scores unsure"][0] == pytest.approx(unsure / 0.35, abs=1e-6)
    assert hands.levels["models disagree"].tolist() == pytest.approx([0.6 / 0.15, 0, 0, 0], abs=1e-6)
    assert hands.levels["joints not assessable"].tolist() == [10, 0, 0, 0]
    apart = abs(sum(int(row["predicted"]) for row in first) - sum(int(row["predicted"]) for row in second)) / 140
    assert hands.levels["hands contradict each other"][:2] == pytest.approx([apart / 0.3] * 2, abs=1e-9)
    assert hands.levels[WHOLE][0] == 10 and not hands.levels["view unsure"].any()
    placed = [{**row, "confidence": 0.5, "distance": None} for row in first]
    placed[0] |= dict.fromkeys(("predicted", "p", "confidence"))
    of_models = judged_hands(SCORING, END_TO_END.rows(placed))
    assert of_models.levels["joints missing"][0] == pytest.approx(0.2 / 0.5) and of_models.scores.tolist() == [4]
    assert of_models.levels["joints unsure"][0] == pytest.approx((1 + 4 * 0.5) / 5 / 0.25)
    assert not len(judged_hands(studies.find("ra_staging"), PREDICTIONS.rows(rows)))
    assert not len(hands_of([{**row, "site": "MTP1"} for row in rows[:1]])), "score does not score feet yet"


def test_earned_doubt_has_more_than_its_share_of_the_errors_and_doubt_by_chance_has_not() -> None:
    for honest in (True, False):
        facts = judge_review(SCORING, PREDICTIONS.rows(answers(1, 80, honest=honest)), {})
        assert facts is not None
        (unsure,) = (each for each in facts.reasons if each.reason == "scores unsure")
        if honest:
            assert unsure.fifth["low"] > 0.3
        else:
            assert unsure.fifth["low"] < 0.2 < unsure.fifth["high"]


def test_the_curve_begins_with_no_review_and_equal_doubts_are_reviewed_together() -> None:
    hands = hands_of(answers(2))
    for levels in (hands.levels[WHOLE], hands.points / hands.scores, np.zeros(len(hands))):
        share, left = risk_coverage(hands, levels)
        assert share[0] == 0 and left[0] == pytest.approx(hands.points.sum() / hands.scores.sum())
        assert len(share) == len(np.unique(levels))
    best = risk_coverage(hands, hands.points / hands.scores)[1]
    assert (np.diff(best) < 0).all()
    chosen = hands.levels[WHOLE] > 1
    share, left = risk_coverage(hands, hands.levels[WHOLE])
    assert left[np.searchsorted(share, chosen.mean())] == pytest.approx(review(hands, chosen).error)


@pytest.mark.slow
def test_thresholds_that_validation_chose_keep_the_error_on_other_patients() -> None:
    left, reviewed = [], []
    for seed in range(40):
        curve = calibrate(SCORING, PREDICTIONS.rows(answers(100 + seed, 25))).review
        test = hands_of(answers(seed, 60))
        scale = choose_scale(curve, 0.12)
        worth = review(test, test.levels[WHOLE] > scale)
        left.append(worth.error)
        reviewed.append(worth.reviewed)
        assert expected_at(curve, scale).error <= 0.12 and scale in SCALES
    assert 0.07 < np.mean(left) <= 0.12, "neither more, nor far less than was asked for"
    assert 0.1 < np.mean(reviewed) < 0.5
    every = hands_of(answers(0, 60))
    assert review(every, np.zeros(120, bool)).error > 0.2, "without a review more is wrong"


def test_an_error_that_needs_no_review_and_one_that_needs_all() -> None:
    curve = review_curve(hands_of(answers(3)))
    assert choose_scale(curve, 4.0) == SCALES[-1] and expected_at(curve, SCALES[-1]).reviewed == 0
    assert choose_scale(curve, 1e-6) == 0 and expected_at(curve, 0.0).caught == 1
    with pytest.raises(UsageError, match="must be above 0, in points of a score, not -1"):
        choose_scale(curve, -1)
    few = review_curve(hands_of(answers(3, patients=4)))
    assert few == {}
    with pytest.raises(UsageError, match="needs models whose validation part has five patients"):
        choose_scale(few, 0.3)


def test_models_that_answer_together_keep_the_more_careful_bound() -> None:
    one, other = (Calibration(review=review_curve(hands_of(answers(seed)))) for seed in (3, 4))
    both = combine([one, other, Calibration()]).review
    assert both["bound"] == np.maximum(one.review["bound"], other.review["bound"]).tolist()
    assert both["caught"] == pytest.approx(np.mean([one.review["caught"], other.review["caught"]], axis=0))
    assert choose_scale(both, 0.3) <= min(choose_scale(each.review, 0.3) for each in (one, other))
    assert combine([Calibration()]).review == {} and Calibration.from_json(one.to_json()) == one


@pytest.mark.parametrize("asked", [None, 0.25])
def test_the_page_shows_what_a_review_is_worth(asked: float | None) -> None:
    table: pa.Table = PREDICTIONS.rows(answers(1, 60))
    drawn: dict[str, bytes] = {}
    facts = judge_review(SCORING, table, calibrate(SCORING, PREDICTIONS.rows(answers(2, 30))).review, asked)
    (section,) = review_sections(facts, drawn)
    assert set(drawn) == {"review.png"} and review_sections(None, drawn) == []
    page = render("Doubt", "", [section])
    assert ("for an error of 0.25:" in page) == (asked is not None) and page.count(
        "the same, by validation"
    ) == 1 + bool(asked)
