"""Work on one worker of the session's cluster: what it prints and how it fails arrives in the driver."""

import os
import sys
import time
from pathlib import Path

import pytest

from rajobs.jobs import console, remote
from rajobs.jobs.cluster import WorkerFailed
from rajobs.records.errors import BadRecipe

pytestmark = pytest.mark.ray


def work(fate: str, folder: Path) -> int:
    """Prints, then ends as asked."""
    console.line(f"process {os.getpid()}")
    with console.Progress("steps", 2) as progress:
        progress.step(2)
    print("by the way", file=sys.stderr)
    if fate == "wrong use":
        raise BadRecipe("no such thing")
    if fate == "bug":
        raise KeyError("a patient's name")
    if fate == "death" and not (folder / "died").exists():
        (folder / "died").touch()
        time.sleep(2)  # until its lines have arrived
        os._exit(1)
    return 42


def run(fate: str, folder: Path, address: str) -> object:
    return remote.run_on_worker(work, fate, folder, address=address)


def test_lines_answers_failures_and_deaths_arrive(
    ray_cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("well", tmp_path, ray_cluster) == 42
    output = capsys.readouterr()
    process, steps = output.out.splitlines()
    assert process.startswith("process ") and process != f"process {os.getpid()}" and steps == "steps: 2 in 0 s"
    assert output.err == "by the way\n"
    with pytest.raises(BadRecipe, match=r"^no such thing$"):
        run("wrong use", tmp_path, ray_cluster)
    with pytest.raises(WorkerFailed, match=r"^internal error KeyError at test_remote.py:\d+; please report") as raised:
        run("bug", tmp_path, ray_cluster)
    assert "patient's" not in str(raised.value)
    assert run("death", tmp_path, ray_cluster) == 42
    assert "a worker or its node was lost; another one goes on\n" in capsys.readouterr().out
