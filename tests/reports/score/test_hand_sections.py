from collections.abc import Callable
from datetime import date
from typing import Any

import cv2
import numpy as np

from rajobs.records.tables.schemas import EXTREMITIES, FILMS, JOINTS, VISITS
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


def visit(patient: str, year: int, left: int | None, right: int, coverage: float = 0.5) -> dict[str, Any]:
    return {
        "patient": patient, "visit_date": date(year, 1, 1), "films": 1, "L_hand_svdh_total": left,
        "R_hand_svdh_total": right, "L_hand_coverage": None if left is None else coverage, "R_hand_coverage": 0.5,
        "days_since": 366, "bundles": ["b"],
    }  # fmt: skip


def visits(*rows: dict[str, Any]) -> VisitTally:
    counted = VisitTally()
    counted.add(VISITS.rows(list(rows) or [visit("p", 2012, 10, 4), visit("p", 2013, 15, 6)]))
    return counted


def test_the_page_ranks_hands_by_doubt_and_shows_what_was_drawn(read_page: Callable[[str], str], film: bytes) -> None:
    hands = tally(hand("a", 0.4, stage=3, ra_p=0.75), hand("b", 0.9), hand("c", 0.0, total=40), hand("d", 0.0))
    assert [row.image_id for row in hands.shown()] == ["b", "a", "c", "d"]
    sections = hand_sections(hands, visits(), {("b", 0): film})
    films = FilmTally()
    films.add(FILMS.rows([{"image_id": "a", "patient": "p", "fate": "kept", "bundles": []}]))
    page = score_page(FACTS, films, {}, sections)
    text = read_page(page)
    assert text.index("left hand, doubt 0.90") < text.index("left hand, doubt 0.40") < text.index("Not in doubt")
    assert "total 12 from 50 % of the sites (12 to 90 possible)" in text and "stage 3" in text
    assert "RA probability 75 %" in text
    assert "2 of 4 hands need review" in text and "partial Sharp/van der Heijde" in text
    assert "At 1 visit the totals" in text and "p 14 21 +7 366" in text


def test_a_change_needs_both_hands_with_equally_many_sites_since_the_last_visit_with_films() -> None:
    scans_alone = {**visit("p", 2013, None, 0), "films": 0, "R_hand_svdh_total": None, "R_hand_coverage": None}
    changed = visits(visit("p", 2012, 10, 4), scans_alone, visit("p", 2014, 12, 9)).fastest
    assert [(each.svdh_total, each.svdh_change) for each in changed] == [(21, 7)]
    one_hand, other_sites, somebody = (
        visit("p", 2013, None, 9), visit("p", 2013, 12, 9, coverage=0.9), visit("q", 2013, 12, 9)
    )  # fmt: skip
    for later in (one_hand, other_sites, somebody):
        assert not visits(visit("p", 2012, 10, 4), later).changes


def test_without_hands_there_is_no_section() -> None:
    assert hand_sections(tally(), visits(), {}) == []


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
