"""The totals of labelled hands and feet in a predictions table: of the truth, and as expected by the model."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import sqrt

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.svdh import Expected, expected_totals, totals

_COLUMNS = ["image_id", "extremity", "site", "patient", "target", "truth", "predicted", "p"]


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


@dataclass(kw_only=True)
class _Hand:
    """The rows of a hand or foot, by target and site."""

    patient: str
    part: str
    truth: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in SCORES})
    likeliest: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in SCORES})
    p: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {name: {} for name in SCORES})


def hand_totals(predictions: pa.Table) -> Iterator[HandTotal]:
    """Every hand's and foot's totals, in the order of the table; nothing of studies that do not score joints."""
    hands: dict[tuple[str, int], _Hand] = {}
    rows = predictions.filter(pc.is_in(predictions.column("target"), pa.array(SCORES))).select(_COLUMNS)
    for row in rows.to_pylist():
        if row["site"] in SITES and row["p"]:
            place = row["image_id"], row["extremity"]
            hand = hands.setdefault(place, _Hand(patient=row["patient"], part=SITES[row["site"]].part))
            target, site = row["target"], row["site"]
            hand.truth[target][site] = int(row["truth"])
            hand.likeliest[target][site] = int(row["predicted"])
            hand.p[target][site] = row["p"]
    for (image, extremity), hand in hands.items():
        true, likeliest = (totals(of["jsn"], of["erosion"], hand.part) for of in (hand.truth, hand.likeliest))
        for measure, expected in expected_totals(hand.p, hand.part).items():
            yield HandTotal(
                image_id=image, extremity=extremity, patient=hand.patient, part=hand.part, measure=measure,
                truth=true.of(measure), likeliest=likeliest.of(measure), expected=expected,
            )  # fmt: skip
