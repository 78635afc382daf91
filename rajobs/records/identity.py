"""Keyed pseudonyms and shifted dates: what stands for a patient, an image and a day in every table."""

import hashlib
import hmac
import os
import platform
import re
from dataclasses import dataclass, field
from datetime import date, timedelta

from rajobs.records.errors import BadKey

KEY_LENGTH = 32  # characters at the least
SHIFT_DAYS = 3653  # a date moves back by 1 to this many days
OLDEST = 90  # years; whoever is older counts as this old

IMAGE_ID = re.compile(r"[0-9a-f]{24}")
"""What a pseudonym looks like, an image's among them."""

HOW_TO = 'make one with: export {name}=$(python3 -c "import secrets; print(secrets.token_hex(32))") and keep it safe'


@dataclass(frozen=True, kw_only=True)
class Key:
    """The secret that pseudonyms hang on. It is never written; its fingerprint is."""

    secret: bytes = field(repr=False)

    @classmethod
    def from_environment(cls, name: str = "RAJOBS_KEY") -> "Key":
        """The key in a variable of the environment."""
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
        """The key in a worker's environment, which must be the one its job began with."""
        key = cls.from_environment(name)
        if key.fingerprint != fingerprint:
            raise BadKey(
                f"the key in {name} on node {platform.node()} is another one (fingerprint {key.fingerprint}) than the "
                f"job's ({fingerprint}); set the same key on every node and start the job again"
            )
        return key

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart and nothing else."""
        return self._digest("fingerprint", "")[:16]

    def pseudonym(self, domain: str, value: str) -> str:
        """The pseudonym of `value`; the same value in another domain has another one."""
        return self._digest(domain, value)[:24]

    def shift(self, patient: str, day: date) -> date:
        """The day moved back by this patient's own number of days: intervals stay, dates don't."""
        days = 1 + int(self._digest("date", patient)[:12], 16) % SHIFT_DAYS
        return day - timedelta(days=days) if day.toordinal() > days else date.min

    def _digest(self, domain: str, value: str) -> str:
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        told = f"{len(domain)}:{domain}:{value}".encode(errors="surrogateescape")  # a file's name may be any bytes
        return hmac.new(self.secret, told, hashlib.sha256).hexdigest()
