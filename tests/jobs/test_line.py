"""The line on one small cohort, each job through its command line: what it writes, keeps, and does a second time."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.jobs.train.dataset import open_labelled_data
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.recipe import replace, to_toml
from rajobs.phantoms.packaging.canaries import canaries, leaks
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import open_store
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import read_table
from tests.jobs.conftest import PATIENTS, ingest_arguments
from tests.jobs.in_process import KEY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


def fates(data: Path) -> dict[str, tuple[str, str]]:
    """Each object's path and fate, through the ledger."""
    store, ledger = open_store(str(data)), open_store(str(data.parent / "ledger"))
    path = {row["source"]: row["path"] for row in read_table(ledger, "crosswalk", schemas.CROSSWALK).to_pylist()}
    fate_by_path = {
        path[row["source"]]: ("images", "") for row in read_table(store, "places", schemas.OBJECT_PLACES).to_pylist()
    }
    for table in (schemas.REJECTS, schemas.IGNORED):
        for row in read_table(store, table.name, table).to_pylist():
            assert path[row["source"]] not in fate_by_path, "an object has two fates"
            fate_by_path[path[row["source"]]] = (table.name, row["reason"])
    return fate_by_path


def test_every_file_ends_where_it_must(data: Path, phantom: Path) -> None:
    with (phantom / "expected.csv").open() as file:
        expected = {row["object"]: (row["fate"], row["reason"]) for row in csv.DictReader(file)}
    # Of two copies either may be the one that is kept: the counts decide, not which is which.
    copies = {path for path, fate in expected.items() if fate == ("ignored", "duplicate")}
    fate_by_path = fates(data)
    assert fate_by_path.keys() == expected.keys()
    assert Counter(fate_by_path.values()) == Counter(expected.values())
    wrong = {path: (fate_by_path[path], fate) for path, fate in expected.items() if fate_by_path[path] != fate}
    duplicated = [
        path for path, (one, other) in wrong.items() if {one, other} != {("images", ""), ("ignored", "duplicate")}
    ]
    assert not duplicated
    assert len(wrong) <= 2 * len(copies)
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["counts"]["objects"] == len(expected)


def test_nothing_of_an_identity_is_left(data: Path, models: Path, phantom: Path) -> None:
    words = canaries(seed=0, patients=json.loads((phantom / "phantom.json").read_text())["counts"]["people"])
    planted = b"".join(file.read_bytes() for file in sorted((phantom / "archives").rglob("*.tar")))
    assert leaks(planted, words), "the search finds what is there"
    files = [(file, file.relative_to(place.parent)) for place in (data, models) for file in place.rglob("*")]
    for file, name in files:
        if file.is_file():
            # Parquet may compress text: what it holds is looked at, too.
            text = b"" if file.suffix != ".parquet" else repr(_text(file)).encode()
            assert not leaks(file.read_bytes() + text + str(name).encode(), words)
    assert KEY.encode() not in (data / "run.json").read_bytes() + (data / "manifest.json").read_bytes()


def _text(file: Path) -> dict[str, list[object]]:
    table = pq.read_table(file)
    return {name: table[name].to_pylist() for name in table.column_names if name not in ("pixels", "preview")}


def test_the_clinic_has_the_films_patients(data: Path) -> None:
    store = open_store(str(data))
    clinic = read_table(store, "clinic", schemas.CLINIC)
    images = read_table(store, "images", schemas.IMAGES, ["image_id", "patient", "visit_date"])
    visits = {(row["patient"], row["visit_date"]) for row in images.to_pylist()}
    assert clinic.num_rows > 0
    assert {(row["patient"], row["visit_date"]) for row in clinic.to_pylist()} & visits, "dates shift together"
    assert set(clinic.column("patient").to_pylist()) <= set(images.column("patient").to_pylist())


