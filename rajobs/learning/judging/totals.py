"""The totals of labelled hands and feet in a predictions table: of the truth, and as expected by the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.svdh import Expected, Totals, expected_totals, totals
from rajobs.records.tables.schemas import MEASURES

_COLUMNS = ("image_id", "extremity", "site", "patient", "target", "truth", "predicted", "p")


@dataclass(frozen=True, kw_only=True)
class HandTotal:
    """One total of a hand or foot over its labelled sites."""

    image_id: str
    extremity: int
    patient: str
    part: str
    measure: str
    truth: int
    likeliest: int
    expected: Expected

    @property
    def misfit(self) -> float:
        """How many standard deviations the truth is from the expected total."""
        return abs(self.truth - self.expected.total) / sqrt(self.expected.variance)


def hand_totals(predictions: pa.Table) -> Iterator[HandTotal]:
    """Every hand's and foot's totals, in the order of the table; nothing of studies that do not score joints."""
    hands: dict[tuple[str, int], list[dict[str, Any]]] = {}
    rows = predictions.filter(pc.is_in(predictions.column("target"), pa.array(SCORES))).select(list(_COLUMNS))
    for row in rows.to_pylist():
        if row["site"] in SITES and row["p"]:
            hands.setdefault((row["image_id"], row["extremity"]), []).append(row)
    for (image, extremity), joints in hands.items():
        part = SITES[joints[0]["site"]].part
        true, likeliest = (_totals(joints, column, part) for column in ("truth", "predicted"))
        for measure, expected in expected_totals(dict(zip(SCORES, _by_score(joints, "p"), strict=True)), part).items():
            yield HandTotal(
                image_id=image, extremity=extremity, patient=joints[0]["patient"], part=part, measure=measure,
                truth=true.of(measure), likeliest=likeliest.of(measure), expected=expected,
            )  # fmt: skip


def totals_of_labelled(table: pa.Table) -> Iterator[HandTotal]:
    """Of an end_to_end table, the readers' totals of all labelled joints; those not placed add nothing to the model's.

    A total that no site is expected to add to is 0, with a variance of 0.
    """
    hands: dict[tuple[str, str | None, str], list[dict[str, Any]]] = {}
    rows = table.filter(pc.is_in(table.column("target"), pa.array(SCORES))).select([*_COLUMNS, "side"])
    for row in rows.to_pylist():
        if row["site"] in SITES:
            hands.setdefault((row["image_id"], row["side"], SITES[row["site"]].part), []).append(row)
    for (image, _, part), joints in hands.items():
        placed = [joint for joint in joints if joint["predicted"] is not None]
        true, likeliest = _totals(joints, "truth", part), _totals(placed, "predicted", part)
        expected = expected_totals(dict(zip(SCORES, _by_score(placed, "p"), strict=True)), part)
        for measure in (name for name in MEASURES if getattr(true, name) is not None):
            yield HandTotal(
                image_id=image, extremity=joints[0]["extremity"] or 0, patient=joints[0]["patient"], part=part,
                measure=measure, truth=true.of(measure), likeliest=getattr(likeliest, measure) or 0,
                expected=expected.get(measure, Expected()),
            )  # fmt: skip


def _totals(joints: Sequence[Mapping[str, Any]], column: str, part: str) -> Totals:
    jsn, erosion = ({site: int(value) for site, value in of.items()} for of in _by_score(joints, column))
    return totals(jsn, erosion, part)


def _by_score(joints: Sequence[Mapping[str, Any]], column: str) -> list[dict[str, Any]]:
    """A column's values by site, of JSN and of erosion."""
    return [{row["site"]: row[column] for row in joints if row["target"] == score} for score in SCORES]
