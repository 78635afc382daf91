"""Makes the models inside the package, from drawings alone: `python -m rajobs.jobs.builtin OUT` (`make builtin`).

Films are drawn while the networks learn, and each is learnt only once; no patient's pixels are in the models. A stopped
run resumes from its last round. Several hours on two cores, of which the scorer alone takes more than one. On one
machine, one seed gives the same models.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import rajobs
from rajobs import __version__, studies
from rajobs.jobs import console
from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.jobs.train.driver import TrainedRecipe, put_model
from rajobs.learning.bundle import Model, TrainedMembers, TrainedNetwork
from rajobs.learning.bundle_description import BUNDLE, BundleDescription, DrawnFilms, Epochs, Figures, Origin
from rajobs.learning.ensemble import count_learned_rows, member_targets
from rajobs.learning.judging.evaluation import evaluate_model, evaluate_points
from rajobs.learning.networks.architectures import divide_odds, parameters
from rajobs.learning.recipe import Member, Recipe, Settings
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.drawn_rows import DrawnRow, draw_rows
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Array, Study
from rajobs.learning.training.loop import pick_device
from rajobs.learning.training.members import train_in_rounds
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.phantoms.picture import PHANTOM_VERSION
from rajobs.records.store import open_store
from rajobs.records.tables.schemas import PREPARED

NAME = "builtin"  # stands for the models inside the package
DRAWN = "drawn"  # stands in a description where other bundles name their data, key and split
FILMS_PER_TASK = 50


@dataclass(frozen=True, kw_only=True)
class BuiltinModel:
    """A built-in model: a study's recipe, the rounds that it learns, and the films drawn for each round."""

    study: str
    recipe: str
    rounds: int
    films: int
    rarer: float = 1.0  # by which the odds of steps up of a score, and of no score, are divided when it has learnt

    @property
    def name(self) -> str:
        return f"{self.study}/{self.recipe}"


BUILTIN_MODELS = (
    BuiltinModel(study="hand_filter", recipe="hands", rounds=16, films=900),
    BuiltinModel(study="joint_detection", recipe="default", rounds=20, films=1200),
    BuiltinModel(study="svdh_scoring", recipe="drawn", rounds=12, films=300, rarer=4.0),
)


def package_folder() -> str:
    """The folder of the models inside the package."""
    return str(Path(rajobs.__file__).parent / "builtin")


def resolve_models(models: str) -> str:
    """The place of models that a user named: `builtin` stands for those inside the package."""
    return package_folder() if models == NAME else models


@dataclass(frozen=True, kw_only=True)
class BuiltinRequest:
    """Where the models go, and how much is drawn and learnt."""

    out: str
    rounds: int
    films: int  # drawn for each round
    tried: int = 1000  # drawn with another seed: the model is tried on them for its card
    rarer: float = 1.0
    seed: int = 0
    workers: int = 2


@dataclass(frozen=True, kw_only=True)
class FilmDrawer:
    """Draws the films of rounds in several processes; the order of the rows does not depend on their number."""

    pool: Executor
    study: Study
    settings: Settings
    seed: int
    films: int

    def start(self, number: int) -> list[Future[list[DrawnRow]]]:
        """Begin to draw a round's films."""
        return [
            self.pool.submit(
                _draw_films, self.study.name, dict(self.settings), (self.seed, number),
                range(first, min(first + FILMS_PER_TASK, self.films)),
            )
            for first in range(0, self.films, FILMS_PER_TASK)
        ]  # fmt: skip

    def dataset(self, drawing: Sequence[Future[list[DrawnRow]]], part: str = "train") -> Dataset:
        return dataset_of_drawn(self.study, [row for task in drawing for row in task.result()], part)

    def rounds(self, first: int, count: int) -> Iterator[Dataset]:
        """Rounds from `first` on; while the caller learns from one, the films of the next are drawn."""
        drawing = self.start(first)
        for number in range(first, count):
            dataset = self.dataset(drawing)
            if number + 1 < count:
                drawing = self.start(number + 1)
            yield dataset


def make_model(request: BuiltinRequest, study: Study, recipe: Recipe) -> str:
    """Make one model; returns the folder of its bundle."""
    store = open_store(request.out)
    drawn = DrawnFilms(
        phantom=PHANTOM_VERSION, rounds=request.rounds, films=request.films * request.rounds, tried=request.tried,
        rarer=request.rarer,
    )  # fmt: skip
    origin = Origin(
        study=study.name, recipe=recipe, mode=DRAWN, seed=request.seed, budget=1.0, code=__version__, data=DRAWN,
        key=DRAWN, split=DRAWN, drawn=drawn,
    )  # fmt: skip
    folder = f"{study.name}/{origin.version}"
    if store.stat(f"{folder}/{BUNDLE}"):
        console.line(f"nothing to do: {request.out}/{folder} holds this model already")
        return folder
    trained: dict[str, list[TrainedNetwork]] = {}
    states: dict[str, TrainingState] = {}
    with ProcessPoolExecutor(request.workers, get_context("spawn")) as pool:
        drawer = FilmDrawer(pool=pool, study=study, settings=recipe.view, seed=request.seed, films=request.films)
        for number, member in enumerate(recipe.members):
            checkpoints = Checkpoints(store=store, folder=f"{folder}/checkpoints", name=member.name)
            network, states[member.name], dataset = _train_member(
                drawer, recipe, member, request.rounds, request.seed * 1000 + number, checkpoints
            )
            if request.rarer != 1:
                divide_odds(network.network, member_targets(study, member), study.assessable, request.rarer)
            trained[member.name] = [network]
        another = replace(drawer, seed=request.seed + 1, films=request.tried)
        tried = another.dataset(another.start(0), "validation")
    description = BundleDescription(
        origin=origin,
        shape=dataset.arrays.shape,
        classes={target.name: target.classes for target in study.targets},
        parameters={name: parameters(several[0].network) for name, several in trained.items()},
        epochs={name: Epochs(run=request.rounds, kept=request.rounds) for name in trained},
        rows={"train": len(dataset.arrays) * request.rounds, "validation": len(tried.arrays), "test": 0},
        learned=count_learned_rows(dataset),
        validation=_compute_figures(recipe, trained, tried),
    )
    put_model(store, folder, study, TrainedRecipe(networks=trained, states=states), description, half=True)
    return folder


