"""rajobs ingest: archives in, Parquet parts of images, rejects and labels out.

Ray Data carries shards. A worker streams a shard's members and puts its parts under keys that follow from the shard,
then a marker; the driver alone deals with duplicates across shards, labels and the manifest. What has a marker is done.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.data

from rajobs import studies
from rajobs.imaging.archives import Shard, cut, list_sources, read_members
from rajobs.imaging.image import Image, ReadOptions
from rajobs.imaging.intake import Intake, Taker, image_id, path_name
from rajobs.imaging.rows import KINDS
from rajobs.imaging.sandbox import Decoder
from rajobs.jobs import cluster, duplicates, say
from rajobs.records.errors import DataError, StoreError, TooManyRejects, UsageError
from rajobs.records.identity import Key
from rajobs.records.incoming import UID, label_rows, named_patients, read_clinic, read_labels
from rajobs.records.manifest import MANIFEST, check_claim, claim, digest, put_manifest, put_plan, read_manifest, to_json
from rajobs.records.parts import parts, read_part, to_parquet
from rajobs.records.schema import CLINIC, CROSSWALK, IGNORED, IMAGES, LABELS, PLACES, REJECTS
from rajobs.records.store import Entry, Store, absolute, open_store
from rajobs.records.table import Table

MARKS = "shards"
CHOICES = ("reject:no-region", "reject:no-modality", "reject:burned-in-annotation")
"""Rejects that are a setting's doing, not a fault of the file: they don't count towards --max-rejects."""


@dataclass(frozen=True, kw_only=True)
class Order:
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


def ingest(order: Order) -> None:
    """Take in what is not there yet; nothing is written before the order is known to be sound."""
    key = Key.from_environment(order.key_env)
    if not 0 <= order.max_rejects <= 1:
        raise UsageError(f"--max-rejects must lie between 0 and 1, not at {order.max_rejects}")
    if order.limit is not None and order.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {order.limit}")
    store = open_store(order.out)
    labels = read_labels(order.labels) if order.labels else None
    clinic = read_clinic(order.clinic, key) if order.clinic else None
    identity = {"key": key.fingerprint}
    check_claim(store, "ingest", identity)
    sources = [(uri, _entries(uri)) for uri in order.sources]
    if not order.ledger:
        say.line("no --ledger: results of this run cannot be linked back to patients later")
    claim(store, "ingest", identity)
    todo = _todo(store, sources, order.limit)
    before = read_manifest(store)
    if todo:
        put_plan(store, sum(1 for _ in marks(store)) + len(todo))
        store.delete(MANIFEST)  # until the last part is there, this is no finished ingest
        with cluster.connected(order.ray):
            _take_in(order, todo)
    duplicates.drop(store)
    counts = _counts(store)
    told = _put_tables(store, key, labels, clinic, before or {})
    content = {"job": "ingest", **identity, "counts": _nested(counts), **told, "hash": _hash(store)}
    _check_counts(counts)
    put_manifest(store, content)
    _summary(order, counts, told, unchanged=not todo and before == read_manifest(store))
    _check_rejects(order, counts)


def _entries(uri: str) -> list[Entry]:
    """What a source holds; an empty one is a mistake."""
    store = open_store(uri)
    entries = list(list_sources(store))
    if not entries:
        raise StoreError(f"there is nothing at {uri}; name a folder or prefix that holds archives or files")
    return entries


def _mark(entry: Entry) -> str:
    return hashlib.sha256(f"{entry.key} {entry.size} {entry.etag}".encode()).hexdigest()[:16]


def _todo(store: Store, sources: list[tuple[str, list[Entry]]], limit: int | None) -> list[Shard]:
    """The shards without a marker; loose files that are in a shard already stay there, whatever came beside them."""
    done = list(marks(store))
    ids = {mark["shard"] for mark in done}
    loose = {name for mark in done for name in mark["files"]}
    found: dict[str, Shard] = {}
    members = 0
    for uri, entries in sources:
        for shard in cut(open_store(uri), (entry for entry in entries if _mark(entry) not in loose)):
            if limit is not None and members >= limit:
                break
            members += _members(shard)
            found.setdefault(shard.id, shard)
    return [shard for name, shard in found.items() if name not in ids]


def to_text(shard: Shard) -> str:
    """A shard as Ray Data carries it."""
    return json.dumps(dataclasses.asdict(shard))


def from_text(text: str) -> Shard:
    """The shard that `to_text` told of."""
    plain = json.loads(text)
    loose = plain["kind"] == "files"
    plain["members"] = tuple(Entry(**entry) if loose else entry for entry in plain["members"])
    return Shard(**plain)


def _members(shard: Shard) -> int:
    """Members of a shard, as far as they are known before it is read."""
    if shard.kind == "files":
        return len(shard.members)
    return shard.members[1] - shard.members[0] if shard.members else 1


def marks(store: Store) -> Iterator[dict[str, Any]]:
    """The markers of the shards that are done."""
    for entry in store.list(f"{MARKS}/"):
        yield json.loads(store.get(entry.key))


def _take_in(order: Order, todo: list[Shard]) -> None:
    places = [uri and absolute(uri) for uri in (order.out, order.ledger, order.labels)]
    workers = min(len(todo), int(ray.cluster_resources()["CPU"]))
    results = ray.data.from_items([{"shard": to_text(shard)} for shard in todo], override_num_blocks=len(todo)).map(
        Ingester,  # type: ignore[arg-type]  # a class is taken, its stub does not say so
        fn_constructor_args=(*places, order.key_env, order.options),
        compute=ray.data.ActorPoolStrategy(min_size=workers, max_size=workers),
        num_cpus=1,
    )
    with say.Progress("shards", len(todo)) as progress:
        for row in results.iter_rows():
            progress.step(note=f"{row['objects']} files in the last")


class Ingester:
    """One worker: takes in shards, one after the other, with one decoder child."""

    def __init__(self, out: str, ledger: str | None, labels: str | None, key_env: str, options: ReadOptions) -> None:
        self.store = open_store(out)
        self.ledger = open_store(ledger) if ledger else None
        self.key = Key.from_environment(key_env)
        self.options = options
        table = read_labels(labels) if labels else None
        self.patients = {} if table is None else named_patients(table)
        self.shows = {} if table is None else shown(table)
        self.decoder = Decoder()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        shard = from_text(item["shard"])
        taker = Taker(key=self.key, read=self._read, origin=shard.etag, patients=self.patients, shows=self.shows)
        written: list[str] = []
        counts: Counter[str] = Counter()
        for number, lot in enumerate(taker.take_in(read_members(open_store(shard.source), shard))):
            written += self._put(f"part-{shard.id}" + (f"-{number:04d}" if number else ""), lot)
            counts += lot.counts
        files = [_mark(entry) for entry in shard.members] if shard.kind == "files" else []
        mark = {"shard": shard.id, "parts": written, "counts": dict(counts), "files": files}
        self.store.put(f"{MARKS}/{shard.id}.json", to_json(mark))
        return {"objects": counts["objects"]}

    def _read(self, data: bytes, shows: str | None) -> list[Image]:
        options = self.options
        if options.pictures is None and shows is not None:
            options = dataclasses.replace(options, pictures=shows)
        return self.decoder.read(data, options)

    def _put(self, name: str, lot: Intake) -> list[str]:
        put = []
        lots: list[tuple[Table, list[dict[str, object]]]] = [
            (IMAGES, lot.images), (REJECTS, lot.rejects), (IGNORED, lot.ignored), (PLACES, lot.places),
        ]  # fmt: skip
        for schema, rows in lots:
            if rows:
                key = f"{schema.name}/{name}.parquet"
                self.store.put(key, to_parquet(schema.rows(rows), schema))
                put.append(key)
        if self.ledger is not None and lot.crosswalk:
            self.ledger.put(f"crosswalk/{name}.parquet", to_parquet(CROSSWALK.rows(lot.crosswalk), CROSSWALK))
        return put


def shown(labels: pa.Table) -> dict[str, str]:
    """What labelled images show, by the rows that the labels' study learns from."""
    kinds = {name: studies.find(name).rows for name in studies.names()}
    pictures = {kind: "ultrasound" if kind == "ultrasound" else "radiograph" for kind in KINDS if kind != "visits"}
    pairs = zip(labels.column("image").to_pylist(), labels.column("study").to_pylist())
    return {image: pictures[kinds[study]] for image, study in pairs if kinds.get(study) in pictures}


