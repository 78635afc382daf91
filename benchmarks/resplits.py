"""How often conformal sets and intervals of totals have the truth, and what doubt is worth, over resplits by patient.

    python benchmarks/resplits.py [predictions.parquet] [--resplits 100] [--patients 60] [--error 0.2]

The patients of a predictions table that `evaluate` wrote are split in two again and again: one half calibrates, the
other judges. Without a table, cohorts are made up, two hands of 15 + 16 scores a patient: severity and the model's
leaning are alike within a patient, and a hand's film may be poor, of which the model knows a part.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from rajobs import studies
from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.coverage import set_coverage, total_coverage
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.review import WHOLE, choose_scale, judged_hands, review
from rajobs.learning.judging.validation import calibrate
from rajobs.learning.study import Study
from rajobs.records.anatomy import HAND_SITES
from rajobs.records.statistics.conformal import LEVEL
from rajobs.records.statistics.count_statistics import Reals
from rajobs.records.store import open_store, split_uri
from rajobs.records.tables.parquet_parts import read_file
from rajobs.records.tables.schemas import PREDICTIONS

STUDY = studies.find("svdh_scoring")
CLASSES = {target.name: len(target.classes) for target in STUDY.targets if target.ordered}
CUTS = {"jsn": (0.6, 1.2, 1.9, 2.8), "erosion": (0.9, 1.4, 1.9, 2.5, 3.1)}
"""Of the hidden severity, between the scores."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Standard deviations: of severity between patients, of the model's leaning within one, and of a joint's noise."""

    leaning: float
    noise: float
    severity: float = 0.8
    shift: float = -0.3  # of all severities: most joints are sound

    def draw(self, rng: np.random.Generator, patients: int) -> pa.Table:
        rows: list[dict[str, object]] = []
        for patient in range(patients):
            severity, leaning = rng.normal(self.shift, self.severity), rng.normal(0, self.leaning)
            for hand in (0, 1):
                noise = self.noise * float(np.exp(rng.normal(0, 0.5)))  # of this film
                known = self.noise * (noise / self.noise) ** 0.6  # the model sees a part of it
                for site in HAND_SITES:
                    joint = severity + rng.normal()
                    seen = joint + leaning + rng.normal(0, noise)
                    for target, cuts in CUTS.items():
                        most = site.highest(target)
                        if most is not None:
                            p = _probabilities(cuts, seen, float(np.hypot(known, self.leaning)), CLASSES[target])
                            rows.append({
                                "image_id": f"film {patient}", "extremity": hand, "site": site.name,
                                "side": "LR"[hand], "patient": f"p{patient}", "target": target,
                                "truth": str(int(np.searchsorted(cuts, joint))),
                                "predicted": str(int(np.searchsorted(np.cumsum(p), 0.5))), "p": p.tolist(),
                                "split": "test", "bundles": [],
                            })  # fmt: skip
        return PREDICTIONS.rows(rows)


def _probabilities(cuts: tuple[float, ...], seen: float, spread: float, classes: int) -> Reals:
    below = special.ndtr((np.array([-np.inf, *cuts, np.inf]) - seen) / spread)
    p = np.zeros(classes)
    p[: len(cuts) + 1] = np.diff(below)
    return p


COHORTS = {
    "many errors": Cohort(noise=0.6, leaning=0.2),
    "few errors": Cohort(noise=0.25, leaning=0.1),
    "a patient's hands err alike": Cohort(noise=0.4, leaning=0.6),
}


@dataclass(frozen=True, kw_only=True)
class Coverages:
    """By what is covered: the shares of several resplits, and their widths."""

    shares: dict[str, list[float]] = field(default_factory=dict)
    widths: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, share: float, width: float) -> None:
        self.shares.setdefault(name, []).append(share)
        self.widths.setdefault(name, []).append(width)


def resplit(
    study: Study, table: pa.Table, count: int, share: float, error: float
) -> tuple[Coverages, dict[str, list[float]]]:
    """Coverage of sets, of their bounds alone and of totals; and what thresholds of doubt for an error are worth."""
    patients = np.array(sorted(set(table.column("patient").to_pylist())))
    covered = Coverages()
    doubt: dict[str, list[float]] = {"left": [], "reviewed": [], "caught": []}
    for seed in range(count):
        drawn = np.random.default_rng(seed).permutation(patients)[: round(share * len(patients))]
        validates = pc.is_in(table.column("patient"), value_set=pa.array(drawn))
        calibration, test = calibrate(study, table.filter(validates)), table.filter(pc.invert(validates))
        for each in set_coverage(study, test, calibration):
            covered.add(f"set of {each.what}, {each.of}", each.covered["value"], each.width)
        for name, by_bound in _bound_coverage(study, test, calibration).items():
            covered.add(name, by_bound, np.nan)
        for total in total_coverage(test, calibration):
            covered.add(f"total of {total.what}, {total.of}", total.covered["value"], total.width)
        if calibration.review:
            hands, scale = judged_hands(study, test), choose_scale(calibration.review, error)
            worth = review(hands, hands.levels[WHOLE] > scale)
            for name, value in (("left", worth.error), ("reviewed", worth.reviewed), ("caught", worth.caught)):
                doubt[name].append(value)
    return covered, doubt


def _bound_coverage(study: Study, test: pa.Table, calibration: Calibration) -> dict[str, float]:
    """By score and kind of site, how often the truth is as likely as the bound asks, answer or not."""
    shares = {}
    for target in study.conformal_targets:
        rows = test.filter(pc.equal(test.column("target"), target.name))
        answers = answers_of(target, rows)
        assert answers is not None
        kinds = study.kinds_of(rows.column("site").to_pylist())
        for kind, least_p in calibration.least_p.get(target.name, {}).items():
            of_truth = answers.p[np.arange(len(answers.truth)), answers.truth][kinds == kind]
            shares[f"bound of {target.name}, {kind}"] = float((of_truth >= least_p).mean())
    return shares


def report(title: str, covered: Coverages, doubt: Mapping[str, list[float]], error: float) -> None:
    print(f"\n{title}\n{'':34}{'coverage':>9}{'off':>7}{'sd':>7}{'width':>8}")
    for name, shares in sorted(covered.shares.items()):
        mean = float(np.mean(shares))
        width = float(np.mean(covered.widths[name]))
        print(f"{name:34}{100 * mean:8.1f}%{100 * (mean - LEVEL):+7.1f}{100 * np.std(shares):7.1f}{width:8.2f}")
    if doubt["left"]:
        means = {name: float(np.mean(values)) for name, values in doubt.items() if values}
        print(
            f"review for an error of {error:g}: {means['left']:.3f} left on average, {100 * means['reviewed']:.0f} % "
            f"of the hands reviewed, {100 * means['caught']:.0f} % of the errors in them; "
            f"at most {error:g} in {100 * np.mean(np.array(doubt['left']) <= error):.0f} % of the resplits"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", nargs="?")
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--patients", type=int, default=60, help="patients of a made-up cohort")
    parser.add_argument("--share", type=float, default=0.5, help="share of the patients that calibrate")
    parser.add_argument("--error", type=float, default=0.2, help="error of a score that thresholds of doubt keep")
    args = parser.parse_args()
    if args.predictions:
        place, key = split_uri(args.predictions)
        tables = {args.predictions: read_file(open_store(place), key, PREDICTIONS)}
    else:
        tables = {name: cohort.draw(np.random.default_rng(0), args.patients) for name, cohort in COHORTS.items()}
    for title, table in tables.items():
        report(title, *resplit(STUDY, table, args.resplits, args.share, args.error), args.error)


if __name__ == "__main__":
    main()
