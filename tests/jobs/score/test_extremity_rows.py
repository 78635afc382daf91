"""Votes about hands and joints as rows: without Ray, models or pixels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.rows import Row
from rajobs.jobs.score.extremity_rows import ExtremityInProgress, extremity_rows, fill_joints
from rajobs.jobs.score.steps import Votes
from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.evaluation import Evaluation
from rajobs.learning.judging.predictions import vote
from rajobs.learning.targets import Nominal, Target, predicted, scores
from rajobs.learning.voting import Ballot, Vote, combine_votes, target_as_learnt
from rajobs.learning.voting_models import VotingModels
from rajobs.records.anatomy import HAND_JSN_SITES
from rajobs.records.svdh import LEAST_VARIANCE
from rajobs.records.tables.schemas import EXTREMITIES, FILMS, JOINTS
from rajobs.records.tables.table_schema import TableSchema

NOT_CALIBRATED = Calibration()
GRADES = studies.find("ultrasound_grading")


def a_hand(number: int, *sites: str, view_p: float = 1.0) -> ExtremityInProgress:
    joints = tuple(
        Row(image_id="i", at=0, extremity=number, site=site, box=(10.0 * at, 0.0, 10.0 * at + 4, 8.0))
        for at, site in enumerate(sites)
    )
    row = Row(image_id="i", at=0, extremity=number, side="LR"[number], box=(0.0, 0.0, 9.0, 9.0), joints=joints)
    owner = {"image_id": "i", "patient": "p", "visit_date": None}
    return ExtremityInProgress(row=row, owner=owner, film={"view": "both", "both_p": view_p})


def vote_of(p: np.ndarray, apart: float = 0.0) -> Vote:
    """A vote on scores in order."""
    target = scores("score", p.shape[1] - 1)
    return Vote(
        p=p, answers=predicted(target, p), target=target, apart=np.full(len(p), apart), dissent=np.full(len(p), np.nan),
        by_rule=np.zeros(len(p), bool),
    )  # fmt: skip


def votes_of(table: TableSchema, calibration: Calibration = NOT_CALIBRATED, **by_target: Vote) -> Votes:
    """The votes of the studies that fill a table."""
    filling = tuple(study for study in studies.every() if study.scores is not None and study.scores.table == table.name)
    by_study = {
        study.name: {target.name: by_target[target.name] for target in study.targets if target.name in by_target}
        for study in filling
    }
    nobody: Any = {
        study.name: VotingModels(study=study, models=(), finders=(), learned_rows=(), calibration=calibration)
        for study in filling
    }
    return Votes(studies=filling, by_study=by_study, models=nobody, schema=table)


def sure(*scores_of_rows: int | None, classes: int, apart: float = 0.0) -> Vote:
    """A vote that is certain of each score; None: nobody knows the site."""
    return vote_of(
        np.array([np.full(classes, np.nan) if one is None else np.eye(classes)[one] for one in scores_of_rows]), apart
    )


NO_SPACES: list[dict[str, object]] = [{}] * 60  # of the joints of any hands here


def test_a_kind_is_written_for_films_of_view_other_if_it_is_likely() -> None:
    view, kind = studies.find("hand_filter").targets
    likely = np.full((4, len(kind.classes)), 0.01)
    likely[:, kind.classes.index("wrist")] = 0.81
    likely[3] = 1 / len(kind.classes)
    shown = [view.classes.index(name) for name in ("other", "unilateral", "foot", "other")]
    votes = votes_of(
        FILMS, view=replace(sure(*shown, classes=4), target=view), kind=replace(vote_of(likely), target=kind)
    )
    assert [votes.fill(row).get("kind") for row in range(4)] == ["wrist", None, None, None]
    assert [votes.fill(row)["view"] for row in range(4)] == ["other", "unilateral", "foot", "other"]


def test_every_site_has_a_row_and_only_scores_of_the_method() -> None:
    hands = [a_hand(0, "MCP2", "trapezium"), a_hand(1, "STT", "IP", "MCP2")]
    votes = votes_of(JOINTS, jsn=sure(3, 1, 2, 4, None, classes=5), erosion=sure(5, 2, 3, 1, 4, classes=11))
    fill_joints(hands, votes, NO_SPACES, ["b"])
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
    fill_joints([hand], votes_of(JOINTS, erosion=vote_of(p)), NO_SPACES, [])
    (row,) = (row for row in hand.joints if row["site"] == "MCP2")
    assert row["erosion_p"] == pytest.approx([0, 0, 0.6, 0, 0, 0.4]) and row["erosion"] == 2


def test_sets_and_expected_totals_are_as_wide_as_validation_says() -> None:
    calibration = Calibration(least_p={"jsn": {"MCP": 0.25}}, widths={"hand": {"jsn": 2.0}})
    hand, p = a_hand(0, "MCP2", "MCP3", "IP"), np.array([[0.1, 0.3, 0.6, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1.0]])
    votes = votes_of(JOINTS, calibration, jsn=vote_of(p), erosion=sure(2, 1, 0, classes=11))
    fill_joints([hand], votes, NO_SPACES, [])
    rows = {row["site"]: row for row in hand.joints}
    assert rows["MCP2"]["jsn_set"] == [1, 2] and rows["MCP3"]["jsn_set"] == [1]
    assert "jsn_set" not in rows["IP"] and "erosion_set" not in rows["MCP2"], "no patient has shown how wide"
    (row,) = extremity_rows([hand], votes_of(EXTREMITIES), [], votes.calibration.widths)
    assert row["jsn_expected"] == pytest.approx(1.5 + 1), "the thumb's IP has no narrowing in the method"
    half_width = 2 * np.sqrt(0.45 + 2 * LEAST_VARIANCE)
    assert row["jsn_expected_low"] == pytest.approx(2.5 - half_width)
    assert row["svdh_expected"] == pytest.approx(5.5) and "svdh_expected_low" not in row
    assert EXTREMITIES.rows([row]).num_rows == 1 and JOINTS.rows(hand.joints).num_rows == 22


def test_totals_and_doubt_of_a_film_s_two_hands() -> None:
    hands = [a_hand(0, "MCP2", "MCP3"), a_hand(1, "MCP2", "MCP3", view_p=0.55)]
    votes = votes_of(JOINTS, jsn=sure(4, 4, 0, 0, classes=5), erosion=sure(5, 5, 0, 0, classes=11, apart=0.5))
    fill_joints(hands, votes, NO_SPACES, ["s"])
    stage = sure(5, 0, classes=6)
    ra = replace(vote_of(np.array([[0.0, 1.0], [0.2, 0.8]])), target=studies.find("ra_recognition").target("ra"))
    left, right = extremity_rows(hands, votes_of(EXTREMITIES, ra=ra, stage=stage), ["s", "r"], {})
    assert EXTREMITIES.rows([left, right]).num_rows == 2
    assert (left["svdh_total"], left["jsn_total"], left["erosion_total"]) == (18, 8, 10)
    assert left["coverage"] == pytest.approx(4 / 31) and left["svdh_highest"] == 18 + 13 * 4 + 14 * 5
    assert left["stage"] == 5 and right["stage"] == 0 and right["ra_p"] == pytest.approx(0.8)
    assert left["doubt_reasons"] == ["joints missing"] or "models disagree" in left["doubt_reasons"]
    assert right["doubt_reasons"][:2] == ["joints missing", "answers contradict each other"], "RA, and stage 0"
    assert {"view unsure"} <= set(right["doubt_reasons"])


def test_a_joint_that_is_not_assessable_has_no_score_and_is_a_reason_of_doubt() -> None:
    hand, sites = a_hand(0, *HAND_JSN_SITES), len(HAND_JSN_SITES)
    can_be_judged = np.array([[0.4, 0.6]] * (sites - 4) + [[0.51, 0.49]] * 3 + [[np.nan] * 2])
    votes = votes_of(
        JOINTS, jsn=sure(*[1] * sites, classes=5), erosion=sure(*[2] * sites, classes=11),
        assessable=replace(vote_of(can_be_judged), target=studies.find("svdh_scoring").target("assessable")),
    )  # fmt: skip
    fill_joints([hand], votes, NO_SPACES, ["s"])
    rows = {row["site"]: row for row in JOINTS.rows(hand.joints).to_pylist()}
    scored, (*hidden, unknown) = HAND_JSN_SITES[:-4], HAND_JSN_SITES[-4:]
    assert {rows[site]["jsn"] for site in scored} == {1} and rows["MCP2"]["assessable_p"] == pytest.approx(0.6)
    assert all(rows[site]["jsn"] is None is rows[site]["jsn_p"] and rows[site]["x"] is not None for site in hidden)
    assert (rows[unknown]["assessable_p"], rows[unknown]["jsn"]) == (None, 1), "nobody can tell, so the score counts"
    (row,) = extremity_rows([hand], votes_of(EXTREMITIES), ["s"], {})
    assert row["jsn_total"] == sites - 3 and row["svdh_highest"] - row["svdh_total"] >= 3 * 4
    assert row["part"] == "hand" and "joints not assessable" in row["doubt_reasons"]


def test_hands_that_nobody_scored_are_not_doubted_for_it() -> None:
    hand = a_hand(0, "MCP2")
    fill_joints([hand], votes_of(JOINTS), NO_SPACES, [])
    (row,) = extremity_rows([hand], votes_of(EXTREMITIES), [], {})
    assert row["svdh_total"] is None and row["coverage"] == 0 and row["doubt"] == 0 and "stage" not in row


def agree(*models: Any, ordered: bool) -> Vote:
    """The vote of models that give rows these probabilities."""
    classes = np.array(models[0]).shape[1]
    target: Target = scores("score", classes - 1)
    if not ordered:
        target = Nominal(name="score", classes=target.classes)
    ballots = [Ballot(p=np.array(p), answers=np.zeros(len(p), np.int64), ordered=target.ordered) for p in models]
    return combine_votes(target, ballots)


def test_models_vote_by_their_mean_and_those_that_never_learnt_a_site_are_silent() -> None:
    one = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [np.nan] * 3]
    other = [[0.0, 0.0, 1.0], [np.nan] * 3, [np.nan] * 3]
    vote = agree(one, other, ordered=True)
    assert vote.p[:2].tolist() == [[0.5, 0, 0.5], [0, 0, 1]] and np.isnan(vote.p[2]).all()
    assert vote.apart.tolist() == [1.0, 0.0, 0.0], "nought and two of two apart; alone nobody disagrees"
    near = [[0.5, 0.5, 0.0]], [[0.0, 0.5, 0.5]]
    assert agree(*near, ordered=True).apart.tolist() == [0.5]
    assert agree(*near, ordered=False).apart.tolist() == [0.5]


class Toy:
    """A model of the ultrasound's grades that gives one row these probabilities, learnt as names or in order."""

    hash = "toy"

    def __init__(self, p: list[float], ordered: bool) -> None:
        target = target_as_learnt(GRADES.target("grade"), [ordered])
        self.answered_targets, self.recipe = {target.name: target}, GRADES.recipe("default")
        self.p = np.array([p])

    def predict_with_votes(self, images: Any, kinds: Any) -> Any:
        answers = predicted(self.answered_targets["grade"], self.p)
        return {"grade": (self.p, answers)}, {"grade": answers[None]}


