"""The last stage of score, in the driver: the CSVs, the visits and the page's counts out of the parts that are there.

Tables are read part by part: the driver holds counts and the few rows that the page shows, whatever the cohort's size.
"""

import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.imaging.clinic_visits import Finding, Visit, visits_of_clinic
from rajobs.imaging.rows import CLINIC_TABLE, VISITS, Row
from rajobs.jobs.score.parts import CHANGES_TABLE, VISITS_TABLE, drop_gathered, images_part, scored_parts
from rajobs.jobs.score.steps import Record, ScoreSteps, Votes
from rajobs.learning.samples.row_arrays import ViewRequest, draw_visits
from rajobs.learning.voting_models import VotingModels
from rajobs.records.changes import JOINT_COLUMNS, VIEW_COLUMNS, Precision, add_spaces, build_changes, space_repeats
from rajobs.records.store import Store
from rajobs.records.store.lease import Fence, numbered
from rajobs.records.tables.csv_files import csv_file
from rajobs.records.tables.parquet_parts import list_parts, open_part, read_part, to_parquet
from rajobs.records.tables.schemas import CHANGES, CLINIC, EXTREMITIES, IMAGES, JOINTS, ULTRASOUND
from rajobs.records.tables.table_schema import TableSchema
from rajobs.records.visits import EXTREMITY_COLUMNS, SCAN_COLUMNS, build_visits, grades_by_visit
from rajobs.reports.score.tallies import FilmTally, HandTally, VisitTally

ROWS_PER_LOT = 50_000  # rows of the small tables held in memory while visits are made of them
VISITS_AT_ONCE = 256  # visits drawn at a time


@dataclass(frozen=True, kw_only=True)
class GatheredTables:
    """What the tables hold, in counts."""

    rows: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    films: FilmTally = field(default_factory=FilmTally)
    hands: HandTally = field(default_factory=HandTally)
    visits: VisitTally = field(default_factory=VisitTally)
    parts: Mapping[str, dict[str, int]]  # rows by table and key

    def add(self, key: str, table: pa.Table) -> None:
        """Count the rows of a part that was read or written."""
        name = key.partition("/")[0]
        self.rows[name] += table.num_rows
        self.parts[name][key] = table.num_rows


def gather(
    data: Store, fence: Fence, steps: ScoreSteps, models: Mapping[str, VotingModels], precision: Precision
) -> GatheredTables:
    """Write a CSV of each table, the visits, for which `models` are asked, and the changes; the counts of all.

    `precision`: of the changes; that of joint spaces comes from repeats in the cohort itself.
    """
    tables, store = steps.part_tables, fence.store
    gathered = GatheredTables(parts={name: {} for name in (*tables, VISITS_TABLE, CHANGES_TABLE)})
    drop_gathered(fence, steps)
    images = {key.rpartition("/")[2] for key in list_parts(data, "images")}
    parts = [part for about, part in scored_parts(store).items() if about in images]
    with ExitStack() as stack:
        write = {name: stack.enter_context(csv_file(store, f"{name}.csv", schema)) for name, schema in tables.items()}
        for part in parts:
            of_part = {name: read_part(store, f"{name}/{part}", schema) for name, schema in tables.items()}
            for name, table in of_part.items():
                write[name](table)
                gathered.add(f"{name}/{part}", table)
            gathered.fates.update(of_part["ledger"].column("fate").to_pylist())
            gathered.films.add(of_part["films"], part)
            gathered.hands.add(of_part["extremities"], of_part["joints"], part)
            gathered.visits.add_scans(of_part["ultrasound"])
    with ExitStack() as stack:
        schemas = {VISITS_TABLE: steps.visits, CHANGES_TABLE: CHANGES}
        write = {name: stack.enter_context(csv_file(store, f"{name}.csv", schema)) for name, schema in schemas.items()}
        for number, (visits, changes) in enumerate(_visits(data, store, parts, steps, models, precision)):
            for name, table in ((VISITS_TABLE, visits), (CHANGES_TABLE, changes)):
                key = numbered(f"{name}/part-{number:05}.parquet", fence.number)
                fence.check()
                store.put(key, to_parquet(table, schemas[name]))
                write[name](table)
                gathered.add(key, table)
            gathered.visits.add(visits)
            gathered.visits.add_changes(changes)
    return gathered


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A table that visits are made of."""

    store: Store
    keys: Sequence[str]
    schema: TableSchema
    columns: Sequence[str]

    def tables(self) -> Iterator[pa.Table]:
        """The chosen columns of each part."""
        for key in self.keys:
            yield read_part(self.store, key, self.schema, self.columns)


def _visits(
    data: Store, store: Store, parts: Sequence[str], steps: ScoreSteps, models: Mapping[str, VotingModels],
    precision: Precision,
) -> Iterator[tuple[pa.Table, pa.Table]]:  # fmt: skip
    """The second stage, visits and changes, of lots of whole patients, which wait on this machine's disk."""

    def of_parts(folder: str, schema: TableSchema, columns: Sequence[str]) -> _Source:
        return _Source(store=store, keys=[f"{folder}/{part}" for part in parts], schema=schema, columns=columns)

    with_films = [part for part in parts if open_part(store, f"extremities/{part}", EXTREMITIES).metadata.num_rows]
    images = [f"images/{images_part(part)}" for part in with_films]
    sources = {
        "extremities": of_parts("extremities", EXTREMITIES, EXTREMITY_COLUMNS),
        "scans": of_parts("ultrasound", ULTRASOUND, SCAN_COLUMNS),
        "joints": of_parts("joints", JOINTS, JOINT_COLUMNS),
        "images": _Source(store=data, keys=images, schema=IMAGES, columns=VIEW_COLUMNS),
    }
    if any(group.models for group in models.values()):
        keys = list_parts(data, CLINIC_TABLE)
        sources["clinic"] = _Source(store=data, keys=keys, schema=CLINIC, columns=CLINIC.names)
    rows = sum(
        open_part(source.store, key, source.schema).metadata.num_rows
        for source in sources.values()
        for key in source.keys
    )
    with tempfile.TemporaryDirectory(prefix="rajobs-visits-") as folder:
        lots = 1 + rows // ROWS_PER_LOT
        for name, source in sources.items():
            _split_by_patient(source.tables(), Path(folder) / name, lots)

        def read_lot(name: str, lot: int) -> pa.Table:
            return _read_lot(Path(folder) / name / str(lot)) or sources[name].schema.arrow.empty_table()

        repeats = [
            each
            for lot in range(lots)
            for each in space_repeats(read_lot("extremities", lot), read_lot("joints", lot), read_lot("images", lot))
        ]
        precision = add_spaces(precision, repeats)
        for lot in range(lots):
            of_lot = {name: read_lot(name, lot) for name in sources}
            asked = ask_about_visits(steps, models, of_lot.get("clinic"), of_lot["scans"])
            visits = build_visits(of_lot["extremities"], of_lot["scans"], asked, schema=steps.visits)
            yield visits, build_changes(of_lot["extremities"], of_lot["joints"], precision)


