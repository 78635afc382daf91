"""rajobs demo: the whole pipeline on drawn films, on this machine; it ends with a page to open."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.jobs import builtin, cluster, console
from rajobs.jobs.evaluate import job as evaluate_job
from rajobs.jobs.ingest import job as ingest_job
from rajobs.jobs.phantom import phantom
from rajobs.jobs.score import job as score_job
from rajobs.jobs.train import job as train_job
from rajobs.jobs.tune import job as tune_job
from rajobs.learning.samples.row_arrays import shown_films
from rajobs.records.errors import UsageError
from rajobs.records.manifest import read_manifest
from rajobs.records.store import lease, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_table
from rajobs.records.tables.schemas import EXTREMITIES, JOINTS
from rajobs.reports.demo_page import demo_page
from rajobs.reports.page import Step
from rajobs.reports.score.overlay import ScoredJoint, overlay

STUDY = "hand_filter"
PAGE = "index.html"
FOLDERS = ("phantom", "data", "ledger", "models", "sweep", "evaluation", "tables")
PATIENTS = 24
TRIALS = 3
KEY = "a key that everybody knows, for phantoms alone"


def demo(out: str, ray: str | None = None, *, take_over: bool = False) -> str:
    """Run every job in turn on one cluster; a job that is done already is not run again."""
    if "://" in out:
        raise UsageError("the demo writes to a folder of this machine")
    place, store, page = {name: str(Path(out) / name) for name in FOLDERS}, open_store(out), Path(out) / PAGE
    done = store.stat(PAGE) is not None
    with _key_in_environment():  # before a cluster starts, whose workers have it from here
        if done:
            _run_jobs(place, ray, take_over=take_over)
        else:
            with lease.hold(store, "demo", take_over=take_over) as fence, cluster.connected(ray):
                _run_jobs(place, ray, take_over=take_over)
                fence.check(now=True)
                store.put(PAGE, demo_page(_describe_steps(place)).encode())
    console.line(f"\n{'nothing was left to do; ' if done else ''}open {page.absolute()}")
    return str(page)


def _run_jobs(place: Mapping[str, str], ray: str | None, *, take_over: bool) -> None:
    """The whole line, each job into its own folder."""
    console.line("1. phantom: drawn films in the archives of a hospital")
    phantom(place["phantom"], patients=PATIENTS, size="SMALL")
    console.line("\n2. ingest: archives into tables")
    ingest_job.ingest(ingest_job.IngestRequest(
        sources=(f"{place['phantom']}/archives",), out=place["data"], labels=(f"{place['phantom']}/labels.csv",),
        clinic=f"{place['phantom']}/clinic.csv", ledger=place["ledger"], ray=ray, take_over=take_over,
    ))  # fmt: skip
    console.line("\n3. tune: a better recipe (a few short trials here; a night on a cluster)")
    recipe = tune_job.tune(tune_job.TuneRequest(
        study=STUDY, data=place["data"], out=place["sweep"], trials=TRIALS, budget=0.5, ray=ray, take_over=take_over
    ))  # fmt: skip
    console.line("\n4. train: a model with the best recipe of the sweep")
    train_job.train(train_job.TrainRequest(
        study=STUDY, data=place["data"], out=place["models"], recipe=recipe, ray=ray, take_over=take_over
    ))  # fmt: skip
    console.line("\n5. evaluate: the model judged on patients it never saw")
    evaluate_job.evaluate(evaluate_job.EvaluateRequest(
        study=STUDY, data=place["data"], models=place["models"], out=place["evaluation"], ray=ray,
        take_over=take_over,
    ))  # fmt: skip
    console.line("\n6. score: the cohort's tables")
    models = f"{place['models']},{builtin.NAME}"  # those of the package find the joints and score them
    score_job.score(score_job.ScoreRequest(
        data=place["data"], models=models, out=place["tables"], ray=ray, take_over=take_over
    ))  # fmt: skip


@contextmanager
def _key_in_environment() -> Iterator[None]:
    """The user's key, or one that is not secret: phantoms have no identity to protect."""
    own_key = os.environ.get("RAJOBS_KEY")
    os.environ.setdefault("RAJOBS_KEY", KEY)
    yield
    if own_key is None:
        del os.environ["RAJOBS_KEY"]


def _describe_steps(place: Mapping[str, str]) -> list[Step]:
    data = read_manifest(open_store(place["data"])) or {}
    tables = read_manifest(open_store(place["tables"])) or {}
    figures = evaluate_job.read_metrics(place["evaluation"])["figures"]
    contact = open_store(place["phantom"]).get("contact.png")
    counts = data["counts"]
    intake = {name: counts[name] for name in ("objects", "images")}
    intake |= {name: sum(counts[name].values()) for name in ("rejects", "ignored")}
    scores = {name: console.figure(figure) for name, figure in figures.items()}
    return [
        Step(
            name="phantom", line="Drawn films in the archives of a hospital, a share of them damaged.",
            png=contact, href="phantom/contact.png", link="Open the contact sheet",
        ),
        Step(name="ingest", line="Archives into tables; every file has one fate.", counts=tuple(intake.items())),
        Step(
            name="tune", line="A few short trials for a better recipe; a night on a cluster.",
            href=f"sweep/{STUDY}/report.html",
        ),
        Step(name="train", line="A model with the best recipe of the sweep."),
        Step(
            name="evaluate", line="The model judged on patients it never saw.",
            href="evaluation/report.html", counts=tuple(scores.items()),
        ),
        Step(
            name="score", href="tables/report.html",
            line="The cohort's tables. Here the hand with the highest total: a box for each joint, its joint space "
            "narrowing in yellow, its erosion in blue.",
            counts=(*tables["fates"].items(), *tables["views"].items(), ("hands", tables["rows"]["extremities"])),
            png=_draw_worst_hand(place["data"], place["tables"]),
        ),
    ]  # fmt: skip


def _draw_worst_hand(data: str, tables: str) -> bytes | None:
    """The hand with the highest total and its scores, as PNG; None where no hand has a score."""
    store = open_store(tables)
    hands = read_table(store, EXTREMITIES.name, EXTREMITIES, ["image_id", "extremity", "box", "svdh_total"])
    hands = hands.filter(pc.and_(pc.is_valid(hands["svdh_total"]), pc.is_valid(hands["box"])))
    if not hands.num_rows:
        return None
    worst = hands.sort_by([("svdh_total", "descending"), ("image_id", "ascending")]).slice(0, 1).to_pylist()[0]
    joints = read_table(store, JOINTS.name, JOINTS, ["image_id", "extremity", "box", "jsn", "erosion"])
    of_hand = [pc.equal(joints[name], pa.scalar(worst[name])) for name in ("image_id", "extremity")]
    scored = [
        ScoredJoint(box=row["box"], jsn=row["jsn"], erosion=row["erosion"])
        for row in joints.filter(pc.and_(*of_hand)).to_pylist()
    ]
    source = open_store(data)
    for _, pixels in shown_films(source, {worst["image_id"]}, list_parts(source, "images")):
        return overlay(pixels, worst["box"], scored)
    return None
