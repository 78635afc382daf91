"""evaluate --apart: each bundle of a study judged alone, all of them side by side, and clean beside published."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rajobs import studies
from rajobs.jobs import console, remote
from rajobs.jobs.evaluate.models import PAGE, Bundle, model_facts, predict, read_bundles
from rajobs.jobs.train.dataset import LabelledData, draw_missing, open_placed_data
from rajobs.jobs.train.places import absolute_finders
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.judging.side_by_side import JudgedModel, measure_models
from rajobs.learning.study import Study
from rajobs.records.errors import UsageError
from rajobs.records.manifest import check_claim, claim, to_json
from rajobs.records.splits import MODES
from rajobs.records.store import absolute, lease, open_store
from rajobs.records.store.lease import Fence
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import PREDICTIONS, SPLIT
from rajobs.reports.evaluation.apart import ApartFacts, ComparedModel, ModePair, apart_page

CLEAN = MODES[0]
ALL_ROWS = (
    "From model {first} on, models are built in or were made with another key: all labelled rows judge them, and "
    "whether they have learnt from these patients cannot be known here."
)


@dataclass(frozen=True, kw_only=True)
class ApartRequest:
    """What a person asks of evaluate --apart."""

    study: str
    data: str
    models: str
    out: str
    finders: str
    ray: str | None
    take_over: bool


def judged_study(name: str) -> Study:
    """A study by name; one that shows points is judged by which of them are shown."""
    study = studies.find(name)
    return study if study.targets else study.for_recipe(study.recipe("default"))


@dataclass(frozen=True, kw_only=True)
class _Judging:
    """What is judged, and by which rows."""

    study: Study
    source: LabelledData
    bundles: Sequence[Bundle]
    splits: Mapping[str, pa.Table]  # by mode

    def run(self) -> dict[str, Any]:
        """What determines the figures."""
        run = {
            "study": self.study.name, "apart": True, "data": self.source.data_hash,
            "bundles": [bundle.description.hash for bundle in self.bundles],
        }  # fmt: skip
        if self.source.finders is not None:
            run["finders"] = list(self.source.finders.hashes)
        return run


def evaluate_apart(request: ApartRequest) -> str:
    """Judge each bundle on the test part of its own mode, and all on the rows that these parts share."""
    judging = _open(request)
    store, page = open_store(request.out), f"{request.out}/{PAGE}"
    if check_claim(store, "evaluate", judging.run()) and store.stat(PAGE):
        console.line(f"nothing to do: {page} is there already")
        return page
    with lease.hold(store, "evaluate", take_over=request.take_over) as fence:
        claim(store, "evaluate", judging.run())
        if remote.is_elsewhere(request.ray):
            for bundle in judging.bundles:
                draw_missing(judging.source, bundle.description.origin.recipe.view, request.ray)
            remote.run_on_worker(judge_apart_on_worker, _absolute(request), fence.number, address=request.ray)
        else:
            _judge(request, fence, judging)
    console.line(f"report: {page}")
    return page


def judge_apart_on_worker(request: ApartRequest, run: int) -> None:
    """Open everything again, and judge; `run` is the number of the driver's lease."""
    with console.silence():
        judging = _open(request)
    _judge(request, Fence(open_store(request.out), run), judging)


def _open(request: ApartRequest) -> _Judging:
    study = judged_study(request.study)
    source = open_placed_data(request.data, study, request.finders, request.ray)
    bundles, splits = _judged_bundles(request, source)
    return _Judging(study=study, source=source, bundles=bundles, splits=splits)


def _absolute(request: ApartRequest) -> ApartRequest:
    """The request with places as other nodes reach them."""
    return replace(
        request, data=absolute(request.data), models=absolute_finders(request.models), out=absolute(request.out),
        finders=absolute_finders(request.finders),
    )  # fmt: skip


