"""Several workers that train one network together: Ray Train around the same loop as in one process.

Workers read the prepared arrays themselves. Checkpoints lie beside the future model, as those of a single process do:
after a worker is killed, or when the command is given again, training resumes from the latest one.
"""

import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train.v2.api.exceptions import TrainingFailedError
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rajobs import studies
from rajobs.jobs.cluster import WorkerFailed
from rajobs.jobs.remote import Board
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data
from rajobs.jobs.train.driver import NetworkTask, OnEpoch
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.networks.starting_weights import find_starting_weights
from rajobs.learning.recipe import Recipe
from rajobs.learning.samples.prepared import read_prepared
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.members import Worker, train_member
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.errors import UsageError

MOST_RESTARTS = 8  # times that lost workers are started again


@dataclass(frozen=True, kw_only=True)
class WorkerResources:
    """How many workers there are, and what each of them takes of the cluster."""

    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    restarts: int = MOST_RESTARTS


def check_workers(recipe: Recipe, workers: int) -> None:
    """Refuse several workers where one alone can train."""
    for member in recipe.members:
        if workers > 1 and member.fit != "gradient":
            raise UsageError(f"{member.name} is a boosted cascade, which one worker trains: leave --workers out")


def resources_on_cluster(workers: int) -> WorkerResources:
    """A GPU for each worker where there are enough, else a core; the cluster must be connected."""
    cluster = ray.cluster_resources()
    gpus = cluster.get("GPU", 0) >= workers
    if not gpus and cluster["CPU"] < workers:
        raise UsageError(f"--workers {workers} needs as many cores; the cluster has {int(cluster['CPU'])}")
    return WorkerResources(workers=workers, gpus=float(gpus))


def run_workers(resources: WorkerResources, task: NetworkTask, on_epoch: OnEpoch) -> TrainingState:
    """The state of a network's finished run; `on_epoch` is called in the caller's own thread."""
    board: Any = ray.remote(num_cpus=0)(Board).remote()
    takes = {"CPU": resources.cpus, "GPU": resources.gpus} if resources.gpus else {"CPU": resources.cpus}
    with tempfile.TemporaryDirectory(prefix="rajobs-train-") as folder:
        trainer = ray.train.torch.TorchTrainer(
            worker_loop,
            train_loop_config={"task": task.to_json(), "board": board},
            scaling_config=ray.train.ScalingConfig(
                num_workers=resources.workers, use_gpu=resources.gpus > 0, resources_per_worker=takes
            ),
            # NCCL refuses two workers on one GPU.
            torch_config=ray.train.torch.TorchConfig(backend="nccl" if resources.gpus >= 1 else "gloo"),
            run_config=ray.train.RunConfig(
                storage_path=folder, name=task.run,
                failure_config=ray.train.FailureConfig(max_failures=resources.restarts),
            ),
        )  # fmt: skip
        failures: list[Exception] = []
        thread = threading.Thread(target=_fit, args=(trainer, failures), daemon=True)
        thread.start()
        seen = 0
        while thread.is_alive():
            thread.join(1.0)
            for epoch in ray.get(board.read.remote(seen)):
                seen += 1
                on_epoch(Epoch(**epoch))
    ray.kill(board)
    if failures:
        raise WorkerFailed(
            f"the workers of {task.name} were lost {resources.restarts} times or met a fault"
        ) from failures[0]
    state = task.checkpoints().latest()
    assert state is not None, "the last epoch is always saved"
    return state


def _fit(trainer: Any, failures: list[Exception]) -> None:
    try:
        trainer.fit()
    except TrainingFailedError as error:
        failures.append(error)


def worker_loop(config: Mapping[str, Any]) -> None:
    """One worker: its share of every batch; gradients are averaged, so that weights are the same everywhere."""
    if torch.cuda.is_available() and ray.get_gpu_ids():
        torch.cuda.set_device(ray.train.torch.get_device())  # each sees the GPUs of all of the node's workers
    task = NetworkTask.from_json(config["task"])
    study = studies.find(task.study).for_recipe(task.recipe)
    source = open_labelled_data(task.data, study, task.finders, task.mode)
    split, _ = frozen_split(source, task.mode)
    arrays = read_prepared(source.store, study, task.recipe.view, source.positions)
    dataset = build_dataset(source, arrays, split, task.recipe, task.budget)
    checkpoints = task.checkpoints()
    context = ray.train.get_context()
    worker = Worker(rank=context.get_world_rank(), world=context.get_world_size(), share=_share(context))
    board: Any = config["board"]

    def after_epoch(epoch: Epoch, state: TrainingState) -> bool:
        if worker.rank == 0:
            checkpoints.save(epoch.epoch, state, epoch.epoch == task.epochs)
            ray.get(board.add.remote(vars(epoch)))
        ray.train.report({"epoch": epoch.epoch})
        return True

    start = find_starting_weights(task.recipe, task.weights).get(task.member)
    _, state = train_member(
        fold_datasets(dataset, task.recipe.folds)[task.fold], task.recipe, task.own_member, task.seed, after_epoch,
        checkpoints.latest(), start, worker,
    )  # fmt: skip
    if worker.rank == 0:
        checkpoints.save(len(state.history), state, True)


def _share(context: Any) -> Callable[[nn.Module], nn.Module] | None:
    """Batch norms' running statistics are settled once an epoch, so no worker waits for them."""
    return partial(DistributedDataParallel, forward_sync_buffers=False) if context.get_world_size() > 1 else None
