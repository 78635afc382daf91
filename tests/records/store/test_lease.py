"""One driver at a time has the lease of an OUT, on every kind of store."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rajobs.records.errors import LeaseHeld, LeaseLost, StoreError
from rajobs.records.manifest import check_claim
from rajobs.records.store import LocalStore, Store, lease, open_store
from rajobs.records.store.lease import hold, number_of, numbered, without_number
from tests.lying_s3 import lying


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    return open_store(tmp_path / "out" if request.param == "local" else f"{request.getfixturevalue('bucket')}/out")


def test_one_of_many_creates_an_object(store: Store) -> None:
    begin = threading.Barrier(8)

    def create(number: int) -> bool:
        begin.wait()
        return store.put_new("new", f"{number}".encode())

    store.put("other", b"")  # its client is made
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert sum(created) == 1 and store.get("new") == f"{created.index(True)}".encode()


def test_a_live_lease_is_refused_and_a_lease_that_was_given_back_is_free(store: Store) -> None:
    assert lease.describe(store) is None
    with hold(store, "ingest") as first:
        assert first.number == 1
        with pytest.raises(
            LeaseHeld, match=r"is being written by rajobs ingest on .* since .*; wait for it or stop it"
        ):
            hold(store, "ingest").__enter__()
        assert "rajobs ingest on" in (lease.describe(store) or "")
        first.check(now=True)
    assert lease.describe(store) is None
    with hold(store, "ingest") as second:
        assert second.number == 2
    assert not check_claim(store, "ingest", {}), "a lease alone makes OUT nobody's"


def test_who_is_taken_over_is_stopped_and_renews_in_vain(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW", 0.05)
    with hold(store, "score") as late:
        late.check()
        with hold(store, "score", take_over=True) as now:
            time.sleep(0.3)
            late.check()  # trusted for some seconds, so that a worker need not ask before every part
            with pytest.raises(LeaseLost, match=r"has taken .* over from this one"):
                late.check(now=True)
            now.check(now=True)
    with hold(store, "score") as after:
        assert after.number == 3


def test_the_store_s_clock_says_what_is_stale(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_process", dict)  # as on another machine
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a machine whose clock is wrong
    with hold(store, "ingest"):
        if isinstance(store, LocalStore):
            before = time.time_ns() - 10**9 * 119
            os.utime(store.root / "lease/000001.json", ns=(before, before))
            with pytest.raises(LeaseHeld, match=r"last sign of life 1\d\d s ago"):
                hold(store, "ingest").__enter__()
            os.utime(store.root / "lease/000001.json", ns=(before - 10**10, before - 10**10))
        else:
            monkeypatch.setattr(lease, "STALE", 0.5)
            time.sleep(2.1)  # the server shows whole seconds
        with hold(store, "ingest") as second:
            assert second.number == 2


def test_a_process_that_was_killed_holds_nothing_on_its_own_machine(tmp_path: Path) -> None:
    code = (
        "import time; from rajobs.records.store import open_store; from rajobs.records.store.lease import hold\n"
        f"with hold(open_store({str(tmp_path)!r}), 'ingest'): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LeaseHeld, match=f"process {holder.pid}"):
            hold(open_store(tmp_path), "ingest").__enter__()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with hold(open_store(tmp_path), "ingest") as second:
        assert second.number == 2


def test_a_server_that_takes_no_conditions_gives_no_lease(
    bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lying(s3_server) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        server.tell("no condition")
        with pytest.raises(StoreError, match="nothing keeps two drivers apart there"):
            hold(open_store(f"{bucket}/out"), "ingest").__enter__()


def test_numbers_stand_before_a_key_s_ending() -> None:
    for key in ("images/part-0a1f-0002-unique.parquet", "shards/0a1f.json"):
        assert without_number(numbered(key, 12)) == key == without_number(key)
        assert number_of(numbered(key, 12)) == 12 and number_of(key) == 0
    twice = numbered(numbered("joints/part-0a1f.parquet", 1), 3)
    assert number_of(twice) == 3 and without_number(twice) == "joints/part-0a1f.1.parquet"
