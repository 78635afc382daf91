"""Who reads which patients, in which order, and what of a patient is read together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations, groupby

from rajobs.imaging.rows import Row
from rajobs.records.anatomy import PARTS
from rajobs.records.manifest import digest
from rajobs.reports.sheet.words import PART_WORDS

MOST_TOGETHER = 4
"""Pictures side by side; of more visits there are several cases."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A hand, a film or a scan that somebody reads."""

    image_id: str  # of the film; of a scan, the frame that takes the labels
    patient: str
    day: date | None
    part: str  # hand, foot, or empty
    side: str | None
    row: Row
    frames: tuple[str, ...]  # image_ids of what is shown

    @property
    def name(self) -> str:
        """Tells it from all others."""
        return f"{self.image_id}-{self.row.extremity}"


@dataclass(frozen=True, kw_only=True)
class PlannedCase:
    """Subjects that are read together, and what each is called on the page."""

    patient: str
    part: str
    what: str
    subjects: tuple[Subject, ...]
    titles: tuple[str, ...]


def assign_readers(patients: Sequence[str], readers: Sequence[str], double: float) -> dict[str, list[str]]:
    """Each reader's patients in their order: a share `double`, spread evenly, has two readers, the rest have one."""
    by_reader: dict[str, list[str]] = {reader: [] for reader in readers}
    pairs = list(combinations(readers, 2))
    twice = once = 0
    for number, patient in enumerate(patients):
        if pairs and _steps(number + 1, double) > _steps(number, double):
            chosen: Sequence[str] = pairs[twice % len(pairs)]
            twice += 1
        else:
            chosen = (readers[once % len(readers)],)
            once += 1
        for reader in chosen:
            by_reader[reader].append(patient)
    return by_reader


def _steps(number: int, share: float) -> int:
    return math.ceil(round(number * share, 9))


def cases_of(subjects: Sequence[Subject], *, noun: str, blind: bool) -> list[PlannedCase]:
    """What of one patient is read together: each hand at all visits, in order or (`blind`) shuffled."""
    if not any(subject.part for subject in subjects):
        return [_case([subject], [""], noun) for subject in sorted(subjects, key=_by_day)]
    cases = []
    ordered = sorted(subjects, key=lambda each: (PARTS.index(each.part), each.side or "", *_by_day(each)))
    for _, hand in groupby(ordered, key=lambda each: (each.part, each.side)):
        of_hand = list(hand)
        if blind:
            of_hand.sort(key=lambda each: digest(["shuffled", each.name]))
        titles = _titles(of_hand, blind)
        count = math.ceil(len(of_hand) / MOST_TOGETHER)
        size = math.ceil(len(of_hand) / count)
        for first in range(0, len(of_hand), size):
            together = slice(first, first + size)
            cases.append(_case(of_hand[together], titles[together], noun))
    return cases


def _by_day(subject: Subject) -> tuple[date, str, int]:
    return subject.day or date.min, subject.image_id, subject.row.extremity


def _case(subjects: Sequence[Subject], titles: Sequence[str], noun: str) -> PlannedCase:
    first = subjects[0]
    what = PART_WORDS[first.part, first.side] if first.part else noun
    return PlannedCase(
        patient=first.patient, part=first.part, what=what, subjects=tuple(subjects), titles=tuple(titles)
    )  # fmt: skip


def _titles(subjects: Sequence[Subject], blind: bool) -> list[str]:
    """`day 0`, and `day 365` after the first; without an order, or where a day is unknown, only letters."""
    if len(subjects) == 1:
        return [""]
    days = [subject.day for subject in subjects if subject.day is not None]
    if blind or len(days) < len(subjects):
        return [f"film {chr(ord('A') + number)}" for number in range(len(subjects))]
    titles = [f"day {(day - days[0]).days}" for day in days]
    before = [titles[:number].count(title) for number, title in enumerate(titles)]
    return [f"{title}, film {count + 1}" if count else title for title, count in zip(titles, before)]


Sheets = Mapping[str, Sequence[tuple[str, Sequence[PlannedCase]]]]
"""By reader: the files, each with its cases."""


def plan_rows(sheets: Sheets) -> list[dict[str, str]]:
    """The plan as a table: a row for each thing that a reader reads, in that order, with the sheet it stands in."""
    readers: dict[str, list[str]] = {}
    for reader, _, _, subject, _ in _readings(sheets):
        readers.setdefault(subject.name, []).append(reader)
    return [
        {
            "reader": reader, "sheet": sheet, "number": str(number), "patient": subject.patient,
            "image_id": subject.image_id, "part": subject.part, "side": subject.side or "", "shown_as": title,
            "also_read_by": " ".join(other for other in readers[subject.name] if other != reader),
        }
        for reader, sheet, number, subject, title in _readings(sheets)
    ]  # fmt: skip


def _readings(sheets: Sheets) -> Iterator[tuple[str, str, int, Subject, str]]:
    """Reader, file, number of the case in it, and each subject of the case with its title."""
    for reader, files in sheets.items():
        for file, cases in files:
            for number, case in enumerate(cases, 1):
                for subject, title in zip(case.subjects, case.titles):
                    yield reader, file, number, subject, title
