"""An ingest whose driver is killed goes on where it was, and ends in the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rajobs.__main__ import main
from tests.jobs.conftest import ingest_arguments

pytestmark = pytest.mark.ray

SECONDS = 120


def test_a_killed_driver_loses_nothing(data: Path, phantom: Path, tmp_path: Path) -> None:
    out, ledger = tmp_path / "data", tmp_path / "ledger"
    command = [sys.executable, "-m", "rajobs", *ingest_arguments(phantom, str(out), str(ledger))]
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
    made = {file.relative_to(out): file.read_bytes() for file in out.rglob("*") if file.is_file()}
    for file, content in made.items():
        assert (data / file).read_bytes() == content, file
    kept = {f.relative_to(data) for f in data.rglob("*") if f.is_file() and f.relative_to(data).parts[0] not in BESIDE}
    assert kept == made.keys()


BESIDE = ("prepared", "splits")  # what other jobs put beside the tables


def _rewritten(mark: Path, data: Path) -> bool:
    """A shard that held copies of an earlier one's images is written again without them."""
    return b"-unique" in (data / "shards" / mark.name).read_bytes()
