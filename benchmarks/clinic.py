"""000's picture on drawn clinics: its time, its networks beside a plain tabular model, and every number of the paper.

    python benchmarks/clinic.py OUT [--patients 1200] [--network small|alexnet] [--budget 1] [--only pictures ...]

pictures: milliseconds of one core's processor time that a picture takes (the clock would measure the neighbours).
cohort: a clinic in which a part of the findings is missing; the default recipe in clean mode beside the tabular model,
the two ablations, the colour of what is missing, the ACPA flip, and what the members' dissent is worth.
published: 000's 249 patients with their variants, in its own mode and protocol: five trials of two networks, the best
of them by the test part, the ablations, and three simulated experts. `small` puts small networks in the place of
AlexNet and ResNet-18; alexnet is the paper's recipes, started at random.
tables: the drawn patients beside the paper's tables 3 and 4.
What is under OUT already is not made again. Figures of drawn clinics are no clinical evidence.
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
from learning import fitted, ordered, own_key, show
from scipy import stats

from rajobs import studies
from rajobs.imaging.clinical import ITEMS, clinical, picture
from rajobs.imaging.rows import Finding, Row
from rajobs.jobs import ingest
from rajobs.jobs.lesson import lesson_of, open_source, prepare, split_of
from rajobs.learning.bundle import Model, find_bundles
from rajobs.learning.judge import Verdict, judge
from rajobs.learning.recipe import Member, Recipe, Training, to_toml
from rajobs.learning.tabular import verdict
from rajobs.phantoms.clinic import ClinicRow, clinic_table, draw_clinic, draw_published, variants
from rajobs.records import agreement, metrics
from rajobs.records.printed import read_paper
from rajobs.records.store import open_store
from rajobs.reports.answers import given

STUDY, TARGET, PAPER = "clinical_array", "ra_clinical", "000"
SIZES = (96, 224, 227)
TARGET_MS = 2.0
MULTIPLIED = {True: 6, False: 5}  # 000: RA by six, others by five
MISSING = {"ultrasound": 0.4, "blood": 0.1}  # shares of visits without any ultrasound, and of each blood value
BLOOD = ("rf", "acpa", "esr", "crp", "ana", "mmp3", "wbc")
EXPERTS, EXPERT_ERRS = 3, 0.06  # simulated: each errs on its own in so many patients, about as often as the paper's
STAND_INS = {
    "published": ("conv2", {"width": 8, "hidden": 64}), "published-resnet18": ("compact", {"width": 8, "stages": 4}),
}  # fmt: skip
RECIPES = {
    "published": "AlexNet, trial", "published-resnet18": "ResNet-18, trial",
    "published-cruciforms": "AlexNet on cruciforms only, trial", "published-squares": "AlexNet on squares only, trial",
}  # fmt: skip
"""000's four sets of five trials, and what its printed accuracies are called."""
PRINTED_AS = {
    "rf": "RF", "acpa": "ACPA", "esr": "ESR", "onset_days": "onset to visit, days", "crp": "CRP", "ana": "ANA",
    "mmp3": "MMP-3", "wbc": "WBC", "temperature": "body temperature", "patient_vas": "patient VAS",
    "doctor_vas": "doctor VAS",
}  # fmt: skip
COUNTED = {"sex": "gender", "skin": "skin abnormality", "trunk_pain": "trunk pain"}
Values = Mapping[str, Finding]


def pictures(count: int) -> bool:
    """The time of a picture; whether the target is met."""
    cv2.setNumThreads(1)
    visits = [dict(row.values) for row in draw_clinic(patients=count, seed=0)][:count]
    ask = partial(clinical, row=Row(image_id="", at=0), shows="all", acpa="as_is", missing="own")
    draws: dict[str, Callable[[Values], object]] = {
        "871x494": picture,
        **{f"{size}x{size}": partial(ask, size=size) for size in SIZES},
    }
    print(f"\n{'picture':<12}{'median ms':>10}{'95 of 100':>11}")
    worst = 0.0
    for name, draw in draws.items():
        median, most = timed(draw, visits)
        worst = max(worst, median)
        print(f"{name:<12}{median:>10.2f}{most:>11.2f}")
    return worst <= TARGET_MS


def timed(draw: Callable[[Values], object], visits: Sequence[Values]) -> tuple[float, float]:
    """The median one's milliseconds, and those that 95 of 100 stay below."""
    draw(visits[0])
    spent = []
    for findings in visits:
        start = time.process_time()
        draw(findings)
        spent.append(1000 * (time.process_time() - start))
    return statistics.median(spent), statistics.quantiles(spent, n=20)[-1]


