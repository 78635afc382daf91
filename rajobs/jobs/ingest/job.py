"""rajobs ingest: archives in, Parquet parts of images, rejects and labels out.

Ray Data carries shards. A worker streams a shard's members and puts its parts under keys that follow from the shard,
then a marker; the driver alone deals with duplicates across shards, labels and the manifest. What has a marker is done.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray

from rajobs.imaging.image import ReadOptions
from rajobs.imaging.ingest_rows import image_id, path_name, source_id
from rajobs.imaging.limits import GIB, MIB
from rajobs.jobs import cluster, console
from rajobs.jobs.ingest import duplicates
from rajobs.jobs.ingest.inventory import Inventory, LineSpool, from_text, shards_to_do, take_inventory
from rajobs.jobs.ingest.markers import CHOICES, LabelChanges, read_counts, read_done
from rajobs.jobs.ingest.worker import IngestWorker, LabelHints, digest_options, label_hints, label_vocabulary
from rajobs.records.errors import DataError, TooManyRejects, UsageError
from rajobs.records.identity import Key
from rajobs.records.manifest import MANIFEST, check_claim, claim, digest, put_manifest, put_plan, read_manifest
from rajobs.records.store import Store, absolute, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import CLINIC, CROSSWALK, IMAGES, LABELS, OBJECT_PLACES
from rajobs.records.tables.table_schema import TableSchema
from rajobs.records.user_tables import UID, check_names, clinic_crosswalk, label_rows, read_clinic, read_labels

WORKER_BYTES = 3 * GIB // 2
"""Memory that a worker and its decoder are given: on a machine with little of it there are fewer workers."""
WAVE, WAVE_BYTES = 20_000, 64 * MIB
"""Shards, and text of theirs, that are handed to Ray Data at once: the driver holds no more."""


@dataclass(frozen=True, kw_only=True)
class IngestRequest:
    """What a person asks of ingest."""

    sources: tuple[str, ...]
    out: str
    labels: str | None = None
    clinic: str | None = None
    key_env: str = "RAJOBS_KEY"
    ledger: str | None = None
    limit: int | None = None
    max_rejects: float = 0.2
    options: ReadOptions = ReadOptions()  # noqa: RUF009 - frozen
    ray: str | None = None


def ingest(order: IngestRequest) -> None:
    """Take in what is not there yet; nothing is written before the order is known to be sound."""
    key = Key.from_environment(order.key_env)
    if not 0 <= order.max_rejects <= 1:
        raise UsageError(f"--max-rejects must lie between 0 and 1, not at {order.max_rejects}")
    if order.limit is not None and order.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {order.limit}")
    store = open_store(order.out)
    labels = _labels(order.labels) if order.labels else None
    hints = label_hints(labels)
    clinic = read_clinic(order.clinic, key) if order.clinic else None
    identity = {"key": key.fingerprint}
    check_claim(store, "ingest", identity)
    with LineSpool() as names:
        listing = take_inventory(order.sources, names)
        if not order.ledger:
            console.line("no --ledger: results of this run cannot be linked back to patients later")
        claim(store, "ingest", identity)
        before = read_manifest(store) or {}
        settings = digest_options(order.options) + hints.digest(key)
        wanted = digest([listing.hash, order.limit, settings, bool(order.ledger)])
        if before.get("input") != wanted:
            _take_in(order, store, listing, key, label_changes(store, key, hints))
    duplicates.drop_duplicates(store)
    account = read_counts(store)
    told = _put_tables(store, key, labels, clinic, before)
    if order.ledger and order.clinic:
        _put_new(open_store(order.ledger, private=True), CROSSWALK, clinic_crosswalk(order.clinic, key), "clinic")
    made = digest([account.parts, list_parts(store, "labels"), list_parts(store, "clinic")])
    content = {"job": "ingest", **identity, "input": wanted, "counts": _nested(account.counts), **told, "hash": made}
    _check_counts(account.counts)
    put_manifest(store, content)
    _summary(order, account.counts, told, unchanged=_same(before, read_manifest(store) or {}))
    _check_rejects(order, account.counts)


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two manifests tell of the same tables, whatever was asked."""
    return {**before, "input": None} == {**after, "input": None}


def _labels(uri: str) -> pa.Table:
    """The labels, all of them for a study there is."""
    labels = read_labels(uri)
    check_names(uri, labels, label_vocabulary())
    return labels


