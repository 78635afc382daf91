"""rajobs train: fit a study's recipe and write a model bundle."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from rajobs import __version__, studies
from rajobs.jobs import cluster, console
from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.jobs.train.dataset import LabelledData, build_dataset, frozen_split, open_labelled_data, prepare
from rajobs.jobs.train.worker import check_workers, train_with_workers
from rajobs.learning.bundle import (
    BUNDLE,
    Model,
    TrainedMembers,
    TrainedNetwork,
    calibrate,
    put_bundle,
    read_description,
)
from rajobs.learning.card import card
from rajobs.learning.ensemble import (
    MOST_ACCURATE,
    Dataset,
    FittedNetwork,
    build_member,
    build_run,
    check_rows_to_learn_from,
    count_learned_rows,
    member_samples,
    member_targets,
    scale_epochs,
    train_member,
)
from rajobs.learning.evaluation import choose_most_accurate, evaluate_folds
from rajobs.learning.networks import architectures
from rajobs.learning.networks.starting_weights import StartingWeights, apply_weights_option, find_starting_weights
from rajobs.learning.recipe import Member, Recipe, from_toml, to_dict
from rajobs.learning.study import Study
from rajobs.learning.training.cross_validation import fold_datasets, network_name
from rajobs.learning.training.loop import TrainingRun, pick_device
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.errors import UsageError
from rajobs.records.manifest import digest, refuse_others
from rajobs.records.store import Store, absolute, open_store, read_text
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import HISTORY

FEW = 30  # patients of the validation part, below which their figures hang on single ones


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What a person asks of train."""

    study: str
    data: str
    out: str
    recipe: str = "default"
    weights: str | None = None  # None: as the recipe says; none; or a place
    workers: int = 1
    mode: str = "clean"
    seed: int = 0
    budget: float = 1.0
    ray: str | None = None


def train(order: TrainRequest) -> str:
    """Fit, and return the place of the bundle; an order that was carried out before is not carried out again."""
    study = studies.find(order.study)
    _check(order)
    recipe = apply_weights_option(read_recipe(study, order.recipe), order.weights)
    check_workers(recipe, order.workers)
    study = study.asked(recipe)
    starts = find_starting_weights(recipe, order.weights)
    source = open_labelled_data(order.data, study)
    store = open_store(order.out)
    refuse_others(store, "models")
    split, split_hash = frozen_split(source, order.mode)
    facts: dict[str, Any] = {
        "study": study.name,
        "recipe": to_dict(recipe),
        "mode": order.mode,
        "seed": order.seed,
        "budget": order.budget,
        "data": source.data_hash,
        "key": source.key,
        "split": split_hash,
        "code": __version__,
        "starts": {name: start.sha256 for name, start in starts.items()},
    }
    version = digest(facts)
    folder = f"{study.name}/{version}"
    if store.stat(f"{folder}/{BUNDLE}"):
        console.line(f"nothing to do: {order.out}/{folder} holds this model already")
        return f"{order.out}/{folder}"
    arrays = prepare(source, recipe.view, order.ray)
    lesson = build_dataset(source, arrays, split, recipe, order.budget)
    lessons = fold_datasets(lesson, recipe.folds)
    check_rows_to_learn_from(lessons, recipe)
    if recipe.heavy:
        _warn(order, lesson, recipe)
    _hint(lesson, recipe)
    trained: dict[str, list[TrainedNetwork]] = {}
    states: dict[str, TrainingState] = {}
    for number, member in enumerate(recipe.members):
        for turn, mine in enumerate(lessons):
            name = network_name(member.name, turn, len(lessons))
            place = Place(folder=f"{folder}/checkpoints", name=name, turn=turn, seed=order.seed * 1000 + number)
            one, states[name] = train_network(order, mine, recipe, member, starts.get(member.name), place)
            trained.setdefault(member.name, []).append(one)
    _put(store, folder, source, recipe, lessons, trained, states, facts)
    for entry in list(store.list(f"{folder}/checkpoints/")):
        store.delete(entry.key)
    _summary(store, folder, order)
    return f"{order.out}/{folder}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Which of a recipe's networks is trained, and where its checkpoints lie."""

    folder: str
    name: str
    turn: int
    seed: int


def _hint(lesson: Dataset, recipe: Recipe) -> None:
    """Where few patients choose, say how all of them can."""
    few = len(set(lesson.groups[lesson.parts == "validation"]))
    if not recipe.folds and few < FEW:
        console.line(f"{few} patients validate: few to choose by. A recipe with folds = 5 gives every patient a turn")


def _check(order: TrainRequest) -> None:
    if not 0 < order.budget <= 1:
        raise UsageError(f"--budget must be above 0 and at most 1, not {order.budget}")
    if order.workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {order.workers}")


def _warn(order: TrainRequest, lesson: Dataset, recipe: Recipe) -> None:
    """Say how long a recipe that is meant for GPUs will take, before it starts."""
    seconds = 0.0
    for member in recipe.members:
        run = build_run(lesson, recipe, member, order.seed)
        one = run.estimate(build_member(lesson.study, member, lesson.arrays.shape, 0).to(run.device))
        seconds += one * max(1, recipe.folds)
    console.line(
        f"{lesson.study.name} {order.recipe} is meant for GPUs; here, on {run.device}, it takes about "
        f"{console.clock(seconds / order.workers)}. A smaller --budget tries it with fewer epochs and rows"
    )


