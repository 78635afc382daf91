from datetime import date
from typing import Any

import pytest

from rajobs.records.anatomy import HAND_EROSION_SITES, HAND_JSN_SITES
from rajobs.records.doubt import ALLOWED, doubt
from rajobs.records.svdh import HIGHEST, SITES_IN_METHOD, totals
from rajobs.records.tables.schemas import HANDS, ULTRASOUND
from rajobs.records.visits import build_visits


def test_the_bounds_of_a_fully_scored_hand_are_its_total() -> None:
    jsn, erosion = dict.fromkeys(HAND_JSN_SITES, 4), dict.fromkeys(HAND_EROSION_SITES, 5)
    whole = totals({**jsn, "IP": 4}, erosion)  # the thumb's IP has no JSN in the method
    assert (whole.jsn, whole.erosion, whole.svdh) == (60, 80, 140) and HIGHEST == 140 and SITES_IN_METHOD == 31
    assert whole.coverage == 1 and whole.lowest == whole.highest == 140


def test_missing_sites_show_in_coverage_and_bounds() -> None:
    part = totals({"MCP2": 3, "PIP2": None, "IP": 4}, {"MCP2": 2, "trapezium": 0})
    assert (part.jsn, part.erosion, part.svdh) == (3, 2, 5)
    assert part.coverage == pytest.approx(3 / 31)
    assert part.lowest == 5 and part.highest == 5 + 14 * 4 + 14 * 5
    none = totals({"IP": 4}, {})
    assert none.svdh is None and none.lowest is None and none.coverage == 0
    only = totals({}, {"ulna": 1})
    assert only.jsn is None and only.erosion == only.svdh == 1


def test_doubt_is_the_gravest_reason_and_0_where_all_is_allowed() -> None:
    assert doubt(dict(ALLOWED)) == (0.0, [])
    assert doubt({"scores unsure": 0.4, "models disagree": 0.9, "view unsure": 0.1}) == (
        0.9, ["models disagree", "scores unsure"],
    )  # fmt: skip


def hand(patient: str, day: date | None, side: str | None, total: int | None, **more: Any) -> dict[str, Any]:
    return {
        "image_id": f"{patient}{day}{side}{total}", "hand": 0, "patient": patient, "visit_date": day, "side": side,
        "svdh_total": total, "coverage": 0.5, "doubt": 0.0, "stage": 1, "bundles": ["b"], **more,
    }  # fmt: skip


MAY, JUNE, JULY = date(2012, 5, 1), date(2012, 6, 1), date(2012, 7, 1)


def test_a_visit_has_both_hands_and_the_change_since_the_one_before() -> None:
    hands = HANDS.rows([
        hand("p", JULY, "L", 12), hand("p", JULY, "R", 9), hand("p", MAY, "L", 10), hand("p", MAY, "R", 4),
        hand("p", MAY, "R", 60, coverage=0.2), hand("p", None, "L", 99), hand("q", MAY, None, 7),
    ])  # fmt: skip
    scans = ULTRASOUND.rows([
        {
            "image_id": f"s{grade}", "patient": "p", "visit_date": MAY, "frame": 0, "doppler": True, "grade": grade,
            "bundles": ["u"],
        }
        for grade in (1, 3, None)
    ])  # fmt: skip
    clinic = [{"patient": "p", "visit_date": JUNE, "ra_clinical_p": 0.75, "bundles": ["c"]}]
    first, between, second, other = build_visits(hands, scans, clinic).to_pylist()
    assert (first["L_svdh_total"], first["R_svdh_total"], first["films"]) == (10, 4, 3), "the fuller film of a hand"
    assert first["doppler_highest"] == 3 and first["svdh_change"] is None and first["bundles"] == ["b", "u"]
    assert between["films"] == 0 and between["ra_clinical_p"] == 0.75 and between["bundles"] == ["c"]
    assert between["svdh_change"] is None and second["ra_clinical_p"] is None
    assert second["svdh_change"] == 7 and second["days_since"] == 61 and second["doppler_highest"] is None
    assert other["L_svdh_total"] is None is other["R_svdh_total"] and other["films"] == 1


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ((hand("p", JULY, "L", 12),), "one hand alone"),
        ((hand("p", JULY, "L", 12, coverage=0.9), hand("p", JULY, "R", 9)), "other numbers of sites"),
    ],
)
def test_totals_of_unlike_sites_have_no_change(now: tuple[dict[str, Any], ...], why: str) -> None:
    before = [hand("p", MAY, "L", 10), hand("p", MAY, "R", 4)]
    _, second = build_visits(HANDS.rows([*before, *now]), ULTRASOUND.rows([])).to_pylist()
    assert second["svdh_change"] is None and second["days_since"] == 61, why
