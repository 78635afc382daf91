"""The identifiers that are planted in headers, texts, file names and archive names: none of them may leave the source.

Every planted string holds one word of twelve letters that stands nowhere else, so that a search without regard to case
for the words of `canaries()` finds any leak, and `owner()` says whose field it came from.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

FIELDS = (
    "family",
    "given",
    "patient_id",
    "other_id",
    "former_name",
    "street",
    "city",
    "phone",
    "institution",
    "department",
    "physician",
    "operator",
    "accession",
    "station",
    "device",
    "maker",
    "description",
    "comment",
    "body_part",
    "private",
    "private_bytes",
    "private_person",
    "nested",
    "history",
    "preamble",
    "folder",
    "archive",
    "text",
)
"""What is planted of each person."""

STAFF = 0
"""The person of what belongs to no patient: test exposures, a department's papers. Patient n is person n + 1."""

_CONSONANTS, _VOWELS = "bdfgklmnprstvwxz", "aeio"
_SYLLABLES = 6
_SPACE = (len(_CONSONANTS) * len(_VOWELS)) ** _SYLLABLES
_STEP = 0x9E3779B97 | 1  # odd, so that numbering the words is one to one
_PLACES = 64  # words kept for each person; more than there are fields
assert len(FIELDS) <= _PLACES

ACCENTS = ("-Müller", "-Åström", "=山田=やまだ")
"""Written behind the family name, one kind for each of CHARSETS."""
CHARSETS: tuple[str | list[str], ...] = ("ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 87"])


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The planted words of one person, by field."""

    seed: int
    person: int

    def __getitem__(self, field: str) -> str:
        return planted_word(self.seed, self.person, field)

    @property
    def patient_id(self) -> str:
        """The identifier that joins headers, labels and clinic rows."""
        return f"{self['patient_id'].upper()}-{self.person:04d}"

    @property
    def charset(self) -> str | list[str]:
        """The character set of the header."""
        return CHARSETS[self.person % len(CHARSETS)]

    @property
    def name(self) -> str:
        """The person's name as a header writes it, letters beyond ASCII included."""
        family, given = self["family"].title(), self["given"].title()
        accent = ACCENTS[self.person % len(ACCENTS)]
        return f"{family}^{given}{accent}" if accent.startswith("=") else f"{family}{accent}^{given}"

    @property
    def address(self) -> str:
        """Street and city."""
        return (
            f"{self['street'].title()}str. {self.person % 90 + 1}, {10000 + self.person % 89999} {self['city'].title()}"
        )


def identity(seed: int, patient_number: int | None) -> Identity:
    """The identity of a drawn patient, or of the staff (None)."""
    return Identity(seed=seed, person=STAFF if patient_number is None else patient_number + 1)


def planted_word(seed: int, person: int, field: str) -> str:
    """The one word of a person's field: twelve letters, another one for every person, field and seed."""
    start = int.from_bytes(hashlib.sha256(f"canary/{seed}".encode()).digest()[:8], "big")
    rest = (start + (person * _PLACES + FIELDS.index(field)) * _STEP) % _SPACE
    letters = ""
    for _ in range(_SYLLABLES):
        rest, syllable = divmod(rest, len(_CONSONANTS) * len(_VOWELS))
        letters = _CONSONANTS[syllable // len(_VOWELS)] + _VOWELS[syllable % len(_VOWELS)] + letters
    return letters


def canaries(*, seed: int, patients: int) -> tuple[str, ...]:
    """Every planted word, in lower case, of the staff and of the first `patients` patients."""
    return tuple(planted_word(seed, person, field) for person in range(patients + 1) for field in FIELDS)


def owner(found: str, *, seed: int, patients: int) -> tuple[int, str]:
    """The person and the field of a planted word."""
    place = canaries(seed=seed, patients=patients).index(found)
    return place // len(FIELDS), FIELDS[place % len(FIELDS)]


def leaks(data: bytes, words: Iterable[str]) -> tuple[str, ...]:
    """The planted words that stand in `data`, whatever their case."""
    text = data.lower()
    return tuple(word for word in words if word.encode() in text)
