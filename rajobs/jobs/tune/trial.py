"""One trial of a sweep: the same training as train's, in its own process or by workers of its own, epoch by epoch."""

import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.tune

from rajobs import studies
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data
from rajobs.jobs.train.driver import NetworkTask, train_recipe
from rajobs.jobs.train.splits import frozen_split
from rajobs.jobs.train.worker import run_workers
from rajobs.jobs.tune.trial_config import TrialConfig, TrialReport
from rajobs.learning.bundle import Model
from rajobs.learning.ensemble import check_rows_to_learn_from
from rajobs.learning.judging.evaluation import Evaluation, evaluate_folds
from rajobs.learning.networks.starting_weights import find_starting_weights
from rajobs.learning.recipe import Member, Recipe, to_dict
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.prepared import read_prepared
from rajobs.learning.targets import MISSING
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.loop import pick_device
from rajobs.learning.training.state import Epoch
from rajobs.records.metrics import Answers
from rajobs.records.store import open_store
from rajobs.records.store.lease import Fence

ROW_KEY = ("image_id", "extremity", "site")
LONGEST_CAUSE = 300  # characters


def run_trial(config: Mapping[str, Any]) -> None:
    """What Ray Tune calls. Whatever goes wrong becomes the cause in the trial's row, and the sweep goes on."""
    trial = TrialConfig.from_json(config)
    if trial.place.deadline is not None and time.time() >= trial.place.deadline:
        _report(TrialReport(late=True))
        return
    try:
        _train_and_evaluate(trial)
    except Exception as error:  # noqa: BLE001 - a recipe can fail in any way that torch can
        _report(TrialReport(failed=_cause(error)))


def _report(report: TrialReport) -> None:
    ray.tune.report(dict(vars(report)))


def _cause(error: BaseException) -> str:
    """A failure in a line: of workers that failed together, the first one's."""
    failures = getattr(error.__cause__, "worker_failures", None)
    first = next(iter(failures.values()), error) if failures else error
    text = str(first).strip().splitlines()
    return f"{type(first).__name__}: {text[-1 if failures else 0] if text else ''}"[:LONGEST_CAUSE]


def _train_and_evaluate(trial: TrialConfig) -> None:
    recipe = trial.recipe
    find_starting_weights(recipe, None)
    dataset = _dataset(_what_is_read(trial))
    folds = fold_datasets(dataset, recipe.folds)
    check_rows_to_learn_from(folds, recipe)
    together = partial(run_workers, trial.resources) if trial.resources.workers > 1 else None
    reporter = EpochReporter(dataset.study.headline.partition(".")[0])
    trained = train_recipe(trial.plan, folds, {}, reporter.watch, together=together, checkpoints=False)
    model = Model(
        study=dataset.study, recipe=recipe, shape=dataset.arrays.shape, hash="", trained=trained.networks,
        device=pick_device(),
    )  # fmt: skip
    evaluation = evaluate_folds(model, folds)
    figure = evaluation.figures()[dataset.study.headline]
    answers = pack_answers(evaluation, dataset.arrays.rows)
    fence = Fence(open_store(trial.place.out), trial.place.run)
    fence.check()
    fence.store.put(f"{trial.place.answers}/{trial.file_stem}.parquet", answers)
    _report(
        TrialReport(epoch=reporter.epochs, score=figure["value"], low=figure["low"], high=figure["high"], last=True)
    )


class EpochReporter:
    """Reports every epoch of the trial's networks, numbered through; only those that answer `target` have a score."""

    def __init__(self, target: str) -> None:
        self.epochs, self.target = 0, target

    @contextmanager
    def watch(self, task: NetworkTask, resumed: int) -> Iterator[Callable[[Epoch], None]]:
        before, targets = self.epochs, task.own_member.targets
        answers = not targets or self.target in targets

        def on_epoch(epoch: Epoch) -> None:
            self.epochs = before + epoch.epoch
            score = epoch.metric if answers and epoch.metric is not None else math.nan
            _report(TrialReport(epoch=self.epochs, score=score, loss=epoch.loss))

        yield on_epoch


def _what_is_read(trial: TrialConfig) -> str:
    """What a trial reads, as JSON: the same for trials that differ in how they learn."""
    recipe = to_dict(trial.recipe)
    members = [{name: member[name] for name in ("name", "architecture", "targets")} for member in recipe["members"]]
    place = {
        "data": trial.place.data,
        "finders": trial.place.finders,
        "mode": trial.place.mode,
        "budget": trial.place.budget,
    }
    rows = {name: recipe[name] for name in ("view", "sites")}
    return json.dumps({**place, **rows, "study": trial.study, "members": members})


@lru_cache(maxsize=1)  # a process runs one trial after another: what they share is read once
def _dataset(what: str) -> Dataset:
    content = json.loads(what)
    members = tuple(Member(**{**member, "targets": tuple(member["targets"])}) for member in content["members"])
    recipe = Recipe(view=content["view"], members=members, sites=tuple(content["sites"]))
    study = studies.find(content["study"]).for_recipe(recipe)
    source = open_labelled_data(content["data"], study, content["finders"], content["mode"])
    split, _ = frozen_split(source, content["mode"])
    arrays = read_prepared(source.store, study, recipe.view, source.positions)
    return build_dataset(source, arrays, split, recipe, content["budget"])


def pack_answers(evaluation: Evaluation, rows: pa.Table) -> bytes:
    """The answers to the headline's target with the rows they are about, as Parquet."""
    name = evaluation.study.headline.partition(".")[0]
    labelled = evaluation.truth[name] != MISSING
    chosen = pa.array(np.flatnonzero(labelled))
    table = evaluation.rows(rows).select([*ROW_KEY, "patient"]).take(chosen)
    for column, values in (("truth", evaluation.truth), ("predicted", evaluation.predicted)):
        table = table.append_column(column, pa.array(values[name][labelled]))
    table = table.append_column("p", pa.array(list(evaluation.p[name][labelled])))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def unpack_answers(one: bytes, other: bytes) -> tuple[Answers, Answers]:
    """Two trials' answers to the rows that both answered, in one order."""
    tables = [
        {tuple(row[key] for key in ROW_KEY): row for row in pq.read_table(io.BytesIO(data)).to_pylist()}
        for data in (one, other)
    ]
    both = sorted(tables[0].keys() & tables[1].keys(), key=str)
    first, second = (_answers([table[key] for key in both]) for table in tables)
    return first, second


def _answers(rows: Sequence[Mapping[str, Any]]) -> Answers:
    return Answers(
        truth=np.array([row["truth"] for row in rows], np.int64),
        predicted=np.array([row["predicted"] for row in rows], np.int64),
        p=np.array([row["p"] for row in rows], np.float64),
        patients=np.array([row["patient"] for row in rows], np.str_),
    )
