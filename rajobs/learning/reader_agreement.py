"""Readers compared with a model: how far each agrees with the reference, and with every other reader."""

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.comparison import Comparison, FigureByMetric
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode
from rajobs.records import metrics
from rajobs.records.label_consensus import ADJUDICATED, Place, readers

MODEL, REFERENCE = "model", "reference"
MEASURES = 3  # how many of the study's metrics: the first ones that need no probabilities


def measures(study: Study, target: Target) -> list[str]:
    """The metrics by which a reader and a model can be compared."""
    return [name for name in study.metrics_of(target) if name in metrics.BY_COUNTS][:MEASURES]


def compare_readers(study: Study, predictions: pa.Table, labels: pa.Table) -> list[Comparison]:
    """The model and the readers compared with the reference and with one another.

    Readers are compared with an adjudicated reference only: their own scores are part of a consensus.
    """
    compared: list[Comparison] = []
    for target in study.targets:
        by_reader = readers(labels, study.name, target.name)
        names = sorted(set(by_reader) - set(ADJUDICATED))
        answered = predictions.filter(pc.equal(predictions.column("target"), target.name))
        if names and answered.num_rows:
            read = {
                name: {_label_place(study, *place): value for place, value in by_reader.get(name, {}).items()}
                for name in (*names, *ADJUDICATED)
            }
            compared += _compare_on_target(study, target, answered, read)
    return compared


def _label_place(study: Study, image: str, side: str | None, site: str | None) -> Place:
    """The key of a row and of its labels; a label of a whole image may name a side and site, which do not count."""
    return study.rows.label_place(image, side, site)


def _compare_on_target(
    study: Study, target: Target, predictions: pa.Table, by_reader: Mapping[str, Mapping[Any, str]]
) -> list[Comparison]:
    rows = predictions.select(["image_id", "side", "site"]).to_pylist()
    places = [_label_place(study, row["image_id"], row["side"], row["site"] or None) for row in rows]
    scores = {name: encode(target, [read.get(place) for place in places]) for name, read in by_reader.items()}
    adjudicated = np.any([scores.pop(name) != MISSING for name in ADJUDICATED], axis=0)
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
