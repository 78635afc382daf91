"""Evaluates 000's picture on drawn clinics: drawing time, comparison with a tabular model, every number of the paper.

    python benchmarks/recipes/clinic_pictures.py OUT [--patients 1200] [--scanned 200] [--network small|alexnet]
        [--budget 1] [--only pictures cohort filled sizes published tables]

pictures: milliseconds of one core's processor time per picture (the wall clock depends on what else runs).
cohort: a clinic with missing findings; the default recipe in clean mode compared with the tabular model, the two
ablations, the colour of missing findings, another ACPA, and the accuracy where the members differ.
filled: the same recipe's answers with ultrasound removed from the table, and with its squares filled by graded scans.
sizes: the same recipe with larger pictures.
published: 000's 249 patients with their variants, in published mode and the paper's protocol: five trials of two
networks, the best of them by the test part, the ablations, and three simulated experts. `small` uses small networks in
place of AlexNet and ResNet-18; alexnet uses the paper's recipes, started at random.
tables: the drawn patients compared with the paper's tables 3 and 4. After published and tables, the last lines list the
paper's printed numbers that have no counterpart. `--budget` is the share of the recipes' epochs that published trains.
A second start uses what is under OUT already. Figures of drawn clinics are no clinical evidence.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from default_recipes import fitted, ordered, show, use_own_key
from drawn_patients import Values, counts, criteria, multiplied, tables
from filled_squares import measure_filling
from printed_numbers import PrintedNumbers

from rajobs import studies
from rajobs.imaging.clinical_picture import clinical, draw_findings
from rajobs.imaging.rows import Row
from rajobs.jobs.ingest import job as ingest_job
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data, prepare
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.bundle import Model
from rajobs.learning.bundle_description import find_bundles
from rajobs.learning.judging.evaluation import Evaluation, evaluate_model
from rajobs.learning.recipe import Member, Recipe, Training, to_toml
from rajobs.learning.tabular_baseline import verdict
from rajobs.phantoms.clinic.visits import ClinicRow, clinic_table, draw_clinic
from rajobs.records import metrics
from rajobs.records.statistics import count_statistics
from rajobs.records.statistics.intervals import kappa_interval
from rajobs.records.store import open_store
from rajobs.reports.answers import target_answers

STUDY, TARGET, PAPER = "clinical_array", "ra_clinical", "000"
SIZES = (96, 224, 227)
OTHER_SIZES = (128,)
TARGET_MS = 2.0
MISSING = {"ultrasound": 0.4, "blood": 0.1}  # shares of visits without ultrasound, and without each blood value
BLOOD = ("rf", "acpa", "esr", "crp", "ana", "mmp3", "wbc")
EXPERT_ERRS = 0.06  # share of patients on which a simulated expert errs, about as in the paper
STAND_INS = {
    "published": ("conv2", {"width": 8, "hidden": 64}), "published-resnet18": ("compact", {"width": 8, "stages": 4}),
}  # fmt: skip
RECIPES = {
    "published": "AlexNet, trial", "published-resnet18": "ResNet-18, trial",
    "published-cruciforms": "AlexNet on cruciforms only, trial", "published-squares": "AlexNet on squares only, trial",
}  # fmt: skip
"""000's four sets of five trials, with the names of their printed accuracies."""
WITHOUT = {
    "diagnoses of the 40 without RA, testing": "drawn patients have no diagnosis but RA or none",
    "diagnoses of the 157 without RA, learning": "drawn patients have no diagnosis but RA or none",
}  # fmt: skip
"""Facts about patients that 000 prints and the drawn patients lack."""


def pictures(count: int) -> bool:
    """Print the time of a picture; whether the target is met."""
    cv2.setNumThreads(1)
    visits = [dict(row.values) for row in draw_clinic(patients=count, seed=0)][:count]
    draw_picture = partial(clinical, row=Row(image_id="", at=0), shows="all", acpa="as_is", missing="own")
    draws: dict[str, Callable[[Values], object]] = {
        "871x494": draw_findings,
        **{f"{size}x{size}": partial(draw_picture, size=size) for size in SIZES},
    }
    print(f"\n{'picture':<12}{'median ms':>10}{'95 of 100':>11}")
    worst = 0.0
    for name, draw in draws.items():
        median, most = timed(draw, visits)
        worst = max(worst, median)
        print(f"{name:<12}{median:>10.2f}{most:>11.2f}")
    return worst <= TARGET_MS


