"""What is left of a model's figures where models place the joints: on those that were placed, and on all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.totals import HandTotal, hand_totals, totals_of_labelled
from rajobs.learning.study import Study
from rajobs.learning.targets import Target, encode
from rajobs.records import metrics
from rajobs.records.statistics.agreement import icc_agreement
from rajobs.records.statistics.by_patient import LEAST_PATIENTS, share_interval, student_interval

Figure = Mapping[str, float]
NEAR = 0.5  # joint widths from the label's place, within which a joint is placed right
LEFT_OUT = (*metrics.OF_TOTALS, *metrics.AT_THRESHOLD, *metrics.AT_CLASS_THRESHOLDS, "calibration_error")
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class PlacedShare:
    """How many of the labelled joints of one kind, or hands, models placed; `near`: of those that labels place, too."""

    kind: str
    labelled: int
    patients: int
    placed: Figure
    near: Figure | None

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class EndToEndFigure:
    """One figure where labels place the rows, on the rows that models placed, and on all rows.

    On all rows one that was not placed counts as wrong; only shares of rows have such a figure (and totals, to which
    it adds nothing).
    """

    target: str
    metric: str
    by_labels: Figure | None
    placed: Figure | None
    every: Figure | None = None
    change: Figure | None = None  # of the rows that both place: models' places less labels'
    rows: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def placed_shares(study: Study, table: pa.Table) -> Iterator[PlacedShare]:
    """By kind of site, and of all; a joint with several labels counts once."""
    rows = table.select(["image_id", "side", "site", "patient", "predicted", "distance"]).to_pylist()
    by_place: dict[tuple[str, str | None, str], dict[str, Any]] = {}
    for row in rows:
        known = by_place.setdefault((row["image_id"], row["side"], row["site"]), row)
        known["predicted"] = known["predicted"] or row["predicted"]
    joints = list(by_place.values())
    kinds = study.kinds_of([row["site"] for row in joints])
    names = [name for name in dict.fromkeys(study.kinds.values()) if name in kinds]
    for name in [ALL, *(names if len(names) > 1 else ())]:
        chosen = [row for row, kind in zip(joints, kinds.tolist()) if name in (kind, ALL)]
        if chosen:
            measured = [row for row in chosen if row["distance"] is not None]
            yield PlacedShare(
                kind=name, labelled=len(chosen), patients=len({row["patient"] for row in chosen}),
                placed=_share(chosen, [row["predicted"] is not None for row in chosen]),
                near=_share(measured, [row["distance"] <= NEAR for row in measured]) if measured else None,
            )  # fmt: skip


def _share(rows: list[dict[str, Any]], hit: list[bool]) -> Figure:
    patients = np.array([row["patient"] for row in rows], np.str_)
    low, high = share_interval(np.array(hit, bool), patients)
    return {"value": float(np.mean(hit)), "low": low, "high": high}


def end_to_end_figures(study: Study, predictions: pa.Table, table: pa.Table) -> Iterator[EndToEndFigure]:
    """The study's metrics by target; `predictions` are of rows that labels place, `table` is end_to_end.

    Rows that labels place count where the same row is in the table: no finder looks for feet.
    """
    for target in study.targets:
        labelled = table.filter(pc.equal(table.column("target"), target.name))
        placed = labelled.filter(pc.is_valid(labelled.column("predicted")))
        of_target = predictions.filter(pc.equal(predictions.column("target"), target.name))
        by_labels, by_models = answers_of(target, _common(labelled, of_target)[1]), answers_of(target, placed)
        both = [of for each in _common(placed, of_target) if (of := answers_of(target, each)) is not None]
        rows = {
            "by_labels": 0 if by_labels is None else len(by_labels.truth), "placed": placed.num_rows,
            "every": labelled.num_rows,
        }  # fmt: skip
        for name in (name for name in study.metrics_of(target) if name not in LEFT_OUT):
            metric = metrics.METRICS[name]
            if labelled.num_rows:
                yield EndToEndFigure(
                    target=target.name, metric=name, rows=rows,
                    by_labels=None if by_labels is None else metrics.figure(metric, by_labels),
                    placed=None if by_models is None else metrics.figure(metric, by_models),
                    every=_on_all(name, target, labelled, by_models) if metric in metrics.SHARES else None,
                    change=metrics.lead(metric, *both) if both else None,
                )  # fmt: skip


def _common(one: pa.Table, other: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows of one target that two tables have in common, in the same order."""
    places = [
        [tuple(row.values()) for row in each.select(["image_id", "side", "site"]).to_pylist()] for each in (one, other)
    ]
    at = {place: number for number, place in enumerate(places[1])}
    pairs = [(number, at[place]) for number, place in enumerate(places[0]) if place in at]
    first, second = (pa.array([pair[which] for pair in pairs], pa.int64()) for which in (0, 1))
    return one.take(first), other.take(second)


def _on_all(name: str, target: Target, labelled: pa.Table, placed: metrics.Answers | None) -> Figure | None:
    """A share of rows, among which those that were not placed are wrong."""
    among, hit = metrics.SHARES[metrics.METRICS[name]]
    there = pc.is_valid(labelled.column("predicted")).to_numpy(zero_copy_only=False)
    truth = encode(target, labelled.column("truth").to_pylist())
    patients = np.array(labelled.column("patient").to_pylist(), np.str_)
    hits = np.full(len(truth), name in metrics.LESS_IS_BETTER)
    if placed is not None:
        hits[there] = hit(placed)
    nothing = np.zeros((len(truth), len(target.classes)))
    chosen = among(metrics.Answers(truth=truth, predicted=truth, p=nothing, patients=patients))
    if not chosen.any():
        return None
    low, high = share_interval(hits[chosen], patients[chosen])
    return {"value": float(hits[chosen].mean()), "low": low, "high": high}


def end_to_end_totals(predictions: pa.Table, table: pa.Table) -> Iterator[EndToEndFigure]:
    """ICC(2,1) of expected totals with the readers'; on all rows, one that was not placed adds nothing to its total."""
    placed = table.filter(pc.is_valid(table.column("predicted")))
    by_labels, by_models, every = (
        list(hand_totals(predictions)), list(hand_totals(placed)), list(totals_of_labelled(table)),
    )  # fmt: skip
    for part, measure in dict.fromkeys((each.part, each.measure) for each in every):
        chosen = [
            [each for each in of if (each.part, each.measure) == (part, measure)]
            for of in (by_labels, by_models, every)
        ]
        yield EndToEndFigure(
            target=measure, metric=part, rows=dict(zip(("by_labels", "placed", "every"), map(len, chosen))),
            by_labels=_icc(chosen[0]), placed=_icc(chosen[1]), every=_icc(chosen[2]),
        )  # fmt: skip


def _icc(totals: list[HandTotal]) -> Figure | None:
    patients = np.array([each.patient for each in totals], np.str_)
    if len(np.unique(patients)) < LEAST_PATIENTS:
        return None
    pairs = np.array([(each.expected.total, each.truth) for each in totals], float)
    low, high = student_interval(lambda rows: icc_agreement(pairs[rows]), patients)
    return {"value": icc_agreement(pairs), "low": low, "high": high}
