"""One worker of ingest: reads one shard after another, through two child processes, and puts their parts."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.child_process.exchange import ExchangeBytes, open_exchange_file
from rajobs.imaging.child_process.limiting import keep_memory
from rajobs.imaging.image import Image, ReadOptions
from rajobs.imaging.ingest_rows import EarlierReading, IngestRows, RowBuilder
from rajobs.imaging.rows import FILM_MODALITIES, RADIOGRAPH, ULTRASOUND_PICTURE
from rajobs.imaging.sandbox import Decoder
from rajobs.jobs.ingest.duplicates import plain_name
from rajobs.jobs.ingest.inventory import entry_hash
from rajobs.jobs.ingest.label_hints import label_hints
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.jobs.ingest.markers import Attempts, Marker, put_marker, read_marker
from rajobs.jobs.ingest.rereading import read_doubted_again
from rajobs.records.identity import Key
from rajobs.records.manifest import digest
from rajobs.records.store import LocalStore, Store, open_store
from rajobs.records.store.lease import Fence, numbered
from rajobs.records.tables.parquet_parts import read_part, to_parquet
from rajobs.records.tables.part_index import measure
from rajobs.records.tables.schemas import CROSSWALK, IGNORED, IMAGES, OBJECT_PLACES, REJECTS
from rajobs.records.tables.table_schema import TableSchema

_EARLIER = ("image_id", "patient", "visit_date", "derived_from", "modality")


def digest_options(options: ReadOptions) -> str:
    """A hash of the options that decide which files are taken; empty for the default ones."""
    return "" if options == ReadOptions() else digest(dataclasses.asdict(options))


@dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """What every worker is given. The key itself never travels: it stands in the nodes' environment."""

    out: str
    ledger: str | None
    labels: tuple[str, ...]
    file_paths: Mapping[str, str]  # by file name: see label_hints.unique_paths
    replace_labels: bool
    key_env: str
    fingerprint: str  # of the key
    options: ReadOptions
    centre: str | None = None  # of the files, in the user's own word
    run: int  # number of the driver's lease
    broken: frozenset[str] = frozenset()  # shards whose earlier parts cannot be read


