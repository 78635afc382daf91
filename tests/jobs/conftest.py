"""One S3 server and one Ray cluster for all tests of jobs, and one small cohort taken through the line."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from rajobs.__main__ import main

KEY = "a key for tests alone, drawn by nobody"
PATIENTS = 5
SPACE = """
study = "hand_filter"
first = ["default"]
[axes]
"training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"members.settings.width" = { choices = [4, 8] }
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A bucket on an S3 server that is a process of its own; the environment points to it from here on."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
    }
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="cohort")
        yield "s3://cohort"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="session")
def ray_cluster(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray cluster of this machine that every test shares; its workers know the key and the S3 server."""
    os.environ["RAJOBS_KEY"] = KEY
    os.environ["RAJOBS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    from rajobs.jobs import cluster

    with cluster.connected(None):
        yield


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cohort in archives, with the damaged and hostile share."""
    out = tmp_path_factory.mktemp("phantom") / "cohort"
    main(["phantom", str(out), "--patients", str(PATIENTS), "--size", "SMALL"])
    return out


@pytest.fixture(scope="session")
def data(ray_cluster: None, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort ingested, its ledger beside it."""
    out = tmp_path_factory.mktemp("ingested")
    main(ingest_arguments(phantom, str(out / "data"), str(out / "ledger")))
    return out / "data"


def ingest_arguments(phantom: Path, out: str, ledger: str) -> list[str]:
    source, labels = str(phantom / "archives"), str(phantom / "labels.csv")
    # A small cohort has one of every damage, so the share is large.
    tables = ["--labels", labels, "--clinic", str(phantom / "clinic.csv")]
    return ["ingest", source, out, *tables, "--ledger", ledger, "--max-rejects", "0.6"]


@pytest.fixture(scope="session")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the hand filter, hardly trained."""
    out = tmp_path_factory.mktemp("models")
    main(["train", "hand_filter", str(data), str(out), "--budget", "0.1"])
    return out
