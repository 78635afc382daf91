"""rajobs train: fit a study's recipe and write a model bundle."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from rajobs import __version__, studies
from rajobs.jobs import cluster, console, remote
from rajobs.jobs.builtin import NAME
from rajobs.jobs.train.dataset import (
    LabelledData,
    build_dataset,
    count_by_placing,
    draw_missing,
    open_labelled_data,
    open_placed_data,
)
from rajobs.jobs.train.driver import (
    NetworkTask,
    TrainedRecipe,
    TrainingPlan,
    TrainTogether,
    put_model,
    train_recipe,
)
from rajobs.jobs.train.estimate import measure_networks
from rajobs.jobs.train.places import absolute_finders
from rajobs.jobs.train.row_facts import add_row_facts
from rajobs.jobs.train.splits import frozen_split
from rajobs.jobs.train.worker import check_workers, resources_on_cluster, run_workers
from rajobs.learning.bundle import Model
from rajobs.learning.bundle_description import BUNDLE, BundleDescription, Epochs, Origin
from rajobs.learning.ensemble import check_rows_to_learn_from, count_learned_rows
from rajobs.learning.judging.evaluation import choose_member, evaluate_folds
from rajobs.learning.judging.predictions import predictions_table, vote
from rajobs.learning.judging.validation import (
    accuracies_of_groups,
    add_member_thresholds,
    calibrate,
    headline_by_centre,
)
from rajobs.learning.networks import architectures
from rajobs.learning.networks.starting_weights import apply_weights_option, find_starting_weights
from rajobs.learning.recipe import BY_CENTRE, KEEP_ONE, Recipe, from_toml
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.prepared import read_prepared
from rajobs.learning.study import Study
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.loop import pick_device
from rajobs.learning.training.state import Epoch
from rajobs.records.errors import UsageError
from rajobs.records.manifest import refuse_others
from rajobs.records.splits import PARTS
from rajobs.records.store import absolute, lease, open_store, read_text
from rajobs.records.store.lease import Fence

FEW = 30  # validation patients, below which their figures depend on single patients


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What a person asks of train."""

    study: str
    data: str
    out: str
    recipe: str = "default"
    weights: str | None = None  # None: as the recipe says; "none"; or a place
    finders: str = NAME
    workers: int = 1
    mode: str = "clean"
    seed: int = 0
    budget: float = 1.0
    ray: str | None = None
    take_over: bool = False


