"""Compares the film studies' default recipes with their targets, the readers and the published recipes on drawn films.

    python benchmarks/recipes/default_recipes.py OUT [--patients 600] [--difficulty standard] [--only joints stages ...]

Draws a cohort (full-size films of patients with one to three visits), ingests it, trains each study's default recipe
in clean mode and evaluates it once on the test part. Then the papers' small networks (003 with an averaging head, 004)
and the default ones are trained on the same rows, with every row shown equally often. A second start uses what is under
OUT already. Figures of drawn films are no clinical evidence.
"""

import argparse
import dataclasses
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rajobs import studies
from rajobs.jobs.evaluate import job as evaluate_job
from rajobs.jobs.train import job as train_job
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data, prepare
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.bundle import Model
from rajobs.learning.bundle_description import find_bundles
from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.evaluation import evaluate_model
from rajobs.learning.recipe import Member, Recipe, replace, to_toml
from rajobs.records import metrics
from rajobs.records.store import open_store
from rajobs.records.tables.schemas import PREDICTIONS
from rajobs.reports.answers import target_answers

HALVES = 2  # phantoms drawn at the same time
WITHOUT = "no clinical evidence: drawn films"


def use_own_key(out: Path) -> None:
    """Use the key that is stored in OUT, so that a second start can continue."""
    out.mkdir(parents=True, exist_ok=True)
    key = out / "key"
    if not key.exists():
        key.write_text(secrets.token_hex(32))
    os.environ["RAJOBS_KEY"] = key.read_text()


