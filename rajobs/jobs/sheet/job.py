"""rajobs sheet: pages, or spreadsheets, in which readers score, and the plan of who reads what.

OUT/<reader>-1.html, -2, ...   what a reader opens; each holds what fits into one sitting's file
OUT/<reader>.csv               the same as a spreadsheet (--as csv)
OUT/plan.csv                   who reads what, in which sheet, and what is read twice
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rajobs import studies
from rajobs.imaging.rows import CLINIC_TABLE, RADIOGRAPH
from rajobs.jobs import console
from rajobs.jobs.sheet.pictures import PictureFolder, pack_pictures
from rajobs.jobs.sheet.plan import PlannedCase, Sheets, Subject, assign_readers, cases_of, plan_rows
from rajobs.jobs.sheet.subjects import ReadingData
from rajobs.learning.study import Study
from rajobs.records.errors import DataError, StoreError, UnknownName, UsageError, WrongOutput
from rajobs.records.manifest import check_claim, claim, digest, put_manifest, read_manifest
from rajobs.records.store import Store, lease, open_store
from rajobs.records.store.lease import Fence
from rajobs.records.tables.csv_files import rows_to_csv
from rajobs.reports.sheet.fields import fields_of
from rajobs.reports.sheet.page import NOUNS, Case, SheetFacts, ShownPicture, sheet_page
from rajobs.reports.wording import format_count, short_id

ORDERS, KINDS = ("doubt", "random"), ("page", "csv")
MOST_PICTURES = 200
MOST_BYTES = 80 << 20
"""Of the pictures in one page: a browser opens it in a few seconds."""
DOUBLE = 0.2
"""Share of the patients that two readers read, if there are two and nothing else is asked for."""
MORE = 2
"""Times as many patients are looked at as are still wanted: some have no film of a hand."""
PLAN = "plan.csv"
_READER = re.compile(r"[A-Za-z0-9_-]{1,30}")


@dataclass(frozen=True, kw_only=True)
class SheetRequest:
    """What a person asks of sheet."""

    study: str
    data: str
    out: str
    tables: str | None = None
    patients: int | None = None
    order: str | None = None
    readers: str = "reader"
    double: float | None = None
    blind: bool = False
    kind: str = "page"
    ray: str | None = None
    take_over: bool = False

    @property
    def names(self) -> list[str]:
        """The readers."""
        return [name.strip() for name in self.readers.split(",")]

    @property
    def by_doubt(self) -> bool:
        return (self.order or ("doubt" if self.tables else "random")) == "doubt"

    @property
    def share_read_twice(self) -> float:
        return (DOUBLE if len(self.names) > 1 else 0.0) if self.double is None else self.double


def sheet(request: SheetRequest) -> str:
    """Write the sheets; the place of the plan. Finished work is not done again."""
    study = studies.find(request.study)
    _check(request, study)
    data, store = open_store(request.data), open_store(request.out)
    manifest = _finished(data, "ingest", f"`rajobs ingest SRC {request.data}`")
    tables = _open_tables(request, str(manifest["key"])) if request.tables else None
    identity = {
        "study": study.name, "data": manifest["hash"], "key": manifest["key"],
        "readers": ", ".join(request.names), "patients": request.patients,
        "order": "doubt" if request.by_doubt else "random", "double": request.share_read_twice,
        "blind": request.blind, "as": request.kind,
        "tables": digest(read_manifest(tables)) if tables is not None else None,
    }  # fmt: skip
    place = f"{request.out}/{PLAN}"
    if check_claim(store, "sheet", identity) and read_manifest(store) is not None:
        console.line(f"nothing to do: {request.out} holds these sheets already")
        return place
    by_reader = _plan(request, ReadingData.open(data, study, tables, request.ray))
    with lease.hold(store, "sheet", take_over=request.take_over) as fence:
        claim(store, "sheet", identity)
        if request.kind == "csv":
            sheets: Sheets = {reader: [(f"{reader}.csv", cases)] for reader, cases in by_reader.items()}
            for reader, cases in by_reader.items():
                fence.check()
                store.put(f"{reader}.csv", _spreadsheet(study, reader, cases))
        else:
            sheets = _write_pages(data, fence, study, by_reader, digest(identity))
        rows = plan_rows(sheets)
        fence.check(now=True)
        store.put(PLAN, rows_to_csv([list(rows[0]), *(list(row.values()) for row in rows)]))
        put_manifest(store, {"job": "sheet", **identity, "sheets": sum(map(len, sheets.values())), "rows": len(rows)})
    _print_summary(request, study, sheets)
    return place


def _check(request: SheetRequest, study: Study) -> None:
    """UsageError for what no sheet can be."""
    if study.rows.table == CLINIC_TABLE:
        raise UsageError(
            f"{study.name} reads the clinic's table and has no pictures to score; its labels are columns of that table "
            f"(rajobs studies {study.name})"
        )
    for what, name, known in (("kind of sheet", request.kind, KINDS), ("order", request.order or ORDERS[0], ORDERS)):
        if name not in known:
            raise UnknownName.among(what, name, known)
    if request.order == "doubt" and not request.tables:
        raise UsageError("--order doubt needs --tables TABLES, the OUT of a score that says how doubtful each hand is")
    if request.patients is not None and request.patients < 1:
        raise UsageError(f"--patients must be 1 or more, not {request.patients}")
    _check_readers(request)


def _check_readers(request: SheetRequest) -> None:
    names = request.names
    if not all(_READER.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise UsageError("--readers takes different short names with commas between them, of letters, digits, - and _")
    if not 0 <= request.share_read_twice <= 1:
        raise UsageError(f"--double must lie between 0 and 1, not be {request.double:g}")
    if request.double and len(names) < 2:
        raise UsageError("--double needs two readers: name them with --readers anna,ben")


def _finished(store: Store, job: str, command: str) -> Mapping[str, object]:
    manifest = read_manifest(store)
    if manifest is None or manifest.get("job") != job:
        raise StoreError(f"{store.uri} holds no finished {job}; run {command} first")
    return manifest


def _open_tables(request: SheetRequest, key: str) -> Store:
    assert request.tables is not None
    tables = open_store(request.tables)
    manifest = _finished(tables, "score", f"`rajobs score {request.data} MODELS {request.tables}`")
    if manifest["key"] != key:
        raise WrongOutput(
            f"--tables {request.tables} is of other data: its pseudonyms have another key; name the OUT of "
            f"`rajobs score {request.data} MODELS OUT`"
        )
    return tables


def _plan(request: SheetRequest, data: ReadingData) -> dict[str, list[PlannedCase]]:
    """Each reader's cases. Patients whose films show no hand are passed over."""
    noun = NOUNS[data.study.rows.name]
    known, labelled = data.patients(by_doubt=request.by_doubt)
    subjects: dict[str, list[Subject]] = {}
    wanted, begun = request.patients or len(known), 0
    while len(subjects) < wanted and begun < len(known):
        some = known[begun : begun + (wanted - len(subjects)) * MORE]
        begun += len(some)
        subjects |= data.subjects(some)
    subjects = dict(list(subjects.items())[:wanted])
    if not subjects:
        raise DataError(f"{request.data} has no {noun} to read: {data.study.rows.source}")
    if labelled:
        console.line(
            f"{format_count(labelled, 'patient')} with labels of {data.study.name} come after those without any"
        )
    order = assign_readers(list(subjects), request.names, request.share_read_twice)
    return {
        reader: [case for patient in patients for case in cases_of(subjects[patient], noun=noun, blind=request.blind)]
        for reader, patients in order.items()
        if patients
    }