def _train_member(
    drawer: FilmDrawer, recipe: Recipe, member: Member, rounds: int, seed: int, checkpoints: Checkpoints
) -> tuple[TrainedNetwork, TrainingState, Dataset]:
    """A member's network, its run, and the last round's dataset."""
    training = replace(recipe.training_of(member), epochs=rounds, keep="last")
    of_rounds, member = replace(recipe, training=training), replace(member, training=None)
    state = checkpoints.latest() or TrainingState()
    seen: list[Dataset] = []
    with console.Progress(f"rounds of {member.name}", rounds) as progress:

        def on_epoch(epoch: Epoch, now: TrainingState) -> None:
            checkpoints.save(epoch.epoch, now, epoch.epoch == rounds)
            progress.step(note=f"loss {epoch.loss:.3f}")

        def datasets() -> Iterator[Dataset]:
            for dataset in drawer.rounds(first, rounds):
                seen[:] = [dataset]
                yield dataset

        progress.step(len(state.history))
        first = min(len(state.history), rounds - 1)  # the last round's dataset is described, even if it was learnt
        network, state = train_in_rounds(datasets(), first, of_rounds, member, seed, on_epoch, state)
    return TrainedNetwork(network=network, temperature={}), state, seen[0]


def _compute_figures(recipe: Recipe, trained: TrainedMembers, tried: Dataset) -> Figures:
    """A model's figures on films that it never saw: of its targets and of its points."""
    study = tried.study
    model = Model(study=study, recipe=recipe, shape=tried.arrays.shape, hash="", trained=trained, device=pick_device())
    figures = evaluate_model(model, tried, "validation").figures() if model.answers_targets else {}
    if study.points is not None and model.shows_points:
        points = replace(tried, study=study.of_points())
        figures |= evaluate_points(model, points, "validation").figures()
    return figures


def _draw_films(name: str, settings: Settings, seed: tuple[int, ...], films: range) -> list[DrawnRow]:
    import cv2

    cv2.setNumThreads(1)
    rows = draw_rows(studies.find(name), settings, seed, films)
    return [replace(row, picture=None) for row in rows]


def dataset_of_drawn(study: Study, rows: Sequence[DrawnRow], part: str = "train") -> Dataset:
    """Drawn rows as a dataset to learn from, or to try a model on."""
    table = PREPARED.rows([
        {
            "image_id": drawn.row.image_id, "extremity": drawn.row.extremity, "site": drawn.row.site,
            "side": drawn.row.side, "patient": drawn.row.image_id,
        }
        for drawn in rows
    ])  # fmt: skip
    arrays: Array = np.stack([drawn.array for drawn in rows]).astype(np.uint8, copy=False)
    return Dataset(
        study=study,
        arrays=Prepared(rows=table, arrays=(arrays,), starts=np.zeros(1, np.int64)),
        labels={target.name: [drawn.labels.get(target.name) for drawn in rows] for target in study.targets},
        points=np.stack([drawn.points for drawn in rows if drawn.points is not None]) if study.points else None,
        parts=np.full(len(rows), part),
        groups=np.full(len(rows), ""),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--rounds", type=int, help="rounds to learn; the models in the package have their own numbers")
    parser.add_argument("--films", type=int, help="films drawn for each round; likewise")
    parser.add_argument(
        "--tried", type=int, default=BuiltinRequest.tried, help="films of another seed to try a model on"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=BuiltinRequest.workers, help="processes that draw")
    parser.add_argument("--only", nargs="*", default=[model.name for model in BUILTIN_MODELS])
    args = parser.parse_args(arguments)
    for model in BUILTIN_MODELS:
        if model.name in args.only:
            request = BuiltinRequest(
                out=args.out, rounds=args.rounds or model.rounds, films=args.films or model.films, tried=args.tried,
                seed=args.seed, workers=args.workers, rarer=model.rarer,
            )  # fmt: skip
            study = studies.find(model.study)
            console.line(f"model: {request.out}/{make_model(request, study, study.recipe(model.recipe))}")


if __name__ == "__main__":
    main(sys.argv[1:])
