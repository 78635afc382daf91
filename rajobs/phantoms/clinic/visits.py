"""Drawn visits to a clinic: 000's 14 variables, and 30 joints' findings that agree with the films' disease."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.clinic import printed_tables as printed
from rajobs.phantoms.packaging.canaries import identity
from rajobs.phantoms.packaging.csv_tables import CsvTable
from rajobs.phantoms.people.activity import (
    Grades,
    activity_level,
    draw_grades,
    joint_activity,
    pick_class,
    share_below,
    visit_rng,
)
from rajobs.phantoms.people.cohort import PlannedFilm, plan_patient
from rajobs.records.anatomy import CLINIC_JOINTS, SIDES
from rajobs.records.tables.schemas import CLINIC

SWOLLEN = ((0.01, 0.10, 0.30, 0.50), (0.20, 0.30, 0.45, 0.60), (0.45, 0.50, 0.65, 0.80), (0.75, 0.80, 0.88, 0.95))
"""Probability of swelling, by power-Doppler grade (outer) and grey-scale grade (inner); assumed."""
TENDER: Mapping[tuple[bool, bool], float] = MappingProxyType(
    {(False, False): 0.07, (False, True): 0.40, (True, False): 0.55, (True, True): 0.80}
)
"""Probability of tenderness, by swelling and by power Doppler of 2 and more; assumed."""
SYMPTOM: Mapping[bool, float] = MappingProxyType({False: 0.10, True: 0.80})
"""Probability of a symptom, by tenderness; assumed."""
DOCTORS = ("doctor1", "doctor2")
_PERSON, _VISIT = 1_000_011, 1_000_012  # streams of randomness beside activity's
_SPREAD = 0.15  # of a variant's numbers, as a share


@dataclass(frozen=True, kw_only=True)
class ClinicRow:
    """One doctor's row of a visit; `values` holds every column between reader and ra_clinical."""

    patient: str  # original identifier, as the headers have it
    visit_date: date
    reader: str
    values: Mapping[str, float | str]
    ra_clinical: bool
    derived_from: str | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the contract's order."""
        known = {
            **{name: value if isinstance(value, str) else f"{value:g}" for name, value in self.values.items()},
            "patient": self.patient,
            "visit_date": self.visit_date.isoformat(),
            "reader": self.reader,
            "ra_clinical": str(int(self.ra_clinical)),
            "derived_from": self.derived_from or "",
        }
        return tuple(known[column.name] for column in CLINIC.columns)


def draw_clinic(*, patients: int, seed: int, difficulty: str = "standard") -> Iterator[ClinicRow]:
    """The visits of the patients whose films `draw_films` draws of the same seed; some have two doctors' rows."""
    for number in range(patients):
        plan = tuple(plan_patient(number, seed=seed, difficulty=difficulty))
        yield from _patient_rows(plan, identity(seed, number).patient_id, difficulty)


def draw_published(seed: int) -> Iterator[tuple[str, ClinicRow]]:
    """000's 249 patients, a first visit each, with its part: learning (42 RA, 157 not) or testing (10 and 40)."""
    number = 0
    for part, ra, count in printed.PUBLISHED:
        for _ in range(count):
            rng = np.random.default_rng(np.random.SeedSequence((seed, number, _PERSON)))
            level = float(rng.normal())
            values: dict[str, float | str] = dict(draw_variables(rng, part=part, ra=ra, level=level))
            values["sex"] = "F" if _happens(rng, part, ra, "female") else "M"
            # No films belong to them: early patients, most of them without damage.
            shares = (0.75, 0.2, 0.05) if ra else (0.9, 0.09, 0.01)
            damage = {(side, joint): pick_class(shares, rng.random()) for side in SIDES for joint in CLINIC_JOINTS}
            values |= draw_findings(rng, draw_grades(rng, ra=ra, level=level, damage=damage))
            day = date(2019, 1, 1) + timedelta(days=int(rng.integers(151)))
            who = identity(seed, number).patient_id
            yield part, ClinicRow(patient=who, visit_date=day, reader=DOCTORS[0], values=values, ra_clinical=ra)
            number += 1


def draw_variables(rng: np.random.Generator, *, part: str, ra: bool, level: float) -> dict[str, float]:
    """The variables of a class but sex, correlated through the visit's activity."""
    drawn: dict[str, float] = {}
    for name, points in printed.NUMBERS[part, ra].items():
        follows = printed.FOLLOWS.get(name, 0.0)
        deviate = follows * level + sqrt(1 - follows**2) * float(rng.normal())
        drawn[name] = round(quantile(points, share_below(deviate), printed.TAIL.get(name, 3.0)), _digits(name))
    drawn["ana"] = float(printed.TITRES[pick_class(printed.ANA[part, ra], rng.random())])
    for name in ("skin", "trunk_pain"):
        drawn[name] = float(_happens(rng, part, ra, name))
    return drawn


