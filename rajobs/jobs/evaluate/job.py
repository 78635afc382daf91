"""rajobs evaluate: a study's models asked about rows that they did not learn from, with figures and a page."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rajobs import studies
from rajobs.imaging.coding import preview
from rajobs.imaging.rows import CLINIC_TABLE, Row
from rajobs.jobs import console, remote
from rajobs.jobs.builtin import NAME
from rajobs.jobs.evaluate.apart import CLEAN, ApartRequest, evaluate_apart, judged_study
from rajobs.jobs.evaluate.clinic import characteristics, compare_baseline
from rajobs.jobs.evaluate.cohort import group_counts, part_facts
from rajobs.jobs.evaluate.end_to_end import answer_end_to_end, check_end_to_end
from rajobs.jobs.evaluate.models import (
    PAGE,
    Bundle,
    ModelAnswers,
    choose_fair,
    model_facts,
    predict,
    read_bundles,
    why_all_rows,
)
from rajobs.jobs.evaluate.overlays import draw_worst_hand
from rajobs.jobs.evaluate.predictions import figures_of, read_user_predictions
from rajobs.jobs.evaluate.published import raters, seeded
from rajobs.jobs.train.dataset import (
    LabelledData,
    count_by_placing,
    draw_missing,
    open_placed_data,
    read_clinic_visits,
)
from rajobs.jobs.train.places import absolute_finders, open_finders
from rajobs.jobs.train.row_facts import add_row_facts
from rajobs.jobs.train.splits import count_classes, frozen_split
from rajobs.learning import tabular_baseline
from rajobs.learning.comparison import MemberFigures
from rajobs.learning.judging.calibration import NO_CALIBRATION, Calibration, combine
from rajobs.learning.judging.coverage import set_coverage, total_coverage
from rajobs.learning.judging.end_to_end import end_to_end_figures, end_to_end_totals, placed_shares
from rajobs.learning.judging.evaluation import member_figures
from rajobs.learning.judging.predictions import with_printed_classes
from rajobs.learning.judging.readers.scores import judge_readers
from rajobs.learning.judging.reliability import kind_agreement, total_agreement
from rajobs.learning.judging.review import choose_scale, judge_review
from rajobs.learning.judging.trial_facts import judge_for_trials
from rajobs.learning.judging.validation import add_member_thresholds, calibrate, tune_joint_thresholds
from rajobs.learning.reader_agreement import compare_readers
from rajobs.learning.samples.row_arrays import previews
from rajobs.learning.study import Study
from rajobs.records.errors import UsageError
from rajobs.records.manifest import check_claim, claim, to_json
from rajobs.records.metrics import confusion
from rajobs.records.splits import check_mode
from rajobs.records.statistics.count_statistics import class_statistics
from rajobs.records.store import absolute, lease, open_store, relative
from rajobs.records.store.lease import Fence
from rajobs.records.tables.parquet_parts import list_parts, read_file, to_parquet
from rajobs.records.tables.schemas import END_TO_END, HISTORY, PREDICTIONS, SPLIT
from rajobs.reports.answers import target_answers
from rajobs.reports.evaluation.end_to_end import EndToEndFacts
from rajobs.reports.evaluation.protocol import ProtocolFacts
from rajobs.reports.evaluation_page import EvaluationFacts, evaluation_page, wrong_answers

PICTURE_SIZE = 256  # pixels of a visit's picture on the page


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What a person asks of evaluate."""

    study: str
    data: str
    models: str
    out: str
    mode: str = "clean"
    predictions: str | None = None
    end_to_end: bool = False  # whether models place the joints, too
    apart: bool = False  # whether each model answers alone, of either mode
    review_error: float | None = None  # of a score, in the hands that nobody reviews
    finders: str = NAME
    ray: str | None = None
    take_over: bool = False


def evaluate(request: EvaluateRequest) -> str:
    """Evaluate the models together; the place of the page. Finished work is not done again.

    The test part judges models that learnt on these data, all labelled rows judge others.
    """
    if request.apart:
        _check(request, studies.find(request.study))
        return evaluate_apart(ApartRequest(
            study=request.study, data=request.data, models=request.models, out=request.out,
            finders=request.finders, ray=request.ray, take_over=request.take_over,
        ))  # fmt: skip
    judging = _open(request)
    store, page = open_store(request.out), f"{request.out}/{PAGE}"
    identity = {**_run(request, judging.source, judging.bundles), "predictions": request.predictions}
    if check_claim(store, "evaluate", identity) and store.stat(PAGE):
        console.line(f"nothing to do: {page} is there already")
        return page
    with lease.hold(store, "evaluate", take_over=request.take_over) as fence:
        claim(store, "evaluate", identity)
        if remote.is_elsewhere(request.ray):
            for bundle in judging.bundles:
                draw_missing(judging.source, bundle.description.origin.recipe.view, request.ray)
            why_all_rows = remote.run_on_worker(
                judge_on_worker, _absolute(request), fence.number, judging.brought, address=request.ray
            )
        else:
            why_all_rows = _judge(request, fence, judging)
    console.line(f"{why_all_rows}\nreport: {page}" if why_all_rows else f"report: {page}")
    return page


