"""Visits of each patient: the hands, scans and clinical findings of one day, and the change since earlier films."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import pyarrow as pa

from rajobs.records.anatomy import SIDES
from rajobs.records.scan_grades import joint_grades, scan_grade, split_into_scans
from rajobs.records.tables.schemas import VISITS
from rajobs.records.tables.table_schema import TableSchema

HAND_COLUMNS = (
    "patient", "visit_date", "image_id", "hand", "side", "svdh_total", "coverage", "stage", "doubt", "bundles",
)  # fmt: skip
SCAN_COLUMNS = (
    "patient", "visit_date", "side", "site", "frame", "doppler", "grade", "grade_p", "grey_grade", "grey_grade_p",
    "bundles",
)  # fmt: skip
_OWN = ("patient", "visit_date", "bundles", "kind")


def build_visits(
    hands: pa.Table, scans: pa.Table, clinic: Sequence[Mapping[str, Any]] = (), *, schema: TableSchema = VISITS
) -> pa.Table:
    """One row per patient and day; images without a date are in no visit. `clinic`: the models' answers by visit."""
    rows = [{**row, "kind": "hand"} for row in hands.select(list(HAND_COLUMNS)).to_pylist()]
    rows += [{**row, "kind": "scan"} for row in scans.select(list(SCAN_COLUMNS)).to_pylist()]
    rows += [{**row, "kind": "clinic"} for row in clinic]
    visits: list[dict[str, Any]] = []
    for _, rows_of_patient in groupby(_sort_dated(rows), key=lambda row: row["patient"]):
        visits += _visits_of_patient(list(rows_of_patient))
    return schema.rows(visits)


def grades_by_visit(scans: pa.Table) -> dict[tuple[str, date], dict[str, int]]:
    """The scans' grades of joints by patient and day, and then by the column of the clinic table."""
    frames = _sort_dated(scans.select(list(SCAN_COLUMNS)).to_pylist())
    visits = groupby(frames, key=_patient_and_day)
    return {visit: joint_grades(split_into_scans(list(frames_of_visit))) for visit, frames_of_visit in visits}


def _sort_dated(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows with a date by patient and day; rows of one day keep their order."""
    return sorted((row for row in rows if row["visit_date"] is not None), key=_patient_and_day)


def _patient_and_day(row: Mapping[str, Any]) -> tuple[str, Any]:
    return row["patient"], row["visit_date"]


def _visits_of_patient(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One patient's visits in order; the change is since the last visit with films."""
    before: dict[str, Any] | None = None
    for (patient, day), rows_of_day in groupby(rows, key=_patient_and_day):
        today = list(rows_of_day)
        films, scans, answers = ([row for row in today if row["kind"] == kind] for kind in ("hand", "scan", "clinic"))
        best = {side: _best_hand([row for row in films if row["side"] == side]) for side in SIDES}
        grades = [grade for scan in split_into_scans(scans) if (grade := scan_grade(scan)) is not None]
        visit: dict[str, Any] = {
            "patient": patient, "visit_date": day, "films": len({row["image_id"] for row in films}),
            **{f"{side}_svdh_total": best[side].get("svdh_total") for side in SIDES},
            **{f"{side}_stage": best[side].get("stage") for side in SIDES},
            "doppler_highest": max(grades, default=None),
            **({name: value for name, value in answers[0].items() if name not in _OWN} if answers else {}),
            "bundles": sorted({name for row in today for name in row["bundles"]}),
        }  # fmt: skip
        if before is not None:
            visit["days_since"] = (day - before["visit_date"]).days
            # A difference between totals of unlike numbers of sites is no change of the joints.
            alike = all(best[side].get("coverage") == before["coverage"][side] for side in SIDES)
            now, then = _total_of_both_hands(visit), _total_of_both_hands(before)
            visit["svdh_change"] = now - then if alike and now is not None and then is not None else None
        yield visit
        if films:
            before = {**visit, "coverage": {side: best[side].get("coverage") for side in SIDES}}


def _best_hand(hands: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row of a hand with the most sites scored, then the least doubt, of several films of it on one day."""
    order = sorted(hands, key=lambda row: (-(row["coverage"] or 0), row["doubt"] or 0, row["image_id"], row["hand"]))
    return order[0] if order else {}


def _total_of_both_hands(visit: Mapping[str, Any]) -> int | None:
    totals = [visit[f"{side}_svdh_total"] for side in SIDES]
    return None if None in totals else sum(totals)
