"""rajobs ingest: archives in, Parquet parts of images, rejects and labels out.

A worker streams a shard's members and puts its parts under keys that follow from the shard,
then a marker; the driver alone deals with duplicates across shards, labels and the manifest. What has a marker is done.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.image import OPTIONAL_MODALITIES, ReadOptions
from rajobs.imaging.ingest_rows import PATIENT_BY_EXAM, PATIENT_BY_FOLDER, TEXT_BLANKED
from rajobs.imaging.limits import GIB, MIB
from rajobs.jobs import cluster, console, pool
from rajobs.jobs.ingest import duplicates
from rajobs.jobs.ingest.doubtful_patients import count_doubtful_patients, describe_patients
from rajobs.jobs.ingest.inventory import Inventory, LineSpool, spool_shards, take_inventory
from rajobs.jobs.ingest.label_hints import LabelHints, label_changes, label_hints, unique_paths
from rajobs.jobs.ingest.label_tables import put_labels, put_new, replace_table, sweep_tables
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.jobs.ingest.markers import (
    CHOSEN_REJECTS,
    LabelChanges,
    check_counts,
    count,
    parts_by_table,
    read_done,
    read_markers,
)
from rajobs.jobs.ingest.worker import IngestSettings, IngestWorker, digest_options
from rajobs.records.errors import TooManyRejects, UsageError
from rajobs.records.identity import Key
from rajobs.records.manifest import MANIFEST, check_claim, claim, digest, put_manifest, put_plan, read_manifest
from rajobs.records.store import Store, absolute, is_within, lease, open_store
from rajobs.records.store.lease import Fence, without_number
from rajobs.records.tables.parquet_parts import check_schema_of_table, list_parts
from rajobs.records.tables.part_index import (
    check_stored,
    describe_stored,
    drop_older_indexes,
    is_stored,
    put_index,
    read_indexes,
)
from rajobs.records.tables.schemas import CLINIC, CROSSWALK
from rajobs.records.user_tables import clinic_crosswalks, read_clinic

WORKER_BYTES = 3 * GIB // 2
"""Memory for a worker and its decoder: on a machine with little of it there are fewer workers."""
WAVE, WAVE_BYTES = 20_000, 64 * MIB
"""Shards, and bytes of their JSON, that are handed to workers at once: the driver holds no more."""


TOTALS = ("objects", "images", "frames", "shards")
KINDS = {"rejects": "reject:", "ignored": "ignored:", "modalities": "modality:"}
"""Counts by reason in the manifest, and how their names begin in markers; modalities: what --modalities would bring."""
USER_TABLES = ("labels", "clinic")
_CENTRE = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, kw_only=True)
class IngestRequest:
    """What a person asks of ingest."""

    sources: tuple[str, ...]
    out: str
    labels: tuple[str, ...] = ()
    replace_labels: bool = False
    clinic: str | None = None
    centre: str | None = None
    key_env: str = "RAJOBS_KEY"
    ledger: str | None = None
    limit: int | None = None
    no_ledger: bool = False  # that there is no ledger is meant
    max_rejects: float = 0.2
    follow_links: bool = False  # also those that lead out of a source
    options: ReadOptions = ReadOptions()  # noqa: RUF009 - frozen
    ray: str | None = None
    take_over: bool = False


@dataclass(frozen=True, kw_only=True)
class _Input:
    """What is asked of OUT, once it is known to be sound."""

    request: IngestRequest
    store: Store
    key: Key
    labels: pa.Table | None
    clinic: pa.Table | None
    inventory: Inventory
    file_paths: Mapping[str, str]
    hints: LabelHints

    @property
    def identity(self) -> dict[str, str]:
        return {"key": self.key.fingerprint}

    @property
    def sources(self) -> str:
        """A keyed hash, since it depends on the files' names, of what is to be read, and how."""
        request = self.request
        settings = digest_options(request.options) + self.hints.digest(self.key)
        asked = [self.inventory.hash, request.limit, settings, bool(request.ledger), request.centre]
        return self.key.pseudonym("shard", digest(asked))[:16]

    @property
    def tables(self) -> str:
        """A keyed hash, since they name patients, of the user's tables that are to be merged or to be put."""
        hashes = [None if table is None else _hash_of(table) for table in (self.labels, self.clinic)]
        return self.key.pseudonym("hints", f"{hashes} {self.request.replace_labels}")[:16]

    @property
    def manifest(self) -> Mapping[str, Any]:
        """That of OUT, if a run has finished there."""
        return read_manifest(self.store) or {}

    def is_done(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the run that wrote this manifest was asked the same; a ledger that is new has nothing of it."""
        same = manifest.get("input") == self.sources and manifest.get("tables") == self.tables
        return same and not (self.request.ledger and next(iter(open_store(self.request.ledger).list()), None) is None)


def _hash_of(table: pa.Table) -> str:
    """Of a table's values, not of the file they come from."""
    values = table.select([name for name in table.column_names if name not in ("file", "row")]).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, values.schema) as writer:
        writer.write_table(values)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def ingest(request: IngestRequest) -> None:
    """Take in what is not there yet; nothing is written before the request is known to be sound."""
    key = Key.from_environment(request.key_env)
    _check_request(request)
    _check_ledger(request)
    store = open_store(request.out)
    labels = read_study_labels(request.labels)
    clinic = read_clinic(request.clinic, key) if request.clinic else None
    check_claim(store, "ingest", {"key": key.fingerprint})
    if request.ledger:
        check_schema_of_table(open_store(request.ledger), CROSSWALK)
    if not request.ledger and not request.no_ledger:
        console.line("no --ledger: results of this run cannot be linked back to patients later")
    with LineSpool() as spool:
        inventory = take_inventory(request.sources, spool, follow_links=request.follow_links)
        paths = unique_paths(labels, inventory)
        asked = _Input(
            request=request, store=store, key=key, labels=labels, clinic=clinic, inventory=inventory,
            file_paths=paths, hints=label_hints(labels, paths),
        )  # fmt: skip
        before, parts = asked.manifest, read_indexes(store)
        if not asked.is_done(before) or not is_stored(store, parts):
            with lease.hold(store, "ingest", take_over=request.take_over) as fence:
                parts = _make_tables(asked, fence)
    manifest = asked.manifest
    counts = _counts_of(manifest)
    _print_summary(request, counts, manifest, unchanged=_same_tables(before, manifest))
    console.line(describe_stored(parts))
    _check_rejects(request, counts)


