"""How many finger joints 004's cascade finds, trained here, beside the paper's figures and the built-in network.

    python benchmarks/finder/cascade_detection.py DATA OUT [--budget 1.0] [--seed 0]

DATA is an ingest of phantoms with their labels. The published recipe is trained into OUT on the train part, where it is
not there yet; both are judged on the same hands of the test part, whose patients neither has seen. A joint is found
within half its width. Drawn films are no clinical evidence.
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
from rajobs.learning.evaluation import Evaluation, evaluate_model
from rajobs.learning.points import LEAST_CONFIDENCE
from rajobs.records import metrics
from rajobs.records.anatomy import FINGER_JOINTS, JOINT_KINDS
from rajobs.records.store import open_store

STUDY = "joint_detection"
PRINTED = {"all ten": (286, 300), "PIP": (118, 120), "IP": (26, 30), "MCP": (142, 150)}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A model's answers about the finger joints of the test part."""

    verdict: Evaluation
    seconds: float  # a hand

    @property
    def fingers(self) -> np.ndarray:
        assert self.verdict.sites is not None
        return np.isin(self.verdict.sites, FINGER_JOINTS)

    def of(self, kind: str) -> metrics.Answers:
        """The joints of a kind that are there: found or not."""
        assert self.verdict.sites is not None
        kinds = np.array([JOINT_KINDS[site] for site in self.verdict.sites])
        there = self.fingers & (self.verdict.truth["joints"] == 1) & ((kinds == kind) | (kind == "all ten"))
        return metrics.Answers(
            truth=np.ones(there.sum(), np.int64), predicted=self.verdict.predicted["joints"][there],
            p=self.verdict.p["joints"][there], patients=self.verdict.patients[there],
        )  # fmt: skip

    def wrong(self) -> tuple[int, int]:
        """Finds where the joint is not, in hands and in feet."""
        sure = (self.verdict.p["joints"][:, 1] >= LEAST_CONFIDENCE) & self.fingers
        there = self.verdict.truth["joints"] == 1
        return int((sure & there & (self.verdict.predicted["joints"] == 0)).sum()), int((sure & ~there).sum())


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
    print(f"trained, or found trained, in {time.perf_counter() - start:.0f} s")
    declared = studies.find(STUDY)
    recipe = declared.recipe("default")
    study = declared.for_recipe(recipe)
    source = open_labelled_data(args.data, study)
    lesson = build_dataset(source, prepare(source, recipe.view, None), frozen_split(source, "clean")[0], recipe)
    inside = builtin.package_folder()
    asked = {}
    for name, uri, folder in (
        ("004's cascade", args.out, f"{STUDY}/{place.rpartition('/')[2]}"),
        ("built-in network", inside, find_bundles(open_store(inside), STUDY)[0]),
    ):
        model = Model.load(open_store(uri), folder, declared)
        start = time.perf_counter()
        verdict = evaluate_model(model, lesson, "test")
        asked[name] = Asked(verdict=verdict, seconds=(time.perf_counter() - start) / len(set(verdict.at)))
    tell(asked)


def tell(asked: dict[str, Asked]) -> None:
    """A line a kind of joint."""
    (first, one), (second, other) = asked.items()
    for kind, (found, of) in PRINTED.items():
        figures = [metrics.figure(metrics.accuracy, each.of(kind)) for each in (one, other)]
        spans = [f"{f['value']:.4f} ({f['low']:.4f} to {f['high']:.4f})" for f in figures]
        print(f"{kind:<8} {len(one.of(kind).truth):>6} joints  {first} {spans[0]}  {second} {spans[1]}  "
              f"004 {found / of:.4f} ({found} of {of})")  # fmt: skip
    lead = metrics.lead(metrics.accuracy, one.of("all ten"), other.of("all ten"))
    print(f"{first} less {second}, paired: {lead['value']:+.4f} ({lead['low']:+.4f} to {lead['high']:+.4f})")
    for name, each in asked.items():
        hands, feet = each.wrong()
        print(f"{name}: {hands} finger joints found in a wrong place, {feet} in feet; {each.seconds:.3f} s a hand")


if __name__ == "__main__":
    main()