def read_recipe(study: Study, name: str) -> Recipe:
    """A recipe by name, or out of a TOML file on this machine or a store."""
    if not name.endswith(".toml"):
        return study.recipe(name)
    recipe = from_toml(read_text(name, "recipe file"))
    for member in recipe.members:
        architectures.check_member(member)
    study.view.with_settings(recipe.view)
    return recipe


def train_network(
    order: TrainRequest, lesson: Dataset, recipe: Recipe, member: Member, start: StartingWeights | None, place: Place
) -> tuple[TrainedNetwork, TrainingState]:
    """One network trained, from its last checkpoint if there is one, and calibrated."""
    checkpoints = Checkpoints(store=open_store(order.out), folder=place.folder, name=place.name)
    run = build_run(lesson, recipe, member, place.seed)
    state = checkpoints.latest()
    if state:
        console.line(f"{place.name}: going on after epoch {len(state.history)}")
    if order.workers > 1:
        task = {
            "study": lesson.study.name, "data": absolute(order.data), "out": absolute(order.out), "mode": order.mode,
            "budget": order.budget, "recipe": to_dict(recipe), "member": member.name, "weights": order.weights,
            **vars(place),
        }  # fmt: skip
        with cluster.connected(order.ray):
            state = train_with_workers(task, order.workers, run.training.epochs, lesson.study.headline)
        built = build_member(lesson.study, member, lesson.arrays.shape, place.seed).to(run.device)
        built.load_state_dict(state.best)
        network: FittedNetwork = built.eval()
    else:
        network, state = _fit_here(lesson, recipe, member, start, place.seed, checkpoints, state)
    temperature = _temperature(run, network, lesson, member) if recipe.calibrate else {}
    return TrainedNetwork(network=network, temperature=temperature), state


def _temperature(run: TrainingRun, network: FittedNetwork, lesson: Dataset, member: Member) -> dict[str, float]:
    """A target's temperature; points have none."""
    if not member_targets(lesson.study, member):
        return {}
    assert isinstance(network, nn.Module), member.name
    samples = member_samples(lesson, member, "validation")
    logits = run.logits(network, samples)
    return {
        target.name: calibrate(target, logits[target.name].cpu(), torch.from_numpy(samples.truth[target.name]))
        for target in member_targets(lesson.study, member)
    }


def _fit_here(
    lesson: Dataset,
    recipe: Recipe,
    member: Member,
    start: StartingWeights | None,
    seed: int,
    checkpoints: Checkpoints,
    state: TrainingState | None,
) -> tuple[FittedNetwork, TrainingState]:
    """In this process: one worker needs no cluster. A cascade that was killed starts again: it takes minutes."""
    epochs, cascade = scale_epochs(recipe.training_of(member), lesson.budget).epochs, member.fit == "cascade"
    with console.Progress(f"{'stages' if cascade else 'epochs'} of {checkpoints.name}", epochs) as progress:
        progress.step(len(state.history) if state else 0)

        def told(epoch: Epoch, now: TrainingState) -> bool:
            if not cascade:
                checkpoints.save(epoch.epoch, now, epoch.epoch == epochs)
            metric = "" if epoch.metric is None else f", {lesson.study.headline} {epoch.metric:.3f}"
            progress.step(note=f"loss {epoch.loss:.3f}{metric}")
            return True

        return train_member(lesson, recipe, member, seed, told, state, start)


def _put(
    store: Store,
    folder: str,
    source: LabelledData,
    recipe: Recipe,
    lessons: Sequence[Dataset],
    trained: TrainedMembers,
    states: Mapping[str, TrainingState],
    facts: Mapping[str, Any],
) -> None:
    study, shape = source.study, lessons[0].arrays.shape
    model = Model(study=study, recipe=recipe, shape=shape, hash="", trained=trained, device=pick_device())
    if recipe.combine == MOST_ACCURATE:
        model = dataclasses.replace(model, best=choose_most_accurate(model, lessons, facts["mode"]))
    told = {
        **facts,
        "shape": list(shape),
        "classes": {target.name: list(target.classes) for target in study.targets},
        "parameters": {name: architectures.parameters(several[0].network) for name, several in trained.items()},
        "epochs": {name: {"run": len(s.history), "kept": s.best_epoch} for name, s in states.items()},
        "rows": {part: int(np.sum(lessons[0].parts == part)) for part in ("train", "validation", "test")},
        "learned": count_learned_rows(lessons[0]),
        **({"best": model.best} if model.best else {}),
        "validation": evaluate_folds(model, lessons).figures(),
    }
    rows = [{"member": name, **vars(epoch)} for name, state in states.items() for epoch in state.history]
    store.put(f"{folder}/history.parquet", to_parquet(HISTORY.rows(rows), HISTORY))
    store.put(f"{folder}/card.md", card(study, told).encode())
    put_bundle(store, folder, trained, told)


def _summary(store: Store, folder: str, order: TrainRequest) -> None:
    told = read_description(store, folder)
    rows = {f"{name} (validation)": console.figure(found) for name, found in told["validation"].items()}
    console.table(f"{order.study}, {order.mode} mode, budget {order.budget:g}", {**told["rows"], **rows})
    if "best" in told:
        part = "test part, as the paper chose: a leak" if order.mode == "published" else "validation part"
        console.line(f"{told['best']} answers, the most accurate member on the {part}")
    console.line(f"model: {order.out}/{folder}")
