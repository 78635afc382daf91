"""The second stage of score without Ray: what scans tell the clinic's picture, and which parts are scored again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.rows import Row
from rajobs.jobs.score.job import _drop_outdated_parts
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.tables import ask_about_visits
from rajobs.jobs.score.worker import scan_places, spread_places
from rajobs.learning.samples.row_arrays import ViewRequest
from rajobs.learning.voting import Vote
from rajobs.records.store import Store, open_store
from rajobs.records.store.lease import Fence
from rajobs.records.tables.parquet_parts import list_parts, to_parquet
from rajobs.records.tables.schemas import CLINIC, EXTREMITIES, LABELS, LEDGER, REAL, ULTRASOUND
from rajobs.records.tables.table_schema import Column, TableSchema
from rajobs.records.visits import build_visits
from rajobs.reports.score.hand_sections import clinic_sections
from rajobs.reports.score.tallies import VisitTally

MAY, JUNE, JULY = date(2012, 5, 1), date(2012, 6, 1), date(2012, 7, 1)
STEPS, CLINICAL, GRADING = (
    ScoreSteps.of_all_studies(),
    studies.find("clinical_array"),
    studies.find("ultrasound_grading"),
)
VIEW, (ASKED,) = CLINICAL.view, CLINICAL.targets


class Eyes:
    """Models that keep the pictures they are asked about."""

    hashes = ("c",)
    models = (None,)

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def view_requests(self, rows: Sequence[Row]) -> dict[str, ViewRequest]:
        return {"picture": ViewRequest(view=VIEW, settings={}, rows=rows)}

    def vote(self, rows: Sequence[Row], drawn: Mapping[str, np.ndarray]) -> dict[str, Vote]:
        self.seen += list(drawn["picture"])
        return {"ra_clinical": Vote(
            p=np.full((len(rows), 2), 0.5), answers=np.zeros(len(rows), np.int64), target=ASKED,
            apart=np.zeros(len(rows)), dissent=np.full(len(rows), np.nan), by_rule=np.zeros(len(rows), bool),
        )}  # fmt: skip


def scan(name: str, side: str | None, site: str | None, **columns: Any) -> dict[str, Any]:
    """A frame; a grade is as sure as can be."""
    sure = {f"{grade}_p": np.eye(4)[value].tolist() for grade, value in columns.items() if "grade" in grade}
    return {
        "image_id": name, "patient": "p", "visit_date": MAY, "side": side, "site": site, "frame": 0, "doppler": True,
        "bundles": ["u"], **columns, **sure,
    }  # fmt: skip


SCANS = (
    scan("a", "L", "MCP2", grade=2, grey_grade=1),
    scan("b", "L", "MCP2", grade=1, grey_grade=3),  # the joint once more: the highest of each
    scan("c", "R", "MCP2", grade=3, grey_grade=3),  # the clinic has seen it
    scan("d", "L", "MCP3", grade=0, grey_grade=2, doppler=False),  # open without colour, but for the grey scale
    scan("e", None, "MCP4", grade=3, grey_grade=3),
    scan("f", "L", "CMC1", grade=3, grey_grade=3),  # no joint of the picture
    scan("g", "L", "PIP3", grade=3, grey_grade=3, visit_date=JUNE),  # no visit to the clinic
    scan("h", "L", "PIP4", grade=3, grey_grade=3, patient="q"),
)
CLINIC_ROWS = (
    {"patient": "p", "visit_date": MAY, "reader": "a", "R_MCP2_pd": 0.0},
    {"patient": "p", "visit_date": MAY, "reader": "b", "R_MCP2_gs": 1.0},
    {"patient": "r", "visit_date": MAY, "reader": "a", "L_MCP2_pd": 1.0},
    {"patient": "p", "visit_date": JULY, "reader": "a"},
)
FILLED = {"L_MCP2_pd": 2, "L_MCP2_gs": 3, "L_MCP3_gs": 2}


def picture(findings: Mapping[str, Any]) -> np.ndarray:
    return VIEW.draw(findings, Row(image_id="i", at=0), **VIEW.with_settings({}))


def test_empty_squares_are_filled_by_scans_of_the_joint_on_that_day_and_the_clinic_s_word_stands() -> None:
    eyes, clinic, scans = Eyes(), CLINIC.rows(list(CLINIC_ROWS)), ULTRASOUND.rows(list(SCANS))
    answers = ask_about_visits(STEPS, {CLINICAL.name: eyes}, clinic, scans)  # type: ignore[dict-item]
    by_readers = {"R_MCP2_pd": 0.0, "R_MCP2_gs": 1.0}
    assert np.array_equal(eyes.seen[0], picture({**by_readers, **FILLED}))
    assert not np.array_equal(eyes.seen[0], picture(by_readers)) and np.array_equal(
        eyes.seen[1], picture({"L_MCP2_pd": 1})
    )
    assert np.array_equal(eyes.seen[2], picture({})), "two months later"
    assert clinic.equals(CLINIC.rows(list(CLINIC_ROWS))), "nothing is written back"
    rows = {
        row["patient"]: row
        for row in build_visits(EXTREMITIES.rows([]), scans, answers).to_pylist()
        if row["visit_date"] == MAY
    }
    assert {name: row["squares_filled"] for name, row in rows.items()} == {"p": 3, "q": None, "r": 0}
    assert rows["p"]["bundles"] == ["c", "u"], "whoever filled a square answered too"


def test_the_page_tells_what_was_filled_and_what_could_not_be() -> None:
    scans = ULTRASOUND.rows(list(SCANS))
    clinic, eyes = CLINIC.rows(list(CLINIC_ROWS)), Eyes()
    answers = ask_about_visits(STEPS, {CLINICAL.name: eyes}, clinic, scans)  # type: ignore[dict-item]
    tally = VisitTally()
    tally.add(build_visits(EXTREMITIES.rows([]), scans, answers))
    tally.add_scans(scans)
    (section,) = clinic_sections(tally)
    assert (
        "answered for 3 visits" in str(section) and "filled 3 squares" in str(section) and "at 1 visit." in str(section)
    )
    assert "1 graded frame could not be used" in str(section)
    assert clinic_sections(VisitTally()) == []


def label(name: str, study: str = GRADING.name, **more: str | None) -> dict[str, Any]:
    return {"image_id": name, "study": study, "target": "grade", "value": "1", "reader": "a", **more}


def test_labels_tell_a_scan_s_side_and_site_as_far_as_they_do() -> None:
    labels = [
        label("a", side="L", site="MCP2"), label("a", reader="b", site="MCP2"), label("b", site="MCP3"), label("c"),
        label("d", "joint_detection", side="L", site="MCP2"),
    ]  # fmt: skip
    assert scan_places(LABELS.rows(labels), STEPS) == {"a": {"side": "L", "site": "MCP2"}, "b": {"site": "MCP3"}}


def test_every_frame_of_a_loop_has_the_place_that_labels_name_on_one_of_them() -> None:
    loop = [{**scan("a", None, None), "frame": number} for number in range(4)]
    loop[2] |= {"side": "L", "site": "MCP2"}
    of_nobody, other = scan("b", None, None), {**scan("c", None, None), "patient": "q", "frame": 1}
    places = [(frame["image_id"], frame["side"], frame["site"]) for frame in spread_places([*loop, of_nobody, other])]
    assert places == [("a", "L", "MCP2")] * 4 + [("b", None, None), ("c", None, None)]


def put(store: Store, folder: str, name: str, table: TableSchema, rows: list[dict[str, Any]]) -> None:
    store.put(f"{folder}/part-{name}.parquet", to_parquet(table.rows(rows), table))


@pytest.fixture
def out(tmp_path: Any) -> Store:
    """Two scored parts, of which one has a scan."""
    store = open_store(str(tmp_path / "out"))
    for name, scans in (("1", [scan("a", None, None)]), ("2", [])):
        for folder, table in STEPS.part_tables.items():
            put(store, folder, name, table, scans if folder == "ultrasound" else [])
    put(store, "ledger", "1", LEDGER, [{"image_id": "a", "fate": "scored", "why": "", "extremities": 0, "joints": 0}])
    return store


def test_parts_from_before_a_column_are_all_scored_again(out: Store, tmp_path: Any) -> None:
    data = open_store(str(tmp_path / "data"))
    _drop_outdated_parts(data, Fence(out, 1), STEPS)
    assert len(list_parts(out, "ledger")) == 2, "nothing has changed"
    assert GRADING.scores is not None
    later = Column(name="artefact_p", type=REAL, meaning="a column that another version of the study adds")
    adding = replace(GRADING, scores=replace(GRADING.scores, adds=(later,)))
    steps = ScoreSteps(studies=tuple(adding if study is GRADING else study for study in STEPS.studies))
    _drop_outdated_parts(data, Fence(out, 1), steps)
    assert [key for folder in STEPS.part_tables for key in list_parts(out, folder)] == []


def test_a_part_is_scored_again_once_labels_place_its_scans(out: Store, tmp_path: Any) -> None:
    data = open_store(str(tmp_path / "data"))
    _drop_outdated_parts(data, Fence(out, 1), STEPS)
    put(data, "labels", "1", LABELS, [label("a", side="L", site="MCP2")])
    _drop_outdated_parts(data, Fence(out, 1), STEPS)
    assert list_parts(out, "ledger") == ["ledger/part-2.parquet"]


@pytest.mark.parametrize("now", [[label("a")], [label("a", site="MCP3")], []])
def test_a_part_is_scored_again_once_labels_take_a_scan_s_place_back(out: Store, tmp_path: Any, now: list[Any]) -> None:
    data = open_store(str(tmp_path / "data"))
    put(data, "labels", "1", LABELS, [label("a", site="MCP2")])
    put(out, "ultrasound", "1", ULTRASOUND, [scan("a", None, "MCP2")])
    _drop_outdated_parts(data, Fence(out, 1), STEPS)
    assert len(list_parts(out, "ledger")) == 2, "nothing has changed"
    data.delete("labels/part-1.parquet")
    put(data, "labels", "2", LABELS, now)
    _drop_outdated_parts(data, Fence(out, 1), STEPS)
    assert list_parts(out, "ledger") == ["ledger/part-2.parquet"]
