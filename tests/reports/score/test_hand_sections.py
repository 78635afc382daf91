from collections.abc import Callable
from datetime import date
from typing import Any

import cv2
import numpy as np

from rajobs.records.tables.schemas import CHANGES, EXTREMITIES, FILMS, JOINTS
from rajobs.reports.score.hand_sections import hand_sections
from rajobs.reports.score.overlay import ScoredJoint, overlay
from rajobs.reports.score.page import IntakeCounts, ScoreFacts, score_page
from rajobs.reports.score.tallies import FilmTally, HandTally, VisitTally

FACTS = ScoreFacts(intake=IntakeCounts(objects=2, images=2, frames=2, rejects={}, ignored={}))


def hand(image: str, doubt: float, total: int | None = 12, **more: Any) -> dict[str, Any]:
    return {
        "image_id": image, "extremity": 0, "part": "hand", "patient": "p", "side": "L", "box": [0.0, 0.0, 100.0, 100.0],
        "bundles": ["b"],
        "svdh_total": total, "svdh_lowest": total, "svdh_highest": 90, "coverage": 0.5, "doubt": doubt,
        "doubt_reasons": ["scores unsure"] if doubt else [], **more,
    }  # fmt: skip


def joint(site: str, **more: Any) -> dict[str, Any]:
    return {"image_id": "a", "extremity": 0, "site": site, "patient": "p", "side": "L", "bundles": ["b"], **more}


JOINT_ROWS = [joint("MCP2", x=20.0, y=20.0, box=[10.0, 10.0, 30.0, 30.0], jsn=3, erosion=1), joint("MCP3")]


def tally(*hands: dict[str, Any]) -> HandTally:
    counted = HandTally()
    for number, row in enumerate(hands):
        counted.add(EXTREMITIES.rows([row]), JOINTS.rows(JOINT_ROWS if not number else []))
    return counted


def change(patient: str, total: int, **more: Any) -> dict[str, Any]:
    return {
        "patient": patient, "part": "all", "measure": "svdh", "since": "before", "visit_date": date(2013, 1, 1),
        "since_date": date(2012, 1, 1), "days": 366, "sites": 40, "change": total, "bundles": ["b"], **more,
    }  # fmt: skip


def changes(*rows: dict[str, Any]) -> VisitTally:
    counted = VisitTally()
    counted.add_changes(CHANGES.rows(list(rows)))
    return counted


def test_the_page_ranks_hands_by_doubt_and_shows_what_was_drawn(read_page: Callable[[str], str], film: bytes) -> None:
    hands = tally(hand("a", 0.4, stage=3, ra_p=0.75), hand("b", 0.9), hand("c", 0.0, total=40), hand("d", 0.0))
    grown = change(
        "p", 7, expected_change=5.25, expected_change_low=-1.04, expected_change_high=11.5, detectable_change=3.04,
        beyond_detectable=True,
    )  # fmt: skip
    assert [row.image_id for row in hands.shown()] == ["b", "a", "c", "d"]
    sections = hand_sections(hands, changes(grown), {("b", 0): film})
    films = FilmTally()
    films.add(FILMS.rows([{"image_id": "a", "patient": "p", "fate": "kept", "bundles": []}]))
    page = score_page(FACTS, films, {}, sections)
    text = read_page(page)
    assert text.index("left hand, doubt 0.90") < text.index("left hand, doubt 0.40") < text.index("Not in doubt")
    assert "total 12 from 50 % of the sites (12 to 90 possible)" in text and "stage 3" in text
    assert "RA probability 75 %" in text
    assert "2 of 4 hands need review" in text and "partial Sharp/van der Heijde" in text
    assert "At 1 visit a patient" in text and "p 366 40 +7 +5.2 -1.0 to +11.5 3.0" in text
    assert "which the models' validation patients gave: 1 of 1 change." in text


def test_the_page_shows_the_largest_changes_of_patients_since_the_visit_before() -> None:
    rows = [change(f"p{number}", number) for number in range(20)]
    others = [change("q", 99, part="L_hand"), change("q", 99, since="first"), change("q", 0.5, measure="jsw")]
    counted = changes(*rows, *others)
    counted.add_changes(CHANGES.rows([change("r", 15)]))
    assert counted.changes.total() == 21 and [shown.change for shown in counted.fastest[:6]] == [19, 18, 17, 16, 15, 15]


def test_without_hands_there_is_no_section() -> None:
    assert hand_sections(tally(), changes(), {}) == []


def test_an_overlay_has_red_boxes_yellow_narrowing_and_blue_erosion() -> None:
    joints = [
        ScoredJoint(box=row["box"], jsn=row["jsn"], erosion=row["erosion"])
        for row in JOINTS.rows(JOINT_ROWS).to_pylist()
    ]
    data = overlay(np.full((100, 100), 90, np.uint8), [0.0, 0.0, 100.0, 100.0], joints)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert max(picture.shape) == 560
    red = (picture[..., 2] > 180) & (picture[..., 0] < 90) & (picture[..., 1] < 90)
    rows, columns = np.nonzero(red)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (56, 168, 56, 168), "only one joint has a place"
    yellow = (picture[..., 1] > 180) & (picture[..., 2] > 200) & (picture[..., 0] < 110)
    blue = (picture[..., 0] > 200) & (picture[..., 2] < 140)
    assert np.mean(np.nonzero(yellow), axis=1).max() < 90 and np.mean(np.nonzero(blue), axis=1).min() > 140