def _write_pages(
    data: Store, fence: Fence, study: Study, by_reader: Mapping[str, Sequence[PlannedCase]], identity: str
) -> Sheets:
    subjects = {subject.name: subject for cases in by_reader.values() for case in cases for subject in case.subjects}
    with tempfile.TemporaryDirectory(prefix="rajobs-sheet-") as place:
        folder = PictureFolder(folder=Path(place))
        with console.Progress("packing pictures", len(subjects)) as progress:
            scans = study.rows.picture != RADIOGRAPH
            pack_pictures(data, list(subjects.values()), folder, progress.step, scans=scans)
        sheets = {}
        for reader, cases in by_reader.items():
            files = split_into_files(cases, folder)
            sheets[reader] = [(f"{reader}-{number}.html", each) for number, each in enumerate(files, 1)]
            for number, (file, each) in enumerate(sheets[reader], 1):
                part = f"sheet {number} of {len(files)}" if len(files) > 1 else ""
                name = digest([identity, file, [subject.name for case in each for subject in case.subjects]])
                facts = _facts(study, reader, file, part, each, folder, name)
                pictures = [subject for case in each for subject in case.subjects]
                page = sheet_page(facts, ((at, folder.text(subject)) for at, subject in enumerate(pictures)))
                fence.check()
                fence.store.put(file, page.encode())
    return sheets


