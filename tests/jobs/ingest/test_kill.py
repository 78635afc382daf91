"""A job whose driver or worker is killed loses nothing, and ends in the bytes of one that ran undisturbed in a process.

So these tests also prove that a cluster writes what the tests read that run jobs in their own process.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.records.store import lease
from tests.jobs.conftest import ingest_arguments
from tests.jobs.kills import kill_driver, one_killed

pytestmark = pytest.mark.ray

BESIDE = ("prepared", "splits")  # what other jobs put beside the tables


def test_a_killed_driver_loses_nothing(ray_cluster: str, data: Path, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    # The driver names places as they are seen from its folder, which is not the workers'.
    command = [sys.executable, "-m", "rajobs", *ingest_arguments(phantom, "data", "ledger"), "--ray", ray_cluster]
    kill_driver(command, lambda: any(out.glob("shards/*.json")), tmp_path)
    done = {file: file.stat().st_mtime_ns for file in out.glob("shards/*.json")}
    assert done
    assert not (out / "manifest.json").exists(), "a manifest would say that all is there"
    main(ingest_arguments(phantom, str(out), str(tmp_path / "ledger")))
    kept = {file: time for file, time in done.items() if not _is_rewritten(file, data)}
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert_same_bytes(out, data)


def test_a_killed_worker_loses_nothing(ray_cluster: str, data: Path, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    with one_killed(b"PoolWorker", lambda: any(out.glob("attempts/*.json"))):
        main(ingest_arguments(phantom, str(out), str(tmp_path / "ledger")))
    assert_same_bytes(out, data)


def test_a_killed_worker_of_score_loses_nothing(
    ray_cluster: str, data: Path, models: Path, scored: Path, tmp_path: Path
) -> None:
    with one_killed(b"PoolWorker", lambda: any(tmp_path.glob("ledger/*.parquet"))):
        main(["score", str(data), str(models), str(tmp_path)])
    assert_same_bytes(tmp_path, scored)


def assert_same_bytes(out: Path, undisturbed: Path) -> None:
    """Every key and byte is that of the undisturbed run, but for the numbers of the runs that wrote them."""
    made, wanted = (dict(_plain(place)) for place in (out, undisturbed))
    assert made.keys() == {name for name in wanted if name.partition("/")[0] not in BESIDE}
    for name, data in made.items():
        assert data == wanted[name], name


def _plain(place: Path) -> Iterator[tuple[str, bytes]]:
    for file in place.rglob("*"):
        if file.is_file() and file.parent.name != lease.FOLDER:
            data = file.read_bytes()
            if file.parent.name in ("shards", "index"):
                data = re.sub(rb"\.\d+\.parquet", b".parquet", data)
            yield lease.without_number(file.relative_to(place).as_posix()), data


def _is_rewritten(mark: Path, data: Path) -> bool:
    """A shard with copies of an earlier shard's images is written again without them."""
    return b"-unique" in (data / "shards" / mark.name).read_bytes()
