from datetime import date
from typing import Any

import pytest

from rajobs.records.anatomy import HAND_EROSION_SITES, HAND_JSN_SITES, PARTS, SIDES, SITES
from rajobs.records.doubt import ALLOWED, doubt
from rajobs.records.svdh import HIGHEST, SITES_IN_METHOD, patient_totals, totals
from rajobs.records.tables.schemas import EXTREMITIES, ULTRASOUND
from rajobs.records.visits import build_visits


def test_the_bounds_of_a_fully_scored_hand_are_its_total() -> None:
    jsn, erosion = dict.fromkeys(HAND_JSN_SITES, 4), dict.fromkeys(HAND_EROSION_SITES, 5)
    whole = totals({**jsn, "IP": 4}, erosion)  # the thumb's IP has no JSN in the method
    assert (whole.jsn, whole.erosion, whole.svdh) == (60, 80, 140) and HIGHEST == 140 and SITES_IN_METHOD["hand"] == 31
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
        "image_id": f"{patient}{day}{side}{total}", "extremity": 0, "part": "hand", "patient": patient,
        "visit_date": day, "side": side, "jsn_total": total, "svdh_total": total, "svdh_lowest": total,
        "svdh_highest": None if total is None else 70 + total, "coverage": 0.5, "doubt": 0.0, "stage": 1,
        "bundles": ["b"], **more,
    }  # fmt: skip


MAY, JUNE, JULY = date(2012, 5, 1), date(2012, 6, 1), date(2012, 7, 1)


def test_a_visit_has_both_hands_and_the_patient_s_totals() -> None:
    hands = EXTREMITIES.rows([
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
    both = first["L_hand_svdh_total"], first["R_hand_svdh_total"]
    assert (*both, first["films"]) == (10, 4, 3), "the fuller film of a hand"
    assert (first["svdh_total"], first["jsn_total"], first["erosion_total"], first["svdh_lowest"]) == (14, 14, None, 14)
    assert first["svdh_highest"] == 154 + 2 * 84 and first["coverage"] == pytest.approx(31 / 86), "feet are missing"
    assert first["L_hand_stage"] == 1 and first["L_foot_coverage"] is None is first["L_foot_svdh_highest"]
    assert first["doppler_highest"] == 3 and first["days_since"] is None and first["bundles"] == ["b", "u"]
    assert between["films"] == 0 and between["ra_clinical_p"] == 0.75 and between["bundles"] == ["c"]
    assert between["days_since"] == 31 and between["coverage"] is None is second["ra_clinical_p"]
    assert second["days_since"] == 61 and second["doppler_highest"] is None and second["svdh_total"] == 21
    assert other["L_hand_svdh_total"] is None is other["svdh_total"] and other["films"] == 1


def test_a_patient_s_totals_reach_448_and_hands_that_nobody_scored_have_none() -> None:
    jsn, erosion = (
        {site.name: highest or 0 for site in SITES.values() if (highest := getattr(site, name)) is not None}
        for name in ("jsn_max", "erosion_max")
    )
    places = [(side, part) for part in PARTS for side in SIDES]
    whole = patient_totals({place: totals(jsn, erosion, place[1]) for place in places})
    assert (whole.jsn, whole.erosion, whole.svdh, whole.coverage) == (168, 280, 448, pytest.approx(1))
    assert whole.lowest == whole.highest == 448
    foot = patient_totals({("L", "hand"): totals({}, {}), ("R", "foot"): totals({"MTP1": 3}, {}, "foot")})
    assert (foot.svdh, foot.lowest, foot.highest, foot.erosion) == (3, 3, 448 - 1, None)
    assert patient_totals({("L", "hand"): totals({}, {})}).highest is None
