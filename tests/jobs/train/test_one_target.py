"""Data and recipes that know one of a study's two targets, from train to score, without Ray."""

from pathlib import Path

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.coding import encode, preview
from rajobs.jobs.evaluate import job as evaluate_job
from rajobs.jobs.evaluate.job import read_metrics
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.worker import ScoreWorker
from rajobs.jobs.train import job as train_job
from rajobs.learning.bundle_description import Figures, find_bundles, read_description
from rajobs.learning.recipe import Member, Recipe, Training, to_toml
from rajobs.learning.samples.prepared import prepare
from rajobs.learning.voting_models import list_bundles
from rajobs.records.errors import DataError
from rajobs.records.manifest import to_json
from rajobs.records.scan_grades import FLOW, GREY
from rajobs.records.store import lease, open_store
from rajobs.records.tables.parquet_parts import read_table, to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS, ULTRASOUND

STUDY = studies.find("ultrasound_grading")
VIEW = {"size": 16, "fit": "pad"}
PARTS = ("train",) * 8 + ("validation",) * 4 + ("test",) * 4
KEY = "images/part-0.parquet"


def member(name: str, *targets: str) -> Member:
    return Member(name=name, architecture="compact", settings={"width": 4, "stages": 2}, targets=targets)


def recipe(path: Path, *members: Member) -> str:
    path.write_text(to_toml(Recipe(view=VIEW, members=members, training=Training(epochs=1))))
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Scans of which readers told the flow alone, as in 002, a patient each."""
    place = str(tmp_path_factory.mktemp("flow") / "data")
    store, rng = open_store(place), np.random.default_rng(0)
    images, labels = [], []
    for number, part in enumerate(PARTS):
        pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        images.append({
            "image_id": f"i{number}", "patient": f"p{number}", "frame": 0, "modality": "US", "rows": 24, "columns": 24,
            "bits": 8, "doppler": True, "preview": preview(pixels, None), "pixels": encode(pixels),
        })  # fmt: skip
        labels.append({
            "image_id": f"i{number}", "study": STUDY.name, "target": FLOW, "value": str(number % 4), "reader": "truth",
            "split": part,
        })  # fmt: skip
    store.put(KEY, to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    prepare(store, KEY, STUDY, VIEW, {})
    return place


def taught(data: str, out: str, file: str) -> Figures:
    """The validation figures of a bundle that is trained now."""
    place = train_job.train(train_job.TrainRequest(study=STUDY.name, data=data, out=out, recipe=file))
    return read_description(open_store(out), place.removeprefix(f"{out}/")).validation


@pytest.mark.slow
def test_a_recipe_for_one_target_is_trained_judged_and_scored_alone_and_beside_one_for_both(
    data: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "models")
    alone = taught(data, out, recipe(tmp_path / "one.toml", member("flow", FLOW)))
    assert "grade.qwk" in alone and {name.partition(".")[0] for name in alone} == {FLOW}
    page = evaluate_job.evaluate(
        evaluate_job.EvaluateRequest(study=STUDY.name, data=data, models=out, out=str(tmp_path / "judged"))
    )
    assert Path(page).exists() and set(read_metrics(str(tmp_path / "judged"))["figures"]) == set(alone)
    nobody = {name: [] for name in ScoreSteps.of_all_studies().names}
    ScoreWorker(data, str(tmp_path / "tables"), {**nobody, STUDY.name: list_bundles(out, STUDY.name)}, 1)({"key": KEY})
    scans = read_table(open_store(str(tmp_path / "tables")), "ultrasound", ULTRASOUND).to_pylist()
    assert all(row[FLOW] is not None and row[GREY] is None and row[f"{GREY}_p"] is None for row in scans) and scans
    taught(data, out, recipe(tmp_path / "both.toml", member("both")))
    evaluate_job.evaluate(
        evaluate_job.EvaluateRequest(study=STUDY.name, data=data, models=out, out=str(tmp_path / "together"))
    )
    together = read_metrics(str(tmp_path / "together"))
    assert len(together["bundles"]) == 2 and set(together["figures"]) == set(alone)


def test_a_member_without_a_labelled_row_is_named_before_any_is_trained(data: str, tmp_path: Path) -> None:
    file = recipe(tmp_path / "two.toml", member("flow", FLOW), member("grey", GREY))
    with pytest.raises(DataError, match=r"^member grey has no row with a label grey_grade to learn from; label some"):
        train_job.train(train_job.TrainRequest(study=STUDY.name, data=data, out=str(tmp_path / "models"), recipe=file))
    assert not find_bundles(open_store(str(tmp_path / "models")), STUDY.name)
    left = [entry.key for entry in open_store(str(tmp_path / "models")).list(f"{STUDY.name}/")]
    assert all(f"/{lease.FOLDER}/" in key for key in left), "no checkpoint: nothing was trained"


def test_a_study_asked_for_one_target_has_a_headline_of_it() -> None:
    grey = STUDY.for_recipe(Recipe(members=(member("grey", GREY),)))
    assert [target.name for target in grey.targets] == [GREY] and grey.headline == "grey_grade.qwk" and not grey.rules
    assert STUDY.for_recipe(Recipe(members=(member("flow", FLOW),))).headline == STUDY.headline
    assert STUDY.for_recipe(STUDY.recipe("default")) is STUDY, "it answers both"
    assert [target.name for target in STUDY.for_recipe(STUDY.recipe("published")).targets] == [FLOW], "002 has no other"