def timed(draw: Callable[[Values], object], visits: Sequence[Values]) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds per visit."""
    draw(visits[0])
    spent = []
    for findings in visits:
        start = time.process_time()
        draw(findings)
        spent.append(1000 * (time.process_time() - start))
    return statistics.median(spent), statistics.quantiles(spent, n=20)[-1]


def ingested(out: Path, name: str, rows: Iterator[ClinicRow]) -> str:
    """Ingest a clinic table with an archive that contains only a note."""
    place = out / f"{name}-source"
    place.mkdir(exist_ok=True)
    (place / "note.txt").write_text("no film was taken\n")
    (out / f"{name}.csv").write_bytes(clinic_table(rows))
    clinic = str(out / f"{name}.csv")
    ingest_job.ingest(ingest_job.IngestRequest(sources=(str(place),), out=str(out / name), clinic=clinic))
    return str(out / name)


def with_holes(rows: Iterator[ClinicRow], seed: int) -> Iterator[ClinicRow]:
    """Visits as in a real clinic, where some have no ultrasound and some values are missing."""
    rng = np.random.default_rng(seed)
    for row in rows:
        gone = {name for name in BLOOD if rng.random() < MISSING["blood"]}
        if rng.random() < MISSING["ultrasound"]:
            gone |= {name for name in row.values if name.endswith(("_gs", "_pd"))}
        yield replace(row, values={name: "" if name in gone else value for name, value in row.values.items()})


def recipe_file(out: Path, name: str, recipe: Recipe) -> str:
    """Write a recipe as TOML; its path."""
    file = out / f"recipe-{name}.toml"
    file.write_text(to_toml(recipe))
    return str(file)


def evaluated(data: str, models: Path, mode: str, **view: Any) -> Evaluation:
    """A model's answers about the test part, with some view settings changed."""
    study, store = studies.find(STUDY), open_store(str(models))
    model = Model.load(store, find_bundles(store, STUDY)[0], study)
    source = open_labelled_data(data, study)
    arrays = prepare(source, {**model.recipe.view, **view}, None)
    return evaluate_model(model, build_dataset(source, arrays, frozen_split(source, mode)[0], model.recipe), "test")


def answers(judged: Path) -> metrics.Answers:
    """Truth and answers of an evaluation, sorted by visit."""
    study = studies.find(STUDY)
    return target_answers(study.target(TARGET), ordered(pq.read_table(judged / "predictions.parquet")), "test").answers


def compare_with_tabular(judged: Path, name: str) -> str:
    """Compare the networks with the tabular model of the same numbers; the verdict in words."""
    networks, plain = json.loads((judged / "metrics.json").read_text())["baseline"]
    show(f"{name}: balanced accuracy ({plain['rows']} visits)", networks["figures"]["balanced_accuracy"])
    show(f"{name}: lead over the tabular model, paired", plain["lead"]["balanced_accuracy"])
    return f"  {verdict('balanced_accuracy', plain['lead']['balanced_accuracy'])}"


def drawn_cohort(out: Path, patients: int, seed: int) -> str:
    """Draw and ingest a clinic with missing findings; the place of its data."""
    return ingested(out, "cohort", with_holes(draw_clinic(patients=patients, seed=seed), seed))


def cohort(out: Path, patients: int, seed: int) -> None:
    """Compare the default recipe with the tabular model and its own variants, on a clinic with missing findings."""
    data = drawn_cohort(out, patients, seed)
    default = studies.find(STUDY).recipe("default")
    views = {
        "default": {}, "cruciforms": {"shows": "cruciforms"}, "squares": {"shows": "squares"},
        "green": {"missing": "green"},
    }  # fmt: skip
    judged = {}
    for name, view in views.items():
        file = recipe_file(out, name, replace(default, view={**default.view, **view}))
        judged[name] = fitted(STUDY, data, out, f"cohort-{name}", file)
    print(f"\n{patients} drawn patients, clean mode; budget 1, {default.training.epochs} epochs: the default recipe")
    print(f"  missing: ultrasound of {MISSING['ultrasound']:.0%} of visits, {MISSING['blood']:.0%} of blood values")
    plain = json.loads((judged["default"] / "metrics.json").read_text())["baseline"][1]
    show(f"the tabular model (trained on {plain['learnt']} visits)", plain["figures"]["balanced_accuracy"])
    print(compare_with_tabular(judged["default"], "the picture"))
    for name in ("cruciforms", "squares"):
        print(compare_with_tabular(judged[name], f"{name} only"))
    own, green = answers(judged["default"]), answers(judged["green"])
    show("missing findings green like normal ones: balanced accuracy", metrics.figure(metrics.balanced_accuracy, green))
    show("a colour of their own: lead over green, paired", metrics.lead(metrics.balanced_accuracy, own, green))
    show_probes(judged["default"])
    compare_dissent(judged["default"])


