"""What validation rows say of a model is kept in its bundle and used on other rows."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rajobs import studies
from rajobs.jobs.evaluate.predictions import figures_of
from rajobs.learning.judging.calibration import JOINT, Calibration, combine
from rajobs.learning.judging.coverage import set_coverage, total_coverage
from rajobs.learning.judging.totals import hand_totals
from rajobs.learning.judging.validation import calibrate, tune_joint_thresholds
from rajobs.records.tables.schemas import PREDICTIONS

SCORING = studies.find("svdh_scoring")


def answers(seed: int, patients: int = 40, part: str = "test") -> pa.Table:
    """Answers to MCP2 and MCP3 of both hands, JSN and erosion, half of them sound."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for patient in range(patients):
        for number, site, (target, classes) in (
            (number, site, scored) for number in (0, 1) for site in ("MCP2", "MCP3")
            for scored in (("jsn", 5), ("erosion", 11))
        ):  # fmt: skip
            truth = int(rng.integers(0, 2) * rng.integers(1, 5))
            weight = np.exp(-0.7 * abs(np.arange(classes) - truth - rng.normal(0, 0.8)))
            p = (weight / weight.sum()).tolist()
            rows.append({
                "image_id": f"film {patient}", "extremity": number, "site": site, "side": "LR"[number],
                "patient": f"p{patient}", "target": target, "truth": str(truth), "predicted": str(int(np.argmax(p))),
                "p": p, "split": part, "bundles": [],
            })  # fmt: skip
    return PREDICTIONS.rows(rows)


def test_a_threshold_comes_from_validation_alone_and_test_rows_show_how_far_it_holds() -> None:
    validation = calibrate(SCORING, answers(0, part="validation"))
    assert validation.thresholds.keys() == {"jsn", "erosion"}
    figures = figures_of(SCORING, answers(1), validation)
    assert 0.8 < figures["jsn.specificity_at_90"]["value"] < 0.97, "not 90 % to a row, as if the test part had chosen"
    assert figures["jsn.sensitivity_at_90"]["low"] < figures["jsn.sensitivity_at_90"]["value"]
    without = figures_of(SCORING, answers(1))
    assert "jsn.sensitivity_at_90" not in without and "jsn.qwk" in without, "bundles of before have no threshold"


@pytest.mark.parametrize("patients", [12, 60])
@pytest.mark.slow
def test_sets_and_totals_hold_nine_truths_in_ten(patients: int) -> None:
    """With few patients, too: what leaving each out in turn shows is not widened by a patient unlike all of them."""
    inside: dict[str, list[float]] = {"jsn": [], "svdh": []}
    for split in range(12):
        calibration = calibrate(SCORING, answers(1000 + split, patients))
        test = answers(split, 60)
        (of_set,) = (each for each in set_coverage(SCORING, test, calibration) if each.what == "jsn")
        (of_total,) = (each for each in total_coverage(test, calibration) if each.what == "svdh")
        inside["jsn"].append(of_set.covered["value"])
        inside["svdh"].append(of_total.covered["value"])
        assert of_set.rows == 240 and of_total.rows == 120 and of_set.patients == of_total.patients == 60
    assert all(0.87 < np.mean(values) < 0.93 for values in inside.values()), inside


def test_without_nine_patients_there_is_no_set_and_no_interval() -> None:
    few = calibrate(SCORING, answers(0, patients=8))
    assert few.thresholds and not few.least_p and not few.widths
    assert not [*set_coverage(SCORING, answers(1), few), *total_coverage(answers(1), few)]


def test_totals_are_expected_over_the_labelled_sites_of_each_hand() -> None:
    hand = next(each for each in hand_totals(answers(0)) if each.measure == "svdh")
    rows = [row for row in answers(0).to_pylist() if (row["image_id"], row["extremity"]) == ("film 0", 0)]
    assert (hand.patient, hand.part, hand.expected.sites, hand.expected.highest) == ("p0", "hand", 4, 2 * 4 + 2 * 5)
    assert hand.truth == sum(int(row["truth"]) for row in rows)
    assert hand.expected.total == pytest.approx(sum(np.arange(len(row["p"])) @ row["p"] for row in rows), abs=1e-5)


def test_models_that_answer_together_have_one_calibration() -> None:
    one, other = Calibration(thresholds={"jsn": 0.2, "erosion": 0.4}), Calibration(thresholds={"jsn": 0.4})
    assert combine([one, other, Calibration()]).thresholds == {"erosion": 0.4, "jsn": 0.30000000000000004}
    wide = Calibration(least_p={"jsn": {"MCP": 0.1}}, widths={"hand": {"jsn": 1.5, "svdh": 2.0}})
    wider = Calibration(least_p={"jsn": {"MCP": 0.05}}, widths={"hand": {"jsn": 2.5}, "foot": {"jsn": 1.0}})
    both = combine([wide, wider])
    assert both.least_p == {"jsn": {"MCP": 0.05}}
    assert both.widths == {"hand": {"jsn": 2.5, "svdh": 2.0}, "foot": {"jsn": 1.0}}
    assert Calibration.from_json(wide.to_json()) == wide
    assert Calibration.from_json(one.to_json()) == one and Calibration.from_json({}) == Calibration()


@pytest.mark.slow
def test_thresholds_of_stages_come_from_validation_and_only_a_tuning_on_the_judged_rows_is_the_leak() -> None:
    """001's staging: each network and the model have thresholds of their own; several models' are averaged."""
    study = studies.find("ra_staging")

    def stages(seed: int) -> pa.Table:
        rng = np.random.default_rng(seed)
        rows = []
        for hand in range(120):
            p = rng.dirichlet(np.ones(6) + 2 * (np.arange(6) == hand % 6))
            rows.append({
                "image_id": f"h{hand}", "extremity": 0, "site": "", "patient": f"p{hand}", "target": "stage",
                "truth": str(hand % 6), "predicted": str(int(p.argmax())), "p": p.tolist(), "split": "test",
                "bundles": [],
            })  # fmt: skip
        return PREDICTIONS.rows(rows)

    one, other = calibrate(study, stages(0)), calibrate(study, stages(1))
    both = combine([one, other]).class_thresholds["stage"][JOINT]
    assert both == pytest.approx(np.mean([each.class_thresholds["stage"][JOINT] for each in (one, other)], axis=0))
    judged = stages(2)
    leak = Calibration(class_thresholds=tune_joint_thresholds(study, judged))
    clean, leaky = (figures_of(study, judged, calibration) for calibration in (one, leak))
    gain = [
        leaky[name]["value"] - clean[name]["value"] for name in ("stage.tuned_sensitivity", "stage.tuned_specificity")
    ]
    assert sum(gain) > 0, "thresholds tuned on the rows that they judge are too good"
    assert clean["stage.qwk"] == leaky["stage.qwk"] and "stage.tuned_f1" not in figures_of(study, judged)
    again = Calibration.from_json(json.loads(json.dumps(one.to_json())))
    assert figures_of(study, judged, again) == clean
