"""Votes about hands and joints as rows: without Ray, models or pixels."""

from typing import Any

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.rows import Row
from rajobs.jobs.evaluate.models import vote
from rajobs.jobs.score.extremity_rows import HandInProgress, fill_joints, hand_rows
from rajobs.learning.evaluation import Evaluation
from rajobs.learning.targets import predicted, scores
from rajobs.learning.voting import Vote, _agree, target_as_learnt
from rajobs.learning.voting_models import VotingModels
from rajobs.records.tables.schemas import HANDS, JOINTS

GRADES = studies.find("ultrasound_grading")


def a_hand(number: int, *sites: str, view_p: float = 1.0) -> HandInProgress:
    joints = tuple(
        Row(image_id="i", at=0, hand=number, site=site, box=(10.0 * at, 0.0, 10.0 * at + 4, 8.0))
        for at, site in enumerate(sites)
    )
    row = Row(image_id="i", at=0, hand=number, side="LR"[number], box=(0.0, 0.0, 9.0, 9.0), joints=joints)
    whose = {"image_id": "i", "patient": "p", "visit_date": None}
    return HandInProgress(row=row, whose=whose, film={"view": "both", "both_p": view_p})


def vote_of(p: np.ndarray, apart: float = 0.0) -> Vote:
    """A vote on scores in order."""
    target = scores("score", p.shape[1] - 1)
    return Vote(p=p, answers=predicted(target, p), target=target, apart=np.full(len(p), apart))


def sure(*given: int | None, classes: int, apart: float = 0.0) -> Vote:
    """A vote that is certain of each score; None: nobody knows the site."""
    return vote_of(
        np.array([np.full(classes, np.nan) if one is None else np.eye(classes)[one] for one in given]), apart
    )


def test_every_site_has_a_row_and_only_scores_of_the_method() -> None:
    hands = [a_hand(0, "MCP2", "trapezium"), a_hand(1, "STT", "IP", "MCP2")]
    votes = {"jsn": sure(3, 1, 2, 4, None, classes=5), "erosion": sure(5, 2, 3, 1, 4, classes=11)}
    fill_joints(hands, votes, ["b"])
    left, right = ({row["site"]: row for row in hand.joints} for hand in hands)
    assert JOINTS.rows([*hands[0].joints, *hands[1].joints]).num_rows == 44
    assert left["MCP2"]["jsn"] == 3 and left["MCP2"]["erosion"] == 5 and len(left["MCP2"]["erosion_p"]) == 6
    assert (left["MCP2"]["x"], left["MCP2"]["y"]) == (2.0, 4.0)
    assert "jsn" not in left["trapezium"] and left["trapezium"]["erosion"] == 2
    assert right["STT"]["jsn"] == 2 and "erosion" not in right["STT"]
    assert "jsn" not in right["MCP2"] and right["MCP2"]["erosion"] == 4, "no model knows its narrowing"
    assert "x" not in left["PIP5"] and "jsn" not in left["PIP5"], "not found: nulls, never zeros"


def test_probabilities_beyond_what_a_site_can_have_are_shared_among_the_rest() -> None:
    hand = a_hand(0, "MCP2")
    p = np.zeros((1, 11))
    p[0, [2, 5, 9]] = 0.3, 0.2, 0.5
    fill_joints([hand], {"erosion": vote_of(p)}, [])
    (row,) = (row for row in hand.joints if row["site"] == "MCP2")
    assert row["erosion_p"] == pytest.approx([0, 0, 0.6, 0, 0, 0.4]) and row["erosion"] == 2


def test_totals_and_doubt_of_a_film_s_two_hands() -> None:
    hands = [a_hand(0, "MCP2", "MCP3"), a_hand(1, "MCP2", "MCP3", view_p=0.55)]
    votes = {"jsn": sure(4, 4, 0, 0, classes=5), "erosion": sure(5, 5, 0, 0, classes=11, apart=0.5)}
    fill_joints(hands, votes, ["s"])
    stage = sure(5, 0, classes=6)
    ra = vote_of(np.array([[0.0, 1.0], [0.2, 0.8]]))
    left, right = hand_rows(hands, ra, stage, ["s", "r"])
    assert HANDS.rows([left, right]).num_rows == 2
    assert (left["svdh_total"], left["jsn_total"], left["erosion_total"]) == (18, 8, 10)
    assert left["coverage"] == pytest.approx(4 / 31) and left["svdh_highest"] == 18 + 13 * 4 + 14 * 5
    assert left["stage"] == 5 and right["stage"] == 0 and right["ra_p"] == pytest.approx(0.8)
    assert left["doubt_reasons"] == ["joints missing"] or "models disagree" in left["doubt_reasons"]
    assert right["doubt_reasons"][:2] == ["joints missing", "answers contradict each other"], "RA, and stage 0"
    assert {"view unsure"} <= set(right["doubt_reasons"])


