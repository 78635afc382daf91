"""What there is to read in DATA: its patients in an order, and of some of them the hands, films or scans."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rajobs import studies
from rajobs.imaging import rows as row_kinds
from rajobs.imaging.hand_geometry import Position, positions_from_labels
from rajobs.imaging.rows import COLUMNS, FILM_MODALITIES, RADIOGRAPH, Row
from rajobs.jobs.builtin import NAME
from rajobs.jobs.sheet.plan import Subject
from rajobs.jobs.train.dataset import agreed_places
from rajobs.jobs.train.places import complete, locate, open_finders, read_located
from rajobs.learning.study import Study
from rajobs.records.anatomy import HAND_SITES, PARTS, SITES
from rajobs.records.errors import UsageError
from rajobs.records.label_consensus import consensus
from rajobs.records.manifest import digest
from rajobs.records.scan_grades import split_into_scans
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import iterate_parts, read_table
from rajobs.records.tables.schemas import EXTREMITIES, FILMS, IMAGES, JOINTS, LABELS, ULTRASOUND, VIEWS

FEWEST_PLACES = 3
"""Joints without which a hand cannot be cut out."""
FOOT = "foot"
"""A view of what the finders do not know, but labels may place."""
GRADES = ("grade_p", "grey_grade_p")
_COLUMNS = (*COLUMNS, "visit_date", "frame", "doppler")

Doubts = Mapping[str, float]
"""By patient: the largest doubt of score about a hand, film or scan, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ReadingData:
    """DATA as a study reads it; with the tables of a score, its places and doubts."""

    store: Store
    study: Study
    tables: Store | None
    labels: pa.Table
    ray: str | None

    @classmethod
    def open(cls, store: Store, study: Study, tables: Store | None, ray: str | None) -> "ReadingData":
        return cls(store=store, study=study, tables=tables, labels=read_table(store, "labels", LABELS), ray=ray)

    def patients(self, *, by_doubt: bool) -> tuple[list[str], int]:
        """Patients in the order in which they are to be read, those without labels first; how many have labels."""
        of_study = self.labels.filter(pc.equal(self.labels.column("study"), self.study.name))
        images = set(of_study.column("image_id").to_pylist())
        labelled: dict[str, bool] = {}
        for row in self._images():
            labelled[row["patient"]] = labelled.get(row["patient"], False) or row["image_id"] in images
        doubts = self._doubts() if self.tables is not None else {}
        if self.tables is not None and not labelled.keys() & doubts.keys() and doubts:
            raise UsageError(
                f"--tables {self.tables.uri} is of other data: none of its patients is in {self.store.uri}; name the "
                f"OUT of `rajobs score {self.store.uri} MODELS OUT`"
            )
        known = [patient for patient in labelled if self.tables is None or patient in doubts]

        def order(patient: str) -> tuple[bool, float, str]:
            return labelled[patient], -doubts.get(patient, 0.0) if by_doubt else 0.0, digest(["random", patient])

        return sorted(known, key=order), sum(labelled[patient] for patient in known)

    def _images(self, patients: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
        """The images that the study reads, of all patients or of some; drawings and variants are nobody's."""
        wanted = self.study.rows.picture == RADIOGRAPH
        columns = _COLUMNS if patients is not None else COLUMNS
        for _, table in iterate_parts(self.store, "images", IMAGES, list(columns)):
            for row in table.to_pylist():
                of_kind = (row["modality"] in FILM_MODALITIES) == wanted and row["derived_from"] is None
                if of_kind and (patients is None or row["patient"] in patients):
                    yield row

    def _doubts(self) -> Doubts:
        assert self.tables is not None
        doubts: defaultdict[str, float] = defaultdict(float)
        for row in self._scored_rows():
            patient = row.pop("patient")
            doubts[patient] = max(doubts[patient], _doubt(row))
        return doubts

    def _scored_rows(self) -> Iterator[dict[str, Any]]:
        assert self.tables is not None
        if self.study.rows.cut_by_positions:
            schema, columns = EXTREMITIES, ["doubt"]
        elif self.study.rows.picture == RADIOGRAPH:
            schema, columns = FILMS, [f"{view}_p" for view in VIEWS]
        else:
            schema, columns = ULTRASOUND, list(GRADES)
        for _, table in iterate_parts(self.tables, schema.name, schema, ["patient", *columns]):
            yield from table.to_pylist()

    def subjects(self, patients: Sequence[str]) -> dict[str, list[Subject]]:
        """What these patients have to be read, by patient; those without anything are left out."""
        images = list(self._images(set(patients)))
        if self.study.rows.cut_by_positions:
            subjects = self._hands(images)
        elif self.study.rows.picture == RADIOGRAPH:
            subjects = [_whole(row) for row in images]
        else:
            subjects = list(_scans(images))
        by_patient: dict[str, list[Subject]] = {patient: [] for patient in patients}
        for subject in subjects:
            by_patient[subject.patient].append(subject)
        return {patient: of_patient for patient, of_patient in by_patient.items() if of_patient}

    def _hands(self, images: Sequence[Mapping[str, Any]]) -> list[Subject]:
        about = {row["image_id"]: row for row in images}
        table = pa.table({name: [row[name] for row in images] for name in COLUMNS})
        hands = row_kinds.EXTREMITIES.rows_of_part(table, self._positions(set(about)))
        parts = PARTS if self.study.rows.labels_name_site else PARTS[:1]  # stages are of hands alone
        return [
            Subject(
                image_id=row.image_id, patient=about[row.image_id]["patient"], day=about[row.image_id]["visit_date"],
                part=SITES[row.joints[0].site].part, side=row.side, row=row, frames=(row.image_id,),
            )
            for row in hands
            if len(row.joints) >= FEWEST_PLACES and SITES[row.joints[0].site].part in parts
        ]  # fmt: skip

    def _positions(self, films: set[str]) -> dict[str, Sequence[Position]]:
        """Where joints lie: by labels, else by the tables, else by the built-in finders, which look now."""
        places, absent = agreed_places(self.labels)
        by_labels = {film: each for film, each in positions_from_labels(places).items() if film in films}
        films = films - films_without_hands(self.labels)
        silent = {film for film in films if not _is_placed(by_labels.get(film, ()))}
        located = self._scored_places(silent) if self.tables is not None else self._located(silent)
        with_side = {(row["image_id"], row["side"], None) for row in self.labels.to_pylist() if row["side"]}
        return dict(complete(by_labels, located, with_side, absent))

    def _located(self, films: set[str]) -> dict[str, list[Position]]:
        if not films:
            return {}
        finders = open_finders(NAME)
        located = read_located(self.store, finders, films)
        if films - located.keys():
            locate(self.store, finders, films - located.keys(), self.ray)
            located = read_located(self.store, finders, films)
        return located

    def _scored_places(self, films: set[str]) -> dict[str, list[Position]]:
        assert self.tables is not None
        located: defaultdict[str, list[Position]] = defaultdict(list)
        columns = ["image_id", "site", "side", "x", "y", "confidence"]
        for _, table in iterate_parts(self.tables, JOINTS.name, JOINTS, columns):
            for row in table.to_pylist():
                film = row.pop("image_id")
                if row["x"] is not None and film in films:
                    located[film].append(Position(**row))
        return located


def films_without_hands(labels: pa.Table) -> set[str]:
    """Films that readers call something that no study of hands reads."""
    without: set[str] = set()
    for study in studies.every():
        if study.scores is not None and study.scores.passes:
            views = consensus(labels, study.name, study.targets[0].name, ordered=False, whole=True)
            without |= {film for (film, _, _), view in views.items() if view not in (*study.scores.passes, FOOT)}
    return without


def _is_placed(places: Sequence[Position]) -> bool:
    """Whether labels place every site of each hand of a film; finders do not know feet."""
    by_side: defaultdict[str | None, set[str]] = defaultdict(set)
    for place in places:
        by_side[place.side].add(place.site)
    every = {site.name for site in HAND_SITES}
    return bool(by_side) and all(sites >= every or not sites & every for sites in by_side.values())


def _doubt(row: Mapping[str, Any]) -> float:
    """Score's doubt; where it gives none, how far the likeliest answer is from certain."""
    if "doubt" in row:
        return float(row["doubt"] or 0.0)
    if any(name in row for name in GRADES):
        return max((1 - max(row[name]) for name in GRADES if row[name]), default=0.0)
    known = [value for value in row.values() if value is not None]
    return 1 - max(known) if known else 0.0


def _whole(row: Mapping[str, Any]) -> Subject:
    return Subject(
        image_id=row["image_id"], patient=row["patient"], day=row["visit_date"], part="", side=None,
        row=Row(image_id=row["image_id"], at=0), frames=(row["image_id"],),
    )  # fmt: skip


def _scans(images: Sequence[Mapping[str, Any]]) -> Iterator[Subject]:
    """Scans out of frames in the tables' order; the labels of a loop go to one frame, with colour if there is some."""
    for _, of_patient in groupby(images, key=lambda row: (row["patient"], row["visit_date"])):
        for scan in split_into_scans([{"side": None, "site": None, **row} for row in of_patient]):
            coloured = [frame for frame in scan if frame["doppler"]] or scan
            labelled = coloured[len(coloured) // 2]
            day: date | None = labelled["visit_date"]
            yield Subject(
                image_id=labelled["image_id"], patient=labelled["patient"], day=day, part="", side=None,
                row=Row(image_id=labelled["image_id"], at=0), frames=tuple(frame["image_id"] for frame in scan),
            )  # fmt: skip
