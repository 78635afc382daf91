"""Changes are over the sites scored at both visits, whatever their number."""

from datetime import date
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rajobs.records.changes import Precision, add_spaces, build_changes, space_repeats
from rajobs.records.statistics.repeats import bound_for_new_patients
from rajobs.records.svdh import LEAST_VARIANCE
from rajobs.records.tables.schemas import EXTREMITIES, JOINTS

MAY, JUNE, NEXT_MAY = date(2012, 5, 1), date(2012, 6, 1), date(2013, 5, 1)
Row = dict[str, Any]


def hand(day: date | None, side: str | None = "L", patient: str = "p", image: str = "", **more: Any) -> Row:
    name = image or f"{patient} {day} {side}"
    return {
        "image_id": name, "extremity": 0, "part": "hand", "patient": patient, "visit_date": day, "side": side,
        "coverage": 0.5, "doubt": 0.0, "bundles": ["b"], **more,
    }  # fmt: skip


def joint(of: Row, site: str, **more: Any) -> Row:
    """A joint with scores; their probabilities are certain unless they are given."""
    p = {f"{name}_p": [float(score == more[name]) for score in range(5)] for name in ("jsn", "erosion") if name in more}
    return {
        "image_id": of["image_id"], "extremity": 0, "site": site, "patient": of["patient"], "side": of["side"],
        "bundles": ["b"], **p, **more,
    }  # fmt: skip


def changes(hands: list[Row], joints: list[Row], **widths: float) -> dict[tuple[str, str, str, date], Row]:
    table: pa.Table = build_changes(EXTREMITIES.rows(hands), JOINTS.rows(joints), Precision(widths={"hand": widths}))
    return {(row["part"], row["measure"], row["since"], row["visit_date"]): row for row in table.to_pylist()}


def test_a_site_that_is_scored_once_is_no_change() -> None:
    """The totals fall by 5 while no joint changes: equally many sites were scored, but not the same."""
    may, june = hand(MAY), hand(JUNE)
    joints = [
        joint(may, "MCP2", jsn=1, erosion=2), joint(may, "MCP3", jsn=4, erosion=2),
        joint(june, "MCP2", jsn=1, erosion=2), joint(june, "MCP4", jsn=0, erosion=1),
    ]  # fmt: skip
    by_key = changes([may, june], joints)
    total = by_key["L_hand", "svdh", "before", JUNE]
    assert (total["change"], total["sites"], total["expected_change"]) == (0, 2, 0), "MCP2 alone, JSN and erosion"
    assert total["days"] == 31 and total["since_date"] == MAY and total["expected_change_low"] is None
    assert {key[:2] for key in by_key} == {
        (part, measure) for part in ("L_hand", "all") for measure in ("jsn", "erosion", "svdh")
    }


def test_each_visit_is_compared_with_the_one_before_and_with_the_first() -> None:
    visits = [hand(day, side) for day in (MAY, JUNE, NEXT_MAY) for side in "LR"]
    scores = {MAY: 0, JUNE: 1, NEXT_MAY: 4}
    by_key = changes(visits, [joint(visit, "MCP2", jsn=scores[visit["visit_date"]]) for visit in visits])
    change = {key[2:]: row["change"] for key, row in by_key.items() if key[:2] == ("R_hand", "jsn")}
    assert change == {
        ("before", JUNE): 1, ("first", JUNE): 1, ("before", NEXT_MAY): 3, ("first", NEXT_MAY): 4,
    }  # fmt: skip
    both = by_key["all", "svdh", "first", NEXT_MAY]
    assert both["change"] == 8 and both["sites"] == 2 and both["days"] == 365
    assert both["change_per_year"] == pytest.approx(8 * 365.25 / 365)


def test_a_hand_that_a_visit_lacks_is_compared_with_the_visit_that_had_it() -> None:
    visits = [hand(MAY, "L"), hand(MAY, "R"), hand(JUNE, "L"), hand(NEXT_MAY, "L"), hand(NEXT_MAY, "R")]
    by_key = changes(visits, [joint(visit, "MCP2", erosion=2) for visit in visits])
    assert by_key["R_hand", "erosion", "before", NEXT_MAY]["since_date"] == MAY
    assert by_key["all", "erosion", "before", NEXT_MAY]["sites"] == 1, "the left hand's joint"
    assert by_key["all", "erosion", "first", NEXT_MAY]["sites"] == 2


