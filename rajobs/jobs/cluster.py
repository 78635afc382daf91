"""The Ray cluster that a job runs on: the one named, the one it was submitted to, or its own on this machine."""

import json
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import ray
import ray.exceptions

from rajobs.records.errors import TRACEBACK, RajobsError, internal_error_line
from rajobs.records.signals import sigterm_as_ctrl_c

QUIET = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
}
DRIVER = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_metrics_report_interval_ms": "60000",
    "RAY_task_events_report_interval_ms": "0",
}
"""Only for a cluster on this machine. Ray Data's own actors make Ray's core log its issue 53727 as an error on every
run, which a user cannot mend; nobody reads such a cluster's metrics and events, which cost the jobs computing time."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANSWER_SECONDS = 10.0  # in which something must listen where a cluster is named
MOST_OF_RAY_S_WORDS = 300

PASSED = ("AWS_ENDPOINT_URL", "AWS_REGION", "RAJOBS_CACHE")
"""Variables that every worker receives. No secret is among them: secrets are in the nodes' own environment."""


class NoCluster(RajobsError):
    """The cluster that was named cannot be reached."""


class WorkerFailed(RajobsError):
    """A worker cannot continue. Finished parts stay finished."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection while a job runs; one that is open already is used and left open."""
    if ray.is_initialized():
        yield
        return
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    _connect(where)
    with sigterm_as_ctrl_c():  # Ray has taken the signal for itself
        try:
            _turn_off_ray_progress()
            yield
        except ray.exceptions.RayTaskError as error:
            ours = error.cause
            if isinstance(ours, RajobsError) and not os.environ.get(TRACEBACK):
                raise ours from None
            raise
        finally:
            ray.shutdown()


def _connect(where: str) -> None:
    """Start a cluster on this machine (`local`), or connect to the one at an address; NoCluster if there is none."""
    for name, value in {**QUIET, **DRIVER}.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"address": where, "log_to_driver": False, "logging_level": logging.ERROR}
    if where == "local":
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
        place = "this machine" if where == "local" else where
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
    if where != "local" and host not in LOOPBACK:
        yield
        return
    if where == "local":
        os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for the processes that Ray starts
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def map_unordered(
    items: Sequence[Mapping[str, Any]],
    worker: type,
    arguments: Sequence[object],
    *,
    workers: tuple[int, int],
    num_gpus: float | None = None,
    memory: float | None = None,
) -> Iterator[dict[str, Any]]:
    """The answers of workers, each made by `worker(*arguments)`, to the items, in any order."""
    import ray.data

    answers = ray.data.from_items([dict(item) for item in items], override_num_blocks=len(items)).map(
        _Worker,  # type: ignore[arg-type]  # a class is accepted, although the stub does not say so
        fn_constructor_args=(worker, tuple(arguments)),
        compute=ray.data.ActorPoolStrategy(min_size=workers[0], max_size=workers[1]),
        num_cpus=1,
        num_gpus=num_gpus,
        memory=memory,
    )
    for answer in answers.iter_rows():
        if answer["failed"]:
            raise WorkerFailed(answer["failed"])
        yield json.loads(answer["answer"])


class _Worker:
    """A worker that returns its failure as one line. Ray Data would wrap it in pages that quote the worker's data."""

    def __init__(self, worker: type, arguments: tuple[object, ...]) -> None:
        self.make: Callable[[], Any] = lambda: worker(*arguments)
        self.worker: Any = None

    def __call__(self, item: dict[str, Any]) -> dict[str, str]:
        try:
            if self.worker is None:
                self.worker = self.make()
            return {"answer": json.dumps(self.worker(item)), "failed": ""}
        except RajobsError as error:
            return {"answer": "", "failed": str(error)}
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            return {"answer": "", "failed": internal_error_line(error)}


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


def _turn_off_ray_progress() -> None:
    """Hide Ray Data's own progress, which is for its developers; jobs show theirs."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray.data", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
