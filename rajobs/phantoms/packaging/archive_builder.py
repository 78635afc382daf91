"""How a phantom's files are mixed: films and scans in every coding, between them strays, copies and damaged files."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

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

_COPIES = {5: "copy:bytes", 13: "copy:recoded", 19: "copy:cut"}
_COPY_TURN, _STRAY_TURN, _SHOWN = 24, 6, 2
_FILMS_DAMAGE = (
    "burned-in",
    "foreign-tiff",
    "jpeg2000-bomb",
    "text-for-number",
)  # no damage, or another one, where scans are concerned


Shape = TypeVar("Shape")


class ArchiveBuilder:
    """Lays pictures into archives, with the strays, copies and damaged files that lie between them.

    `readable`: nothing but scans that can be taken in as they are.
    """

    def __init__(
        self, put: Callable[[str, bytes], None], *, seed: int, damage: float, patients: int, readable: bool = False
    ) -> None:
        self.seed, self.damage, self.readable = seed, damage, readable
        self.labels, self.expected = CsvTable(columns=LABEL_COLUMNS), CsvTable(columns=EXPECTED_COLUMNS)
        self.shown: list[Picture] = []
        self.fates: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.pictures = self.people = self.bytes = self.label_count = 0
        self._put_object = put
        self._packer = ArchivePacker(self._put, seed=seed, most=max(12, patients // 4))
        self._waiting: list[tuple[int, ArchiveFile, int]] = []  # copies for an archive after the one of this number
        self._damages = _cycle((*damage_kinds(), *hostile_kinds()))
        self._strays = _cycle(STRAYS)
        self._shown: Counter[tuple[str, str | None]] = Counter()
        self._turns: Counter[str] = Counter()  # of films, scans and loops, through their shapes
        self._owed = 0.0
        self._last: Picture | None = None  # what damaged files are made of: a film, unless there are scans alone

    @property
    def archives(self) -> int:
        """How many archives were put so far."""
        return self._packer.archives

    def add(self, picture: Picture) -> None:
        """One more picture, and now and then something that lies beside it."""
        turn = self.pictures
        self.pictures += 1
        self.people = max(self.people, picture.patient.number + 1)
        scan = picture.frames[0].ndim == 3
        if scan:
            picture = burn_in(picture, identity(self.seed, picture.patient.number))
            self._add_scan(picture, turn)
        else:
            self._add_film(picture, turn)
        self._show(picture)
        if not scan or self._last is None or self._of_scans:
            self._last = picture
        if turn % _STRAY_TURN == 0:
            self._add_stray(next(self._strays), picture)
        self._owed += self.damage
        while self._owed >= 1 and self._last is not None:
            kind = next(self._damages)
            if not (self._of_scans and kind in _FILMS_DAMAGE):
                self._owed -= 1
                self._add_damaged(kind, self._last)

    def finish(self) -> None:
        """One of each kind that had no turn yet, the copies that still wait, and the last archive."""
        if self._last is not None:
            self._complete(self._last)
        self._packer.close()
        self._lay_copies(self._waiting)
        self._packer.close()

    @property
    def _of_scans(self) -> bool:
        """Whether damaged files are made of scans, for want of a film."""
        return self._last is not None and self._last.modality == "US"

    def _complete(self, picture: Picture) -> None:
        damaged = [(kind, f"damage:{kind}") for kind in damage_kinds()]
        damaged += [(kind, f"hostile:{kind}") for kind in hostile_kinds()]
        for kind in STRAYS:
            if f"stray:{kind}" not in self.kinds:
                self._add_stray(kind, picture)
        # Scans alone are too few to bear one of each kind.
        for kind, name in damaged if self.damage > 0 and not self._of_scans else ():
            if name not in self.kinds:
                self._add_damaged(kind, picture)

    def _put(self, key: str, data: bytes) -> None:
        self.bytes += len(data)
        self._put_object(key, data)

    def _show(self, picture: Picture) -> None:
        grade = next((truth.value for truth in picture.truths if truth.target == "grade"), picture.laterality)
        kind = picture.body_part, grade
        if self._shown[kind] < _SHOWN:
            self._shown[kind] += 1
            self.shown.append(picture)

    def _add_film(self, picture: Picture, turn: int) -> None:
        syntax, form, layout = self._turn("film", FILM_ENCODINGS)
        if syntax in PICTURE_SUFFIXES and picture.truths:
            self._add_picture(picture, turn, syntax)
            return
        if syntax in PICTURE_SUFFIXES:
            syntax, form, layout = "explicit", "plain", "plain"  # a picture that no label names would be no film
        serial = f"film-{turn}"
        data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=syntax, form=form, layout=layout)
        member = self._film(picture, turn, serial, syntax, data)
        lossless = syntax not in LOSSY_SYNTAXES and form != "narrow" and layout != "bare"
        copy = _COPIES.get(turn % _COPY_TURN) if lossless else None
        if copy == "copy:cut" and self.damage > 0:
            self._add_cut_before(member, picture, turn)
            return
        number = picture.patient.number
        packed = "!/" in self._lay(member, number)
        if copy in ("copy:bytes", "copy:recoded") and packed:
            if copy == "copy:recoded":
                other = "implicit" if syntax == "explicit" else "explicit"
                data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=other, form=form)
            fate = Fate(name="ignored", reason="duplicate", kind=copy, sop_uid=member.fate.sop_uid)
            twin = self._member(picture, f"COPY{turn:04d}", data, fate)
            self._waiting.append((self._packer.number, twin, number))

    def _turn(self, kind: str, shapes: Sequence[Shape]) -> Shape:
        """The next of a kind's shapes."""
        self._turns[kind] += 1
        return shapes[(self._turns[kind] - 1) % len(shapes)]

    def _add_scan(self, picture: Picture, turn: int) -> None:
        kind, shapes = ("scan", SCAN_ENCODINGS) if len(picture.frames) == 1 else ("loop", LOOP_ENCODINGS)
        syntax, form = self._turn(kind, shapes)
        while self.readable and (syntax == "avi" or form == "no-region"):
            syntax, form = self._turn(kind, shapes)
        if syntax == "avi":
            self._add_avi(picture, turn)
            return
        serial, name = f"scan-{turn}", f"{kind}:{syntax}:{form}"
        instance = make_uid(self.seed, "instance", serial)
        self._label(picture, image=instance)
        fate = Fate(name="images", kind=name, frames=len(picture.frames), sop_uid=instance)
        if form == "no-region":
            fate = Fate(name="rejects", reason="no-region", kind=name, sop_uid=instance)
        data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=syntax, form=form)
        member = self._member(picture, _film_name(turn, instance, picture, self.seed), data, fate)
        self._lay(member, picture.patient.number)

    def _add_avi(self, picture: Picture, turn: int) -> None:
        """A loop that labels alone know for ultrasound, and nobody says where on its screen the scan is."""
        who = identity(self.seed, picture.patient.number)
        fate = Fate(name="rejects", reason="no-region", kind="loop:avi")
        member = self._member(picture, f"{who['folder']}_{turn}.avi", avi_bytes(picture, who), fate)
        self._label(picture, image=self._lay(member, picture.patient.number), patient=who.patient_id)

    def _film(self, picture: Picture, turn: int, serial: str, syntax: str, data: bytes) -> ArchiveFile:
        """A film's DICOM file, with its labels written down."""
        instance = make_uid(self.seed, "instance", serial)
        self._label(picture, image=instance)
        fate = Fate(name="images", kind=f"film:{syntax}", frames=len(picture.frames), sop_uid=instance)
        return self._member(picture, _film_name(turn, instance, picture, self.seed), data, fate)

    def _add_cut_before(self, whole: ArchiveFile, picture: Picture, turn: int) -> None:
        """The damaged copy comes first, the whole film in a later archive: it must not be lost as a duplicate."""
        fate = Fate(name="rejects", reason="truncated", kind="copy:cut", sop_uid=whole.fate.sop_uid)
        number = picture.patient.number
        self._lay(self._member(picture, f"{turn:08d}.part", truncate(whole.data), fate), number)
        self._waiting.append((self._packer.number, whole, number))

    def _add_picture(self, picture: Picture, turn: int, kind: str) -> None:
        who = identity(self.seed, picture.patient.number)
        fate = Fate(name="images", kind=f"film:{kind}", frames=1)
        name = f"{who['folder']}_{turn}{PICTURE_SUFFIXES[kind]}"
        path = self._lay(self._member(picture, name, picture_bytes(picture, kind, who), fate), picture.patient.number)
        self._label(picture, image=path, patient=who.patient_id)

    def _add_stray(self, kind: str, beside: Picture) -> None:
        serial = f"{self.kinds.total():06d}"
        self._lay(make_stray(kind, seed=self.seed, serial=serial, patient=beside.patient), beside.patient.number)

    def _add_damaged(self, kind: str, picture: Picture) -> None:
        serial = f"X{self.kinds.total():06d}"
        if kind in hostile_kinds():
            archive = make_hostile(kind, seed=self.seed, serial=serial)
            for path, fate in self._packer.add_archive(archive, patient=None):
                self._expect(path, fate)
            return
        member, labelled = make_damaged(kind, picture, seed=self.seed, serial=serial)
        path = self._lay(member, picture.patient.number)
        if labelled:
            self._label(picture, image=path, patient=identity(self.seed, picture.patient.number).patient_id)

    def _member(self, picture: Picture, name: str, data: bytes, fate: Fate) -> ArchiveFile:
        who = identity(self.seed, picture.patient.number)
        folder = f"{who['family'].title()}_{who['given'].title()}/{picture.taken:%Y%m%d}"
        return ArchiveFile(folder=folder, name=name, data=data, fate=fate)

    def _lay(self, member: ArchiveFile, patient: int) -> str:
        path = self._packer.add(member, patient=patient)
        self._expect(path, member.fate)
        self._lay_copies([entry for entry in self._waiting if entry[0] < self._packer.number])
        return path

    def _lay_copies(self, ready: list[tuple[int, ArchiveFile, int]]) -> None:
        # Both of a pair lie in archives: when loose files are read beside them is the reader's affair.
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        for _, copy, patient in ready:
            self._expect(self._packer.add(copy, patient=patient, packed=True), copy.fate)

    def _expect(self, path: str, fate: Fate) -> None:
        self.expected.add(expected_row(path, fate))
        self.fates[fate.name] += 1
        self.kinds[fate.kind] += 1
        if fate.reason:
            self.reasons[fate.reason] += 1

    def _label(self, picture: Picture, *, image: str, patient: str = "") -> None:
        for row in label_rows(picture.truths, image=image, patient=patient, derived_from=picture.derived_from):
            self.labels.add(row)
            self.label_count += 1


def _film_name(turn: int, instance: str, picture: Picture, seed: int) -> str:
    """Names as archives have them: with and without an ending, with a wrong one, with the patient's name."""
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


def _cycle(kinds: tuple[str, ...]) -> Iterator[str]:
    """Kinds in turn, for ever."""
    while True:
        yield from kinds
