"""Two films of a hand at one visit say how far expected totals differ by chance; other patients check it."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rajobs.learning.judging.calibration import Calibration, combine
from rajobs.learning.judging.progression import patients_changes
from rajobs.learning.judging.repeats import check_detectable, estimate_detectable, find_repeats, judge_detectable
from rajobs.learning.judging.validation import calibrate
from rajobs.records.statistics.film_repeats import ALL
from rajobs.records.tables.schemas import PREDICTIONS
from rajobs.reports.trial.progression import progression_sections
from tests.learning.judging.test_calibration import SCORING

DAYS = (date(2012, 5, 1), date(2013, 5, 1))
SITES = ("MCP2", "MCP3", "MCP4", "MCP5", "PIP2", "PIP3")
Row = dict[str, Any]


def film(
    name: str, patient: str, levels: np.ndarray, rng: np.random.Generator, day: date = DAYS[0], **more: Any
) -> list[Row]:
    """A film of a left hand whose joints have these levels of JSN, and the answers to it."""
    rows = []
    for site, level in zip(SITES, levels, strict=True):
        p = np.exp(-((np.arange(5) - level - rng.normal(0, 0.5)) ** 2))
        p /= p.sum()
        rows.append({
            "image_id": name, "extremity": 0, "site": site, "side": "L", "patient": patient, "target": "jsn",
            "truth": str(round(level)), "predicted": str(int(np.argmax(p))), "p": p.tolist(), "split": "test",
            "bundles": [], "visit_date": day, **more,
        })  # fmt: skip
    return rows


def cohort(seed: int, patients: int = 60, *, progress: float = 0.0, films: int = 2) -> pa.Table:
    """Patients with so many films at each of two visits; a joint of the second visit is worse by `progress`."""
    rng, rows = np.random.default_rng(seed), []
    for patient in range(patients):
        levels = rng.integers(0, 4, len(SITES)).astype(float)
        for visit, day in enumerate(DAYS):
            for number in range(films):
                name = f"film {patient} {visit} {number}"
                rows += film(name, f"p{patient:02}", np.minimum(levels + visit * progress, 4.0), rng, day)
    return PREDICTIONS.rows(rows)


def test_of_a_hand_s_films_of_one_day_and_view_each_is_in_one_pair() -> None:
    rng, levels = np.random.default_rng(0), np.zeros(6)
    rows = [
        *film("a", "p", levels, rng, view_position="PA"), *film("b", "p", levels, rng, view_position="OBL"),
        *film("c", "p", levels, rng)[:4], *film("d", "p", levels, rng, DAYS[1]), *film("e", "p", levels, rng, DAYS[1]),
        *film("f", "p", levels, rng, DAYS[1], derived_from="d"), *film("g", "q", levels, rng, side="R"),
        *film("h", "q", levels, rng), *film("i", "r", levels, rng, visit_date=None),
        *film("j", "r", levels, rng, visit_date=None),
    ]  # fmt: skip
    repeats = [each for each in find_repeats(PREDICTIONS.rows(rows)) if (each.part, each.measure) == ("hand", "svdh")]
    assert [(each.patient, each.sites) for each in repeats] == [("p", 4), ("p", 6)], "a with c, d with e"
    expected = [sum(np.arange(5) @ row["p"] for row in rows if row["image_id"] == name) for name in "de"]
    assert repeats[1].difference == pytest.approx(expected[1] - expected[0], abs=1e-5)


def test_both_hands_of_a_patient_are_added_up_film_by_film() -> None:
    rng, rows = np.random.default_rng(0), []
    for name in ("a", "b"):
        rows += film(name, "p", np.zeros(6), rng) + [
            {**row, "extremity": 1, "side": "R"} for row in film(name, "p", np.ones(6), rng)
        ]
    hands = {each.part: [] for each in find_repeats(PREDICTIONS.rows(rows))}  # type: ignore[var-annotated]
    for each in find_repeats(PREDICTIONS.rows(rows)):
        hands[each.part] += [each] if each.measure == "jsn" else []
    (both,) = hands[ALL]
    assert both.sites == 12 and both.difference == pytest.approx(sum(each.difference for each in hands["hand"]))


@pytest.mark.slow
def test_one_repeat_in_twenty_of_other_patients_is_beyond_it_and_three_times_it_is_seen() -> None:
    shares, seen = [], []
    for seed in range(4):
        validation = calibrate(SCORING, cohort(seed))
        (check,) = (
            each for each in check_detectable(validation.detectable, find_repeats(cohort(100 + seed)))
            if (each.part, each.measure) == (ALL, "jsn")
        )  # fmt: skip
        assert (
            check.spread["low"] < check.spread["value"] <= check.change
            and check.repeats == check.checked == 120
            and check.sites == 6
        )
        shares.append(check.beyond["value"])
        worse = cohort(200 + seed, progress=3 * check.change / len(SITES), films=1)
        (of_jsn,) = (each for each in patients_changes(worse, validation.precision) if each.measure == "jsn")
        assert of_jsn.beyond is not None and of_jsn.detectable == pytest.approx(check.change)
        seen.append(of_jsn.beyond["value"])
    assert 0.02 < np.mean(shares) < 0.065 and np.mean(seen) > 0.9


@pytest.mark.slow
def test_without_any_in_the_bundle_half_of_the_patients_give_it_and_the_page_says_so() -> None:
    table = cohort(3)
    drawn: dict[str, bytes] = {}
    kept = judge_detectable(estimate_detectable(find_repeats(cohort(4))), table)
    half = judge_detectable({}, table)
    assert kept.from_bundle and not half.from_bundle
    assert {each.patients for each in half.checks} == {each.checked_patients for each in half.checks} == {30}
    nothing = judge_detectable({}, cohort(3, films=1))
    assert not nothing.checks and not nothing.entries
    texts = []
    for detectable in (kept, half, nothing):
        precision = Calibration(detectable=detectable.entries).precision
        (section,) = progression_sections(detectable, tuple(patients_changes(table, precision)), drawn)
        texts.append(str(section.parts[0]))
    assert "repeats of validation patients" in texts[0] and "a half of the patients" in texts[1]
    assert "No smallest detectable change is known" in texts[2]
    assert set(drawn) == {"svdh-changes.png"}


def test_a_bundle_keeps_it_and_of_several_the_largest_counts() -> None:
    one, other = (Calibration(detectable=estimate_detectable(find_repeats(cohort(seed)))) for seed in (1, 2))
    assert Calibration.from_json(one.to_json()) == one
    both = combine([one, other, Calibration()]).precision.detectable
    assert both["hand"]["jsn"] == max(each.precision.detectable["hand"]["jsn"] for each in (one, other))
    assert not estimate_detectable(find_repeats(cohort(1, patients=4)))
