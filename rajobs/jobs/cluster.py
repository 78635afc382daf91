"""The Ray cluster a job runs on: the one it is told, the one it was submitted to, or one of its own on this machine."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
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
"""For a cluster of this machine alone. Ray Data's own actors make Ray's core warn of its issue 53727 on every run, as
an error that a user can't mend; nobody looks at such a cluster's metrics and events, which take cores from the work."""

PASSED = ("AWS_ENDPOINT_URL", "AWS_REGION", "RAJOBS_CACHE")
"""Variables that every worker is given. Secrets are not among them: they stand in the nodes' own environment."""


class NoCluster(RajobsError):
    """The cluster that was named cannot be reached."""


class WorkerFailed(RajobsError):
    """A worker met what it cannot go on from; what is done stays done."""


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
        with _unheard() if where is None else nullcontext():
            ray.init(**options)
    except Exception as error:  # noqa: BLE001 - a bare one where the machine is too busy for Ray to start in its time
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise NoCluster(f"no Ray cluster at {where or 'this machine'}: {why}") from None
    _quiet()
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        ours = error.cause
        if isinstance(ours, RajobsError) and not os.environ.get(TRACEBACK):
            raise ours from None
        raise
    finally:
        ray.shutdown()


def each(
    items: Sequence[Mapping[str, Any]],
    worker: type,
    arguments: Sequence[object],
    *,
    workers: tuple[int, int],
    num_gpus: float | None = None,
    memory: float | None = None,
) -> Iterator[dict[str, Any]]:
    """What workers, `worker(*arguments)` each, answer to the items, one at a time and in no order."""
    import ray.data

    answers = ray.data.from_items([dict(item) for item in items], override_num_blocks=len(items)).map(
        _Worker,  # type: ignore[arg-type]  # a class is taken, its stub does not say so
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
    """A worker that tells of its failure in a line: Ray Data would wrap it in pages that quote what it held."""

    def __init__(self, worker: type, arguments: tuple[object, ...]) -> None:
        self.make = lambda: worker(*arguments)
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
def _unheard() -> Iterator[None]:
    """The core of a cluster of our own tells on the terminal which variables it has read; what goes wrong is raised."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _quiet() -> None:
    """Ray Data's own progress is for its developers; jobs tell of theirs."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray.data", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