def _take_in(order: IngestRequest, store: Store, listing: Inventory, key: Key, told: LabelChanges) -> None:
    """Everything that is listed and not done yet."""
    done = read_done(store, digest_options(order.options), told)
    if order.ledger:
        check_ledger(order, store)
    with cluster.connected(order.ray), LineSpool() as todo:
        shards_to_do(listing, done, order.limit, todo)
        _say_again(store, told.outdated & done.again, todo)
        if not todo.count:
            return
        put_plan(store, len(done.shards) + todo.count)
        store.delete(MANIFEST)  # until the last part is there, this is no finished ingest
        run = secrets.token_hex(8)
        with console.Progress("shards", todo.count) as progress:
            for wave in _waves(todo):
                _take_wave(order, wave, (order.key_env, key.fingerprint, order.options, run), progress)


def _say_again(store: Store, outdated: frozenset[str], todo: LineSpool) -> None:
    """What labels tell of files that came in before them."""
    if not outdated:
        return
    lost = outdated - {from_text(text).id for text in todo.lines()}
    if len(lost) < len(outdated):
        split = "; splits made before stay as they are: train on a new OUT" if list_parts(store, "splits") else ""
        console.line(f"{len(outdated - lost)} shards are read again: labels tell other patients or sources{split}")
    if lost:
        console.line(
            f"{len(lost)} shards hold files of which labels tell other patients or sources, but SRC does not list them "
            "as it did (or --limit ends before): name all sources, or ingest to a new OUT"
        )


def check_ledger(order: IngestRequest, store: Store) -> None:
    """A ledger that comes late has no line for what came in before it."""
    assert order.ledger
    ledger = open_store(order.ledger)
    held = {key.rpartition("/")[2] for key in list_parts(ledger, "crosswalk")}
    names = (key.rpartition("/")[2].replace(duplicates.UNIQUE_SUFFIX, "") for key in list_parts(store, "images"))
    lost = sum(name not in held for name in names)
    if lost:
        console.line(f"{lost} parts came in without this --ledger and cannot be linked; for that, ingest to a new OUT")


def _waves(todo: LineSpool) -> Iterator[list[str]]:
    wave: list[str] = []
    held = 0
    for text in todo.lines():
        wave.append(text)
        held += len(text)
        if len(wave) == WAVE or held > WAVE_BYTES:
            yield wave
            wave, held = [], 0
    if wave:
        yield wave


