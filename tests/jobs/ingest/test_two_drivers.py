"""Two drivers on one OUT, one of which wakes up late; and a store that loses parts or turns bits around."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.image import ReadOptions
from rajobs.jobs.ingest import duplicates
from rajobs.jobs.ingest.inventory import LineSpool, split_batch, take_inventory
from rajobs.jobs.ingest.markers import DoneShards, count, parts_by_table, read_markers
from rajobs.jobs.ingest.rereading import read_doubted_again
from rajobs.jobs.ingest.worker import IngestSettings, IngestWorker
from rajobs.records.errors import LeaseLost
from rajobs.records.identity import Key
from rajobs.records.manifest import claim, read_manifest
from rajobs.records.store import Store, lease, open_store
from rajobs.records.store.s3 import S3Store
from rajobs.records.tables.parquet_parts import list_parts, read_table
from rajobs.records.tables.part_index import put_index, stored_sizes
from rajobs.records.tables.schemas import IMAGES
from tests.imaging.dicom_files import dicom, film
from tests.lying_s3 import lying

ARCHIVES = ("a", "b", "c")
FILMS = 2  # in each archive


def archive(name: str) -> bytes:
    """A zip of films, one of which the next archive has, too."""
    packed, first = io.BytesIO(), 10 * ARCHIVES.index(name)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for seed in (*range(first, first + FILMS), first + 10):
            info = zipfile.ZipInfo(f"{seed}.dcm", (2020, 1, 1, 0, 0, 0))
            zipped.writestr(info, dicom(film(seed=seed), SOPInstanceUID=f"1.2.{seed}"))
    return packed.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two archives."""
    place = tmp_path / "source"
    place.mkdir()
    for name in ARCHIVES[:2]:
        (place / f"{name}.zip").write_bytes(archive(name))
    return place


@pytest.fixture
def out(tmp_path: Path) -> Store:
    return open_store(tmp_path / "out")


def worker(out: Store, number: int) -> IngestWorker:
    """A worker of the run with this number."""
    return IngestWorker(IngestSettings(
        out=out.uri, ledger=None, labels=(), file_paths={}, replace_labels=False, key_env="RAJOBS_KEY",
        fingerprint=Key.from_environment().fingerprint, options=ReadOptions(), run=number,
    ))  # fmt: skip


def shards(source: Path) -> list[str]:
    with LineSpool() as spool:
        take_inventory([str(source)], spool)
        key = Key.from_environment()
        listed = [shard for line in spool.lines() for shard in split_batch(line, DoneShards(), key)]
    return [shard.to_read for shard in listed if shard.to_read]


def contents(store: Store) -> dict[str, bytes]:
    """All objects of a store."""
    return {entry.key: store.get(entry.key) for entry in store.list()}


