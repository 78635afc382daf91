"""The CSV tables of a phantom: labels.csv with the labels of each image, expected.csv with the fate of each file."""

import csv
import io
from dataclasses import dataclass, field

from rajobs.phantoms.picture import Truth
from rajobs.records.errors import IGNORE_REASONS, REJECT_REASONS
from rajobs.records.tables.csv_files import escape_cell

LABEL_COLUMNS = ("image", "side", "study", "target", "site", "value", "reader", "patient", "derived_from")
EXPECTED_COLUMNS = ("object", "fate", "reason", "frames", "kind", "sop_uid")


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What ingest must do with a file: store its frames, or reject or ignore it for a reason from a closed list."""

    name: str  # images, rejects or ignored
    kind: str  # of file, such as film:rle or damage:cut-header
    reason: str = ""
    frames: int = 0
    sop_uid: str = ""

    def __post_init__(self) -> None:
        known = {"images": ("",), "rejects": REJECT_REASONS, "ignored": IGNORE_REASONS}
        assert self.reason in known[self.name], (self.name, self.reason)
        assert (self.frames > 0) == (self.name == "images"), self


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """Rows of text under named columns, written as CSV."""

    columns: tuple[str, ...]
    text: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.add(self.columns)

    def add(self, row: tuple[str, ...]) -> None:
        """Appends a row."""
        assert len(row) == len(self.columns), row
        csv.writer(self.text, lineterminator="\n").writerow(map(escape_cell, row))

    def data(self) -> bytes:
        """The bytes of the CSV file."""
        return self.text.getvalue().encode()


def label_rows(
    truths: tuple[Truth, ...], *, image: str, patient: str = "", derived_from: str | None = None
) -> list[tuple[str, ...]]:
    """The label rows of an image, named by SOP instance UID, or without a header by path and patient."""
    origin = patient, derived_from or ""
    return [(image, t.side or "", t.study, t.target, t.site or "", t.value, t.reader, *origin) for t in truths]


def expected_row(path: str, fate: Fate) -> tuple[str, ...]:
    """The row of a file in expected.csv."""
    return path, fate.name, fate.reason, str(fate.frames), fate.kind, fate.sop_uid
