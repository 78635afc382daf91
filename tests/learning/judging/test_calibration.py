"""What validation rows say of a model is kept in its bundle and used on other rows."""

from typing import Any

import numpy as np
import pyarrow as pa

from rajobs import studies
from rajobs.jobs.evaluate.predictions import figures_of
from rajobs.learning.judging.calibration import Calibration, combine
from rajobs.learning.judging.validation import calibrate
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
    figures = figures_of(SCORING, answers(1), validation.thresholds)
    assert 0.8 < figures["jsn.specificity_at_90"]["value"] < 0.97, "not 90 % to a row, as if the test part had chosen"
    assert figures["jsn.sensitivity_at_90"]["low"] < figures["jsn.sensitivity_at_90"]["value"]
    without = figures_of(SCORING, answers(1), {})
    assert "jsn.sensitivity_at_90" not in without and "jsn.qwk" in without, "bundles of before have no threshold"


def test_models_that_answer_together_have_one_calibration() -> None:
    one, other = Calibration(thresholds={"jsn": 0.2, "erosion": 0.4}), Calibration(thresholds={"jsn": 0.4})
    assert combine([one, other, Calibration()]).thresholds == {"erosion": 0.4, "jsn": 0.30000000000000004}
    assert Calibration.from_json(one.to_json()) == one and Calibration.from_json({}) == Calibration()