def _make_tables(asked: _Input, fence: Fence) -> dict[str, dict[str, tuple[int, int]]]:
    """Bring OUT to what is asked; its parts. What they take the place of goes once the manifest is there."""
    store, before = asked.store, asked.manifest
    claim(store, "ingest", asked.identity)
    if before.get("input") != asked.sources or not is_stored(store, read_indexes(store)):
        _take_in(asked, fence, label_changes(store, asked.key, asked.hints))
    markers = duplicates.drop_duplicates(fence, read_markers(store))
    counts, of_shards = count(markers.values()), parts_by_table(markers.values())
    check_counts(counts, of_shards)
    put_index(fence, of_shards)
    about = _put_tables(asked, fence, before)
    parts = read_indexes(store)
    check_stored(store, parts)
    placeholders = {patient for marker in markers.values() for patient in marker.placeholders}
    about["patients"] = count_doubtful_patients(store, parts, placeholders)
    content = {name: sorted([without_number(key), *size] for key, size in of.items()) for name, of in parts.items()}
    fence.check(now=True)
    put_manifest(store, {
        "job": "ingest", **asked.identity, "input": asked.sources, "tables": asked.tables,
        "counts": _by_fate(counts), **about, "hash": digest(content),
    })  # fmt: skip
    duplicates.sweep(fence, markers)
    sweep_tables(fence)
    drop_older_indexes(fence)
    return parts


def _check_request(request: IngestRequest) -> None:
    if not 0 <= request.max_rejects <= 1:
        raise UsageError(f"--max-rejects must lie between 0 and 1, not at {request.max_rejects}")
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {request.limit}")
    if request.centre is not None and not _CENTRE.fullmatch(request.centre):
        raise UsageError("--centre must be a short word of letters, digits, - and _ (at most 32), such as basel-2")
    if request.replace_labels and not request.labels:
        raise UsageError("--replace-labels throws the old labels away; name the new ones with --labels FILE")


