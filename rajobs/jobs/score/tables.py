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
from rajobs.jobs.score.steps import Record, ScoreSteps, Votes
from rajobs.learning.samples.row_arrays import ViewRequest, draw_visits
from rajobs.learning.voting_models import VotingModels
from rajobs.records.store import Store
from rajobs.records.tables.csv_files import csv_file, to_csv
from rajobs.records.tables.parquet_parts import iterate_parts, list_parts, open_part, read_part, to_parquet
from rajobs.records.tables.schemas import CHANGES, CLINIC, EXTREMITIES, ULTRASOUND
from rajobs.records.tables.table_schema import TableSchema
from rajobs.records.visits import EXTREMITY_COLUMNS, SCAN_COLUMNS, build_visits, grades_by_visit
from rajobs.reports.score.tallies import FilmTally, HandTally, VisitTally

ROWS_PER_LOT = 50_000  # rows of the small tables held in memory while visits are made of them
VISITS_AT_ONCE = 256  # visits drawn at a time
VISITS_TABLE, CHANGES_TABLE = "visits", "changes"


@dataclass(frozen=True, kw_only=True)
class GatheredTables:
    """What the tables hold, in counts."""

    rows: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    films: FilmTally = field(default_factory=FilmTally)
    hands: HandTally = field(default_factory=HandTally)
    visits: VisitTally = field(default_factory=VisitTally)


def drop_gathered(store: Store, steps: ScoreSteps) -> None:
    """Remove what an earlier start made of all parts: it is incomplete once more parts are to come."""
    for name in (*steps.part_tables, VISITS_TABLE, CHANGES_TABLE):
        store.delete(f"{name}.csv")
    for key in [*list_parts(store, VISITS_TABLE), *list_parts(store, CHANGES_TABLE)]:
        store.delete(key)


def gather(data: Store, store: Store, steps: ScoreSteps, models: Mapping[str, VotingModels]) -> GatheredTables:
    """Write a CSV of each table, the visits, for which `models` are asked, and the changes; the counts of all."""
    gathered, tables = GatheredTables(), steps.part_tables
    drop_gathered(store, steps)
    with ExitStack() as stack:
        write = {name: stack.enter_context(csv_file(store, f"{name}.csv", schema)) for name, schema in tables.items()}
        for key in list_parts(store, "ledger"):
            part = key.rpartition("/")[2]
            of_part = {name: read_part(store, f"{name}/{part}", schema) for name, schema in tables.items()}
            for name, table in of_part.items():
                write[name](table)
                gathered.rows[name] += table.num_rows
            gathered.fates.update(of_part["ledger"].column("fate").to_pylist())
            gathered.films.add(of_part["films"], part)
            gathered.hands.add(of_part["extremities"], of_part["joints"], part)
            gathered.visits.add_scans(of_part["ultrasound"])
    with csv_file(store, f"{VISITS_TABLE}.csv", steps.visits) as write_visits:
        for number, table in enumerate(_visits(data, store, steps, models)):
            store.put(f"{VISITS_TABLE}/part-{number:05}.parquet", to_parquet(table, steps.visits))
            write_visits(table)
            gathered.rows[VISITS_TABLE] += table.num_rows
            gathered.visits.add(table)
    changes = CHANGES.rows([])  # without rows: the changes between visits are not computed yet
    store.put(f"{CHANGES_TABLE}/part-00000.parquet", to_parquet(changes, CHANGES))
    store.put(f"{CHANGES_TABLE}.csv", to_csv(changes))
    gathered.rows[CHANGES_TABLE] = changes.num_rows
    return gathered


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A table that visits are made of."""

    store: Store
    folder: str
    schema: TableSchema
    columns: Sequence[str]


def _visits(data: Store, store: Store, steps: ScoreSteps, models: Mapping[str, VotingModels]) -> Iterator[pa.Table]:
    """The second stage: lots of whole patients, which wait on this machine's disk for their turn."""
    sources = {
        "extremities": _Source(store=store, folder="extremities", schema=EXTREMITIES, columns=EXTREMITY_COLUMNS),
        "scans": _Source(store=store, folder="ultrasound", schema=ULTRASOUND, columns=SCAN_COLUMNS),
    }
    if any(group.models for group in models.values()):
        sources["clinic"] = _Source(store=data, folder=CLINIC_TABLE, schema=CLINIC, columns=CLINIC.names)
    rows = sum(
        open_part(source.store, key, source.schema).metadata.num_rows
        for source in sources.values()
        for key in list_parts(source.store, source.folder)
    )
    with tempfile.TemporaryDirectory(prefix="rajobs-visits-") as folder:
        lots = 1 + rows // ROWS_PER_LOT
        for name, source in sources.items():
            tables = (t for _, t in iterate_parts(source.store, source.folder, source.schema, source.columns))
            _split_by_patient(tables, Path(folder) / name, lots)
        for lot in range(lots):
            extremities, scans = (_read_lot(Path(folder) / name / str(lot)) for name in ("extremities", "scans"))
            scans = scans or ULTRASOUND.arrow.empty_table()
            asked = ask_about_visits(steps, models, _read_lot(Path(folder) / "clinic" / str(lot)), scans)
            yield build_visits(extremities or EXTREMITIES.arrow.empty_table(), scans, asked, schema=steps.visits)


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
