from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rajobs import studies
from rajobs.jobs.sheet.subjects import ReadingData
from rajobs.records.errors import UsageError
from rajobs.records.store import LocalStore
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import EXTREMITIES, IMAGES, JOINTS, LABELS, SITES
from rajobs.records.tables.table_schema import TableSchema

HAND = tuple(site for site in SITES if not site.startswith(("MTP", "IP1")))


def image(name: str, patient: str, modality: str = "DX", frame: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "image_id": name, "patient": patient, "modality": modality, "rows": 900, "columns": 700, "bits": 12,
        "frame": frame, "doppler": False, "preview": b"", "pixels": b"", "visit_date": date(2001, 2, 3), **more,
    }  # fmt: skip


def label(name: str, study: str, target: str, value: str, site: str | None = None) -> dict[str, Any]:
    return {
        "image_id": name, "side": "R", "study": study, "target": target, "site": site, "value": value, "reader": "a"
    }  # fmt: skip


def put(store: LocalStore, schema: TableSchema, *rows: dict[str, Any]) -> None:
    store.put(f"{schema.name}/part-1.parquet", to_parquet(schema.rows(list(rows)), schema))


def placed(name: str) -> list[dict[str, Any]]:
    """Places of a whole hand."""
    return [
        label(name, "joint_detection", axis, str(place), site)
        for at, site in enumerate(HAND)
        for axis, place in (("x", 100 + 20 * at), ("y", 200 + 30 * (at % 7)))
    ]


@pytest.fixture
def data(tmp_path: Path) -> LocalStore:
    """Films of three patients, one of whom has a score; a drawing, and two scans of a fourth one."""
    store = LocalStore(str(tmp_path / "data"))
    films = [image(f"film-{patient}", patient) for patient in "abc"]
    scans = [image(f"loop-{frame}", "d", "US", frame, doppler=frame == 2) for frame in range(4)]
    drawing = image("drawing", "e", derived_from="film-a")
    put(store, IMAGES, *films, drawing, *scans, image("still", "d", "US"))
    labels = [row for patient in "ab" for row in placed(f"film-{patient}")]
    view = {**label("film-c", "hand_filter", "view", "other"), "side": None}
    put(store, LABELS, *labels, view, label("film-b", "svdh_scoring", "jsn", "1", "MCP2"))
    return store


def tables_of(place: Path, doubts: dict[str, float]) -> LocalStore:
    """What score wrote about a film of each patient."""
    store = LocalStore(str(place))
    hands = [
        {"image_id": f"film-{patient}", "extremity": 0, "patient": patient, "part": "hand", "doubt": doubt,
         "bundles": []}
        for patient, doubt in doubts.items()
    ]  # fmt: skip
    joints = [
        {
            "image_id": f"film-{patient}", "extremity": 0, "site": site, "patient": patient, "side": "L",
            "x": 50.0 + 10 * at, "y": 60.0 + at, "bundles": [],
        }
        for patient in doubts for at, site in enumerate(HAND)
    ]  # fmt: skip
    put(store, EXTREMITIES, *hands)
    put(store, JOINTS, *joints)
    return store


def test_hands_are_those_that_labels_place_and_readers_do_not_call_something_else(data: LocalStore) -> None:
    reading = ReadingData.open(data, studies.find("svdh_scoring"), None, None)
    patients, labelled = reading.patients(by_doubt=False)
    assert set(patients) == {"a", "b", "c"} and patients[-1] == "b" and labelled == 1, "who has labels comes last"
    subjects = reading.subjects(patients)  # no finder has to look: it would need Ray
    assert {patient: [each.side for each in hands] for patient, hands in subjects.items()} == {"a": ["R"], "b": ["R"]}
    assert all(each.part == "hand" and len(each.row.joints) == len(HAND) for each in subjects["a"])


def test_with_tables_the_doubtful_come_first_and_joints_lie_where_score_saw_them(
    data: LocalStore, tmp_path: Path
) -> None:
    tables = tables_of(tmp_path / "tables", {"a": 0.2, "b": 0.9, "c": 0.6})
    reading = ReadingData.open(data, studies.find("svdh_scoring"), tables, None)
    assert reading.patients(by_doubt=True) == (["c", "a", "b"], 1)
    films = ReadingData.open(LocalStore(data.uri), studies.find("ra_staging"), tables, None)
    assert films.patients(by_doubt=True)[0] == ["b", "c", "a"]
    (hand,) = reading.subjects(["a"])["a"]
    assert hand.side == "R" and hand.row.joints[0].confidence is None, "labels' places win"


def test_tables_of_other_data_are_refused(data: LocalStore, tmp_path: Path) -> None:
    tables = tables_of(tmp_path / "tables", {"x": 0.2})
    with pytest.raises(UsageError, match="is of other data: none of its patients is in"):
        ReadingData.open(data, studies.find("svdh_scoring"), tables, None).patients(by_doubt=True)


def test_a_loop_is_one_scan_whose_labels_go_to_a_frame_with_colour(data: LocalStore) -> None:
    reading = ReadingData.open(data, studies.find("ultrasound_grading"), None, None)
    (loop, still) = reading.subjects(["d"])["d"]
    assert (loop.image_id, loop.frames) == ("loop-2", ("loop-0", "loop-1", "loop-2", "loop-3"))
    assert still.frames == ("still",)


def test_every_film_is_read_for_its_view(data: LocalStore) -> None:
    subjects = ReadingData.open(data, studies.find("hand_filter"), None, None).subjects(["a", "c", "e"])
    assert {patient: [each.image_id for each in films] for patient, films in subjects.items()} == {
        "a": ["film-a"],
        "c": ["film-c"],
    }
