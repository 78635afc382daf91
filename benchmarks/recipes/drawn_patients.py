"""The drawn patients of 000: split, classification scores, tables 3 and 4 of the paper (for clinic_pictures.py)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from printed_numbers import Beside
from scipy import stats

from rajobs import studies
from rajobs.imaging.clinic_visits import Finding
from rajobs.imaging.clinical_picture import ITEMS
from rajobs.jobs.train.dataset import open_labelled_data, read_clinic_visits
from rajobs.jobs.train.splits import frozen_split
from rajobs.phantoms.clinic.visits import ClinicRow, draw_published, variants
from rajobs.records.anatomy import CLINIC_JOINTS, DIP, SIDES

STUDY, TARGET = "clinical_array", "ra_clinical"
MULTIPLIED = {True: 6, False: 5}  # 000: RA by six, others by five
PRINTED_AS = {
    "rf": "RF", "acpa": "ACPA", "esr": "ESR", "onset_days": "onset to visit, days", "crp": "CRP", "ana": "ANA",
    "mmp3": "MMP-3", "wbc": "WBC", "temperature": "body temperature", "patient_vas": "patient VAS",
    "doctor_vas": "doctor VAS",
}  # fmt: skip
COUNTED = {"sex": "gender", "skin": "skin abnormality", "trunk_pain": "trunk pain"}
NORMAL = {"rf": 15, "acpa": 4.5, "esr": 20, "crp": 0.3, "onset_days": 42}
"""From here on a value is abnormal: table 2's bounds; six weeks."""
JOINTS = ((11, 5), (4, 3), (1, 2))  # small joints involved, points
Values = Mapping[str, Finding]


def multiplied(seed: int) -> Iterator[ClinicRow]:
    """000's 249 patients with variants: the split chooses who judges, and leaves the variants of these out."""
    for number, (_, row) in enumerate(draw_published(seed)):
        yield from variants(row, MULTIPLIED[row.ra_clinical], np.random.default_rng([seed, number]))


def counts(data: str, paper: Beside) -> None:
    """Patients and pictures of each part, by what the split of published mode holds."""
    source = open_labelled_data(data, studies.find(STUDY))
    part = {row["image_id"]: row["split"] for row in frozen_split(source, "published")[0].to_pylist()}
    pictures: Counter[tuple[bool, bool]] = Counter()  # by whether they judge, and RA
    people: dict[tuple[bool, bool], set[str]] = {}
    for visit in read_clinic_visits(source.store, (TARGET,)):
        if visit.image_id in part:
            key = part[visit.image_id] == "test", visit.findings[TARGET] == 1
            pictures[key] += 1
            people.setdefault(key, set()).add(visit.patient)
    count = {key: len(mine) for key, mine in people.items()}
    learns, judges = ([count[judge, ra] for ra in (True, False)] for judge in (False, True))
    shown = [pictures[False, ra] for ra in (True, False)]
    for what, here in (
        ("patients (for learning", [sum(learns), sum(judges)]),
        ("patients for learning", learns),
        ("patients for testing", judges),
        ("pictures for learning", shown),
    ):
        entry = paper.take(what)
        print(f"  {entry.what}: {entry['printed']} = {_sum(entry['sum'])} in 000, {sum(here)} = {_sum(here)} here")
    for what, mine, whose in (("pictures of RA", shown[0], learns[0]), ("pictures of others", shown[1], learns[1])):
        entry = paper.take(what)
        print(f"  {entry.what}: {entry['printed']} in 000, {mine} of {whose} patients here")


def _sum(numbers: Sequence[int]) -> str:
    return " + ".join(map(str, numbers))


def tables(seed: int, paper: Beside) -> None:
    """The drawn patients beside tables 3 and 4: median (range) with RA; without; P."""
    rows = list(multiplied(seed))
    judges = {row.patient for part, row in draw_published(seed) if part != "learning"}
    parts = {
        "table 3": [row for row in rows if row.patient in judges],
        "table 4": [row for row in rows if (row.derived_from or row.patient) not in judges],
    }
    for where, mine in parts.items():
        one, other = ([row.values for row in mine if row.ra_clinical == ra] for ra in (True, False))
        print(f"\n{where}: with RA ({len(one)}); without ({len(other)}); Mann-Whitney's or chi-squared P")
        for name in ITEMS:
            entry = paper.take((PRINTED_AS | COUNTED)[name], where)
            said = entry["printed"]
            print(f"  {name:<12} 000: {_told(entry, said):<60} here: {_row(name, one, other)}")


def criteria(seed: int, paper: Beside) -> None:
    """How many points of 2010's ACR/EULAR criteria the drawn patients with RA who judge have."""
    entry = paper.take("classification scores")
    mine = Counter(points(row.values) for part, row in draw_published(seed) if part != "learning" and row.ra_clinical)
    here = ", ".join(f"{score} in {mine[score]}" for score in sorted(mine))
    print(f"\n{entry.what}: {_sum(entry['sum'])} of the scores 1, 4, 5, 6, 7 and 10 in 000; here {here}")


def points(values: Values) -> int:
    """Of the criteria's ten, by the small joints of the hands: joints involved, serology, acute phase, duration."""

    def high(name: str, times: float = 1.0) -> bool:
        return float(values.get(name) or 0) >= times * NORMAL[name]

    involved = sum(
        any(values.get(f"{side}_{joint}_{finding}") == 1 for finding in ("tender", "swollen"))
        for side in SIDES
        for joint in CLINIC_JOINTS
        if joint not in DIP
    )
    of_joints = next((told for least, told in JOINTS if involved >= least), 0)
    serology = max(2 * high(name) + high(name, 3.0) for name in ("rf", "acpa"))
    return of_joints + serology + (high("esr") or high("crp")) + high("onset_days")


def _told(entry: Any, said: str) -> str:
    return said if entry.kind == "unchecked" else f"{entry.what.partition(': ')[2]}; P = {said}"


def _row(name: str, one: Sequence[Values], other: Sequence[Values]) -> str:
    if name in COUNTED:
        yes = "F" if name == "sex" else 1.0
        counts = np.array(
            [[sum(v[name] == yes for v in mine), sum(v[name] != yes for v in mine)] for mine in (one, other)]
        )
        p = stats.chi2_contingency(counts, correction=False).pvalue if counts.sum(axis=0).all() else float("nan")
        return f"{counts[0, 0]} of {len(one)} with RA, {counts[1, 0]} of {len(other)} without; P = {p:.4f}"
    groups = [np.array([float(v[name] or 0) for v in mine]) for mine in (one, other)]
    p = stats.mannwhitneyu(*groups).pvalue
    ends = (0.25, 0.75) if name == "onset_days" else (0.0, 1.0)  # as the paper has them
    spans = [f"{np.median(mine):g} ({'-'.join(f'{np.quantile(mine, end):g}' for end in ends)})" for mine in groups]
    return f"{'; '.join(spans)}; P = {p:.4f}"
