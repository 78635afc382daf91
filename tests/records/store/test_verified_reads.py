"""What an S3 server or a proxy says wrongly is asked for again, and then ends the job in one line."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rajobs.records.errors import MediumFault, StoreError
from rajobs.records.store import open_store
from rajobs.records.store.s3 import S3Store
from rajobs.records.store.seekable import open_object
from tests.lying_s3 import LyingS3, lying

pytestmark = pytest.mark.slow

FILM = np.random.default_rng(0).bytes(200_000)


@pytest.fixture
def server(bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LyingS3]:
    """A lying server before the bucket, and a patience that a test has."""
    monkeypatch.setattr("rajobs.records.store.s3._RETRY_WAITS", (0.0, 0.0))
    monkeypatch.setattr("rajobs.records.store.verified_reads.PATIENCE", 0.3)
    S3Store(bucket).put("film", FILM)
    with lying(s3_server) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize("lie", ["half", "flip", "drip"])
def test_an_object_that_does_not_arrive_whole_is_read_again(
    server: LyingS3, bucket: str, lie: str, checksums: bool
) -> None:
    server.checksums = checksums  # without them there is the ETag
    store = S3Store(bucket)
    server.tell(lie, times=2)
    assert store.get("film") == FILM
    server.tell(lie)
    begin = time.monotonic()
    with pytest.raises(MediumFault, match="3 times; mend the connection, and start the job again") as fault:
        store.get("film")
    assert "\n" not in str(fault.value) and time.monotonic() - begin < 20


@pytest.mark.parametrize("lie", ["half", "no range", "drip"])
def test_a_range_that_is_another_one_is_read_again(server: LyingS3, bucket: str, lie: str) -> None:
    store = S3Store(bucket)
    server.tell(lie, times=2)
    assert store.read_range("film", 1000, 5000) == FILM[1000:6000]
    assert store.read_range("film", 199_000, 5000) == FILM[199_000:], "there may be fewer bytes than were asked for"
    server.tell(lie)
    with pytest.raises(MediumFault, match="3 times"):
        store.read_range("film", 1000, 5000)


def test_a_listing_that_cannot_be_complete_is_none(server: LyingS3, bucket: str) -> None:
    store = S3Store(bucket)
    for lie in ("no token", "lacking"):
        server.tell(lie, times=2)
        assert [entry.key for entry in store.list()] == ["film"]
        server.tell(lie)
        with pytest.raises(MediumFault, match="a listing breaks off"):
            list(store.list())


def test_an_object_that_has_changed_since_it_was_listed_is_not_taken_for_it(bucket: str, tmp_path: Path) -> None:
    store = S3Store(bucket)
    store.put("film", b"before")
    (entry,) = store.list()
    assert store.get("film", entry.etag) == b"before" == store.read_range("film", 0, 99, entry.etag)
    store.put("film", b"behind")
    for read in (lambda: store.get("film", entry.etag), lambda: store.read_range("film", 0, 4, entry.etag)):
        with pytest.raises(StoreError, match="has changed since it was listed"):
            read()
    local = open_store(tmp_path)
    local.put("film", b"before")
    (entry,) = local.list()
    local.put("film", b"behind")
    with pytest.raises(StoreError, match="has changed since it was listed"):
        open_object(local, "film", etag=entry.etag)


def test_a_listing_that_never_ends_is_left_after_a_while(
    server: LyingS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store(bucket)
    assert store.stat("film") is not None
    monkeypatch.setattr("rajobs.records.store.s3._LONGEST", 0.5)
    server.tell("slow listing")
    begin = time.monotonic()
    with pytest.raises(MediumFault, match="TimeoutError"):
        list(store.list())
    assert time.monotonic() - begin < 10