def filled(out: Path, patients: int, scanned: int, seed: int) -> None:
    """Evaluate the cohort's default model through score, with ultrasound present, removed and filled."""
    data, default = drawn_cohort(out, patients, seed), studies.find(STUDY).recipe("default")
    judged = fitted(STUDY, data, out, "cohort-default", recipe_file(out, "default", default))
    measure_filling(out, data, out / f"{STUDY}-cohort-default", judged, scanned, seed)


def sizes(out: Path, patients: int, seed: int) -> None:
    """Compare pictures of other sizes with the default size and the tabular model."""
    data, default = drawn_cohort(out, patients, seed), studies.find(STUDY).recipe("default")
    own = fitted(STUDY, data, out, "cohort-default", recipe_file(out, "default", default))
    print(
        f"\npictures of other sizes than the default's {default.view['size']} px, {patients} drawn patients, budget 1"
    )
    for size in OTHER_SIZES:
        file = recipe_file(out, f"size{size}", replace(default, view={**default.view, "size": size}))
        judged = fitted(STUDY, data, out, f"cohort-size{size}", file)
        print(compare_with_tabular(judged, f"{size} px"))
        lead = metrics.lead(metrics.balanced_accuracy, answers(judged), answers(own))
        show(f"{size} px: lead over the default's size, paired", lead)


def show_probes(judged: Path) -> None:
    """Print how the answers change when the square of ACPA shows the other value."""
    for probe in json.loads((judged / "metrics.json").read_text())["probes"]:
        without, ill = probe["counts"]  # by true class, answer before and after
        print(f"  {probe['probe']}: {without[0][1]} of {sum(map(sum, without))} without RA become RA, {ill[1][0]} of "
              f"{sum(map(sum, ill))} with RA become none (000: several); {sum(ill[1])} with RA were recognised before "
              f"(000: it could)")  # fmt: skip


def compare_dissent(judged: Path) -> None:
    """Print how often members differ, and the accuracy with and without dissent."""
    table = pq.read_table(judged / "predictions.parquet")
    right = pc.equal(table.column("truth"), table.column("predicted")).to_numpy()
    differ = table.column("dissent").to_numpy() > 0
    there, elsewhere = (
        count_statistics.share(int(right[which].sum()), int(which.sum())) for which in (differ, ~differ)
    )
    print(f"  members differ on {int(differ.sum())} of {len(differ)} visits: accuracy {there:.3f} there, "
          f"{elsewhere:.3f} where all agree")  # fmt: skip


def with_small_network(recipe: Recipe, architecture: str, settings: Mapping[str, Any]) -> Recipe:
    """A published recipe with a small network in place of its own, and as many trials."""
    members = tuple(
        Member(name=m.name, architecture=architecture, settings=settings, ordered=False) for m in recipe.members
    )
    training = Training(epochs=10, batch_size=32, learning_rate=1e-3, schedule="constant", keep="last")
    return replace(recipe, view={**recipe.view, "size": 64}, members=members, training=training, heavy=False)


def published(out: Path, seed: int, network: str, budget: float, paper: PrintedNumbers) -> None:
    """Run 000's protocol: five trials of each network, the best by the test part, and the paper's numbers."""
    study = studies.find(STUDY)
    data = ingested(out, "published", multiplied(seed))
    evaluations: dict[str, tuple[Evaluation, Path]] = {}
    for name in RECIPES:
        recipe = study.recipe(name)
        if network == "small":
            recipe = with_small_network(recipe, *STAND_INS["published-resnet18" if "resnet" in name else "published"])
        for mode in ("published", "clean") if name == "published" else ("published",):
            fit, own = f"{name}-{network}-{budget:g}-{mode}", recipe_file(out, f"{name}-{network}", recipe)
            judged = fitted(STUDY, data, out, fit, own, weights="none", mode=mode, budget=budget)
            seen = evaluated(data, out / f"{STUDY}-{fit}", mode)
            evaluations[name if mode == "published" else f"{name}, clean"] = seen, judged
    small = "small networks in place of AlexNet and ResNet-18"
    stand = small if network == "small" else "the paper's networks, started at random"
    print(f"\n000's 249 patients, drawn; {stand}; budget {budget:g} of the recipes' {recipe.training.epochs} epochs")
    counts(data, paper)
    print("  published mode, which chooses the best trial by the test part")
    for name, what in RECIPES.items():
        seen, judged = evaluations[name]
        ours = [f"{np.mean(vote == seen.truth[TARGET]):.0%}" for vote in seen.votes[TARGET]]
        theirs = [paper.text(f"{what} {trial}") for trial in range(1, 6)]
        print(f"  {what}s 1 to 5: {', '.join(theirs)} in the paper, {', '.join(ours)} here")
        print(compare_with_tabular(judged, name))
    best_trial(evaluations["published"][0], seed, paper)
    misses(evaluations["published"][0], evaluations["published-resnet18"][0], paper)
    for name in ("published", "published, clean"):
        chosen = metrics.figure(metrics.accuracy, answers(evaluations[name][1]))
        show(f"in place of AlexNet, {name}: accuracy of the chosen trial", chosen)
    show_probes(evaluations["published"][1])


