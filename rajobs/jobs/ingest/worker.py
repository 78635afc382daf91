"""One worker of ingest: reads one shard after another, through two child processes, and puts their parts."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.child_process.exchange import ExchangeBytes, open_exchange_file
from rajobs.imaging.child_process.limiting import keep_memory
from rajobs.imaging.image import Image, ReadOptions
from rajobs.imaging.ingest_rows import EarlierReading, IngestRows, RowBuilder
from rajobs.imaging.rows import FILM_MODALITIES, RADIOGRAPH, ULTRASOUND_PICTURE
from rajobs.imaging.sandbox import Decoder
from rajobs.jobs.ingest.duplicates import UNIQUE_SUFFIX
from rajobs.jobs.ingest.inventory import entry_hash
from rajobs.jobs.ingest.label_hints import label_hints
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.jobs.ingest.markers import Attempts, Marker, has_marker, put_marker, read_marker
from rajobs.records.identity import Key
from rajobs.records.manifest import digest
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import read_part, to_parquet
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
    run: str  # tells this driver's attempts from those of another


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
        options, centre = digest_options(self.settings.options), self._centre_of(shard.id)
        builder = RowBuilder(
            key=self.key, read=self._read, origin=shard.origin,
            patients=self.hints.patients, shows=self.hints.shows, sources=self.hints.sources, centre=centre,
            earlier={} if self.settings.replace_labels else self._earlier_readings(shard.id),
        )  # fmt: skip
        parts: list[str] = []
        undescribed: list[str] = []
        counts: Counter[str] = Counter()
        attempts = Attempts(self.store, shard.id, self.settings.run)
        source = self.sources.setdefault(shard.source, open_store(shard.source))
        suffix = digest([options, self.hints_digest, centre]) if self.hints_digest or centre else options
        name = f"part-{shard.id}" + (f"-{suffix}" if suffix else "")
        for number, rows in enumerate(builder.build_rows(attempts.watch(self.archives.members(source, shard)))):
            parts += self._put_rows(name + (f"-{number:04d}" if number else ""), rows)
            undescribed += rows.paths_without_modality
            counts += rows.counts
        self._drop_old_crosswalk(shard.id, parts)
        files = [entry_hash(entry) for entry in shard.members] if shard.kind == "files" else []
        put_marker(self.store, Marker(
            shard=shard.id, settings=options, parts=tuple(parts), counts=counts, files=tuple(files),
            hints=self.hints_digest, undescribed=tuple(undescribed), centre=centre,
        ))  # fmt: skip
        attempts.finish()
        return {"objects": counts["objects"]}

    def _earlier_readings(self, shard: str) -> dict[str, EarlierReading]:
        """What the shard's files without a header became before, by the pseudonym of the path.

        Labels merge: those of today may say nothing of a file that those of an earlier day described.
        """
        if not has_marker(self.store, shard):
            return {}
        readings: dict[str, EarlierReading] = {}
        for part in read_marker(self.store, shard).parts:
            if part.startswith("places/"):
                name = part.rpartition("/")[2]
                images = {
                    row["image_id"]: row
                    for row in read_part(self.store, f"images/{name}", IMAGES, _EARLIER).to_pylist()
                }
                originals = self._original_patients(name.replace(UNIQUE_SUFFIX, ""))
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

    def _centre_of(self, shard: str) -> str | None:
        """The centre that this run names; without one, that of an earlier reading of the shard."""
        if self.settings.centre is not None or not has_marker(self.store, shard):
            return self.settings.centre
        return read_marker(self.store, shard).centre

    def _read(self, data: bytes | ExchangeBytes, shows: str | None) -> list[Image]:
        options = self.settings.options
        if options.pictures is None and shows is not None:
            options = dataclasses.replace(options, pictures=shows)
        return self.decoder.read(data, options)

    def _put_rows(self, name: str, rows: IngestRows) -> list[str]:
        """Put the rows of all tables as parts of this name; their keys."""
        keys = []
        tables: list[tuple[TableSchema, list[dict[str, object]]]] = [
            (IMAGES, rows.images), (REJECTS, rows.rejects), (IGNORED, rows.ignored), (OBJECT_PLACES, rows.places),
        ]  # fmt: skip
        for schema, of_table in tables:
            if of_table:
                key = f"{schema.name}/{name}.parquet"
                self.store.put(key, to_parquet(schema.rows(of_table), schema))
                keys.append(key)
        if self.ledger is not None and rows.crosswalk:
            self.ledger.put(f"crosswalk/{name}.parquet", to_parquet(CROSSWALK.rows(rows.crosswalk), CROSSWALK))
        return keys

    def _drop_old_crosswalk(self, shard: str, parts: list[str]) -> None:
        """The ledger keeps the last reading of a shard: labels may name another patient than before."""
        if self.ledger is None or not has_marker(self.store, shard):
            return
        before, now = (
            {key.rpartition("/")[2].replace(UNIQUE_SUFFIX, "") for key in keys}
            for keys in (read_marker(self.store, shard).parts, parts)
        )
        for name in before - now:
            self.ledger.delete(f"crosswalk/{name}")
