"""A job whose driver or worker is killed loses nothing, and ends in the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from rajobs.__main__ import main
from tests.jobs.conftest import ingest_arguments

pytestmark = pytest.mark.ray

SECONDS = 120
BESIDE = ("prepared", "splits")  # what other jobs put beside the tables


def test_a_killed_driver_loses_nothing(data: Path, phantom: Path, tmp_path: Path) -> None:
    out, ledger = tmp_path / "data", tmp_path / "ledger"
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "rajobs", *ingest_arguments(phantom, str(out), str(ledger)), "--ray", address]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + SECONDS
        while not list(out.glob("shards/*.json")) and time.monotonic() < end:
            assert driver.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait(30)
    done = {file: file.stat().st_mtime_ns for file in out.glob("shards/*.json")}
    assert done
    assert not (out / "manifest.json").exists(), "a manifest would say that all is there"
    main(ingest_arguments(phantom, str(out), str(ledger)))
    assert {file: file.stat().st_mtime_ns for file in done if not _rewritten(file, data)} == {
        file: at for file, at in done.items() if not _rewritten(file, data)
    }
    _same(out, data)


def test_a_killed_worker_loses_nothing(data: Path, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    with one_killed(b"MapWorker", lambda: any(out.glob("attempts/*.json"))):
        main(ingest_arguments(phantom, str(out), str(tmp_path / "ledger")))
    _same(out, data)


def test_a_killed_worker_of_score_loses_nothing(data: Path, models: Path, tmp_path: Path) -> None:
    calm, out = tmp_path / "calm", tmp_path / "tables"
    main(["score", str(data), str(models), str(calm)])
    with one_killed(b"MapWorker", lambda: any(out.glob("ledger/*.parquet"))):
        main(["score", str(data), str(models), str(out)])
    _same(out, calm)


@contextmanager
def one_killed(name: bytes, ready: Callable[[], bool]) -> Iterator[None]:
    """One worker of a kind is killed as soon as the moment is there."""
    killed: list[int] = []
    over = threading.Event()

    def kill_one() -> None:
        while not killed and not over.wait(0.02):
            if ready():
                for worker in children(name)[:1]:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()
    assert killed, "it ended before a worker could be killed"


def children(name: bytes) -> list[int]:
    """This process's Ray workers of a kind, by the names Ray gives them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            if title.startswith(b"ray::") and name in title and os.getpid() in _above(folder):
                found.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def _above(folder: Path) -> list[int]:
    """The processes that a process descends from."""
    above = []
    while folder.name != "0":
        parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        above.append(int(parent))
        folder = folder.parent / parent
    return above


def _same(out: Path, data: Path) -> None:
    """Every key and byte is that of the undisturbed run."""
    made = {file.relative_to(out): file.read_bytes() for file in out.rglob("*") if file.is_file()}
    for file, content in made.items():
        assert (data / file).read_bytes() == content, file
    kept = {f.relative_to(data) for f in data.rglob("*") if f.is_file() and f.relative_to(data).parts[0] not in BESIDE}
    assert kept == made.keys()


def _rewritten(mark: Path, data: Path) -> bool:
    """A shard that held copies of an earlier one's images is written again without them."""
    return b"-unique" in (data / "shards" / mark.name).read_bytes()
