"""Drawn clinic visits: the 14 variables of paper 000, and findings of 30 joints that agree with the films."""

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
_PERSON, _VISIT = 1_000_011, 1_000_012  # random streams of their own, beside those of people.activity
_VARIANT_SPREAD = 0.15  # relative s.d. of a variant's numbers


@dataclass(frozen=True, kw_only=True)
class ClinicRow:
    """One doctor's row of a visit."""

    patient: str  # original identifier, as in the DICOM headers
    visit_date: date
    reader: str
    values: Mapping[str, float | str]  # the columns between reader and ra_clinical
    ra_clinical: bool
    derived_from: str | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the column order of clinic.csv."""
        cells = {
            **{name: value if isinstance(value, str) else f"{value:g}" for name, value in self.values.items()},
            "patient": self.patient,
            "visit_date": self.visit_date.isoformat(),
            "reader": self.reader,
            "ra_clinical": str(int(self.ra_clinical)),
            "derived_from": self.derived_from or "",
        }
        return tuple(cells[column.name] for column in CLINIC.columns)


def draw_clinic(*, patients: int, seed: int, difficulty: str = "standard") -> Iterator[ClinicRow]:
    """The visits of the patients that `draw_films` draws from the same seed; some have rows of two doctors."""
    for number in range(patients):
        plan = tuple(plan_patient(number, seed=seed, difficulty=difficulty))
        yield from _draw_patient_rows(plan, identity(seed, number).patient, difficulty)


def draw_published(seed: int) -> Iterator[tuple[str, ClinicRow]]:
    """Paper 000's 249 patients, one visit each, with their part: learning (42 RA, 157 other) or testing (10 and 40)."""
    number = 0
    for part, ra, count in printed.PUBLISHED:
        for _ in range(count):
            rng = np.random.default_rng(np.random.SeedSequence((seed, number, _PERSON)))
            level = float(rng.normal())
            values: dict[str, float | str] = dict(draw_variables(rng, part=part, ra=ra, level=level))
            values["sex"] = "F" if _draw_flag(rng, part, ra, "female") else "M"
            # These early patients have no films; most of them have no damage.
            shares = (0.75, 0.2, 0.05) if ra else (0.9, 0.09, 0.01)
            damage = {(side, joint): pick_class(shares, rng.random()) for side in SIDES for joint in CLINIC_JOINTS}
            values |= draw_findings(rng, draw_grades(rng, ra=ra, level=level, damage=damage))
            day = date(2019, 1, 1) + timedelta(days=int(rng.integers(151)))
            patient = identity(seed, number).patient
            yield part, ClinicRow(patient=patient, visit_date=day, reader=DOCTORS[0], values=values, ra_clinical=ra)
            number += 1


def draw_variables(rng: np.random.Generator, *, part: str, ra: bool, level: float) -> dict[str, float]:
    """All variables except sex, correlated through `level`, the visit's disease activity."""
    values: dict[str, float] = {}
    for name, points in printed.NUMBERS[part, ra].items():
        correlation = printed.ACTIVITY_CORRELATION.get(name, 0.0)
        deviate = correlation * level + sqrt(1 - correlation**2) * float(rng.normal())
        tail = printed.TAIL_EXPONENTS.get(name, 3.0)
        values[name] = round(quantile(points, share_below(deviate), tail), _decimal_places(name))
    values["ana"] = float(printed.TITRES[pick_class(printed.ANA[part, ra], rng.random())])
    for name in ("skin", "trunk_pain"):
        values[name] = float(_draw_flag(rng, part, ra, name))
    return values


def quantile(points: Sequence[tuple[float, float]], share: float, tail: float) -> float:
    """The value below which this share of the patients lies; `tail` is the exponent of the last segment."""
    for (lower, low), (upper, high) in pairwise(points):
        if share <= upper:
            within = (share - lower) / (upper - lower)
            return low + (high - low) * (within**tail if upper == 1.0 else within)
    return points[-1][1]


