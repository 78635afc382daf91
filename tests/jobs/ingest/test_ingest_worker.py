"""One worker of ingest, without Ray: what it puts, what it counts, and what it does after other workers' deaths."""

import errno
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.image import Box, Mask, ReadOptions
from rajobs.jobs.ingest import duplicates
from rajobs.jobs.ingest.inventory import LineSpool, split_batch, take_inventory
from rajobs.jobs.ingest.job import report_parts_without_ledger
from rajobs.jobs.ingest.label_hints import label_changes, label_hints
from rajobs.jobs.ingest.label_ids import label_ids
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.jobs.ingest.markers import Attempts, DoneShards, count, read_done, read_markers
from rajobs.jobs.ingest.worker import IngestSettings, IngestWorker, digest_options
from rajobs.records.errors import BadKey, MediumFault
from rajobs.records.identity import Key
from rajobs.records.store import Store, local, open_store
from rajobs.records.store.lease import Fence
from rajobs.records.tables.parquet_parts import list_parts, read_table
from rajobs.records.tables.schemas import CROSSWALK, IMAGES, REJECTS
from tests.imaging.dicom_files import dicom, film, scan_rgb

BOX: Box = (4, 2, 40, 30)
pytestmark = pytest.mark.slow

SEED = "0123456789abcdef01234567"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A source with two films and a scan without regions, and a place for what comes of it."""
    monkeypatch.setenv("RAJOBS_KEY", "a key for tests alone, drawn by nobody")
    source = tmp_path / "source"
    source.mkdir()
    (source / "1.dcm").write_bytes(dicom(film(seed=1), SOPInstanceUID="1.2.1"))
    (source / "2.dcm").write_bytes(dicom(film(seed=2), SOPInstanceUID="1.2.2"))
    (source / "3.dcm").write_bytes(dicom(scan_rgb(), SOPInstanceUID="1.2.3", Manufacturer="Esaote"))
    return source, tmp_path / "out"


def shards_of(source: Path, done: DoneShards | None = None) -> list[str]:
    with LineSpool() as spool:
        take_inventory([str(source)], spool)
        key = Key.from_environment()
        listed = [shard for line in spool.lines() for shard in split_batch(line, done or DoneShards(), key)]
        return [shard.to_read for shard in listed if shard.to_read]


def work(source: Path, out: Path, options: ReadOptions | None = None, **how: Any) -> None:
    """All that is left, as the driver would have it done."""
    options = options or ReadOptions()
    key, store, labels = Key.from_environment("RAJOBS_KEY"), open_store(str(out)), how.get("labels")
    uris, paths = (labels,) if labels else (), how.get("file_paths", {})
    hints = label_hints(read_study_labels(uris), paths)
    done = read_done(store, digest_options(options), label_changes(store, key, hints), how.get("centre"))
    worker = IngestWorker(IngestSettings(
        out=str(out), ledger=how.get("ledger"), labels=uris, file_paths=paths, replace_labels=False,
        key_env="RAJOBS_KEY", fingerprint=key.fingerprint, options=options, centre=how.get("centre"),
        run=how.get("run", 1),
    ))  # fmt: skip
    for text in shards_of(source, done):
        worker({"shard": text})
    worker.close()


def counts(store: Store) -> Counter[str]:
    """The counts of all that is done."""
    return count(read_markers(store).values())


def sweep(store: Store) -> None:
    """Remove what has been replaced, as the driver does it at its end."""
    duplicates.sweep(Fence(store, 1), read_markers(store))


def test_a_mask_brings_back_what_had_no_region(places: tuple[Path, Path]) -> None:
    source, out = places
    store = open_store(str(out))
    work(source, out)
    assert dict(counts(store)) == {
        "objects": 3, "images": 2, "frames": 2, "reject:no-region": 1, "shards": 1,
        "coded_bytes": counts(store)["coded_bytes"],
    }  # fmt: skip
    mask = Mask(manufacturer="ESAOTE", model=None, rows=32, columns=48, boxes=(BOX,))
    work(source, out, ReadOptions(masks=(mask,)))
    assert counts(store)["images"] == 3 and counts(store)["reject:no-region"] == 0
    (marker,) = read_markers(store).values()
    assert {key.partition("/")[0] for key in marker.parts} == {"images", "places"}
    assert not list(out.glob("attempts/*")), "what is done needs no count of attempts"


def test_a_node_with_another_key_takes_nothing_in(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = places
    driver, other = Key.from_environment("RAJOBS_KEY").fingerprint, "another key, which stands on one node alone"
    monkeypatch.setenv("RAJOBS_KEY", other)
    with pytest.raises(BadKey, match=f"than the job's \\({driver}\\); set the job's key on every node") as refused:
        IngestWorker(IngestSettings(
            out=str(out), ledger=None, labels=(), file_paths={}, replace_labels=False, key_env="RAJOBS_KEY",
            fingerprint=driver, options=ReadOptions(), run=1,
        ))  # fmt: skip
    assert other not in str(refused.value) and "\n" not in str(refused.value) and not out.exists()


def test_a_file_that_takes_two_workers_with_it_is_turned_away(places: tuple[Path, Path]) -> None:
    source, out = places
    store = open_store(str(out))
    (text,) = shards_of(source)
    name = Shard.from_json(text).name(Key.from_environment())

    def members(deadly: int | None) -> Iterator[ArchiveMember]:
        for number, path in enumerate(sorted(source.iterdir())):
            yield ArchiveMember(path=path.name, data=path.read_bytes(), size=9)
            assert number != deadly, "dead"

    for _ in range(3):  # the first death is nobody's: only from then on is every file noted
        with pytest.raises(AssertionError):
            list(Attempts(store, name, 1).watch(members(1)))
    for other in (2, 3):  # drivers that were killed, whatever their workers were reading
        next(Attempts(store, "other", other).watch(members(None)))
    assert not Attempts(store, "other", 4).careful
    kept = list(Attempts(store, name, 1).watch(members(None)))
    assert [member.reject.reason if member.reject else None for member in kept] == [None, "decoder-crashed", None]
    work(source, out)
    rejects = read_table(store, "rejects", REJECTS)
    assert sorted(rejects.column("reason").to_pylist()) == ["decoder-crashed", "no-region"]


def test_a_centre_is_kept_until_another_one_is_named(places: tuple[Path, Path], tmp_path: Path) -> None:
    source, out = places
    store, other, labels = open_store(str(out)), tmp_path / "other", tmp_path / "labels.csv"
    other.mkdir()
    (other / "9.dcm").write_bytes(dicom(film(seed=9), SOPInstanceUID="1.2.9"))

    def centres(place: Path, centre: str | None = None, **how: Any) -> list[str | None]:
        work(place, out, centre=centre, **how)
        sweep(store)
        return sorted(read_table(store, "images", IMAGES).column("centre").to_pylist(), key=str)

    assert centres(source) == [None, None]
    assert centres(source, "basel") == ["basel", "basel"], "given later, it is filled"
    assert centres(other, "bern-2") == ["basel", "basel", "bern-2"], "each source has its own"
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.*")}
    assert centres(source) == centres(other) == ["basel", "basel", "bern-2"]
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.*")} == before, "nothing is read again"
    labels.write_text(f"image,study,target,value,derived_from\n1.2.1,hand_filter,view,both,{SEED}\n")
    assert centres(source, labels=str(labels)) == ["basel", "basel", "bern-2"], "read again, for another reason"
    assert SEED in read_table(store, "images", IMAGES).column("derived_from").to_pylist()


def test_lineage_comes_from_labels_and_from_headers(places: tuple[Path, Path], tmp_path: Path) -> None:
    source, out = places
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.2"
    (source / "4.dcm").write_bytes(dicom(film(seed=4), SOPInstanceUID="1.2.4", SourceImageSequence=Sequence([item])))
    labels = tmp_path / "labels.csv"
    labels.write_text(f"image,study,target,value,derived_from\n1.2.1,hand_filter,view,both,{SEED}\n")
    work(source, out, labels=str(labels))
    rows = read_table(open_store(str(out)), "images", IMAGES).to_pylist()
    assert [row["derived_from"] for row in rows] == [SEED, None, rows[1]["image_id"]]


@pytest.mark.slow
def test_labels_that_come_late_are_heard_and_what_they_say_again_costs_nothing(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    source, out = places
    store, ledger, key = open_store(str(out)), tmp_path / "ledger", Key.from_environment("RAJOBS_KEY")
    for name, value in (("one", 3), ("two", 5)):
        (source / f"{name}.png").write_bytes(cv2.imencode(".png", np.full((40, 40), value, np.uint8))[1].tobytes())

    def ingested_with(*rows: str) -> dict[str, dict[str, Any]]:
        """The images by path, once these labels have come; the second time nothing is read."""
        labels = tmp_path / "labels.csv"
        labels.write_text("\n".join(("image,study,target,value,patient,derived_from", *rows)))
        work(source, out, labels=str(labels), ledger=str(ledger))
        before = {file: file.stat().st_mtime_ns for file in out.rglob("*.*")}
        work(source, out, labels=str(labels), ledger=str(ledger))
        assert {file: file.stat().st_mtime_ns for file in out.rglob("*.*")} == before
        files = read_table(open_store(str(ledger)), "crosswalk", CROSSWALK).to_pylist()
        assert len(files) == 5 == len({row["source"] for row in files}), "the ledger tells of a file once"
        sweep(store)
        images = {row["image_id"]: row for row in read_table(store, "images", IMAGES).to_pylist()}
        return {row["path"]: images[row["image_ids"][0]] for row in files if row["image_ids"]}

    def patient(name: str) -> str:
        return key.pseudonym("patient", name)

    work(source, out, ledger=str(ledger))
    assert counts(store)["reject:no-modality"] == 2
    images = ingested_with("one.png,hand_filter,view,both,,", "3.dcm,ultrasound_grading,grade,1,,")
    assert images.keys() == {"1.dcm", "2.dcm", "one.png"} and images["one.png"]["patient"] == patient("folder ")
    images = ingested_with("one.png,hand_filter,view,both,Q1,", "2.dcm,hand_filter,view,both,Q1,")
    assert images["one.png"]["patient"] == patient("Q1") != images["2.dcm"]["patient"]
    markers = {file: file.stat().st_mtime_ns for file in out.glob("shards/*")}
    assert ingested_with("two.dcm,hand_filter,view,both,,").keys() == images.keys(), (
        "labels of others bring nothing new"
    )
    assert {file: file.stat().st_mtime_ns for file in out.glob("shards/*")} == markers
    images = ingested_with("one.png,hand_filter,view,both,Q2,", f"2.dcm,hand_filter,view,both,,{SEED}")
    assert images["one.png"]["patient"] == patient("Q2") and images["2.dcm"]["derived_from"] == SEED
    assert not any("Q2" in file.read_text() or "png" in file.read_text() for file in out.glob("shards/*"))


def test_a_name_that_is_no_text_is_read_like_any_other(places: tuple[Path, Path], tmp_path: Path) -> None:
    source, out = places
    (source / b"f\xfclm".decode(errors="surrogateescape")).write_bytes(dicom(film(seed=5), SOPInstanceUID="1.2.5"))
    (source / "back").symlink_to(source, target_is_directory=True)  # a link that leads back up
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "6").write_bytes(dicom(film(seed=6), SOPInstanceUID="1.2.6"))
    (source / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    folder = source / b"M\xfcller".decode(errors="surrogateescape")
    folder.mkdir()  # whose name stands for the patient
    (folder / "7").write_bytes(dicom(film(seed=7), SOPInstanceUID="1.2.7", PatientID=None))
    work(source, out, ledger=str(tmp_path / "ledger"))
    store = open_store(str(out))
    assert counts(store)["images"] == 4 and counts(store)["ignored:outside-link"] == 1
    assert counts(store)["objects"] == 6
    paths = read_table(open_store(str(tmp_path / "ledger")), "crosswalk", CROSSWALK).column("path").to_pylist()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "ledger").glob("*/*")} == {0o600}, "it names patients"
    assert sorted(paths) == ["1.dcm", "2.dcm", "3.dcm", "M\N{REPLACEMENT CHARACTER}ller/7",
                             "f\N{REPLACEMENT CHARACTER}lm", "link"]  # fmt: skip
    assert len(list_parts(store, "images")) == 1 and np.unique(paths).size == 6


def test_what_is_gone_when_its_turn_comes_is_a_reject_and_a_failing_disk_is_none(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = places
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(source / name, "w") as archive:
            archive.writestr("film", dicom(film(seed=8), SOPInstanceUID=f"1.2.8.{ord(name[0])}"))
    store, listed = open_store(str(out)), shards_of(source)
    (source / "1.dcm").unlink()
    (source / "a.zip").unlink()
    read_file, reads = local._open_file, Counter[str]()

    def failing(path: Path) -> BinaryIO:
        reads[path.name] += 1
        if path.name == "b.zip":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read_file(path)

    key = Key.from_environment("RAJOBS_KEY")
    worker = IngestWorker(IngestSettings(
        out=str(out), ledger=None, labels=(), file_paths={}, replace_labels=False, key_env="RAJOBS_KEY",
        fingerprint=key.fingerprint, options=ReadOptions(), run=1,
    ))  # fmt: skip
    monkeypatch.setattr(local, "_open_file", failing)
    monkeypatch.setattr(local, "_RETRY_WAITS", (0.0, 0.0))
    for text in listed:
        if Shard.from_json(text).key == "b.zip":
            with pytest.raises(MediumFault, match="Input/output error") as fault:
                worker({"shard": text})
            assert "b.zip" not in str(fault.value)
        else:
            worker({"shard": text})
    worker.close()
    after = counts(store)
    assert after["objects"] == 4 and after["images"] == 1 and after["reject:unreadable"] == 2
    assert after["shards"] == len(listed) - 1 and reads["b.zip"] == 3, "a failing disk has no marker"


def test_an_archive_that_holds_a_name_twice_is_taken_in_whole(
    places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = places
    film_of = {seed: dicom(film(seed=seed), SOPInstanceUID=f"1.2.{seed}") for seed in (1, 2, 5, 6)}
    with warnings.catch_warnings(), zipfile.ZipFile(source / "again.zip", "w") as archive:
        warnings.simplefilter("ignore")  # zipfile's own, of a name that is there already
        for name, data in (("f", film_of[5]), ("f", film_of[6]), ("alone", film_of[2]), ("DIR", b"t"), ("DIR", b"t")):
            archive.writestr(name, data)
    (source / "2.dcm").unlink()
    work(source, out, ledger=str(tmp_path / "ledger"))
    store = open_store(str(out))
    assert counts(store)["images"] == 4 and counts(store)["ignored:not-an-image"] == 2
    sources = read_table(open_store(str(tmp_path / "ledger")), "crosswalk", CROSSWALK).column("source").to_pylist()
    assert len(set(sources)) == len(sources) == 7
    labels = tmp_path / "labels.csv"
    labels.write_text("image,study,target,value\n" + "".join(
        f"{name},hand_filter,view,both\n" for name in ("again.zip!/f", "again.zip!/alone", "1.2.1", "1.2.5")
    ))  # fmt: skip
    read = read_study_labels([str(labels)])
    assert read is not None
    images = label_ids(store, Key.from_environment("RAJOBS_KEY"), read)
    assert {name for name, _ in images} == {"again.zip!/alone", "1.2.1", "1.2.5"}
    assert capsys.readouterr().out.startswith("1 names of the labels belong to several files each")


def test_a_ledger_that_comes_late_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, ledger = open_store(str(tmp_path / "out")), open_store(str(tmp_path / "ledger"))
    for key in ("images/part-a-unique.2.parquet", "images/part-b.1.parquet"):
        out.put(key, b"")
    ledger.put("crosswalk/part-a.parquet", b"")
    report_parts_without_ledger(ledger.uri, out)
    assert capsys.readouterr().out.startswith("1 parts came in without this --ledger")
    ledger.put("crosswalk/part-b.parquet", b"")
    report_parts_without_ledger(ledger.uri, out)
    assert capsys.readouterr().out == ""
