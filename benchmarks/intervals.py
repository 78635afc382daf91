"""How often the 95 % intervals by patient cover the truth, and how wide they are, at 10, 15, 30 and 100 patients.

    python benchmarks/intervals.py [--cohorts 1000] [--others 100] [--metrics qwk ...]

Cohorts of scores 0 to 4 are drawn whose truth is known, 20 joints a patient; severity and the model's leaning are alike
within a patient. Beside the product's intervals stand a percentile bootstrap and scipy's BCa, both by patient.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rajobs.records import metrics
from rajobs.records.metrics import Answers, Metric
from rajobs.records.statistics.count_statistics import Ints
from rajobs.records.statistics.intervals import Interval

JOINTS = 20  # of a patient
CUTS = (0.0, 0.7, 1.3, 2.0)  # of the hidden severity, between the scores
SIZES = (10, 15, 30, 100)
METRICS = ("accuracy", "any_sensitivity", "any_specificity", "within_one", "qwk", "balanced_accuracy", "mae", "auc")
DRAWS = 200  # of the other methods


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How far answers are from the truth: standard deviations of a joint's noise and of a patient's leaning."""

    noise: float
    leaning: float
    severity: float = 1.0  # standard deviation of patients

    def draw(self, rng: np.random.Generator, patients: int) -> Answers:
        severity = rng.normal(0, self.severity, (patients, 1)) + rng.normal(size=(patients, JOINTS))
        leaning = rng.normal(0, self.leaning, (patients, 1))
        seen = severity + leaning + rng.normal(0, self.noise, severity.shape)
        truth, predicted = (np.searchsorted(CUTS, hidden.ravel()) for hidden in (severity, seen))
        bounds = np.array([-np.inf, *CUTS, np.inf])
        spread = max(self.noise, self.leaning)
        p = np.diff(stats.norm.cdf((bounds - seen.reshape(-1, 1)) / spread), axis=1)
        names = np.repeat(np.arange(patients), JOINTS).astype(np.str_)
        return Answers(truth=truth, predicted=predicted, p=p, patients=names)


SETTINGS = {
    "many errors": Setting(noise=0.8, leaning=0.3),
    "few errors": Setting(noise=0.3, leaning=0.1),
    "hardly any": Setting(noise=0.08, leaning=0.02),
    "patients very unlike": Setting(noise=0.8, leaning=0.8, severity=2.0),
}


def percentile(metric: Metric, answers: Answers) -> Interval:
    """The middle of the values of drawn cohorts, as a plain bootstrap has it."""
    values = [value_of(metric, answers, drawn) for drawn in _draws(answers)]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def bca(metric: Metric, answers: Answers) -> Interval:
    """scipy's bias-corrected and accelerated bootstrap, with patients as its sample."""
    patients = np.arange(len(answers.truth) // JOINTS)
    result = stats.bootstrap(
        (patients,), lambda drawn: value_of(metric, answers, drawn), n_resamples=DRAWS, vectorized=False,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def value_of(metric: Metric, answers: Answers, patients: Ints) -> float:
    return metric(answers.take((patients[:, None] * JOINTS + np.arange(JOINTS)).ravel()))


def _draws(answers: Answers) -> Iterator[Ints]:
    rng, patients = np.random.default_rng(0), len(answers.truth) // JOINTS
    for _ in range(DRAWS):
        yield rng.integers(0, patients, patients)


METHODS: dict[str, Callable[[Metric, Answers], Interval]] = {
    "product": metrics.interval, "percentile": percentile, "BCa": bca,
}  # fmt: skip


def coverage(setting: Setting, patients: int, method: str, cohorts: int, truth: Mapping[str, float]) -> dict[str, str]:
    """By metric: share of the cohorts whose interval has the truth, and the mean width."""
    rng = np.random.default_rng(patients)
    ends: dict[str, list[Interval]] = {name: [] for name in truth}
    for _ in range(cohorts):
        answers = setting.draw(rng, patients)
        for name, several in ends.items():
            several.append(METHODS[method](metrics.METRICS[name], answers))
    shown = {}
    for name, several in ends.items():
        low, high = np.array(several).T
        known = ~np.isnan(low)
        if not known.any():
            shown[name] = "none"
            continue
        covered = np.mean(((low <= truth[name]) & (truth[name] <= high))[known])
        shown[name] = f"{100 * covered:.1f} % ({np.mean((high - low)[known]):.3f})"
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=1000, help="cohorts for the product's intervals")
    parser.add_argument("--others", type=int, default=100, help="cohorts for each other method, which takes longer")
    parser.add_argument("--metrics", nargs="*", choices=METRICS, default=METRICS)
    args = parser.parse_args()
    np.seterr(all="ignore")
    warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # BCa has no interval where all draws are equal
    for title, setting in SETTINGS.items():
        many = setting.draw(np.random.default_rng(0), 20_000)
        truth = {name: metrics.METRICS[name](many) for name in args.metrics}
        print(f"\n{title}: coverage (mean width)\n{'':22}" + "".join(f"{name:>21}" for name in args.metrics))
        print(f"{'truth':22}" + "".join(f"{truth[name]:21.3f}" for name in args.metrics))
        for patients in SIZES:
            for method in METHODS:
                cohorts = args.cohorts if method == "product" else args.others
                if cohorts:
                    shown = coverage(setting, patients, method, cohorts, truth)
                    print(
                        f"{patients:4} {method:17}" + "".join(f"{shown[name]:>21}" for name in args.metrics), flush=True
                    )


if __name__ == "__main__":
    main()
