"""The labels table: new labels matched to images and merged into it; those that match nothing go beside the ledger."""

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from rajobs.jobs import console
from rajobs.jobs.ingest.label_ids import label_ids
from rajobs.records.identity import Key
from rajobs.records.labels.label_files import LABEL_COLUMNS, name_rows
from rajobs.records.labels.merging import Record, match_labels, merge_labels, reading_of
from rajobs.records.labels.readers import readers_crosswalk
from rajobs.records.store import Store
from rajobs.records.store.lease import Fence, number_of, numbered, without_number
from rajobs.records.tables.csv_files import to_csv
from rajobs.records.tables.parquet_parts import iterate_parts, read_table, to_parquet
from rajobs.records.tables.part_index import Sizes, measure, put_index, read_index, read_indexes, stored_sizes
from rajobs.records.tables.schemas import CLINIC, CROSSWALK, LABELS, NOTES, READERS
from rajobs.records.tables.table_schema import TableSchema
from rajobs.records.user_tables import UID

UNMATCHED = "unmatched.csv"
LIKENESS = 0.6  # of two file names, from which on one may be meant by the other
MOST_COMPARED = 5_000_000  # pairs of file names: half a minute or so
MOST_PATHS = 1_000_000


def put_labels(fence: Fence, ledger: Store | None, key: Key, labels: pa.Table, *, replace: bool) -> dict[str, int]:
    """Merge labels into the labels table, or `replace` it by them; their counts for the manifest.

    The newest of the labels with one image, side, site, target and reader stands.
    """
    store = fence.store
    matched = match_labels(labels, label_ids(store, key, labels), key)
    older = read_table(store, LABELS.name, LABELS).to_pylist()
    table, replaced = merge_labels([] if replace else older, matched.rows)
    if replaced:
        console.line(f"{replaced} labels take the place of older ones of the same image, side, site, target and reader")
    dropped = len({reading_of(row) for row in older} - {reading_of(row) for row in matched.rows}) if replace else 0
    if dropped:
        console.line(f"{dropped} older labels are thrown away, as --replace-labels says")
    replace_table(fence, LABELS, table)
    if ledger is not None:
        put_new(ledger, READERS, readers_crosswalk(key, labels.column("reader").to_pylist()))
        _put_unmatched(ledger, matched.unmatched)
    _put_notes(ledger, matched.notes)
    _report_unmatched(ledger, matched.unmatched)
    return {"rows": table.num_rows, "without_image": len(matched.unmatched)}


def _put_notes(ledger: Store | None, notes: Sequence[Record]) -> None:
    """What a user wrote beside labels may name anybody: it is kept beside the ledger, and nowhere without one."""
    if notes and ledger is None:
        console.line(f"{len(notes)} notes of the labels are left out: they may name patients; --ledger keeps them")
    elif notes and ledger is not None:
        put_new(ledger, NOTES, NOTES.rows([dict(note) for note in notes]))


def _put_unmatched(ledger: Store, unmatched: Sequence[Record]) -> None:
    """Write the labels that match no image with the file that may be meant, or take an older list of them away."""
    if not unmatched:
        if ledger.stat(UNMATCHED) is not None:
            ledger.delete(UNMATCHED)
        return
    images = {row["image"] for row in unmatched}
    meant = nearest_paths(sorted(image for image in images if not UID.fullmatch(image)), _paths(ledger))
    nowhere = (None, "no file has this name")
    rows = [{**row, **dict(zip(("nearest_path", "why"), meant.get(row["image"], nowhere)))} for row in unmatched]
    ledger.put(
        UNMATCHED, to_csv(pa.Table.from_pylist(rows).select(["file", "row", *LABEL_COLUMNS, "nearest_path", "why"]))
    )


