"""A paper's networks trained by one command, each with figures of its own, on hands that the paper's split deals."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rajobs import studies
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.jobs.train.job import TrainRequest, train
from rajobs.learning.recipe import Member, Recipe, Training, replace, to_toml, trials
from rajobs.phantoms.clinic.visits import ClinicRow, clinic_table, draw_published, variants
from rajobs.records.identity import Key
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table, to_parquet
from rajobs.records.tables.schemas import CLINIC, LABELS
from rajobs.records.user_tables import read_clinic
from tests.jobs.in_process import KEY

NAMES = ("alexnet", "vgg16")


def small(recipe: Recipe) -> Recipe:
    """The published recipe with small networks under the names of two of its own."""
    networks = [
        Member(name=name, architecture="compact", settings={"width": 2, "stages": 2}, ordered=False) for name in NAMES
    ]
    for setting, value in (("view.size", 32), ("training.epochs", 2), ("training.learning_rate", 1e-3)):
        recipe = replace(recipe, setting, value)
    return Recipe(**{**vars(recipe), "members": tuple(networks), "heavy": False})


def test_one_command_trains_all_five_architectures_of_001_and_each_is_compared_with_its_own_row() -> None:
    for name in ("ra_recognition", "ra_staging"):
        study = studies.find(name)
        recipe = study.recipe("published")
        networks = {member.name for member in recipe.members}
        assert networks == {"alexnet", "vgg16", "googlenet", "resnet50", "efficientnet_b2"}
        assert {printed.member for printed in study.printed_members} == networks and len(study.printed_members) == 25
        training = recipe.training
        assert (training.optimiser, training.batch_size, training.learning_rate) == ("adamw", 64, 1e-5)
        assert (training.weight_decay, training.epochs, training.keep) == (1e-2, 100, "last")
        assert any("ImageNet's weights are an assumption" in sentence for sentence in study.assumptions)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_published_run_without_a_validation_part_shows_each_network(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    copy.mkdir()
    for entry in data.iterdir():
        if entry.name in ("images", "manifest.json", "run.json"):
            (copy / entry.name).symlink_to(entry)
    rows = read_table(open_store(str(data)), "labels", LABELS).to_pylist()
    images = sorted({row["image_id"] for row in rows if row["target"] == "stage"})
    patient_of = {row["image_id"]: row["patient"] for row in pq.read_table(copy / "images").to_pylist()}
    ill = {row["image_id"]: row["value"] for row in rows if row["target"] == "ra" and row["image_id"] in images}
    of_class = [sorted({patient_of[name] for name, value in ill.items() if value == own}) for own in "01"]
    judging = {patients[0] for patients in of_class}  # one without RA and one with it
    for row in rows:
        if row["study"] in ("ra_staging", "ra_recognition"):
            row["split"] = "test" if patient_of[row["image_id"]] in judging else "train"
    open_store(str(copy)).put("labels/part-0.parquet", to_parquet(LABELS.rows(rows), LABELS))
    for name, target, measures in (
        ("ra_staging", "stage", ("auc", "tuned_accuracy", "tuned_sensitivity", "tuned_specificity", "tuned_f1")),
        ("ra_recognition", "ra", ("auc", "accuracy", "any_sensitivity", "any_specificity", "any_f1")),
    ):
        study, out = studies.find(name), tmp_path / name
        recipe = tmp_path / f"{name}.toml"
        recipe.write_text(to_toml(small(study.recipe("published"))))
        models = str(tmp_path / f"{name}-models")
        place = train(TrainRequest(study=name, data=str(copy), out=models, recipe=str(recipe), mode="published"))
        described = json.loads((Path(place) / "bundle.json").read_text())
        assert described["rows"]["validation"] == 0 < described["rows"]["test"] and described["best"] in NAMES
        page = Path(
            evaluate(EvaluateRequest(study=name, data=str(copy), models=models, out=str(out), mode="published"))
        )
        written = read_metrics(str(out))
        assert [member["member"] for member in written["members"]] == list(NAMES)
        assert all(set(measures) <= member["figures"].keys() for member in written["members"])
        assert {"qwk", "within_one", "accuracy"} <= written["members"][0]["figures"].keys() or target == "ra"
        figures = {path.name for path in (out / "figures").iterdir()}
        (model,) = {member["model"] for member in written["members"]}
        for member in NAMES:
            assert {f"{target}-map-{model}-{member}.png", f"{target}-confusion-{model}-{member}.png"} <= figures
        assert any(file.startswith(f"{target}-roc-judged-") for file in figures), "a curve by class"
        assert any(file.startswith("stage-roc-learnt-") for file in figures) or target == "ra", "of both parts"
        assert written["class_counts"].keys() == {"train", "test"}
        text = page.read_text()
        assert "That is a leak: the part that judges has chosen." in text and "an assumption" in text
        assert ("tuned on this very test part" in text) == (target == "stage")


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_000_s_trials_experts_probes_and_tables_are_on_its_page(tmp_path: Path) -> None:
    """249 patients with a variant each, an expert who errs now and then, and two small trials."""
    rows = [
        row
        for number, (_, drawn) in enumerate(draw_published(5))
        for row in variants(drawn, 2, np.random.default_rng(number))
    ]
    experts = [
        dataclasses.replace(row, reader="expert", values={}, ra_clinical=row.ra_clinical ^ (number % 20 == 0))
        for number, row in enumerate(rows)
        if row.derived_from is None
    ]
    (tmp_path / "clinic.csv").write_bytes(
        clinic_csv([dataclasses.replace(row, reader="truth") for row in rows], experts)
    )
    store = open_store(str(tmp_path / "data"))
    clinic = read_clinic(str(tmp_path / "clinic.csv"), Key(secret=KEY.encode()))
    store.put("clinic/part-0.parquet", to_parquet(clinic, CLINIC))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    study = studies.find("clinical_array")
    published = study.recipe("published")
    member = Member(name="alexnet-", architecture="conv2", settings={"width": 4, "hidden": 16}, ordered=False)
    recipe = dataclasses.replace(
        published, members=trials(member, 2), heavy=False, view={**published.view, "size": 32},
        training=Training(epochs=2, batch_size=32, learning_rate=1e-3, keep="last"),
    )  # fmt: skip
    (tmp_path / "small.toml").write_text(to_toml(recipe))
    data, models, out = (str(tmp_path / name) for name in ("data", "models", "out"))
    train(TrainRequest(study=study.name, data=data, out=models, recipe=str(tmp_path / "small.toml"), mode="published"))
    text = Path(
        evaluate(EvaluateRequest(study=study.name, data=data, models=models, out=out, mode="published"))
    ).read_text()
    written = read_metrics(out)
    assert [member["member"] for member in written["members"]] == ["alexnet-1", "alexnet-2"]
    assert all(member["rows"] == 50 and "kappa_unweighted" in member["figures"] for member in written["members"])
    changed = {probe["probe"]: np.sum(probe["counts"]) for probe in written["probes"]}
    assert sum(changed.values()) == 50 and len(changed) == 2, "each ACPA is positive or negative"
    assert {part: len(of) for part, of in written["characteristics"].items()} == {"test": 14, "train": 14}
    rf = written["characteristics"]["test"][0]
    assert rf["variable"] == "rf" and rf["rows"] == [40, 10] and 0 < rf["p"] < 1
    (expert,) = [each for each in written["readers"] if each["who"] == "model" and each["against"] != "reference"]
    assert expert["rows"] == 50 and "kappa_unweighted" in expert["figures"]
    for words in ("paper, table 3", "13 (0-236); 5 (0-313); P = 0.43", "ACPA shown as positive", "two leaks"):
        assert words in text, words


def clinic_csv(rows: Sequence[ClinicRow], experts: Sequence[ClinicRow]) -> bytes:
    """A clinic table in which experts say nothing but the diagnosis."""
    names = [column.name for column in CLINIC.columns]
    empty = dict.fromkeys(names, "")
    every = [*rows, *(dataclasses.replace(row, values={**empty, **row.values}) for row in experts)]
    return clinic_table(iter(every))