@pytest.mark.parametrize(
    ("ordered", "grade"),
    [((False,), 0), ((True,), 1), ((False, False), 0), ((False, True), 1)],
    ids=["as names", "in order", "two as names", "one of two in order"],
)
def test_score_gives_the_answer_that_evaluate_judges(ordered: tuple[bool, ...], grade: int) -> None:
    p = [0.4, 0.25, 0.35, 0.0]  # the likeliest is 0, the median 1
    models: Any = tuple(Toy(p, each) for each in ordered)
    learned = tuple({"grade": {"": 1}} for _ in models)
    voting = VotingModels(study=GRADES, models=models, finders=(), learned_rows=learned)
    rows = [Row(image_id="i", at=0)]
    drawn = {name: np.zeros((1, 8, 8, 3), np.uint8) for name in voting.view_requests(rows)}
    voted = voting.vote(rows, drawn)["grade"]
    evaluations = [
        Evaluation(
            study=GRADES, at=np.zeros(1, np.int64), patients=np.array(["p"]), truth={"grade": np.zeros(1, np.int64)},
            predicted={"grade": model.predict_with_votes(None, None)[0]["grade"][1]}, p={"grade": model.p},
            answered_targets=model.answered_targets,
        )
        for model in models
    ]  # fmt: skip
    judged = vote(GRADES.with_targets({"grade"}), evaluations)["grade"]
    assert voted.answers.tolist() == judged.answers.tolist() == [grade]


def test_a_score_learnt_as_a_name_stays_one_where_a_site_cannot_have_the_highest() -> None:
    hand, p = a_hand(0, "MCP2"), np.zeros((1, 11))
    p[0, [0, 2, 3, 9]] = 0.4, 0.25, 0.3, 0.05
    target = target_as_learnt(scores("erosion", 10), [False])
    vote = replace(vote_of(p), answers=np.zeros(1, np.int64), target=target)
    fill_joints([hand], votes_of(JOINTS, erosion=vote), NO_SPACES, [])
    (row,) = (row for row in hand.joints if row["site"] == "MCP2")
    assert row["erosion"] == 0, "the median would be 2"