def _find_study(request: EvaluateRequest) -> Study:
    """The study of a request that can be met."""
    _check(request, studies.find(request.study))
    return judged_study(request.study)


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What is judged, and by which rows."""

    source: LabelledData
    split: pa.Table
    bundles: Sequence[Bundle]
    brought: pa.Table | None  # predictions of the user's own
    calibration: Calibration


def _open(request: EvaluateRequest, brought: pa.Table | None = None) -> Judging:
    """The data, and the models or predictions (`brought`, if they have been read) that are fair on them."""
    study = _find_study(request)
    source = open_placed_data(request.data, study, request.finders, request.ray, request.mode)
    bundles = [] if request.predictions else read_bundles(request.models, study)
    if request.predictions or any(bundle.key == source.key for bundle in bundles):
        split, split_hash = frozen_split(source, request.mode)
    else:  # no model has a split of these data
        split, split_hash = SPLIT.rows([]), ""
    bundles = choose_fair(bundles, source, split_hash, request.mode, request.models, request.data)
    if not request.predictions:
        study = study.with_targets({name for bundle in bundles for name in bundle.answered_targets(study)})
        source = replace(source, study=study)
    elif brought is None:
        brought = add_row_facts(source, read_user_predictions(request.predictions, study))
    calibration = _calibration(request, study, bundles, brought)
    return Judging(source=source, split=split, bundles=bundles, brought=brought, calibration=calibration)


def _absolute(request: EvaluateRequest) -> EvaluateRequest:
    """The request with places as other nodes reach them."""
    return replace(
        request, data=absolute(request.data), models=absolute_finders(request.models), out=absolute(request.out),
        finders=absolute_finders(request.finders),
    )  # fmt: skip


def judge_on_worker(request: EvaluateRequest, run: int, brought: pa.Table | None) -> str | None:
    """Open everything again, and judge; `run` is the number of the driver's lease."""
    with console.silence():
        judging = _open(request, brought)
    return _judge(request, Fence(open_store(request.out), run), judging)


def _judge(request: EvaluateRequest, fence: Fence, judging: Judging) -> str | None:
    """Write answers, figures and page; the reason if not the test part alone judges."""
    source, split, bundles, calibration = judging.source, judging.split, judging.bundles, judging.calibration
    store, study, brought = fence.store, source.study, judging.brought
    answers = _ask(request, source, bundles, split) if brought is None else ModelAnswers(table=brought)
    table, members = answers.table, tuple(_members(bundles, answers, request.mode))
    protocol = ProtocolFacts(
        class_counts=count_classes(source, split), characteristics=dict(characteristics(source, split)),
        views=answers.views, probes=answers.probes, parts=part_facts(source, split),
        group_counts=group_counts(source, split), hand=draw_worst_hand(source, _test_rows(table)),
    )  # fmt: skip
    if request.mode == "published":
        table, study = with_printed_classes(study, table), study.with_printed_classes()
        source = replace(source, study=study)
        # 001 has no other part to tune its thresholds on.
        calibration = replace(calibration, class_thresholds=tune_joint_thresholds(study, _test_rows(table)))
    # Where `phantom --like` finds the pictures of the errors, and what the page's figures need beside the rows.
    about = {
        "data": relative(request.data, request.out),
        "calibration": json.dumps(calibration.to_json(), sort_keys=True),
    }
    fence.check(now=True)
    store.put("predictions.parquet", to_parquet(table, PREDICTIONS, about=about))
    facts = _facts(request, fence, source, split, table, bundles, calibration)
    facts = replace(facts, members=members, protocol=protocol)
    html, pictures = evaluation_page(study, facts, table, _history(bundles), _thumbnails(source, table))
    fence.check(now=True)
    run = _run(request, source, bundles)
    store.put("metrics.json", to_json({**run, **_metrics(facts), "classes": _by_class(study, table)}))
    for name, data in pictures.items():
        store.put(f"figures/{name}", data)
    store.put(PAGE, html.encode())
    _print_summary(study, facts, _test_rows(table).num_rows)
    return facts.why_all_rows


