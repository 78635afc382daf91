"""Every kind of store keeps the promises of Store; what differs has tests of its own."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from rajobs.records.errors import StoreError
from rajobs.records.store import LocalStore, Store, get_many, open_store, split_uri
from rajobs.records.store.s3 import S3Store
from rajobs.records.store.seekable import open_object

KEYS = ("a.txt", "a/b/c.bin", "a/b.txt", "a-b/c", "B", "ä", "a0")
# By the keys' bytes: a folder sorts with its slash.
IN_ORDER = ["B", "a-b/c", "a.txt", "a/b.txt", "a/b/c.bin", "a0", "ä"]


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(tmp_path / "store")
    return open_store(f"{request.getfixturevalue('bucket')}/some/prefix")


def test_objects_are_listed_by_key_read_in_ranges_and_deleted(store: Store) -> None:
    assert list(store.list()) == [] and store.stat("a.txt") is None
    for key in KEYS:
        store.put(key, key.encode() * 10)
    assert [entry.key for entry in store.list()] == IN_ORDER
    assert [entry.key for entry in store.list("a/")] == ["a/b.txt", "a/b/c.bin"]
    assert [entry.key for entry in store.list("a")] == [key for key in IN_ORDER if key.startswith("a")]
    assert list(store.list("a/b/c.bin/")) == [] == list(store.list("none/"))
    assert all(store.stat(entry.key) == entry for entry in store.list())
    assert store.read_range("B", 3, 4) == b"BBBB" and store.read_range("B", 8, 99) == b"BB"
    store.delete("B")
    store.delete("B")
    assert store.stat("B") is None and "B" not in [entry.key for entry in store.list()]
    with pytest.raises(StoreError):
        store.get("B")


def test_a_tag_follows_the_content_and_not_the_clock(store: Store) -> None:
    big = bytearray(np.random.default_rng(0).bytes(200_000))
    store.put("film", bytes(big))
    first = store.stat("film")
    store.put("film", bytes(big))
    if isinstance(store, LocalStore):
        os.utime(store.root / "film", (0, 0))
    assert store.stat("film") == first
    for at in (0, len(big) - 1):
        other = bytearray(big)
        other[at] ^= 1
        store.put("film", bytes(other))
        assert store.stat("film") != first
    store.put("film", bytes(big) + b"\0")
    assert store.stat("film") != first


def test_zip_and_parquet_are_read_in_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    noise, packed, table = np.random.default_rng(1).bytes(300_000), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("noise", noise)
        archive.writestr("small", b"grade")
    pq.write_table(pa.table({"a": range(1000), "b": ["x"] * 1000}), table, row_group_size=100)
    store.put("films.zip", packed.getvalue())
    store.put("table.parquet", table.getvalue())
    asked: list[int] = []
    ranges = type(store).read_range

    def counted(self: Store, key: str, start: int, length: int, etag: str = "") -> bytes:
        asked.append(length)
        return ranges(self, key, start, length, etag)

    monkeypatch.setattr(type(store), "read_range", counted)
    with zipfile.ZipFile(open_object(store, "films.zip", buffer=4096)) as archive:
        assert archive.read("small") == b"grade"
        assert sum(asked) < 100_000, "a small member costs its own bytes and the directory's, not the archive's"
        assert archive.read("noise") == noise
    with pq.ParquetFile(open_object(store, "table.parquet", buffer=4096)) as part:
        assert part.read_row_group(3, columns=["a"]).column("a").to_pylist() == list(range(300, 400))


def test_a_local_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(tmp_path))
    store.put("images/part", b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device", "/secret/name")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device") as failed:
        store.put("images/part", b"new")
    assert "secret" not in str(failed.value)
    assert store.get("images/part") == b"old"
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["part"]


def test_files_follow_the_umask_and_only_their_owner_reads_private_ones(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        open_store(tmp_path).put("images/part", b"1")
        open_store(tmp_path, private=True).put("crosswalk/part", b"2")
        (tmp_path / "crosswalk" / "old").write_bytes(b"3")
        open_store(tmp_path, private=True).put("crosswalk/old", b"4")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("crosswalk/*")}
    assert modes == {"part": 0o600, "old": 0o600} and (tmp_path / "images/part").stat().st_mode & 0o777 == 0o640


def test_what_killed_writers_left_unfinished_is_removed(store: Store) -> None:
    store.put("images/part", b"whole")
    if isinstance(store, LocalStore):
        (store.root / "images" / ".part-x").write_bytes(b"hal")
    else:
        assert isinstance(store, S3Store)
        store.client.create_multipart_upload(Bucket=store.bucket, Key=f"{store.prefix}/images/other")
    store.sweep()
    assert [entry.key for entry in store.list()] == ["images/part"]
    if isinstance(store, LocalStore):
        assert [file.name for file in (store.root / "images").iterdir()] == ["part"]
    else:
        assert "Uploads" not in store.client.list_multipart_uploads(Bucket=store.bucket)  # type: ignore[attr-defined]


def test_a_server_that_lists_no_uploads_stops_no_job(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(f"{bucket}/some")
    store.put("part", b"whole")

    def refused(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")

    monkeypatch.setattr(store.client, "list_multipart_uploads", refused)
    store.sweep()
    assert store.get("part") == b"whole"


def test_many_objects_come_in_their_order(store: Store) -> None:
    keys = [f"marks/{number:03d}" for number in range(40)]
    for key in keys:
        store.put(key, key.encode())
    assert [data.decode() for data in get_many(store, keys)] == keys
    assert list(get_many(store, [])) == []


def test_a_folder_that_cannot_be_read_is_an_error_and_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "film").write_bytes(b"1")
    scan = os.scandir

    def guarded(place: str) -> object:
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(StoreError, match="Permission denied"):
        list(LocalStore(str(tmp_path)).list())


def test_a_long_listing_comes_in_pages(bucket: str) -> None:
    store = S3Store(bucket)
    for number in range(5):
        store.put(f"part-{number}", b"x")
    # Two keys a page stand for the thousand of a real one.
    store.client.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2}
    )
    assert [entry.key for entry in store.list()] == [f"part-{number}" for number in range(5)]


def test_an_s3_store_is_pickled_without_its_client_and_names_a_missing_bucket(bucket: str) -> None:
    store = S3Store(f"{bucket}/a")
    store.put("x", b"1")
    assert pickle.loads(pickle.dumps(store)).get("x") == b"1"  # noqa: S301 - our own
    assert [entry.key for entry in S3Store(bucket).list()] == ["a/x"]
    with pytest.raises(StoreError, match="NoSuchBucket; make the bucket first"):
        S3Store("s3://nobody-made-this").put("x", b"1")


def test_places_that_cannot_be_a_store_are_refused(tmp_path: Path) -> None:
    for uri in ("gs://bucket/x", "s3://"):
        with pytest.raises(StoreError, match="s3://bucket/prefix"):
            open_store(uri)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        open_store(tmp_path / "file").put("x", b"")
    with pytest.raises(StoreError, match="look at"):
        open_store(tmp_path).stat("x" * 300)


def test_a_folder_is_opened_without_the_library_of_another_store() -> None:
    code = "import sys; from rajobs.records.store import open_store; open_store('x'); print('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_a_uri_splits_into_store_and_key() -> None:
    assert split_uri("s3://bucket/a/b.csv") == ("s3://bucket/a", "b.csv")
    assert split_uri("/data/b.csv") == ("/data", "b.csv")
    assert split_uri("b.csv") == (str(Path.cwd()), "b.csv")
