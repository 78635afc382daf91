"""rajobs import: label files out of public data sets, which go straight into ingest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rajobs.jobs import console
from rajobs.jobs.import_labels import ra2_dream, ram_h1200
from rajobs.jobs.import_labels.imported import ImportedLabels, Scores
from rajobs.jobs.ingest.label_vocabulary import label_vocabulary
from rajobs.records.errors import DataError, UnknownName
from rajobs.records.store import Store, open_store
from rajobs.records.tables.csv_files import to_csv

LABELS_FILE = "labels.csv"
COLUMNS = ("image", "side", "study", "target", "site", "value", "reader", "patient", "split")


@dataclass(frozen=True, kw_only=True)
class Format:
    """A public data set's layout."""

    read: Callable[[Store, Scores], ImportedLabels]
    licence: str


FORMATS: Mapping[str, Format] = {
    ra2_dream.NAME: Format(read=ra2_dream.read_ra2_dream, licence=ra2_dream.LICENCE),
    ram_h1200.NAME: Format(read=ram_h1200.read_ram_h1200, licence=ram_h1200.LICENCE),
}


def import_labels(data_set: str, source: str, out: str) -> None:
    """Write the labels of a data set at `source` to OUT/labels.csv; nothing is written if they have a mistake."""
    if data_set not in FORMATS:
        raise UnknownName.among("data set", data_set, FORMATS)
    chosen = FORMATS[data_set]
    imported = chosen.read(open_store(source), Scores.of_vocabulary(label_vocabulary()))
    if not imported.rows:
        raise DataError(f"the scores of {data_set} at {source} are all empty")
    table = pa.Table.from_pylist(
        [dict(row) for row in imported.rows], schema=pa.schema([(name, pa.string()) for name in COLUMNS])
    )
    empty = [name for name in COLUMNS if table.column(name).null_count == table.num_rows]
    open_store(out).put(LABELS_FILE, to_csv(table.drop_columns(empty)))
    console.table(f"imported {data_set}", {**imported.counts, "rows of labels": table.num_rows})
    console.line(f"{chosen.licence}.")
    console.line(f"labels: {out}/{LABELS_FILE}")
    console.line(f"next: rajobs ingest {source} DATA --labels {out}/{LABELS_FILE}")