def train(request: TrainRequest) -> str:
    """Train, and return the place of the bundle; a model that is there already is not trained again."""
    study = studies.find(request.study)
    _check(request)
    recipe = apply_weights_option(read_recipe(study, request.recipe), request.weights)
    recipe.check_leaks(request.mode)
    check_workers(recipe, request.workers)
    study = study.for_recipe(recipe)
    starts = find_starting_weights(recipe, request.weights)
    source = open_placed_data(request.data, study, request.finders, request.ray, request.mode)
    store = open_store(request.out)
    refuse_others(store, "models")
    split, split_hash = frozen_split(source, request.mode)
    origin = Origin(
        study=study.name, recipe=recipe, mode=request.mode, seed=request.seed, budget=request.budget,
        data=source.data_hash, key=source.key, split=split_hash, code=__version__,
        starts={name: start.sha256 for name, start in starts.items()},
        finders=source.finders.hashes if source.finders is not None else (),
    )  # fmt: skip
    folder = f"{study.name}/{origin.version}"
    if store.stat(f"{folder}/{BUNDLE}"):
        console.line(f"nothing to do: {request.out}/{folder} holds this model already")
        return f"{request.out}/{folder}"
    draw_missing(source, recipe.view, request.ray)
    with lease.hold(open_store(f"{request.out}/{folder}"), "train", take_over=request.take_over) as fence:
        fit = Fit(request=_absolute(request), origin=origin, run=fence.number)
        description = _fit_model(request, fit, source, split)
    _print_summary(description, f"{request.out}/{folder}")
    return f"{request.out}/{folder}"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A model to train, as a worker is given it."""

    request: TrainRequest
    origin: Origin
    run: int  # number of the driver's lease

    @property
    def folder(self) -> str:
        return f"{self.origin.study}/{self.origin.version}"

    @property
    def fence(self) -> Fence:
        return Fence(open_store(f"{self.request.out}/{self.folder}"), self.run)


def _absolute(request: TrainRequest) -> TrainRequest:
    """The request with places as other nodes reach them."""
    weights = request.weights if request.weights in (None, "none") else absolute(request.weights)
    return replace(
        request, data=absolute(request.data), out=absolute(request.out), weights=weights,
        finders=absolute_finders(request.finders),
    )  # fmt: skip


def _fit_model(request: TrainRequest, fit: Fit, source: LabelledData, split: pa.Table) -> BundleDescription:
    """Train where the work belongs: by several workers, on one of a cluster, or in this process."""
    elsewhere = remote.is_elsewhere(request.ray)
    if request.workers > 1:
        with cluster.connected(request.ray):
            together = partial(run_workers, resources_on_cluster(request.workers))
            if not elsewhere:
                return fit_model(fit, source, split, together)
            _train_networks(fit, source, split, together)
    if elsewhere:  # after several workers, one judges what they have left as checkpoints
        description: BundleDescription = remote.run_on_worker(fit_on_worker, fit, address=request.ray)
        return description
    return fit_model(fit, source, split)


def fit_on_worker(fit: Fit) -> BundleDescription:
    """Open the data again, and fit."""
    with console.silence():
        study = studies.find(fit.origin.study).for_recipe(fit.origin.recipe)
        source = open_labelled_data(fit.request.data, study, fit.request.finders, fit.request.mode)
        split, _ = frozen_split(source, fit.request.mode)
    return fit_model(fit, source, split)


def _train_networks(fit: Fit, source: LabelledData, split: pa.Table, together: TrainTogether) -> None:
    """Have several workers train every network, and judge none."""
    _, folds, plan = _plan(fit, source, split)
    _warn(fit.request, folds, plan.recipe)
    for member in plan.recipe.members:
        for task in plan.tasks(member, len(folds)):
            state = task.checkpoints().latest()
            history = state.history if state is not None else []
            with _progress(fit.fence, source.study, fit.request.workers, task, len(history)) as on_epoch:
                for epoch in history:
                    on_epoch(epoch)
                together(task, on_epoch)


def fit_model(
    fit: Fit, source: LabelledData, split: pa.Table, together: TrainTogether | None = None
) -> BundleDescription:
    """Train a model, judge it on the validation part, and put its bundle."""
    request, recipe, fence = fit.request, fit.origin.recipe, fit.fence
    dataset, folds, plan = _plan(fit, source, split)
    if together is not None or request.workers == 1:
        _warn(request, folds, recipe)
    starts = find_starting_weights(recipe, request.weights)
    watch = partial(_progress, fence, source.study, request.workers)
    trained = train_recipe(plan, folds, starts, watch, together=together, calibrated=recipe.calibrate)
    placed = _count_placed(source, dataset.arrays.rows.filter(pa.array(dataset.labelled())))
    description = replace(_describe(fit.origin, source, folds, trained), placed=placed)
    fence.check(now=True)
    return put_model(open_store(request.out), fit.folder, source.study, trained, description)


def _plan(fit: Fit, source: LabelledData, split: pa.Table) -> tuple[Dataset, Sequence[Dataset], TrainingPlan]:
    """The rows, each fold's, and what is to be trained on them."""
    request, recipe = fit.request, fit.origin.recipe
    arrays = read_prepared(source.store, source.study, recipe.view, source.positions)
    dataset = build_dataset(source, arrays, split, recipe, request.budget)
    folds = fold_datasets(dataset, recipe.folds)
    check_rows_to_learn_from(folds, recipe)
    plan = TrainingPlan(
        study=fit.origin.study, data=request.data, finders=request.finders, out=request.out, mode=request.mode,
        budget=request.budget, recipe=recipe, weights=request.weights, number=request.seed,
        folder=f"{fit.folder}/checkpoints",
    )  # fmt: skip
    return dataset, folds, plan


def _count_placed(source: LabelledData, rows: pa.Table) -> dict[str, int]:
    """How many rows are cut by labels and how many by models, where both can place joints."""
    placed = count_by_placing(source, rows) if source.finders is not None else {}
    if placed:
        console.line(
            f"{placed['labels']} rows are cut where labels place their joints, {placed['models']} where models do"
        )
    return placed