class IngestWorker:
    """Takes in shards. Whatever is in a file, the worker goes on."""

    def __init__(self, settings: IngestSettings) -> None:
        self.key = Key.of_node(settings.key_env, settings.fingerprint)
        keep_memory()
        self.settings = settings
        self.members = open_exchange_file("rajobs-members")
        self.decoder, self.archives = Decoder(self.members), ArchiveReader(self.members)
        self.decoder.start()
        self.sources: dict[str, Store] = {}
        self.store = open_store(settings.out)
        self.fence = Fence(self.store, settings.run)
        self.ledger = open_store(settings.ledger, private=True) if settings.ledger else None
        self.hints = label_hints(read_study_labels(settings.labels), settings.file_paths)
        self.hints_digest = self.hints.digest(self.key)

    def close(self) -> None:
        """End the child processes, which would else end with this one."""
        self.decoder.close()
        self.archives.close()
        os.close(self.members)

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        shard = Shard.from_json(item["shard"])
        shard_name = shard.name(self.key)
        before = None if shard_name in self.settings.broken else read_marker(self.store, shard_name)
        options, centre = digest_options(self.settings.options), self._centre(before)
        builder = RowBuilder(
            key=self.key, read=self._read, origin=shard.origin,
            patients=self.hints.patients, shows=self.hints.shows, sources=self.hints.sources, centre=centre,
            earlier={} if self.settings.replace_labels else self._earlier_readings(before),
        )  # fmt: skip
        parts: dict[str, tuple[int, int]] = {}
        undescribed: list[str] = []
        placeholders: set[str] = set()
        counts: Counter[str] = Counter()
        attempts = Attempts(self.store, shard_name, self.settings.run)
        source = self.sources.setdefault(shard.source, open_store(shard.source))
        suffix = digest([options, self.hints_digest, centre]) if self.hints_digest or centre else options
        name = f"part-{shard_name}" + (f"-{suffix}" if suffix else "")
        for number, rows in enumerate(builder.build_rows(attempts.watch(self._members(source, shard)))):
            parts |= self._put_rows(name + (f"-{number:04d}" if number else ""), rows)
            undescribed += rows.paths_without_modality
            placeholders |= rows.placeholders
            counts += rows.counts
        self.fence.check()
        self._drop_old_crosswalk(before, parts)
        loose = [entry_hash(self.key, entry) for entry in shard.members] if shard.kind == "files" else []
        put_marker(self.fence, Marker(
            shard=shard_name, settings=options, parts=parts, counts=counts, loose=tuple(loose),
            hints=self.hints_digest, undescribed=tuple(undescribed), centre=centre,
            placeholders=tuple(sorted(placeholders)),
        ))  # fmt: skip
        attempts.finish()
        return {"objects": counts["objects"]}

    def _earlier_readings(self, before: Marker | None) -> dict[str, EarlierReading]:
        """What the shard's files without a header became before, by the pseudonym of the path.

        Labels merge: those of today may say nothing of a file that those of an earlier day described.
        """
        readings: dict[str, EarlierReading] = {}
        for part in before.parts if before is not None else ():
            if part.startswith("places/"):
                name = part.rpartition("/")[2]
                images = {
                    row["image_id"]: row
                    for row in read_part(self.store, f"images/{name}", IMAGES, _EARLIER).to_pylist()
                }
                originals = self._original_patients(plain_name(name))
                for place in read_part(self.store, part, OBJECT_PLACES, ["path", "image_id", "source"]).to_pylist():
                    image = images[place["image_id"]]
                    readings[place["path"]] = EarlierReading(
                        patient=image["patient"], patient_id=originals.get(place["source"]),
                        visit_date=image["visit_date"], derived_from=image["derived_from"],
                        shows=RADIOGRAPH if image["modality"] in FILM_MODALITIES else ULTRASOUND_PICTURE,
                    )  # fmt: skip
        return readings

    def _original_patients(self, name: str) -> dict[str, str]:
        """The original patients that the ledger has of a part, by source."""
        if self.ledger is None or self.ledger.stat(f"crosswalk/{name}") is None:
            return {}
        rows = read_part(self.ledger, f"crosswalk/{name}", CROSSWALK, ["source", "patient_id"]).to_pylist()
        return {row["source"]: row["patient_id"] for row in rows}

    def _members(self, source: Store, shard: Shard) -> Iterator[ArchiveMember]:
        """The files of a shard; what a far store's bytes make of them is read once more before it is believed."""
        if isinstance(source, LocalStore):
            yield from self.archives.members(source, shard)
            return
        with ExitStack() as others:
            readers = chain([self.archives], (others.enter_context(ArchiveReader()) for _ in count()))
            yield from read_doubted_again(lambda: next(readers).members(source, shard))

    def _centre(self, before: Marker | None) -> str | None:
        """The centre that this run names; without one, that of an earlier reading of the shard."""
        return before.centre if self.settings.centre is None and before is not None else self.settings.centre

    def _read(self, data: bytes | ExchangeBytes, shows: str | None) -> list[Image]:
        options = self.settings.options
        if options.pictures is None and shows is not None:
            options = dataclasses.replace(options, pictures=shows)
        return self.decoder.read(data, options)

    def _put_rows(self, name: str, rows: IngestRows) -> dict[str, tuple[int, int]]:
        """Put the rows of all tables as parts of this name; their keys, rows and bytes."""
        self.fence.check()
        parts: dict[str, tuple[int, int]] = {}
        tables: list[tuple[TableSchema, list[dict[str, object]]]] = [
            (IMAGES, rows.images), (REJECTS, rows.rejects), (IGNORED, rows.ignored), (OBJECT_PLACES, rows.places),
        ]  # fmt: skip
        for schema, of_table in tables:
            if of_table:
                key = numbered(f"{schema.name}/{name}.parquet", self.fence.number)
                data = to_parquet(schema.rows(of_table), schema)
                self.store.put(key, data)
                parts[key] = measure(data)
        if self.ledger is not None and rows.crosswalk:
            self.ledger.put(f"crosswalk/{name}.parquet", to_parquet(CROSSWALK.rows(rows.crosswalk), CROSSWALK))
        return parts

    def _drop_old_crosswalk(self, before: Marker | None, parts: Iterable[str]) -> None:
        """The ledger keeps the last reading of a shard: labels may name another patient than before."""
        if self.ledger is None or before is None:
            return
        for name in set(map(plain_name, before.parts)) - set(map(plain_name, parts)):
            self.ledger.delete(f"crosswalk/{name}")