def taken(out: Path, name: str, rows: Iterator[ClinicRow]) -> str:
    """A clinic ingested; its archive holds nothing but a note."""
    place = out / f"{name}-source"
    place.mkdir(exist_ok=True)
    (place / "note.txt").write_text("no film was taken\n")
    (out / f"{name}.csv").write_bytes(clinic_table(rows))
    clinic = str(out / f"{name}.csv")
    ingest.ingest(ingest.Order(sources=(str(place),), out=str(out / name), clinic=clinic))
    return str(out / name)


def with_holes(rows: Iterator[ClinicRow], seed: int) -> Iterator[ClinicRow]:
    """Visits as clinics have them: not every joint was scanned, not every value measured."""
    rng = np.random.default_rng(seed)
    for row in rows:
        gone = {name for name in BLOOD if rng.random() < MISSING["blood"]}
        if rng.random() < MISSING["ultrasound"]:
            gone |= {name for name in row.values if name.endswith(("_gs", "_pd"))}
        yield replace(row, values={name: "" if name in gone else value for name, value in row.values.items()})


def multiplied(seed: int) -> Iterator[ClinicRow]:
    """000's 249 patients, those to learn from with their variants."""
    for number, (part, row) in enumerate(draw_published(seed)):
        count = MULTIPLIED[row.ra_clinical] if part == "learning" else 1
        yield from variants(row, count, np.random.default_rng([seed, number]))


def recipe_file(out: Path, name: str, recipe: Recipe) -> str:
    file = out / f"recipe-{name}.toml"
    file.write_text(to_toml(recipe))
    return str(file)


def asked(data: str, models: Path, mode: str, **view: Any) -> Verdict:
    """A model's answers to the test part, its pictures drawn with other settings."""
    study, store = studies.find(STUDY), open_store(str(models))
    model = Model.load(store, find_bundles(store, STUDY)[0], study)
    source = open_source(data, study)
    arrays = prepare(source, {**model.recipe.view, **view}, None)
    return judge(model, lesson_of(source, arrays, split_of(source, mode)[0], model.recipe), "test")


def answers(judged: Path) -> metrics.Answers:
    study = studies.find(STUDY)
    return given(study, study.target(TARGET), ordered(pq.read_table(judged / "predictions.parquet")), "test").answers


def beside_tabular(judged: Path, name: str) -> str:
    """The networks beside the plain model of the same numbers; in words, who wins."""
    told = json.loads((judged / "metrics.json").read_text())
    networks, plain = told["baseline"]
    show(f"{name}: balanced accuracy ({plain['rows']} visits)", networks["figures"]["balanced_accuracy"])
    show(f"{name}: lead over the tabular model, paired", plain["lead"]["balanced_accuracy"])
    decides = {"balanced_accuracy": plain["figures"]["balanced_accuracy"]}
    return f"  {verdict({**plain, 'figures': decides})}"


def cohort(out: Path, patients: int, seed: int) -> None:
    """The default recipe on a clinic with holes, beside the numbers themselves, its ablations and its colours."""
    data = taken(out, "cohort", with_holes(draw_clinic(patients=patients, seed=seed), seed))
    default = studies.find(STUDY).recipe("default")
    views = {
        "default": {}, "cruciforms": {"shows": "cruciforms"}, "squares": {"shows": "squares"},
        "green": {"missing": "green"},
    }  # fmt: skip
    judged = {}
    for name, view in views.items():
        file = recipe_file(out, name, replace(default, view={**default.view, **view}))
        judged[name] = fitted(STUDY, data, out, f"cohort-{name}", file)
    print(f"\n{patients} drawn patients, clean mode; missing: ultrasound of {MISSING['ultrasound']:.0%} of the visits, "
          f"{MISSING['blood']:.0%} of the blood values")  # fmt: skip
    plain = json.loads((judged["default"] / "metrics.json").read_text())["baseline"][1]
    show(f"the plain tabular model ({plain['learnt']} visits to learn from)", plain["figures"]["balanced_accuracy"])
    print(beside_tabular(judged["default"], "the picture"))
    for name in ("cruciforms", "squares"):
        print(beside_tabular(judged[name], f"{name} only"))
    own, green = answers(judged["default"]), answers(judged["green"])
    show("missing findings green, as harmless: balanced accuracy", metrics.figure(metrics.balanced_accuracy, green))
    show("a colour of their own: lead over green, paired", metrics.lead(metrics.balanced_accuracy, own, green))
    flipped(data, out / f"{STUDY}-cohort-default", "clean")
    apart(judged["default"])


