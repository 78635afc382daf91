"""Score with a model of every study in the chain: tables that agree with one another and with the labels."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.imaging.joint_space.measure import measure_joint_space
from rajobs.imaging.rows import JOINTS
from rajobs.imaging.views import show
from rajobs.jobs.score.bundle_columns import describe_bundles
from rajobs.jobs.score.job import find_models
from rajobs.jobs.score.parts import check_parts
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.tables import gather
from rajobs.jobs.score.worker import hand_positions, scan_places
from rajobs.jobs.train.dataset import read_clinic_visits
from rajobs.learning.recipe import replace, to_toml
from rajobs.learning.voting_models import VotingModels
from rajobs.records.anatomy import HAND_SITES, SITES
from rajobs.records.changes import Precision
from rajobs.records.errors import StoreError
from rajobs.records.store import Store, open_store
from rajobs.records.store.lease import Fence, without_number
from rajobs.records.svdh import totals
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import list_parts, read_table, to_parquet
from tests.jobs.in_process import in_process

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]
STEPS = ScoreSteps.of_all_studies()
CLINICAL = studies.find("clinical_array")
SMALL = {
    "svdh_scoring": {"view.size": 32, "members.settings.width": 4, "members.settings.stages": 3},
    "ra_recognition": {"view.size": 32, "members.settings.width": 4, "members.settings.stages": 3},
    "ra_staging": {"view.size": 32, "members.settings.width": 4, "members.settings.stages": 3},
    "ultrasound_grading": {"view.size": 32, "members.settings.width": 4, "members.settings.stages": 3},
    "clinical_array": {"view.size": 32, "members.settings.width": 4},
}


@pytest.fixture(scope="module")
def all_models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One hardly trained model for each study, and a second one that scores joints; no filter: its word is chance."""
    out = tmp_path_factory.mktemp("all")
    with in_process():
        for name, changed in SMALL.items():
            recipe = studies.find(name).recipe("default")
            for setting, value in {**changed, "training.epochs": 1, "training.copies": 1}.items():
                recipe = replace(recipe, setting, value)
            (out / f"{name}.toml").write_text(to_toml(recipe))
            for seed in ("0", "1") if name == "svdh_scoring" else ("0",):
                main(["train", name, str(data), str(out), "--recipe", str(out / f"{name}.toml"), "--seed", seed])
    return out


def clinical_models(models: Path) -> dict[str, VotingModels]:
    """The models that are asked about visits."""
    bundles = list(find_models(str(models), STEPS)[CLINICAL.name].values())
    return {CLINICAL.name: VotingModels.load(CLINICAL, bundles)}


