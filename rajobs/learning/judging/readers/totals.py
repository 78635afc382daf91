"""Totals of hands and feet by each reader beside the model's, on the sites that all of a hand's readers scored."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.judging.reliability import TOTAL_STATISTICS, Figure, figures_of_pairs
from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.changes import SUMMED
from rajobs.records.label_consensus import ADJUDICATED
from rajobs.records.statistics.by_patient import LEAST_PATIENTS
from rajobs.records.svdh import SITES_OF, expected_score

MODEL, MEAN = "model", "readers' mean"
_COLUMNS = ("image_id", "extremity", "site", "patient", "target", "p", "readers", "readings")


@dataclass(frozen=True, kw_only=True)
class HandReading:
    """One total of a hand or foot: the model's expected one, and each reader's."""

    patient: str
    part: str
    measure: str
    expected: float
    by_reader: Mapping[str, int]

    def of(self, who: str) -> float | None:
        """The model's, a reader's, or the mean of all readers' total; None of a reader who has not read the hand."""
        if who == MODEL:
            return self.expected
        return float(np.mean(list(self.by_reader.values()))) if who == MEAN else self.by_reader.get(who)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Two voices' totals of the hands that both have; differences are the first's less the other's."""

    who: str
    against: str
    measure: str
    part: str
    patients: int
    one: tuple[float, ...]
    other: tuple[float, ...]
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name not in ("one", "other")}
        return {**plain, "rows": len(self.one)}


def hand_readings(predictions: pa.Table) -> list[HandReading]:
    """Every total of the hands and feet that named readers read; those who adjudicate have no voice of their own."""
    scored = pc.is_in(predictions.column("target"), pa.array(SCORES))
    rows = predictions.filter(pc.and_(scored, pc.is_valid(predictions.column("readers")))).select(list(_COLUMNS))
    hands: dict[tuple[str, int], list[tuple[dict[str, Any], dict[str, int]]]] = defaultdict(list)
    for row in rows.to_pylist():
        known = [(name, value) for name, value in zip(row["readers"], row["readings"]) if value.isdigit()]
        read = {name: int(value) for name, value in known if name not in ADJUDICATED}
        part = SITES[row["site"]].part if row["site"] in SITES else None
        if read and row["p"] and part and row["site"] in SITES_OF[part][row["target"]]:
            hands[row["image_id"], row["extremity"]].append((row, read))
    return [reading for of_hand in hands.values() for reading in _readings_of_hand(of_hand)]


def _readings_of_hand(sites: list[tuple[dict[str, Any], dict[str, int]]]) -> Iterator[HandReading]:
    names = {name for _, read in sites for name in read}
    common = [(row, read) for row, read in sites if read.keys() == names]
    for measure, scores in SUMMED.items():
        chosen = [(row, read) for row, read in common if row["target"] in scores]
        if chosen:
            yield HandReading(
                patient=chosen[0][0]["patient"], part=SITES[chosen[0][0]["site"]].part, measure=measure,
                expected=sum(expected_score(row["p"])[0] for row, _ in chosen),
                by_reader={name: sum(read[name] for _, read in chosen) for name in sorted(names)},
            )  # fmt: skip


def compare_totals(readings: list[HandReading]) -> Iterator[Totals]:
    """The model with the readers' mean and with each reader, and readers with one another; from five patients on."""
    for part, measure in dict.fromkeys((each.part, each.measure) for each in readings):
        of_hands = [each for each in readings if (each.part, each.measure) == (part, measure)]
        names = sorted({name for each in of_hands for name in each.by_reader})
        means = [MEAN] if len(names) > 1 else []
        for who, against in (*((MODEL, name) for name in (*means, *names)), *combinations(names, 2)):
            both = [(each.patient, each.of(who), each.of(against)) for each in of_hands]
            known = [(patient, one, other) for patient, one, other in both if one is not None and other is not None]
            patients = np.array([patient for patient, _, _ in known], np.str_)
            if len(np.unique(patients)) >= LEAST_PATIENTS:
                pairs = np.array([(one, other) for _, one, other in known], float)
                yield Totals(
                    who=who, against=against, measure=measure, part=part, patients=len(np.unique(patients)),
                    one=tuple(pairs[:, 0].tolist()), other=tuple(pairs[:, 1].tolist()),
                    figures=figures_of_pairs(TOTAL_STATISTICS, pairs, patients),
                )  # fmt: skip