def test_ingest_again_does_nothing_and_elsewhere_gives_the_same_bytes(
    data: Path, phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.stat().st_mtime_ns for file in data.rglob("*") if file.is_file()}
    main(ingest_arguments(phantom, str(data), str(data.parent / "ledger")))
    assert "nothing to do" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in before} == before
    other = tmp_path / "other"
    main(ingest_arguments(phantom, str(other), str(tmp_path / "ledger")))
    later = ("prepared", "splits", "located")  # made by train, evaluate and sheet
    same = {file.relative_to(data) for file in before if file.relative_to(data).parts[0] not in later}
    assert {file.relative_to(other) for file in other.rglob("*") if file.is_file()} == same
    assert all((data / file).read_bytes() == (other / file).read_bytes() for file in same)


def test_a_source_that_grows_adds_what_is_new(phantom: Path, tmp_path: Path) -> None:
    archives = sorted((phantom / "archives").glob("*.zip"))
    source, out = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    (source / "a.zip").write_bytes(archives[0].read_bytes())
    main(["ingest", str(source), str(out), "--max-rejects", "1"])
    first = {file: file.stat().st_mtime_ns for file in (out / "shards").iterdir()}
    (source / "b.zip").write_bytes(archives[1].read_bytes())
    (source / "again.zip").write_bytes(archives[0].read_bytes())
    main(["ingest", str(source), str(out), "--max-rejects", "1"])
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    images = read_table(open_store(str(out)), "images", schemas.IMAGES, ["image_id"])
    assert counts["frames"] == images.num_rows == len(set(images.column("image_id").to_pylist()))
    assert counts["ignored"]["duplicate"] > 0
    assert len(list((out / "shards").iterdir())) > len(first)


def test_train_again_does_nothing(data: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle,) = (models / "hand_filter").iterdir()
    assert {file.name for file in bundle.iterdir()} == {
        "bundle.json", "card.md", "history.parquet", "lease", "weights-views.safetensors",
    }  # fmt: skip
    main(["train", "hand_filter", str(data), str(models), "--budget", "0.1"])
    assert "nothing to do" in capsys.readouterr().out
    assert json.loads((bundle / "bundle.json").read_text())["budget"] == 0.1


def test_a_patient_stands_in_one_part_whichever_study_asks(data: Path, models: Path) -> None:
    patients = read_table(open_store(str(data)), "images", schemas.IMAGES, ["image_id", "patient"]).to_pylist()
    patient_of = {row["image_id"]: row["patient"] for row in patients}
    parts: dict[str, set[str]] = {}
    for name in ("hand_filter", "svdh_scoring", "ra_staging"):
        split, _ = frozen_split(open_labelled_data(str(data), studies.find(name)), "clean")
        for row in split.to_pylist():
            parts.setdefault(patient_of[row["image_id"]], set()).add(row["split"])
    assert len(parts) == PATIENTS and {len(names) for names in parts.values()} == {1}


