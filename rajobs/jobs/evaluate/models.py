"""Which models are evaluated on which rows, and their answers as a predictions table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.jobs import builtin, console
from rajobs.jobs.evaluate.probing import probe
from rajobs.jobs.train.dataset import LabelledData, build_dataset, prepare
from rajobs.learning.bundle import Model
from rajobs.learning.bundle_description import BundleDescription, find_bundles, read_description
from rajobs.learning.comparison import NetworkView, ProbeFacts
from rajobs.learning.judging.evaluation import Evaluation, evaluate_model
from rajobs.learning.judging.predictions import predictions_table, vote
from rajobs.learning.network_views import network_views
from rajobs.learning.recipe import Settings
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Rule, Study
from rajobs.learning.targets import MISSING
from rajobs.learning.voting import apply_rule
from rajobs.records.anatomy import SITES
from rajobs.records.errors import StoreError, UsageError
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part
from rajobs.records.tables.schemas import IMAGES, SPLIT
from rajobs.reports.evaluation_page import ModelFacts

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle at a place of models."""

    store: Store
    folder: str
    description: BundleDescription

    @property
    def key(self) -> str:
        """Fingerprint of the key of the data that it learnt from."""
        return self.description.origin.key

    @property
    def sites(self) -> set[str]:
        """The sites that it is judged by: its recipe's, else those that a model of drawings has learnt; empty: all."""
        origin, learned = self.description.origin, self.description.learned
        drawn = {site for of_target in learned.values() for site in of_target if site and origin.drawn is not None}
        return set(origin.recipe.sites) or drawn

    def answered_targets(self, study: Study) -> list[str]:
        """The study's targets that it answers."""
        answered = study.for_recipe(self.description.origin.recipe).targets
        # The study may have got another target since.
        learnt = {*self.description.classes, study.points.name if study.points is not None else ""}
        return [target.name for target in answered if target in study.targets and target.name in learnt]


def read_bundles(models: str, study: Study) -> list[Bundle]:
    """The bundles of a study at a place that answer one of its targets."""
    store = open_store(builtin.resolve_models(models))
    every = [
        Bundle(store=store, folder=folder, description=read_description(store, folder))
        for folder in find_bundles(store, study.name)
    ]
    bundles = [bundle for bundle in every if bundle.answered_targets(study)]
    if not bundles:
        raise StoreError(f"{models} holds no model of {study.name}; run `rajobs train {study.name}` first")
    return bundles


def model_facts(bundle: Bundle) -> ModelFacts:
    """What a page says of the model."""
    origin = bundle.description.origin
    return ModelFacts(
        hash=bundle.description.hash, recipe=origin.recipe, mode=origin.mode, seed=origin.seed, budget=origin.budget,
        best=bundle.description.best, validation=bundle.description.validation,
    )  # fmt: skip


def choose_fair(
    bundles: Sequence[Bundle], source: LabelledData, split_hash: str, mode: str, models: str, data: str
) -> list[Bundle]:
    """The bundles of this split, which did not learn from its test part; else those of another key."""
    foreign = [bundle for bundle in bundles if bundle.key != source.key]
    fair = [
        bundle
        for bundle in bundles
        if bundle.key == source.key
        and bundle.description.origin.mode == mode
        and bundle.description.origin.split == split_hash
    ]
    if bundles and not fair and not foreign:
        raise UsageError(
            f"no model of {source.study.name} at {models} was trained in {mode} mode on the split of "
            f"{data}: what it learnt may be in the test part; train on this data or name another --mode"
        )
    return fair or foreign


def why_all_rows(bundles: Sequence[Bundle], key: str) -> str | None:
    """A sentence that says why all labelled rows judge; None if the models have a test part in these data.

    Another key does not prove other patients: the same archives may have been ingested under it.
    """
    foreign = {bundle.key for bundle in bundles} - {key}
    if not foreign:
        return None
    if foreign == {builtin.DRAWN}:
        return "The package's own models, which learnt from drawings alone, are judged here by all labelled rows."
    return (
        "The models were made with another key, so all labelled rows judge: whether they have learnt from these "
        "patients cannot be known here."
    )


@dataclass(frozen=True, kw_only=True)
class ModelAnswers:
    """All bundles' answers to the rows that judge: as one predictions table, and each bundle's own."""

    table: pa.Table
    evaluations: tuple[Evaluation, ...] = ()  # one per bundle
    views: tuple[NetworkView, ...] = ()  # of the networks of bundles with several, where details are wanted
    probes: tuple[ProbeFacts, ...] = ()  # what the answers depend on, where details are wanted


def common_sites(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """The sites that all bundles are judged by; empty: all sites."""
    named = [bundle.sites for bundle in bundles if bundle.sites]
    common = set.intersection(*named) if named else set()
    if named and not common:
        raise UsageError("the models have no site in common: judge them one at a time")
    return tuple(site for site in SITES if site in common)


def predict(
    bundles: Sequence[Bundle],
    source: LabelledData,
    split: pa.Table,
    mode: str,
    address: str | None,
    *,
    details: bool = False,
) -> ModelAnswers:
    """All bundles' answers to the rows that judge."""
    evaluations: list[Evaluation] = []
    views: list[NetworkView] = []
    probes: list[ProbeFacts] = []
    sites = common_sites(bundles)
    for bundle in bundles:
        dataset_of = partial(_dataset, bundle, source, split, sites, address)
        dataset = dataset_of(bundle.description.origin.recipe.view)
        with console.step(f"asking {bundle.description.hash}"):
            model = Model.load(bundle.store, bundle.folder, source.study)
            evaluations.append(evaluate_model(model, dataset, "test"))
        if details:
            views += network_views(model, dataset, evaluations[-1])
            probes += probe(model, dataset, evaluations[-1], dataset_of)
    most = max(evaluations, key=lambda each: sum(np.sum(truth != MISSING) for truth in each.truth.values()))
    votes = vote(source.study, evaluations)
    if mode == "clean":  # the papers' networks were asked about every image
        images = most.rows(dataset.arrays.rows).column("image_id").to_pylist()
        for rule in source.study.rules:
            votes[rule.target] = apply_rule(votes[rule.target], rule, _holds(source.store, rule, images))
    table = predictions_table(most, votes, dataset.arrays.rows, [bundle.description.hash for bundle in bundles])
    return ModelAnswers(table=table, evaluations=tuple(evaluations), views=tuple(views), probes=tuple(probes))


def _dataset(
    bundle: Bundle, source: LabelledData, split: pa.Table, sites: tuple[str, ...], address: str | None, view: Settings
) -> Dataset:
    """The rows in a view, with their parts; of a model of another key all rows judge: it has no test part here."""
    arrays = prepare(source, view, address)
    if bundle.key != source.key:
        images = dict.fromkeys(arrays.rows.column("image_id").to_pylist())
        split = SPLIT.rows([{"image_id": name, "group": name, "split": "test"} for name in images])
    return build_dataset(source, arrays, split, replace(bundle.description.origin.recipe, view=view, sites=sites))


def _holds(store: Store, rule: Rule, images: Sequence[str]) -> NDArray[np.bool_]:
    """Whether a rule holds for each image."""
    ruled: list[str] = []
    for key in list_parts(store, "images"):
        table = read_part(store, key, IMAGES, ["image_id", rule.column])
        ruled += table.filter(pc.equal(table.column(rule.column), rule.value)).column("image_id").to_pylist()
    return np.isin(images, ruled)
