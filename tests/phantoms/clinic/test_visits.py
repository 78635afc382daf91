"""Drawn clinic visits follow the printed tables of paper 000, agree with the films, and are read like a user table."""

from pathlib import Path

import numpy as np
import pytest

from rajobs.phantoms.clinic import printed_tables as printed
from rajobs.phantoms.clinic.visits import ClinicRow, clinic_table, draw_clinic, draw_published, draw_variables, variants
from rajobs.phantoms.packaging.canaries import identity
from rajobs.phantoms.people.activity import joint_activity, joint_damage
from rajobs.phantoms.people.cohort import plan_patient
from rajobs.phantoms.write import write_phantoms
from rajobs.records.anatomy import CLINIC_JOINTS, SIDES
from rajobs.records.identity import Key
from rajobs.records.tables.schemas import CLINIC
from rajobs.records.user_tables import read_clinic

# Tables 3 and 4 of paper 000: median, minimum, maximum.
PRINTED: dict[tuple[str, bool], dict[str, tuple[float, float, float]]] = {
    ("learning", True): {
        "rf": (68, 0, 2265), "esr": (36, 5, 111), "crp": (0.63, 0, 14.8), "ana": (0, 0, 640), "mmp3": (116, 16, 706),
        "wbc": (7200, 2700, 12200), "patient_vas": (35, 0, 90), "doctor_vas": (10, 0, 80),
    },
    ("learning", False): {
        "rf": (5, 0, 810), "acpa": (0, 0, 145), "esr": (10, 5, 67), "crp": (0.05, 0, 5.6), "ana": (0, 0, 2560),
        "mmp3": (38.3, 10, 155), "wbc": (5700, 2100, 12800), "patient_vas": (10, 0, 90), "doctor_vas": (1, 0, 60),
    },
    ("testing", True): {
        "rf": (13, 0, 236), "acpa": (2.4, 0, 680), "esr": (26, 6, 98), "crp": (0.68, 0.06, 11.1), "ana": (80, 0, 160),
        "mmp3": (97.7, 49.1, 195), "wbc": (7150, 4900, 10800), "patient_vas": (35, 0, 90), "doctor_vas": (22.5, 0, 88),
    },
    ("testing", False): {
        "rf": (5, 0, 313), "acpa": (0, 0, 724), "esr": (10, 4, 59), "crp": (0.035, 0.01, 1.67), "ana": (0, 0, 1280),
        "mmp3": (37.3, 22.2, 70.1), "wbc": (6100, 2900, 13400), "patient_vas": (30, 0, 80), "doctor_vas": (6, 0, 70),
    },
}  # fmt: skip
QUARTILES = {
    ("learning", True): (30, 60, 120), ("learning", False): (30, 60, 360),
    ("testing", True): (56, 150, 315), ("testing", False): (25, 60, 365),
}  # fmt: skip
TEMPERATURES = {
    ("learning", True): (35.8, 37.4), ("learning", False): (35.8, 37.8),
    ("testing", True): (36, 37.2), ("testing", False): (35.8, 37),
}  # fmt: skip
_DRAWN = 2000


@pytest.mark.parametrize("kind", PRINTED, ids=str)
def test_variables_follow_the_printed_tables(kind: tuple[str, bool]) -> None:
    rng = np.random.default_rng(1)
    rows = [draw_variables(rng, part=kind[0], ra=kind[1], level=float(rng.normal())) for _ in range(_DRAWN)]
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, (median, low, high) in PRINTED[kind].items():
        near = 0.51 * 10.0 ** -printed.DIGITS.get(name, 0)  # rounding
        assert low - near <= values[name].min() and values[name].max() <= high + near, name
        between = np.quantile(values[name], (0.46, 0.54))  # 3.6 standard errors of a median's rank
        assert between[0] - near <= median <= between[1] + near, name
    for share, days in zip((0.25, 0.5, 0.75), QUARTILES[kind], strict=True):
        days_near = np.quantile(values["onset_days"], (share - 0.04, share + 0.04))
        assert days_near[0] <= days <= days_near[1]
    lowest, highest = TEMPERATURES[kind]
    assert lowest <= values["temperature"].min() and values["temperature"].max() <= highest
    for name in ("skin", "trunk_pain"):
        count, total = printed.SHARES[kind][name]
        assert abs(values[name].mean() - count / total) < 0.035, name


def test_the_published_cohort_has_its_counts() -> None:
    rows = list(draw_published(4))
    for part, ra, count in (
        ("learning", True, 42), ("learning", False, 157), ("testing", True, 10), ("testing", False, 40),
    ):  # fmt: skip
        assert sum((p, row.ra_clinical) == (part, ra) for p, row in rows) == count
    assert len({row.patient for _, row in rows}) == 249
    women = sum(row.values["sex"] == "F" for part, row in rows if part == "learning" and not row.ra_clinical)
    assert abs(women / 157 - 585 / 785) < 0.12


