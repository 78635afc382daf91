"""The Ray cluster that a job runs on: the one named, the one it was submitted to, or its own on this machine."""

import logging
import math
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import ray
import ray.exceptions

from rajobs.jobs import console
from rajobs.records.errors import TRACEBACK, RajobsError
from rajobs.records.signals import sigterm_as_ctrl_c

QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
}
DRIVER = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_metrics_report_interval_ms": "60000",
    "RAY_task_events_report_interval_ms": "0",
}
"""Only for a cluster on this machine. What Ray's core logs as errors a user cannot mend, and what ends a job is raised
anyway; nobody reads such a cluster's metrics and events, which cost the jobs computing time."""

LOCAL = "local"  # Ray's word for a cluster of this machine alone, which ends with the job
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANSWER_SECONDS = 10.0  # in which something must listen where a cluster is named
MOST_OF_RAY_S_WORDS = 300
LOOK = 1.0  # seconds between two looks at what is awaited
PATIENCE = 15.0  # seconds after which a job says what it waits for
LOST = (
    ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError,
    ray.exceptions.NodeDiedError, ray.exceptions.LocalRayletDiedError,
)  # fmt: skip
"""What is raised where a worker or its node died: another one can do its work."""

PASSED = ("AWS_ENDPOINT_URL", "AWS_REGION", "RAJOBS_CACHE")
"""Variables that every worker receives. No secret is among them: secrets are in the nodes' own environment."""


class NoCluster(RajobsError):
    """The cluster that was named cannot be reached."""


class WorkerFailed(RajobsError):
    """A worker cannot continue. Finished parts stay finished."""


def resolve_address(address: str | None) -> str:
    """Where a job runs: a cluster's address, or LOCAL."""
    return address or os.environ.get("RAY_ADDRESS") or LOCAL


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection while a job runs; one that is open already is used and left open."""
    if ray.is_initialized():
        yield
        return
    where = resolve_address(address)
    _connect(where)
    with sigterm_as_ctrl_c():  # Ray has taken the signal for itself
        try:
            _quieten_ray()
            if where != LOCAL:
                _wait_for_core()
            yield
        except ray.exceptions.RayTaskError as error:
            ours = error.cause
            if isinstance(ours, RajobsError) and not os.environ.get(TRACEBACK):
                raise ours from None
            raise
        finally:
            ray.shutdown()


def _connect(where: str) -> None:
    """Start a cluster on this machine (LOCAL), or connect to the one at an address; NoCluster if there is none."""
    for name, value in {**QUIET, **DRIVER}.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"address": where, "log_to_driver": False, "logging_level": logging.ERROR}
    if where == LOCAL:
        _guard_by_token()
        options |= {"include_dashboard": False}  # its workers inherit this environment
    else:
        _check_address(where)
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        options |= {"runtime_env": {"env_vars": {**QUIET, **passed}}}
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # one attempt, which takes half a minute
    try:
        with _silent_stderr(), _loopback(where):
            ray.init(**options)
    except SystemExit:  # how Ray heeds SIGTERM while it starts
        raise KeyboardInterrupt from None
    except Exception as error:  # noqa: BLE001 - Ray raises a bare Exception if it does not start in time on a busy machine
        why = " ".join(str(error).split()) or type(error).__name__
        place = "this machine" if where == LOCAL else where
        raise NoCluster(f"no Ray cluster at {place}: {why[:MOST_OF_RAY_S_WORDS]}") from None


def _check_address(where: str) -> None:
    """NoCluster unless something listens there: Ray itself would wait for minutes, and then print pages."""
    if where == "auto":
        return
    try:
        parts = urlsplit(where if "://" in where else f"//{where}")
        host, port = (parts.hostname, parts.port) if parts.scheme in ("", "ray") else (None, None)
    except ValueError:  # an open bracket, or a port that is no number or too large
        host, port = None, None
    if not host or not port:
        raise NoCluster(f"{where} is no address of a Ray cluster: write host:6379, ray://host:10001 or auto")
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise NoCluster(
            f"no Ray cluster at {where}: nobody listens there ({error.strerror or 'no answer'}); start it, or correct "
            "--ray or RAY_ADDRESS; without either a job runs on this machine"
        ) from None


def _guard_by_token() -> None:
    """Whoever reaches a port of our own cluster must show its token, whatever Ray does by default."""
    from ray._raylet import Config  # type: ignore[attr-defined]  # the stub leaves it out

    os.environ["RAY_AUTH_MODE"] = "token"
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    Config.initialize("")  # Ray has read its settings when it was imported


@contextmanager
def _loopback(where: str) -> Iterator[None]:
    """Ray takes this machine's address in the network for 127.0.0.1, and listens on all interfaces.

    Only where it knows of no network, as on a laptop with macOS, does it keep to the loopback.
    """
    from ray._private import ray_constants

    host = urlsplit(where if "://" in where else f"//{where}").hostname
    if where != LOCAL and host not in LOOPBACK:
        yield
        return
    if where == LOCAL:
        os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for the processes that Ray starts
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is up, and what it brings in."""

    id: str
    cpus: float
    gpus: float


def nodes() -> list[Node]:
    """The nodes that are up."""
    return [
        Node(id=node["NodeID"], cpus=node["Resources"].get("CPU", 0.0), gpus=node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"]
    ]


class Patience:
    """Says once what a job waits for, if the cluster has no room for it for a while."""

    def __init__(self, needs: Mapping[str, float]) -> None:
        self.needs, self.until = needs, time.monotonic() + PATIENCE

    def look(self, has_begun: Callable[[], object] = bool) -> None:
        if time.monotonic() > self.until:
            self.end()
            if not has_begun():
                console.line(_describe_wait(self.needs))

    def end(self) -> None:
        """There is nothing to wait for any more."""
        self.until = math.inf


def _describe_wait(needs: Mapping[str, float]) -> str:
    """What the cluster must have for work with these needs to begin."""
    units = {"num_cpus": ("CPU", "a core"), "num_gpus": ("GPU", "a GPU"), "memory": ("memory", "free memory")}
    there, free = ray.cluster_resources(), ray.available_resources()
    for need, amount in needs.items():
        name, words = units[need]
        if there.get(name, 0.0) < amount:
            return f"waiting for a node with {words}: the cluster has none yet; the job begins when one joins"
    for need, amount in needs.items():
        name, words = units[need]
        if free.get(name, 0.0) < amount:
            return f"waiting for {words}: all of the cluster's are taken; the job begins when others give some back"
    return "waiting for a worker to start: no node has enough of everything at this moment"


def _wait_for_core() -> None:
    """Return when the cluster can run something: an autoscaler brings a node only where work waits for one."""
    attempt = ray.remote(num_cpus=1)(_run_nothing).remote()
    patience = Patience({"num_cpus": 1})
    while not ray.wait([attempt], timeout=LOOK)[0]:
        patience.look()
    ray.get(attempt)


def _run_nothing() -> None:
    """A task that needs a core alone."""


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide what the core of our own cluster prints about the variables that it reads; failures are raised anyway."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _quieten_ray() -> None:
    """Hide what Ray says for its developers; jobs show their own progress."""
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