def _check(request: EvaluateRequest, study: Study) -> None:
    check_mode(request.mode)
    others = request.mode != CLEAN or request.end_to_end or request.predictions or request.review_error is not None
    if request.apart and others:
        raise UsageError(
            "--apart judges each model at MODELS alone, those of both modes: leave --mode, --end-to-end, --predictions "
            "and --review-error out"
        )
    if request.end_to_end:
        check_end_to_end(study, request.predictions)
    if request.review_error is not None and not study.summed:
        names = ", ".join(each.name for each in studies.every() if each.summed)
        raise UsageError(f"--review-error is for studies whose scores add up to totals ({names}), not for {study.name}")


def _calibration(
    request: EvaluateRequest, study: Study, bundles: Sequence[Bundle], brought: pa.Table | None
) -> Calibration:
    """That of the bundles, or of the validation part of predictions that a user brings."""
    calibration = combine([bundle.description.calibration for bundle in bundles])
    if brought is not None:
        calibration = calibrate(study, brought.filter(pc.equal(brought.column("split"), "validation")))
    if request.review_error is not None:
        choose_scale(calibration.review, request.review_error)  # fails before models are asked
    return calibration


def _ask(request: EvaluateRequest, source: LabelledData, bundles: Sequence[Bundle], split: pa.Table) -> ModelAnswers:
    answers = predict(bundles, source, split, request.mode, request.ray, details=True)
    return replace(answers, table=add_row_facts(source, answers.table))


def _run(request: EvaluateRequest, source: LabelledData, bundles: Sequence[Bundle]) -> dict[str, Any]:
    """What determines the figures, but for a user's own predictions."""
    run: dict[str, Any] = {
        "study": source.study.name, "mode": request.mode, "data": source.data_hash,
        "bundles": [bundle.description.hash for bundle in bundles],
    }  # fmt: skip
    if source.finders is not None:
        run["finders"] = list(source.finders.hashes)
    if request.end_to_end:
        run["end_to_end"] = list(open_finders(request.finders).hashes)
    if request.review_error is not None:
        run["review_error"] = request.review_error
    return run


def _test_rows(table: pa.Table) -> pa.Table:
    """The rows that judge: predictions from elsewhere may hold all parts."""
    return table.filter(pc.equal(table.column("split"), "test"))


def _facts(
    request: EvaluateRequest, fence: Fence, source: LabelledData, split: pa.Table, table: pa.Table,
    bundles: Sequence[Bundle], calibration: Calibration,
) -> EvaluationFacts:  # fmt: skip
    study, test = source.study, _test_rows(table)
    rows = dict(bundles[0].description.rows) if bundles else {}
    published = request.mode == "published"
    ruled = not request.predictions and not published
    cross_validated = any(bundle.description.origin.recipe.folds for bundle in bundles)
    return EvaluationFacts(
        mode=request.mode,
        budget=min((bundle.description.origin.budget for bundle in bundles), default=1.0),
        rows={**rows, **Counter(table.column("split").to_pylist())},
        models=tuple(model_facts(bundle) for bundle in bundles),
        figures=figures_of(study, test, calibration),
        sets=tuple(set_coverage(study, test, calibration)),
        totals=tuple(total_coverage(test, calibration)),
        kinds=tuple(kind_agreement(study, test)),
        agreement=tuple(total_agreement(test)),
        rules=tuple(rule.sentence for rule in study.rules) if ruled else (),
        reader_scores=judge_readers(study, test),
        readers=tuple(compare_readers(study, test)),
        raters=raters(source, split) if published else (),
        seeded=seeded(study, source, split, test) if published else None,
        trial=judge_for_trials(study, test, calibration),
        baseline=tuple(compare_baseline(source, split, test, cross_validated=cross_validated)),
        placed=count_by_placing(source, test) if source.finders is not None and bundles else {},
        why_all_rows=None if request.predictions else why_all_rows(bundles, source.key),
        review=judge_review(study, test, calibration.review, request.review_error),
        end_to_end=(
            _end_to_end(request, fence, source, split, test, bundles, calibration) if request.end_to_end else None
        ),
    )


def _end_to_end(
    request: EvaluateRequest, fence: Fence, source: LabelledData, split: pa.Table, test: pa.Table,
    bundles: Sequence[Bundle], calibration: Calibration,
) -> EndToEndFacts:  # fmt: skip
    every_row = why_all_rows(bundles, source.key) is not None
    answers = answer_end_to_end(
        source, bundles, split, request.mode, request.finders, request.ray, every_row=every_row
    )  # fmt: skip
    fence.check(now=True)
    fence.store.put("end_to_end.parquet", to_parquet(answers.table, END_TO_END))
    return EndToEndFacts(
        shares=tuple(placed_shares(source.study, answers.table)),
        figures=tuple(end_to_end_figures(source.study, test, answers.table)),
        totals=tuple(end_to_end_totals(test, answers.table)),
        review=judge_review(source.study, answers.table, calibration.review, request.review_error),
        reader_scores=judge_readers(source.study, answers.table),
        beyond=answers.beyond, taught=answers.taught,
    )  # fmt: skip


