"""Readers compared with a model: how far each agrees with the reference, and with every other reader."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.comparison import Comparison, FigureByMetric, RaterFacts
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode
from rajobs.records import metrics
from rajobs.records.label_consensus import ADJUDICATED

MODEL, REFERENCE = "model", "reference"
MEASURES = 3  # how many of the study's metrics: the first ones that need no probabilities


def measures(study: Study, target: Target) -> list[str]:
    """The metrics by which a reader and a model can be compared."""
    return [name for name in study.metrics_of(target) if name in metrics.BY_COUNTS][:MEASURES]


def compare_readers(study: Study, predictions: pa.Table) -> list[Comparison]:
    """The model and the readers compared with the reference and with one another.

    Readers are compared with an adjudicated reference only: their own scores are part of a consensus.
    """
    compared: list[Comparison] = []
    for target in study.targets:
        answered = predictions.filter(pc.equal(predictions.column("target"), target.name))
        read = readings_by_reader(answered)
        if set(read) - set(ADJUDICATED):
            compared += _compare_on_target(study, target, answered, read)
    return compared


def third_rater(
    target: Target, readings: Mapping[str, Mapping[str, str]], patients: Mapping[str, str]
) -> RaterFacts | None:
    """How two readers agree and what a third one decides, by image: what each reader says; None without two readers."""
    several = {image: read for image, read in readings.items() if len(read) > 1}
    reads = Counter(name for read in several.values() for name in read)
    if len(reads) < 2:
        return None
    one, other = (name for name, _ in sorted(reads.items(), key=lambda item: (-item[1], item[0]))[:2])
    both = [image for image, read in several.items() if {one, other} <= set(read)]
    scores = {name: encode(target, [several[image][name] for image in both]) for name in (one, other)}
    known = np.flatnonzero((scores[one] != MISSING) & (scores[other] != MISSING))
    answers = metrics.Answers(
        truth=scores[other], predicted=scores[one], p=np.zeros((len(both), len(target.classes))),
        patients=np.array([patients[image] for image in both], np.str_),
    ).take(known)  # fmt: skip
    if not len(known):
        return None
    figures = {name: metrics.figure(metrics.METRICS[name], answers) for name in ("accuracy", "kappa_linear")}
    differ = [read for read in several.values() if len(set(read.values())) > 1]
    return RaterFacts(
        target=target.name, read=len(several), differ=len(differ), third=sum(len(read) > 2 for read in differ),
        left_out=sum(2 * max(Counter(read.values()).values()) <= len(read) for read in differ),
        agreement=Comparison(target=target.name, who=one, against=other, rows=len(known), figures=figures),
    )  # fmt: skip


def readings_by_reader(predictions: pa.Table) -> dict[str, list[str | None]]:
    """What each reader says of each row, readers in the order of their names."""
    rows = predictions.select(["readers", "readings"]).to_pylist()
    of_row = [dict(zip(row["readers"] or (), row["readings"] or ())) for row in rows]
    return {name: [read.get(name) for read in of_row] for name in sorted({name for read in of_row for name in read})}


def _compare_on_target(
    study: Study, target: Target, predictions: pa.Table, by_reader: Mapping[str, Sequence[str | None]]
) -> list[Comparison]:
    scores = {name: encode(target, read) for name, read in by_reader.items()}
    nobody = np.full(predictions.num_rows, MISSING)
    adjudicated = np.any([scores.pop(name, nobody) != MISSING for name in ADJUDICATED], axis=0)
    voices = {
        MODEL: encode(target, predictions.column("predicted").to_pylist()),
        REFERENCE: np.where(adjudicated, encode(target, predictions.column("truth").to_pylist()), MISSING),
        **scores,
    }
    patients = np.array(predictions.column("patient").to_pylist(), dtype=np.str_)

    def answers(who: str, against: str, among: NDArray[np.bool_] | None = None) -> metrics.Answers:
        one, other = voices[who], voices[against]
        there = (one != MISSING) & (other != MISSING)
        there = there if among is None else there & among
        nothing = np.zeros((int(there.sum()), len(target.classes)))  # only metrics of counts are computed
        return metrics.Answers(truth=other[there], predicted=one[there], p=nothing, patients=patients[there])

    def compare(who: str, against: str, lead: FigureByMetric | None = None) -> list[Comparison]:
        """Empty if they have no row in common."""
        common = answers(who, against)
        if not len(common.truth):
            return []
        figures = {name: metrics.figure(metrics.METRICS[name], common) for name in measures(study, target)}
        rows = len(common.truth)
        return [Comparison(target=target.name, who=who, against=against, rows=rows, figures=figures, lead=lead or {})]

    compared: list[Comparison] = []
    for reader, read in scores.items():
        same = answers(reader, REFERENCE)
        if len(same.truth):
            model = answers(MODEL, REFERENCE, read != MISSING)
            lead = {name: metrics.lead(metrics.METRICS[name], model, same) for name in measures(study, target)}
            compared += compare(reader, REFERENCE, lead)
    if compared:
        compared = [*compare(MODEL, REFERENCE), *compared]
    for one, other in (*product([MODEL], scores), *combinations(scores, 2)):
        compared += compare(one, other)
    return compared
