"""The Ray cluster a job runs on: the one it is told, the one it was submitted to, or one of its own on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from rajobs.records.errors import RajobsError

QUIET = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
}
DRIVER = {"RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Ray Data's own actors make Ray's core warn of its issue 53727 on every run, as an error that a user can't mend."""

PASSED = ("AWS_ENDPOINT_URL", "AWS_REGION", "RAJOBS_CACHE")
"""Variables that every worker is given. Secrets are not among them: they stand in the nodes' own environment."""


class NoCluster(RajobsError):
    """The cluster that was named cannot be reached."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection for as long as a job runs; within one that is open already, that one."""
    if ray.is_initialized():
        yield
        return
    for name, value in {**QUIET, **DRIVER}.items():
        os.environ.setdefault(name, value)
    where = address or os.environ.get("RAY_ADDRESS")
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    options: dict[str, Any] = {
        "address": where or "local",
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if where is None:
        options |= {"include_dashboard": False}  # its workers inherit this environment
    else:
        options |= {"runtime_env": {"env_vars": {**QUIET, **passed}}}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise NoCluster(f"no Ray cluster at {where or 'this machine'}: {str(error).splitlines()[0]}") from None
    _quiet()
    try:
        yield
    finally:
        ray.shutdown()


def _quiet() -> None:
    """Ray Data's own progress is for its developers; jobs tell of theirs."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray.data", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
