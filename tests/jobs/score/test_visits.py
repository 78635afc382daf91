"""Visits as rows: labels out of the clinic table, and splits that keep a patient's visits and variants together."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.clinic_visits import Visit, visit_id
from rajobs.imaging.rows import VISITS
from rajobs.jobs.evaluate.clinic import compare_baseline
from rajobs.jobs.train.dataset import LabelledData, open_labelled_data, read_clinic_visits
from rajobs.jobs.train.row_facts import add_row_facts
from rajobs.jobs.train.splits import frozen_split
from rajobs.jobs.tune.job import TuneRequest, tune
from rajobs.learning.reader_agreement import compare_readers
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Study
from rajobs.learning.tabular_baseline import BASELINES
from rajobs.learning.training.cross_validation import redraw_validation
from rajobs.phantoms.clinic.visits import ClinicRow, clinic_table, draw_published, variants
from rajobs.records.errors import RajobsError, UsageError
from rajobs.records.identity import Key
from rajobs.records.manifest import to_json
from rajobs.records.store import Store, open_store
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import CLINIC, PREDICTIONS, PREPARED
from rajobs.records.user_tables import read_clinic
from tests.jobs.in_process import KEY

pytestmark = pytest.mark.slow

COPIES = 3


def multiplied() -> Iterator[ClinicRow]:
    """000's 249 patients, each with two variants, those who are kept to judge by as well."""
    for number, (_, row) in enumerate(draw_published(3)):
        yield from variants(row, COPIES, np.random.default_rng(number))


