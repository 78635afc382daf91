"""The cluster that a job starts on this machine: nobody else reaches it, and a job that cannot use one says why."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jobs.kills import ancestors

pytestmark = pytest.mark.ray

LISTENS = "0A"
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""127.0.0.1, ::1 and ::ffff:127.0.0.1, as /proc/net has them."""


def ingest(place: Path, *more: str, **environment: str) -> "subprocess.Popen[str]":
    """An ingest of one file, in another process."""
    (place / "source").mkdir(exist_ok=True)
    (place / "source" / "readme.txt").write_text("no image")
    command = [sys.executable, "-m", "rajobs", "ingest", str(place / "source"), str(place / "out"), *more]
    environment = {name: value for name, value in (os.environ | environment).items() if value}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, cwd=place
    )


def listening_sockets() -> dict[str, str]:
    """By address and port: the process that listens, of this process and all that it has started."""
    owners: dict[str, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpid() not in (int(folder.name), *ancestors(folder)):
                continue
            name = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            owners |= {str(link.readlink()): name for link in (folder / "fd").iterdir()}
        except OSError:
            continue  # it ended meanwhile
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == LISTENS and f"socket:[{inode}]" in owners:
                sockets[address] = owners[f"socket:[{inode}]"]
    return sockets


def test_the_local_cluster_listens_on_the_loopback_alone_and_asks_for_its_token(
    ray_cluster: str, tmp_path: Path
) -> None:
    import ray
    from ray._raylet import AuthenticationMode, get_authentication_mode

    assert ray.get(ray.remote(lambda: 1).remote()) == 1  # so that there is a worker
    sockets = listening_sockets()
    assert len(sockets) >= 5 and any("gcs_server" in name for name in sockets.values())
    assert {a: name for a, name in sockets.items() if a.partition(":")[0] not in LOOPBACK} == {}
    assert ray_cluster.startswith("127.0.0.1:")
    assert get_authentication_mode() == AuthenticationMode.TOKEN and os.environ["RAY_AUTH_MODE"] == "token"
    for environment in ({"RAY_AUTH_TOKEN": "0" * 64}, {"RAY_AUTH_TOKEN": "", "RAY_AUTH_MODE": "disabled"}):
        stranger = ingest(tmp_path, "--ray", ray_cluster, **environment)
        _, message = stranger.communicate(timeout=120)
        assert stranger.returncode == 1 and message.count("\n") == 1, message
        assert message.startswith(f"rajobs: no Ray cluster at {ray_cluster}: ")
    own = ingest(tmp_path, "--ray", ray_cluster)
    _, message = own.communicate(timeout=120)
    assert own.returncode == 0, message


@contextmanager
def another_version(**changes: str) -> Iterator[None]:
    """The cluster says that it has been started with other versions."""
    from ray.experimental import internal_kv

    place = {"namespace": b"cluster"}
    kept = internal_kv._internal_kv_get(b"CLUSTER_METADATA", **place)
    other = {**json.loads(kept), **changes}
    internal_kv._internal_kv_put(b"CLUSTER_METADATA", json.dumps(other).encode(), overwrite=True, **place)
    try:
        yield
    finally:
        internal_kv._internal_kv_put(b"CLUSTER_METADATA", kept, overwrite=True, **place)


@pytest.mark.parametrize("changes", [{"ray_version": "2.9.1"}, {"python_version": "3.9.7"}])
def test_a_cluster_of_other_versions_is_named_in_one_line(
    ray_cluster: str, tmp_path: Path, changes: dict[str, str]
) -> None:
    with another_version(**changes):
        job = ingest(tmp_path, "--ray", ray_cluster)
        _, message = job.communicate(timeout=120)
    assert job.returncode == 1 and message.count("\n") == 1, message
    assert message.startswith(f"rajobs: no Ray cluster at {ray_cluster}: ")
    assert all(version in message for version in changes.values())
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").rglob("*.parquet"))


@pytest.mark.parametrize("when", ["while it starts", "while it works"])
def test_sigterm_ends_a_job_and_its_cluster_like_ctrl_c(tmp_path: Path, when: str) -> None:
    job = ingest(tmp_path, RAY_ADDRESS="")
    try:
        end = time.monotonic() + 120
        started = tmp_path / "out" / "plan.json"
        while time.monotonic() < end and not _is_ready(job.pid, started, when):
            assert job.poll() is None, "it ended before it could be stopped"
            time.sleep(0.02)
        job.send_signal(signal.SIGTERM)
        _, message = job.communicate(timeout=60)
    finally:
        job.kill()
    assert job.returncode == 130
    assert message.strip() == "rajobs: stopped; the same command continues from here"


def _is_ready(job: int, started: Path, when: str) -> bool:
    """Whether the job is as far as it should be when it is stopped."""
    if when == "while it works":
        return started.exists()
    names = (folder / "cmdline" for folder in Path("/proc").glob("[0-9]*"))
    return any("gcs_server" in _read(name) and job in ancestors(name.parent) for name in names)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