def _paths(ledger: Store) -> dict[str, bool]:
    """The paths that the ledger knows, and whether an image was kept of each; of very many only the first ones."""
    paths: dict[str, bool] = {}
    for _, part in iterate_parts(ledger, CROSSWALK.name, CROSSWALK, ["path", "image_ids"]):
        for path, images in zip(part.column("path").to_pylist(), part.column("image_ids").to_pylist()):
            paths[path] = paths.get(path, False) or bool(images)
        if len(paths) > MOST_PATHS:
            break
    return paths


def nearest_paths(names: Sequence[str], paths: Mapping[str, bool]) -> dict[str, tuple[str | None, str]]:
    """For each name of the labels the path that may be meant, and why the name itself matches no image."""
    by_stem: dict[str, list[str]] = {}
    for path in sorted(paths):
        by_stem.setdefault(_stem(path), []).append(path)
    left = MOST_COMPARED
    meant: dict[str, tuple[str | None, str]] = {}
    for name in names:
        if name in paths:
            meant[name] = name, "several files have this name" if paths[name] else "the file is no image; see rejects"
            continue
        stems = [_stem(name)] if _stem(name) in by_stem else []
        if not stems and left > 0:
            left -= len(by_stem)
            stems = difflib.get_close_matches(_stem(name), by_stem, n=1, cutoff=LIKENESS)
        several = bool(stems) and len(by_stem[stems[0]]) > 1
        why = "several files have a name like this" if several else "no file has this name"
        meant[name] = (by_stem[stems[0]][0] if stems else None), why
    return meant


def _stem(path: str) -> str:
    """A file's name without its folder and ending, in small letters; hand-2 is hand-002."""
    return re.sub(r"0+(?=\d)", "", path.rpartition("/")[2].partition(".")[0].casefold())


def _report_unmatched(ledger: Store | None, unmatched: Iterable[Record]) -> None:
    """Say which rows of which files match no image. Names stay in the ledger: they may name patients."""
    by_file: dict[str, list[int]] = {}
    for row in unmatched:
        by_file.setdefault(row["file"], []).append(row["row"])
    for uri, rows in by_file.items():
        mend = (
            f"{ledger.uri}/{UNMATCHED} lists them with the nearest path" if ledger is not None
            else "with --ledger they are listed with the nearest path"
        )  # fmt: skip
        console.line(f"{len(rows)} labels of {uri} match no image ({name_rows(rows)}): {mend}")


def put_new(store: Store, schema: TableSchema, table: pa.Table, prefix: str = "part") -> str:
    """Put a table as one part that is named for its content, unless it is there; its key."""
    data = to_parquet(table, schema)
    name = _name(schema, data, prefix)
    if store.stat(name) is None:
        store.put(name, data)
    return name


def _name(schema: TableSchema, data: bytes, prefix: str = "part") -> str:
    return f"{schema.name}/{prefix}-{hashlib.sha256(data).hexdigest()[:24]}.parquet"


def replace_table(fence: Fence, schema: TableSchema, table: pa.Table) -> None:
    """Put a table in the place of the older one, unless it is the same."""
    data = to_parquet(table, schema)
    name, index = _name(schema, data), read_index(fence.store, schema.name) or {}
    if [without_number(key) for key in index] != [name] or not _is_there(fence.store, index):
        key = numbered(name, fence.number)
        fence.check(now=True)
        fence.store.put(key, data)
        put_index(fence, {schema.name: {key: measure(data)}})


def _is_there(store: Store, index: Sizes) -> bool:
    stored = {key: store.stat(key) for key in index}
    return all(entry is not None and entry.size == index[key][1] for key, entry in stored.items())


def sweep_tables(fence: Fence) -> None:
    """Remove the labels and the clinic tables in whose place others have come."""
    for name, index in read_indexes(fence.store).items():
        for key in stored_sizes(fence.store, [name]) if name in (LABELS.name, CLINIC.name) else ():
            if key not in index and number_of(key) <= fence.number:
                fence.check()
                fence.store.delete(key)
