"""Visits out of the clinic table: the readings of one patient and day made into one."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

Finding = float | str | None
"""What the clinic table holds of one variable; None: nobody looked."""
VISIT_COLUMNS = ("patient", "visit_date", "derived_from")
"""The clinic table's columns that say whose visit a row is."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A patient's visit to the clinic."""

    image_id: str  # see `visit_id`
    patient: str  # the person: of a made-up variant the one it comes from, so that both stay together
    derived_from: str | None  # of a variant: that person
    day: date  # shifted
    findings: Mapping[str, Finding]


def visit_id(patient: str, day: date) -> str:
    """A visit's counterpart of an image_id: a hash of the patient's pseudonym and the shifted date."""
    return hashlib.sha256(f"visit:{patient}:{day.isoformat()}".encode()).hexdigest()[:24]


def visits_of_clinic(clinic: pa.Table) -> list[Visit]:
    """One visit per patient and day out of a part of the clinic table, which has one row per reader; in its order."""
    readings: dict[tuple[str, date], list[dict[str, Any]]] = defaultdict(list)
    for reading in clinic.to_pylist():
        readings[reading["patient"], reading["visit_date"]].append(reading)
    source = {who: rows[0]["derived_from"] for (who, _), rows in readings.items() if rows[0]["derived_from"]}
    names = [name for name in clinic.column_names if name not in (*VISIT_COLUMNS, "reader")]
    visits = []
    for (who, day), rows in readings.items():
        origin = _origin(who, source)
        agreed = {name: _agree([reading[name] for reading in rows]) for name in names}
        variant = origin if origin != who else None
        visits.append(
            Visit(image_id=visit_id(who, day), patient=origin, derived_from=variant, day=day, findings=agreed)
        )
    return visits


def _origin(patient: str, source: Mapping[str, str]) -> str:
    """The person whom a variant, or a variant's variant, comes from."""
    passed = {patient}
    while source.get(patient, patient) not in passed:
        patient = source[patient]
        passed.add(patient)
    return patient


def _agree(values: Sequence[Finding]) -> Finding:
    """The upper median of several readers' numbers, or their most frequent word; None if two words are tied."""
    known = [value for value in values if value is not None and value == value]  # a CSV may say nan
    if not known:
        return None
    if isinstance(known[0], str):
        (first, most), *rest = Counter(known).most_common(2)
        return None if rest and rest[0][1] == most else first
    return sorted(known, key=float)[len(known) // 2]
