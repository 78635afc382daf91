"""Jobs in the test's own process: the same drivers and workers, one item after another, without a cluster.

What a table must contain is asked of jobs that run here. What a cluster is for is asked of a cluster: kills, several
workers, sweeps, and that its tables are, byte for byte, the ones that are made here.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import ray

from rajobs.jobs import cluster, pool

KEY = "a key for tests alone, drawn by nobody"


@contextmanager
def in_process() -> Iterator[None]:
    """Whatever a job asks of a cluster is done at once; the secret key stands in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAJOBS_KEY", KEY)
        patch.setattr(cluster, "connected", lambda address: nullcontext())
        patch.setattr(cluster, "nodes", lambda: [])
        patch.setattr(pool, "map_unordered", _map_in_turn)
        patch.setattr(ray, "remote", _remote)
        patch.setattr(ray, "put", _Reference)
        patch.setattr(ray, "get", _get)
        patch.setattr(ray, "wait", lambda references: (references[:1], references[1:]))
        yield


def _map_in_turn(
    items: Sequence[Mapping[str, Any]], worker: type, arguments: Sequence[object], **resources: object
) -> Iterator[dict[str, Any]]:
    """What one worker answers to the items in turn."""
    made = worker(*_sent(tuple(arguments)))
    try:
        for item in items:
            yield _sent(made(_sent(dict(item))))
    finally:
        if close := getattr(made, "close", None):
            close()  # its processes, which on a cluster end with the worker's


def _sent(value: Any) -> Any:
    """A value as it arrives in another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - the test's own


@dataclass(frozen=True)
class _Reference:
    """What stands for a value on a cluster."""

    value: Any


@dataclass(frozen=True)
class _Remote:
    """A function that a cluster would call."""

    function: Callable[..., Any]

    def options(self, **resources: object) -> "_Remote":
        return self

    def remote(self, *arguments: Any) -> _Reference:
        values = [each.value if isinstance(each, _Reference) else each for each in arguments]
        return _Reference(self.function(*_sent(values)))


def _remote(*function: Callable[..., Any], **resources: object) -> Any:
    return _Remote(*function) if function else _Remote


def _get(references: Any) -> Any:
    return [each.value for each in references] if isinstance(references, list) else references.value
