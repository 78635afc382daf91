"""What evaluate makes of models' answers before it judges them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rajobs import studies
from rajobs.jobs.builtin import DRAWN, NAME
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.jobs.evaluate.models import Bundle, _holds, common_sites, read_bundles, why_all_rows
from rajobs.jobs.evaluate.predictions import read_user_predictions
from rajobs.learning.bundle_description import BundleDescription, Origin, put_description
from rajobs.learning.voting import Vote, apply_rule
from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.errors import BadTable, StoreError, UsageError
from rajobs.records.manifest import to_json
from rajobs.records.scan_grades import FLOW, WITHOUT_COLOUR
from rajobs.records.splits import MODES
from rajobs.records.store import LocalStore, open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS, PREDICTIONS

GRADING = studies.find("ultrasound_grading")
SURE = np.array([[0.0, 0.1, 0.1, 0.8]] * 3)


def test_a_frame_without_colour_is_answered_by_rule_as_in_score(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    images = [
        {
            "image_id": name, "patient": "p", "frame": 0, "modality": "US", "rows": 2, "columns": 2, "bits": 8,
            "doppler": doppler, "preview": b"", "pixels": b"",
        }
        for name, doppler in {"lit": True, "dark": False, "other": False}.items()
    ]  # fmt: skip
    labels = [{"image_id": "lit", "study": GRADING.name, "target": FLOW, "value": "3", "reader": "truth"}]
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    (rule,) = GRADING.rules
    assert rule.target == FLOW, "synovium is thick without colour too"
    holds = _holds(store, rule, ["dark", "lit", "dark"])
    models = Vote(
        p=SURE, answers=np.full(3, 3), target=GRADING.target(FLOW), apart=np.zeros(3), dissent=np.full(3, 0.5),
        by_rule=np.zeros(3, bool),
    )  # fmt: skip
    ruled = apply_rule(models, rule, holds)
    assert ruled.answers.tolist() == [WITHOUT_COLOUR, 3, WITHOUT_COLOUR] and ruled.p[:, 3].tolist() == [0, 0.8, 0]
    assert ruled.p[0].tolist() == [1, 0, 0, 0] and np.isnan(ruled.dissent).tolist() == [True, False, True]
    assert ruled.by_rule.tolist() == [True, False, True] and models.answers.tolist() == [3, 3, 3]


def bundle(key: str, mode: str = "clean") -> Bundle:
    """A bundle that learnt from data of this key."""
    origin = Origin(
        study=GRADING.name, recipe=GRADING.recipe("default"), mode=mode, seed=0, budget=0.5, code="0", data="d",
        key=key, split="another",
    )  # fmt: skip
    classes = {target.name: target.classes for target in GRADING.targets}
    description = BundleDescription(
        origin=origin, shape=(1, 8, 8), classes=classes, parameters={}, epochs={}, rows={"train": 999}, learned={},
        validation={},
    )  # fmt: skip
    return Bundle(store=LocalStore("."), folder="", description=description)


def test_models_of_another_key_and_the_package_s_own_are_not_said_to_have_a_test_part() -> None:
    assert why_all_rows([bundle("k"), bundle("k")], "k") is None
    assert "learnt from drawings alone" in (why_all_rows([bundle(DRAWN)], "k") or "")
    for foreign in ([bundle("other")], [bundle("other"), bundle(DRAWN)]):
        sentence = why_all_rows(foreign, "k") or ""
        assert "another key" in sentence and "all labelled rows judge" in sentence
        assert "cannot be known here" in sentence


@pytest.mark.parametrize("content", [b"image_id,truth\ni1,1\n", b"", b"PAR1 that breaks off"])
def test_a_user_s_file_that_is_no_parquet_is_not_to_be_removed(tmp_path: Path, content: bytes) -> None:
    study, file = GRADING, tmp_path / "mine.csv"
    with pytest.raises(StoreError, match="there is no predictions table"):
        read_user_predictions(str(file), study)
    file.write_bytes(content)
    with pytest.raises(BadTable, match="is no Parquet file; --predictions takes a table as evaluate writes") as error:
        read_user_predictions(str(file), study)
    assert "remove" not in str(error.value)


def graded(place: Path, count: int = 20) -> list[dict[str, Any]]:
    """Ingested scans with a grade that two have written; predictions of them, of which the test part's are right."""
    store = open_store(str(place))
    names = [f"s{at:02}" for at in range(count)]
    images = [
        {
            "image_id": name, "patient": f"p {name}", "frame": 0, "modality": "US", "rows": 2, "columns": 2, "bits": 8,
            "doppler": True, "preview": b"", "pixels": b"",
        }
        for name in names
    ]  # fmt: skip
    labels = [
        {"image_id": name, "study": GRADING.name, "target": FLOW, "value": str(at % 2), "reader": reader}
        for at, name in enumerate(names)
        for reader in ("truth", "anna")
    ]
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    return [
        {
            "image_id": name, "extremity": 0, "site": "", "patient": f"p {name}", "target": FLOW, "truth": str(at % 2),
            "predicted": str(at % 2 if at < 8 else 3), "p": [0.25] * 4, "split": "test" if at < 8 else "train",
            "bundles": [],
        }
        for at, name in enumerate(names)
    ]  # fmt: skip


