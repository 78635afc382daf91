"""rajobs ingest: archives in, Parquet parts of images, rejects and labels out.

Ray Data carries shards. A worker streams a shard's members and puts its parts under keys that follow from the shard,
then a marker; the driver alone deals with duplicates across shards, labels and the manifest. What has a marker is done.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray

from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.image import ReadOptions
from rajobs.imaging.ingest_rows import PATIENT_BY_FOLDER
from rajobs.imaging.limits import GIB, MIB
from rajobs.jobs import cluster, console
from rajobs.jobs.ingest import duplicates
from rajobs.jobs.ingest.inventory import Inventory, LineSpool, spool_shards, take_inventory
from rajobs.jobs.ingest.label_hints import label_changes, label_hints, unique_paths
from rajobs.jobs.ingest.label_tables import put_labels, put_new, replace_table
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.jobs.ingest.markers import CHOSEN_REJECTS, LabelChanges, read_counts, read_done
from rajobs.jobs.ingest.worker import IngestSettings, IngestWorker, digest_options
from rajobs.records.errors import DataError, TooManyRejects, UsageError
from rajobs.records.identity import Key
from rajobs.records.manifest import MANIFEST, check_claim, claim, digest, put_manifest, put_plan, read_manifest
from rajobs.records.store import Store, absolute, open_store
from rajobs.records.tables.parquet_parts import check_schema_of_table, list_parts
from rajobs.records.tables.schemas import CLINIC, CROSSWALK
from rajobs.records.user_tables import clinic_crosswalks, read_clinic

WORKER_BYTES = 3 * GIB // 2
"""Memory for a worker and its decoder: on a machine with little of it there are fewer workers."""
WAVE, WAVE_BYTES = 20_000, 64 * MIB
"""Shards, and bytes of their JSON, that are handed to Ray Data at once: the driver holds no more."""


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
    max_rejects: float = 0.2
    follow_links: bool = False  # also those that lead out of a source
    options: ReadOptions = ReadOptions()  # noqa: RUF009 - frozen
    ray: str | None = None


def ingest(request: IngestRequest) -> None:
    """Take in what is not there yet; nothing is written before the request is known to be sound."""
    key = Key.from_environment(request.key_env)
    _check_request(request)
    store = open_store(request.out)
    labels = read_study_labels(request.labels)
    clinic = read_clinic(request.clinic, key) if request.clinic else None
    identity = {"key": key.fingerprint}
    check_claim(store, "ingest", identity)
    if request.ledger:
        check_schema_of_table(open_store(request.ledger), CROSSWALK)
    with LineSpool() as spool:
        inventory = take_inventory(request.sources, spool, follow_links=request.follow_links)
        file_paths = unique_paths(labels, inventory)
        hints = label_hints(labels, file_paths)
        if not request.ledger:
            console.line("no --ledger: results of this run cannot be linked back to patients later")
        claim(store, "ingest", identity)
        before = read_manifest(store) or {}
        settings = digest_options(request.options) + hints.digest(key)
        wanted = digest([inventory.hash, request.limit, settings, bool(request.ledger), request.centre])
        if before.get("input") != wanted:
            _take_in(request, store, inventory, key, label_changes(store, key, hints), file_paths)
    duplicates.drop_duplicates(store)
    done = read_counts(store)
    tables = _put_tables(request, store, key, labels, clinic, before)
    content_hash = digest([done.parts, list_parts(store, "labels"), list_parts(store, "clinic")])
    _check_counts(done.counts)
    put_manifest(store, {
        "job": "ingest", **identity, "input": wanted, "counts": _by_fate(done.counts), **tables, "hash": content_hash,
    })  # fmt: skip
    unchanged = _same_tables(before, read_manifest(store) or {})
    _print_summary(request, done.counts, tables, unchanged=unchanged)
    _check_rejects(request, done.counts)


def _check_request(request: IngestRequest) -> None:
    if not 0 <= request.max_rejects <= 1:
        raise UsageError(f"--max-rejects must lie between 0 and 1, not at {request.max_rejects}")
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {request.limit}")
    if request.centre is not None and not _CENTRE.fullmatch(request.centre):
        raise UsageError("--centre must be a short word of letters, digits, - and _ (at most 32), such as basel-2")
    if request.replace_labels and not request.labels:
        raise UsageError("--replace-labels throws the old labels away; name the new ones with --labels FILE")


def _put_tables(
    request: IngestRequest, store: Store, key: Key, labels: pa.Table | None, clinic: pa.Table | None,
    before: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Put the labels, the clinic table and what the ledger has of them; their counts for the manifest."""
    ledger = open_store(request.ledger, private=True) if request.ledger else None
    tables = {name: before.get(name) for name in ("labels", "clinic")}
    if labels is not None:
        tables["labels"] = put_labels(store, ledger, key, labels, replace=request.replace_labels)
    if clinic is not None:
        tables["clinic"] = {"rows": clinic.num_rows}
        replace_table(store, CLINIC, clinic)
    if ledger is not None and request.clinic:
        for schema, names in clinic_crosswalks(request.clinic, key).items():
            put_new(ledger, schema, names, "clinic")
    return tables