def _judge(request: ApartRequest, fence: Fence, judging: _Judging) -> None:
    """Write each model's answers, figures and page."""
    study, source, bundles, store = judging.study, judging.source, judging.bundles, fence.store
    answers = []
    for bundle in bundles:
        table = _answers(request, source, bundle, judging.splits[bundle.description.origin.mode])
        fence.check(now=True)
        store.put(f"predictions-{bundle.description.hash}.parquet", to_parquet(table, PREDICTIONS))
        answers.append(JudgedModel(table=table, calibration=bundle.description.calibration))
    study = study.with_targets({name for bundle in bundles for name in bundle.answered_targets(study)})
    models = tuple(
        ComparedModel(number=number, model=model_facts(bundle), rows=bundle.description.rows)
        for number, bundle in enumerate(bundles, 1)
    )
    own = models[: sum(bundle.key == source.key for bundle in bundles)]
    facts = ApartFacts(
        models=models, measured=tuple(measure_models(study, answers)), modes=tuple(_mode_pairs(study, own, answers)),
        judged_on_all=None if len(own) == len(models) else ALL_ROWS.format(first=len(own) + 1),
    )  # fmt: skip
    fence.check(now=True)
    store.put("metrics.json", to_json({**judging.run(), **facts.to_dict()}))
    store.put(PAGE, apart_page(study, facts).encode())
    _print_summary(study, facts)


def _judged_bundles(request: ApartRequest, source: LabelledData) -> tuple[list[Bundle], dict[str, pa.Table]]:
    """The bundles that can be judged on these data, and the split of each mode among them.

    Clean ones come first, those of another key last.
    """
    every = read_bundles(request.models, source.study)
    own = {bundle.description.origin.mode for bundle in every if bundle.key == source.key}
    splits, hashes = {mode: SPLIT.rows([]) for mode in MODES}, dict[str, str]()
    for mode in sorted(own):
        splits[mode], hashes[mode] = frozen_split(source, mode)
    judged = [
        bundle
        for bundle in every
        if bundle.key != source.key or bundle.description.origin.split == hashes[bundle.description.origin.mode]
    ]
    if len(judged) < len(every):
        console.line(f"{len(every) - len(judged)} models were trained on another split of these data: left out")
    if len(judged) < 2:
        raise UsageError(
            f"--apart compares several models of {source.study.name}; {request.models} has {len(judged)} that can be "
            "judged on these data: train another recipe, seed or mode into it"
        )
    judged.sort(key=lambda bundle: (bundle.key != source.key, MODES.index(bundle.description.origin.mode)))
    return judged, splits


def _answers(request: ApartRequest, source: LabelledData, bundle: Bundle, split: pa.Table) -> pa.Table:
    """One bundle's answers to the rows that judge it alone."""
    study = source.study.with_targets(set(bundle.answered_targets(source.study)))
    mode = bundle.description.origin.mode
    table = predict([bundle], replace(source, study=study), split, mode, request.ray).table
    return table.filter(pc.equal(table.column("split"), "test"))


def _mode_pairs(study: Study, models: Sequence[ComparedModel], answers: Sequence[JudgedModel]) -> Iterator[ModePair]:
    """Each published model beside the clean one of the same recipe, of the same seed if there is such a one."""
    clean = [at for at, each in enumerate(models) if each.model.mode == CLEAN]
    for at, each in enumerate(models):
        same = [other for other in clean if models[other].model.recipe == each.model.recipe]
        if each.model.mode != CLEAN and same:
            other = min(same, key=lambda one: (models[one].model.seed != each.model.seed, one))
            measured = measure_models(study, [answers[other], answers[at]])
            yield ModePair(clean=models[other], published=each, measured=tuple(measured))


def _print_summary(study: Study, facts: ApartFacts) -> None:
    rows: dict[str, Any] = {}
    for each in facts.measured:
        if each.name == study.headline:
            for model, figure in zip(facts.models, each.shared):
                rows[model.name] = "" if figure is None else console.figure(figure)
            console.table(f"{study.headline} on {each.shared_rows} rows that all are judged by", rows)
