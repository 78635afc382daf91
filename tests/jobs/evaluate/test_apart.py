"""evaluate --apart: every model of a study judged alone, clean beside published, on rows that none has learnt from."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.learning.recipe import replace, to_toml
from rajobs.records.errors import UsageError
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_file, to_parquet
from rajobs.records.tables.schemas import SPLIT
from tests.jobs.evaluate.test_end_to_end import SMALL
from tests.jobs.in_process import in_process

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]
NAME = "svdh_scoring"


@pytest.fixture(scope="module")
def place(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with a published split, which judges by one patient more, and a model of each mode."""
    out = tmp_path_factory.mktemp("apart")
    shutil.copytree(data, out / "data", ignore=shutil.ignore_patterns("splits", "located"))
    recipe = studies.find(NAME).recipe("default")
    for setting, value in {**SMALL, "sites": ["MCP2", "PIP2", "PIP3"]}.items():
        recipe = replace(recipe, setting, value)
    (out / "small.toml").write_text(to_toml(recipe))
    train = ["train", NAME, str(out / "data"), str(out / "models"), "--recipe", str(out / "small.toml")]
    with in_process():
        main(train)
        store = open_store(str(out / "data"))
        rows = read_file(store, f"splits/{NAME}.parquet", SPLIT).to_pylist()
        moved = next(row["group"] for row in rows if row["split"] == "train")
        rows = [{**row, "split": "test" if row["group"] == moved else row["split"]} for row in rows]
        store.put(f"splits/{NAME}-published.parquet", to_parquet(SPLIT.rows(rows), SPLIT))
        main([*train, "--mode", "published"])
    return out


def test_each_model_is_judged_alone_and_pairs_are_compared_on_equal_rows(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "judged"
    main(["evaluate", NAME, str(place / "data"), str(place / "models"), str(out), "--apart"])
    written = read_metrics(str(out))
    tables = {path.stem.partition("-")[2]: pq.read_table(path) for path in out.glob("predictions-*.parquet")}
    assert set(tables) == set(written["bundles"]) and len(tables) == 2
    assert all(set(table.column("site").to_pylist()) == {"MCP2", "PIP2", "PIP3"} for table in tables.values())
    patients = [set(tables[name].column("patient").to_pylist()) for name in written["bundles"]]
    assert len(patients[1] - patients[0]) == 1 and patients[0] < patients[1], "clean first"
    accuracy = next(each for each in written["measured"] if (each["target"], each["metric"]) == ("jsn", "accuracy"))
    assert accuracy["own_rows"][0] == accuracy["shared_rows"] < accuracy["own_rows"][1]
    one, other = (figure["value"] for figure in accuracy["shared"])
    assert accuracy["lead"][1]["value"] == pytest.approx(other - one)
    (pair,) = written["modes"]
    assert [pair["clean"], pair["published"]] == written["bundles"]
    page = (out / "report.html").read_text()
    assert "Clean beside published" in page and "models side by side" in page


def test_the_same_again_does_nothing_and_what_cannot_be_set_apart_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, models = str(place / "data"), str(place / "models")
    request = {"study": NAME, "data": data, "models": models, "out": str(tmp_path / "out"), "apart": True}
    evaluate(EvaluateRequest(**request))
    capsys.readouterr()
    evaluate(EvaluateRequest(**request))
    assert "nothing to do" in capsys.readouterr().out
    for more in ({"mode": "published"}, {"end_to_end": True}, {"review_error": 0.3}):
        with pytest.raises(UsageError, match="leave --mode, --end-to-end, --predictions and --review-error out"):
            evaluate(EvaluateRequest(**{**request, **more}))
    one = tmp_path / "one"
    folder = next(path for path in (place / "models" / NAME).iterdir() if json.loads(
        (path / "bundle.json").read_text())["mode"] == "clean")  # fmt: skip
    shutil.copytree(folder, one / NAME / folder.name)
    with pytest.raises(UsageError, match="--apart compares several models of svdh_scoring"):
        evaluate(EvaluateRequest(**{**request, "models": str(one), "out": str(tmp_path / "alone")}))