def quantile(points: Sequence[tuple[float, float]], share: float, tail: float) -> float:
    """The value below which a share of the patients lies."""
    for (before, low), (after, high) in pairwise(points):
        if share <= after:
            within = (share - before) / (after - before)
            return low + (high - low) * (within**tail if after == 1.0 else within)
    return points[-1][1]


def draw_findings(rng: np.random.Generator, grades: Grades) -> dict[str, float]:
    """The five findings of every joint, from its grades by the tables above."""
    found: dict[str, float] = {}
    for (side, joint), (grey, doppler) in grades.items():
        swollen = bool(rng.random() < SWOLLEN[doppler][grey])
        tender = bool(rng.random() < TENDER[swollen, doppler >= 2])
        symptom = bool(rng.random() < SYMPTOM[tender])
        of = f"{side}_{joint}_"
        found |= {f"{of}symptom": float(symptom), f"{of}tender": float(tender), f"{of}swollen": float(swollen)}
        found |= {f"{of}gs": float(grey), f"{of}pd": float(doppler)}
    return found


def variants(row: ClinicRow, count: int, rng: np.random.Generator) -> tuple[ClinicRow, ...]:
    """A row multiplied to `count`: itself and variants that keep the diagnosis, each derived from its patient."""
    origin = row.derived_from or row.patient
    changed = (
        replace(row, patient=f"{row.patient}-V{turn}", values=_changed(row.values, rng), derived_from=origin)
        for turn in range(1, count)
    )
    return (row, *changed)


def clinic_table(rows: Iterator[ClinicRow]) -> bytes:
    """Rows as the contract's CSV file."""
    table = CsvTable(columns=tuple(column.name for column in CLINIC.columns))
    for row in rows:
        table.add(row.cells())
    return table.data()


def _patient_rows(plan: tuple[PlannedFilm, ...], patient: str, difficulty: str) -> Iterator[ClinicRow]:
    person = visit_rng(plan, 0, _PERSON)
    ra = plan[0].patient.ra and bool(person.random() < printed.THERAPY)
    lasting = draw_variables(person, part="learning", ra=ra, level=0.0)
    for visit, taken in sorted({film.visit: film.taken for film in plan}.items()):
        rng = visit_rng(plan, visit, _VISIT)
        level = activity_level(plan, visit)
        values: dict[str, float | str] = dict(draw_variables(rng, part="learning", ra=ra, level=level))
        values |= {name: lasting[name] for name in printed.LASTING}
        values["onset_days"] = lasting["onset_days"] + (taken - plan[0].taken).days
        values["sex"] = plan[0].patient.sex  # the films' patient, not a draw from the tables
        values |= draw_findings(rng, joint_activity(plan, visit))
        row = ClinicRow(patient=patient, visit_date=taken, reader=DOCTORS[0], values=values, ra_clinical=ra)
        yield row
        if rng.random() < printed.SECOND_READER:
            yield replace(row, reader=DOCTORS[1], values=_second(values, rng, printed.READERS_AGREE[difficulty]))


def _second(values: Mapping[str, float | str], rng: np.random.Generator, agree: float) -> dict[str, float | str]:
    """The same visit by another doctor: what hands and eyes find can differ, blood and ultrasound cannot."""
    second = dict(values)
    for name, value in values.items():
        if name.endswith(("_tender", "_swollen")) and rng.random() >= agree:
            second[name] = 1.0 - float(value)
    second["doctor_vas"] = float(np.clip(round(float(values["doctor_vas"]) + rng.normal(0, 6)), 0, 100))
    return second


def _changed(values: Mapping[str, float | str], rng: np.random.Generator) -> dict[str, float | str]:
    """Numbers moved within their colour's band, and a few symptoms and tender joints turned over."""
    changed = dict(values)
    for name, bounds in printed.BOUNDS.items():
        value = float(values[name])
        spread = 0.2 if name == "temperature" else _SPREAD * value
        moved = round(max(0.0, value + float(rng.normal(0, spread))), _digits(name))
        if np.digitize(moved, bounds) == np.digitize(value, bounds) and (not name.endswith("vas") or moved <= 100):
            changed[name] = moved
    open_to_change = [name for name in values if name.endswith(("_symptom", "_tender"))]
    for name in rng.choice(open_to_change, size=int(rng.integers(1, 4)), replace=False):
        changed[str(name)] = 1.0 - float(values[str(name)])
    return changed


def _happens(rng: np.random.Generator, part: str, ra: bool, name: str) -> bool:
    found, of = printed.SHARES[part, ra][name]
    return bool(rng.random() < found / of)


def _digits(name: str) -> int:
    return printed.DIGITS.get(name, 0)