@contextmanager
def _progress(
    fence: Fence, study: Study, workers: int, task: NetworkTask, resumed: int
) -> Iterator[Callable[[Epoch], None]]:
    """A progress bar over a network's epochs."""
    if 0 < resumed < task.epochs:
        console.line(f"{task.name}: resumes after epoch {resumed}")
    unit = "stages" if task.own_member.fit == "cascade" else "epochs"
    crew = f" on {workers} workers" if workers > 1 else ""
    headline = study.headline_of(task.own_member.targets)
    with console.Progress(f"{unit} of {task.name}{crew}", task.epochs) as progress:

        def on_epoch(epoch: Epoch) -> None:
            fence.check()
            metric = "" if epoch.metric is None else f", {headline} {epoch.metric:.3f}"
            progress.step(max(0, epoch.epoch - progress.done), note=f"loss {epoch.loss:.3f}{metric}")

        yield on_epoch


def _suggest_folds(dataset: Dataset, recipe: Recipe) -> None:
    """Where few patients validate, say how all of them can."""
    few = len(dataset.groups_of("validation"))
    if not recipe.folds and 0 < few < FEW:
        console.line(f"{few} patients validate: few to choose by. A recipe with folds = 5 gives every patient a turn")


def _warn(request: TrainRequest, folds: Sequence[Dataset], recipe: Recipe) -> None:
    """What is better known before training starts."""
    _warn_of_heavy_recipe(request, folds[0], recipe, len(folds))
    _suggest_folds(folds[0], recipe)


def _check(request: TrainRequest) -> None:
    if not 0 < request.budget <= 1:
        raise UsageError(f"--budget must be above 0 and at most 1, not {request.budget}")
    if request.workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {request.workers}")


def _warn_of_heavy_recipe(request: TrainRequest, dataset: Dataset, recipe: Recipe, folds: int) -> None:
    """Say how long a recipe that is meant for GPUs will take, before it starts."""
    if not recipe.heavy:
        return
    seconds = sum(each.seconds(request.budget) for each in measure_networks([dataset] * folds, recipe, request.seed))
    console.line(
        f"{dataset.study.name} {request.recipe} is meant for GPUs; here, on {pick_device()}, it takes about "
        f"{console.clock(seconds / request.workers)}. A smaller --budget tries it with fewer epochs and rows"
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


def _describe(
    origin: Origin, source: LabelledData, folds: Sequence[Dataset], trained: TrainedRecipe
) -> BundleDescription:
    study, recipe, shape = source.study, origin.recipe, folds[0].arrays.shape
    model = Model(study=study, recipe=recipe, shape=shape, hash="", trained=trained.networks, device=pick_device())
    if recipe.combine in KEEP_ONE:
        model = replace(model, best=choose_member(model, folds, origin.mode))
    evaluation = evaluate_folds(model, folds)
    answers = predictions_table(evaluation, vote(study, [evaluation]), folds[0].arrays.rows, [], "validation")
    table = add_row_facts(source, answers)
    calibration = add_member_thresholds(calibrate(study, table), recipe, evaluation)
    more = headline_by_centre(study, table) if recipe.folds == BY_CENTRE else {}
    if not recipe.folds:
        networks = {name: several[0].network for name, several in trained.networks.items()}
        more |= accuracies_of_groups(folds[0], recipe, networks, trained.seeds)
    return BundleDescription(
        origin=origin,
        shape=shape,
        classes={target.name: target.classes for target in study.targets},
        parameters={name: architectures.parameters(several[0].network) for name, several in trained.networks.items()},
        epochs={name: Epochs(run=len(s.history), kept=s.best_epoch) for name, s in trained.states.items()},
        rows={part: int(np.sum(folds[0].parts == part)) for part in PARTS},
        learned=count_learned_rows(folds[0]),
        validation=evaluation.figures(calibration) | more,
        calibration=calibration,
        best=model.best,
    )


def _print_summary(description: BundleDescription, place: str) -> None:
    origin = description.origin
    figures = {f"{name} (validation)": console.figure(figure) for name, figure in description.validation.items()}
    title = f"{origin.study}, {origin.mode} mode, budget {origin.budget:g}"
    rows: Mapping[str, object] = {**description.rows, **figures}
    console.table(title, rows)
    if description.best is not None:
        most = origin.recipe.combine == "most_accurate"
        on_test = most and origin.mode == "published"
        part = "test part, as the paper chose: a leak" if on_test else "validation part"
        which = "the most accurate member" if most else "the member in the middle by its accuracy"
        console.line(f"{description.best} answers, {which} on the {part}")
    console.line(f"model: {place}")