def flipped(data: str, models: Path, mode: str) -> None:
    """What the answers hang on the one square of ACPA."""
    before, after = (asked(data, models, mode, acpa=how) for how in ("as_is", "flipped"))
    said, then, truth = before.predicted[TARGET], after.predicted[TARGET], before.truth[TARGET]
    up = (before.p[TARGET][:, 1] < after.p[TARGET][:, 1]) & (said == 0)
    print(f"  ACPA turned over on each picture: {int((said != then).sum())} of {len(said)} answers change; of "
          f"{int((truth == 0).sum())} without RA {int(((truth == 0) & (said == 0) & (then == 1)).sum())} become RA, of "
          f"{int((truth == 1).sum())} with RA {int(((truth == 1) & (said == 1) & (then == 0)).sum())} become none "
          f"(000: in several); {int(up.sum())} of the {int((said == 0).sum())} noes are less sure")  # fmt: skip


def apart(judged: Path) -> None:
    """How often members differ, and what their answer is worth then."""
    table = pq.read_table(judged / "predictions.parquet")
    right = pc.equal(table.column("truth"), table.column("predicted")).to_numpy()
    differ = table.column("dissent").to_numpy() > 0
    there, elsewhere = (agreement.share(int(right[which].sum()), int(which.sum())) for which in (differ, ~differ))
    print(f"  members differ on {int(differ.sum())} of {len(differ)} visits: right {there:.3f} there, "
          f"{elsewhere:.3f} where all agree")  # fmt: skip


def in_place(recipe: Recipe, architecture: str, settings: Mapping[str, Any]) -> Recipe:
    """A published recipe with a small network in the place of its own; five trials stay five."""
    members = tuple(
        Member(name=m.name, architecture=architecture, settings=settings, ordered=False) for m in recipe.members
    )
    training = Training(epochs=10, batch_size=32, learning_rate=1e-3, schedule="constant", keep="last")
    return replace(recipe, view={**recipe.view, "size": 64}, members=members, training=training, heavy=False)


def published(out: Path, seed: int, network: str, budget: float) -> None:
    """000's protocol: five trials of each network, and the best one by the test part; then its numbers."""
    study = studies.find(STUDY)
    data = taken(out, "published", multiplied(seed))
    found: dict[str, tuple[Verdict, Path]] = {}
    for name in RECIPES:
        recipe = study.recipe(name)
        if network == "small":
            recipe = in_place(recipe, *STAND_INS["published-resnet18" if "resnet" in name else "published"])
        for mode in ("published", "clean") if name == "published" else ("published",):
            fit, own = f"{name}-{network}-{budget:g}-{mode}", recipe_file(out, f"{name}-{network}", recipe)
            judged = fitted(STUDY, data, out, fit, own, weights="none", mode=mode, budget=budget)
            seen = asked(data, out / f"{STUDY}-{fit}", mode)
            found[name if mode == "published" else f"{name}, clean"] = seen, judged
    paper = {
        entry.what: entry.numbers["accuracy"].text
        for entry in read_paper(PAPER).entries
        if "trial " in entry.what and "accuracy" in entry.numbers
    }
    small = "small networks in the place of AlexNet and ResNet-18"
    stand = small if network == "small" else "the paper's networks, started at random"
    print(f"\n000's 249 patients, drawn; {stand}; budget {budget:g}; published mode: the best trial by the test part")
    for name, what in RECIPES.items():
        seen, judged = found[name]
        ours = [f"{np.mean(said == seen.truth[TARGET]):.0%}" for said in seen.voices[TARGET]]
        theirs = [paper[f"{what} {number}"] for number in range(1, 6)]
        print(f"  {what}s 1 to 5: {', '.join(theirs)} in the paper, {', '.join(ours)} here")
        print(beside_tabular(judged, name))
    best_trial(found["published"][0], seed)
    misses(found["published"][0], found["published-resnet18"][0])
    for name in ("published", "published, clean"):
        chosen = metrics.figure(metrics.accuracy, answers(found[name][1]))
        show(f"AlexNet's place, {name}: accuracy of the chosen trial", chosen)
    flipped(data, out / f"{STUDY}-published-{network}-{budget:g}-published", "published")