@pytest.fixture(scope="module")
def tables(data: Path, all_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort's tables by all of them."""
    out = tmp_path_factory.mktemp("tables")
    with in_process():
        main(["score", str(data), str(all_models), str(out)])
    return out


def test_every_table_is_there_and_says_the_same(data: Path, tables: Path) -> None:
    store = open_store(str(tables))
    films, hands, joints, scans, ledger = (
        read_table(store, table.name, table).to_pylist()
        for table in (schemas.FILMS, schemas.EXTREMITIES, schemas.JOINTS, schemas.ULTRASOUND, schemas.LEDGER)
    )
    visits = read_table(store, "visits", schemas.VISITS).to_pylist()
    assert hands and scans and visits
    kept = {film["image_id"] for film in films if film["fate"] == "kept"}
    assert {hand["image_id"] for hand in hands} <= kept
    of_hand: dict[tuple[str, int], dict[str, dict[str, object]]] = {}
    for joint in joints:
        of_hand.setdefault((joint["image_id"], joint["extremity"]), {})[joint["site"]] = joint
    assert of_hand.keys() == {(hand["image_id"], hand["extremity"]) for hand in hands}
    for hand in hands:
        joint_of = of_hand[hand["image_id"], hand["extremity"]]
        assert sorted(joint_of) == sorted(site.name for site in HAND_SITES)
        whole = totals(*({site: row[name] for site, row in joint_of.items()} for name in ("jsn", "erosion")))  # type: ignore[misc]
        assert (hand["svdh_total"], hand["svdh_highest"]) == (whole.svdh, whole.highest)
        assert hand["coverage"] == pytest.approx(whole.coverage)
        assert 0 <= hand["stage"] <= 5 and sum(hand["stage_p"]) == pytest.approx(1, abs=1e-5) and 0 <= hand["ra_p"] <= 1
        assert bool(hand["doubt"]) == bool(hand["doubt_reasons"]) and len(hand["bundles"]) == 4
    fate_of = {row["image_id"]: row for row in ledger}
    images = read_table(open_store(str(data)), "images", schemas.IMAGES, ["image_id", "modality"]).to_pylist()
    assert fate_of.keys() == {image["image_id"] for image in images}
    assert Counter(hand["image_id"] for hand in hands) == {
        n: row["extremities"] for n, row in fate_of.items() if row["extremities"]
    }
    assert sum(row["joints"] for row in ledger) == sum(joint["x"] is not None for joint in joints)
    assert {fate_of[scan["image_id"]]["fate"] for scan in scans} == {"scored"}
    assert all(0 <= scan["grade"] <= 3 for scan in scans) and {scan["doppler"] for scan in scans} == {True, False}
    assert all((scan["grade_p"] is None, scan["grade"] == 0) == (True, True) for scan in scans if not scan["doppler"])
    assert all(scan["grade_p"] for scan in scans if scan["doppler"])
    assert all(0 <= scan["grey_grade"] <= 3 and len(scan["grey_grade_p"]) == 4 for scan in scans)
    labelled = scan_places(read_table(open_store(str(data)), "labels", schemas.LABELS), STEPS)
    assert all(scan["side"] and scan["site"] for scan in scans) and {scan["side"] for scan in scans} == {"L", "R"}
    assert all({"side": scan["side"], "site": scan["site"]} == labelled[scan["image_id"]]
               for scan in scans if scan["image_id"] in labelled)  # fmt: skip
    assert {visit["squares_filled"] for visit in visits} == {0}, "the drawn clinic has looked at every joint"
    assert sum(visit["films"] for visit in visits) == len({h["image_id"] for h in hands if h["visit_date"]})
    clinic = {(visit.patient, visit.day) for visit in read_clinic_visits(open_store(str(data)))}
    asked = {(visit["patient"], visit["visit_date"]) for visit in visits if visit["ra_clinical_p"] is not None}
    assert asked == clinic and clinic
    apart = {visit["ra_clinical_dissent"] for visit in visits if visit["ra_clinical_p"] is not None}
    assert apart <= {0.0, 0.25, 0.5, 0.75}, "four members, and their mean is one of their answers"
    seen_twice = {patient for patient, days in Counter(visit["patient"] for visit in visits if visit["films"]).items()
                  if days > 1}  # fmt: skip
    changes = read_table(store, "changes", schemas.CHANGES).to_pylist()
    assert {row["patient"] for row in changes} <= seen_twice and all(row["sites"] > 0 for row in changes)
    for name in ("films", "extremities", "joints", "ultrasound", "visits", "changes", "ledger"):
        with (tables / f"{name}.csv").open() as file:
            assert len(list(csv.DictReader(file))) == read_table(store, name, schemas.TABLES[name]).num_rows


def test_joints_lie_where_the_labels_say_and_have_the_method_s_scores(data: Path, tables: Path) -> None:
    positions = hand_positions(read_table(open_store(str(data)), "labels", schemas.LABELS))
    joints = read_table(open_store(str(tables)), "joints", schemas.JOINTS).to_pylist()
    for joint in joints:
        there = {(p.site, p.side): p for p in positions[joint["image_id"]]}.get((joint["site"], joint["side"]))
        assert (there is None) == (joint["x"] is None)
        if there is not None:
            assert (joint["x"], joint["y"]) == pytest.approx((there.x, there.y), abs=0.01)
            site = SITES[joint["site"]]
            hidden = joint["assessable_p"] is not None and joint["assessable_p"] < 0.5
            assert (joint["jsn"] is None) == (site.jsn_max is None or hidden)
            assert (joint["erosion"] is None) == (site.erosion_max is None or hidden)
            assert joint["erosion"] is None or len(joint["erosion_p"]) == 6
        assert joint["confidence"] is None, "nobody estimated it: the labels say where the joint is"


def test_joint_spaces_are_those_that_the_measure_finds_on_the_film(data: Path, tables: Path) -> None:
    read = ["image_id", "spacing_mm", "pixels", "window_centre", "window_width"]
    table = read_table(open_store(str(data)), "images", schemas.IMAGES, read)
    images = {row["image_id"]: row for row in table.to_pylist()}
    positions = hand_positions(read_table(open_store(str(data)), "labels", schemas.LABELS))
    joints = read_table(open_store(str(tables)), "joints", schemas.JOINTS).to_pylist()
    written = {(row["image_id"], row["side"], row["site"]): row for row in joints}
    measured = 0
    for name in {row["image_id"] for row in joints}:
        spacing, deep = images[name]["spacing_mm"], show(images[name], "pixels").deep
        assert deep is not None
        for joint in JOINTS.cut(name, 0, positions[name]):
            space = measure_joint_space(deep, joint)
            row = written[name, joint.side, joint.site]
            assert row["jsw_px"] == (None if space is None else pytest.approx(space.mean_px, rel=1e-5))
            assert row["jsw_confidence"] == (None if space is None else pytest.approx(space.confidence, rel=1e-5))
            known = space is not None and spacing is not None
            assert row["jsw_mm"] == (pytest.approx(space.mean_px * spacing, rel=1e-5) if known else None)
            measured += known
    assert measured


def test_scored_again_nothing_is_done_and_new_labels_score_their_parts_again(
    data: Path, all_models: Path, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["score", str(data), str(all_models), str(tables)]
    main(arguments)
    assert "nothing to do" in capsys.readouterr().out
    # The same cohort, but nobody has said yet where the joints are; then somebody does.
    later, out = tmp_path / "data", tmp_path / "tables"
    shutil.copytree(data, later, ignore=shutil.ignore_patterns("prepared", "splits"))
    (labels,) = list_parts(open_store(str(data)), "labels")
    (later / labels).unlink()
    (later / "index" / "labels.1.json").unlink()
    main(["score", str(later), str(all_models), str(out)])
    store = open_store(str(out))
    assert read_table(store, "extremities", schemas.EXTREMITIES).num_rows == 0
    fates = Counter(read_table(store, "ledger", schemas.LEDGER).column("fate").to_pylist())
    assert set(fates) == {"no-model", "scored"}, "films without a filter's word and without joints, and scans"
    before = {without_number(file.name): file.stat().st_mtime_ns for file in (out / "ledger").iterdir()}
    (later / "labels").mkdir(exist_ok=True)
    shutil.copy(data / labels, later / labels)
    manifest = json.loads((later / "manifest.json").read_text())
    (later / "manifest.json").write_text(json.dumps({**manifest, "hash": "another"}))
    main(["score", str(later), str(all_models), str(out)])
    for table in (schemas.EXTREMITIES, schemas.JOINTS, schemas.LEDGER):
        assert read_table(store, table.name, table).sort_by([(n, "ascending") for n in table.key]) == read_table(
            open_store(str(tables)), table.name, table
        ).sort_by([(n, "ascending") for n in table.key])
    after = {without_number(file.name): file.stat().st_mtime_ns for file in (out / "ledger").iterdir()}
    assert before.keys() == after.keys() and before != after


def test_studies_without_a_model_leave_nulls_and_are_named(data: Path, all_models: Path, tmp_path: Path) -> None:
    shutil.copytree(all_models / "svdh_scoring", tmp_path / "models" / "svdh_scoring")
    main(["score", str(data), str(tmp_path / "models"), str(tmp_path / "out")])
    store = open_store(str(tmp_path / "out"))
    hands = read_table(store, "extremities", schemas.EXTREMITIES)
    assert hands.num_rows and hands.column("stage").null_count == hands.column("ra_p").null_count == hands.num_rows
    assert hands.column("svdh_total").null_count == 0
    films = read_table(store, "films", schemas.FILMS)
    assert films.column("view").null_count == films.num_rows
    missing = json.loads((tmp_path / "out" / "manifest.json").read_text())["without_model"]
    assert set(STEPS.names) - set(missing) == {"svdh_scoring"}
    fates = Counter(read_table(store, "ledger", schemas.LEDGER).column("fate").to_pylist())
    assert set(fates) == {"scored", "no-model"}, "films without a filter's word and without joints are nobody's"


def test_without_scores_their_columns_are_null_and_the_page_says_so(
    data: Path, all_models: Path, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["score", str(data), str(all_models), str(tmp_path), "--no-scores"])
    store, with_scores = open_store(str(tmp_path)), open_store(str(tables))
    hands, joints = (read_table(store, each.name, each) for each in (schemas.EXTREMITIES, schemas.JOINTS))
    of_scores = ("ra_p", "stage", "stage_p", "jsn_total", "erosion_total", "svdh_total", "svdh_lowest", "svdh_highest")
    assert all(hands.column(name).null_count == hands.num_rows > 0 for name in of_scores)
    assert all(joints.column(name).null_count == joints.num_rows for name in ("jsn", "jsn_p", "erosion", "erosion_p"))
    assert joints.column("x").equals(read_table(with_scores, "joints", schemas.JOINTS).column("x")), "places stay"
    scans = read_table(store, "ultrasound", schemas.ULTRASOUND)
    assert scans.column("grade").null_count == 0 and "svdh_total" in (tmp_path / "visits.csv").read_text()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["without_model"]) == {"hand_filter", "joint_detection"}
    sentence = "empty because of --no-scores: ra_recognition, ra_staging and svdh_scoring would fill them."
    assert sentence in (tmp_path / "report.html").read_text()
    assert "--no-scores" not in (tables / "report.html").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["score", str(data), str(all_models), str(tmp_path)])
    assert "was made with scores left out, not asked for; choose another OUT" in capsys.readouterr().err