def test_expected_changes_see_what_the_likeliest_scores_do_not() -> None:
    sites = ("MCP2", "MCP3", "MCP4", "MCP5")
    may, june = hand(MAY), hand(JUNE)
    joints = [joint(may, site, erosion=0, erosion_p=[1.0, 0.0]) for site in sites]
    joints += [joint(june, site, erosion=0, erosion_p=[0.6, 0.4]) for site in sites]
    row = changes([may, june], joints, erosion=2.0)["L_hand", "erosion", "before", JUNE]
    assert row["change"] == 0 and row["expected_change"] == pytest.approx(1.6)
    half_width = 2 * sqrt(4 * (0.24 + 2 * LEAST_VARIANCE))
    assert row["expected_change_high"] - row["expected_change"] == pytest.approx(half_width)
    assert row["change_per_year"] == pytest.approx(1.6 / 31 * 365.25) and row["beyond_detectable"] is None


def test_the_thumb_s_ip_has_no_narrowing_and_spaces_are_means_in_millimetres() -> None:
    may, june = hand(MAY), hand(JUNE)
    joints = [joint(may, "IP", jsn=0, jsw_mm=1.0), joint(may, "MCP2", jsw_mm=2.0), joint(may, "MCP3", jsw_mm=2.0)]
    joints += [joint(june, "IP", jsn=4, jsw_mm=1.0), joint(june, "MCP2", jsw_mm=1.8), joint(june, "MCP4", jsw_mm=0.1)]
    by_key = changes([may, june], joints)
    assert {key[1] for key in by_key} == {"jsw"}
    space = by_key["L_hand", "jsw", "before", JUNE]
    assert space["sites"] == 2 and space["change"] == pytest.approx(-0.1) and space["expected_change"] is None


def test_films_without_a_date_or_side_and_other_patients_are_not_compared() -> None:
    visits = [hand(MAY), hand(None), hand(JUNE, None), hand(JUNE, patient="q"), hand(MAY, image="less", coverage=0.1)]
    assert not changes(visits, [joint(visit, "MCP2", jsn=2) for visit in visits])


def view_of(film: Row, view: str | None = "PA", derived_from: str | None = None) -> Row:
    """What changes read of an image."""
    return {
        "image_id": film["image_id"], "patient": film["patient"], "view_position": view, "derived_from": derived_from
    }  # fmt: skip


def test_a_joint_space_s_detectable_change_comes_from_two_films_of_a_hand_view_and_day() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (8, 2, 2))  # patient, film, site
    films = [[hand(MAY, patient=f"p{at}", image=f"p{at}-{film}") for film in range(2)] for at in range(8)]
    later = hand(NEXT_MAY, patient="p0", image="p0-later")
    lateral = hand(MAY, patient="p0", image="p0-lateral")
    copy = hand(MAY, patient="p1", image="p1-copy")
    widths = {
        film["image_id"]: 1.5 + noise[at, number] for at, pair in enumerate(films) for number, film in enumerate(pair)
    }
    widths |= {"p0-later": np.array([0.5, 0.5]), "p0-lateral": np.array([9.0, 9.0]), "p1-copy": np.array([9.0, 9.0])}
    hands = [*(film for pair in films for film in pair), later, lateral, copy]
    joints = [
        joint(film, site, jsw_mm=float(width))
        for film in hands
        for site, width in zip(("MCP2", "MCP3"), widths[film["image_id"]])
    ]
    views = [view_of(film) for film in hands[:-2]]
    views += [view_of(lateral, "LATERAL"), view_of(copy, derived_from="p1-0")]
    images = pa.Table.from_pylist(views)
    extremities, table = EXTREMITIES.rows(hands), JOINTS.rows(joints)
    repeats = [each for each in space_repeats(extremities, table, images) if each.part == "hand"]
    assert [each.sites for each in repeats] == [2] * 8, "neither another view nor a copy repeats a film"
    differences = (noise[:, 1] - noise[:, 0]).sum(axis=1) / sqrt(2)
    bound = bound_for_new_patients(differences, np.array([f"p{at}" for at in range(8)]))
    precision = add_spaces(Precision(detectable={"hand": {"svdh": 2.0}}), repeats)
    assert precision.detectable["hand"] == {"svdh": 2.0, "jsw": pytest.approx(bound)}
    (row,) = (
        row for row in build_changes(extremities, table, precision).to_pylist()
        if (row["part"], row["measure"], row["since"]) == ("L_hand", "jsw", "before")
    )  # fmt: skip
    assert row["detectable_change"] == pytest.approx(bound / sqrt(2)) and row["beyond_detectable"]
    few = [each for each in repeats if each.patient < "p4"]
    assert add_spaces(Precision(), few).detectable == {}, "four patients tell nothing"
