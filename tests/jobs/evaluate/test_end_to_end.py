"""Films in, scores out: places come from models alone, and a joint that was not placed is an error."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.learning.judging.end_to_end import end_to_end_figures, end_to_end_totals, placed_shares
from rajobs.learning.judging.review import judge_review
from rajobs.learning.recipe import replace, to_toml
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import LABELS
from tests.jobs.in_process import in_process

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]
PLACE = ("image_id", "side", "site", "target")
SMALL = {
    "view.size": 32, "members.settings.width": 4, "members.settings.stages": 3, "training.epochs": 1,
    "training.copies": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hardly trained model of joints and one of hands."""
    out = tmp_path_factory.mktemp("joints and hands")
    with in_process():
        for name in ("svdh_scoring", "ra_staging"):
            recipe = studies.find(name).recipe("default")
            for setting, value in SMALL.items():
                recipe = replace(recipe, setting, value)
            (out / f"{name}.toml").write_text(to_toml(recipe))
            main(["train", name, str(data), str(out), "--recipe", str(out / f"{name}.toml")])
    return str(out)


def without_places(data: Path, place: Path) -> Path:
    """The same data, whose labels say nothing of places."""
    shutil.copytree(data, place, ignore=shutil.ignore_patterns("prepared", "located"))
    store = open_store(str(place))
    for key in list_parts(store, "labels"):
        rows = [row for row in read_part(store, key, LABELS).to_pylist() if row["study"] != "joint_detection"]
        store.put(key, to_parquet(LABELS.rows(rows), LABELS))
    return place


def probabilities(file: Path) -> dict[tuple[str, ...], list[float] | None]:
    """Each answer of a table, by image, side, site and target."""
    return {tuple(row[name] for name in PLACE): row["p"] for row in pq.read_table(file).to_pylist()}


def test_joints_are_judged_where_models_place_them(data: Path, models: str, tmp_path: Path) -> None:
    out = tmp_path / "judged"
    study = studies.find("svdh_scoring")
    page = evaluate(EvaluateRequest(study=study.name, data=str(data), models=models, out=str(out), end_to_end=True))
    predictions, table = (pq.read_table(out / f"{name}.parquet") for name in ("predictions", "end_to_end"))
    rows, by_labels = table.to_pylist(), {tuple(row[n] for n in PLACE): row for row in predictions.to_pylist()}
    labelled = {tuple(row[name] for name in PLACE): row for row in rows}
    assert {place for place in by_labels if not re.match("MTP|IP1", str(place[2]))} == labelled.keys()
    assert all(row["truth"] == by_labels[place]["truth"] for place, row in labelled.items())
    placed = [row for row in rows if row["predicted"] is not None]
    assert 0.7 < len(placed) / len(rows) <= 1, "the built-in finders see drawn hands"
    assert np.median([row["distance"] for row in placed]) < 0.5 and min(row["distance"] for row in placed) > 0
    assert all((row["p"] is None) == (row["predicted"] is None) == (row["confidence"] is None) for row in rows)
    assert all(row["extremity"] is not None for row in placed)
    assert any(row["p"] != by_labels[place]["p"] for place, row in labelled.items()), "another place, another patch"
    written = read_metrics(str(out))["end_to_end"]
    again = {
        "shares": [each.to_dict() for each in placed_shares(study, table)],
        "figures": [each.to_dict() for each in end_to_end_figures(study, predictions, table)],
        "totals": [each.to_dict() for each in end_to_end_totals(predictions, table)],
        "review": review.to_dict() if (review := judge_review(study, table, {})) else {},
    }
    assert json.loads(to_json(again)) == {name: written[name] for name in again}
    assert written["beyond"] == len(by_labels) - len(labelled), "feet are not looked for"
    assert written["taught"] == 0
    assert "End to end" in Path(page).read_text()


def test_what_labels_say_of_places_changes_nothing_and_hands_are_judged_too(
    data: Path, models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = without_places(data, tmp_path / "silent")
    tables = []
    for number, place in enumerate((data, silent)):
        out = tmp_path / str(number)
        evaluate(EvaluateRequest(study="ra_staging", data=str(place), models=models, out=str(out), end_to_end=True))
        assert "placed of" in capsys.readouterr().out
        tables.append(probabilities(out / "end_to_end.parquet"))
    assert read_metrics(str(tmp_path / "1"))["end_to_end"]["shares"][0].get("near") is None
    assert tables[0] == tables[1] and any(p is not None for p in tables[0].values())
    answered = probabilities(tmp_path / "1" / "predictions.parquet")
    assert answered == {place: p for place, p in tables[1].items() if p is not None}, "models place them in both"
