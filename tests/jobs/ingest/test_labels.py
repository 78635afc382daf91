"""Labels through ingest: matched, merged, refused or listed beside the ledger; nobody's name gets into a table."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rajobs.__main__ import main
from rajobs.jobs.ingest.label_tables import nearest_paths
from rajobs.records.identity import Key
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import CROSSWALK, IMAGES, LABELS, NOTES, READERS
from tests.jobs.in_process import KEY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]
HEAD = "image,side,study,target,site,value,reader,patient"
CANARIES = ("Doe^Jane", "Roe", "ward7", "visit1")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Five pictures in two folders, two of which have one name."""
    paths = ("ward7/Doe^Jane.png", "ward7/left.png", "visit1/left.png", "visit1/right.png", "top.png")
    for value, path in enumerate(paths):
        file = tmp_path / "films" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(cv2.imencode(".png", np.full((40, 40), value * 9, np.uint8))[1].tobytes())
    return tmp_path


def ingest(place: Path, *files: Sequence[str], options: Sequence[str] = ("--pictures", "radiograph")) -> None:
    arguments = ["ingest", str(place / "films"), str(place / "data"), "--ledger", str(place / "ledger"), *options]
    for number, rows in enumerate(files):
        (place / f"{number}.csv").write_text("\n".join((HEAD, *rows)))
        arguments += ["--labels", str(place / f"{number}.csv")]
    main(arguments)


def labels(place: Path) -> dict[tuple[str, str, str], str]:
    """The labels by file name, target and reader's name, through the ledger."""
    ledger = open_store(str(place / "ledger"))
    path = {row["image_ids"][0]: row["path"] for row in rows_of(ledger, CROSSWALK) if row["image_ids"]}
    reader = {row["reader"]: row["name"].title() for row in rows_of(ledger, READERS)}
    rows = rows_of(open_store(str(place / "data")), LABELS)
    return {
        (path[row["image_id"]], row["target"], reader.get(row["reader"], row["reader"])): row["value"] for row in rows
    }


