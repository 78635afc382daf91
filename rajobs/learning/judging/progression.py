"""How the totals of patients who judge change from their first to their last visit, by the model and by the readers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.changes import Precision, build_changes
from rajobs.records.statistics.by_patient import share_interval
from rajobs.records.statistics.film_repeats import ALL
from rajobs.records.svdh import SITES_IN_METHOD
from rajobs.records.tables.schemas import EXTREMITIES, JOINTS, MEASURES

_COLUMNS = (
    "image_id", "extremity", "site", "side", "patient", "derived_from", "target", "truth", "predicted", "p",
    "visit_date",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Progression:
    """Changes of one total over the sites labelled at both visits, a patient each; and who is beyond the SDC."""

    measure: str
    expected: tuple[float, ...]  # by the model
    truth: tuple[float, ...]  # by the readers, of the same patients
    detectable: float | None  # the median patient's smallest detectable change
    beyond: Mapping[str, float] | None  # share of patients

    def to_dict(self) -> dict[str, Any]:
        plain = {"measure": self.measure, "patients": len(self.expected)}
        known = {"detectable": self.detectable, "beyond": self.beyond}
        return plain | {name: value for name, value in known.items() if value is not None}


def patients_changes(predictions: pa.Table, precision: Precision) -> Iterator[Progression]:
    """Of each measure, where patients have several visits."""
    by_model = {(row["patient"], row["measure"]): row for row in _changes(predictions, "predicted", precision)}
    by_readers = {(row["patient"], row["measure"]): row for row in _changes(predictions, "truth", precision)}
    for measure in MEASURES:
        patients = sorted(patient for patient, of in by_model if of == measure)
        if not patients:
            continue
        rows = [by_model[patient, measure] for patient in patients]
        known = [row for row in rows if row["beyond_detectable"] is not None]
        beyond = np.array([row["beyond_detectable"] for row in known], bool)
        low, high = share_interval(beyond, np.array([row["patient"] for row in known], np.str_)) if known else (0, 0)
        yield Progression(
            measure=measure, expected=tuple(row["expected_change"] for row in rows),
            truth=tuple(by_readers[patient, measure]["change"] for patient in patients),
            detectable=float(np.median([row["detectable_change"] for row in known])) if known else None,
            beyond={"value": float(beyond.mean()), "low": low, "high": high} if known else None,
        )  # fmt: skip


def _changes(predictions: pa.Table, column: str, precision: Precision) -> list[dict[str, Any]]:
    """Rows of score's table of changes, of all of a patient's sites from the first to the last visit.

    The scores are those of a column; only the model's have probabilities.
    """
    rows = predictions.filter(pc.is_in(predictions.column("target"), pa.array(SCORES))).select(list(_COLUMNS))
    joints: dict[tuple[str, int, str], dict[str, Any]] = {}
    hands: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows.to_pylist():
        if row["site"] in SITES and row["p"] and row["derived_from"] is None:
            hand, part = (row["image_id"], row["extremity"]), SITES[row["site"]].part
            place = {
                "image_id": row["image_id"],
                "extremity": row["extremity"],
                "patient": row["patient"],
                "bundles": [],
            }
            hands.setdefault(hand, {
                **place, "visit_date": row["visit_date"], "part": part, "side": row["side"], "coverage": 0.0,
            })["coverage"] += 1 / SITES_IN_METHOD[part]  # fmt: skip
            joint = joints.setdefault((*hand, row["site"]), {**place, "site": row["site"], "side": row["side"]})
            joint[row["target"]] = int(row[column])
            if column == "predicted":
                joint[f"{row['target']}_p"] = row["p"]
    changes = build_changes(EXTREMITIES.rows([*hands.values()]), JOINTS.rows([*joints.values()]), precision)
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in changes.to_pylist():
        if (row["part"], row["since"]) == (ALL, "first"):
            last[row["patient"], row["measure"]] = row  # visits come in their order
    return list(last.values())
