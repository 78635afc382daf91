"""Compares the cost of a sweep's trials with the bare loop, and a sweep's best recipe with the published one.

    python benchmarks/speed/sweep_cost.py DATA [--study hand_filter] [--budget 0.2] [--trials 4] [--workers 2]
    python benchmarks/speed/sweep_cost.py --sweep OUT [--trials 24] [--joints 1000] [--epochs 10] [--patients 24]

The first form runs trials of the default recipe one after the other, each on one core, then each with several workers.
The time of a trial is measured from the end of the previous trial to its own end; the bare loop is the same training
without a sweep, on one core. The second form draws two cohorts of full-size films and searches 004's 48x48 networks on
the joints of the first; then the best recipe and the published one, trained for equally many epochs, are compared on
the second. Figures of drawn films are no clinical evidence.
"""

import argparse
import csv
import dataclasses
import hashlib
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import ray
import torch

from rajobs import studies
from rajobs.jobs.train import job as train_job
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data, prepare
from rajobs.jobs.train.splits import frozen_split
from rajobs.jobs.tune import job as tune_job
from rajobs.learning.bundle import Model
from rajobs.learning.judging.evaluation import evaluate_model
from rajobs.learning.recipe import replace, to_toml
from rajobs.learning.training.members import train_member
from rajobs.records import metrics
from rajobs.records.store import open_store

SEARCHED = "svdh_scoring"
AXES = """
"members.training.optimiser" = { choices = ["adam", "adadelta", "sgd", "rmsprop", "adamw"] }
"members.training.learning_rate" = { low = 3e-4, high = 1e-2, log = true }
"members.training.batch_size" = { choices = [64, 128, 256, 512] }
"members.training.keep" = { choices = ["best", "last"] }
"members.training.class_weights" = { choices = [false, true] }
"members.training.augment.rotate" = { low = 0.0, high = 30.0 }
"members.training.augment.shift" = { low = 0.0, high = 0.1 }
"view.upright" = { choices = [false, true] }
"view.levels" = { choices = ["film", "own"] }
"members.settings.batch_norm" = { choices = [true, false] }
"members.settings.dropout" = { low = 0.0, high = 0.5 }
"""


def overhead(args: argparse.Namespace) -> None:
    """Print the time of a trial and that of the bare loop."""
    bare = _bare(args)
    print(f"{args.study} default, budget {args.budget:g}: the bare loop takes {bare:.1f} s on one core")
    for workers in (1, args.workers):
        first, later = _trials(args, workers)
        kind = "one worker" if workers == 1 else f"{workers} workers, nested"
        print(
            f"trials of {kind}: {first:.1f} s for the first, {later:.1f} s for each later one: "
            f"{later - bare:.1f} s more than the bare loop"
        )


def _bare(args: argparse.Namespace) -> float:
    """Seconds of the recipe's training alone, from arrays that are prepared already."""
    study = studies.find(args.study)
    recipe, source = study.recipe("default"), open_labelled_data(args.data, study)
    arrays = prepare(source, recipe.view, None)
    lesson = build_dataset(source, arrays, frozen_split(source, "clean")[0], recipe, args.budget)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    taken = []
    for _ in range(2):  # the first one warms up
        start = time.perf_counter()
        for number, member in enumerate(recipe.members):
            train_member(lesson, recipe, member, number, lambda epoch, state: True)
        taken.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return min(taken)


def _trials(args: argparse.Namespace, workers: int) -> tuple[float, float]:
    """Seconds until the first trial has ended, and the median seconds of each later one."""
    with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as out:
        # Fixed recipes are never stopped early: each trial is the same work.
        names = ", ".join(['"default"'] * args.trials)
        axis = '[axes]\n"training.batch_size" = { choices = [32] }\n'
        (Path(out) / "space.toml").write_text(f'study = "{args.study}"\nfirst = [{names}]\n{axis}')
        ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        try:
            start = time.time()
            tune_job.tune(tune_job.TuneRequest(
                study=args.study, data=args.data, out=f"{out}/sweep", space=f"{out}/space.toml", trials=args.trials,
                budget=args.budget, workers=workers,
            ))  # fmt: skip
        finally:
            ray.shutdown()
        ended = sorted(file.stat().st_mtime for file in Path(out).glob("sweep/*/trials/*/*.json"))
    return ended[0] - start, float(np.median(np.diff(ended)))


