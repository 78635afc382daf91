"""CSVs that users bring, as text with their rows' numbers; and the clinic table, whose patients become pseudonyms."""

import io
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv

from rajobs.records.errors import BadTable, StoreError, UnknownName
from rajobs.records.identity import Key
from rajobs.records.labels.readers import reader_pseudonym, readers_crosswalk
from rajobs.records.store import open_store, split_uri
from rajobs.records.tables.csv_files import unescape_cells
from rajobs.records.tables.schemas import CLINIC, CROSSWALK, READERS, TEXT
from rajobs.records.tables.table_schema import TableSchema

UID = re.compile(r"[0-9]+(\.[0-9]+)+")
NUMBER = re.compile(r"[0-9]{1,9}")


def read_csv(uri: str, what: str, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    """A CSV as text columns; a required column must be there, and an unknown one must not."""
    table, _ = read_text_table(uri, what)
    check_header(f"the {what} file {uri}", table.column_names, required, optional)
    return table


def read_text_table(uri: str, what: str) -> tuple[pa.Table, Sequence[int]]:
    """A CSV as text columns, whatever their names, and the number of each row as a spreadsheet shows it."""
    parent, name = split_uri(uri)
    store = open_store(parent)
    if store.stat(name) is None:
        raise StoreError(f"there is no {what} file {uri}")
    data = store.get(name)
    try:
        parse = pyarrow.csv.ParseOptions(delimiter=separator(data.partition(b"\n")[0].decode()))
        header = pyarrow.csv.open_csv(io.BytesIO(data), parse_options=parse).schema.names
        options = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        table = pyarrow.csv.read_csv(io.BytesIO(data), parse_options=parse, convert_options=options)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        # Arrow's own message quotes the row.
        raise BadTable(
            f"the {what} file {uri} is no CSV in UTF-8 whose rows all have the header's columns; save it as such"
        ) from None
    header = [column.strip().lstrip("\ufeff") for column in header]
    return unescape_cells(table.rename_columns(header)), _row_numbers(data, table.num_rows)


def _row_numbers(data: bytes, rows: int) -> Sequence[int]:
    """The header is row 1. Empty lines, which are no rows of the table, count."""
    filled = [number for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    # A cell may hold a line break: then lines are no rows.
    return filled[1:] if len(filled) == rows + 1 else range(2, rows + 2)


def separator(header: str) -> str:
    """The separator of the first line: Excel writes semicolons where the decimal sign is a comma."""
    return next((sign for sign in ",;\t" if sign in header), ",")


def check_header(table: str, header: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    if not {*required, *optional} & set(header):
        # A file without a header: its first line is data, and data stay out of messages.
        raise BadTable(f"{table} names none of its columns {', '.join(required)} in its first line; add a header")
    missing = [column for column in required if column not in header]
    if missing:
        raise BadTable(f"{table} lacks {', '.join(missing)}; it has {', '.join(header)}")
    if len(set(header)) < len(header):
        raise BadTable(f"{table} has two columns of one name; it has {', '.join(header)}")
    for column in header:
        if column not in (*required, *optional):
            raise UnknownName.among(f"column in {table}:", column, (*required, *optional))


def _read_clinic_csv(uri: str) -> pa.Table:
    table = read_csv(uri, "clinic", ("patient", "visit_date"), CLINIC.names)
    if table.column("patient").null_count:
        raise BadTable(f"the clinic file {uri} has rows without patient; every row needs one")
    return table


def clinic_crosswalks(uri: str, key: Key) -> dict[TableSchema, pa.Table]:
    """Who is named in a clinic CSV, for the ledger: patients, some of whom have no image, and readers."""
    table = _read_clinic_csv(uri)
    columns = [name for name in _PATIENT_COLUMNS if name in table.column_names]
    patients = {patient for name in columns for patient in table.column(name).to_pylist()}
    readers = table.column("reader").to_pylist() if "reader" in table.column_names else []
    return {READERS: readers_crosswalk(key, readers), CROSSWALK: CROSSWALK.rows([
        {
            "source": key.pseudonym("source", f"clinic {patient}"), "path": "clinic table", "image_ids": [],
            "patient": key.pseudonym("patient", patient), "patient_id": patient,
        }
        for patient in sorted(patients - {None})
    ])}  # fmt: skip


_PATIENT_COLUMNS = ("patient", "derived_from")


def read_clinic(uri: str, key: Key) -> pa.Table:
    """A clinic CSV with pseudonyms and shifted dates; no message quotes a value."""
    table = _read_clinic_csv(uri)
    columns = {}
    for column in CLINIC.columns:
        has_column = column.name in table.column_names
        values = table.column(column.name) if has_column else pa.nulls(table.num_rows, TEXT)
        try:
            columns[column.name] = values.cast(column.type)
        except pa.ArrowInvalid:
            kind = "a date (YYYY-MM-DD)" if column.name == "visit_date" else "a number (31.5)"
            raise BadTable(f"the clinic file {uri} has a value in {column.name} that is not {kind}") from None
    visits = zip(columns["patient"].to_pylist(), columns["visit_date"].to_pylist())
    shifted = [None if day is None else key.shift(patient, day) for patient, day in visits]
    columns["visit_date"] = pa.array(shifted, pa.date32())
    for name in _PATIENT_COLUMNS:
        patients = columns[name].to_pylist()
        pseudonyms = [None if patient is None else key.pseudonym("patient", patient) for patient in patients]
        columns[name] = pa.array(pseudonyms, TEXT)
    readers = [None if name is None else reader_pseudonym(key, name) for name in columns["reader"].to_pylist()]
    columns["reader"] = pa.array(readers, TEXT)
    return CLINIC.check(pa.table(columns, schema=CLINIC.arrow))