def _same_tables(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two manifests describe the same tables, whatever was asked."""
    return {**before, "input": None} == {**after, "input": None}


def _take_in(
    request: IngestRequest, store: Store, inventory: Inventory, key: Key, changes: LabelChanges,
    file_paths: Mapping[str, str],
) -> None:  # fmt: skip
    """Read every shard that is not done yet."""
    done = read_done(store, digest_options(request.options), changes, request.centre)
    if request.ledger:
        report_parts_without_ledger(request.ledger, store)
    with cluster.connected(request.ray), LineSpool() as shards:
        new = spool_shards(inventory, done, request.limit, shards)
        _report_read_again(store, changes.outdated & done.again, shards)
        if not shards.count:
            return
        put_plan(store, len(done.shards) + len(done.again) + new)
        store.delete(MANIFEST)  # until the last part is there, this is no finished ingest
        settings = IngestSettings(
            out=absolute(request.out), ledger=request.ledger and absolute(request.ledger),
            labels=tuple(map(absolute, request.labels)), file_paths=file_paths, replace_labels=request.replace_labels,
            key_env=request.key_env, fingerprint=key.fingerprint,
            options=request.options, centre=request.centre, run=secrets.token_hex(8),
        )  # fmt: skip
        with console.Progress("shards", shards.count) as progress:
            for wave in _waves(shards):
                _read_wave(wave, settings, progress)


def _report_read_again(store: Store, outdated: frozenset[str], shards: LineSpool) -> None:
    """Say what becomes of shards whose files labels now describe differently."""
    if not outdated:
        return
    unlisted = outdated - {Shard.from_json(text).id for text in shards.lines()}
    if len(unlisted) < len(outdated):
        split = "; splits made before stay as they are: train on a new OUT" if list_parts(store, "splits") else ""
        console.line(f"{len(outdated - unlisted)} shards are read again: labels tell other patients or sources{split}")
    if unlisted:
        console.line(
            f"{len(unlisted)} shards hold files of which labels tell other patients or sources, but SRC does not list "
            "them as it did (or --limit ends before): name all sources, or ingest to a new OUT"
        )


def report_parts_without_ledger(uri: str, store: Store) -> None:
    """Say how many parts were ingested before there was this ledger, which has no line for them."""
    in_ledger = {key.rpartition("/")[2] for key in list_parts(open_store(uri), "crosswalk")}
    names = (key.rpartition("/")[2].replace(duplicates.UNIQUE_SUFFIX, "") for key in list_parts(store, "images"))
    missing = sum(name not in in_ledger for name in names)
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
    resources = ray.cluster_resources()
    workers = max(1, min(len(wave), int(resources["CPU"]), int(resources.get("memory", 0) // WORKER_BYTES)))
    items = [{"shard": text} for text in wave]
    for answer in cluster.map_unordered(
        items, IngestWorker, (settings,), workers=(workers, workers), memory=WORKER_BYTES
    ):
        progress.step(note=f"{answer['objects']} files in the last")


def _by_fate(counts: Counter[str]) -> dict[str, Any]:
    """The counts as the manifest has them: totals, rejects by reason, ignored by reason."""
    by_fate: dict[str, Any] = {name: counts[name] for name in ("objects", "images", "frames", "shards")}
    for name, prefix in (("rejects", "reject:"), ("ignored", "ignored:")):
        by_fate[name] = {key.removeprefix(prefix): n for key, n in sorted(counts.items()) if key.startswith(prefix)}
    return by_fate


def _check_counts(counts: Counter[str]) -> None:
    """Every object has exactly one fate."""
    fates = counts["images"] + sum(n for name, n in counts.items() if name.startswith(("reject:", "ignored:")))
    if fates != counts["objects"]:
        raise DataError(f"{counts['objects']} files came in but {fates} are accounted for; please report this")


def _print_summary(request: IngestRequest, counts: Counter[str], tables: dict[str, Any], *, unchanged: bool) -> None:
    if unchanged:
        console.line(f"nothing to do: {request.out} holds all of it already")
    rows: dict[str, object] = {"files": counts["objects"], "images": counts["images"], "frames": counts["frames"]}
    fates = {name: count for name, count in sorted(counts.items()) if name.startswith(("reject:", "ignored:"))}
    rows |= {name.replace(":", ": "): count for name, count in fates.items()}
    if tables.get("labels"):
        rows |= {"labels": tables["labels"]["rows"], "labels without an image": tables["labels"]["without_image"]}
    console.table("ingested", rows)
    if counts[PATIENT_BY_FOLDER]:
        console.line(
            f"{counts[PATIENT_BY_FOLDER]} images have a patient neither in a header nor in labels: all of one folder "
            "count as one patient. Give --labels a column patient, with a name or number for each, and ingest again"
        )
    if counts["reject:no-modality"]:
        console.line(f"--pictures radiograph|ultrasound would bring back up to {counts['reject:no-modality']} pictures")
    if counts["reject:no-region"]:
        console.line(
            f"--ultrasound-regions all (or FILE, a mask by maker, model and size) would bring back up to "
            f"{counts['reject:no-region']} files"
        )
    if counts["reject:burned-in-annotation"]:
        console.line(f"--keep-burned-in would bring back up to {counts['reject:burned-in-annotation']} films")
    console.line(f"tables: {request.out}/images  labels  rejects  ignored")


def _check_rejects(request: IngestRequest, counts: Counter[str]) -> None:
    rejected = sum(n for name, n in counts.items() if name.startswith("reject:") and name not in CHOSEN_REJECTS)
    share = rejected / max(counts["objects"], 1)
    if share > request.max_rejects:
        raise TooManyRejects(
            f"{rejected} of {counts['objects']} files were rejected, above --max-rejects {request.max_rejects:g}; "
            f"see {request.out}/rejects for the reasons"
        )
