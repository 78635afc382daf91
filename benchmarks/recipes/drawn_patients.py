"""Compares 000's drawn patients with the paper, for clinic_pictures.py: split, criteria, tables 3 and 4."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from printed_numbers import PrintedNumbers, as_sum
from scipy import stats

from rajobs import studies
from rajobs.imaging.clinic_visits import Finding
from rajobs.imaging.clinical_picture import ITEMS
from rajobs.jobs.train.dataset import open_labelled_data, read_clinic_visits
from rajobs.jobs.train.splits import frozen_split
from rajobs.papers.paper_data import Entry
from rajobs.phantoms.clinic.visits import ClinicRow, draw_published, variants
from rajobs.records.anatomy import CLINIC_JOINTS, DIP, SIDES

STUDY, TARGET = "clinical_array", "ra_clinical"
MULTIPLIED = {True: 6, False: 5}  # pictures per patient in 000, with and without RA
PRINTED_AS = {
    "rf": "RF", "acpa": "ACPA", "esr": "ESR", "onset_days": "onset to visit, days", "crp": "CRP", "ana": "ANA",
    "mmp3": "MMP-3", "wbc": "WBC", "temperature": "body temperature", "patient_vas": "patient VAS",
    "doctor_vas": "doctor VAS",
}  # fmt: skip
COUNTED = {"sex": "gender", "skin": "skin abnormality", "trunk_pain": "trunk pain"}
NORMAL = {"rf": 15, "acpa": 4.5, "esr": 20, "crp": 0.3, "onset_days": 42}
"""Values from which a finding is abnormal: the bounds of table 2, and six weeks."""
JOINTS = ((11, 5), (4, 3), (1, 2))  # small joints involved, points
Values = Mapping[str, Finding]


def multiplied(seed: int) -> Iterator[ClinicRow]:
    """000's 249 patients with variants; the split excludes the variants of the patients that it tests on."""
    for number, (_, row) in enumerate(draw_published(seed)):
        yield from variants(row, MULTIPLIED[row.ra_clinical], np.random.default_rng([seed, number]))


def counts(data: str, paper: PrintedNumbers) -> None:
    """Compare the numbers of patients and pictures in the split of published mode with the paper's."""
    source = open_labelled_data(data, studies.find(STUDY))
    part = {row["image_id"]: row["split"] for row in frozen_split(source, "published")[0].to_pylist()}
    pictures: Counter[tuple[bool, bool]] = Counter()  # by (test part, RA)
    people: dict[tuple[bool, bool], set[str]] = {}
    for visit in read_clinic_visits(source.store, (TARGET,)):
        if visit.image_id in part:
            key = part[visit.image_id] == "test", visit.findings[TARGET] == 1
            pictures[key] += 1
            people.setdefault(key, set()).add(visit.patient)
    count = {key: len(patients) for key, patients in people.items()}
    learning, testing = ([count[test, ra] for ra in (True, False)] for test in (False, True))
    shown = [pictures[False, ra] for ra in (True, False)]
    for what, here in (
        ("patients (for learning", [sum(learning), sum(testing)]),
        ("patients for learning", learning),
        ("patients for testing", testing),
        ("pictures for learning", shown),
    ):
        entry = paper.take(what)
        theirs, ours = f"{entry['printed']} = {as_sum(entry['sum'])}", f"{sum(here)} = {as_sum(here)}"
        print(f"  {entry.what}: {theirs} in 000, {ours} here")
    for what, count_of_pictures, count_of_patients in (
        ("pictures of RA", shown[0], learning[0]), ("pictures of others", shown[1], learning[1]),
    ):  # fmt: skip
        entry = paper.take(what)
        print(f"  {entry.what}: {entry['printed']} in 000, {count_of_pictures} of {count_of_patients} patients here")


def tables(seed: int, paper: PrintedNumbers) -> None:
    """Compare the drawn patients with tables 3 and 4: median (range) with RA and without, and P."""
    rows = list(multiplied(seed))
    tested = {row.patient for part, row in draw_published(seed) if part != "learning"}
    parts = {
        "table 3": [row for row in rows if row.patient in tested],
        "table 4": [row for row in rows if (row.derived_from or row.patient) not in tested],
    }
    for where, patients in parts.items():
        one, other = ([row.values for row in patients if row.ra_clinical == ra] for ra in (True, False))
        print(f"\n{where}: with RA ({len(one)}); without ({len(other)}); Mann-Whitney's or chi-squared P")
        for name in ITEMS:
            entry = paper.take((PRINTED_AS | COUNTED)[name], where)
            print(f"  {name:<12} 000: {_printed(entry):<60} here: {_compared(name, one, other)}")


def criteria(seed: int, paper: PrintedNumbers) -> None:
    """Print the 2010 ACR/EULAR criteria's points of the drawn patients with RA in the test part."""
    entry = paper.take("classification scores")
    tested = [row for part, row in draw_published(seed) if part != "learning" and row.ra_clinical]
    patients = Counter(points(row.values) for row in tested)
    here = ", ".join(f"{score} in {patients[score]}" for score in sorted(patients))
    print(f"\n{entry.what}: {as_sum(entry['sum'])} of the scores 1, 4, 5, 6, 7 and 10 in 000; here {here}")


def points(values: Values) -> int:
    """Points of at most ten, from the hands' small joints involved, serology, acute phase and duration."""

    def high(name: str, times: float = 1.0) -> bool:
        return float(values.get(name) or 0) >= times * NORMAL[name]

    involved = sum(
        any(values.get(f"{side}_{joint}_{finding}") == 1 for finding in ("tender", "swollen"))
        for side in SIDES
        for joint in CLINIC_JOINTS
        if joint not in DIP
    )
    of_joints = next((score for least, score in JOINTS if involved >= least), 0)
    serology = max(2 * high(name) + high(name, 3.0) for name in ("rf", "acpa"))
    return of_joints + serology + (high("esr") or high("crp")) + high("onset_days")


def _printed(entry: Entry) -> str:
    text = str(entry["printed"])
    counts = entry.what.partition(": ")[2]
    return f"{counts}; P = {text}" if counts and entry.kind != "unchecked" else text


def _compared(name: str, one: Sequence[Values], other: Sequence[Values]) -> str:
    if name in COUNTED:
        yes = "F" if name == "sex" else 1.0
        counts = np.array(
            [[sum(v[name] == yes for v in group), sum(v[name] != yes for v in group)] for group in (one, other)]
        )
        p = stats.chi2_contingency(counts, correction=False).pvalue if counts.sum(axis=0).all() else float("nan")
        return f"{counts[0, 0]} of {len(one)} with RA, {counts[1, 0]} of {len(other)} without; P = {p:.4f}"
    groups = [np.array([float(v[name] or 0) for v in group]) for group in (one, other)]
    p = stats.mannwhitneyu(*groups).pvalue
    ends = (0.25, 0.75) if name == "onset_days" else (0.0, 1.0)  # as in the paper
    ranges = ["-".join(f"{np.quantile(group, end):g}" for end in ends) for group in groups]
    spans = [f"{np.median(group):g} ({span})" for group, span in zip(groups, ranges)]
    return f"{'; '.join(spans)}; P = {p:.4f}"
