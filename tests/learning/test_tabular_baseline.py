"""The plain model beside the networks: it learns and judges on their samples, and its lead is put into words."""

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from rajobs.imaging.clinic_visits import Finding, Visit, visit_id
from rajobs.imaging.rows import VISITS
from rajobs.learning.study import Study
from rajobs.learning.tabular_baseline import MODEL, compare_baseline, variables, verdict
from rajobs.learning.targets import Nominal
from rajobs.records.tables.schemas import PREDICTIONS

DAY = date(2020, 1, 1)


def visit(number: int, rf: Finding, answer: float) -> Visit:
    patient = f"p{number}"
    findings: dict[str, Finding] = {"rf": rf, "sex": "F", "ra": answer}
    return Visit(image_id=visit_id(patient, DAY), patient=patient, derived_from=None, day=DAY, findings=findings)


@pytest.fixture
def clinic(study: Study) -> Study:
    return replace(
        study, rows=VISITS, targets=(Nominal(name="ra", classes=("0", "1")),), headline="ra.balanced_accuracy",
        metrics=("balanced_accuracy", "auc", "calibration_error"), baseline="boosted_trees",
    )  # fmt: skip


@pytest.fixture
def visits() -> list[Visit]:
    """RF tells the answer of all 80, but for one in ten, where nobody measured it."""
    rng = np.random.default_rng(0)
    cohort = []
    for number in range(80):
        answer = float(number % 2)
        cohort.append(visit(number, None if number % 10 == 0 else float(rng.normal(100 * answer, 5)), answer))
    return cohort


def predictions(visits: list[Visit], answers: list[str], p: list[list[float] | None]) -> pa.Table:
    return PREDICTIONS.rows([
        {
            "image_id": each.image_id, "extremity": 0, "site": "", "patient": each.patient, "target": "ra",
            "split": "test", "truth": f"{each.findings['ra']:g}", "predicted": answer, "p": sure, "bundles": ["b"],
        }
        for each, answer, sure in zip(visits, answers, p)
    ])  # fmt: skip


def learns(visits: list[Visit]) -> dict[str, dict[str, str]]:
    return {"ra": {each.image_id: f"{each.findings['ra']:g}" for each in visits}}


def test_the_answer_is_no_variable_and_missing_values_stay_missing(clinic: Study, visits: list[Visit]) -> None:
    values = variables(visits, clinic)
    assert {len(row) for row in values.values()} == {2}, "RF and sex"
    assert [bool(np.isnan(values[each.image_id][0])) for each in visits[:11]] == [True, *[False] * 9, True]


@pytest.mark.slow
def test_networks_that_guess_lose_and_the_page_s_words_say_so(clinic: Study, visits: list[Visit]) -> None:
    known, new = visits[:50], visits[50:]
    guess = predictions(new, ["1", "0", "0"] * 10, [[0.4, 0.6], [0.6, 0.4], [0.6, 0.4]] * 10)
    networks, plain = compare_baseline(clinic, guess, visits, learns(known))
    assert (networks.who, plain.who, plain.rows, plain.learnt) == ("model", MODEL, 30, 50)
    assert plain.learnt_from == ("train",)
    assert plain.figures["balanced_accuracy"]["value"] > 0.85 > 0.6 > networks.figures["balanced_accuracy"]["value"]
    assert list(plain.figures) == ["auc", "calibration_error", "balanced_accuracy"], "what decides stands last"
    lead = plain.lead["balanced_accuracy"]
    both = (each.figures["balanced_accuracy"]["value"] for each in (networks, plain))
    assert lead["value"] == pytest.approx(next(both) - next(both)) and lead["high"] < 0
    assert "lose" in verdict(plain.deciding_metric, lead)


def test_equal_answers_are_no_victory_and_right_ones_are(clinic: Study, visits: list[Visit]) -> None:
    known, new = visits[:50], visits[50:]
    right = [f"{each.findings['ra']:g}" for each in new]
    (_, plain) = compare_baseline(clinic, predictions(new, right, [None] * 30), visits, learns(known))
    assert list(plain.figures) == ["balanced_accuracy"], "without probabilities counts alone are compared"
    assert "unknown" in verdict(plain.deciding_metric, plain.lead[plain.deciding_metric])
    nothing = [replace(each, findings={**each.findings, "rf": None}) for each in visits]
    nearly = ["1" if right[0] == "0" else "0", *right[1:]]
    (_, plain) = compare_baseline(clinic, predictions(new, nearly, [None] * 30), nothing, learns(known))
    assert "networks win" in verdict(plain.deciding_metric, plain.lead[plain.deciding_metric])


def test_rows_that_the_baseline_learnt_from_judge_nobody(clinic: Study, visits: list[Visit]) -> None:
    with pytest.raises(AssertionError, match="must not judge it"):
        compare_baseline(clinic, predictions(visits[:10], ["1"] * 10, [None] * 10), visits, learns(visits))
