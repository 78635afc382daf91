"""One S3 server and one Ray cluster for all tests of jobs, and one small cohort that goes through them without it."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import torch

from rajobs.__main__ import main
from tests.jobs.in_process import KEY, in_process

PATIENTS = 5
SPACE = """
study = "hand_filter"
first = ["default"]
[axes]
"training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"members.settings.width" = { choices = [4, 8] }
"""


@pytest.fixture(scope="session")
def s3(s3_server: str) -> str:
    """A bucket on the S3 server; the environment points to it from here on, that of a cluster's workers too."""
    os.environ |= {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
    }
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="cohort")
    return "s3://cohort"


@pytest.fixture(scope="session")
def ray_cluster(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Ray cluster of this machine that every test shares: its address. Its workers know the key and the S3 server."""
    import ray

    from rajobs.jobs import cluster

    os.environ["RAJOBS_KEY"] = KEY
    os.environ["RAJOBS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    with cluster.connected(None):
        yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """As on a cluster, where a worker has one core: small networks are fastest, and bytes equal, on one thread."""
    torch.set_num_threads(1)


@pytest.fixture
def here() -> Iterator[None]:
    """The test's jobs run in this process."""
    with in_process():
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one of pytest's processes makes and all of them read."""
    base = factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.with_suffix(".whole").exists():
            make(place)
            place.with_suffix(".whole").touch()
    return place


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cohort in archives, with the damaged and hostile share."""

    def make(out: Path) -> None:
        main(["phantom", str(out), "--patients", str(PATIENTS), "--size", "SMALL"])

    return made_once(tmp_path_factory, "phantom", make)


@pytest.fixture(scope="session")
def data(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort ingested, its ledger beside it: this process's copy, since jobs put more beside the tables."""

    def make(out: Path) -> None:
        with in_process():
            main(ingest_arguments(phantom, str(out / "data"), str(out / "ledger")))

    made = made_once(tmp_path_factory, "ingested", make)
    return shutil.copytree(made, tmp_path_factory.mktemp("ingested") / "own") / "data"


def ingest_arguments(phantom: Path, out: str, ledger: str) -> list[str]:
    source, labels = str(phantom / "archives"), str(phantom / "labels.csv")
    # A small cohort has one of every damage, so the share is large.
    tables = ["--labels", labels, "--clinic", str(phantom / "clinic.csv")]
    return ["ingest", source, out, *tables, "--ledger", ledger, "--max-rejects", "0.6"]


@pytest.fixture(scope="session")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the hand filter, hardly trained."""
    out = tmp_path_factory.mktemp("models")
    with in_process():
        main(["train", "hand_filter", str(data), str(out), "--budget", "0.1"])
    return out


@pytest.fixture(scope="session")
def scored(data: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort's tables by that model alone."""
    out = tmp_path_factory.mktemp("scored")
    with in_process():
        main(["score", str(data), str(models), str(out)])
    return out