def _split_by_patient(tables: Iterable[pa.Table], folder: Path, lots: int) -> None:
    """One file per lot: all rows of a patient are in one of them."""
    folder.mkdir()
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        for table in tables:
            lot_of_row = np.array([zlib.crc32(name.encode()) % lots for name in table.column("patient").to_pylist()])
            for lot in np.unique(lot_of_row).tolist():
                if lot not in writers:
                    sink = pa.OSFile(str(folder / str(lot)), "wb")
                    writers[lot] = stack.enter_context(pa.ipc.new_stream(stack.enter_context(sink), table.schema))
                writers[lot].write_table(table.filter(pa.array(lot_of_row == lot)))


def _read_lot(file: Path) -> pa.Table | None:
    if not file.exists():
        return None
    with pa.OSFile(str(file), "rb") as source:
        return pa.ipc.open_stream(source).read_all()


def ask_about_visits(
    steps: ScoreSteps, models: Mapping[str, VotingModels], clinic: pa.Table | None, scans: pa.Table
) -> list[Record]:
    """What the models answer about each visit of the clinic table; variants are no visits.

    What the clinic left empty of the joints' ultrasound is filled by the grades of scans of the same day; the clinic
    table stays as it is.
    """
    if clinic is None:
        return []
    grades = grades_by_visit(scans)
    visits = visits_of_clinic(clinic.filter(pc.is_null(clinic.column("derived_from"))))
    filled = [missing_findings(visit, grades.get((visit.patient, visit.day), {})) for visit in visits]
    seen = [replace(visit, findings={**visit.findings, **more}) for visit, more in zip(visits, filled)]
    records: list[Record] = []
    for first in range(0, len(seen), VISITS_AT_ONCE):
        some = seen[first : first + VISITS_AT_ONCE]
        votes = _votes(steps, models, some)
        for number, visit in enumerate(some):
            answers = votes.fill(number)
            if answers:
                records.append({
                    "patient": visit.patient, "visit_date": visit.day, **answers,
                    "squares_filled": len(filled[first + number]), "bundles": votes.hashes,
                })  # fmt: skip
    return records


def _votes(steps: ScoreSteps, models: Mapping[str, VotingModels], visits: Sequence[Visit]) -> Votes:
    rows = [Row(image_id=visit.image_id, at=number) for number, visit in enumerate(visits)]
    studies = steps.filling(VISITS)
    requests: dict[str, ViewRequest] = {}
    for study in studies:
        requests.update(models[study.name].view_requests(rows))
    drawn = draw_visits(visits, requests)
    by_study = {study.name: models[study.name].vote(rows, drawn) for study in studies}
    return Votes(studies=tuple(studies), by_study=by_study, models=models, schema=steps.visits)


def missing_findings(visit: Visit, known: Mapping[str, Finding]) -> dict[str, Finding]:
    """Those of the known findings that the visit lacks."""
    return {name: known[name] for name, finding in visit.findings.items() if finding is None and name in known}