def sweep(args: argparse.Namespace) -> None:
    """Print how long a sweep took, and compare its best recipe with the published one on another cohort's joints."""
    out, study = Path(args.sweep), studies.find(SEARCHED)
    drawn = _draw([out / "learnt", out / "other"], args)
    learnt, other = (_data(place, args) for place in drawn)
    lasting = f'"members.training.epochs" = {{ choices = [{args.epochs}] }}\n'
    (out / "space.toml").write_text(f'study = "{SEARCHED}"\nbase = "published"\nfirst = []\n[axes]\n{lasting}{AXES}')
    start = time.perf_counter()
    best = tune_job.tune(
        tune_job.TuneRequest(
            study=SEARCHED, data=learnt, out=f"{out}/sweep", space=f"{out}/space.toml", trials=args.trials
        )
    )
    print(f"{args.trials} trials: {(time.perf_counter() - start) / 60:.1f} min")
    published = replace(study.recipe("published"), "members.training.epochs", args.epochs)
    (out / "published.toml").write_text(to_toml(published))
    source = open_labelled_data(other, study)
    answers = []
    for recipe in (best, f"{out}/published.toml"):
        place = train_job.train(train_job.TrainRequest(study=SEARCHED, data=learnt, out=f"{out}/models", recipe=recipe))
        root, _, folder = place.rpartition(f"/{SEARCHED}/")
        model = Model.load(open_store(root), f"{SEARCHED}/{folder}", study)
        lesson = build_dataset(
            source, prepare(source, model.recipe.view, None), frozen_split(source, "clean")[0], model.recipe
        )
        everyone = dataclasses.replace(lesson, parts=np.full(len(lesson.parts), "test"))
        answers.append(evaluate_model(model, everyone, "test").answers(study.headline.partition(".")[0]))
    lead = metrics.lead(metrics.METRICS[study.headline.partition(".")[2]], *answers)
    word = "wins" if lead["low"] > 0 else "loses" if lead["high"] < 0 else "does not clearly win"
    print(
        f"best minus published, {study.headline} on {len(answers[0].truth)} joints of another cohort: "
        f"{lead['value']:+.3f} ({lead['low']:+.3f} to {lead['high']:+.3f}): it {word}"
    )


def _draw(places: Sequence[Path], args: argparse.Namespace) -> Sequence[Path]:
    """Draw one cohort per place, all at the same time."""
    options = ["--patients", str(args.patients), "--damage", "0", "--only", "films"]
    drawing = [
        subprocess.Popen(
            [sys.executable, "-m", "rajobs", "phantom", str(place / "phantom"), "--seed", str(1 + number), *options]
        )
        for number, place in enumerate(places)
        if not (place / "phantom" / "expected.csv").exists()
    ]
    if any(process.wait() for process in drawing):
        raise SystemExit("drawing the films failed")
    return places


def _data(out: Path, args: argparse.Namespace) -> str:
    """Ingest a drawn cohort with the labels of `--joints` of its joints, spread over all hands."""
    data = out / "data"
    if (data / "manifest.json").exists():
        return str(data)
    with (out / "phantom" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    joints = {_joint(row) for row in rows if row["study"] == SEARCHED}
    kept = set(sorted(joints, key=lambda joint: hashlib.sha256(str(joint).encode()).digest())[: args.joints])
    with (out / "labels.csv").open("w", newline="") as chosen:
        writer = csv.DictWriter(chosen, list(rows[0]))
        writer.writeheader()
        places = "joint_detection"  # where the joints are
        writer.writerows(row for row in rows if row["study"] == places or _joint(row) in kept)
    labels = ["--labels", str(out / "labels.csv")]
    ingest = [sys.executable, "-m", "rajobs", "ingest", str(out / "phantom" / "archives"), str(data), *labels]
    subprocess.run(ingest, check=True)
    return str(data)


def _joint(row: Mapping[str, str]) -> tuple[str, ...]:
    return row["study"], row["image"], row["side"], row["site"]


def main() -> None:
    """Run the form that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--study", default="hand_filter")
    parser.add_argument("--budget", type=float, default=0.2)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sweep", metavar="OUT")
    parser.add_argument("--joints", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--patients", type=int, default=24)
    args = parser.parse_args()
    os.environ.setdefault("RAJOBS_KEY", secrets.token_urlsafe(32))
    if args.sweep:
        args.trials = args.trials or 24
        Path(args.sweep).mkdir(parents=True, exist_ok=True)
        sweep(args)
    elif args.data:
        args.trials = args.trials or 4
        overhead(args)
    else:
        parser.error("DATA, or --sweep OUT")


if __name__ == "__main__":
    main()