def _counts(store: Store) -> Counter[str]:
    total: Counter[str] = Counter()
    for mark in marks(store):
        total += Counter(mark["counts"])
        total["shards"] += 1
    return total


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
        table, lost = label_rows(labels, _label_ids(store, key, labels))
        told["labels"] = {"rows": table.num_rows, "without_image": lost}
        _replace(store, LABELS, table)
    if clinic is not None:
        told["clinic"] = {"rows": clinic.num_rows}
        _replace(store, CLINIC, clinic)
    return told


def _replace(store: Store, schema: Table, table: pa.Table) -> None:
    data = to_parquet(table, schema)
    name = f"{schema.name}/part-{hashlib.sha256(data).hexdigest()[:24]}.parquet"
    if store.stat(name) is None:
        store.put(name, data)
    for other in parts(store, schema.name):
        if other != name:
            store.delete(other)


def _label_ids(store: Store, key: Key, labels: pa.Table) -> dict[tuple[str, int], str]:
    """The image_id of everything that labels name, where it is there."""
    named = labels.select(["image", "frame"]).to_pylist()
    frames = {(row["image"], int(row["frame"] or 0)) for row in named}
    by_id = {image_id(key, name, 0): name for name, _ in frames if UID.fullmatch(name)}
    by_path = {path_name(key, name): name for name, _ in frames if not UID.fullmatch(name)}
    first: dict[str, str] = {}
    for part in parts(store, "places"):
        table = read_part(store, part, PLACES, ["path", "image_id"])
        for path, image in zip(table.column("path").to_pylist(), table.column("image_id").to_pylist()):
            name = by_id.get(image) or by_path.get(path)
            if name:
                first[name] = image
    return {
        (name, frame): first[name] if frame == 0 else image_id(key, name, frame)
        for name, frame in frames
        if name in first
    }


