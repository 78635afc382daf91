"""A patient's visits out of the small tables: a day's hands, scans and clinic, and the change since earlier films."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import pyarrow as pa

from rajobs.records.anatomy import SIDES
from rajobs.records.scan_grades import loops, of_joints, of_scan
from rajobs.records.tables.schemas import VISITS

HAND_COLUMNS = (
    "patient", "visit_date", "image_id", "hand", "side", "svdh_total", "coverage", "stage", "doubt", "bundles",
)  # fmt: skip
SCAN_COLUMNS = (
    "patient", "visit_date", "side", "site", "frame", "doppler", "grade", "grade_p", "grey_grade", "grey_grade_p",
    "bundles",
)  # fmt: skip
OF_CLINIC = ("ra_clinical_p", "ra_clinical_dissent", "squares_filled")


def build_visits(hands: pa.Table, scans: pa.Table, clinic: Sequence[Mapping[str, Any]] = ()) -> pa.Table:
    """A row a patient and day; images without a date belong to no visit. `clinic`: what models said of its visits."""
    rows = [{**row, "kind": "hand"} for row in hands.select(list(HAND_COLUMNS)).to_pylist()]
    rows += [{**row, "kind": "scan"} for row in scans.select(list(SCAN_COLUMNS)).to_pylist()]
    rows += [{**row, "kind": "clinic"} for row in clinic]
    found = []
    for _, mine in groupby(_dated(rows), key=lambda row: row["patient"]):
        found += list(_of_patient(list(mine)))
    return VISITS.rows(found)


def grades_by_visit(scans: pa.Table) -> dict[tuple[str, date], dict[str, int]]:
    """What scans say of the joints in the clinic's picture, by patient and day and then by the clinic's column."""
    rows = _dated(scans.select(list(SCAN_COLUMNS)).to_pylist())
    return {day: of_joints(loops(list(mine))) for day, mine in groupby(rows, key=_day)}


def _dated(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those with a date, by patient and day, else in their order."""
    return sorted((row for row in rows if row["visit_date"] is not None), key=_day)


def _day(row: Mapping[str, Any]) -> tuple[str, Any]:
    return row["patient"], row["visit_date"]


def _of_patient(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One patient's visits in order. What changed is told of films: a visit without any is none to compare with."""
    before: dict[str, Any] | None = None
    for (patient, day), several in groupby(rows, key=_day):
        held = list(several)
        films, scans, asked = ([row for row in held if row["kind"] == kind] for kind in ("hand", "scan", "clinic"))
        best = {side: _best([row for row in films if row["side"] == side]) for side in SIDES}
        grades = [grade for scan in loops(scans) if (grade := of_scan(scan)) is not None]
        visit: dict[str, Any] = {
            "patient": patient, "visit_date": day, "films": len({row["image_id"] for row in films}),
            **{f"{side}_svdh_total": best[side].get("svdh_total") for side in SIDES},
            **{f"{side}_stage": best[side].get("stage") for side in SIDES},
            "doppler_highest": max(grades, default=None),
            **{name: asked[0].get(name) if asked else None for name in OF_CLINIC},
            "bundles": sorted({name for row in held for name in row["bundles"]}),
        }  # fmt: skip
        if before is not None:
            visit["days_since"] = (day - before["visit_date"]).days
            # Totals of unlike numbers of sites are no change of the joints.
            alike = all(best[side].get("coverage") == before["coverage"][side] for side in SIDES)
            now, then = (_both(each) for each in (visit, before))
            visit["svdh_change"] = now - then if alike and now is not None and then is not None else None
        yield visit
        if films:
            before = {**visit, "coverage": {side: best[side].get("coverage") for side in SIDES}}


def _best(hands: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of several films of one hand on a day the one with the most sites scored, then the least doubt."""
    order = sorted(hands, key=lambda row: (-(row["coverage"] or 0), row["doubt"] or 0, row["image_id"], row["hand"]))
    return order[0] if order else {}


def _both(visit: Mapping[str, Any]) -> int | None:
    known = [visit[f"{side}_svdh_total"] for side in SIDES]
    return None if None in known else sum(known)