def gather_again(data: Store, out: Store, models: Path) -> None:
    """The last stage of score, as a second run does it."""
    fence = Fence(out, 2)
    check_parts(data, fence, gather(data, fence, STEPS, clinical_models(models), Precision()).parts)


def test_visits_made_lot_by_lot_are_those_made_at_one_go(
    data: Path, all_models: Path, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tables, tmp_path / "tables")
    monkeypatch.setattr("rajobs.jobs.score.tables.ROWS_PER_LOT", 20)
    again, at_once = open_store(str(tmp_path / "tables")), open_store(str(tables))
    gather_again(open_store(str(data)), again, all_models)
    assert len(list_parts(again, "visits")) > 2
    order = [(name, "ascending") for name in schemas.VISITS.key]
    both = [read_table(store, "visits", schemas.VISITS).sort_by(order) for store in (again, at_once)]
    assert both[0] == both[1]
    assert (tmp_path / "tables" / "extremities.csv").read_bytes() == (tables / "extremities.csv").read_bytes()


def test_what_a_clinic_left_empty_is_filled_by_the_grades_of_its_scans(
    data: Path, all_models: Path, tables: Path, tmp_path: Path
) -> None:
    shutil.copytree(tables, tmp_path / "tables")
    shutil.copytree(data, tmp_path / "data")
    poor, out = open_store(str(tmp_path / "data")), open_store(str(tmp_path / "tables"))
    (key,) = list_parts(poor, "clinic")
    clinic = read_table(poor, "clinic", schemas.CLINIC)
    for name in clinic.column_names:
        if name.endswith(("_gs", "_pd")):
            at = clinic.column_names.index(name)
            clinic = clinic.set_column(at, clinic.schema.field(at), pa.nulls(clinic.num_rows, pa.float32()))
    poor.put(key, to_parquet(clinic, schemas.CLINIC))
    gather_again(poor, out, all_models)
    scans = read_table(out, "ultrasound", schemas.ULTRASOUND).to_pylist()
    squares = {(s["patient"], s["visit_date"], s["side"], s["site"], "gs") for s in scans}
    squares |= {(s["patient"], s["visit_date"], s["side"], s["site"], "pd") for s in scans if s["doppler"]}
    visits = read_table(out, "visits", schemas.VISITS).to_pylist()
    for visit in visits:
        filled = [name for name in squares if name[:2] == (visit["patient"], visit["visit_date"])]
        assert visit["squares_filled"] == len(filled)
    assert sum(visit["squares_filled"] for visit in visits) > 2


