"""The Ray cluster that a job runs on: the one named, the one it was submitted to, or its own on this machine."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import ray
import ray.exceptions

from rajobs.records.errors import TRACEBACK, RajobsError, internal_error_line

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
        with _silent_stderr() if where is None else nullcontext():
            ray.init(**options)
    except Exception as error:  # noqa: BLE001 - Ray raises a bare Exception if it does not start in time on a busy machine
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise NoCluster(f"no Ray cluster at {where or 'this machine'}: {why}") from None
    _turn_off_ray_progress()
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        ours = error.cause
        if isinstance(ours, RajobsError) and not os.environ.get(TRACEBACK):
            raise ours from None
        raise
    finally:
        ray.shutdown()


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
