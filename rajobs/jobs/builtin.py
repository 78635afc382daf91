"""The models inside the package, made from drawings alone: `python -m rajobs.jobs.builtin OUT` (`make builtin`).

Films are drawn while the networks learn, so that none is seen twice; no patient's pixels are in it. A run that was
ended goes on where it stopped. About two hours on two cores; with the same seed and machine, the same models.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import rajobs
from rajobs import __version__, studies
from rajobs.jobs import console
from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.learning.bundle import BUNDLE, Model, TrainedMembers, TrainedNetwork, put_bundle
from rajobs.learning.card import drawn_card
from rajobs.learning.ensemble import Dataset, build_member, build_run, count_learned_rows
from rajobs.learning.evaluation import evaluate_model, evaluate_points
from rajobs.learning.networks.architectures import parameters
from rajobs.learning.recipe import Member, Recipe, to_dict
from rajobs.learning.samples.drawn_rows import DrawnRow, draw_rows
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Array, Study
from rajobs.learning.training.loop import pick_device
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.phantoms.picture import PHANTOM_VERSION
from rajobs.records.manifest import digest
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import HISTORY, PREPARED


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltinModel:
    """A built-in model: a study's recipe, rounds that it learns, films drawn for each."""

    study: str
    recipe: str
    rounds: int
    films: int

    @property
    def name(self) -> str:
        return f"{self.study}/{self.recipe}"


BUILTIN_MODELS = (
    BuiltinModel(study="hand_filter", recipe="hands", rounds=30, films=1500),
    BuiltinModel(study="joint_detection", recipe="default", rounds=20, films=1200),
)

AT_ONCE = 50  # films of a task of drawing
NAME = "builtin"  # stands for the models inside the package
DRAWN = "drawn"  # stands where other bundles tell of data, key and split


def package_folder() -> str:
    """The folder of the models inside the package."""
    return str(Path(rajobs.__file__).parent / "builtin")


def resolve_models(models: str) -> str:
    """A place of models as it was named."""
    return package_folder() if models == NAME else models


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltinRequest:
    """How much is drawn and learnt."""

    out: str
    rounds: int
    films: int  # drawn for a round
    tried: int = 1000  # drawn of another seed, that the model is tried on for its card
    seed: int = 0
    workers: int = 2


def make_model(order: BuiltinRequest, study: Study, recipe: Recipe) -> str:
    """One model; the folder of its bundle."""
    store = open_store(order.out)
    facts: dict[str, Any] = {
        "study": study.name, "recipe": to_dict(recipe), "mode": "drawn", "seed": order.seed, "budget": 1.0,
        "code": __version__, "phantom": PHANTOM_VERSION, "rounds": order.rounds, "films": order.films * order.rounds,
        "tried": order.tried,
    }  # fmt: skip
    folder = f"{study.name}/{digest(facts)}"
    if store.stat(f"{folder}/{BUNDLE}"):
        console.line(f"nothing to do: {order.out}/{folder} holds this model already")
        return folder
    trained: dict[str, list[TrainedNetwork]] = {}
    history: list[dict[str, object]] = []
    with ProcessPoolExecutor(order.workers, get_context("spawn")) as pool:
        for number, member in enumerate(recipe.members):
            checkpoints = Checkpoints(store=store, folder=f"{folder}/checkpoints", name=member.name)
            network, state, lesson = _fit(pool, order, study, recipe, member, order.seed * 1000 + number, checkpoints)
            trained[member.name] = [TrainedNetwork(network=network.eval(), temperature={})]
            history += [{"member": member.name, **vars(epoch)} for epoch in state.history]
        tried = draw_dataset(
            pool, dataclasses.replace(order, films=order.tried, seed=order.seed + 1), study, recipe, 0, "validation"
        )
    facts |= {
        "key": DRAWN, "data": DRAWN, "split": DRAWN, "starts": {}, "shape": list(lesson.arrays.shape),
        "classes": {target.name: list(target.classes) for target in study.targets},
        "validation": _figures(recipe, trained, tried),
        "parameters": {name: parameters(several[0].network) for name, several in trained.items()},
        "rows": {"train": len(lesson.arrays) * order.rounds, "validation": len(tried.arrays), "test": 0},
        "epochs": {name: {"run": order.rounds, "kept": order.rounds} for name in trained},
        "learned": count_learned_rows(lesson),
    }  # fmt: skip
    store.put(f"{folder}/history.parquet", to_parquet(HISTORY.rows(history), HISTORY))
    store.put(f"{folder}/card.md", drawn_card(study, facts).encode())
    put_bundle(store, folder, trained, facts, short=True)
    for entry in list(store.list(f"{folder}/checkpoints/")):
        store.delete(entry.key)
    return folder


def _figures(recipe: Recipe, trained: TrainedMembers, tried: Dataset) -> dict[str, dict[str, float]]:
    """What a model tells and shows of films that it never saw."""
    study, shape = tried.study, tried.arrays.shape
    model = Model(study=study, recipe=recipe, shape=shape, hash="", trained=trained, device=pick_device())
    found = evaluate_model(model, tried, "validation").figures() if model.answers_targets else {}
    if study.points is not None and model.shows_points:
        shown = dataclasses.replace(tried, study=study.shown())
        found |= evaluate_points(model, shown, "validation").figures()
    return found


