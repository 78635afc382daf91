"""The last part of score, in the driver: the CSVs, the visits and the page's numbers out of the parts that are there.

Tables are read part by part: the driver holds counts and the few rows that are shown, however many films there are.
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

from rajobs.imaging.rows import Finding, Row, Visit
from rajobs.imaging.rows import visits_of_clinic as clinic_visits
from rajobs.jobs.score.worker import TABLES
from rajobs.learning.samples.row_arrays import draw_visits
from rajobs.learning.voting import VotingModels
from rajobs.records.store import Store
from rajobs.records.tables.csv_files import csv_file
from rajobs.records.tables.parquet_parts import iterate_parts, list_parts, open_part, read_part, to_parquet
from rajobs.records.tables.schemas import CLINIC, HANDS, ULTRASOUND, VISITS
from rajobs.records.tables.table_schema import TableSchema
from rajobs.records.visits import HAND_COLUMNS, SCAN_COLUMNS, build_visits, grades_by_visit
from rajobs.reports.score_tallies import FilmTally, HandTally, VisitTally

LOT = 50_000  # rows of the small tables that are held while visits are made of them
ASKED = 256  # visits drawn at one go


@dataclass(frozen=True, kw_only=True)
class GatheredTables:
    """What the tables hold, in numbers."""

    rows: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    films: FilmTally = field(default_factory=FilmTally)
    hands: HandTally = field(default_factory=HandTally)
    visits: VisitTally = field(default_factory=VisitTally)


def drop_gathered(store: Store) -> None:
    """Remove what an earlier start made of all parts: without the parts that are to come it is not whole."""
    for name in (*TABLES, "visits"):
        store.delete(f"{name}.csv")
    for key in list_parts(store, "visits"):
        store.delete(key)


def gather(data: Store, store: Store, clinical: VotingModels) -> GatheredTables:
    """Write a CSV of each table, and the visits; the numbers of all."""
    found = GatheredTables()
    drop_gathered(store)
    with ExitStack() as stack:
        write = {name: stack.enter_context(csv_file(store, f"{name}.csv", of)) for name, of in TABLES.items()}
        for key in list_parts(store, "ledger"):
            part = key.rpartition("/")[2]
            held = {name: read_part(store, f"{name}/{part}", of) for name, of in TABLES.items()}
            for name, table in held.items():
                write[name](table)
                found.rows[name] += table.num_rows
            found.fates.update(held["ledger"].column("fate").to_pylist())
            found.films.add(held["films"], part)
            found.hands.add(held["hands"], held["joints"], part)
            found.visits.add_scans(held["ultrasound"])
    with csv_file(store, "visits.csv", VISITS) as write_visits:
        for number, table in enumerate(_visits(data, store, clinical)):
            store.put(f"visits/part-{number:05}.parquet", to_parquet(table, VISITS))
            write_visits(table)
            found.rows["visits"] += table.num_rows
            found.visits.add(table)
    return found


def _visits(data: Store, store: Store, clinical: VotingModels) -> Iterator[pa.Table]:
    """The second stage: lots of whole patients, kept on this machine's disk until it is their turn."""
    sources: dict[str, tuple[Store, str, TableSchema, Sequence[str]]] = {
        "hands": (store, "hands", HANDS, HAND_COLUMNS),
        "scans": (store, "ultrasound", ULTRASOUND, SCAN_COLUMNS),
    }
    if clinical.models:
        sources["clinic"] = (data, "clinic", CLINIC, CLINIC.names)
    rows = sum(
        open_part(place, key, of).metadata.num_rows
        for place, table, of, _ in sources.values()
        for key in list_parts(place, table)
    )
    with tempfile.TemporaryDirectory(prefix="rajobs-visits-") as folder:
        lots = 1 + rows // LOT
        for name, source in sources.items():
            _by_patient((table for _, table in iterate_parts(*source)), Path(folder) / name, lots)
        for lot in range(lots):
            hands, scans = (_read(Path(folder) / name / str(lot)) for name in ("hands", "scans"))
            scans = scans or ULTRASOUND.arrow.empty_table()
            asked = ask_clinic(clinical, _read(Path(folder) / "clinic" / str(lot)), scans)
            yield build_visits(hands or HANDS.arrow.empty_table(), scans, asked)


def _by_patient(tables: Iterable[pa.Table], folder: Path, lots: int) -> None:
    """A file a lot: all rows of a patient are in one of them."""
    folder.mkdir()
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        for table in tables:
            whose = np.array([zlib.crc32(name.encode()) % lots for name in table.column("patient").to_pylist()])
            for lot in np.unique(whose).tolist():
                if lot not in writers:
                    sink = pa.OSFile(str(folder / str(lot)), "wb")
                    writers[lot] = stack.enter_context(pa.ipc.new_stream(stack.enter_context(sink), table.schema))
                writers[lot].write_table(table.filter(pa.array(whose == lot)))


def _read(file: Path) -> pa.Table | None:
    if not file.exists():
        return None
    with pa.OSFile(str(file), "rb") as source:
        return pa.ipc.open_stream(source).read_all()


def ask_clinic(clinical: VotingModels, clinic: pa.Table | None, scans: pa.Table) -> list[dict[str, Any]]:
    """The models' probability for each visit of the clinic table; variants are no visits.

    What the clinic left empty of the joints' ultrasound is filled by the grades of scans of the same day; the clinic
    table stays as it is.
    """
    if clinic is None:
        return []
    told = grades_by_visit(scans)
    seen = clinic_visits(clinic.filter(pc.is_null(clinic.column("derived_from"))))
    gaps = [gaps_of(visit, told.get((visit.patient, visit.day), {})) for visit in seen]
    found = [replace(visit, findings={**visit.findings, **gap}) for visit, gap in zip(seen, gaps)]
    answers: list[dict[str, Any]] = []
    for first in range(0, len(found), ASKED):
        some = found[first : first + ASKED]
        rows: Sequence[Row] = [Row(image_id=visit.image_id, at=at) for at, visit in enumerate(some)]
        vote = clinical.vote(rows, draw_visits(some, clinical.view_requests(rows)))["ra_clinical"]
        answers += [
            {
                "patient": visit.patient,
                "visit_date": visit.day,
                "ra_clinical_p": float(p[1]),
                "ra_clinical_dissent": vote.dissent_of_row(at),
                "squares_filled": len(gaps[first + at]),
                "bundles": clinical.hashes,
            }
            for at, visit in enumerate(some)
            if (p := vote.probabilities_at(at)) is not None
        ]
    return answers


def gaps_of(visit: Visit, told: Mapping[str, Finding]) -> dict[str, Finding]:
    """Those of some findings of which the visit says nothing."""
    return {name: told[name] for name, finding in visit.findings.items() if finding is None and name in told}