def _members(bundles: Sequence[Bundle], answers: ModelAnswers, mode: str) -> Iterator[MemberFigures]:
    for bundle, evaluation in zip(bundles, answers.evaluations, strict=True):
        recipe, description = bundle.description.origin.recipe, bundle.description
        calibration = description.calibration
        if mode == "published":
            calibration = add_member_thresholds(NO_CALIBRATION, recipe, evaluation)
        cut = {member.name: recipe.training_of(member).validation_cut for member in recipe.members}
        for figures in member_figures(description.hash, recipe, evaluation, calibration):
            validated = description.validation.get(f"{figures.member}.accuracy")
            yield replace(figures, validated=validated, cut_after=cut[figures.member] == "after")


def _by_class(study: Study, table: pa.Table) -> dict[str, dict[str, dict[str, float]]]:
    """By target and class, the class's statistics against the rest."""
    judged = [target_answers(target, table, "test") for target in study.targets]
    statistics = {each.target.name: (each.classes, class_statistics(confusion(each.answers))) for each in judged}
    return {name: dict(zip(classes, of)) for name, (classes, of) in statistics.items()}


def _metrics(facts: EvaluationFacts) -> dict[str, Any]:
    """The content of metrics.json."""
    return {
        "budget": facts.budget, "figures": facts.figures,
        "sets": [coverage.to_dict() for coverage in facts.sets],
        "totals": [coverage.to_dict() for coverage in facts.totals],
        "kinds": [each.to_dict() for each in facts.kinds],
        "members": [each.to_dict() for each in facts.members],
        "raters": [{**vars(each), "agreement": each.agreement.to_dict()} for each in facts.raters],
        **({"seeded": facts.seeded.to_dict()} if facts.seeded else {}),
        **facts.protocol.to_dict(),
        "agreement": [each.to_dict() for each in facts.agreement],
        **facts.trial.to_dict(),
        **({"reader_scores": facts.reader_scores.to_dict()} if facts.reader_scores else {}),
        "readers": [comparison.to_dict() for comparison in facts.readers],
        "baseline": [comparison.to_dict() for comparison in facts.baseline],
        **({"end_to_end": facts.end_to_end.to_dict()} if facts.end_to_end else {}),
        **({"review": facts.review.to_dict()} if facts.review else {}),
        "judges": facts.why_all_rows or "the test part",
    }  # fmt: skip


def _print_summary(study: Study, facts: EvaluationFacts, answers: int) -> None:
    rows = {name: console.figure(figure) for name, figure in facts.figures.items()}
    if facts.end_to_end:
        rows |= facts.end_to_end.summary(study.headline)
    baselines = [comparison for comparison in facts.baseline if comparison.lead]
    for comparison in baselines:
        rows |= {f"{comparison.who}: {name}": console.figure(each) for name, each in comparison.figures.items()}
    part = "" if facts.why_all_rows else " of the test part"
    console.table(f"{study.name} on {answers} answers{part}, {facts.mode} mode", rows)
    for comparison in baselines:
        metric = comparison.deciding_metric
        console.line(tabular_baseline.verdict(metric, comparison.lead[metric]))


def _history(bundles: Sequence[Bundle]) -> pa.Table | None:
    return read_file(bundles[0].store, f"{bundles[0].folder}/history.parquet", HISTORY) if bundles else None


def _thumbnails(source: LabelledData, table: pa.Table) -> dict[str, bytes]:
    """Pictures of the wrong answers that the page shows, by image_id."""
    shown, view = set(wrong_answers(source.study, table)), source.study.view
    if source.study.rows.table != CLINIC_TABLE:
        return previews(source.store, shown, list_parts(source.store, "images"))
    settings = view.with_settings({"size": PICTURE_SIZE})
    return {
        visit.image_id: preview(view.draw(visit.findings, Row(image_id=visit.image_id, at=0), **settings), None)
        for visit in read_clinic_visits(source.store)
        if visit.image_id in shown
    }


def read_metrics(out: str) -> Mapping[str, Any]:
    """The content of an evaluation's metrics.json."""
    content: dict[str, Any] = json.loads(open_store(out).get("metrics.json"))
    return content