def _check_ledger(request: IngestRequest) -> None:
    """UsageError where the way back to patients would lie with the tables."""
    if request.ledger is None:
        return
    if request.no_ledger:
        raise UsageError("--ledger and --no-ledger contradict each other; leave one of them out")
    if is_within(request.ledger, request.out) or is_within(request.out, request.ledger):
        raise UsageError(
            f"one of the ledger {request.ledger} and OUT {request.out} lies in the other, and who may read the tables "
            "must not find the way back to patients there; choose a place apart for --ledger"
        )


def _put_tables(asked: _Input, fence: Fence, before: Mapping[str, Any]) -> dict[str, Any]:
    """Put the labels, the clinic table and what the ledger has of them; their counts for the manifest."""
    request, key = asked.request, asked.key
    ledger = open_store(request.ledger, private=True) if request.ledger else None
    tables = {name: before.get(name) for name in USER_TABLES}
    if asked.labels is not None:
        tables["labels"] = put_labels(fence, ledger, key, asked.labels, replace=request.replace_labels)
    if asked.clinic is not None:
        tables["clinic"] = {"rows": asked.clinic.num_rows}
        replace_table(fence, CLINIC, asked.clinic)
    if ledger is not None and request.clinic:
        for schema, names in clinic_crosswalks(request.clinic, key).items():
            put_new(ledger, schema, names, "clinic")
    return tables


