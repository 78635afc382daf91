"""The identifiers planted in headers, texts, file names and archive names: none of them may appear in an output.

Every planted string contains one word of twelve letters that occurs nowhere else. A search for the words of
`canaries()`, whatever their case, therefore finds every leak.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from rajobs.records.identity import patient_name

FIELDS = (
    "family",
    "first_name",
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
"""The fields of a person's identity; a word is planted for each."""

STAFF = 0
"""The person number of files that belong to no patient, such as test exposures. Patient n is person n + 1."""

_CONSONANTS, _VOWELS = "bdfgklmnprstvwxz", "aeio"
_SYLLABLES = 6
_WORDS = (len(_CONSONANTS) * len(_VOWELS)) ** _SYLLABLES  # how many there are
_STEP = 0x9E3779B97 | 1  # odd, so that different numbers give different words
_WORDS_PER_PERSON = 64  # reserved; more than there are fields
assert len(FIELDS) <= _WORDS_PER_PERSON

ACCENTS = ("-Müller", "-Åström", "=山田=やまだ")
"""Appended to the family name, one for each of CHARSETS."""
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
        """The patient's identifier in headers."""
        return f"{self['patient_id'].upper()}-{self.person:04d}"

    @property
    def issuer(self) -> str:
        """Who issued the identifier, in headers."""
        return f"KIS {self['institution']}"

    @property
    def patient(self) -> str:
        """The patient in labels and clinic rows, as rajobs joins them with headers."""
        return patient_name(self.patient_id, self.issuer)

    @property
    def charset(self) -> str | list[str]:
        """The character set of the header."""
        return CHARSETS[self.person % len(CHARSETS)]

    @property
    def name(self) -> str:
        """The person's name as in a DICOM header, with letters beyond ASCII."""
        family, first_name = self["family"].title(), self["first_name"].title()
        accent = ACCENTS[self.person % len(ACCENTS)]
        return f"{family}^{first_name}{accent}" if accent.startswith("=") else f"{family}{accent}^{first_name}"

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
    """The word of a person's field: twelve letters, different for every person, field and seed."""
    start = int.from_bytes(hashlib.sha256(f"canary/{seed}".encode()).digest()[:8], "big")
    rest = (start + (person * _WORDS_PER_PERSON + FIELDS.index(field)) * _STEP) % _WORDS
    letters = ""
    for _ in range(_SYLLABLES):
        rest, syllable = divmod(rest, len(_CONSONANTS) * len(_VOWELS))
        letters = _CONSONANTS[syllable // len(_VOWELS)] + _VOWELS[syllable % len(_VOWELS)] + letters
    return letters


def canaries(*, seed: int, patients: int) -> tuple[str, ...]:
    """Every planted word of the staff and of the first `patients` patients, in lower case."""
    return tuple(planted_word(seed, person, field) for person in range(patients + 1) for field in FIELDS)


def leaks(data: bytes, words: Iterable[str]) -> tuple[str, ...]:
    """The planted words that occur in `data`, whatever their case."""
    text = data.lower()
    return tuple(word for word in words if word.encode() in text)
