"""Workers that take items, as many as the cluster has room for while they last.

More workers are asked for than there is room for: they wait, are what an autoscaler brings nodes for, and begin where
a node joins or another job ends. A worker that is lost gives its item to another one; a node that cannot do the work is
named and gets none.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
import ray.exceptions

from rajobs.jobs import cluster, console, remote
from rajobs.records.errors import TRACEBACK, BadKey, RajobsError, internal_error_line

AHEAD = 64  # workers that are asked for beyond those at work
LOOK = 1.0  # seconds between two looks at how it goes
MOST_DEATHS = 10  # of workers at one item
MOST_LOST_STARTS = 3 * AHEAD  # of workers, one after another, before they begin: a node may take many with it
MOST_PER_GPU = 12  # workers that share a GPU: each has its own copy of the models there

Item = Mapping[str, Any]


def map_unordered(
    items: Sequence[Item],
    worker: type,
    arguments: Sequence[object],
    *,
    num_gpus: float = 0.0,
    memory: float = 0.0,
) -> Iterator[dict[str, Any]]:
    """The answers of workers, each made by `worker(*arguments)`, to the items, in any order; one core a worker."""
    needs = {"num_cpus": 1, "num_gpus": num_gpus, "memory": memory}
    pool = _Pool(items, worker, arguments, {name: amount for name, amount in needs.items() if amount})
    try:
        yield from pool.answers()
    finally:
        pool.stop()


def gpu_share(nodes: Sequence[cluster.Node]) -> float:
    """The share of a GPU with which workers are as many as cores; 0 without a GPU.

    What a worker reads and decodes takes longer than what a GPU answers, so that one process alone leaves both idle.
    """
    cores = [node.cpus / node.gpus for node in nodes if node.gpus >= 1]
    return 1 / max(1, min(MOST_PER_GPU, int(max(cores)))) if cores else 0.0


class PoolWorker:
    """An actor around a worker. It answers with a failure as one line: Ray would send the values of a traceback."""

    def __init__(self, making: "Sequence[ray.ObjectRef[Any]]") -> None:
        remote.end_with_parent()
        self.making = making  # the worker's class and arguments, still to be read
        self.worker: Callable[[Item], dict[str, Any]] | None = None

    def is_there(self) -> bool:
        """Answers before the worker is made, which takes a while."""
        return True

    def start(self) -> dict[str, str]:
        """Make the worker: the node that it is on, and what it lacks there."""
        return {"node": ray.get_runtime_context().get_node_id(), **_with_failure(self._make)}

    def _make(self) -> dict[str, str]:
        try:
            worker, arguments = ray.get(self.making[0])
            self.worker = worker(*arguments)
        except BadKey as error:
            return {"unfit": str(error)}
        return {}

    def take(self, item: Item) -> dict[str, Any]:
        """The worker's answer to an item."""
        return _with_failure(lambda: {"answer": self.worker(item)})  # type: ignore[misc]  # it has started


def _with_failure(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work gives, or why it failed."""
    try:
        return work()
    except RajobsError as error:
        return {"failed": str(error)}
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        return {"failed": internal_error_line(error)}


class _Pool:
    """The workers of one call, by what they do."""

    def __init__(
        self, items: Sequence[Item], worker: type, arguments: Sequence[object], resources: Mapping[str, float]
    ) -> None:
        self.making = ray.put((worker, tuple(arguments)))
        self.items = deque(items)
        self.starting: dict[ray.ObjectRef[Any], Any] = {}  # by the answer to be: the actor
        self.working: dict[ray.ObjectRef[Any], tuple[Any, Item]] = {}
        self.deaths: Counter[str] = Counter()  # by item
        self.lost_starts = 0  # since a worker has begun
        self.unfit: dict[str, str] = {}  # why, by node
        self.resources, self.patience = dict(resources), cluster.Patience(resources)
        self.there: list[ray.ObjectRef[Any]] = []  # an answer of each worker that has been asked for, once it is there

    def answers(self) -> Iterator[dict[str, Any]]:
        while self.items or self.working:
            self._ask_for_workers()
            ready, _ = ray.wait([*self.starting, *self.working], timeout=LOOK)
            for answer in ready:
                if answer in self.starting:
                    self._welcome(answer)
                else:
                    yield from self._collect(answer)
            if not self.working:
                self.patience.look(lambda: ray.wait(self.there, timeout=0)[0])

    def stop(self) -> None:
        """End every worker, also one in the middle of an item."""
        for actor in (*self.starting.values(), *(actor for actor, _ in self.working.values())):
            ray.kill(actor)
        self.starting, self.working = {}, {}

    def _ask_for_workers(self) -> None:
        others = {"ray.io/node-id": f"!in({','.join(sorted(self.unfit))})"} if self.unfit else None
        while len(self.starting) < min(len(self.items), AHEAD):
            actor: Any = ray.remote(PoolWorker).options(**self.resources, label_selector=others)
            made = actor.remote([self.making])  # in a list, Ray hands it over unread
            self.there.append(made.is_there.remote())
            self.starting[made.start.remote()] = made

    def _welcome(self, answer: "ray.ObjectRef[Any]") -> None:
        """Give a worker that has started its first item, if there is one left."""
        actor = self.starting.pop(answer)
        try:
            started = ray.get(answer)
        except cluster.LOST:
            self.lost_starts += 1
            _check_losses(self.lost_starts, MOST_LOST_STARTS, "before they began to work")
            return
        if "unfit" in started:
            self._set_aside(started["node"], started["unfit"])
            return
        _raise_failure(started)
        self.lost_starts = 0
        self.patience.end()
        self._hand_out(actor)

    def _hand_out(self, actor: Any) -> None:
        """Give a worker the next item; without one it ends, and others may have its core."""
        if self.items:
            item = self.items.popleft()
            self.working[actor.take.remote(item)] = actor, item

    def _collect(self, answer: "ray.ObjectRef[Any]") -> Iterator[dict[str, Any]]:
        actor, item = self.working.pop(answer)
        try:
            taken = ray.get(answer)
        except cluster.LOST:
            self.items.appendleft(item)
            self.deaths[repr(item)] += 1
            _check_losses(self.deaths[repr(item)], MOST_DEATHS, "at one and the same part of the work")
            return
        _raise_failure(taken)
        self._hand_out(actor)
        yield taken["answer"]

    def _set_aside(self, node: str, why: str) -> None:
        """A node gets no work any more; BadKey if there is no other one."""
        if node not in self.unfit:
            self.unfit[node] = why
            if not any(other.id not in self.unfit and other.cpus >= 1 for other in cluster.nodes()):
                raise BadKey(why)
            console.line(f"{why}; this node gets no work, the others go on")


def _raise_failure(answer: Mapping[str, Any]) -> None:
    if "failed" in answer:
        raise cluster.WorkerFailed(answer["failed"])


def _check_losses(count: int, most: int, when: str) -> None:
    if count >= most:
        raise cluster.WorkerFailed(
            f"{most} workers died {when}: out of memory, or their nodes were lost. What is done stays done"
        )