def image_ids(out: Store) -> list[str]:
    return sorted(read_table(out, "images", IMAGES, ["image_id"]).column("image_id").to_pylist())


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_driver_that_wakes_up_late_writes_no_row_that_counts(
    source: Path, out: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lease, "TRUSTED", 1e9)  # its workers do not ask whether they may write: the worst case
    first, second = shards(source)
    with lease.hold(out, "ingest") as late:
        claim(out, "ingest", {"key": Key.from_environment().fingerprint})
        workers = worker(out, late.number)
        workers({"shard": first})
        begun = read_markers(out)
        command = ["ingest", str(source), out.uri, "--max-rejects", "1"]
        with pytest.raises(SystemExit) as refused:
            main(command)
        assert refused.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "is being written by rajobs ingest on" in line and "--take-over" in line
        main([*command, "--take-over"])
        assert "counts equal what the store holds" in capsys.readouterr().out
        manifest, rows, parts = out.get("manifest.json"), image_ids(out), list_parts(out, "images")
        assert len(rows) == len(set(rows)) == 2 * FILMS + 1
        assert any(part in begun[next(iter(begun))].parts for part in parts), "what the late one had done is kept"
        # It wakes up: its worker puts parts and a marker, and its driver comes to its end.
        workers({"shard": second})
        workers.close()
        assert len(stored_sizes(out, ["images"])) > len(parts)
        markers = read_markers(out)
        for write in (
            lambda: duplicates.sweep(late, markers), lambda: put_index(late, parts_by_table(markers.values())),
        ):  # fmt: skip
            with pytest.raises(LeaseLost):
                write()
    assert (out.get("manifest.json"), image_ids(out), list_parts(out, "images")) == (manifest, rows, parts)
    assert count(markers.values())["images"] == len(rows), "the later run's markers count"
    main(command)
    assert "nothing to do" in capsys.readouterr().out
    (source / "c.zip").write_bytes(archive("c"))
    main(command)
    assert set(rows) < set(image_ids(out)) and len(image_ids(out)) == len(set(image_ids(out))) == 3 * FILMS + 1
    assert sorted(stored_sizes(out, ["images"])) == sorted(list_parts(out, "images")), "what it left is swept"


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_worker_of_a_driver_that_was_taken_over_writes_nothing(source: Path, out: Store) -> None:
    with lease.hold(out, "ingest") as late:
        workers = worker(out, late.number)
        with lease.hold(out, "ingest", take_over=True):
            before = contents(out).keys()
            with pytest.raises(LeaseLost):
                workers({"shard": shards(source)[0]})
            workers.close()
            assert {key for key in contents(out).keys() - before if not key.startswith("attempts/")} == set()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_part_that_is_gone_or_was_changed_is_made_anew(
    source: Path, out: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ingest", str(source), out.uri, "--max-rejects", "1"]
    main(command)
    rows, manifest = image_ids(out), read_manifest(out)
    images, places = list_parts(out, "images")[0], list_parts(out, "places")[1]
    out.delete(images)
    out.put(places, b"PAR1")
    # A part that nothing says the run of is not removed: perhaps its marker alone is not listed.
    out.put("images/part-0123456789abcdef01234567.1.parquet", b"somebody's")
    capsys.readouterr()
    main(command)
    output = capsys.readouterr().out
    assert "2 shards are read again: parts of them are gone or not as they were written" in output
    assert "1 parts at" in output and "counts equal what the store holds" in output
    assert image_ids(out) == rows and read_manifest(out) == manifest
    assert out.get("images/part-0123456789abcdef01234567.1.parquet") == b"somebody's"


@pytest.mark.slow
def test_a_member_whose_bytes_were_changed_on_their_way_is_read_again(
    bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    S3Store(bucket).put("a.zip", archive("a"))
    with LineSpool() as spool:
        take_inventory([bucket], spool)
        (listed,) = [shard for line in spool.lines() for shard in split_batch(line, DoneShards(), Key(secret=b"k"))]
    assert listed.to_read is not None
    shard = Shard.from_json(listed.to_read)
    with lying(s3_server) as server, ExitStack() as readers:

        def read() -> Iterator[ArchiveMember]:
            return readers.enter_context(ArchiveReader()).members(store, shard)

        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        store = S3Store(bucket)
        honest = [member.data for member in read()]
        server.tell("flip", times=2, about="a.zip")
        assert any(member.reject for member in read()), "once is not enough"
        server.tell("flip", times=2, about="a.zip")
        assert [member.data for member in read_doubted_again(read)] == honest


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_requests_are_few_for_a_job_and_for_a_shard(
    bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lying(s3_server) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

        def requests(out: str) -> int:
            server.requests.clear()
            main(["ingest", f"{bucket}/source", f"{bucket}/{out}", "--max-rejects", "1"])
            return server.requests.total()

        S3Store(f"{bucket}/source").put("a.zip", archive("a"))
        of_one = requests("one")
        for name in ARCHIVES[1:]:
            S3Store(f"{bucket}/source").put(f"{name}.zip", archive(name))
        of_three = requests("three")
        assert of_one <= 80 and (of_three - of_one) / 2 <= 28, "20 for a shard, and 7 where it has duplicates"
        assert requests("three") <= 30, "nothing to do"
