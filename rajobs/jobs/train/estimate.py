"""How long a training takes on the device at hand: a few steps of each of its networks are measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rajobs import studies
from rajobs.jobs import console, remote
from rajobs.jobs.train.dataset import LabelledData, build_dataset, draw_missing, open_labelled_data, open_placed_data
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.ensemble import build_member, check_rows_to_learn_from
from rajobs.learning.recipe import Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.prepared import read_prepared
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.members import build_run
from rajobs.learning.training.state import Pace

CASCADE_STAGE = 20.0  # seconds, roughly: a boosted cascade has no steps to measure
FORWARD = 1 / 3  # of a training step's time


@dataclass(frozen=True, kw_only=True)
class NetworkTime:
    """What one network of a recipe does at full budget, and how fast it goes."""

    pace: Pace
    epochs: int
    rows: int  # as often as they are shown in an epoch
    batch: int
    validation: int  # rows looked at after each epoch

    def seconds(self, budget: float) -> float:
        """Time to train with a share of the epochs and of the rows."""
        epochs, rows = max(1, round(self.epochs * budget)), max(1, round(self.rows * budget))
        steps = max(1, rows // min(self.batch, rows))
        return epochs * (rows * self.pace.row + steps * self.pace.step + self.validation * self.pace.row * FORWARD)

    def seconds_of_answers(self, rows: int) -> float:
        """Time to ask the network about rows."""
        return rows * self.pace.row * FORWARD


@dataclass(frozen=True, kw_only=True)
class TrainingTime:
    """The networks of a recipe, and the rows that they are asked about once they are trained."""

    networks: tuple[NetworkTime, ...]
    answered: int

    def seconds(self, budget: float) -> float:
        """Time to train with a budget, and to ask about all rows of the split."""
        return sum(each.seconds(budget) for each in self.networks) + self.seconds_of_answers()

    def seconds_of_answers(self) -> float:
        """Time to ask every network about all rows of the split."""
        return sum(each.seconds_of_answers(self.answered) for each in self.networks)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What is to be timed, as a worker is given it."""

    study: str
    data: str
    recipe: Recipe
    finders: str
    mode: str


def estimate_training(timed: Timed, ray: str | None) -> TrainingTime:
    """Measure a few steps on the device that would train; the rows are prepared, so that training finds them."""
    study = studies.find(timed.study).for_recipe(timed.recipe)
    source = open_placed_data(timed.data, study, timed.finders, ray, timed.mode)
    frozen_split(source, timed.mode)
    draw_missing(source, timed.recipe.view, ray)
    if remote.is_elsewhere(ray):
        answer: TrainingTime = remote.run_on_worker(estimate_on_worker, timed, address=ray)
        return answer
    return _measure(timed, source)


def estimate_on_worker(timed: Timed) -> TrainingTime:
    """Open the data again, and measure."""
    with console.silence():
        study = studies.find(timed.study).for_recipe(timed.recipe)
        source = open_labelled_data(timed.data, study, timed.finders, timed.mode)
    return _measure(timed, source)


def _measure(timed: Timed, source: LabelledData) -> TrainingTime:
    split, _ = frozen_split(source, timed.mode)
    arrays = read_prepared(source.store, source.study, timed.recipe.view, source.positions)
    dataset = build_dataset(source, arrays, split, timed.recipe)
    folds = fold_datasets(dataset, timed.recipe.folds)
    check_rows_to_learn_from(folds, timed.recipe)
    return TrainingTime(networks=measure_networks(folds, timed.recipe), answered=split.num_rows)


def measure_networks(folds: Sequence[Dataset], recipe: Recipe, seed: int = 0) -> tuple[NetworkTime, ...]:
    """Every network of a recipe; networks that are built alike go at one pace."""
    paces: dict[object, Pace] = {}
    networks: list[NetworkTime] = []
    for member in recipe.members:
        run = build_run(replace(folds[0], budget=1.0), recipe, member, seed)
        alike = (member.architecture, str(member.settings), run.training.batch_size)
        if member.fit == "cascade":
            paces[alike] = Pace(row=CASCADE_STAGE / max(1, len(run.train)), step=0.0)
        elif alike not in paces:
            paces[alike] = run.pace(build_member(folds[0].study, member, folds[0].arrays.shape, 0).to(run.device))
        network = NetworkTime(
            pace=paces[alike], epochs=run.training.epochs, rows=len(run.train) * run.training.copies,
            batch=run.training.batch_size, validation=len(run.validation or ()),
        )  # fmt: skip
        networks += [network] * len(folds)
    return tuple(networks)
