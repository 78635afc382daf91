"""Work that one worker of a cluster does while the driver waits: what it prints and how it fails arrives in the driver.

On this machine alone there is nobody to hand it to: the driver does it itself, and needs no Ray.
"""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import ray

from rajobs.jobs import cluster, console
from rajobs.records.errors import TRACEBACK, RajobsError, internal_error_line

PARENT_LOOK = 2.0  # seconds between two looks whether a worker's parent is there
MOST_LOSSES = 8  # times that another worker takes the place of a lost one


class Board:
    """An actor to which workers report what the driver reads from it."""

    def __init__(self) -> None:
        self.reports: list[Any] = []

    def add(self, report: Any) -> None:
        self.reports.append(report)

    def read(self, since: int) -> list[Any]:
        return self.reports[since:]


def is_elsewhere(address: str | None) -> bool:
    """Whether a job has workers on other machines than the driver's."""
    return cluster.resolve_address(address) != cluster.LOCAL


def end_with_parent() -> None:
    """From now on this process ends when the one that started it does.

    Ray's raylet starts workers, and a worker that is busy can outlive its raylet, as nobody's child.
    """
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK)
    os._exit(1)  # nobody is left to whom an answer could go; what is stored is whole


def run_on_worker(function: Callable[..., Any], *arguments: object, address: str | None) -> Any:
    """The answer of a function that a worker with a core calls, and with a GPU where the cluster has some."""
    with cluster.connected(address):
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
        for attempt in range(MOST_LOSSES):
            try:
                return _call(function, arguments, gpus)
            except cluster.LOST:
                left = MOST_LOSSES - 1 - attempt
                console.line(f"a worker or its node was lost{'; another one goes on' if left else ''}")
        raise cluster.WorkerFailed(f"{MOST_LOSSES} workers were lost, one after another: out of memory, or their nodes")


def _call(function: Callable[..., Any], arguments: tuple[object, ...], gpus: int) -> Any:
    board: Any = ray.remote(num_cpus=0)(Board).remote()
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_answer)
    # In a list, Ray hands it over unread: what the function imports takes a while, and the work has begun before.
    answer = task.remote([ray.put((function, arguments))], board, sys.stderr.isatty())
    patience = cluster.Patience({"num_cpus": 1, "num_gpus": gpus})
    seen = 0
    try:
        while not ray.wait([answer], timeout=cluster.LOOK)[0]:
            seen = _show(board, seen)
            if seen:
                patience.end()
            patience.look()
        content, failure = ray.get(answer)
        _show(board, seen)
    finally:
        ray.cancel(answer, force=True)  # of no effect on one that has ended
        ray.kill(board)
    if failure is not None:
        raise failure
    return content


def _show(board: Any, seen: int) -> int:
    """Print what has been printed on the worker since; how many reports there are by now."""
    reports = ray.get(board.read.remote(seen))
    for to_errors, text in reports:
        stream = sys.stderr if to_errors else sys.stdout
        stream.write(text)
        stream.flush()
    return seen + len(reports)


def _answer(call: "Sequence[ray.ObjectRef[Any]]", board: Any, terminal: bool) -> tuple[Any, RajobsError | None]:
    """On the worker: the function's answer, or what it raises: Ray would send the values of a traceback."""
    end_with_parent()
    with (
        redirect_stdout(_Echo(board, terminal, to_errors=False)),
        redirect_stderr(_Echo(board, terminal, to_errors=True)),
    ):
        board.add.remote((False, ""))  # the work has begun
        try:
            function, arguments = ray.get(call[0])
            return function(*arguments), None
        except RajobsError as error:
            return None, error
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            return None, cluster.WorkerFailed(internal_error_line(error))
        finally:
            ray.get(board.add.remote((False, "")))  # then all that was printed before is there, too


class _Echo(io.TextIOBase):
    """A stream whose text the driver prints; a terminal if the driver's is one."""

    def __init__(self, board: Any, terminal: bool, *, to_errors: bool) -> None:
        self.board, self.terminal, self.to_errors = board, terminal, to_errors

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.board.add.remote((self.to_errors, text))
        return len(text)
