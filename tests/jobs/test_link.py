"""Linking back, from a ledger alone: by image, else by patient, and not at all with the ledger of another key."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rajobs.__main__ import main
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import CROSSWALK, READERS


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with a film of one patient, a file that is no image, and a patient of the clinic table alone."""
    film = {"image_ids": ["film"], "patient": "a", "patient_id": "P1^^^KIS", "sop_uid": "1.2", "path": "f.dcm"}
    clinic = {"image_ids": [], "patient": "b", "patient_id": "P2", "path": "clinic table"}
    rows = [film, clinic, {"image_ids": [], "path": "readme"}]
    table = CROSSWALK.rows([{**row, "source": str(number)} for number, row in enumerate(rows)])
    open_store(tmp_path / "ledger").put("crosswalk/part-0.parquet", to_parquet(table, CROSSWALK))
    return tmp_path / "ledger"


def test_a_row_is_found_by_its_image_else_by_its_patient(ledger: Path, tmp_path: Path) -> None:
    shown = ("patient_id", "patient_issuer", "sop_uid", "path")
    (tmp_path / "in.csv").write_text("image_id,patient\nfilm,a\nvisit,b\nvisit,\n")
    main(["link", str(tmp_path / "in.csv"), str(ledger), str(tmp_path / "out.csv")])
    with (tmp_path / "out.csv").open() as file:
        rows = [tuple(row[name] for name in shown) for row in csv.DictReader(file)]
    assert rows == [("P1", "KIS", "1.2", "f.dcm"), ("P2", "", "", ""), ("", "", "", "")]
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600, "it names patients"


def test_readers_get_their_names_back(ledger: Path, tmp_path: Path) -> None:
    readers = READERS.rows([{"reader": "reader-1", "name": "Anna"}, {"reader": "reader-1", "name": "anna"}])
    open_store(ledger).put("readers/part-0.parquet", to_parquet(readers, READERS))
    (tmp_path / "in.csv").write_text("image_id,reader,value\nfilm,reader-1,3\nfilm,truth,2\n")
    (tmp_path / "readers.csv").write_text("reader,kappa\nreader-1,0.7\ntruth,1.0\n")
    for name in ("in.csv", "readers.csv"):
        main(["link", str(tmp_path / name), str(ledger), str(tmp_path / "out.csv")])
        with (tmp_path / "out.csv").open() as file:
            rows = [(row["reader_name"], row.get("patient_id")) for row in csv.DictReader(file)]
        patient = "P1" if name == "in.csv" else None
        assert rows == [("Anna", patient), ("", patient)]


def test_a_path_that_excel_would_run_is_escaped_and_a_cell_is_escaped_once(ledger: Path, tmp_path: Path) -> None:
    film = {"image_ids": ["f"], "patient": "c", "patient_id": "=HYPERLINK(A1)", "path": "-x.dcm", "source": "s"}
    open_store(ledger).put("crosswalk/part-1.parquet", to_parquet(CROSSWALK.rows([film]), CROSSWALK))
    (tmp_path / "in.csv").write_text("image_id,'=note,shift\nf,'=1+1,-3\n")
    main(["link", str(tmp_path / "in.csv"), str(ledger), str(tmp_path / "out.csv")])
    with (tmp_path / "out.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["'=note"], row["shift"], row["patient_id"], row["path"]) == (
        "'=1+1", "-3", "'=HYPERLINK(A1)", "'-x.dcm",
    )  # fmt: skip


def test_a_labels_file_is_linked_by_its_images(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("image,jsn_MCP1\nfilm,\n")
    main(["link", str(tmp_path / "in.csv"), str(ledger), str(tmp_path / "out.csv")])
    assert '"P1","KIS","1.2",' in (tmp_path / "out.csv").read_text()


def wrong_files(place: Path) -> None:
    """Files and folders that a tired person may take for a table."""
    crosswalk = (place / "ledger" / "crosswalk" / "part-0.parquet").read_bytes()
    content = {
        "no-header.csv": b"Doe^Jane,1950\nRoe^Jim,1951\n", "other.csv": b"name,age\nDoe^Jane,70\n", "empty.csv": b"",
        "latin-names.csv": "image_id,Grö\nfilm,2\n".encode("latin-1"),
        "utf-16.csv": "image_id\nfilm\n".encode("utf-16"),
        "latin.csv": "image_id,a\nfilm,Grö\n".encode("latin-1"), "twice.csv": b"image_id,image_id\nfilm,film\n",
        "ragged.csv": b"image_id,a\nfilm\nfilm,2,Doe^Jane\n", "linked.csv": b"image_id,patient_id\nfilm,P1\n",
        "cut.parquet": crosswalk[:-20], "damaged.parquet": crosswalk[:-60] + b"\xff" * 40 + crosswalk[-20:],
        "picture.dcm": bytes(200), "damaged-part/a.parquet": b"PAR1", "two-tables/a.parquet": crosswalk,
    }  # fmt: skip
    for name, data in content.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(data)
    (place / "folder.csv").mkdir()
    pq.write_table(pa.table({"image_id": ["film"]}), place / "two-tables" / "b.parquet")
    pq.write_table(pa.table({"image_id": [["film"]]}), place / "lists.parquet")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-header.csv", "has none of the columns image_id, image, patient, reader"),
        ("other.csv", "has none of the columns image_id, image, patient, reader"),
        *((name, "is no CSV in UTF-8 and no Parquet") for name in (
            "empty.csv", "latin-names.csv", "utf-16.csv", "latin.csv", "ragged.csv", "cut.parquet", "damaged.parquet",
            "picture.dcm", "damaged-part", "two-tables",
        )),
        ("twice.csv", "has two columns of one name"),
        ("linked.csv", "has patient_id already: it is linked, or the ledger's own"),
        ("ledger/crosswalk", "it is linked, or the ledger's own"),
        ("lists.parquet", "the column image_id of"),
        ("folder.csv", "there is no table at"),
        ("out.csv", "OUT is TABLE itself"),
    ],
)  # fmt: skip
def test_the_wrong_file_is_named_in_one_line_that_quotes_no_cell(
    name: str, words: str, ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong_files(tmp_path)
    with pytest.raises(SystemExit):
        main(["link", str(tmp_path / name), str(ledger), str(tmp_path / "out.csv")])
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1 and "Doe" not in message
    assert not (tmp_path / "out.csv").exists()


def test_a_table_that_was_saved_with_semicolons_is_linked(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("image_id;note\nfilm;1,5\n")
    main(["link", str(tmp_path / "in.csv"), str(ledger), str(tmp_path / "out.csv")])
    with (tmp_path / "out.csv").open() as file:
        assert [(row["note"], row["patient_id"]) for row in csv.DictReader(file)] == [("1,5", "P1")]


def test_a_ledger_that_knows_no_row_is_another_one(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text("patient\nof another key\nof another key too\n")
    with pytest.raises(SystemExit) as ended:
        main(["link", str(tmp_path / "in.csv"), str(ledger), str(tmp_path / "out.csv")])
    message = capsys.readouterr().err
    assert ended.value.code == 1 and "knows none of the 2 rows" in message and message.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()