def make_data(out: Path, patients: int, seed: int, difficulty: str, only: str = "films") -> str:
    """Draw and ingest a cohort, unless an earlier start has; the place of its data."""
    data = out / "data"
    if (data / "manifest.json").exists():
        return str(data)
    rajobs = [sys.executable, "-m", "rajobs"]
    places = [out / f"phantom-{half}" for half in range(HALVES)]
    options = ["--patients", str(patients // HALVES), "--damage", "0", "--only", only, "--difficulty", difficulty]
    drawing = [
        subprocess.Popen([*rajobs, "phantom", str(place), "--seed", str(seed + half), *options])
        for half, place in enumerate(places)
    ]
    if any(process.wait() for process in drawing):
        raise SystemExit(f"drawing the {only} failed")
    head, *rest = [(place / "labels.csv").read_text() for place in places]
    labels = out / "labels.csv"
    labels.write_text(head + "".join(text.split("\n", 1)[1] for text in rest))
    sources = [str(place / "archives") for place in places]
    subprocess.run([*rajobs, "ingest", *sources, str(data), "--labels", str(labels)], check=True)
    return str(data)


def fitted(
    study: str, data: str, out: Path, name: str, recipe: str = "default", weights: str | None = None,
    mode: str = "clean", budget: float = 1.0,
) -> Path:  # fmt: skip
    """Train and evaluate a recipe; the folder of the evaluation."""
    models, judged = str(out / f"{study}-{name}"), str(out / f"{study}-{name}-evaluation")
    how = train_job.TrainRequest(
        study=study, data=data, out=models, recipe=recipe, weights=weights, mode=mode, budget=budget
    )
    train_job.train(how)
    evaluate_job.evaluate(evaluate_job.EvaluateRequest(study=study, data=data, models=models, out=judged, mode=mode))
    return Path(judged)


def show(what: str, figure: dict[str, float], target: str = "") -> None:
    """Print a figure with its interval and its target."""
    span = f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"
    print(f"  {what:<66} {span}{f'  target {target}' if target else ''}", flush=True)


def films(data: str, out: Path) -> None:
    """Evaluate the hand filter on films as they are and turned by quarters."""
    judged = fitted("hand_filter", data, out, "default")
    figures = json.loads((judged / "metrics.json").read_text())["figures"]
    study = studies.find("hand_filter")
    models = open_store(str(out / "hand_filter-default"))
    model = Model.load(models, find_bundles(models, study.name)[0], study)
    source = open_labelled_data(data, study)
    arrays = prepare(source, model.recipe.view, None)
    lesson = build_dataset(source, arrays, frozen_split(source, "clean")[0], model.recipe)
    turned = []
    for quarter in range(4):
        pixels = tuple(np.rot90(each, quarter, axes=(1, 2)) for each in arrays.arrays)
        again = dataclasses.replace(lesson, arrays=dataclasses.replace(arrays, arrays=pixels))
        turned.append(evaluate_model(model, again, "test").answers("view"))
    count = len(turned[0].truth)
    together = metrics.Answers(
        truth=np.concatenate([each.truth for each in turned]),
        predicted=np.concatenate([each.predicted for each in turned]),
        p=np.concatenate([each.p for each in turned]),
        patients=np.concatenate([each.patients for each in turned]),
    )
    feet = int(np.sum(turned[0].truth == 2))
    print(f"\nhand_filter, {count} films of patients that it has never seen, {feet} of them feet")
    show("accuracy on films as they are", figures["view.accuracy"], "0.99")
    show("accuracy on films turned by quarters", metrics.figure(metrics.accuracy, together), "0.99")


def scores(study: str, data: str, out: Path, name: str = "default", weights: str | None = None) -> None:
    """Compare an ordinal study with its simulated readers."""
    judged = fitted(study, data, out, name, weights=weights)
    evaluation = json.loads((judged / "metrics.json").read_text())
    print(f"\n{study} ({name}), against the truth")
    for row in evaluation["readers"]:
        if row["against"] == "reference":
            show(f"{row['target']}: quadratic kappa, {row['who']} ({row['rows']} rows)", row["figures"]["qwk"])
            if "lead" in row:
                show(f"{row['target']}: the model's lead over {row['who']}, paired", row["lead"]["qwk"], "0")
    for name in ("erosion.sensitivity_at_90", "jsn.sensitivity_at_90"):
        if name in evaluation["figures"]:
            show(name.replace("_", " "), evaluation["figures"][name], "0.80")


def shown_equally(recipe: Recipe, times: int) -> Recipe:
    """The recipe with each of its networks shown every row this many times."""

    def changed(member: Member) -> Member:
        return dataclasses.replace(
            member, training=dataclasses.replace(recipe.training_of(member), epochs=times, copies=1)
        )

    return dataclasses.replace(recipe, members=tuple(changed(member) for member in recipe.members))


def compare_published(study: str, data: str, out: Path, published: Recipe, times: int, names: Sequence[str]) -> None:
    """Print the paired differences of two recipes that were shown the same rows equally often."""
    declared = studies.find(study)
    tables, calibrations = {}, {}
    for name, recipe in (("default", declared.recipe("default")), ("published", published)):
        file = out / f"{study}-{name}-{times}.toml"
        file.write_text(to_toml(shown_equally(recipe, times)))
        judged = fitted(study, data, out, f"{name}-{times}", str(file))
        table = pq.read_table(judged / "predictions.parquet")
        tables[name] = ordered(table)
        calibrations[name] = Calibration.from_json(json.loads(table.schema.metadata[b"calibration"]))
    print(
        f"\n{study}, default minus published, every row shown {times} times, paired on "
        f"{tables['default'].num_rows} rows"
    )
    for name in names:
        target, metric = name.split(".")
        one, other = (
            dataclasses.replace(
                target_answers(declared.target(target), tables[who], "test").answers,
                threshold=calibrations[who].thresholds.get(target),
            )
            for who in ("default", "published")
        )
        for who, answers in (("default", one), ("published", other)):
            show(f"{name}, {who}", metrics.figure(metrics.METRICS[metric], answers))
        show(f"{name}, difference", metrics.lead(metrics.METRICS[metric], one, other))


def ordered(table: pa.Table) -> pa.Table:
    """Rows sorted by their key, as paired comparisons need them."""
    return table.sort_by([(name, "ascending") for name in PREDICTIONS.key])


STEPS = ("joints", "stages", "filter", "beside-joints", "beside-filter")


def main() -> None:
    """Run the chosen steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--difficulty", default="standard")
    parser.add_argument("--shown", type=int, default=4, help="times that each film is shown, for 003's networks")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    args = parser.parse_args()
    use_own_key(args.out)
    data = make_data(args.out, args.patients, args.seed, args.difficulty)
    print(f"{args.patients} drawn patients, seeds {args.seed} and {args.seed + 1}, {args.difficulty}; {WITHOUT}")
    if "joints" in args.only:
        scores("svdh_scoring", data, args.out)
    if "stages" in args.only:
        (joints,) = (args.out / "svdh_scoring-default").glob("svdh_scoring/*/weights-joints.safetensors")
        scores("ra_staging", data, args.out, "from-joints", weights=str(joints))
        scores("ra_staging", data, args.out)
    if "filter" in args.only:
        films(data, args.out)
    if "beside-filter" in args.only:
        small = replace(studies.find("hand_filter").recipe("published"), "members.settings.head", "pool")
        compare_published("hand_filter", data, args.out, small, args.shown, ["view.accuracy", "view.balanced_accuracy"])
    if "beside-joints" in args.only:
        paper = studies.find("svdh_scoring").recipe("published")
        compare_published(
            "svdh_scoring", data, args.out, paper, 6, ["jsn.qwk", "erosion.qwk", "erosion.sensitivity_at_90"]
        )


if __name__ == "__main__":
    main()
