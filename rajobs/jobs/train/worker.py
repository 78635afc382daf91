"""Several workers that train one network together: Ray Train around the same loop as one worker's.

Workers read the prepared arrays themselves. Checkpoints lie beside the model to be, as one worker's do: a worker that
was killed, or the same command given again, goes on from the newest one.
"""

import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train.v2.api.exceptions import TrainingFailedError
from torch.nn.parallel import DistributedDataParallel

from rajobs import studies
from rajobs.jobs import console
from rajobs.jobs.cluster import WorkerFailed
from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.jobs.train.dataset import build_dataset, frozen_split, open_labelled_data
from rajobs.learning.ensemble import build_member, build_run
from rajobs.learning.networks.starting_weights import find_starting_weights
from rajobs.learning.recipe import Recipe, from_dict
from rajobs.learning.samples.prepared import read_prepared
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.errors import UsageError
from rajobs.records.store import open_store

MOST_RESTARTS = 8  # times that the workers may be lost and start again


class ProgressBoard:
    """Where the workers tell of their epochs and the driver reads."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def tell(self, epoch: dict[str, Any]) -> None:
        self.told.append(epoch)

    def read(self, since: int) -> list[dict[str, Any]]:
        return self.told[since:]


@dataclass(frozen=True, kw_only=True)
class WorkerResources:
    """How many workers there are, and what each of them takes of the cluster."""

    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    lives: int = MOST_RESTARTS


def check_workers(recipe: Recipe, workers: int) -> None:
    """Refuse several workers where one alone can train."""
    for member in recipe.members:
        if workers > 1 and member.fit != "gradient":
            raise UsageError(f"{member.name} is a boosted cascade, which one worker trains: leave --workers out")


def train_with_workers(task: Mapping[str, Any], workers: int, epochs: int, headline: str) -> TrainingState:
    """The state of a member's finished run; `task` is names, numbers and places alone."""
    there = ray.cluster_resources()
    gpu = there.get("GPU", 0) >= workers
    if not gpu and there["CPU"] < workers:
        raise UsageError(f"--workers {workers} needs as many cores; the cluster has {int(there['CPU'])}")
    with console.Progress(f"epochs of {task['name']} on {workers} workers", epochs) as progress:

        def told(epoch: dict[str, Any]) -> None:
            progress.step(max(0, epoch["epoch"] - progress.done), note=_note(epoch, headline))

        return run_workers(task, WorkerResources(workers=workers, gpus=float(gpu)), told)


def run_workers(
    task: Mapping[str, Any], room: WorkerResources, told: Callable[[dict[str, Any]], None], name: str = ""
) -> TrainingState:
    """Run the workers, and tell of every epoch in the caller's own thread."""
    checkpoints = Checkpoints(store=open_store(task["out"]), folder=task["folder"], name=task["name"])
    board: Any = ray.remote(num_cpus=0)(ProgressBoard).remote()
    takes = {"CPU": room.cpus, "GPU": room.gpus} if room.gpus else {"CPU": room.cpus}
    with tempfile.TemporaryDirectory(prefix="rajobs-team-") as folder:
        trainer = ray.train.torch.TorchTrainer(
            worker_loop,
            train_loop_config={**task, "board": board},
            scaling_config=ray.train.ScalingConfig(
                num_workers=room.workers, use_gpu=room.gpus > 0, resources_per_worker=takes
            ),
            # NCCL refuses two workers on one GPU.
            torch_config=ray.train.torch.TorchConfig(backend="nccl" if room.gpus >= 1 else "gloo"),
            run_config=ray.train.RunConfig(
                storage_path=folder, name=name or task["name"],
                failure_config=ray.train.FailureConfig(max_failures=room.lives),
            ),
        )  # fmt: skip
        failed: list[Exception] = []
        thread = threading.Thread(target=_run, args=(trainer, failed), daemon=True)
        thread.start()
        seen = 0
        while thread.is_alive():
            thread.join(1.0)
            for epoch in ray.get(board.read.remote(seen)):
                seen += 1
                told(epoch)
    ray.kill(board)
    if failed:
        raise WorkerFailed(f"the workers of {task['name']} were lost {room.lives} times or met a fault") from failed[0]
    state = checkpoints.latest()
    assert state is not None, "the last epoch is always kept"
    return state


def _run(trainer: Any, failed: list[Exception]) -> None:
    try:
        trainer.fit()
    except TrainingFailedError as error:
        failed.append(error)


def _note(epoch: Mapping[str, Any], headline: str) -> str:
    metric = "" if epoch["metric"] is None else f", {headline} {epoch['metric']:.3f}"
    return f"loss {epoch['loss']:.3f}{metric}"


def worker_loop(task: dict[str, Any]) -> None:
    """One worker: its share of every batch, the gradients averaged, the same weights everywhere."""
    if torch.cuda.is_available() and ray.get_gpu_ids():
        torch.cuda.set_device(ray.train.torch.get_device())  # each sees the GPUs of all of the node's workers
    recipe = from_dict(task["recipe"])
    study = studies.find(task["study"]).asked(recipe)
    (member,) = (member for member in recipe.members if member.name == task["member"])
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    source = open_labelled_data(task["data"], study)
    split, _ = frozen_split(source, task["mode"])
    arrays = read_prepared(source.store, study, recipe.view, source.positions)
    lesson = fold_datasets(build_dataset(source, arrays, split, recipe, task["budget"]), recipe.folds)[task["turn"]]
    run = build_run(lesson, recipe, member, task["seed"], rank=rank, world=world)
    checkpoints = Checkpoints(store=open_store(task["out"]), folder=task["folder"], name=task["name"])
    network = build_member(study, member, arrays.shape, task["seed"])
    start = find_starting_weights(recipe, task["weights"]).get(member.name)
    if start is not None:
        start.load_into(network)  # a checkpoint, where there is one, takes their place
    network = network.to(run.device)
    # Norms' running statistics are settled once an epoch, so nobody waits for them.
    shared = DistributedDataParallel(network, forward_sync_buffers=False) if world > 1 else network

    def told(epoch: Epoch, state: TrainingState) -> bool:
        if rank == 0:
            checkpoints.save(epoch.epoch, state, epoch.epoch == run.training.epochs)
            ray.get(task["board"].tell.remote(vars(epoch)))
        ray.train.report({"epoch": epoch.epoch})
        return True

    state = run.run(shared, told, checkpoints.latest())
    if rank == 0:
        checkpoints.save(len(state.history), state, True)
