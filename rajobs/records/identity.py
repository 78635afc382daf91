"""Keyed pseudonyms and shifted dates, which replace patients, images and days in every table."""

import hashlib
import hmac
import os
import platform
import re
from dataclasses import dataclass, field
from datetime import date, timedelta

from rajobs.records.errors import BadKey

KEY_LENGTH = 32  # least number of characters
SHIFT_DAYS = 3653  # a date moves back by 1 to this many days
OLDEST = 90  # years; a higher age is stored as this

IMAGE_ID = re.compile(r"[0-9a-f]{24}")
"""The form of every pseudonym, among them an image's."""

ISSUED_BY = "^^^"
"""Stands between a patient's ID and its issuer, as in the messages of hospital systems (HL7, CX)."""

_PLACEHOLDERS = frozenset((
    "ANON", "ANONYM", "ANONYMOUS", "ANONYMIZED", "ANONYMISED", "ANONYMIZE", "ANONYMISIERT", "ANONYMISE", "DEIDENTIFIED",
    "DEFAULT", "DUMMY", "EMPTY", "HIDDEN", "INVALID", "NA", "NAN", "NIL", "NOID", "NONAME", "NONE", "NOPATIENTID",
    "NOTAVAILABLE", "NOTSET", "NULL", "PATIENT", "PATIENTID", "PHANTOM", "QA", "QC", "REDACTED", "REMOVED", "SERVICE",
    "TEMP", "TEST", "TESTPATIENT", "UNBEKANNT", "UNDEFINED", "UNIDENTIFIED", "UNK", "UNKNOWN", "XXX",
))  # fmt: skip
"""IDs that archives put in the place of one, in capitals and without signs and spaces between."""
_FILLER = re.compile(r"0*|(.)\1{3,}|0?12345(6(7(8(90?)?)?)?)?")
"""What a keyboard gives for no ID: nothing, zeros, one sign again and again, 12345 and so on."""

HOW_TO = 'make one with: export {name}=$(python3 -c "import secrets; print(secrets.token_hex(32))") and keep it safe'


@dataclass(frozen=True, kw_only=True)
class Key:
    """The secret that pseudonyms are made with. It is never written; its fingerprint is."""

    secret: bytes = field(repr=False)

    @classmethod
    def from_environment(cls, name: str = "RAJOBS_KEY") -> "Key":
        """The key in an environment variable."""
        text = os.environ.get(name, "")
        if not text:
            raise BadKey(f"no key in {name}; {HOW_TO.format(name=name)}")
        if len(text) < KEY_LENGTH:
            raise BadKey(
                f"the key in {name} has {len(text)} characters, fewer than {KEY_LENGTH}; {HOW_TO.format(name=name)}"
            )
        return cls(secret=text.encode())

    @classmethod
    def of_node(cls, name: str, fingerprint: str) -> "Key":
        """The key in a worker's environment, which must be the key of its job."""
        if not os.environ.get(name):
            raise BadKey(f"no key in {name} on node {platform.node()}; set the job's key on every node")
        key = cls.from_environment(name)
        if key.fingerprint != fingerprint:
            raise BadKey(
                f"the key in {name} on node {platform.node()} is another one (fingerprint {key.fingerprint}) than the "
                f"job's ({fingerprint}); set the job's key on every node"
            )
        return key

    @property
    def fingerprint(self) -> str:
        """Distinguishes two keys and says nothing else about them."""
        return self._digest("fingerprint", "")[:16]

    def pseudonym(self, domain: str, value: str) -> str:
        """The pseudonym of `value`; the same value has another pseudonym in another domain."""
        return self._digest(domain, value)[:24]

    def shift(self, patient: str, day: date) -> date:
        """The day, moved back by this patient's own number of days: intervals stay as they are."""
        days = 1 + int(self._digest("date", patient)[:12], 16) % SHIFT_DAYS
        return day - timedelta(days=days) if day.toordinal() > days else date.min

    def _digest(self, domain: str, value: str) -> str:
        # The length distinguishes ("ab", "c") from ("a", "bc").
        message = f"{len(domain)}:{domain}:{value}".encode(errors="surrogateescape")  # a file name may be any bytes
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()


def patient_name(patient_id: str, issuer: str | None) -> str:
    """Whom films are joined by: hospitals give one number to two patients, so that its issuer belongs to it."""
    return f"{patient_id}{ISSUED_BY}{issuer}" if issuer else patient_id


def split_patient(name: str) -> tuple[str, str | None]:
    """A patient's ID and its issuer, if one is named."""
    patient_id, _, issuer = name.partition(ISSUED_BY)
    return patient_id, issuer or None


def is_placeholder(name: str) -> bool:
    """Whether a patient's ID seems to stand for whoever had none, such as ANON or 0000."""
    plain = re.sub(r"[\W_]", "", split_patient(name)[0]).upper()
    return plain in _PLACEHOLDERS or _FILLER.fullmatch(plain) is not None
