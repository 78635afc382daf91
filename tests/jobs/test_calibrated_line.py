"""A scorer whose validation part has enough patients: its calibration goes through train, evaluate and score."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from rajobs import studies
from rajobs.imaging.coding import encode, preview
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.jobs.evaluate.predictions import figures_of
from rajobs.jobs.score.bundle_columns import joint_calibration
from rajobs.jobs.score.job import ScoreRequest, score
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.tables import gather
from rajobs.jobs.score.worker import ScoreWorker
from rajobs.jobs.train.job import TrainRequest, train
from rajobs.learning.bundle_description import read_description
from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.coverage import set_coverage, total_coverage
from rajobs.learning.judging.reliability import kind_agreement, total_agreement
from rajobs.learning.judging.review import SCALES, expected_at, judge_review
from rajobs.learning.judging.trial_facts import judge_for_trials
from rajobs.learning.reader_agreement import compare_readers
from rajobs.learning.recipe import Member, Recipe, Training, to_toml
from rajobs.learning.voting_models import list_bundles
from rajobs.records.errors import WrongOutput
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.store.lease import Fence
from rajobs.records.tables.parquet_parts import read_table, to_parquet
from rajobs.records.tables.schemas import CHANGES, EXTREMITIES, IMAGES, JOINTS, LABELS, VISITS
from tests.jobs.in_process import in_process

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

STUDY = studies.find("svdh_scoring")
SITES = {"MCP2": (20, 40), "MCP3": (40, 40), "PIP2": (20, 16), "PIP3": (40, 16)}
KEY = "images/part-0.parquet"
PARTS = ("train",) * 10 + ("validation",) * 12 + ("test",) * 12
MAKERS, BLURRED = ("Agfa", "Philips", "SIEMENS"), "SIEMENS"
VISIT_DAYS = (date(2012, 5, 1), date(2013, 5, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Films of left hands at two visits, at the first one twice; a joint is the darker, the higher its scores are.

    Readers are one step off at times. The films of one maker are blurred where models are judged.
    """
    place = str(tmp_path_factory.mktemp("films") / "data")
    store, rng = open_store(place), np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for number, part in enumerate(PARTS):
        scores = {day: dict(zip(SITES, rng.integers(0, 5, len(SITES)).tolist(), strict=True)) for day in VISIT_DAYS}
        for film, day in enumerate((VISIT_DAYS[0], *VISIT_DAYS)):
            name, pixels = f"i{number} {film}", rng.integers(120, 160, (60, 60), dtype=np.uint8)
            for site, (x, y) in SITES.items():
                score = scores[day][site]
                pixels[y - 6 : y + 7, x - 6 : x + 7] -= np.uint8(20 * score)
                values = [("joint_detection", "x", x, "truth"), ("joint_detection", "y", y, "truth")]
                for reader in ("truth", "anna", "bert"):
                    near = score if reader == "truth" else int(np.clip(score + rng.integers(-1, 2), 0, 4))
                    values += [("svdh_scoring", target, near, reader) for target in ("jsn", "erosion")]
                labels += [
                    {
                        "image_id": name, "side": "L", "study": study, "target": target, "site": site,
                        "value": str(value), "reader": reader, "split": part,
                    }
                    for study, target, value, reader in values
                ]  # fmt: skip
            maker = MAKERS[(number + film) % len(MAKERS)]
            if (part, maker) == ("test", BLURRED):
                pixels = cv2.blur(pixels, (45, 45))
            images.append({
                "image_id": name, "patient": f"p{number}", "visit_date": day, "frame": 0, "modality": "DX", "rows": 60,
                "columns": 60, "bits": 8, "doppler": False, "spacing_mm": 0.2, "preview": preview(pixels, None),
                "pixels": encode(pixels), "manufacturer": maker, "sex": "FM"[number % 2], "age_years": 20 + number,
                "centre": ("basel", "bern")[number % 3 // 2],
            })  # fmt: skip
    store.put(KEY, to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    counts = {"objects": len(images), "images": len(images), "frames": len(images), "rejects": {}, "ignored": {}}
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k", "counts": counts}))
    return place


def train_small(data: str, out: Path, **more: Any) -> str:
    """A small model of JSN and erosion; `more`: of its recipe."""
    small = Member(
        name="joints", architecture="compact", settings={"width": 4, "stages": 2}, targets=("jsn", "erosion")
    )
    recipe = Recipe(view={"size": 16}, members=(small,), **more)
    (out / "small.toml").write_text(to_toml(recipe))
    with in_process():
        train(TrainRequest(study=STUDY.name, data=data, out=str(out / "models"), recipe=str(out / "small.toml")))
    return str(out / "models")


@pytest.fixture(scope="module")
def models(data: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    training = Training(epochs=8, batch_size=16, learning_rate=1e-2)
    return train_small(data, tmp_path_factory.mktemp("calibrated"), training=training)


@pytest.fixture(scope="module")
def calibration(models: str) -> Calibration:
    ((_, folder),) = list_bundles(models, STUDY.name)
    return read_description(open_store(models), folder).calibration


def test_train_keeps_what_validation_says_in_the_bundle(calibration: Calibration) -> None:
    assert calibration.thresholds.keys() == calibration.least_p.keys() == {"jsn", "erosion"}
    assert {kind for of_target in calibration.least_p.values() for kind in of_target} == {"MCP", "PIP"}
    assert calibration.widths.keys() == {"hand"} and calibration.widths["hand"].keys() == {"jsn", "erosion", "svdh"}


def test_every_figure_follows_from_the_predictions_file_alone(data: str, models: str, tmp_path: Path) -> None:
    out = str(tmp_path / "judged")
    page = evaluate(EvaluateRequest(study=STUDY.name, data=data, models=models, out=out, review_error=0.5))
    table = pq.read_table(tmp_path / "judged" / "predictions.parquet")
    calibration = Calibration.from_json(json.loads(table.schema.metadata[b"calibration"]))
    written = read_metrics(out)
    again = {
        "figures": figures_of(STUDY, table, calibration),
        "sets": [each.to_dict() for each in set_coverage(STUDY, table, calibration)],
        "kinds": [each.to_dict() for each in kind_agreement(STUDY, table)],
        "agreement": [each.to_dict() for each in total_agreement(table)],
        "totals": [each.to_dict() for each in total_coverage(table, calibration)],
        "readers": [each.to_dict() for each in compare_readers(STUDY, table)],
        **judge_for_trials(STUDY, table, calibration).to_dict(),
        "review": review.to_dict() if (review := judge_review(STUDY, table, calibration.review, 0.5)) else {},
    }
    assert json.loads(to_json(again)) == {name: written[name] for name in again}
    assert "jsn.specificity_at_90" in written["figures"] and len(again["sets"]) == 4 and len(again["totals"]) == 3
    assert {(each["repeats"], each["checked"]) for each in again["detectable"]} == {(12, 12)}
    assert [each["patients"] for each in again["changes"]] == [12] * 3 and "beyond" in again["changes"][0]
    assert {each["patients"] for each in again["totals"]} == {12}
    assert {(each["who"], each["against"]) for each in again["reader_totals"]} == {
        ("model", "readers' mean"), ("model", "anna"), ("model", "bert"), ("anna", "bert"),
    }  # fmt: skip
    text = Path(page).read_text()
    assert "Intervals of expected totals" in text and f"Worse than the rest: maker {BLURRED}" in text


def test_score_fills_sets_expected_totals_and_changes(
    data: str, models: str, calibration: Calibration, tmp_path: Path
) -> None:
    steps, out = ScoreSteps.of_all_studies(), str(tmp_path / "tables")
    bundles = {name: list_bundles(models, name) for name in steps.names}
    ScoreWorker(data, out, bundles, 1)({"key": KEY})
    precision = joint_calibration(steps, bundles).precision
    assert precision == calibration.precision
    store = open_store(out)
    counts = gather(open_store(data), Fence(store, 1), steps, {}, precision).rows
    joints = read_table(store, "joints", JOINTS).to_pylist()
    scored = [joint for joint in joints if joint["jsn"] is not None]
    assert {joint["site"] for joint in scored} == set(SITES)
    assert all(joint["jsn"] in joint["jsn_set"] and joint["erosion"] in joint["erosion_set"] for joint in scored)
    hands = read_table(store, "extremities", EXTREMITIES).to_pylist()
    assert all(hand["svdh_expected_low"] <= hand["svdh_expected"] <= hand["svdh_expected_high"] for hand in hands)
    expected = sum(np.arange(5) @ joint["jsn_p"] for joint in scored if joint["image_id"] == hands[0]["image_id"])
    assert hands[0]["jsn_expected"] == pytest.approx(expected, abs=1e-4)
    visits, changes = (read_table(store, name, schema) for name, schema in (("visits", VISITS), ("changes", CHANGES)))
    assert counts["changes"] == changes.num_rows and counts["visits"] == visits.num_rows == 2 * len(PARTS)
    totals = {(row["patient"], row["visit_date"]): row["svdh_total"] for row in visits.to_pylist()}
    of_patients = [
        row for row in changes.to_pylist() if (row["part"], row["measure"], row["since"]) == ("all", "svdh", "first")
    ]
    assert len(of_patients) == len(PARTS)
    for row in of_patients:
        first, last = (totals[row["patient"], day] for day in VISIT_DAYS)
        assert row["change"] == last - first and row["sites"] == 8, "all are scored at both"
        assert row["expected_change_low"] < row["expected_change"] < row["expected_change_high"]
        assert row["beyond_detectable"] == (abs(row["expected_change"]) > row["detectable_change"])


def test_a_recipe_leaves_each_centre_out_and_the_bundle_says_how_it_went_there(data: str, tmp_path: Path) -> None:
    place = train_small(data, tmp_path, training=Training(epochs=1), folds="centre")
    ((_, folder),) = list_bundles(place, STUDY.name)
    description = read_description(open_store(place), folder)
    left_out = [name for name in description.validation if "left out" in name]
    assert left_out == ["erosion.qwk, basel left out", "erosion.qwk, bern left out"]
    assert len(description.members["joints"]) == 2


def test_an_error_that_the_user_names_decides_which_hands_score_sends_to_review(
    data: str, models: str, calibration: Calibration, tmp_path: Path
) -> None:
    doubts = {}
    for asked, words in (
        (None, "What to expect of this queue: on the models"), (1e-6, "every hand with any doubt is here"),
        (4.0, f"thresholds of doubt are {SCALES[-1]:.2f} times as documented"),
    ):  # fmt: skip
        out = str(tmp_path / str(asked))
        page = Path(score(ScoreRequest(data=data, models=models, out=out, review_error=asked))).read_text()
        assert words in page and "What to expect of this queue" in page
        hands = read_table(open_store(out), "extremities", EXTREMITIES).to_pylist()
        doubts[asked] = {hand["image_id"]: set(hand["doubt_reasons"]) for hand in hands}
    assert expected_at(calibration.review, SCALES[-1]).caught == 0
    for name, documented in doubts[None].items():
        assert doubts[4.0][name] == set() and "joints missing" in documented
        assert documented <= doubts[1e-6][name] and "scores unsure" in doubts[1e-6][name]
    with pytest.raises(WrongOutput, match="review_error"):
        score(ScoreRequest(data=data, models=models, out=str(tmp_path / "None"), review_error=1.0))
