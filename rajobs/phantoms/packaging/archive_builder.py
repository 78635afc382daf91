"""Builds a phantom's archives: films and scans in every encoding, among stray files, duplicates and damaged files."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from typing import TypeVar

from rajobs.imaging.formats.reader import read_file
from rajobs.imaging.image import ReadOptions
from rajobs.phantoms.packaging.archives import ArchiveFile, ArchivePacker
from rajobs.phantoms.packaging.canaries import identity
from rajobs.phantoms.packaging.csv_tables import (
    EXPECTED_COLUMNS,
    LABEL_COLUMNS,
    CsvTable,
    Fate,
    expected_row,
    label_rows,
)
from rajobs.phantoms.packaging.damaged_files import damage_kinds, make_damaged, truncate
from rajobs.phantoms.packaging.dicom_files import dicom_bytes
from rajobs.phantoms.packaging.dicom_headers import make_uid
from rajobs.phantoms.packaging.file_encodings import FILM_ENCODINGS, LOOP_ENCODINGS, LOSSY_SYNTAXES, SCAN_ENCODINGS
from rajobs.phantoms.packaging.hostile_archives import hostile_kinds, make_hostile
from rajobs.phantoms.packaging.picture_files import PICTURE_SUFFIXES, picture_bytes
from rajobs.phantoms.packaging.scan_files import avi_bytes, burn_in
from rajobs.phantoms.packaging.stray_files import STRAYS, make_stray
from rajobs.phantoms.picture import Picture
from rajobs.records.errors import Reject

_COPIES = {5: "copy:bytes", 13: "copy:recoded", 19: "copy:cut"}
"""Which films of each _COPY_CYCLE get a second file, and of what kind."""
_COPY_CYCLE, _STRAY_CYCLE = 24, 6  # pictures
_SHOWN_PER_KIND = 2
_FILM_DAMAGE = ("burned-in", "foreign-tiff", "jpeg2000-bomb", "text-for-number")
"""Damage that is none, or damage of another kind, if the file is made from a scan."""

Encoding = TypeVar("Encoding")


class ArchiveBuilder:
    """Packs pictures into archives, together with stray files, copies and damaged files.

    With `readable`, the only scans are those that ingest accepts without a mask of their region.
    """

    def __init__(
        self, put: Callable[[str, bytes], None], *, seed: int, damage: float, patients: int, readable: bool = False
    ) -> None:
        self.seed, self.damage, self.readable = seed, damage, readable
        self.labels, self.expected = CsvTable(columns=LABEL_COLUMNS), CsvTable(columns=EXPECTED_COLUMNS)
        self.contact_pictures: list[Picture] = []
        self.fates: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.pictures = self.people = self.bytes = self.label_count = 0
        self._put_object = put
        self._packer = ArchivePacker(self._put_and_count, seed=seed, most=max(12, patients // 4))
        self._postponed: list[tuple[int, ArchiveFile, int]] = []  # files for an archive after the one of this number
        self._damages = cycle((*damage_kinds(), *hostile_kinds()))
        self._strays = cycle(STRAYS)
        self._shown: Counter[tuple[str, str | None]] = Counter()
        self._encoded: Counter[str] = Counter()  # films, scans and loops so far
        self._damage_due = 0.0  # damaged files still to be added
        self._template: Picture | None = None  # damaged files are made from it: a film, or a scan if there is no film

    @property
    def archives(self) -> int:
        """The number of archives written so far."""
        return self._packer.archives

    def add(self, picture: Picture) -> None:
        """Adds a picture, and at intervals a stray or damaged file after it."""
        turn = self.pictures
        self.pictures += 1
        self.people = max(self.people, picture.patient.number + 1)
        scan = picture.frames[0].ndim == 3
        if scan:
            picture = burn_in(picture, identity(self.seed, picture.patient.number))
            self._add_scan(picture, turn)
        else:
            self._add_film(picture, turn)
        self._keep_for_contact_sheet(picture)
        if not _has_marks(picture) and (not scan or self._template is None or self._only_scans):
            self._template = picture
        if turn % _STRAY_CYCLE == 0:
            self._add_stray(next(self._strays), picture)
        self._damage_due += self.damage
        while self._damage_due >= 1 and self._template is not None:
            kind = next(self._damages)
            if not (self._only_scans and kind in _FILM_DAMAGE):
                self._damage_due -= 1
                self._add_damaged(kind, self._template)

    def finish(self) -> None:
        """Adds every kind of file that is still missing and the postponed copies, and closes the last archive."""
        if self._template is not None:
            self._add_missing_kinds(self._template)
        self._packer.close()
        self._pack_postponed(self._postponed)
        self._packer.close()

    @property
    def _only_scans(self) -> bool:
        """Whether damaged files are made from scans because there was no film."""
        return self._template is not None and self._template.modality == "US"

    def _add_missing_kinds(self, picture: Picture) -> None:
        damaged = [(kind, f"damage:{kind}") for kind in damage_kinds()]
        damaged += [(kind, f"hostile:{kind}") for kind in hostile_kinds()]
        for kind in STRAYS:
            if f"stray:{kind}" not in self.kinds:
                self._add_stray(kind, picture)
        # A phantom of scans alone has too few files: one of each kind would exceed the share of rejects allowed.
        for kind, name in damaged if self.damage > 0 and not self._only_scans else ():
            if name not in self.kinds:
                self._add_damaged(kind, picture)

    def _put_and_count(self, key: str, data: bytes) -> None:
        self.bytes += len(data)
        self._put_object(key, data)

    def _keep_for_contact_sheet(self, picture: Picture) -> None:
        grade = next((truth.value for truth in picture.truths if truth.target == "grade"), picture.laterality)
        kind = picture.body_part, grade
        if self._shown[kind] < _SHOWN_PER_KIND:
            self._shown[kind] += 1
            self.contact_pictures.append(picture)

    def _next_encoding(self, kind: str, encodings: Sequence[Encoding]) -> Encoding:
        self._encoded[kind] += 1
        return encodings[(self._encoded[kind] - 1) % len(encodings)]

    def _add_film(self, picture: Picture, turn: int) -> None:
        syntax, form, layout = self._next_encoding("film", FILM_ENCODINGS)
        if syntax in PICTURE_SUFFIXES and picture.truths:
            self._add_picture_file(picture, turn, syntax)
            return
        if syntax in PICTURE_SUFFIXES:
            # A picture file without a label would not be recognised as a film.
            syntax, form, layout = "explicit", "plain", "plain"
        serial = f"film-{turn}"
        data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=syntax, form=form, layout=layout)
        film = self._make_film_file(picture, turn, serial, syntax, data)
        whole = film.fate.name == "images"
        lossless = whole and syntax not in LOSSY_SYNTAXES and form != "narrow" and layout != "bare"
        copy = _COPIES.get(turn % _COPY_CYCLE) if lossless else None
        if copy == "copy:cut" and self.damage > 0:
            self._add_truncated_first(film, picture, turn)
            return
        number = picture.patient.number
        in_archive = "!/" in self._pack(film, number)
        if copy in ("copy:bytes", "copy:recoded") and in_archive:
            if copy == "copy:recoded":
                other = "implicit" if syntax == "explicit" else "explicit"
                data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=other, form=form)
            fate = Fate(name="ignored", reason="duplicate", kind=copy, sop_uid=film.fate.sop_uid)
            duplicate = self._make_file(picture, f"COPY{turn:04d}", data, fate)
            self._postponed.append((self._packer.number, duplicate, number))

    def _add_scan(self, picture: Picture, turn: int) -> None:
        kind, encodings = ("scan", SCAN_ENCODINGS) if len(picture.frames) == 1 else ("loop", LOOP_ENCODINGS)
        syntax, form = self._next_encoding(kind, encodings)
        while self.readable and (syntax == "avi" or form == "no-region"):
            syntax, form = self._next_encoding(kind, encodings)
        if syntax == "avi":
            self._add_avi(picture, turn)
            return
        serial, name = f"scan-{turn}", f"{kind}:{syntax}:{form}"
        instance = make_uid(self.seed, "instance", serial)
        self._record_labels(picture, image=instance)
        fate = Fate(name="images", kind=name, frames=len(picture.frames), sop_uid=instance)
        if form == "no-region":
            fate = Fate(name="rejects", reason="no-region", kind=name, sop_uid=instance)
        data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=syntax, form=form)
        scan = self._make_file(picture, _file_name(turn, instance, picture, self.seed), data, fate)
        self._pack(scan, picture.patient.number)

    def _add_avi(self, picture: Picture, turn: int) -> None:
        """A loop that only its labels identify as ultrasound; nothing tells the region of the scan on its screen."""
        who = identity(self.seed, picture.patient.number)
        fate = Fate(name="rejects", reason="no-region", kind="loop:avi")
        loop = self._make_file(picture, f"{who['folder']}_{turn}.avi", avi_bytes(picture, who), fate)
        self._record_labels(picture, image=self._pack(loop, picture.patient.number), patient=who.patient)

    def _make_film_file(self, picture: Picture, turn: int, serial: str, syntax: str, data: bytes) -> ArchiveFile:
        """A film's DICOM file; its labels are recorded."""
        instance = make_uid(self.seed, "instance", serial)
        self._record_labels(picture, image=instance)
        fate = _film_fate(picture, data, Fate(name="images", kind=f"film:{syntax}", frames=1, sop_uid=instance))
        return self._make_file(picture, _file_name(turn, instance, picture, self.seed), data, fate)

    def _add_truncated_first(self, film: ArchiveFile, picture: Picture, turn: int) -> None:
        """Adds a truncated copy now and the film itself to a later archive: it must not be ignored as a duplicate."""
        fate = Fate(name="rejects", reason="truncated", kind="copy:cut", sop_uid=film.fate.sop_uid)
        number = picture.patient.number
        self._pack(self._make_file(picture, f"{turn:08d}.part", truncate(film.data), fate), number)
        self._postponed.append((self._packer.number, film, number))

    def _add_picture_file(self, picture: Picture, turn: int, kind: str) -> None:
        who = identity(self.seed, picture.patient.number)
        name, data = f"{who['folder']}_{turn}{PICTURE_SUFFIXES[kind]}", picture_bytes(picture, kind, who)
        fate = _film_fate(picture, data, Fate(name="images", kind=f"film:{kind}", frames=1))
        film = self._make_file(picture, name, data, fate)
        self._record_labels(picture, image=self._pack(film, picture.patient.number), patient=who.patient)

    def _add_stray(self, kind: str, previous: Picture) -> None:
        serial = f"{self.kinds.total():06d}"
        self._pack(make_stray(kind, seed=self.seed, serial=serial, patient=previous.patient), previous.patient.number)

    def _add_damaged(self, kind: str, picture: Picture) -> None:
        serial = f"X{self.kinds.total():06d}"
        if kind in hostile_kinds():
            archive = make_hostile(kind, seed=self.seed, serial=serial)
            for path, fate in self._packer.add_archive(archive, patient=None):
                self._record_fate(path, fate)
            return
        file, labelled = make_damaged(kind, picture, seed=self.seed, serial=serial)
        path = self._pack(file, picture.patient.number)
        if labelled:
            self._record_labels(picture, image=path, patient=identity(self.seed, picture.patient.number).patient)

    def _make_file(self, picture: Picture, name: str, data: bytes, fate: Fate) -> ArchiveFile:
        who = identity(self.seed, picture.patient.number)
        folder = f"{who['family'].title()}_{who['first_name'].title()}/{picture.taken:%Y%m%d}"
        return ArchiveFile(folder=folder, name=name, data=data, fate=fate)

    def _pack(self, file: ArchiveFile, patient: int) -> str:
        """Packs a file, then the postponed files for which a later archive has begun; returns the file's path."""
        path = self._packer.add(file, patient=patient)
        self._record_fate(path, file.fate)
        self._pack_postponed([entry for entry in self._postponed if entry[0] < self._packer.number])
        return path

    def _pack_postponed(self, ready: list[tuple[int, ArchiveFile, int]]) -> None:
        # Both files of a pair lie in archives, because the order in which loose files are read is not defined.
        self._postponed = [entry for entry in self._postponed if entry not in ready]
        for _, file, patient in ready:
            self._record_fate(self._packer.add(file, patient=patient, in_archive=True), file.fate)

    def _record_fate(self, path: str, fate: Fate) -> None:
        self.expected.add(expected_row(path, fate))
        self.fates[fate.name] += 1
        self.kinds[fate.kind] += 1
        if fate.reason:
            self.reasons[fate.reason] += 1

    def _record_labels(self, picture: Picture, *, image: str, patient: str = "") -> None:
        for row in label_rows(picture.truths, image=image, patient=patient, derived_from=picture.derived_from):
            self.labels.add(row)
            self.label_count += 1


def _has_marks(picture: Picture) -> bool:
    """Whether arrows, boxes, measures or letters are drawn on a film."""
    return bool(picture.details.get("marks"))


def _film_fate(picture: Picture, data: bytes, fate: Fate) -> Fate:
    """A film's fate. Which drawn letters lie over the anatomy is not known here, so films with marks are read."""
    if _has_marks(picture):
        try:
            read_file(data, ReadOptions(pictures="radiograph"))
        except Reject as reject:
            return replace(fate, name="rejects", reason=reject.reason, frames=0)
    return fate


def _file_name(turn: int, instance: str, picture: Picture, seed: int) -> str:
    """File names as in archives: with and without a suffix, with a wrong one, with the patient's name."""
    family = identity(seed, picture.patient.number)["family"]
    names = (
        f"IM{turn:06d}",
        f"{turn:08d}.dcm",
        f"{family.title()}_{turn}.DCM",
        instance,
        f"IMG{turn}.IMA",
        f"scan{turn}.jpg",
        f"{turn}",
    )
    return names[turn % len(names)]
