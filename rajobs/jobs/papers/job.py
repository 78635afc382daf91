"""rajobs papers: every published protocol is trained and judged, and their tables and figures stand beside ours."""

import json
from contextlib import nullcontext

from rajobs.jobs import cluster, console
from rajobs.jobs.evaluate import job as evaluate_job
from rajobs.jobs.evaluate.models import PAGE as REPORT
from rajobs.jobs.papers.planning import MISSING_DATA, PapersRequest, RunPlan, plan_runs, train_request
from rajobs.jobs.train import job as train_job
from rajobs.learning.networks.starting_weights import apply_weights_option, find_starting_weights
from rajobs.papers.protocols import APART, CLEAN, MISSING, PaperRun, choose_papers, read_protocol
from rajobs.records.errors import StoreError, UsageError
from rajobs.records.manifest import check_claim, claim, read_manifest, to_json
from rajobs.records.store import lease, open_store
from rajobs.records.store.lease import Fence
from rajobs.reports.papers.page import papers_pages

PAGE = "index.html"


def papers(request: PapersRequest) -> str:
    """Run what is left of every paper's protocol, and write the pages; the place of the first page."""
    runs = _check(request)
    store, page = open_store(request.out), f"{request.out}/{PAGE}"
    identity = {"data": _data_hash(request.data), "budget": request.budget, "weights": request.weights}
    check_claim(store, "papers", identity)
    with lease.hold(store, "papers", take_over=request.take_over) as fence:
        claim(store, "papers", identity)
        left = [run for run in runs if not _is_done(request, run)]
        # One cluster for all jobs; where nothing is left, none is started.
        with cluster.connected(request.ray) if left else nullcontext():
            for plan in plan_runs(request, left):
                _run(request, plan, fence)
        fence.check(now=True)
        for name, html in papers_pages(store).items():
            store.put(name, html.encode())
    console.line(f"{'' if left else 'nothing was left to do; '}report: {page}")
    return page


def _check(request: PapersRequest) -> list[PaperRun]:
    """The runs of the papers that are asked for; what cannot be run at all fails before anything is written."""
    if request.budget is not None and not 0 < request.budget <= 1:
        raise UsageError(f"--budget must be above 0 and at most 1, not {request.budget}")
    runs = [run for paper in choose_papers(request.only) for run in read_protocol(paper)]
    for run in runs:
        weights = train_request(request, run, CLEAN).weights
        find_starting_weights(apply_weights_option(run.declared_recipe, weights), weights)
    return runs


def _data_hash(data: str) -> str:
    manifest = read_manifest(open_store(data))
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{data} holds no finished ingest; run `rajobs ingest SRC {data} --labels FILE` first")
    return str(manifest["hash"])


def _is_done(request: PapersRequest, run: PaperRun) -> bool:
    """Whether every mode of a run is judged and both are compared, but for what the data do not allow."""
    store = open_store(request.out)
    missing = json.loads(store.get(f"{run.place}/{MISSING}")) if store.stat(f"{run.place}/{MISSING}") else {}
    checks = [check for check in run.checks if check not in missing and not (missing and check == APART)]
    return all(store.stat(f"{run.place}/{check}/{REPORT}") for check in checks)


def _run(request: PapersRequest, plan: RunPlan, fence: Fence) -> None:
    """Train and judge a run in every mode that the data allow, then compare the modes."""
    run, store = plan.run, fence.store
    missing = dict(plan.missing)
    console.line(f"\n{run.paper} {run.name}: {run.what}")
    for mode in run.modes:
        if mode not in missing:
            try:
                _train_and_judge(request, plan, mode)
            except MISSING_DATA as error:
                missing[mode] = str(error)
        fence.check(now=True)
    for reason in dict.fromkeys(missing.values()):
        modes = " and ".join(mode for mode, text in missing.items() if text == reason)
        console.line(f"{run.paper} {run.name}, {modes} mode, is left out: {reason}")
    if missing:
        store.put(f"{run.place}/{MISSING}", to_json(missing))
    elif APART in run.checks:
        _evaluate(request, run, APART)


def _train_and_judge(request: PapersRequest, plan: RunPlan, mode: str) -> None:
    train_job.train(train_request(request, plan.run, mode, plan.budget))
    _evaluate(request, plan.run, mode)


def _evaluate(request: PapersRequest, run: PaperRun, check: str) -> None:
    """Judge a run in one mode, or both modes apart."""
    apart = check == APART
    evaluate_job.evaluate(evaluate_job.EvaluateRequest(
        study=run.study, data=request.data, models=f"{request.out}/{run.place}/models",
        out=f"{request.out}/{run.place}/{check}", mode=CLEAN if apart else check, apart=apart,
        end_to_end=run.end_to_end and not apart, finders=request.finders, ray=request.ray,
        take_over=request.take_over,
    ))  # fmt: skip