def _same_tables(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two manifests describe the same tables, whatever was asked."""
    return {**before, "input": None, "tables": None} == {**after, "input": None, "tables": None}


def _take_in(asked: _Input, fence: Fence, changes: LabelChanges) -> None:
    """Read every shard that is not done yet."""
    request, store = asked.request, asked.store
    done = read_done(store, digest_options(request.options), changes, request.centre)
    if request.ledger:
        report_parts_without_ledger(request.ledger, store)
    with cluster.connected(request.ray), LineSpool() as shards:
        new = spool_shards(asked.inventory, done, request.limit, shards, asked.key, request.key_env)
        if done.broken:
            console.line(
                f"{len(done.broken)} shards are read again: parts of them are gone or not as they were written"
            )
        _report_read_again(asked, changes.outdated & done.again, shards)
        if not shards.count:
            return
        put_plan(store, len(done.shards) + len(done.again) + new)
        fence.check(now=True)
        store.delete(MANIFEST)  # until the last part is there, this is no finished ingest
        settings = IngestSettings(
            out=absolute(request.out), ledger=request.ledger and absolute(request.ledger),
            labels=tuple(map(absolute, request.labels)), file_paths=asked.file_paths,
            replace_labels=request.replace_labels, key_env=request.key_env, fingerprint=asked.key.fingerprint,
            options=request.options, centre=request.centre, run=fence.number, broken=done.broken,
        )  # fmt: skip
        with console.Progress("shards", shards.count) as progress:
            for wave in _waves(shards):
                _read_wave(wave, settings, progress)


def _report_read_again(asked: _Input, outdated: frozenset[str], shards: LineSpool) -> None:
    """Say what becomes of shards whose files labels now describe differently."""
    if not outdated:
        return
    unlisted = outdated - {Shard.from_json(text).name(asked.key) for text in shards.lines()}
    if len(unlisted) < len(outdated):
        split = "; splits made before stay as they are: train on a new OUT" if list_parts(asked.store, "splits") else ""
        console.line(f"{len(outdated - unlisted)} shards are read again: labels tell other patients or sources{split}")
    if unlisted:
        console.line(
            f"{len(unlisted)} shards hold files of which labels tell other patients or sources, but SRC does not list "
            "them as it did (or --limit ends before): name all sources, or ingest to a new OUT"
        )


def report_parts_without_ledger(uri: str, store: Store) -> None:
    """Say how many parts were ingested before there was this ledger, which has no line for them."""
    in_ledger = {key.rpartition("/")[2] for key in list_parts(open_store(uri), "crosswalk")}
    missing = sum(duplicates.plain_name(key) not in in_ledger for key in list_parts(store, "images"))
    if missing:
        console.line(
            f"{missing} parts came in without this --ledger and cannot be linked; for that, ingest to a new OUT"
        )


def _waves(shards: LineSpool) -> Iterator[list[str]]:
    wave: list[str] = []
    size = 0
    for text in shards.lines():
        wave.append(text)
        size += len(text)
        if len(wave) == WAVE or size > WAVE_BYTES:
            yield wave
            wave, size = [], 0
    if wave:
        yield wave


def _read_wave(wave: list[str], settings: IngestSettings, progress: console.Progress) -> None:
    items = [{"shard": text} for text in wave]
    for answer in pool.map_unordered(items, IngestWorker, (settings,), memory=WORKER_BYTES):
        progress.step(note=f"{answer['objects']} files in the last")


def _by_fate(counts: Counter[str]) -> dict[str, Any]:
    """The counts as the manifest has them: totals, rejects by reason, ignored by reason."""
    by_fate: dict[str, Any] = {
        name: counts[name] for name in (*TOTALS, PATIENT_BY_EXAM, PATIENT_BY_FOLDER, TEXT_BLANKED)
    }
    for name, prefix in KINDS.items():
        by_fate[name] = {key.removeprefix(prefix): n for key, n in sorted(counts.items()) if key.startswith(prefix)}
    return by_fate


def _counts_of(manifest: Mapping[str, Any]) -> Counter[str]:
    """The counts of a manifest in one row, as the markers have them."""
    by_fate = dict(manifest["counts"])
    kinds = {prefix: by_fate.pop(name, {}) for name, prefix in KINDS.items()}
    return Counter({**by_fate, **{f"{prefix}{name}": n for prefix, of in kinds.items() for name, n in of.items()}})


def _print_summary(request: IngestRequest, counts: Counter[str], tables: Mapping[str, Any], *, unchanged: bool) -> None:
    if unchanged:
        console.line(f"nothing to do: {request.out} holds all of it already")
    rows: dict[str, object] = {"files": counts["objects"], "images": counts["images"], "frames": counts["frames"]}
    fates = {name: count for name, count in sorted(counts.items()) if name.startswith(("reject:", "ignored:"))}
    rows |= {name.replace(":", ": "): count for name, count in fates.items()}
    if tables.get("labels"):
        rows |= {"labels": tables["labels"]["rows"], "labels without an image": tables["labels"]["without_image"]}
    console.table("ingested", rows)
    for line in describe_patients(counts, tables["patients"]):
        console.line(line)
    if counts[TEXT_BLANKED]:
        console.line(
            f"{counts[TEXT_BLANKED]} images had lines of letters in their pixels, which are blanked: look at those "
            f"with `blanked` above 0 in {request.out}/places"
        )
    _print_settings(counts)
    console.line(f"tables: {request.out}/images  labels  rejects  ignored")


def _print_settings(counts: Counter[str]) -> None:
    """Say which settings would bring back how many files that were turned away."""
    if counts["reject:no-modality"]:
        console.line(f"--pictures radiograph|ultrasound would bring back up to {counts['reject:no-modality']} pictures")
    if counts["reject:no-region"]:
        console.line(
            f"--ultrasound-regions all (or FILE, a mask by maker, model and size) would bring back up to "
            f"{counts['reject:no-region']} files"
        )
    if counts["reject:burned-in-annotation"]:
        console.line(f"--keep-burned-in would bring back up to {counts['reject:burned-in-annotation']} files")
    for name in OPTIONAL_MODALITIES:
        if counts[f"modality:{name}"]:
            console.line(f"--modalities {name} would bring back up to {counts[f'modality:{name}']} files")


def _check_rejects(request: IngestRequest, counts: Counter[str]) -> None:
    rejected = sum(n for name, n in counts.items() if name.startswith("reject:") and name not in CHOSEN_REJECTS)
    share = rejected / max(counts["objects"], 1)
    if share > request.max_rejects:
        raise TooManyRejects(
            f"{rejected} of {counts['objects']} files were rejected, above --max-rejects {request.max_rejects:g}; "
            f"see {request.out}/rejects for the reasons"
        )
