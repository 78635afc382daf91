"""How tests are shared out, and a real S3 server over a socket with what its clients need to know."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from xdist.scheduler import LoadScopeScheduling

from rajobs.records.store.s3 import S3Store

SECONDS = 60  # until the server must have come up


class SharingOut(LoadScopeScheduling):
    """Two processes share the long tests: one takes all files that need the session's cluster, the other whole jobs.

    Both begin with these and share the other files between them, whoever is free first. (xdist's own groups,
    `--dist loadgroup`, are unknown to pytest from 9.2 on.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if "ray_cluster" in (self.config.rootpath / file).read_text():
            return "ray"
        return "jobs" if file.startswith("tests/jobs/") else file


class OneServer(LoadScopeScheduling):
    """Short tests are shared out by file; all that talk to the S3 server to one process, which starts it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "s3" if "bucket" in (self.config.rootpath / file).read_text() else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    schedulers = {"loadscope": SharingOut, "loadfile": OneServer}
    return schedulers[way](config, log) if (way := config.getoption("dist")) in schedulers else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a cluster come first, then whole jobs; of the former those without the cohort that jobs make."""

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("ray"):
            return int("phantom" in getattr(item, "fixturenames", ()))
        return 2 if "tests/jobs/" in item.nodeid else 3

    items.sort(key=turn)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a moto server of this session's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "the S3 server ended before it began"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the S3 server did not come up")


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The URI of a bucket of this test's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[-60:]
    S3Store(f"s3://{name}").client.create_bucket(Bucket=name)
    return f"s3://{name}"
