"""Whose films are whose: IDs with their issuers, IDs that several people share, and the ledger apart from all."""

import json
from pathlib import Path
from typing import Any

import pytest

from rajobs.__main__ import main
from rajobs.records.manifest import read_manifest
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import CLINIC, IMAGES
from tests.imaging.dicom_files import dicom, film

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

WARNING = "no --ledger: results of this run cannot be linked back to patients later"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    return tmp_path


def put_film(place: Path, number: int, patient: str | None, **header: Any) -> None:
    uids = {"SOPInstanceUID": f"1.2.{number}", "StudyInstanceUID": f"1.3.{number}"}
    data = dicom(film(seed=number), **uids, PatientID=patient, **{"StudyDate": "20200110", **header})
    (place / "films" / f"{number}.dcm").write_bytes(data)


def ingest(place: Path, *options: str) -> None:
    main(["ingest", str(place / "films"), str(place / "out"), *options])


def patients(place: Path) -> list[str]:
    """The patients of the films, in their order."""
    rows = read_table(open_store(place / "out"), "images", IMAGES, ["patient"])
    return [str(name) for name in rows.column("patient").to_pylist()]


def test_patients_are_joined_by_their_id_and_its_issuer(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, issuer in enumerate(("A", "B", "A", None)):
        put_film(place, number, "1234", IssuerOfPatientID=issuer) if issuer else put_film(place, number, "1234")
    (place / "clinic.csv").write_text(
        "patient,visit_date,esr\n1234^^^B,2020-01-10,12\n1234,2020-01-10,9\n99,2020-01-10,9\n"
    )
    ingest(place, "--clinic", str(place / "clinic.csv"), "--ledger", str(place / "ledger"))
    first, second, third, fourth = patients(place)
    assert first == third and len({first, second, fourth}) == 3
    clinic = read_table(open_store(place / "out"), "clinic", CLINIC).to_pylist()
    days = read_table(open_store(place / "out"), "images", IMAGES, ["visit_date"]).column("visit_date").to_pylist()
    assert [(row["patient"], row["visit_date"]) for row in clinic[:2]] == [(second, days[1]), (fourth, days[3])]
    output = capsys.readouterr().out
    assert "1 of 3 patients of the clinic table have no image" in output and WARNING not in output
    assert "seem to stand for several people" not in output


def test_ids_that_several_people_share_are_counted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = {"PatientSex": "F", "PatientAge": "050Y"}
    for number, (patient, header) in enumerate([
        ("P1", same), ("P1", {**same, "PatientAge": "052Y", "StudyDate": "20210620"}),  # a birthday on the way
        ("P2", same), ("P2", {**same, "PatientSex": "M"}),
        ("P3", same), ("P3", {**same, "StudyDate": "20150110"}),
        ("ANON", same), ("0000", {}), ("0000", {}),
        (None, same), (None, {}),
    ]):  # fmt: skip
        put_film(place, number, patient, **header)
    for _ in range(2):
        ingest(place)
        output = capsys.readouterr().out
        assert "4 patient IDs seem to stand for several people" in output and ": 7 images, which count" in output
        assert "2 images have a header that names no patient: each exam counts as one patient" in output
        assert "all of one folder" not in output
    assert output.startswith(WARNING) and len(set(patients(place))) == 7
    (place / "films" / "6.dcm").unlink()
    manifest = read_manifest(open_store(place / "out")) or {}
    assert manifest["patients"]["doubtful"] == 4 and "ANON" not in json.dumps(manifest)


def test_the_ledger_lies_apart_from_the_tables(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_film(place, 1, "P1")
    out = place / "out"
    (place / "link").symlink_to(out)
    for ledger in (out, out / "ledger", place / "link" / "ledger", place):
        with pytest.raises(SystemExit) as refused:
            ingest(place, "--ledger", str(ledger))
        (line,) = capsys.readouterr().err.splitlines()
        assert refused.value.code == 2 and "choose a place apart for --ledger" in line and not out.exists()
    with pytest.raises(SystemExit) as refused:
        ingest(place, "--ledger", str(place / "ledger"), "--no-ledger")
    assert refused.value.code == 2 and "contradict each other" in capsys.readouterr().err
    ingest(place, "--no-ledger")
    assert "--ledger" not in capsys.readouterr().out, "nobody is warned of what was meant"


def test_an_ingest_whose_shards_have_names_without_a_key_is_refused_and_stays_as_it_is(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_film(place, 1, "P1")
    ingest(place)
    store = open_store(place / "out")
    (marker,) = [entry.key for entry in store.list("shards/")]
    content = json.loads(store.get(marker))
    content["files"] = content.pop("loose")  # as it was before
    store.put(marker, json.dumps(content).encode())
    store.put("manifest.json", store.get("manifest.json").replace(b'"input": "', b'"input": "0'))
    put_film(place, 2, "P2")
    before = {entry.key: store.get(entry.key) for entry in store.list() if not entry.key.startswith("lease/")}
    capsys.readouterr()
    with pytest.raises(SystemExit) as refused:
        ingest(place)
    assert refused.value.code == 2
    assert "an earlier version of rajobs began this ingest; start it anew, in an empty OUT" in capsys.readouterr().err
    after = {entry.key: store.get(entry.key) for entry in store.list() if not entry.key.startswith("lease/")}
    assert after == before
