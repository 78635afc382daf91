"""What the summary of ingest says of patients: IDs that several people may share, and films that name nobody."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any

from rajobs.imaging.ingest_rows import PATIENT_BY_EXAM, PATIENT_BY_FOLDER
from rajobs.records.identity import OLDEST
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import read_part
from rajobs.records.tables.part_index import in_order
from rajobs.records.tables.schemas import CLINIC, IMAGES

YEAR = 365.25  # days
SLACK = 366
"""Days by which two exams' ages may contradict each other: some are of the day of the order."""
_COLUMNS = ("patient", "sex", "age_years", "visit_date")
_PARALLEL_PARTS = 16


class _Person:
    """What the headers say of a patient: sexes, and between which days of the shifted calendar they were born."""

    __slots__ = ("images", "not_after", "not_before", "sexes")

    def __init__(self) -> None:
        self.images, self.sexes = 0, set[str]()
        self.not_before, self.not_after = float("-inf"), float("inf")

    def add(self, sex: str | None, age: int | None, day: date | None) -> None:
        self.images += 1
        if sex in ("F", "M"):
            self.sexes.add(sex)
        if age is not None and age < OLDEST and day is not None and day > date.min:
            self.not_before = max(self.not_before, day.toordinal() - (age + 1) * YEAR)
            self.not_after = min(self.not_after, day.toordinal() - age * YEAR)

    @property
    def contradicts_itself(self) -> bool:
        return len(self.sexes) > 1 or self.not_before > self.not_after + SLACK


def count_doubtful_patients(
    store: Store, parts: Mapping[str, Iterable[str]], placeholders: Collection[str]
) -> dict[str, int]:
    """IDs that stand for several people, it seems, and their images; and the clinic's patients without an image.

    `parts`: the keys of the parts, by table.
    """
    people = _people_of_images(store, in_order(parts[IMAGES.name]))
    doubtful = [person for name, person in people.items() if name in placeholders or person.contradicts_itself]
    of_clinic = [read_part(store, key, CLINIC, ["patient"]) for key in parts.get(CLINIC.name, ())]
    clinic = {patient for part in of_clinic for patient in part.column("patient").to_pylist()}
    return {
        "doubtful": len(doubtful), "images_of_doubtful": sum(person.images for person in doubtful),
        "clinic_without_image": len(clinic - people.keys()), "clinic": len(clinic),
    }  # fmt: skip


def _people_of_images(store: Store, keys: Sequence[str]) -> dict[str, _Person]:
    people: dict[str, _Person] = {}
    with ThreadPoolExecutor(_PARALLEL_PARTS) as pool:
        read = partial(read_part, store, schema=IMAGES, columns=_COLUMNS)
        for part in pool.map(read, keys):
            for row in part.to_pylist():
                people.setdefault(row["patient"], _Person()).add(row["sex"], row["age_years"], row["visit_date"])
    return people


def describe_patients(counts: Mapping[str, int], patients: Mapping[str, Any]) -> Iterator[str]:
    """Lines for the summary."""
    if counts[PATIENT_BY_FOLDER]:
        yield (
            f"{counts[PATIENT_BY_FOLDER]} images have a patient neither in a header nor in labels: all of one folder "
            "count as one patient. Give --labels a column patient, with a name or number for each, and ingest again"
        )
    if counts[PATIENT_BY_EXAM]:
        yield (
            f"{counts[PATIENT_BY_EXAM]} images have a header that names no patient: each exam counts as one patient. "
            "--labels with a column patient may name them, by their paths"
        )
    if patients["doubtful"]:
        yield (
            f"{patients['doubtful']} patient IDs seem to stand for several people (ANON and the like, or exams whose "
            f"sex or year of birth contradict each other): {patients['images_of_doubtful']} images, which count as "
            "those of one patient for each ID"
        )
    if patients["clinic_without_image"]:
        yield (
            f"{patients['clinic_without_image']} of {patients['clinic']} patients of the clinic table have no image. "
            "Where headers name the issuer of an ID, the table has to name it, too, as 1234^^^HOSPITAL"
        )
