"""Labels and clinic tables that users bring as CSV: read, checked by column, and their patients made pseudonyms."""

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.csv

from rajobs.records.errors import BadTable, StoreError, UnknownName, nearest
from rajobs.records.identity import IMAGE_ID, Key
from rajobs.records.store import open_store, split_uri
from rajobs.records.tables.schemas import CLINIC, CROSSWALK, LABELS, SIDES, SPLITS, TEXT

REQUIRED_LABEL_COLUMNS = ("image", "study", "target", "value")
OPTIONAL_LABEL_COLUMNS = ("side", "site", "reader", "patient", "split", "frame", "derived_from")
UID = re.compile(r"[0-9]+(\.[0-9]+)+")
NUMBER = re.compile(r"[0-9]{1,9}")


def read_csv(uri: str, what: str, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    """A CSV as text columns; a required column must be there, and an unknown one must not."""
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
    _check_header(f"the {what} file {uri}", header, required, optional)
    return table.rename_columns(header)


def separator(header: str) -> str:
    """The separator of the first line: Excel writes semicolons where the decimal sign is a comma."""
    return next((sign for sign in ",;\t" if sign in header), ",")


def _check_header(table: str, header: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
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


def read_labels(uri: str) -> pa.Table:
    """A labels CSV; an optional column that the file lacks is filled with nulls."""
    table = read_csv(uri, "labels", REQUIRED_LABEL_COLUMNS, OPTIONAL_LABEL_COLUMNS)
    for column in OPTIONAL_LABEL_COLUMNS:
        if column not in table.column_names:
            table = table.append_column(column, pa.nulls(table.num_rows, pa.string()))
    for column in REQUIRED_LABEL_COLUMNS:
        if table.column(column).null_count:
            count = table.column(column).null_count
            raise BadTable(f"the labels file {uri} has {count} rows without {column}; every row needs one")
    for column, fits, mistake in _CHECKS:
        count = sum(value is not None and not fits(value) for value in table.column(column).to_pylist())
        if count:
            raise BadTable(f"the labels file {uri} has {count} rows whose {column} is {mistake}")
    return table


@dataclass(frozen=True, kw_only=True)
class LabelNames:
    """What labels of a study may name: its targets, its sites if they are a closed list, and a target's values."""

    targets: tuple[str, ...]
    sites: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of the targets whose values are checked


def check_names(uri: str, labels: pa.Table, known: Mapping[str, LabelNames]) -> None:
    """UnknownName if labels name an unknown study, target or site: no study would ever read such labels.

    BadTable if a value is none of its target's, where those are checked.
    """
    counts = Counter(zip(*(labels.column(name).to_pylist() for name in ("study", "target", "site"))))
    for (study, target, site), count in counts.items():
        rows = f"the labels file {uri} has {count} rows of"
        # The cell stays out of the message: where columns are mixed up it may name a patient.
        if study not in known:
            raise UnknownName(f"{rows} an unknown study; {nearest(study, known)}")
        targets, sites = known[study].targets, known[study].sites
        if target not in targets:
            raise UnknownName(f"{rows} {study} with an unknown target; {nearest(target, targets)}")
        if sites and site is not None and site not in sites:
            raise UnknownName(f"{rows} {study} with an unknown site; {nearest(site, sites)}")
    values = Counter(zip(*(labels.column(name).to_pylist() for name in ("study", "target", "value"))))
    for study, names in known.items():
        for target, allowed in names.values.items():
            wrong = sum(n for (s, t, value), n in values.items() if (s, t) == (study, target) and value not in allowed)
            if wrong:
                raise BadTable(
                    f"the labels file {uri} has {wrong} rows of {study} whose {target} is none of {', '.join(allowed)}"
                )


_CHECKS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("side", SIDES.__contains__, f"none of {', '.join(SIDES)}"),
    ("split", SPLITS.__contains__, f"none of {', '.join(SPLITS)}"),
    ("frame", NUMBER.fullmatch, "no number from 0 on"),
    ("derived_from", lambda value: UID.fullmatch(value) or IMAGE_ID.fullmatch(value), "neither image_id nor SOP UID"),
)


def values_by_image(labels: pa.Table, column: str) -> dict[str, str]:
    """The value of a column for each image that has one."""
    pairs = zip(labels.column("image").to_pylist(), labels.column(column).to_pylist())
    return {image: value for image, value in pairs if value}


def labels_by_path(labels: pa.Table) -> pa.Table:
    """The labels that name their image by a path: only a file without a DICOM header needs what labels say of it."""
    paths = [UID.fullmatch(image) is None for image in labels.column("image").to_pylist()]
    return labels.filter(pa.array(paths, pa.bool_()))


def _read_clinic_csv(uri: str) -> pa.Table:
    table = read_csv(uri, "clinic", ("patient", "visit_date"), CLINIC.names)
    if table.column("patient").null_count:
        raise BadTable(f"the clinic file {uri} has rows without patient; every row needs one")
    return table


def clinic_crosswalk(uri: str, key: Key) -> pa.Table:
    """The patients of a clinic CSV as rows of the ledger: some patients have no image by which to find them."""
    table = _read_clinic_csv(uri)
    columns = [name for name in _PATIENT_COLUMNS if name in table.column_names]
    patients = {patient for name in columns for patient in table.column(name).to_pylist()}
    return CROSSWALK.rows([
        {
            "source": key.pseudonym("source", f"clinic {patient}"), "path": "clinic table", "image_ids": [],
            "patient": key.pseudonym("patient", patient), "patient_id": patient,
        }
        for patient in sorted(patients - {None})
    ])  # fmt: skip


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
    return CLINIC.check(pa.table(columns, schema=CLINIC.arrow))


def label_rows(labels: pa.Table, ids: Mapping[tuple[str, int], str]) -> tuple[pa.Table, int]:
    """Labels with the image_ids of the images they name, and the count of those whose image is not there."""
    rows: list[dict[str, object]] = []
    lost = 0  # labels of images that are not there
    for row in labels.to_pylist():
        image = ids.get((row["image"], int(row["frame"] or 0)))
        if image is None:
            lost += 1
            continue
        label = {name: row[name] for name in ("side", "study", "target", "site", "value", "split")}
        rows.append({"image_id": image, **label, "reader": row["reader"] or "reader"})
    return LABELS.rows(rows), lost
