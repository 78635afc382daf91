"""How a phantom's files are mixed: films in every coding, and between them strays, copies and damaged files."""

from collections import Counter
from collections.abc import Callable, Iterator

from rajobs.phantoms.archives import Member, Packer
from rajobs.phantoms.canaries import identity
from rajobs.phantoms.damage import cut_copy, damage_kinds, make_damaged
from rajobs.phantoms.dicomfile import dicom_bytes
from rajobs.phantoms.headers import uid
from rajobs.phantoms.hostile import hostile_kinds, make_hostile
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.picturefile import PICTURES, picture_bytes
from rajobs.phantoms.strays import STRAYS, make_stray
from rajobs.phantoms.tables import EXPECTED_COLUMNS, LABEL_COLUMNS, Fate, Table, expected_row, label_rows

_RARE: tuple[tuple[str, str, str], ...] = (
    ("explicit", "plain", "plain"),
    ("jpeg-lossless", "plain", "plain"),
    ("implicit", "plain", "no-preamble"),
    ("rle", "signed", "plain"),
    ("png", "", ""),
    ("explicit", "signed", "odd-vr"),
    ("jpeg-ls", "plain", "planted-preamble"),
    ("implicit", "rescaled", "bare"),
    ("jpeg2000", "plain", "plain"),
    ("explicit", "sixteen", "deep-sequence"),
    ("jpeg-baseline", "eight", "plain"),
    ("big-endian", "plain", "plain"),
    ("jpeg-lossless", "narrow", "open-sequences"),
    ("explicit", "modality-lut", "tiff-preamble"),
    ("deflated", "plain", "plain"),
    ("jpeg", "", ""),
    ("htj2k", "loose", "plain"),
    ("implicit", "voi-lut", "open-sequences"),
    ("jpeg-extended", "twelve", "plain"),
    ("explicit", "padded", "trailing"),
    ("jpeg-ls-near", "plain", "plain"),
    ("jpeg2000-lossy", "no-window", "plain"),
    ("rle", "eight", "no-preamble"),
    ("tiff", "", ""),
    ("jpeg-lossless-any", "two-windows", "plain"),
    ("implicit", "ten", "plain"),
    ("htj2k-lossy", "loose", "plain"),
    ("explicit", "eight", "planted-preamble"),
    ("big-endian", "modality-lut", "plain"),
    ("jpeg-lossless", "voi-lut", "plain"),
    ("bmp", "", ""),
    ("explicit", "loose", "plain"),
    ("implicit", "padded", "plain"),
    ("explicit", "two-windows", "no-preamble"),
    ("jpeg-lossless", "rescaled", "plain"),
    ("explicit", "no-window", "plain"),
    ("implicit", "plain", "plain"),
    ("rle", "ten", "plain"),
    ("explicit", "voi-lut", "open-sequences"),
    ("implicit", "signed", "bare"),
    ("jpeg-lossless", "sixteen", "plain"),
    ("explicit", "rescaled", "plain"),
    ("implicit", "two-windows", "plain"),
)
_COMMON = (
    ("explicit", "plain", "plain"),
    ("implicit", "plain", "plain"),
    ("jpeg-lossless", "plain", "plain"),
    ("explicit", "two-windows", "plain"),
    ("implicit", "no-window", "plain"),
    ("rle", "plain", "plain"),
)
SHAPES = _RARE + 10 * _COMMON
"""How films are written, in turn: syntax (or kind of picture), form of the samples, layout of the file.

Rare ones come first, so that a few patients meet most of them; over all, cheap and common ones prevail. Their number is
a prime, lest every left hand be a PNG.
"""
_LOSSY = ("jpeg-baseline", "jpeg-extended", "jpeg-ls-near", "jpeg2000-lossy", "htj2k-lossy")
_COPIES = {5: "copy:bytes", 13: "copy:recoded", 19: "copy:cut"}
_COPY_TURN, _STRAY_TURN, _SHOWN = 24, 6, 2


