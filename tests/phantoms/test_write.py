"""A phantom as a whole: the same seed gives the same bytes, and every file has its fate."""

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from rajobs.phantoms.packaging.archives import CONTAINERS
from rajobs.phantoms.packaging.canaries import canaries, leaks
from rajobs.phantoms.packaging.damaged_files import damage_kinds
from rajobs.phantoms.packaging.hostile_archives import hostile_kinds
from rajobs.phantoms.packaging.stray_files import STRAYS
from rajobs.phantoms.picture import Patient, Picture, Truth
from rajobs.phantoms.write import PhantomSummary, write_phantoms, write_pictures
from rajobs.records.errors import UnknownName, UsageError, WrongOutput

pytestmark = pytest.mark.slow

_FILMS = 46


def _films(count: int = _FILMS) -> Iterator[Picture]:
    rows, columns = np.indices((96, 72))
    for number in range(count):
        frame = 1800 + 1200 * np.sin(rows / 23 + number) * np.cos(columns / 17)
        yield Picture(
            frames=(frame.astype(np.uint16),),
            modality="CR",
            body_part="hand",
            bits=12,
            spacing_mm=0.15,
            patient=Patient(number=number // 8, sex="F", birth=date(1950, 2, 3), ra=True),
            taken=date(2015, 5, 6),
            visit=1,
            laterality="L",
            inverted=number % 5 == 0,
            window=(2000, 3000),
            truths=(Truth(study="hand_filter", target="view", value="unilateral"),),
        )


def _write(out: Path, *, seed: int = 3, damage: float = 0.05, count: int = _FILMS) -> PhantomSummary:
    return write_pictures(
        str(out),
        _films(count),
        contact_sheet=lambda shown: b"%d" % len(shown),
        seed=seed,
        patients=6,
        damage=damage,
        arguments={},
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / name).read_text().splitlines()))


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    _write(folder)
    return folder


