"""rajobs train: fit a study's recipe and write a model bundle."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rajobs import __version__, studies
from rajobs.jobs import say
from rajobs.jobs.lesson import Source, lesson_of, open_source, prepare, split_of
from rajobs.learning import networks
from rajobs.learning.bundle import BUNDLE, Model, Trained, calibrate, put_bundle, read_description
from rajobs.learning.card import card
from rajobs.learning.ensemble import Lesson, fit_member, member_fit, member_samples
from rajobs.learning.judge import judge
from rajobs.learning.recipe import Member, Recipe, from_toml, to_dict
from rajobs.learning.state import Epoch, State, load_state, save_state
from rajobs.learning.study import Study
from rajobs.records.errors import NotThereYet, UsageError
from rajobs.records.manifest import digest, refuse_others
from rajobs.records.parts import to_parquet
from rajobs.records.schema import HISTORY
from rajobs.records.store import Store, open_store, read_text

CHECKPOINT_SECONDS = 20.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks of train."""

    study: str
    data: str
    out: str
    recipe: str = "default"
    weights: str = "none"
    workers: int = 1
    mode: str = "clean"
    seed: int = 0
    budget: float = 1.0
    ray: str | None = None


def train(order: Order) -> str:
    """Fit, and return the place of the bundle; an order that was carried out before is not carried out again."""
    study = studies.find(order.study)
    recipe = read_recipe(study, order.recipe)
    _check(order)
    source = open_source(order.data, study)
    store = open_store(order.out)
    refuse_others(store, "models")
    split, split_hash = split_of(source, order.mode)
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
    }
    version = digest(facts)
    folder = f"{study.name}/{version}"
    if store.stat(f"{folder}/{BUNDLE}"):
        say.line(f"nothing to do: {order.out}/{folder} holds this model already")
        return f"{order.out}/{folder}"
    if recipe.heavy:
        say.line(f"{study.name} {order.recipe} is meant for a GPU; --budget 0.01 tries it on a small machine")
    arrays = prepare(source, recipe.view, order.ray)
    lesson = lesson_of(source, recipe, arrays, split, order.budget)
    trained, states = {}, {}
    for number, member in enumerate(recipe.members):
        keep = Keeper(store=store, folder=f"{folder}/checkpoints", member=member.name)
        trained[member.name], states[member.name] = fit(lesson, recipe, member, order.seed * 1000 + number, keep)
    _put(store, folder, source, recipe, lesson, trained, states, facts)
    for entry in list(store.list(f"{folder}/checkpoints/")):
        store.delete(entry.key)
    _summary(store, folder, order)
    return f"{order.out}/{folder}"


def _check(order: Order) -> None:
    if not 0 < order.budget <= 1:
        raise UsageError(f"--budget must be above 0 and at most 1, not {order.budget}")
    if order.workers != 1:
        raise NotThereYet("this version trains with one worker; leave --workers out")
    if order.weights != "none":
        raise NotThereYet("this version starts from random weights only; leave --weights out")


def read_recipe(study: Study, name: str) -> Recipe:
    """A recipe by name, or out of a TOML file on this machine or a store."""
    if not name.endswith(".toml"):
        return study.recipe(name)
    recipe = from_toml(read_text(name, "recipe file"))
    for member in recipe.members:
        networks.check_settings(member.architecture, member.settings)
    study.view.with_settings(recipe.view)
    return recipe


@dataclasses.dataclass(kw_only=True)
class Keeper:
    """Checkpoints of one member: the newest one is there, whatever dies."""

    store: Store
    folder: str
    member: str
    last: float = dataclasses.field(default_factory=time.monotonic)

    def keys(self) -> list[str]:
        return [entry.key for entry in self.store.list(f"{self.folder}/{self.member}-")]

    def newest(self) -> State | None:
        found = self.keys()
        return load_state(self.store.get(found[-1])) if found else None

    def keep(self, epoch: int, state: State, done: bool) -> None:
        if not done and time.monotonic() - self.last < CHECKPOINT_SECONDS:
            return
        older = self.keys()
        self.store.put(f"{self.folder}/{self.member}-{epoch:05d}.safetensors", save_state(state))
        for key in older:
            self.store.delete(key)
        self.last = time.monotonic()


def fit(lesson: Lesson, recipe: Recipe, member: Member, seed: int, keeper: Keeper) -> tuple[Trained, State]:
    """One member trained in this process, from its last checkpoint if there is one, and calibrated."""
    state = keeper.newest()
    run = member_fit(lesson, recipe, member, seed)
    epochs = run.training.epochs
    if state:
        say.line(f"{member.name}: going on after epoch {len(state.history)}")
    with say.Progress(f"epochs of {member.name}", epochs) as progress:
        progress.step(len(state.history) if state else 0)

        def told(epoch: Epoch, now: State) -> bool:
            keeper.keep(epoch.epoch, now, epoch.epoch == epochs)
            metric = "" if epoch.metric is None else f", {lesson.study.headline} {epoch.metric:.3f}"
            progress.step(note=f"loss {epoch.loss:.3f}{metric}")
            return True

        network, state = fit_member(lesson, recipe, member, seed, told, state)
    samples = member_samples(lesson, member, "validation")
    logits = run.logits(network, samples)
    temperature = {
        target.name: calibrate(target, logits[target.name].cpu(), torch.from_numpy(samples.truth[target.name]))
        for target in run.targets
        if recipe.calibrate
    }
    return Trained(network=network.eval(), temperature=temperature), state


def _put(
    store: Store,
    folder: str,
    source: Source,
    recipe: Recipe,
    lesson: Lesson,
    trained: Mapping[str, Trained],
    states: Mapping[str, State],
    facts: Mapping[str, Any],
) -> None:
    study, shape = source.study, lesson.arrays.shape
    model = Model(study=study, recipe=recipe, shape=shape, hash="", trained=trained, device=_device(trained))
    told = {
        **facts,
        "shape": list(shape),
        "classes": {target.name: list(target.classes) for target in study.targets},
        "parameters": {name: networks.parameters(member.network) for name, member in trained.items()},
        "epochs": {name: {"run": len(s.history), "kept": s.best_epoch} for name, s in states.items()},
        "rows": {part: int(np.sum(lesson.parts == part)) for part in ("train", "validation", "test")},
        "validation": judge(model, lesson, "validation").figures(),
    }
    rows = [{"member": name, **vars(epoch)} for name, state in states.items() for epoch in state.history]
    store.put(f"{folder}/history.parquet", to_parquet(HISTORY.rows(rows), HISTORY))
    store.put(f"{folder}/card.md", card(study, told).encode())
    put_bundle(store, folder, trained, told)


def _device(trained: Mapping[str, Trained]) -> str:
    return str(next(next(iter(trained.values())).network.parameters()).device)


def _summary(store: Store, folder: str, order: Order) -> None:
    told = read_description(store, folder)
    rows = {f"{name} (validation)": say.figure(found) for name, found in told["validation"].items()}
    say.table(f"{order.study}, {order.mode} mode, budget {order.budget:g}", {**told["rows"], **rows})
    say.line(f"model: {order.out}/{folder}")
