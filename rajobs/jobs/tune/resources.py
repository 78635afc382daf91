"""Room for a sweep's trials: what each takes of the cluster, how many at once, and what a dead sweep still holds."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.tune
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.placement_group import PlacementGroup

from rajobs.jobs import console
from rajobs.jobs.train.worker import WorkerResources
from rajobs.records.errors import UsageError

NAME = "rajobs-tune-"  # what the placement groups and the mark of a sweep begin with
NAMESPACE = "rajobs"
DRIVER = 0.1  # of a core: what a trial keeps for itself while its workers learn; each of them leaves as much
SMALL = 2_000_000  # parameters up to which a network fills no more than a share of a GPU
SHARE = 0.25
MOST_RESTARTS = 2  # times that a trial's workers may be lost and start again
PATIENCE = 15.0  # seconds that a cluster may take to notice a driver's death


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cores and GPUs of each node that is up."""

    nodes: tuple[tuple[float, float], ...]

    @classmethod
    def now(cls) -> "Cluster":
        up = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return cls(nodes=tuple((held.get("CPU", 0.0), held.get("GPU", 0.0)) for held in up))

    def room(self, workers: int, parameters: int) -> WorkerResources:
        """What the workers of a trial take: a GPU or a share of one each where there are enough, else a core."""
        share = SHARE if parameters <= SMALL else 1.0
        cpus = 1.0 - DRIVER if workers > 1 else 1.0
        gpus = share if self._fit(share) >= workers else 0.0
        return WorkerResources(workers=workers, cpus=cpus, gpus=gpus, lives=MOST_RESTARTS)

    def at_once(self, room: WorkerResources) -> int:
        """Trials of this kind that run side by side, each with all of its workers."""
        return self._fit(room.gpus) // room.workers

    def _fit(self, gpus: float) -> int:
        """Workers that find room, each on one node; a core is counted whole, so that a trial's own share is in it."""
        return sum(int(min(cores, has / gpus + 1e-9 if gpus else cores)) for cores, has in self.nodes)


def check_room(cluster: Cluster, room: WorkerResources) -> None:
    """One trial at least must fit, or the sweep would wait for ever."""
    if not cluster.at_once(room):
        cores = int(sum(cpus for cpus, _ in cluster.nodes))
        raise UsageError(f"--workers {room.workers} needs as many cores; the cluster has {cores}")


class TrialPlacementGroup(ray.tune.PlacementGroupFactory):
    """A trial's placement group, with its sweep's name and one of its own: no two groups may share a name."""

    def to_placement_group(self) -> PlacementGroup:
        return placement_group(self.bundles, self.strategy, name=f"{self._kwargs['name']}/{uuid.uuid4().hex}")


def request(room: WorkerResources, name: str) -> TrialPlacementGroup:
    """What Tune reserves for a trial: all of it, or its driver's share where it has workers, placed apart."""
    if room.workers > 1:
        return TrialPlacementGroup([{"CPU": DRIVER}], name=name)
    bundle = {"CPU": room.cpus, "GPU": room.gpus} if room.gpus else {"CPU": room.cpus}
    return TrialPlacementGroup([bundle], name=name)


class DriverMarker:
    """An actor that lives as long as a sweep's driver."""

    def ready(self) -> bool:
        return True


@contextmanager
def exclusive_sweep(token: str) -> Iterator[str]:
    """The sweep's name on the cluster, while no other driver has it; what dead sweeps left is cleared away first."""
    name = NAME + token
    end = time.monotonic() + PATIENCE
    while _alive(name):
        if time.monotonic() > end:
            raise UsageError("this very sweep is at work already, by another command; wait for it or stop it")
        time.sleep(0.5)
    clear_leaks()
    actor: Any = ray.remote(num_cpus=0)(DriverMarker)
    mark = actor.options(name=name, namespace=NAMESPACE).remote()
    ray.get(mark.ready.remote())
    try:
        yield name
    finally:
        ray.kill(mark)


def clear_leaks() -> None:
    """Remove the placement groups of sweeps whose driver is dead, and tell of those that are somebody else's."""
    held = {key: group for key, group in placement_group_table().items() if group["state"] != "REMOVED"}
    ours = {key: group for key, group in held.items() if group["name"].startswith(NAME)}
    leaked = {key: group for key, group in ours.items() if not _alive(group["name"].partition("/")[0])}
    for key in leaked:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(key))))
    if leaked:
        console.line(f"removed what a sweep without a driver still held: {_told(leaked)}")
    others = {key: group for key, group in held.items() if key not in ours}
    if others:
        console.line(f"others hold part of the cluster, for which trials may have to wait: {_told(others)}")


def _told(groups: Mapping[str, Mapping[str, Any]]) -> str:
    cores = sum(bundle.get("CPU", 0.0) for group in groups.values() for bundle in group["bundles"].values())
    return f"{len(groups)} placement groups with {cores:g} cores"


def _alive(name: str) -> bool:
    try:
        ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return False
    return True
