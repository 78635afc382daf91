"""Results linked back by those who hold the ledger, and what status says of an output."""

import csv
import json
from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.phantoms.packaging.canaries import canaries, leaks

PICTURES = (".png", ".jpg", ".tif", ".bmp")  # no header: the patient is the one that the labels name

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


def test_link_puts_the_originals_back(data: Path, phantom: Path, tmp_path: Path) -> None:
    main(["link", str(data / "labels"), str(data.parent / "ledger"), str(tmp_path / "out.csv")])
    with (phantom / "expected.csv").open() as file:
        uids = {row["sop_uid"] for row in csv.DictReader(file)}
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    people = json.loads((phantom / "phantom.json").read_text())["counts"]["people"]
    words = canaries(seed=0, patients=people)
    linked = [row for row in rows if row["sop_uid"]]
    assert linked
    assert {row["sop_uid"] for row in linked} <= uids
    assert all(leaks(row["patient_id"].encode(), words) for row in linked if not row["path"].endswith(PICTURES))


def test_the_ledger_names_the_clinic_s_patients_and_is_its_owner_s_alone(data: Path, tmp_path: Path) -> None:
    files = [path for path in (data.parent / "ledger").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    (clinic,) = (path for path in files if path.parent.name == "crosswalk" and path.name.startswith("clinic-"))
    (tmp_path / "crosswalk").mkdir()
    (tmp_path / "crosswalk" / clinic.name).write_bytes(clinic.read_bytes())
    main(["link", str(data / "clinic"), str(tmp_path), str(tmp_path / "out.csv")])
    with (tmp_path / "out.csv").open() as file:
        assert all(row["patient_id"] for row in csv.DictReader(file))


def test_link_without_the_ledger_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["link", str(data / "images"), str(tmp_path), str(tmp_path / "out.csv")])
    assert "--ledger" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_status_tells_done_from_stopped(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", str(data)])
    assert "finished" in capsys.readouterr().out
    for name in ("run.json", "plan.json"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    mark = sorted((data / "shards").iterdir())[0]
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / mark.name).write_bytes(mark.read_bytes())
    main(["status", str(tmp_path)])
    output = capsys.readouterr().out
    assert "parts done  1" in output
    assert f"parts left  {len(list((data / 'shards').iterdir())) - 1}" in output
    assert "stopped" in output
