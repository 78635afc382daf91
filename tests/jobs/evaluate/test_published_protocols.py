"""What 003 and 002 did, on a few drawn squares: train and evaluate in published mode say what the papers print."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.coding import encode, preview
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.jobs.train.job import TrainRequest, train
from rajobs.learning.recipe import Recipe, to_toml
from rajobs.records.errors import BadRecipe
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]
SIDE = 40
Place = tuple[str, str, dict[str, str], str | None]
"""Image, part of the split, what each reader says, and the image that it derives from."""


def put_data(place: Path, study: str, target: str, modality: str, rows: list[Place]) -> str:
    """Ingested squares, whose brightness follows their first reading's number."""
    values = sorted({value for _, _, read, _ in rows for value in read.values()})
    images, labels = [], []
    for number, (name, part, read, source) in enumerate(rows):
        bright = 30 + 50 * values.index(next(iter(read.values())))
        pixels = np.random.default_rng(number).integers(0, 20, (SIDE, SIDE, 3), dtype=np.uint8) + np.uint8(bright)
        pixels = pixels if modality == "US" else pixels[..., 0].copy()
        images.append({
            "image_id": name, "patient": f"p{number}", "derived_from": source, "frame": 0, "modality": modality,
            "rows": SIDE, "columns": SIDE, "bits": 8, "doppler": modality == "US",
            "preview": preview(pixels, None), "pixels": encode(pixels),
        })  # fmt: skip
        labels += [
            {"image_id": name, "study": study, "target": target, "value": value, "reader": reader, "split": part}
            for reader, value in read.items()
        ]
    store = open_store(str(place))
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    return str(place)


def run(study: str, data: str, recipe: Recipe, place: Path, mode: str = "published") -> None:
    file = place / "recipe.toml"
    file.write_text(to_toml(recipe))
    train(TrainRequest(study=study, data=data, out=str(place / "models"), recipe=str(file), weights="none", mode=mode))


def judged(study: str, data: str, place: Path) -> tuple[dict, str]:
    """metrics.json and the page."""
    out = str(place / "judged")
    page = evaluate(EvaluateRequest(study=study, data=data, models=str(place / "models"), out=out, mode="published"))
    return dict(read_metrics(out)), Path(page).read_text()


def test_003_s_two_networks_are_judged_alone_and_the_cut_after_copying_has_a_price(tmp_path: Path) -> None:
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    rows: list[Place] = [
        (f"{view}{number}", part, {"truth": view}, None)
        for view in ("unilateral", "both", "foot", "other")
        for number, part in enumerate(parts)
    ]
    data = put_data(tmp_path / "data", "hand_filter", "view", "DX", rows)
    published = studies.find("hand_filter").recipe("published")
    small = tuple(replace(each, settings={"head": "pool", "hidden": 8}) for each in published.members)
    recipe = replace(published, members=small, view={"size": 16, "fit": "bilinear"})
    recipe = replace(recipe, training=replace(recipe.training, epochs=2, batch_size=16, learning_rate=1e-3))
    after = replace(recipe, training=replace(recipe.training, validation_cut="after"))
    with pytest.raises(BadRecipe, match="a leak, for --mode published alone"):
        run("hand_filter", data, after, tmp_path, mode="clean")
    for each in (recipe, after):
        run("hand_filter", data, each, tmp_path)
    metrics, page = judged("hand_filter", data, tmp_path)
    assert [(each["member"], each["rows"], each["cut_after"]) for each in metrics["members"]] in (
        [("m1", 8, cut) if m == "m1" else ("m2", 6, cut) for cut in order for m in ("m1", "m2")]
        for order in ((False, True), (True, False))
    ), "M2 is never asked about a unilateral hand"
    assert all(0 <= each["validated"]["value"] <= 1 for each in metrics["members"])
    assert set(metrics["classes"]["view"]) == {"unilateral", "both", "other"}, "the paper has three classes"
    assert metrics["classes"]["view"]["other"]["rows"] == 4
    assert "a leak: cut after copying" in page and "unilateral and both+foot+other" in page
    assert metrics["figures"]["view.accuracy"] == metrics["figures"]["view.accuracy_as_printed"]


def test_002_s_trials_raters_folds_and_leak_are_shown(tmp_path: Path) -> None:
    drawings: list[Place] = [
        (f"d{grade}{number}", part, {"truth": str(grade)}, None)
        for grade in range(4)
        for number, part in enumerate(["train"] * 4 + ["validation"])
    ]
    scans: list[Place] = [
        (f"s{grade}{number}", "test", {"kk": str(grade), "th": str(grade)}, None)
        for grade in range(4)
        for number in range(3)
    ]
    scans[3] = ("s10", "test", {"kk": "1", "th": "2", "yfuj": "1"}, None)  # two of three agree
    scans[4] = ("s11", "test", {"kk": "1", "th": "2", "yfuj": "3"}, None)  # each says another grade: left out
    scans[5] = ("s12", "test", {"kk": "1", "th": "2"}, None)  # the third has not looked yet: left out
    like: list[Place] = [(f"like{number}", "train", {"truth": "1"}, "s10") for number in range(5)]
    data = put_data(tmp_path / "data", "ultrasound_grading", "grade", "US", [*drawings, *scans, *like])
    published = studies.find("ultrasound_grading").recipe("published")
    assert published.training.validate_every == 30 and published.members[0].head_dropout == 0.3
    small = tuple(
        replace(each, architecture="compact", settings={"width": 4, "stages": 2}, weights="none")
        for each in published.members
    )
    training = replace(published.training, epochs=2, batch_size=4, validate_every=3, learning_rate=1e-2)
    recipe = replace(published, members=small, view={"size": 16, "fit": "stretch"}, training=training)
    run("ultrasound_grading", data, recipe, tmp_path)
    metrics, page = judged("ultrasound_grading", data, tmp_path)
    assert [each["member"] for each in metrics["members"]] == ["trial1", "trial2", "trial3"]
    assert all(each["rows"] == 10 and "kappa_linear" in each["figures"] for each in metrics["members"])
    assert set(metrics["classes"]["grade"]["1"]) == {
        "rows", "accuracy", "precision", "sensitivity", "f1", "specificity", "one_point_auc",
    }  # fmt: skip
    (raters,) = (each for each in metrics["raters"] if each["target"] == "grade")
    assert {name: raters[name] for name in ("read", "differ", "third", "left_out")} == {
        "read": 12, "differ": 3, "third": 2, "left_out": 2,
    }  # fmt: skip
    assert raters["agreement"]["rows"] == 12 and raters["agreement"]["figures"]["accuracy"]["value"] == 9 / 12
    assert metrics["seeded"]["images"] == 1 and metrics["seeded"]["drawings"] == 5
    assert "What the leak is worth" in page and "Raters" in page
    second = page[page.index("Linear kappa, second model") :][:200]
    first = page[page.index("Linear kappa, first model") :][:200]
    assert "–" in first and "–" not in second[: second.index("</tr>") - 30], "what is judged is the second model"
    folded = replace(recipe, members=small[:1], combine="mean", folds=5)
    run("ultrasound_grading", data, folded, tmp_path / "models")
    _, page = judged("ultrasound_grading", data, tmp_path / "models")
    row = page[page.index("Five fold accuracy on 875 drawings") :]
    assert row[: row.index("</tr>")].count("–") == 0, "the folds' accuracy stands beside the printed one"
