"""What a sweep's trials take of the cluster, how many run at once, and what a dead sweep has left behind."""

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

from rajobs.jobs import cluster, console
from rajobs.jobs.train.worker import WorkerResources
from rajobs.records.errors import UsageError

NAME = "rajobs-tune-"  # prefix of the names of a sweep's placement groups and of its driver's marker
NAMESPACE = "rajobs"
DRIVER = 0.1  # cores that a trial keeps for itself while its workers train; each of them takes as much less
SMALL = 2_000_000  # parameters up to which a network fills only a share of a GPU
SHARE = 0.25
MOST_RESTARTS = 2  # times that a trial's lost workers are started again
PATIENCE = 15.0  # seconds that a cluster may take to notice a driver's death


@dataclass(frozen=True, kw_only=True)
class ClusterNodes:
    """The cores and GPUs of each node that is up."""

    nodes: tuple[tuple[float, float], ...]

    @classmethod
    def now(cls) -> "ClusterNodes":
        return cls(nodes=tuple((node.cpus, node.gpus) for node in cluster.nodes()))

    def resources(self, workers: int, parameters: int) -> WorkerResources:
        """What each worker of a trial takes: a GPU or a share of one if there are enough, else a core."""
        share = SHARE if parameters <= SMALL else 1.0
        cpus = 1.0 - DRIVER if workers > 1 else 1.0
        gpus = share if self._fit(share) >= workers else 0.0
        return WorkerResources(workers=workers, cpus=cpus, gpus=gpus, restarts=MOST_RESTARTS)

    def at_once(self, takes: WorkerResources) -> int:
        """Trials of this kind that run side by side, each with all of its workers."""
        return self._fit(takes.gpus) // takes.workers

    def _fit(self, gpus: float) -> int:
        """Workers that fit, each on one node; a core counts whole, so that it includes the trial's own share."""
        return sum(int(min(cores, has / gpus + 1e-9 if gpus else cores)) for cores, has in self.nodes)


def check_fits(cluster: ClusterNodes, takes: WorkerResources) -> None:
    """At least one trial must fit, or the sweep would wait for ever."""
    if not cluster.at_once(takes):
        cores = int(sum(cpus for cpus, _ in cluster.nodes))
        raise UsageError(f"--workers {takes.workers} needs as many cores; the cluster has {cores}")


class TrialPlacementGroup(ray.tune.PlacementGroupFactory):
    """A trial's placement group; its name is its sweep's with a suffix, since no two groups may share a name."""

    def to_placement_group(self) -> PlacementGroup:
        group: PlacementGroup = placement_group(
            self.bundles, self.strategy, name=f"{self._kwargs['name']}/{uuid.uuid4().hex}"
        )
        return group


def placement_request(takes: WorkerResources, name: str) -> TrialPlacementGroup:
    """What Tune reserves for a trial: everything, or only its driver's share if it has workers of its own."""
    if takes.workers > 1:
        return TrialPlacementGroup([{"CPU": DRIVER}], name=name)
    bundle = {"CPU": takes.cpus, "GPU": takes.gpus} if takes.gpus else {"CPU": takes.cpus}
    return TrialPlacementGroup([bundle], name=name)


class DriverMarker:
    """An actor that lives as long as a sweep's driver."""

    def ready(self) -> bool:
        return True


@contextmanager
def exclusive_sweep(token: str) -> Iterator[str]:
    """The sweep's name on the cluster, which no other driver may have; what dead sweeps left is removed first."""
    name = NAME + token
    end = time.monotonic() + PATIENCE
    while _is_alive(name):
        if time.monotonic() > end:
            raise UsageError("this very sweep is at work already, by another command; wait for it or stop it")
        time.sleep(0.5)
    clear_leaks()
    actor: Any = ray.remote(num_cpus=0)(DriverMarker)
    marker = actor.options(name=name, namespace=NAMESPACE).remote()
    ray.get(marker.ready.remote())
    try:
        yield name
    finally:
        ray.kill(marker)


def clear_leaks() -> None:
    """Remove the placement groups of sweeps whose driver is dead, and report those of other programs."""
    groups = {key: group for key, group in placement_group_table().items() if group["state"] != "REMOVED"}
    ours = {key: group for key, group in groups.items() if group["name"].startswith(NAME)}
    leaked = {key: group for key, group in ours.items() if not _is_alive(group["name"].partition("/")[0])}
    for key in leaked:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(key))))
    if leaked:
        console.line(f"removed what a sweep without a driver still held: {_describe_groups(leaked)}")
    others = {key: group for key, group in groups.items() if key not in ours}
    if others:
        console.line(f"others hold part of the cluster, for which trials may have to wait: {_describe_groups(others)}")


def _describe_groups(groups: Mapping[str, Mapping[str, Any]]) -> str:
    cores = sum(bundle.get("CPU", 0.0) for group in groups.values() for bundle in group["bundles"].values())
    return f"{len(groups)} placement groups with {cores:g} cores"


def _is_alive(name: str) -> bool:
    try:
        ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return False
    return True