def test_hands_that_nobody_scored_are_not_doubted_for_it() -> None:
    hand = a_hand(0, "MCP2")
    fill_joints([hand], {}, [])
    (row,) = hand_rows([hand], None, None, [])
    assert row["svdh_total"] is None and row["coverage"] == 0 and row["doubt"] == 0 and "stage" not in row


def test_models_vote_by_their_mean_and_those_that_never_learnt_a_site_are_silent() -> None:
    one = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [np.nan] * 3]
    other = [[0.0, 0.0, 1.0], [np.nan] * 3, [np.nan] * 3]
    p, apart = _agree(np.array([one, other]), ordered=True)
    assert p[:2].tolist() == [[0.5, 0, 0.5], [0, 0, 1]] and np.isnan(p[2]).all()
    assert apart.tolist() == [1.0, 0.0, 0.0], "nought and two of two apart; alone nobody disagrees"
    near: Any = np.array([[[0.5, 0.5, 0.0]], [[0.0, 0.5, 0.5]]])
    assert _agree(near, ordered=True)[1].tolist() == [0.5]
    assert _agree(near, ordered=False)[1].tolist() == [0.5]


class Toy:
    """A model of the ultrasound's grades that gives one row these probabilities, learnt as names or in order."""

    hash = "toy"

    def __init__(self, p: list[float], ordered: bool) -> None:
        target = target_as_learnt(GRADES.target("grade"), [ordered])
        self.answered_targets, self.recipe = {target.name: target}, GRADES.recipe("default")
        self.p = np.array([p])

    def predict_with_votes(self, images: Any, kinds: Any) -> Any:
        said = predicted(self.answered_targets["grade"], self.p)
        return {"grade": (self.p, said)}, {"grade": said[None]}


@pytest.mark.parametrize(
    ("ordered", "grade"),
    [((False,), 0), ((True,), 1), ((False, False), 0), ((False, True), 1)],
    ids=["as names", "in order", "two as names", "one of two in order"],
)
def test_score_gives_the_answer_that_evaluate_judges(ordered: tuple[bool, ...], grade: int) -> None:
    p = [0.4, 0.25, 0.35, 0.0]  # the likeliest is 0, the median 1
    models: Any = tuple(Toy(p, each) for each in ordered)
    panel = VotingModels(study=GRADES, models=models, finders=(), learned=tuple({"grade": {"": 1}} for _ in models))
    rows = [Row(image_id="i", at=0)]
    drawn = {name: np.zeros((1, 8, 8, 3), np.uint8) for name in panel.view_requests(rows)}
    voted = panel.vote(rows, drawn)["grade"]
    verdicts = [
        Evaluation(
            study=GRADES, at=np.zeros(1, np.int64), patients=np.array(["p"]), truth={"grade": np.zeros(1, np.int64)},
            predicted={"grade": model.predict_with_votes(None, None)[0]["grade"][1]}, p={"grade": model.p},
            answered_targets=model.answered_targets,
        )
        for model in models
    ]  # fmt: skip
    _, judged = vote(GRADES.answered({"grade"}), verdicts)["grade"]
    assert voted.answers.tolist() == judged.tolist() == [grade]


def test_a_score_learnt_as_a_name_stays_one_where_a_site_cannot_have_the_highest() -> None:
    hand, p = a_hand(0, "MCP2"), np.zeros((1, 11))
    p[0, [0, 2, 3, 9]] = 0.4, 0.25, 0.3, 0.05
    target = target_as_learnt(scores("erosion", 10), [False])
    fill_joints([hand], {"erosion": Vote(p=p, answers=np.zeros(1, np.int64), target=target, apart=np.zeros(1))}, [])
    (row,) = (row for row in hand.joints if row["site"] == "MCP2")
    assert row["erosion"] == 0, "the median would be 2"