@pytest.fixture(scope="module")
def study() -> Study:
    """Whichever study reads visits."""
    return next(study for study in map(studies.find, studies.names()) if study.rows is VISITS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ingested data with a clinic table alone."""
    out = tmp_path_factory.mktemp("clinic")
    (out / "clinic.csv").write_bytes(clinic_table(multiplied()))
    clinic = read_clinic(str(out / "clinic.csv"), Key(secret=KEY.encode()))
    store = open_store(str(out / "data"))
    store.put("clinic/part-0.parquet", to_parquet(clinic, CLINIC))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    return out / "data"


@pytest.fixture
def source(place: Path, study: Study) -> LabelledData:
    return open_labelled_data(str(place), study)


def by_part(source: LabelledData, mode: str) -> tuple[dict[str, str], dict[str, Visit]]:
    split, _ = frozen_split(source, mode)
    visits = {visit.image_id: visit for visit in read_clinic_visits(source.store)}
    return {row["image_id"]: row["split"] for row in split.to_pylist()}, visits


def test_the_clinic_tells_the_answer_itself(source: LabelledData) -> None:
    (labels,) = source.labels.values()
    assert Counter(labels.values()) == {"1": 52 * COPIES, "0": 197 * COPIES}
    visits = {visit.image_id: visit for visit in read_clinic_visits(source.store)}
    assert all(float(value) == visits[name].findings["ra_clinical"] for (name, _, _), value in labels.items())


def test_clean_keeps_a_patient_s_variants_with_the_patient(source: LabelledData) -> None:
    part_of, visits = by_part(source, "clean")
    assert part_of.keys() == visits.keys()
    parts: dict[str, set[str]] = {}
    for name, part in part_of.items():
        parts.setdefault(visits[name].patient, set()).add(part)
    assert len(parts) == 249 and {len(names) for names in parts.values()} == {1}


def test_published_has_the_paper_s_counts_and_its_leak_alone(source: LabelledData) -> None:
    part_of, visits = by_part(source, "published")
    test = {visits[name].patient for name, part in part_of.items() if part == "test"}
    learnt = [visits[name] for name, part in part_of.items() if part != "test"]
    assert Counter(visits[name].findings["ra_clinical"] for name, part in part_of.items() if part == "test") == {
        1: 10,
        0: 40,
    }
    assert len(test) == 50 and len(learnt) == 199 * COPIES and not test & {visit.patient for visit in learnt}
    assert set(part_of.values()) == {"train", "test"}, "each trial draws its own 80/20"
    arrays = Prepared(rows=PREPARED.rows([]), arrays=(), starts=np.zeros(0, np.int64))
    names = sorted(part_of)
    dataset = Dataset(
        study=source.study, arrays=arrays, labels={}, parts=np.array([part_of[name] for name in names]),
        groups=np.array(names),
    )  # fmt: skip
    share = source.study.recipe("published").redraw
    trials = [redraw_validation(dataset, share, seed).parts for seed in (0, 1, 2, 3, 4)]
    assert len({tuple(parts) for parts in trials}) == 5, "each trial another"

    def patients(of: np.ndarray, part: str) -> set[str]:
        return {visits[name].patient for name, own in zip(names, of.tolist()) if own == part}

    for parts in trials:
        validation = round(0.2 * len(learnt))
        assert Counter(parts.tolist()) == {"test": 50, "validation": validation, "train": len(learnt) - validation}
        assert patients(parts, "train") & patients(parts, "validation"), "variants of one patient on both sides"
    whole = replace(dataset, groups=np.array([visits[name].patient for name in names]))
    parts = redraw_validation(whole, share, 0).parts
    assert not patients(parts, "train") & patients(parts, "validation"), "by group, where groups are patients"


def test_a_sweep_in_published_mode_says_that_the_paper_has_no_part_to_choose_by(
    place: Path, study: Study, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="paper 000 has no validation part, by which a sweep"):
        tune(TuneRequest(study=study.name, data=str(place), out=str(tmp_path), mode="published"))


def test_experts_of_the_clinic_table_are_readers_and_the_truth_wins(tmp_path: Path, study: Study) -> None:
    """000's three experts classify the test patients; therapy within two months is the truth."""
    truth, experts = "1001100110", {"reader-0000000a": "1001100110", "reader-0000000b": "0101100110"}
    rows = [
        {"patient": f"p{n}", "visit_date": date(2019, 1, 1), "reader": who, "ra_clinical": float(says[n])}
        for who, says in {"truth": truth, **experts}.items()
        for n in range(10)
    ]
    store = open_store(str(tmp_path))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    store.put("clinic/part-0.parquet", to_parquet(CLINIC.rows(rows), CLINIC))
    source = open_labelled_data(str(tmp_path), study)
    assert sorted(source.labels["ra_clinical"].values()) == sorted(truth)
    asked = PREDICTIONS.rows([
        {
            "image_id": visit_id(f"p{n}", date(2019, 1, 1)), "extremity": 0, "site": "", "patient": f"p{n}",
            "target": "ra_clinical", "truth": truth[n], "predicted": "1001100100"[n], "p": [0.5, 0.5],
            "split": "test", "bundles": [],
        }
        for n in range(10)
    ])  # fmt: skip
    compared = compare_readers(study, add_row_facts(source, asked))
    kappa = {(each.who, each.against): each.figures["kappa_unweighted"]["value"] for each in compared}
    assert kappa["model", "reader-0000000a"] == pytest.approx(0.8) and kappa["model", "reader-0000000b"] < 0.5
    assert kappa["reader-0000000a", "reference"] == 1.0


@pytest.mark.parametrize(("folds", "parts"), [(0, ["train"]), (5, ["train", "validation"])])
def test_the_plain_model_learns_from_the_parts_that_the_networks_learn_from(
    source: LabelledData, folds: int, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which rows it learns from is asked here; that it learns, beside its code.
    monkeypatch.setitem(BASELINES, "boosted_trees", lambda known, truth, new, classes: np.full((len(new), 2), 0.5))  # type: ignore[arg-type]
    split, _ = frozen_split(source, "clean")
    part_of, visits = by_part(source, "clean")
    asked = PREDICTIONS.rows([
        {
            "image_id": name, "extremity": 0, "site": "", "patient": visits[name].patient, "target": "ra_clinical",
            "truth": value, "predicted": value, "p": [0.5, 0.5], "split": "test", "bundles": [],
        }
        for (name, _, _), value in source.labels["ra_clinical"].items()
        if part_of[name] == "test"
    ])  # fmt: skip
    _, plain = compare_baseline(source, split, asked, cross_validated=bool(folds))
    assert plain.learnt_from == tuple(parts)
    assert plain.learnt == sum(part in parts for part in part_of.values())


def test_data_without_a_clinic_table_say_what_to_do(tmp_path: Path, study: Study) -> None:
    open_store(str(tmp_path)).put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    with pytest.raises(RajobsError, match="--clinic FILE"):
        open_labelled_data(str(tmp_path), study)


def test_the_labels_split_is_the_published_one_where_the_paper_prints_none_and_clean_drops_its_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = studies.find("ultrasound_grading")
    images, labels = [], []
    for name, part in {"a": "train", "b": "validation", "like": "train", "real": "test", "other": "test"}.items():
        images.append({
            "image_id": name, "patient": f"p {name}", "derived_from": "real" if name == "like" else None, "frame": 0,
            "modality": "US", "rows": 2, "columns": 2, "bits": 8, "doppler": True, "preview": b"", "pixels": b"",
        })  # fmt: skip
        labels.append({
            "image_id": name, "study": scans.name, "target": "grade", "value": "1", "reader": "truth", "split": part,
        })  # fmt: skip
    store = open_store(str(tmp_path))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    source = open_labelled_data(str(_with(store, images, labels[:2])), scans)
    with pytest.raises(RajobsError, match="leaves no row for test"):
        frozen_split(source, "published")
    source = open_labelled_data(str(_with(store, images, labels)), scans)
    published, clean = ({row["image_id"]: row["split"] for row in frozen_split(source, mode)[0].to_pylist()}
                        for mode in ("published", "clean"))  # fmt: skip
    assert published == {row["image_id"]: row["split"] for row in labels}, "the paper's leak"
    assert clean == {name: part for name, part in published.items() if name != "real"}
    assert "1 images take no part" in capsys.readouterr().out
    source = open_labelled_data(str(_with(store, images, [{**row, "split": None} for row in labels])), scans)
    store.delete(f"splits/{scans.name}-published.parquet")
    with pytest.raises(RajobsError, match="give one in the labels' column split"):
        frozen_split(source, "published")


def _with(store: Store, images: list[dict[str, object]], labels: list[dict[str, object]]) -> Path:
    store.put("images/part-0.parquet", to_parquet(schemas.IMAGES.rows(images), schemas.IMAGES))
    store.put("labels/part-0.parquet", to_parquet(schemas.LABELS.rows(labels), schemas.LABELS))
    return Path(store.uri)