def draw_findings(rng: np.random.Generator, grades: Grades) -> dict[str, float]:
    """The five findings of every joint, drawn from its grades with the probabilities above."""
    findings: dict[str, float] = {}
    for (side, joint), (grey, doppler) in grades.items():
        swollen = bool(rng.random() < SWOLLEN[doppler][grey])
        tender = bool(rng.random() < TENDER[swollen, doppler >= 2])
        symptom = bool(rng.random() < SYMPTOM[tender])
        of_joint = {"symptom": symptom, "tender": tender, "swollen": swollen, "gs": grey, "pd": doppler}
        findings |= {f"{side}_{joint}_{name}": float(value) for name, value in of_joint.items()}
    return findings


def variants(row: ClinicRow, count: int, rng: np.random.Generator) -> tuple[ClinicRow, ...]:
    """`count` rows: the row itself and variants with the same diagnosis, derived from its patient."""
    origin = row.derived_from or row.patient
    varied = (
        replace(row, patient=f"{row.patient}-V{number}", values=_vary_values(row.values, rng), derived_from=origin)
        for number in range(1, count)
    )
    return (row, *varied)


def clinic_table(rows: Iterator[ClinicRow]) -> bytes:
    """The rows as clinic.csv."""
    table = CsvTable(columns=tuple(column.name for column in CLINIC.columns))
    for row in rows:
        table.add(row.cells())
    return table.data()


def _draw_patient_rows(plan: tuple[PlannedFilm, ...], patient: str, difficulty: str) -> Iterator[ClinicRow]:
    person = visit_rng(plan, 0, _PERSON)
    ra = plan[0].patient.ra and bool(person.random() < printed.THERAPY)
    lasting = draw_variables(person, part="learning", ra=ra, level=0.0)
    for visit, taken in sorted({film.visit: film.taken for film in plan}.items()):
        rng = visit_rng(plan, visit, _VISIT)
        level = activity_level(plan, visit)
        values: dict[str, float | str] = dict(draw_variables(rng, part="learning", ra=ra, level=level))
        values |= {name: lasting[name] for name in printed.LASTING}
        values["onset_days"] = lasting["onset_days"] + (taken - plan[0].taken).days
        values["sex"] = plan[0].patient.sex  # from the films' patient, not drawn from the tables
        values |= draw_findings(rng, joint_activity(plan, visit))
        row = ClinicRow(patient=patient, visit_date=taken, reader=DOCTORS[0], values=values, ra_clinical=ra)
        yield row
        if rng.random() < printed.SECOND_READER:
            yield replace(
                row, reader=DOCTORS[1], values=_second_reading(values, rng, printed.READERS_AGREE[difficulty])
            )


def _second_reading(
    values: Mapping[str, float | str], rng: np.random.Generator, agree: float
) -> dict[str, float | str]:
    """The same visit by a second doctor: findings of the examination can differ, laboratory and ultrasound cannot."""
    second = dict(values)
    for name, value in values.items():
        if name.endswith(("_tender", "_swollen")) and rng.random() >= agree:
            second[name] = 1.0 - float(value)
    second["doctor_vas"] = float(np.clip(round(float(values["doctor_vas"]) + rng.normal(0, 6)), 0, 100))
    return second


def _vary_values(values: Mapping[str, float | str], rng: np.random.Generator) -> dict[str, float | str]:
    """Values with numbers moved within their colour band, and one to three symptoms or tender joints inverted."""
    changed = dict(values)
    for name, bounds in printed.BOUNDS.items():
        value = float(values[name])
        spread = 0.2 if name == "temperature" else _VARIANT_SPREAD * value
        moved = round(max(0.0, value + float(rng.normal(0, spread))), _decimal_places(name))
        if np.digitize(moved, bounds) == np.digitize(value, bounds) and (not name.endswith("vas") or moved <= 100):
            changed[name] = moved
    invertible = [name for name in values if name.endswith(("_symptom", "_tender"))]
    for name in rng.choice(invertible, size=int(rng.integers(1, 4)), replace=False):
        changed[str(name)] = 1.0 - float(values[str(name)])
    return changed


def _draw_flag(rng: np.random.Generator, part: str, ra: bool, name: str) -> bool:
    count, total = printed.SHARES[part, ra][name]
    return bool(rng.random() < count / total)


def _decimal_places(name: str) -> int:
    return printed.DIGITS.get(name, 0)