def _hash(store: Store) -> str:
    """What this data is: the shards that are in it, and the labels."""
    shards = sorted(mark["shard"] for mark in marks(store))
    return digest([shards, parts(store, "labels"), parts(store, "clinic")])


def _summary(order: Order, counts: Counter[str], told: dict[str, Any], *, unchanged: bool) -> None:
    if unchanged:
        say.line(f"nothing to do: {order.out} holds all of it already")
    rows: dict[str, object] = {"files": counts["objects"], "images": counts["images"], "frames": counts["frames"]}
    fates = {name: count for name, count in sorted(counts.items()) if name.startswith(("reject:", "ignored:"))}
    rows |= {name.replace(":", ": "): count for name, count in fates.items()}
    if told.get("labels"):
        rows |= {"labels": told["labels"]["rows"], "labels without an image": told["labels"]["without_image"]}
    say.table("ingested", rows)
    if counts["reject:no-modality"]:
        say.line(f"--pictures radiograph|ultrasound would bring back up to {counts['reject:no-modality']} pictures")
    if counts["reject:no-region"]:
        say.line(f"--ultrasound-regions all would bring back up to {counts['reject:no-region']} files")
    say.line(f"tables: {order.out}/images  labels  rejects  ignored")


def _check_rejects(order: Order, counts: Counter[str]) -> None:
    rejected = sum(n for name, n in counts.items() if name.startswith("reject:") and name not in CHOICES)
    share = rejected / max(counts["objects"], 1)
    if share > order.max_rejects:
        raise TooManyRejects(
            f"{rejected} of {counts['objects']} files were rejected, above --max-rejects {order.max_rejects:g}; "
            f"see {order.out}/rejects for the reasons"
        )