def test_with_folds_every_patient_but_the_test_part_s_validates(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = studies.find("hand_filter").recipe("default")
    for setting, value in (
        ("folds", 2), ("training.epochs", 2), ("training.copies", 1), ("view.size", 64), ("members.settings.stages", 4),
    ):  # fmt: skip
        recipe = replace(recipe, setting, value)
    (tmp_path / "folds.toml").write_text(to_toml(recipe))
    arguments = ["--recipe", str(tmp_path / "folds.toml")]
    main(["train", "hand_filter", str(data), str(tmp_path / "models"), *arguments])
    (bundle,) = (tmp_path / "models" / "hand_filter").iterdir()
    description = json.loads((bundle / "bundle.json").read_text())
    assert [network["file"] for network in description["members"]["views"]] == [
        "weights-views-1.safetensors", "weights-views-2.safetensors",
    ]  # fmt: skip
    history = pq.read_table(bundle / "history.parquet").to_pydict()
    assert list(zip(history["member"], history["epoch"])) == [
        ("views-1", 1), ("views-1", 2), ("views-2", 1), ("views-2", 2),
    ]  # fmt: skip
    assert description["learned"]["view"][""] == description["rows"]["train"] + description["rows"]["validation"]
    main(["evaluate", "hand_filter", str(data), str(tmp_path / "models"), str(tmp_path / "out")])
    assert "view.accuracy" in json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"]
    assert "folds = 5" not in capsys.readouterr().out, "the hint is for those who have none"


def test_evaluate_judges_patients_that_were_not_learnt_from(
    data: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "hand_filter", str(data), str(models), str(tmp_path / "out")]
    main(arguments)
    split = {row["image_id"]: row for row in pq.read_table(data / "splits" / "hand_filter.parquet").to_pylist()}
    asked = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    assert {split[row["image_id"]]["split"] for row in asked} == {"test"}
    learnt = {row["group"] for row in split.values() if row["split"] != "test"}
    assert not learnt & {row["patient"] for row in asked}
    assert "view.accuracy" in json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"]
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/png") >= 3
    capsys.readouterr()
    main(arguments)
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--mode", "published"])
    assert left.value.code in (1, 2)


def test_models_without_a_split_of_these_data_are_judged_by_all_rows_and_that_is_said(
    data: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(models, tmp_path / "foreign")
    (described,) = (tmp_path / "foreign").rglob("bundle.json")
    changed = {**json.loads(described.read_text()), "key": "another"}
    changed["hash"] = digest({name: value for name, value in changed.items() if name != "hash"})
    described.write_bytes(to_json(changed))
    for place, words in ((str(tmp_path / "foreign"), "cannot be known here"), ("builtin", "drawings alone")):
        out = tmp_path / f"out of {Path(place).name}"
        capsys.readouterr()
        main(["evaluate", "hand_filter", str(data), place, str(out)])
        output, figures = capsys.readouterr().out, json.loads((out / "metrics.json").read_text())
        assert words in output and words in figures["judges"] and words in (out / "report.html").read_text()
        assert "test part" not in output
        labels = read_table(open_store(str(data)), "labels", schemas.LABELS).to_pylist()
        labelled = {row["image_id"] for row in labels if row["target"] == "view"}
        assert set(pq.read_table(out / "predictions.parquet").column("image_id").to_pylist()) == labelled


def test_score_writes_tables_that_add_up(
    data: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["score", str(data), str(models), str(tmp_path)]
    main(arguments)
    store = open_store(str(tmp_path))
    films, ledger = read_table(store, "films", schemas.FILMS), read_table(store, "ledger", schemas.LEDGER)
    images = read_table(open_store(str(data)), "images", schemas.IMAGES, ["image_id", "modality"])
    assert sorted(ledger.column("image_id").to_pylist()) == sorted(images.column("image_id").to_pylist())
    scans = {row["image_id"] for row in images.to_pylist() if row["modality"] == "US"}
    assert scans == {row["image_id"] for row in ledger.to_pylist() if row["fate"] == "no-model"} != set()
    assert films.num_rows == ledger.num_rows - len(scans)
    fate_of = {row["image_id"]: row for row in ledger.to_pylist()}
    for row in films.to_pylist():
        assert sum(row[f"{view}_p"] for view in schemas.VIEWS) == pytest.approx(1, abs=1e-5)
        assert (row["fate"] == "kept") == (row["view"] in ("unilateral", "both"))
        fate = fate_of[row["image_id"]]
        expected = "no-hand" if row["fate"] == "no-hand" else "scored" if fate["joints"] else "no-joints"
        assert fate["fate"] == expected and bool(fate["extremities"]) == bool(fate["joints"])
    with (tmp_path / "films.csv").open() as file:
        assert len(list(csv.DictReader(file))) == films.num_rows
    assert (
        "Not a medical device" in (tmp_path / "report.html").read_text()
        or "not a medical device" in (tmp_path / "report.html").read_text()
    )
    capsys.readouterr()
    main(arguments)
    assert "nothing to do" in capsys.readouterr().out