def _take_wave(order: IngestRequest, wave: list[str], how: tuple[object, ...], progress: console.Progress) -> None:
    places = [uri and absolute(uri) for uri in (order.out, order.ledger, order.labels)]
    there = ray.cluster_resources()
    workers = max(1, min(len(wave), int(there["CPU"]), int(there.get("memory", 0) // WORKER_BYTES)))
    shards = [{"shard": text} for text in wave]
    arguments = (*places, *how)
    for done in cluster.each(shards, IngestWorker, arguments, workers=(workers, workers), memory=WORKER_BYTES):
        progress.step(note=f"{done['objects']} files in the last")


def _nested(counts: Counter[str]) -> dict[str, Any]:
    """The counts as the manifest tells them: totals, rejects by reason, ignored by reason."""
    told: dict[str, Any] = {name: counts[name] for name in ("objects", "images", "frames", "shards")}
    for name, prefix in (("rejects", "reject:"), ("ignored", "ignored:")):
        told[name] = {key.removeprefix(prefix): n for key, n in sorted(counts.items()) if key.startswith(prefix)}
    return told


def _check_counts(counts: Counter[str]) -> None:
    """Every object has exactly one fate."""
    fates = counts["images"] + sum(n for name, n in counts.items() if name.startswith(("reject:", "ignored:")))
    if fates != counts["objects"]:
        raise DataError(f"{counts['objects']} files came in but {fates} are accounted for; please report this")


def _put_tables(
    store: Store, key: Key, labels: pa.Table | None, clinic: pa.Table | None, before: dict[str, Any]
) -> dict[str, Any]:
    """The labels and clinic parts; a newer file takes the place of an older one."""
    told: dict[str, Any] = {name: before.get(name) for name in ("labels", "clinic")}
    if labels is not None:
        table, lost = label_rows(labels, label_ids(store, key, labels))
        told["labels"] = {"rows": table.num_rows, "without_image": lost}
        _replace(store, LABELS, table)
    if clinic is not None:
        told["clinic"] = {"rows": clinic.num_rows}
        _replace(store, CLINIC, clinic)
    return told


def _put_new(store: Store, schema: TableSchema, table: pa.Table, prefix: str = "part") -> str:
    """Put a table as one part that is named for its content, unless it is there; its key."""
    data = to_parquet(table, schema)
    name = f"{schema.name}/{prefix}-{hashlib.sha256(data).hexdigest()[:24]}.parquet"
    if store.stat(name) is None:
        store.put(name, data)
    return name


def _replace(store: Store, schema: TableSchema, table: pa.Table) -> None:
    name = _put_new(store, schema, table)
    for other in list_parts(store, schema.name):
        if other != name:
            store.delete(other)


def label_changes(store: Store, key: Key, hints: LabelHints) -> LabelChanges:
    """What labels say that files which are there were read without."""
    by_path = {path_name(key, name): name for name in {*hints.patients, *hints.sources} if not UID.fullmatch(name)}
    by_id = {image_id(key, name, 0): name for name in hints.sources if UID.fullmatch(name)}
    outdated = set()
    for part in list_parts(store, "places") if by_path or by_id else ():
        table = read_part(store, part, OBJECT_PLACES, ["path", "image_id"])
        pairs = zip(table.column("path").to_pylist(), table.column("image_id").to_pylist())
        named = {image: by_id.get(image) or by_path.get(path) for path, image in pairs}
        if any(named.values()) and _is_outdated(store, part.rpartition("/")[2], key, hints, named):
            outdated.add(part.removesuffix(".parquet").split("-")[1])
    shown = frozenset(path_name(key, path) for path in hints.shows)
    return LabelChanges(hints=hints.digest(key), shown=shown, outdated=frozenset(outdated))


def _is_outdated(store: Store, part: str, key: Key, hints: LabelHints, named: Mapping[str, str | None]) -> bool:
    """Whether a part's images, by the names that labels give them, have another patient or source than labels tell."""
    columns = ["image_id", "patient", "exam", "derived_from"]
    for row in read_part(store, f"images/{part}", IMAGES, columns).to_pylist():
        name = named.get(row["image_id"]) or ""
        patient, source = hints.patients.get(name), hints.sources.get(name)
        # Where there is an exam there is a header, whose patient counts.
        if patient and row["exam"] is None and row["patient"] != key.pseudonym("patient", patient):
            return True
        if source and row["derived_from"] != source_id(key, source):
            return True
    return False


def label_ids(store: Store, key: Key, labels: pa.Table) -> dict[tuple[str, int], str]:
    """The image_id of everything that labels name, where it is there."""
    named = labels.select(["image", "frame"]).to_pylist()
    frames = {(row["image"], int(row["frame"] or 0)) for row in named}
    by_id = {image_id(key, name, 0): name for name, _ in frames if UID.fullmatch(name)}
    by_path = {path_name(key, name): name for name, _ in frames if not UID.fullmatch(name)}
    first: dict[str, str] = {}
    several: set[str] = set()
    for part in list_parts(store, "places"):
        table = read_part(store, part, OBJECT_PLACES, ["path", "image_id"])
        for path, image in zip(table.column("path").to_pylist(), table.column("image_id").to_pylist()):
            for name in (by_id.get(image), by_path.get(path)):
                if name is not None and first.setdefault(name, image) != image:
                    several.add(name)
    if several:
        console.line(
            f"{len(several)} names of the labels belong to several files each (an archive may hold a name twice, two "
            "sources the same one): their labels are left out; name such images by their SOP instance UID"
        )
    return {
        (name, frame): first[name] if frame == 0 else image_id(key, name, frame)
        for name, frame in frames
        if name in first and name not in several
    }


def _summary(order: IngestRequest, counts: Counter[str], told: dict[str, Any], *, unchanged: bool) -> None:
    if unchanged:
        console.line(f"nothing to do: {order.out} holds all of it already")
    rows: dict[str, object] = {"files": counts["objects"], "images": counts["images"], "frames": counts["frames"]}
    fates = {name: count for name, count in sorted(counts.items()) if name.startswith(("reject:", "ignored:"))}
    rows |= {name.replace(":", ": "): count for name, count in fates.items()}
    if told.get("labels"):
        rows |= {"labels": told["labels"]["rows"], "labels without an image": told["labels"]["without_image"]}
    console.table("ingested", rows)
    if counts["reject:no-modality"]:
        console.line(f"--pictures radiograph|ultrasound would bring back up to {counts['reject:no-modality']} pictures")
    if counts["reject:no-region"]:
        console.line(
            f"--ultrasound-regions all (or FILE, a mask by maker, model and size) would bring back up to "
            f"{counts['reject:no-region']} files"
        )
    if counts["reject:burned-in-annotation"]:
        console.line(f"--keep-burned-in would bring back up to {counts['reject:burned-in-annotation']} films")
    console.line(f"tables: {order.out}/images  labels  rejects  ignored")


def _check_rejects(order: IngestRequest, counts: Counter[str]) -> None:
    rejected = sum(n for name, n in counts.items() if name.startswith("reject:") and name not in CHOICES)
    share = rejected / max(counts["objects"], 1)
    if share > order.max_rejects:
        raise TooManyRejects(
            f"{rejected} of {counts['objects']} files were rejected, above --max-rejects {order.max_rejects:g}; "
            f"see {order.out}/rejects for the reasons"
        )