def split_into_files(cases: Sequence[PlannedCase], folder: PictureFolder) -> list[list[PlannedCase]]:
    """The cases in pages of bounded size, in their order."""
    files: list[list[PlannedCase]] = []
    pictures = size = 0
    for case in cases:
        more, bytes_more = len(case.subjects), sum(folder.size(subject) for subject in case.subjects)
        if not files or pictures + more > MOST_PICTURES or size + bytes_more > MOST_BYTES:
            files.append([])
            pictures = size = 0
        files[-1].append(case)
        pictures, size = pictures + more, size + bytes_more
    return files


def _facts(
    study: Study, reader: str, file: str, part: str, cases: Sequence[PlannedCase], folder: PictureFolder,
    identity: str,
) -> SheetFacts:  # fmt: skip
    shown, number = [], 0
    for case in cases:
        pictures = []
        for subject, title in zip(case.subjects, case.titles):
            pictures.append(ShownPicture(
                picture=number, image_id=subject.image_id, side=subject.side, title=title, about=folder.about(subject)
            ))  # fmt: skip
            number += 1
        shown.append(Case(patient=short_id(case.patient), part=case.part, what=case.what, pictures=tuple(pictures)))
    return SheetFacts(
        identity=identity, study=study, reader=reader, file=f"{study.name}-{file.removesuffix('.html')}.csv", part=part,
        cases=tuple(shown),
    )  # fmt: skip


def _spreadsheet(study: Study, reader: str, cases: Sequence[PlannedCase]) -> bytes:
    """A row for each hand, film or scan, a column for each field; `ingest --labels` reads it when it is filled in."""
    parts = sorted({case.part for case in cases}, reverse=True)  # hands before feet
    columns = list(dict.fromkeys(field.column for part in parts for field in fields_of(study, part)))
    rows = [
        [subject.image_id, subject.side or "", reader, *[""] * len(columns)]
        for case in cases for subject in case.subjects
    ]  # fmt: skip
    return rows_to_csv([["image", "side", "reader", *columns], *rows])


def _print_summary(request: SheetRequest, study: Study, sheets: Sheets) -> None:
    noun = NOUNS[study.rows.name]
    rows: dict[str, object] = {}
    for reader, files in sheets.items():
        count = sum(len(case.subjects) for _, cases in files for case in cases)
        rows[reader] = f"{format_count(count, noun)} in {', '.join(file for file, _ in files)}"
    console.table(f"sheets of {study.name}", rows)
    suffix = "FILE.csv" if request.kind == "page" else "READER.csv"
    console.line(f"who reads what: {request.out}/{PLAN}")
    console.line(f"when they are filled in: rajobs ingest SRC {request.data} --labels {suffix}")
