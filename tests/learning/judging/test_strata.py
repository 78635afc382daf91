"""A stratum that is worse is named, whatever its patients' scores are; otherwise hardly any is."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import cohen_kappa_score

from rajobs import studies
from rajobs.learning.judging.strata import Strata, judge_strata
from rajobs.records.tables.schemas import PREDICTIONS
from rajobs.reports.trial.strata import strata_sections, worse_strata
from tests.learning.judging.test_calibration import SCORING

MAKERS = ("Agfa", "FUJIFILM", "Philips", "Siemens", None)


def cohort(seed: int, patients: int = 60, *, blurred: str | None = None, **more: Any) -> pa.Table:
    """Patients of several makers, sexes and ages; the answers to films of the blurred maker are worse."""
    rng, rows = np.random.default_rng(seed), []
    for patient in range(patients):
        age, sex, lean = int(rng.integers(20, 90)), str(rng.choice(["F", "M"])), rng.normal(0, 0.3)
        worst = 5 if age >= 60 else 2  # the old are more ill, and their scores are harder to tell
        for side in "LR":
            maker = MAKERS[int(rng.integers(len(MAKERS)))]
            for site in ("MCP2", "MCP3", "PIP2", "PIP3"):
                truth = int(rng.integers(0, worst))
                noise = rng.normal(lean, 0.3 + 0.1 * truth + (0.9 if maker == blurred and blurred else 0.0))
                answer = int(np.clip(round(truth + noise), 0, 4))
                rows.append({
                    "image_id": f"film {patient} {side}", "extremity": 0, "site": site, "side": side,
                    "patient": f"p{patient}", "target": "jsn", "truth": str(truth), "predicted": str(answer),
                    "p": [float(score == answer) for score in range(5)], "split": "test", "bundles": [],
                    "age_years": age, "sex": sex, "manufacturer": maker, **more,
                })  # fmt: skip
    return PREDICTIONS.rows(rows)


def test_a_maker_whose_films_are_blurred_is_named_on_the_page() -> None:
    strata = judge_strata(SCORING, cohort(0, blurred="Siemens"))
    (worse,) = strata.worse
    assert (worse.variable, worse.value, worse.target) == ("maker", "Siemens", "jsn")
    assert worse.excess is not None and worse.excess["low"] > 0 and worse.excess["value"] > 0.3
    (sentence,) = worse_strata(strata)
    assert "Worse than the rest: maker Siemens (JSN)" in sentence
    (section,) = strata_sections(strata)
    assert sentence in str(section.parts[0])


@pytest.mark.slow
def test_without_a_worse_one_hardly_any_is_named() -> None:
    named = [bool(judge_strata(SCORING, cohort(seed, 30)).worse) for seed in range(1, 9)]
    assert sum(named) == 0, "the old are more ill, and err more, but not at equal true scores"
    (section,) = strata_sections(judge_strata(SCORING, cohort(1)))
    assert "No stratum is worse" in str(section.parts[0])


def test_figures_of_a_stratum_are_those_of_its_rows_alone() -> None:
    table = cohort(2)
    strata = judge_strata(SCORING, table)
    by_place = {(each.variable, each.value): each for each in strata.answers}
    assert [value for variable, value in by_place if variable == "age"] == [
        "18 to 39",
        "40 to 54",
        "55 to 69",
        "70 and over",
    ]
    assert [value for variable, value in by_place if variable == "maker"][-1] == "not known"
    women = [row for row in table.to_pylist() if row["sex"] == "F"]
    stratum = by_place["sex", "F"]
    assert stratum.rows == len(women) and stratum.patients == len({row["patient"] for row in women})
    truth, answer = ([int(row[name]) for row in women] for name in ("truth", "predicted"))
    known = cohen_kappa_score(truth, answer, weights="quadratic", labels=range(5))
    assert stratum.figures["qwk"]["value"] == pytest.approx(known, abs=1e-9)
    totals = {(each.variable, each.value): each for each in strata.totals}
    hands = {row["image_id"]: 0 for row in women}
    for row in women:
        hands[row["image_id"]] += int(row["predicted"]) - int(row["truth"])
    assert totals["sex", "F"].figures["mean_difference"]["value"] == pytest.approx(
        np.mean(list(hands.values())), abs=1e-6
    )
    assert "view position" not in {variable for variable, _ in by_place}, "nothing is known of it"


def test_strata_of_few_patients_are_shown_and_not_compared() -> None:
    strata = judge_strata(SCORING, cohort(3, 7))
    few = [each for each in strata.answers if each.patients < 5]
    assert few and not any(each.excess for each in few)
    of_another = judge_strata(studies.find("ra_staging"), cohort(3))
    assert of_another.answers == () and strata_sections(of_another) == strata_sections(Strata()) == []
