"""Visits of each patient: the hands and feet, scans and clinical findings of one day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import pyarrow as pa

from rajobs.records.anatomy import PARTS, SIDES
from rajobs.records.scan_grades import joint_grades, scan_grade, split_into_scans
from rajobs.records.svdh import Totals, patient_totals
from rajobs.records.tables.schemas import VISITS
from rajobs.records.tables.table_schema import TableSchema

EXTREMITY_COLUMNS = (
    "patient", "visit_date", "image_id", "extremity", "part", "side", "jsn_total", "erosion_total", "svdh_total",
    "coverage", "svdh_lowest", "svdh_highest", "stage", "doubt", "bundles",
)  # fmt: skip
SCAN_COLUMNS = (
    "patient", "visit_date", "side", "site", "frame", "doppler", "grade", "grade_p", "grey_grade", "grey_grade_p",
    "bundles",
)  # fmt: skip
_OWN = ("patient", "visit_date", "bundles", "kind")


def build_visits(
    extremities: pa.Table, scans: pa.Table, clinic: Sequence[Mapping[str, Any]] = (), *, schema: TableSchema = VISITS
) -> pa.Table:
    """One row per patient and day; images without a date are in no visit. `clinic`: the models' answers by visit."""
    rows = [{**row, "kind": "extremity"} for row in extremities.select(list(EXTREMITY_COLUMNS)).to_pylist()]
    rows += [{**row, "kind": "scan"} for row in scans.select(list(SCAN_COLUMNS)).to_pylist()]
    rows += [{**row, "kind": "clinic"} for row in clinic]
    visits: list[dict[str, Any]] = []
    for _, rows_of_patient in groupby(sort_dated(rows), key=lambda row: row["patient"]):
        visits += _visits_of_patient(list(rows_of_patient))
    return schema.rows(visits)


def grades_by_visit(scans: pa.Table) -> dict[tuple[str, date], dict[str, int]]:
    """The scans' grades of joints by patient and day, and then by the column of the clinic table."""
    frames = sort_dated(scans.select(list(SCAN_COLUMNS)).to_pylist())
    visits = groupby(frames, key=_patient_and_day)
    return {visit: joint_grades(split_into_scans(list(frames_of_visit))) for visit, frames_of_visit in visits}


def sort_dated(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows with a date by patient and day; rows of one day keep their order."""
    return sorted((row for row in rows if row["visit_date"] is not None), key=_patient_and_day)


def _patient_and_day(row: Mapping[str, Any]) -> tuple[str, Any]:
    return row["patient"], row["visit_date"]


def _visits_of_patient(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One patient's visits in order."""
    last_films: date | None = None
    for (patient, day), rows_of_day in groupby(rows, key=_patient_and_day):
        by_kind: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in ("extremity", "scan", "clinic")}
        for row in rows_of_day:
            by_kind[row["kind"]].append(row)
        films, answers = by_kind["extremity"], by_kind["clinic"]
        grades = [grade for scan in split_into_scans(by_kind["scan"]) if (grade := scan_grade(scan)) is not None]
        yield {
            "patient": patient, "visit_date": day, "films": len({row["image_id"] for row in films}),
            **_columns_of_films(films),
            "days_since": None if last_films is None else (day - last_films).days,
            "doppler_highest": max(grades, default=None),
            **({name: value for name, value in answers[0].items() if name not in _OWN} if answers else {}),
            "bundles": sorted({name for several in by_kind.values() for row in several for name in row["bundles"]}),
        }  # fmt: skip
        if films:
            last_films = day


def _columns_of_films(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Totals of each hand and foot and of the patient, and the hands' stages; nothing without films."""
    best = best_films(rows)
    totals = {place: Totals.from_columns(row) for place, row in best.items()}
    columns = {
        f"{side}_{part}_{name}": value
        for (side, part), each in totals.items()
        for name, value in each.columns().items()
    }
    columns |= {f"{side}_hand_stage": row["stage"] for (side, part), row in best.items() if part == "hand"}
    return columns | (patient_totals(totals).columns() if totals else {})


def best_films(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """By side and part, of several films of a hand or foot on one day the one with most sites scored, then least doubt.

    Hands and feet whose side cannot be told are left out.
    """
    order = sorted(
        rows, key=lambda row: (-(row["coverage"] or 0), row["doubt"] or 0, row["image_id"], row["extremity"])
    )
    best = {(row["side"], row["part"]): row for row in reversed(order)}
    return {place: best[place] for part in PARTS for side in SIDES if (place := (side, part)) in best}