def request_to_judge(place: Path, rows: list[dict[str, Any]]) -> EvaluateRequest:
    """The order to judge predictions made elsewhere."""
    open_store(str(place)).put("mine.parquet", to_parquet(PREDICTIONS.rows(rows), PREDICTIONS))
    return EvaluateRequest(
        study=GRADING.name, data=f"{place}/data", models=f"{place}/models", out=f"{place}/out",
        predictions=f"{place}/mine.parquet",
    )  # fmt: skip


@pytest.mark.slow
def test_of_predictions_from_elsewhere_the_test_part_alone_judges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = request_to_judge(tmp_path, graded(tmp_path / "data"))
    page = Path(evaluate(order)).read_text()
    written = read_metrics(order.out)
    assert written["figures"]["grade.accuracy"]["value"] == 1, "what it learnt from was all wrong"
    assert {(row["who"], row["rows"]) for row in written["readers"]} == {("model", 8), ("anna", 8)}
    assert "on 8 answers of the test part" in capsys.readouterr().out
    assert "8 ultrasound for judging" in page and "12 ultrasound for learning" in page
    none = [{**row, "split": "train"} for row in graded(tmp_path / "none" / "data")]
    with pytest.raises(BadTable, match="no row is of the test part"):
        evaluate(request_to_judge(tmp_path / "none", none))


@pytest.mark.slow
def test_predictions_are_judged_whatever_models_there_are(tmp_path: Path) -> None:
    order = request_to_judge(tmp_path, graded(tmp_path / "data"))
    models = open_store(order.models)
    hashes = [put_description(models, f"{GRADING.name}/{m}", bundle("k", m).description).hash for m in MODES]
    page = Path(evaluate(order)).read_text()
    assert not any(name in page for name in (*hashes, "999 ultrasound", "50 % of")), "they have not answered"
    written = read_metrics(order.out)
    assert written["bundles"] == [] and written["budget"] == 1
    with pytest.raises(UsageError, match="no model of ultrasound_grading"):
        evaluate(replace(order, out=f"{tmp_path}/other", predictions=None))


@pytest.mark.parametrize("column", ["truth", "predicted"])
def test_answers_that_are_no_classes_are_counted_and_not_shown(tmp_path: Path, column: str) -> None:
    rows = graded(tmp_path / "data")
    order = request_to_judge(tmp_path, [{**rows[0], column: "1.0"}, {**rows[1], column: "Doe^Jane"}, *rows[2:]])
    with pytest.raises(BadTable, match="2 values of grade in truth or predicted are none of 0, 1, 2, 3") as error:
        evaluate(order)
    assert "Doe" not in str(error.value) and not Path(order.out).exists()


def test_the_package_s_scorer_is_judged_by_the_joints_that_it_learnt() -> None:
    bundles = read_bundles(NAME, studies.find("svdh_scoring"))
    assert set(common_sites(bundles)) == set(FINGER_JOINTS), "not by the wrist, of which it says nothing in score"
