"""The tables beside the archives: labels.csv, the truth of each image, and expected.csv, the fate of each file."""

import csv
import io
from dataclasses import dataclass, field

from rajobs.phantoms.picture import Truth
from rajobs.records.errors import IGNORE_REASONS, REJECT_REASONS

LABEL_COLUMNS = ("image", "side", "study", "target", "site", "value", "reader", "patient", "derived_from")
EXPECTED_COLUMNS = ("object", "fate", "reason", "frames", "kind", "sop_uid")
FATES = ("images", "rejects", "ignored")


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What must become of a file: in `images` with so many frames, or one of the closed lists' reasons."""

    name: str
    kind: str
    reason: str = ""
    frames: int = 0
    sop_uid: str = ""

    def __post_init__(self) -> None:
        known = {"images": ("",), "rejects": REJECT_REASONS, "ignored": IGNORE_REASONS}
        assert self.reason in known[self.name], (self.name, self.reason)
        assert (self.frames > 0) == (self.name == "images"), self


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """Rows of text under named columns, kept as CSV."""

    columns: tuple[str, ...]
    text: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.add(self.columns)

    def add(self, row: tuple[str, ...]) -> None:
        """One more row."""
        assert len(row) == len(self.columns), row
        csv.writer(self.text, lineterminator="\n").writerow(row)

    def data(self) -> bytes:
        """The table as a CSV file."""
        return self.text.getvalue().encode()


def label_rows(
    truths: tuple[Truth, ...], *, image: str, patient: str = "", derived_from: str | None = None
) -> list[tuple[str, ...]]:
    """The rows of one image: by its SOP instance UID, or by its path and its patient where it has no header."""
    about = patient, derived_from or ""
    return [(image, t.side or "", t.study, t.target, t.site or "", t.value, t.reader, *about) for t in truths]


def expected_row(path: str, fate: Fate) -> tuple[str, ...]:
    """The row of one file."""
    return path, fate.name, fate.reason, str(fate.frames), fate.kind, fate.sop_uid
