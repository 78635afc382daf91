"""Readers' names, which become pseudonyms, since they name staff; some names are roles and stay."""

import re
from collections.abc import Iterable

import pyarrow as pa

from rajobs.records.identity import Key
from rajobs.records.label_consensus import ADJUDICATED
from rajobs.records.tables.schemas import READERS

UNNAMED = "reader"
"""Who read a label whose reader is not named."""
_PSEUDONYM = re.compile(r"reader-[0-9a-f]{8}")


def reader_pseudonym(key: Key, name: str | None) -> str:
    """What tables call a reader. A role and a pseudonym stay as they are."""
    name = (name or UNNAMED).strip().casefold()
    if name in (*ADJUDICATED, UNNAMED) or _PSEUDONYM.fullmatch(name):
        return name
    return f"reader-{key.pseudonym('reader', name)[:8]}"


def readers_crosswalk(key: Key, names: Iterable[str | None]) -> pa.Table:
    """Names and pseudonyms of readers, for the ledger."""
    pseudonyms = {name.strip(): reader_pseudonym(key, name) for name in names if name}
    return READERS.rows([
        {"reader": pseudonym, "name": name}
        for name, pseudonym in sorted(pseudonyms.items())
        if name.casefold() != pseudonym
    ])  # fmt: skip
