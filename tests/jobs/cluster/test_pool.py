"""Workers that take items on the session's cluster: deaths, failures, a full cluster; and how many share a GPU."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import ray

from rajobs.jobs import cluster, pool
from rajobs.jobs.cluster import Node, WorkerFailed
from rajobs.records.errors import TooManyRejects


class Worker:
    """Dies, fails or answers, as an item says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        mark = self.folder / f"{item['number']}"
        if len(list(self.folder.glob(f"{mark.name}-*"))) < item.get("deaths", 0):
            (self.folder / f"{mark.name}-{time.monotonic_ns()}").touch()
            os._exit(1)
        if item.get("fails"):
            raise TooManyRejects("too many")
        return {"number": item["number"]}


@pytest.mark.ray
def test_a_lost_worker_s_item_goes_to_another_one_and_not_for_ever(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_DEATHS", 2)
    items: list[dict[str, object]] = [{"number": 0}, {"number": 1, "deaths": 1}, {"number": 2}, {"number": 3}]
    answers = [answer["number"] for answer in pool.map_unordered(items, Worker, (tmp_path,))]
    assert sorted(answers) == [0, 1, 2, 3] and len(list(tmp_path.glob("1-*"))) == 1
    with pytest.raises(WorkerFailed, match="2 workers died at one and the same part of the work"):
        list(pool.map_unordered([{"number": 7, "deaths": 99}], Worker, (tmp_path,)))
    assert len(list(tmp_path.glob("7-*"))) == 2
    with pytest.raises(WorkerFailed, match=r"^too many$"):
        list(pool.map_unordered([{"number": 8, "fails": True}], Worker, (tmp_path,)))
    with pytest.raises(WorkerFailed, match=r"^internal error TypeError at pool.py:\d+; please report it"):
        list(pool.map_unordered([{"number": 9}], Worker, ()))


def sleep(seconds: float) -> None:
    time.sleep(seconds)


@pytest.mark.ray
def test_a_job_on_a_full_cluster_says_that_it_waits(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    full = [ray.remote(num_cpus=1)(sleep).remote(4) for _ in range(int(ray.cluster_resources()["CPU"]))]
    while ray.available_resources().get("CPU", 0.0) >= 1:
        time.sleep(0.1)
    assert [answer["number"] for answer in pool.map_unordered([{"number": 1}], Worker, (tmp_path,))] == [1]
    sentence = "waiting for a core: all of the cluster's are taken; the job begins when others give some back\n"
    assert capsys.readouterr().out == sentence
    ray.get(full)


@pytest.mark.parametrize(
    ("nodes", "share"),
    [
        ([(8, 0)], 0),
        ([(8, 1)], 1 / 8),
        ([(4, 4), (2, 0)], 1),
        ([(96, 4), (8, 8)], 1 / 12),
        ([(2, 8)], 1),
    ],
)
def test_as_many_workers_as_cores_share_the_gpus_of_a_node(nodes: list[tuple[float, float]], share: float) -> None:
    assert pool.gpu_share([Node(id=str(n), cpus=cpus, gpus=gpus) for n, (cpus, gpus) in enumerate(nodes)]) == share


WORKER = (
    "from rajobs.jobs import remote; import time; remote.end_with_parent(); print('ready', flush=True); time.sleep(600)"
)
PARENT = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {WORKER!r}]); print(p.pid); p.wait()"


@pytest.mark.slow
def test_a_worker_ends_when_the_process_that_started_it_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-uc", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker, ready = int(parent.stdout.readline()), parent.stdout.readline()
        assert ready == "ready\n"
        parent.kill()
        try:
            last = time.monotonic() + 60
            while _is_alive(worker) and time.monotonic() < last:
                time.sleep(0.2)
            assert not _is_alive(worker)
        finally:
            if _is_alive(worker):
                os.kill(worker, 9)


def _is_alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