def rows_of(store: Any, schema: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(store, schema.name, schema).to_pylist()
    return rows


def unmatched(place: Path) -> list[dict[str, str]]:
    with (place / "ledger" / "unmatched.csv").open() as file:
        return list(csv.DictReader(file))


def view(image: str, value: str = "both", reader: str = "", patient: str = "P1") -> str:
    return f"{image},,hand_filter,view,,{value},{reader},{patient}"


def test_labels_merge_and_the_newest_reading_stands(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = [view("ward7/Doe^Jane.png", reader="Roe"), view("top.png", reader="Roe"), view("top.png", reader="truth")]
    ingest(place, first, [view("right.png", reader="Roe")])
    assert re.search(r"\blabels +4\n", capsys.readouterr().out)
    ingest(
        place,
        [view("visit1/right.png", "foot", "roe")],
        [view("top.png", "foot", "Roe"), view("top.png", "other", "Poe")],
    )
    assert "2 labels take the place of older ones" in capsys.readouterr().out
    assert labels(place) == {
        ("ward7/Doe^Jane.png", "view", "Roe"): "both", ("top.png", "view", "Roe"): "foot",
        ("top.png", "view", "truth"): "both", ("top.png", "view", "Poe"): "other",
        ("visit1/right.png", "view", "Roe"): "foot",
    }  # fmt: skip
    before = {file: file.stat().st_mtime_ns for file in place.rglob("*.parquet")}
    ingest(
        place,
        [view("visit1/right.png", "foot", "roe")],
        [view("top.png", "foot", "Roe"), view("top.png", "other", "Poe")],
    )
    assert "nothing to do" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in place.rglob("*.parquet")} == before
    ingest(place, [view("top.png", "foot", "Roe")], options=["--pictures", "radiograph", "--replace-labels"])
    assert "4 older labels are thrown away" in capsys.readouterr().out
    assert labels(place) == {("top.png", "view", "Roe"): "foot"}


def test_an_image_has_many_names_and_a_file_name_must_be_its_own(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(place, [view("right.png")])
    path_of = {row["path"]: row["image_ids"][0] for row in rows_of(open_store(str(place / "ledger")), CROSSWALK)}
    named = [
        view(path_of["top.png"]),
        view("Doe^Jane.png"),
        view("visit1\\left.png"),
        view("left.png"),
        view("rihgt.png"),
    ]
    ingest(place, named)
    output = capsys.readouterr().out
    assert set(labels(place)) == {
        (path, "view", "reader") for path in ("visit1/right.png", "top.png", "ward7/Doe^Jane.png", "visit1/left.png")
    }
    assert "1 names of the labels belong to several files each" in output
    assert "2 labels of" in output and "match no image (rows 5, 6)" in output and "unmatched.csv" in output
    assert not any(name in output.replace(str(place), "") for name in (*CANARIES, "rihgt")), "names stay in the ledger"
    assert [(row["image"], row["row"], row["nearest_path"], row["why"]) for row in unmatched(place)] == [
        ("left.png", "5", "visit1/left.png", "several files have a name like this"),
        ("rihgt.png", "6", "visit1/right.png", "no file has this name"),
    ]
    assert (place / "ledger" / "unmatched.csv").stat().st_mode & 0o777 == 0o600, "it names patients"
    ingest(place, named[:3])
    assert not (place / "ledger" / "unmatched.csv").exists()


def test_a_cell_that_was_escaped_for_excel_names_what_it_names_without(place: Path) -> None:
    (place / "films" / "top.png").rename(place / "films" / "=top.png")
    ingest(place, [view("'=top.png", reader="'-Roe"), view("=tap.png")])
    assert labels(place) == {("=top.png", "view", "-Roe"): "both"}
    (row,) = unmatched(place)
    assert (row["image"], row["nearest_path"]) == ("'=tap.png", "'=top.png")


def test_what_labels_of_an_earlier_day_said_of_pictures_stays(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --pictures only labelled pictures are read; a shard that is read again keeps what it knew."""
    key = Key(secret=KEY.encode())

    def patients() -> dict[str, tuple[str, str | None]]:
        images = {row["image_id"]: row["patient"] for row in rows_of(open_store(str(place / "data")), IMAGES)}
        files = rows_of(open_store(str(place / "ledger")), CROSSWALK)
        return {row["path"]: (images[row["image_ids"][0]], row["patient_id"]) for row in files if row["image_ids"]}

    few = ["--max-rejects", "1"]
    ingest(place, [view("ward7/Doe^Jane.png", patient="P1"), view("right.png", patient="P2")], options=few)
    known = {"ward7/Doe^Jane.png": "P1", "visit1/right.png": "P2"}
    assert patients() == {path: (key.pseudonym("patient", name), name) for path, name in known.items()}
    ingest(place, [view("top.png", patient="P3")], options=few)
    known["top.png"] = "P3"
    assert patients() == {path: (key.pseudonym("patient", name), name) for path, name in known.items()}
    ingest(place, [view("top.png", patient="P4")], options=few)
    assert patients()["top.png"] == (key.pseudonym("patient", "P4"), "P4") and len(patients()) == 3
    assert len(labels(place)) == 3


def test_pictures_without_a_patient_are_said_to_be_one_patient_s(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(place, [view("top.png", patient=""), view("right.png")])
    output = capsys.readouterr().out
    assert "4 images have a patient neither in a header nor in labels: all of one folder count as one patient" in output
    assert "Give --labels a column patient" in output


def test_a_mistake_is_refused_before_anything_is_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joint = "top.png,L,svdh_scoring,jsn,MCP2,{},,P1"
    for rows, words in (
        ([view("top.png"), joint.format("7")], "0.csv, row 3: jsn at MCP2 of svdh_scoring is none of 0, 1, 2, 3, 4"),
        ([joint.format("1"), joint.format("1.0"), joint.format("2")], "rows 2, 4: one reading has two values"),
        ([joint.format("1").replace("MCP2", "mcp2")], "unknown site; did you mean MCP2?"),
        (
            [joint.format("1").replace("jsn", "erosion").replace("MCP2", "RC")],
            "erosion of svdh_scoring at an unknown site",
        ),
    ):
        with pytest.raises(SystemExit) as ended:
            ingest(place, rows)
        message = capsys.readouterr().err
        assert ended.value.code == 2 and words in message and message.count("\n") == 1
        assert not (place / "data").exists() and not (place / "ledger").exists()


def test_no_name_gets_into_the_data(place: Path) -> None:
    ingest(place, [view("Doe^Jane.png", reader="Roe", patient="Doe^Jane"), view("ward7/lost.png", reader="Roe")])
    for file in (file for file in (place / "data").rglob("*") if file.is_file()):
        text = file.read_bytes()
        if file.suffix == ".parquet" and file.parent.name == "labels":
            text += json.dumps(rows_of(open_store(str(place / "data")), LABELS)).encode()
        assert not any(name.encode() in text for name in CANARIES), file
    names = [row["name"] for row in rows_of(open_store(str(place / "ledger")), READERS)]
    assert names == ["Roe"]


def test_notes_stay_beside_the_ledger_and_sites_are_from_a_closed_list(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place / "notes.csv"
    head = f"{HEAD},note\n"
    file.write_text(f"{head}{view('top.png', reader='Roe')},Doe^Jane moved\n{view('right.png')},\n")
    ingest(place, options=["--pictures", "radiograph", "--labels", str(file)])
    (note,) = rows_of(open_store(str(place / "ledger")), NOTES)
    assert note["note"] == "Doe^Jane moved" and note["reader"].startswith("reader-")
    assert not any(b"moved" in path.read_bytes() for path in (place / "data").rglob("*") if path.is_file())
    for row in ("top.png,,hand_filter,view,Doe^Jane,both,,P1,", "top.png,L,ultrasound_grading,grade,Doe^Jane,1,,P1,"):
        file.write_text(f"{head}{row}\n")
        with pytest.raises(SystemExit) as ended:
            ingest(place, options=["--labels", str(file)])
        message = capsys.readouterr().err
        assert ended.value.code == 2 and "site" in message and "Doe" not in message
    file.write_text(f"{head}{view('top.png')},Doe^Jane moved\n")
    main(["ingest", str(place / "films"), str(place / "other"), "--pictures", "radiograph", "--labels", str(file)])
    assert "1 notes of the labels are left out" in capsys.readouterr().out


def test_the_path_that_may_be_meant_is_looked_for_by_name() -> None:
    paths = {"a/IM-0001.dcm": True, "b/scan.avi": False, "c/Hand_L.png": True, "d/hand_l.png": True, "e/x": True}
    meant = nearest_paths(["IM-0001.jpg", "b/scan.avi", "im-01", "hand_l.tif", "quite another"], paths)
    assert meant == {
        "IM-0001.jpg": ("a/IM-0001.dcm", "no file has this name"),
        "b/scan.avi": ("b/scan.avi", "the file is no image; see rejects"),
        "im-01": ("a/IM-0001.dcm", "no file has this name"),
        "hand_l.tif": ("c/Hand_L.png", "several files have a name like this"),
        "quite another": (None, "no file has this name"),
    }