class Mixture:
    """Lays pictures into archives, with the strays, copies and damaged files that lie between them."""

    def __init__(self, put: Callable[[str, bytes], None], *, seed: int, damage: float, patients: int) -> None:
        self.seed, self.damage = seed, damage
        self.labels, self.expected = Table(columns=LABEL_COLUMNS), Table(columns=EXPECTED_COLUMNS)
        self.shown: list[Picture] = []
        self.fates: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.pictures = self.people = self.bytes = self.label_count = 0
        self._put_object = put
        self._packer = Packer(self._put, seed=seed, most=max(12, patients // 4))
        self._waiting: list[tuple[int, Member, int]] = []  # copies for an archive after the one of this number
        self._damages = _cycle((*damage_kinds(), *hostile_kinds()))
        self._strays = _cycle(STRAYS)
        self._shown: Counter[tuple[str, str | None]] = Counter()
        self._owed = 0.0
        self._last: Picture | None = None  # grey: what damaged files are made of

    @property
    def archives(self) -> int:
        """How many archives were put so far."""
        return self._packer.archives

    def add(self, picture: Picture) -> None:
        """One more picture, and now and then something that lies beside it."""
        turn = self.pictures
        self.pictures += 1
        self.people = max(self.people, picture.patient.number + 1)
        self._show(picture)
        if picture.frames[0].ndim == 3:
            self._add_colour(picture, turn)
        else:
            self._add_film(picture, turn)
            self._last = picture
        if turn % _STRAY_TURN == 0:
            self._add_stray(next(self._strays), picture)
        self._owed += self.damage
        while self._owed >= 1 and self._last is not None:
            self._owed -= 1
            self._add_damaged(next(self._damages), self._last)

    def finish(self) -> None:
        """One of each kind that had no turn yet, the copies that still wait, and the last archive."""
        if self._last is not None:
            self._complete(self._last)
        self._packer.close()
        self._lay_copies(self._waiting)
        self._packer.close()

    def _complete(self, picture: Picture) -> None:
        damaged = [(kind, f"damage:{kind}") for kind in damage_kinds()]
        damaged += [(kind, f"hostile:{kind}") for kind in hostile_kinds()]
        for kind in STRAYS:
            if f"stray:{kind}" not in self.kinds:
                self._add_stray(kind, picture)
        for kind, name in damaged if self.damage > 0 else ():
            if name not in self.kinds:
                self._add_damaged(kind, picture)

    def _put(self, key: str, data: bytes) -> None:
        self.bytes += len(data)
        self._put_object(key, data)

    def _show(self, picture: Picture) -> None:
        kind = picture.body_part, picture.laterality
        if self._shown[kind] < _SHOWN:
            self._shown[kind] += 1
            self.shown.append(picture)

    def _add_film(self, picture: Picture, turn: int) -> None:
        syntax, form, layout = SHAPES[turn % len(SHAPES)]
        if syntax in PICTURES and picture.truths:
            self._add_picture(picture, turn, syntax)
            return
        if syntax in PICTURES:
            syntax, form, layout = "explicit", "plain", "plain"  # a picture that no label names would be no film
        serial = f"film-{turn}"
        data = dicom_bytes(picture, seed=self.seed, serial=serial, syntax=syntax, form=form, layout=layout)
        member = self._film(picture, turn, serial, syntax, data)
        lossless = syntax not in _LOSSY and form != "narrow" and layout != "bare"
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

    def _add_colour(self, picture: Picture, turn: int) -> None:
        serial = f"scan-{turn}"
        data = dicom_bytes(picture, seed=self.seed, serial=serial)
        self._lay(self._film(picture, turn, serial, "explicit", data), picture.patient.number)

    def _film(self, picture: Picture, turn: int, serial: str, syntax: str, data: bytes) -> Member:
        """A picture's DICOM file, with its labels written down."""
        instance = uid(self.seed, "instance", serial)
        self._label(picture, image=instance)
        fate = Fate(name="images", kind=f"film:{syntax}", frames=len(picture.frames), sop_uid=instance)
        return self._member(picture, _film_name(turn, instance, picture, self.seed), data, fate)

    def _add_cut_before(self, whole: Member, picture: Picture, turn: int) -> None:
        """The damaged copy comes first, the whole film in a later archive: it must not be lost as a duplicate."""
        fate = Fate(name="rejects", reason="truncated", kind="copy:cut", sop_uid=whole.fate.sop_uid)
        number = picture.patient.number
        self._lay(self._member(picture, f"{turn:08d}.part", cut_copy(whole.data), fate), number)
        self._waiting.append((self._packer.number, whole, number))

    def _add_picture(self, picture: Picture, turn: int, kind: str) -> None:
        who = identity(self.seed, picture.patient.number)
        fate = Fate(name="images", kind=f"film:{kind}", frames=1)
        name = f"{who['folder']}_{turn}{PICTURES[kind]}"
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

    def _member(self, picture: Picture, name: str, data: bytes, fate: Fate) -> Member:
        who = identity(self.seed, picture.patient.number)
        folder = f"{who['family'].title()}_{who['given'].title()}/{picture.taken:%Y%m%d}"
        return Member(folder=folder, name=name, data=data, fate=fate)

    def _lay(self, member: Member, patient: int) -> str:
        path = self._packer.add(member, patient=patient)
        self._expect(path, member.fate)
        self._lay_copies([entry for entry in self._waiting if entry[0] < self._packer.number])
        return path

    def _lay_copies(self, ready: list[tuple[int, Member, int]]) -> None:
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
        for row in label_rows(picture.truths, image=image, patient=patient):
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