def test_a_bundle_s_columns_are_those_that_it_learnt_and_drawings_are_told_from_data(all_models: Path) -> None:
    bundles = {name: list(each.values()) for name, each in find_models(f"{all_models},builtin", STEPS).items()}
    facts = {each.study: each for each in describe_bundles(STEPS, bundles)}
    assert {study for study, each in facts.items() if each.drawn} == {"hand_filter", "joint_detection"}
    assert facts["svdh_scoring"].columns == {"joints": ("jsn", "jsn_p", "erosion", "erosion_p", "assessable_p")}
    assert facts["ra_staging"].columns == {"extremities": ("stage", "stage_p")}
    assert "view" in facts["hand_filter"].columns["films"] and "x" in facts["joint_detection"].columns["joints"]
    assert {name for each in facts.values() for table, names in each.columns.items() for name in names} <= {
        name for table in schemas.TABLES.values() for name in table.names
    }


def test_models_may_come_from_several_places_and_each_must_hold_some(
    all_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = find_models(f"{all_models},builtin,builtin", STEPS)
    assert {study: len(bundles) for study, bundles in both.items() if bundles} == {
        "hand_filter": 2, "joint_detection": 1, "svdh_scoring": 2, "ra_recognition": 1, "ra_staging": 1,
        "ultrasound_grading": 1, "clinical_array": 1,
    }  # fmt: skip
    alone = find_models("builtin", STEPS)
    assert {study for study, bundles in alone.items() if bundles} == {"hand_filter", "joint_detection", "svdh_scoring"}
    assert not both["svdh_scoring"].keys() & alone["svdh_scoring"].keys(), "drawings and data are not mixed"
    assert "svdh_scoring: the model that learnt from drawings alone is not asked" in capsys.readouterr().out
    with pytest.raises(StoreError, match="misspelt holds no model"):
        find_models(f"{all_models},{tmp_path / 'misspelt'}", STEPS)