def best_trial(seen: Evaluation, seed: int, paper: PrintedNumbers) -> None:
    """Compare the best trial with table 1 and the experts."""
    best = seen.answers(TARGET)
    matrix = metrics.confusion(best)
    ours, theirs = (count_statistics.one_vs_rest(each, 1) for each in (matrix, paper.paper.matrices["third_trial"]))
    show("the best trial's accuracy", metrics.figure(metrics.accuracy, best))
    for name, cells in (("here", ours), ("000", theirs)):
        print(f"  {name:<4} TP {cells.tp}, FN {cells.fn}, FP {cells.fp}, TN {cells.tn}")
    printed = paper.take("AlexNet's third trial, RA").numbers
    for name, entry in printed.items():
        print(f"  its {name}: {entry.text} in 000, {count_statistics.TWO_BY_TWO_STATISTICS[name](ours):.0%} here")
    print(f"  its kappa with three simulated experts, each wrong about {EXPERT_ERRS:.0%} of the patients")
    for at, order in enumerate(("first", "second", "third")):
        errs = np.random.default_rng([seed, at]).random(len(best.truth)) < EXPERT_ERRS
        table = metrics.confusion(replace(best, truth=np.where(errs, 1 - best.truth, best.truth)))
        low, high = kappa_interval(table, 0)
        here = (
            f"{count_statistics.kappa_unweighted(table):.2f} ({low:.2f} to {high:.2f}) here, {int(errs.sum())} errors"
        )
        printed_kappa = paper.text(f"AlexNet's third trial with the {order} expert")
        print(f"    {order}: {printed_kappa} in 000, {here}")


def misses(one: Evaluation, other: Evaluation, paper: PrintedNumbers) -> None:
    """Print false negatives and positives over the five trials, and the pictures on which both networks fail."""
    failed: list[set[int]] = []
    for name, seen, printed in (("AlexNet", one, "6, 3"), ("ResNet-18", other, "3, 9")):
        truth, votes = seen.truth[TARGET], seen.votes[TARGET]
        low, high = ((votes == 0) & (truth == 1)), ((votes == 1) & (truth == 0))
        failed.append(set(np.flatnonzero((low | high).any(axis=0)).tolist()))
        ours = f"{int(low.sum())} false negatives, {int(high.sum())} false positives, {int((low | high).sum())} in all"
        in_all = paper.text(f"{name}'s wrong answers")
        print(f"  in place of {name}, five trials: {ours} (000: {printed}, {in_all} in all)")
    both = failed[0] & failed[1]
    ill = sum(int(one.truth[TARGET][at]) for at in both)
    print(f"  wrong by both: {ill} with RA and {len(both) - ill} without (000: 2 and 2)")


STEPS = ("pictures", "cohort", "filled", "sizes", "published", "tables")


def main() -> None:
    """Run the chosen steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=1200)
    parser.add_argument("--scanned", type=int, default=200, help="patients whose scans train the grading model")
    parser.add_argument("--seed", type=int, default=61)
    parser.add_argument("--network", choices=("small", "alexnet"), default="small")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    args = parser.parse_args()
    use_own_key(args.out)
    print("no clinical evidence: drawn clinics")
    if "pictures" in args.only:
        print(f"target of at most {TARGET_MS:g} ms per picture: {'met' if pictures(300) else 'MISSED'}")
    if "cohort" in args.only:
        cohort(args.out, args.patients, args.seed)
    if "filled" in args.only:
        filled(args.out, args.patients, args.scanned, args.seed)
    if "sizes" in args.only:
        sizes(args.out, args.patients, args.seed)
    paper = PrintedNumbers.read(PAPER)
    if "published" in args.only:
        published(args.out, args.seed, args.network, args.budget, paper)
    if "tables" in args.only:
        tables(args.seed, paper)
        criteria(args.seed, paper)
    if {"published", "tables"} <= set(args.only):
        paper.finish(WITHOUT)


if __name__ == "__main__":
    main()
