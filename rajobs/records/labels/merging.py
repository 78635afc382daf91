"""Labels that were read, as rows of the labels table: matched to images, and merged into the rows that are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from rajobs.records.identity import Key
from rajobs.records.labels.label_files import refuse_contradictions
from rajobs.records.labels.readers import reader_pseudonym
from rajobs.records.tables.schemas import LABELS

READING = ("image_id", "study", "side", "site", "target", "reader")
"""The columns that say what a label is about and who read it: of two such rows the newer one stands."""

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class MatchedLabels:
    """Labels of files as rows of the labels table, in the files' order, their notes, and those that match no image."""

    rows: Sequence[Record]
    notes: Sequence[Record]  # each once: a row of a wide table has several labels
    unmatched: Sequence[Record]  # as they were read


def match_labels(labels: pa.Table, ids: Mapping[tuple[str, int], str], key: Key) -> MatchedLabels:
    """Labels with the image_ids of the images that they name, `ids` by name and frame; readers become pseudonyms.

    BadTable if two rows of one file contradict each other: they may name one image in two ways.
    """
    rows: list[Record] = []
    notes: dict[tuple[str, ...], Record] = {}
    unmatched: list[Record] = []
    for uri, of_file in groupby(labels.to_pylist(), key=lambda row: row["file"]):
        readings = []
        for row in of_file:
            image = ids.get((row["image"], int(row["frame"] or 0)))
            if image is None:
                unmatched.append(row)
                continue
            label = {name: row[name] for name in ("side", "study", "target", "site", "value", "split")}
            rows.append({"image_id": image, **label, "reader": reader_pseudonym(key, row["reader"])})
            readings.append((row["row"], reading_of(rows[-1]), row["value"]))
            if row["note"]:
                note = {"image_id": image, "reader": rows[-1]["reader"], "note": row["note"]}
                notes[tuple(note.values())] = note
        refuse_contradictions(uri, readings)
    return MatchedLabels(rows=rows, notes=list(notes.values()), unmatched=unmatched)


def reading_of(row: Record) -> tuple[str | None, ...]:
    return tuple(row[name] for name in READING)


def merge_labels(older: Sequence[Record], newer: Sequence[Record]) -> tuple[pa.Table, int]:
    """One row per reading, the newest, in the order of the readings; and how many got another value or part."""
    by_reading: dict[tuple[str | None, ...], Record] = {}
    replaced = 0
    for row in (*older, *newer):
        before = by_reading.get(reading_of(row), row)
        replaced += (before["value"], before["split"]) != (row["value"], row["split"])
        by_reading[reading_of(row)] = row
    ordered = sorted(by_reading, key=lambda reading: tuple(name or "" for name in reading))
    return LABELS.rows([dict(by_reading[reading]) for reading in ordered]), replaced
