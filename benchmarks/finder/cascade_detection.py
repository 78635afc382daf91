"""Compares 004's cascade for finger joints, trained here, with the paper's figures and the built-in network.

    python benchmarks/finder/cascade_detection.py DATA OUT [--budget 1.0] [--seed 0]

DATA is an ingest of phantoms with their labels. The published recipe is trained into OUT on the train part, unless OUT
has it already; both finders are judged on the same hands of the test part, whose patients neither has seen. A joint
counts as found if the answer is within half its width. Drawn films are no clinical evidence.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np

from rajobs import studies
from rajobs.jobs import builtin
from rajobs.jobs.train import job as train_job
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data, prepare
from rajobs.jobs.train.splits import frozen_split
from rajobs.learning.bundle import Model
from rajobs.learning.bundle_description import find_bundles
from rajobs.learning.judging.evaluation import Evaluation, evaluate_model
from rajobs.learning.points import LEAST_CONFIDENCE
from rajobs.records import metrics
from rajobs.records.anatomy import FINGER_JOINTS, JOINT_KINDS
from rajobs.records.store import open_store

STUDY = "joint_detection"
PRINTED = {"all ten": (286, 300), "PIP": (118, 120), "IP": (26, 30), "MCP": (142, 150)}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One model's answers about the finger joints of the test part."""

    evaluation: Evaluation
    seconds: float  # per hand

    @property
    def fingers(self) -> np.ndarray:
        assert self.evaluation.sites is not None
        return np.isin(self.evaluation.sites, FINGER_JOINTS)

    def answers(self, kind: str) -> metrics.Answers:
        """Whether each visible joint of a kind was found."""
        assert self.evaluation.sites is not None
        kinds = np.array([JOINT_KINDS[site] for site in self.evaluation.sites])
        there = self.fingers & (self.evaluation.truth["joints"] == 1) & ((kinds == kind) | (kind == "all ten"))
        return metrics.Answers(
            truth=np.ones(there.sum(), np.int64), predicted=self.evaluation.predicted["joints"][there],
            p=self.evaluation.p["joints"][there], patients=self.evaluation.patients[there],
        )  # fmt: skip

    def count_wrong(self) -> tuple[int, int]:
        """Number of finger joints found in a wrong place of a hand, and number found in feet."""
        sure = (self.evaluation.p["joints"][:, 1] >= LEAST_CONFIDENCE) & self.fingers
        there = self.evaluation.truth["joints"] == 1
        return int((sure & there & (self.evaluation.predicted["joints"] == 0)).sum()), int((sure & ~there).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    place = train_job.train(train_job.TrainRequest(
        study=STUDY, data=args.data, out=args.out, recipe="published", budget=args.budget, seed=args.seed
    ))  # fmt: skip
    print(f"trained, or loaded from an earlier start, in {time.perf_counter() - start:.0f} s")
    declared = studies.find(STUDY)
    recipe = declared.recipe("default")
    study = declared.for_recipe(recipe)
    source = open_labelled_data(args.data, study)
    lesson = build_dataset(source, prepare(source, recipe.view, None), frozen_split(source, "clean")[0], recipe)
    inside = builtin.package_folder()
    verdicts = {}
    for name, uri, folder in (
        ("004's cascade", args.out, f"{STUDY}/{place.rpartition('/')[2]}"),
        ("built-in network", inside, find_bundles(open_store(inside), STUDY)[0]),
    ):
        model = Model.load(open_store(uri), folder, declared)
        start = time.perf_counter()
        evaluation = evaluate_model(model, lesson, "test")
        verdicts[name] = Verdict(evaluation=evaluation, seconds=(time.perf_counter() - start) / len(set(evaluation.at)))
    print_comparison(verdicts)


def print_comparison(verdicts: dict[str, Verdict]) -> None:
    """Print one line per kind of joint."""
    (first, one), (second, other) = verdicts.items()
    for kind, (hits, count) in PRINTED.items():
        figures = [metrics.figure(metrics.accuracy, each.answers(kind)) for each in (one, other)]
        spans = [f"{f['value']:.4f} ({f['low']:.4f} to {f['high']:.4f})" for f in figures]
        print(f"{kind:<8} {len(one.answers(kind).truth):>6} joints  {first} {spans[0]}  {second} {spans[1]}  "
              f"004 {hits / count:.4f} ({hits} of {count})")  # fmt: skip
    lead = metrics.lead(metrics.accuracy, one.answers("all ten"), other.answers("all ten"))
    print(f"{first} minus {second}, paired: {lead['value']:+.4f} ({lead['low']:+.4f} to {lead['high']:+.4f})")
    for name, each in verdicts.items():
        hands, feet = each.count_wrong()
        print(f"{name}: {hands} finger joints found in a wrong place, {feet} in feet; {each.seconds:.3f} s per hand")


if __name__ == "__main__":
    main()