@pytest.fixture(scope="module")
def rows() -> list[ClinicRow]:
    return list(draw_clinic(patients=150, seed=2))


def _joints(rows: list[ClinicRow]) -> list[dict[str, float]]:
    names = ("symptom", "tender", "swollen", "gs", "pd")
    return [
        {name: float(row.values[f"{side}_{joint}_{name}"]) for name in names}
        for row in rows
        for side in SIDES
        for joint in CLINIC_JOINTS
    ]


@pytest.mark.slow
def test_findings_rise_with_the_grades(rows: list[ClinicRow]) -> None:
    joints = _joints([row for row in rows if row.reader == "doctor1"])
    for finding in ("swollen", "tender", "symptom"):
        shares = [np.mean([joint[finding] for joint in joints if joint["pd"] == grade]) for grade in range(4)]
        assert shares[3] > shares[2] > shares[1] > shares[0], (finding, shares)
    assert all(joint["pd"] == 0 for joint in joints if joint["gs"] == 0)


@pytest.mark.slow
def test_grades_rise_with_the_damage_on_the_films(rows: list[ClinicRow]) -> None:
    by_damage: dict[int, list[int]] = {0: [], 1: [], 2: []}
    by_visit = {(row.patient, row.visit_date): row for row in rows}
    for number in range(150):
        plan = tuple(plan_patient(number, seed=2))
        for visit in {film.visit for film in plan}:
            film = next(film for film in plan if film.visit == visit and film.part == "hand")
            row = by_visit[identity(2, number).patient, film.taken]
            for (side, joint), grades in joint_activity(plan, visit).items():
                assert list(grades) == [row.values[f"{side}_{joint}_gs"], row.values[f"{side}_{joint}_pd"]]
                if film.patient.ra and not joint.startswith("DIP"):
                    by_damage[joint_damage(film.scores[side], joint)].append(grades[0])
    means = [np.mean(by_damage[band]) for band in range(3)]
    assert means[0] < means[1] < means[2]


def test_visits_and_readers_of_a_patient_agree(rows: list[ClinicRow]) -> None:
    patients: dict[str, list[ClinicRow]] = {}
    for row in rows:
        patients.setdefault(row.patient, []).append(row)
    assert len(patients) == 150
    assert any(row.reader == "doctor2" for row in rows)
    for visits in patients.values():
        assert len({(r.ra_clinical, r.values["sex"], r.values["rf"], r.values["acpa"]) for r in visits}) == 1
        assert len({(r.visit_date.toordinal() - float(r.values["onset_days"])) for r in visits}) == 1


@pytest.mark.parametrize(("ra", "copies"), [(True, printed.RA_COPIES), (False, printed.OTHER_COPIES)])
def test_variants_keep_the_diagnosis_and_name_their_origin(rows: list[ClinicRow], ra: bool, copies: int) -> None:
    row = next(row for row in rows if row.ra_clinical == ra)
    multiplied = variants(row, copies, np.random.default_rng(0))
    assert len(multiplied) == copies and multiplied[0] is row
    assert len({each.patient for each in multiplied}) == len({each.cells() for each in multiplied}) == copies
    for variant in multiplied[1:]:
        assert variant.ra_clinical == ra and variant.derived_from == row.patient
        assert {n: v for n, v in variant.values.items() if n.endswith(("pd", "gs"))} == {
            n: v for n, v in row.values.items() if n.endswith(("pd", "gs"))
        }
        for name, bounds in printed.BOUNDS.items():
            assert np.digitize(float(variant.values[name]), bounds) == np.digitize(float(row.values[name]), bounds)


def test_the_clinic_file_is_read_like_a_users_file(tmp_path: Path) -> None:
    summary = write_phantoms(str(tmp_path), patients=6, seed=5, only="clinic")
    assert summary.pictures == 0 and summary.archives == 0
    assert (tmp_path / "clinic.csv").read_bytes() == clinic_table(draw_clinic(patients=6, seed=5))
    assert (tmp_path / "labels.csv").read_text().count("\n") == 1
    key = Key(secret=b"k" * 32)
    table = read_clinic(str(tmp_path / "clinic.csv"), key)
    assert (tmp_path / "clinic.csv").read_text().splitlines()[0].split(",") == [c.name for c in CLINIC.columns]
    assert set(table.column("derived_from").to_pylist()) == {None}, "variants are made only when a study is trained"
    assert set(table.column("patient").to_pylist()) == {
        key.pseudonym("patient", identity(5, number).patient) for number in range(6)
    }
    assert write_phantoms(str(tmp_path), patients=6, seed=5, only="clinic").already