def _fit(
    pool: ProcessPoolExecutor,
    order: BuiltinRequest,
    study: Study,
    recipe: Recipe,
    member: Member,
    seed: int,
    checkpoints: Checkpoints,
) -> tuple[nn.Module, TrainingState, Dataset]:
    """A network, its run and the last round's lesson."""
    training = dataclasses.replace(recipe.training_of(member), epochs=order.rounds, keep="last")
    recipe = dataclasses.replace(recipe, training=training)
    member = dataclasses.replace(member, training=None)
    state = checkpoints.latest() or TrainingState()
    with console.Progress(f"rounds of {member.name}", order.rounds) as progress:
        lesson = draw_dataset(pool, dataclasses.replace(order, films=1), study, recipe, 0)
        network = build_member(study, member, lesson.arrays.shape, order.seed).to(pick_device())

        def told(epoch: Epoch, now: TrainingState) -> bool:
            checkpoints.save(epoch.epoch, now, epoch.epoch == order.rounds)
            progress.step(note=f"loss {epoch.loss:.3f}")
            return False  # the next round's films are others

        progress.step(len(state.history))
        first = min(len(state.history), order.rounds - 1)  # the last round's lesson is told of
        coming = _drawing(pool, order, study, recipe, first)
        for number in range(first, order.rounds):
            lesson = drawn_dataset(study, _rows(coming))
            if number + 1 < order.rounds:  # drawn while this one is learnt
                coming = _drawing(pool, order, study, recipe, number + 1)
            if number >= len(state.history):
                state = build_run(lesson, recipe, member, seed).run(network, told, state)
    network.load_state_dict(state.weights)
    return network, state, lesson


def draw_dataset(
    pool: ProcessPoolExecutor, order: BuiltinRequest, study: Study, recipe: Recipe, number: int, part: str = "train"
) -> Dataset:
    """A round's films, drawn by several processes, in an order that does not hang on them."""
    return drawn_dataset(study, _rows(_drawing(pool, order, study, recipe, number)), part)


def _drawing(
    pool: ProcessPoolExecutor, order: BuiltinRequest, study: Study, recipe: Recipe, number: int
) -> list[Future[list[DrawnRow]]]:
    """A round's films, that are being drawn."""
    return [
        pool.submit(
            _draw, study.name, dict(recipe.view), (order.seed, number), range(start, min(start + AT_ONCE, order.films))
        )
        for start in range(0, order.films, AT_ONCE)
    ]


def _rows(drawing: Sequence[Future[list[DrawnRow]]]) -> list[DrawnRow]:
    return [row for lot in drawing for row in lot.result()]


def _draw(name: str, settings: dict[str, Any], seed: tuple[int, ...], films: range) -> list[DrawnRow]:
    import cv2

    cv2.setNumThreads(1)
    rows = draw_rows(studies.find(name), settings, seed, films)
    return [dataclasses.replace(row, picture=None) for row in rows]


def drawn_dataset(study: Study, rows: Sequence[DrawnRow], part: str = "train") -> Dataset:
    """DrawnRow rows to learn from, or to be tried on."""
    told: list[dict[str, object]] = [
        {
            "image_id": row.row.image_id,
            "hand": row.row.hand,
            "site": "",
            "side": row.row.side,
            "patient": row.row.image_id,
        }
        for row in rows
    ]
    drawn: Array = np.stack([row.array for row in rows]).astype(np.uint8, copy=False)
    arrays = Prepared(rows=PREPARED.rows(told), arrays=(drawn,), starts=np.zeros(1, np.int64))
    return Dataset(
        study=study, arrays=arrays, labels={target.name: [row.view for row in rows] for target in study.targets},
        points=np.stack([row.points for row in rows if row.points is not None]) if study.points else None,
        parts=np.full(len(rows), part), groups=np.full(len(rows), ""),
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--rounds", type=int, help="where it is not to be as in the package")
    parser.add_argument("--films", type=int, help="drawn for a round, the same")
    parser.add_argument(
        "--tried", type=int, default=BuiltinRequest.tried, help="films of another seed to try a model on"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=BuiltinRequest.workers, help="processes that draw")
    parser.add_argument("--only", nargs="*", default=[made.name for made in BUILTIN_MODELS])
    args = parser.parse_args(arguments)
    for made in BUILTIN_MODELS:
        if made.name in args.only:
            order = BuiltinRequest(
                out=args.out, rounds=args.rounds or made.rounds, films=args.films or made.films, tried=args.tried,
                seed=args.seed, workers=args.workers,
            )  # fmt: skip
            study = studies.find(made.study)
            console.line(f"model: {order.out}/{make_model(order, study, study.recipe(made.recipe))}")


if __name__ == "__main__":
    main(sys.argv[1:])