def _leaves(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every file below an archive, read by a few lines independent of the product."""
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                inside = [(info.filename, archive.read(info)) for info in archive.infolist()]
        elif name.endswith((".tar", ".tar.gz", ".tgz")):
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                inside = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
        else:
            yield name, data
            return
    except (zipfile.BadZipFile, RuntimeError, EOFError, tarfile.TarError):
        yield name, data
        return
    for inner, content in inside:
        yield from ((f"{name}!/{below}", leaf) for below, leaf in _leaves(inner, content))


def test_every_file_has_one_fate(phantom: Path) -> None:
    expected = {row["object"]: row for row in _rows(phantom, "expected.csv")}
    assert len(expected) == len(_rows(phantom, "expected.csv"))
    leaves = dict(leaf for name, data in _files(phantom / "archives").items() for leaf in _leaves(name, data))
    hostile = {path for path, row in expected.items() if row["kind"].startswith(("hostile", "test"))}
    whole = {path for path in leaves if not any(path.startswith(other.partition("!")[0]) for other in hostile)}
    assert whole == set(expected) - hostile
    for path in whole:
        row = expected[path]
        if row["fate"] == "images" and row["sop_uid"]:
            dataset = pydicom.dcmread(io.BytesIO(leaves[path]), force=True, stop_before_pixels=True)
            assert dataset.SOPInstanceUID == row["sop_uid"]


def test_every_kind_of_file_is_there(phantom: Path) -> None:
    kinds = {row["kind"] for row in _rows(phantom, "expected.csv")}
    assert {f"stray:{kind}" for kind in STRAYS} <= kinds
    assert {f"damage:{kind}" for kind in damage_kinds()} <= kinds
    assert {f"hostile:{kind}" for kind in hostile_kinds()} <= kinds
    assert {"copy:bytes", "copy:recoded", "copy:cut"} <= kinds


def test_copies_follow_the_original(phantom: Path) -> None:
    rows = _rows(phantom, "expected.csv")
    for copy in (row for row in rows if row["kind"] in ("copy:bytes", "copy:recoded")):
        original = [row for row in rows if row["sop_uid"] == copy["sop_uid"] and row["fate"] == "images"]
        assert len(original) == 1
        assert original[0]["object"].partition("!/")[0] < copy["object"].partition("!/")[0]
        assert "!/" in original[0]["object"]
        assert "!/" in copy["object"]
    for broken in (row for row in rows if row["kind"] == "copy:cut"):
        assert any(row["sop_uid"] == broken["sop_uid"] and row["fate"] == "images" for row in rows)


def test_labels_name_each_film_once_and_pictures_by_path_and_patient(phantom: Path) -> None:
    labels, rows = _rows(phantom, "labels.csv"), _rows(phantom, "expected.csv")
    images = [row for row in rows if row["kind"].startswith("film:")]
    assert len(images) == _FILMS
    known = {label["image"]: label["patient"] for label in labels}
    for row in images:
        assert bool(known[row["sop_uid"] or row["object"]]) == (not row["sop_uid"])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(phantom: Path, tmp_path: Path) -> None:
    _write(tmp_path / "again")
    _write(tmp_path / "other", seed=4)
    assert _files(tmp_path / "again") == _files(phantom)
    assert not set(_files(tmp_path / "other" / "archives").values()) & set(_files(phantom / "archives").values()) - {
        b""
    }
    words = canaries(seed=3, patients=1)
    assert leaks(b"".join(_files(phantom).values()), words)
    assert not leaks(b"".join(_files(tmp_path / "other").values()), words)


def test_a_second_start_does_nothing_and_an_interrupted_one_is_completed(phantom: Path, tmp_path: Path) -> None:
    before = _files(phantom)
    assert _write(phantom).already
    assert _files(phantom) == before
    out = tmp_path / "half"
    broken = (film if number < 30 else 1 / 0 for number, film in enumerate(_films()))  # type: ignore[misc]
    with pytest.raises(ZeroDivisionError):
        write_pictures(
            str(out), broken, contact_sheet=lambda _: b"", seed=3, patients=6, damage=0.05, arguments={}
        )  # fmt: skip
    with pytest.raises(WrongOutput):
        _write(out, seed=4)
    assert not _write(out).already
    assert _files(out) == before


def test_other_outputs_are_refused_untouched(phantom: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongOutput, match="other arguments"):
        _write(phantom, seed=5)
    (tmp_path / "thesis.txt").write_text("text")
    with pytest.raises(WrongOutput, match="no phantom"):
        _write(tmp_path)
    assert list(_files(tmp_path)) == ["thesis.txt"]


def test_without_damage_nothing_is_rejected(tmp_path: Path) -> None:
    summary = _write(tmp_path, damage=0.0)
    assert "rejects" not in summary.fates
    assert summary.fates["images"] == _FILMS
    assert summary.archives >= 5
    assert len({name.partition("_")[0] for name in _files(tmp_path / "archives")}) <= len(CONTAINERS)


def test_archives_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rajobs.phantoms.packaging.archives.ARCHIVE_BYTES", 60_000)
    write_pictures(
        str(tmp_path),
        (replace(film, truths=()) for film in _films(40)),
        contact_sheet=lambda _: b"",
        seed=0,
        patients=400,
        damage=0.0,
        arguments={},
    )
    assert max(len(data) for data in _files(tmp_path / "archives").values()) < 60_000 + 80_000 + 10_240


def test_wrong_use_is_named_before_anything_is_written(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(UsageError, match="at least one patient"):
        write_phantoms(out, patients=0)
    with pytest.raises(UsageError, match="damaged share"):
        write_phantoms(out, damage=1.0)
    with pytest.raises(UnknownName, match="SMALL"):
        write_phantoms(out, size="SMAL")
    with pytest.raises(UnknownName):
        write_phantoms(out, difficulty="none")
    with pytest.raises(UnknownName, match="ultrasound"):
        write_phantoms(out, only="ultrasounds")
    assert not (tmp_path / "out").exists()
