"""The readers beside a model: how far each of them agrees with the reference, and they with one another."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode
from rajobs.records import metrics
from rajobs.records.label_consensus import ADJUDICATED, Place, readers

MODEL, REFERENCE = "model", "reference"
MEASURES = 3  # of the study's, the first ones that need no probabilities


def measures(study: Study) -> list[str]:
    """The measures by which a reader and a model can be compared."""
    return [name for name in study.metrics if name in metrics.BY_COUNTS][:MEASURES]


def compare_readers(study: Study, predictions: pa.Table, labels: pa.Table) -> list[dict[str, Any]]:
    """Comparisons, a row each: `target`, `who`, `against`, `rows`, `figures`, and the model's `lead` over a reader.

    A reader is judged by an adjudicated reference alone: a consensus of the readers would hold their own voice.
    """
    found = []
    for target in study.targets:
        by_reader = readers(labels, study.name, target.name)
        names = sorted(set(by_reader) - set(ADJUDICATED))
        mine = predictions.filter(pc.equal(predictions.column("target"), target.name))
        if names and mine.num_rows:
            read = {
                name: {_place(study, *place): value for place, value in by_reader.get(name, {}).items()}
                for name in (*names, *ADJUDICATED)
            }
            found += _of_target(study, target, mine, read)
    return found


def _place(study: Study, image: str, side: str | None, site: str | None) -> Place:
    """What a row and its labels have in common: of a whole image not the side and site that a label may name."""
    return (image, side, site) if study.rows in ("hands", "joints") else (image, None, None)


def _of_target(
    study: Study, target: Target, mine: pa.Table, by_reader: Mapping[str, Mapping[Any, str]]
) -> list[dict[str, Any]]:
    rows = mine.select(["image_id", "side", "site"]).to_pylist()
    places = [_place(study, row["image_id"], row["side"], row["site"] or None) for row in rows]
    said = {name: encode(target, [read.get(place) for place in places]) for name, read in by_reader.items()}
    adjudicated = np.any([said.pop(name) != MISSING for name in ADJUDICATED], axis=0)
    voices = {
        MODEL: encode(target, mine.column("predicted").to_pylist()),
        REFERENCE: np.where(adjudicated, encode(target, mine.column("truth").to_pylist()), MISSING),
    }
    patients = np.array(mine.column("patient").to_pylist(), dtype=np.str_)

    def answers(who: str, against: str, among: NDArray[np.bool_] | None = None) -> metrics.Answers:
        one, other = ({**voices, **said}[name] for name in (who, against))
        there = (one != MISSING) & (other != MISSING)
        there = there if among is None else there & among
        nothing = np.zeros((int(there.sum()), len(target.classes)))  # counts alone are asked for
        return metrics.Answers(truth=other[there], predicted=one[there], p=nothing, patients=patients[there])

    def row(who: str, against: str, **more: Any) -> dict[str, Any]:
        given = answers(who, against)
        if not len(given.truth):
            return {"rows": 0}
        figures = {name: metrics.figure(metrics.METRICS[name], given) for name in measures(study)}
        return {
            "target": target.name,
            "who": who,
            "against": against,
            "rows": len(given.truth),
            "figures": figures,
            **more,
        }

    found = []
    for reader, read in said.items():
        same = answers(reader, REFERENCE)
        if len(same.truth):
            model = answers(MODEL, REFERENCE, read != MISSING)
            lead = {name: metrics.lead(metrics.METRICS[name], model, same) for name in measures(study)}
            found.append(row(reader, REFERENCE, lead=lead))
    if found:
        found.insert(0, row(MODEL, REFERENCE))
    found += [row(MODEL, reader) for reader in said]
    found += [row(one, other) for one, other in combinations(said, 2)]
    return [each for each in found if each["rows"]]
