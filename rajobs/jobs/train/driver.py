"""Trains every network of a recipe, in this process or by several workers: shared by train, tune and builtin."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.learning.bundle import TrainedMembers, TrainedNetwork, calibrate, put_bundle
from rajobs.learning.bundle_description import BundleDescription
from rajobs.learning.card import card
from rajobs.learning.ensemble import FittedNetwork, build_member, member_samples, member_targets, network_name
from rajobs.learning.networks.starting_weights import StartingWeights
from rajobs.learning.recipe import Member, Recipe, from_dict, to_dict
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.training.loop import pick_device
from rajobs.learning.training.members import build_run, scale_epochs, train_member
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import HISTORY

SEEDS_PER_RUN = 1000  # seeds of a run's members: no two runs share one


@dataclass(frozen=True, kw_only=True)
class NetworkTask:
    """One network to train, as a worker is given it: names, numbers and places alone."""

    study: str
    data: str
    finders: str  # models that place joints where labels are silent
    out: str
    mode: str
    budget: float
    recipe: Recipe
    weights: str | None  # where starting weights come from
    member: str
    fold: int
    seed: int
    name: str
    folder: str  # of its checkpoints, in `out`
    run: str  # name of the Ray Train run

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "recipe": to_dict(self.recipe)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "NetworkTask":
        return cls(**{**content, "recipe": from_dict(content["recipe"])})

    @property
    def own_member(self) -> Member:
        return next(member for member in self.recipe.members if member.name == self.member)

    @property
    def epochs(self) -> int:
        return scale_epochs(self.recipe.training_of(self.own_member), self.budget).epochs

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(store=open_store(self.out), folder=self.folder, name=self.name)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A recipe to train on a study's data, and where its checkpoints lie."""

    study: str
    data: str
    finders: str
    out: str
    mode: str
    budget: float
    recipe: Recipe
    weights: str | None
    number: int  # its seeds follow from it
    folder: str  # of checkpoints, in `out`
    run: str = ""  # prefix of Ray Train's runs

    def tasks(self, member: Member, folds: int) -> Iterator[NetworkTask]:
        """The member's networks, one per fold."""
        own = {name: value for name, value in vars(self).items() if name not in ("number", "run")}
        seed = self.number * SEEDS_PER_RUN + self.recipe.members.index(member)
        for fold in range(folds):
            name = network_name(member.name, fold, folds)
            yield NetworkTask(**own, member=member.name, fold=fold, seed=seed, name=name, run=f"{self.run}{name}")


OnEpoch = Callable[[Epoch], None]
TrainTogether = Callable[[NetworkTask, OnEpoch], TrainingState]
"""Several workers train a network (jobs/train/worker.py)."""
Watch = Callable[[NetworkTask, int], AbstractContextManager[OnEpoch]]
"""(task, epochs resumed from a checkpoint) -> what hears of every epoch, those of the checkpoint first."""


@dataclass(frozen=True, kw_only=True)
class TrainedRecipe:
    """A recipe's networks, and how each was trained."""

    networks: TrainedMembers
    states: Mapping[str, TrainingState]  # by network
    seeds: Mapping[str, int] = field(default_factory=dict)  # by network


def train_recipe(
    plan: TrainingPlan,
    folds: Sequence[Dataset],
    starts: Mapping[str, StartingWeights],
    watch: Watch,
    *,
    together: TrainTogether | None = None,
    checkpoints: bool = True,
    calibrated: bool = False,
) -> TrainedRecipe:
    """Train all networks, one after another; `together`: by several workers each, else in this process.

    A network resumes from its latest checkpoint. A cascade has none: it takes minutes.
    """
    plan.recipe.check_leaks(plan.mode)
    networks: dict[str, list[TrainedNetwork]] = {}
    states: dict[str, TrainingState] = {}
    seeds: dict[str, int] = {}
    for member in plan.recipe.members:
        for task, dataset in zip(plan.tasks(member, len(folds)), folds, strict=True):
            saved = task.checkpoints() if together or (checkpoints and member.fit == "gradient") else None
            state = saved.latest() if saved is not None else None
            history = state.history if state is not None else []
            with watch(task, len(history)) as on_epoch:
                for epoch in history:
                    on_epoch(epoch)
                if together is not None:
                    network, state = _train_together(task, dataset, together, on_epoch)
                else:
                    network, state = _train_here(task, dataset, starts.get(member.name), state, saved, on_epoch)
            temperature = _temperatures(task, dataset, network) if calibrated else {}
            networks.setdefault(member.name, []).append(TrainedNetwork(network=network, temperature=temperature))
            states[task.name], seeds[task.name] = state, task.seed
    return TrainedRecipe(networks=networks, states=states, seeds=seeds)


def _train_here(
    task: NetworkTask,
    dataset: Dataset,
    start: StartingWeights | None,
    state: TrainingState | None,
    checkpoints: Checkpoints | None,
    on_epoch: OnEpoch,
) -> tuple[FittedNetwork, TrainingState]:
    def after_epoch(epoch: Epoch, now: TrainingState) -> bool:
        if checkpoints is not None:
            checkpoints.save(epoch.epoch, now, epoch.epoch == task.epochs)
        on_epoch(epoch)
        return True

    return train_member(dataset, task.recipe, task.own_member, task.seed, after_epoch, state, start)


def _train_together(
    task: NetworkTask, dataset: Dataset, together: TrainTogether, on_epoch: OnEpoch
) -> tuple[FittedNetwork, TrainingState]:
    network = build_member(dataset.study, task.own_member, dataset.arrays.shape, task.seed)  # a bad setting fails here
    state = together(task, on_epoch)
    network = network.to(pick_device())
    network.load_state_dict(state.best)
    return network.eval(), state


def _temperatures(task: NetworkTask, dataset: Dataset, network: FittedNetwork) -> dict[str, float]:
    """By target; points have none."""
    targets = member_targets(dataset.study, task.own_member)
    if not targets:
        return {}
    assert isinstance(network, nn.Module), task.name
    samples = member_samples(dataset, task.own_member, "validation")
    logits = build_run(dataset, task.recipe, task.own_member, task.seed).logits(network, samples)
    return {
        target.name: calibrate(target, logits[target.name].cpu(), torch.from_numpy(samples.taught(target.name)))
        for target in targets
    }


def put_model(
    store: Store,
    folder: str,
    study: Study,
    trained: TrainedRecipe,
    description: BundleDescription,
    *,
    half: bool = False,
) -> BundleDescription:
    """Write the history, the card and the bundle, which is put last; then the checkpoints go."""
    rows = [{"member": name, **vars(epoch)} for name, state in trained.states.items() for epoch in state.history]
    store.put(f"{folder}/history.parquet", to_parquet(HISTORY.rows(rows), HISTORY))
    store.put(f"{folder}/card.md", card(study, description).encode())
    written = put_bundle(store, folder, trained.networks, description, half=half)
    delete_folder(store, f"{folder}/checkpoints")
    return written


def delete_folder(store: Store, folder: str) -> None:
    """Remove what a finished training no longer needs."""
    for entry in list(store.list(f"{folder}/")):
        store.delete(entry.key)
