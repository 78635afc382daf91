"""One worker of ingest: reads shards, one after the other, with one decoder child, and puts their parts."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.archives.shards import read_members
from rajobs.imaging.hand_geometry import POSITION_STUDY as WHERE
from rajobs.imaging.image import Image, ReadOptions
from rajobs.imaging.ingest_rows import IngestRows, RowBuilder
from rajobs.imaging.sandbox import Decoder, keep_memory
from rajobs.jobs.ingest.duplicates import UNIQUE_SUFFIX
from rajobs.jobs.ingest.inventory import entry_name, from_text
from rajobs.jobs.ingest.markers import Attempts, has_marker, put_marker, read_marker
from rajobs.records.anatomy import SITES
from rajobs.records.identity import Key
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import CROSSWALK, IGNORED, IMAGES, OBJECT_PLACES, REJECTS
from rajobs.records.tables.table_schema import TableSchema
from rajobs.records.user_tables import Labelled, headerless, named, read_labels


def digest_options(options: ReadOptions) -> str:
    """What stands for options that decide which files are taken; nothing for the usual ones."""
    return "" if options == ReadOptions() else digest(dataclasses.asdict(options))


@dataclass(frozen=True, kw_only=True)
class LabelHints:
    """What labels say that decides how a file is read: by its path, its source also by its SOP instance UID."""

    patients: Mapping[str, str] = field(default_factory=dict)
    shows: Mapping[str, str] = field(default_factory=dict)  # radiograph | ultrasound
    sources: Mapping[str, str] = field(default_factory=dict)

    def digest(self, key: Key) -> str:
        """Tells what labels say from what others do, nothing where they say nothing; keyed, for they name patients."""
        told = [self.patients, self.shows, self.sources]
        return key.pseudonym("hints", to_json(told).decode())[:16] if any(told) else ""


def label_hints(labels: pa.Table | None) -> LabelHints:
    """What is in a header is not asked of labels, but for what a drawing was modelled on."""
    if labels is None:
        return LabelHints()
    bare = headerless(labels)
    return LabelHints(patients=named(bare, "patient"), shows=shown(bare), sources=named(labels, "derived_from"))


class IngestWorker:
    """Takes in shards. Whatever is in a file, the worker goes on."""

    def __init__(
        self,
        out: str,
        ledger: str | None,
        labels: str | None,
        key_env: str,
        fingerprint: str,
        options: ReadOptions,
        run: str,
    ) -> None:
        self.key = Key.of_node(key_env, fingerprint)  # the secret itself never travels
        keep_memory()
        self.run = run
        self.decoder = Decoder()
        self.decoder.start()
        self.opened: dict[str, Store] = {}
        self.store = open_store(out)
        self.ledger = open_store(ledger, private=True) if ledger else None
        self.options = options
        self.hints = label_hints(read_labels(labels) if labels is not None else None)
        self.hinted = self.hints.digest(self.key)

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        shard = from_text(item["shard"])
        settings = digest_options(self.options)
        builder = RowBuilder(
            key=self.key, read=self._read, origin=shard.origin,
            patients=self.hints.patients, shows=self.hints.shows, sources=self.hints.sources,
        )  # fmt: skip
        written: list[str] = []
        untold: list[str] = []
        counts: Counter[str] = Counter()
        attempts = Attempts(self.store, shard.id, self.run)
        source = self.opened.setdefault(shard.source, open_store(shard.source))
        how = digest([settings, self.hinted]) if self.hinted else settings
        name = f"part-{shard.id}" + (f"-{how}" if how else "")
        for number, lot in enumerate(builder.build_rows(attempts.watch(read_members(source, shard)))):
            written += self._put(name + (f"-{number:04d}" if number else ""), lot)
            untold += lot.paths_without_modality
            counts += lot.counts
        files = [entry_name(entry) for entry in shard.members] if shard.kind == "files" else []
        self._forget(shard.id, written)
        mark = {"shard": shard.id, "settings": settings, "parts": written, "counts": dict(counts), "files": files}
        put_marker(self.store, {**mark, "hints": self.hinted, "untold": untold})
        attempts.finish()
        return {"objects": counts["objects"]}

    def _read(self, data: bytes, shows: str | None) -> list[Image]:
        options = self.options
        if options.pictures is None and shows is not None:
            options = dataclasses.replace(options, pictures=shows)
        return self.decoder.read(data, options)

    def _put(self, name: str, lot: IngestRows) -> list[str]:
        put = []
        lots: list[tuple[TableSchema, list[dict[str, object]]]] = [
            (IMAGES, lot.images), (REJECTS, lot.rejects), (IGNORED, lot.ignored), (OBJECT_PLACES, lot.places),
        ]  # fmt: skip
        for schema, rows in lots:
            if rows:
                key = f"{schema.name}/{name}.parquet"
                self.store.put(key, to_parquet(schema.rows(rows), schema))
                put.append(key)
        if self.ledger is not None and lot.crosswalk:
            self.ledger.put(f"crosswalk/{name}.parquet", to_parquet(CROSSWALK.rows(lot.crosswalk), CROSSWALK))
        return put

    def _forget(self, shard: str, written: list[str]) -> None:
        """The ledger keeps what was read of a shard last: labels may name another patient than before."""
        if self.ledger is None or not has_marker(self.store, shard):
            return
        before, now = ({part.rpartition("/")[2].replace(UNIQUE_SUFFIX, "") for part in parts} for parts in (
            read_marker(self.store, shard)["parts"], written,
        ))  # fmt: skip
        for name in before - now:
            self.ledger.delete(f"crosswalk/{name}")


def label_vocabulary() -> dict[str, Labelled]:
    """What labels may name, by the studies there are."""
    found = {}
    for study in map(studies.find, studies.names()):
        axes = ("x", "y") if study.name == WHERE else ()  # where joints lie is told by these
        sites = tuple(SITES) if axes or study.rows.labels_name_site else ()
        found[study.name] = Labelled(targets=(*(target.name for target in study.targets), *axes), sites=sites)
    return found


def shown(labels: pa.Table) -> dict[str, str]:
    """What labelled images show, by the rows that the labels' study learns from."""
    picture_of = {study.name: study.rows.picture for study in studies.every()}
    pairs = zip(labels.column("image").to_pylist(), labels.column("study").to_pylist())
    return {image: picture for image, study in pairs if (picture := picture_of.get(study)) is not None}