def best_trial(seen: Verdict, seed: int) -> None:
    """Table 1, and the experts."""
    given = seen.answers(TARGET)
    counts = agreement.one_vs_rest(metrics.confusion(given), 1)
    print(f"  the best trial: TP {counts.tp}, FN {counts.fn}, FP {counts.fp}, TN {counts.tn} (000: 10, 0, 1, 39)")
    precision, recall = agreement.precision(counts), agreement.sensitivity(counts)
    print(f"  its precision {precision:.0%} (000: 91%), its recall {recall:.0%} (000: 100%)")
    kappas = []
    for number in range(EXPERTS):
        errs = np.random.default_rng([seed, number]).random(len(given.truth)) < EXPERT_ERRS
        said = np.where(errs, 1 - given.truth, given.truth)
        kappas.append(agreement.kappa_unweighted(metrics.confusion(replace(given, truth=said))))
    print(f"  kappa with three simulated experts, each wrong on its own in {EXPERT_ERRS:.0%}: "
          f"{', '.join(f'{kappa:.2f}' for kappa in kappas)} (000: 0.79, 0.83, 0.87)")  # fmt: skip


def misses(one: Verdict, other: Verdict) -> None:
    """False negatives and positives over the five trials, and the pictures that both networks fail on."""
    failed: list[set[int]] = []
    for name, seen, told in (("AlexNet", one, "6, 3"), ("ResNet-18", other, "3, 9")):
        truth, said = seen.truth[TARGET], seen.voices[TARGET]
        low, high = ((said == 0) & (truth == 1)), ((said == 1) & (truth == 0))
        failed.append(set(np.flatnonzero((low | high).any(axis=0)).tolist()))
        counts = f"{int(low.sum())} false negatives, {int(high.sum())} false positives"
        print(f"  {name}'s place, five trials: {counts} (000: {told})")
    both = failed[0] & failed[1]
    ill = sum(int(one.truth[TARGET][at]) for at in both)
    print(f"  failed by both: {ill} with RA and {len(both) - ill} without (000: 2 and 2)")


def tables(seed: int) -> None:
    """The drawn patients beside tables 3 and 4: median (range) with RA; without; P."""
    rows = list(multiplied(seed))
    judges = {row.patient for part, row in draw_published(seed) if part != "learning"}
    parts = {
        "table 3": [row for row in rows if row.patient in judges],
        "table 4": [row for row in rows if row.patient not in judges],
    }
    printed = [entry for entry in read_paper(PAPER).entries if entry.where in parts]
    for where, mine in parts.items():
        one, other = ([row.values for row in mine if row.ra_clinical == ra] for ra in (True, False))
        print(f"\n{where}: with RA ({len(one)}); without ({len(other)}); Mann-Whitney's or chi-squared P")
        for name in ITEMS:
            words = (PRINTED_AS | COUNTED)[name]
            entry = next(each for each in printed if each.where == where and each.what.startswith(words))
            said = entry["printed"]
            print(f"  {name:<12} 000: {_told(entry, said):<60} here: {_row(name, one, other)}")


def _told(entry: Any, said: str) -> str:
    return said if entry.kind == "unchecked" else f"{entry.what.partition(': ')[2]}; P = {said}"


def _row(name: str, one: Sequence[Values], other: Sequence[Values]) -> str:
    if name in COUNTED:
        yes = "F" if name == "sex" else 1.0
        counts = np.array(
            [[sum(v[name] == yes for v in mine), sum(v[name] != yes for v in mine)] for mine in (one, other)]
        )
        p = stats.chi2_contingency(counts, correction=False).pvalue if counts.sum(axis=0).all() else float("nan")
        return f"{counts[0, 0]} of {len(one)} with RA, {counts[1, 0]} of {len(other)} without; P = {p:.4f}"
    groups = [np.array([float(v[name] or 0) for v in mine]) for mine in (one, other)]
    p = stats.mannwhitneyu(*groups).pvalue
    ends = (0.25, 0.75) if name == "onset_days" else (0.0, 1.0)  # as the paper has them
    spans = [f"{np.median(mine):g} ({'-'.join(f'{np.quantile(mine, end):g}' for end in ends)})" for mine in groups]
    return f"{'; '.join(spans)}; P = {p:.4f}"


STEPS = ("pictures", "cohort", "published", "tables")


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=61)
    parser.add_argument("--network", choices=("small", "alexnet"), default="small")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    args = parser.parse_args()
    own_key(args.out)
    print("no clinical evidence: drawn clinics")
    if "pictures" in args.only:
        print(f"a picture in at most {TARGET_MS:g} ms: {'met' if pictures(300) else 'MISSED'}")
    if "cohort" in args.only:
        cohort(args.out, args.patients, args.seed)
    if "published" in args.only:
        published(args.out, args.seed, args.network, args.budget)
    if "tables" in args.only:
        tables(args.seed)


if __name__ == "__main__":
    main()
