"""Label CSVs, long or wide, as one long table whose rows know their file and the row's number there.

A mistake is named by the rows that have it. Cells are not quoted: where columns are mixed up they may name a patient.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from rajobs.records.errors import BadTable, UnknownName, nearest
from rajobs.records.identity import IMAGE_ID
from rajobs.records.labels.vocabulary import Vocabulary, canonical_value
from rajobs.records.tables.schemas import SIDES, SPLITS
from rajobs.records.user_tables import NUMBER, UID, check_header, read_text_table

REQUIRED_LABEL_COLUMNS = ("image", "study", "target", "value")
OPTIONAL_LABEL_COLUMNS = ("side", "site", "reader", "patient", "split", "frame", "derived_from", "note")
LABEL_COLUMNS = (*REQUIRED_LABEL_COLUMNS, *OPTIONAL_LABEL_COLUMNS)
READ_LABELS = pa.schema([*((name, pa.string()) for name in LABEL_COLUMNS), ("file", pa.string()), ("row", pa.int64())])
"""Labels as they were read, before they have image_ids."""
ROWS_SHOWN = 5

LabelRow = dict[str, str | None]
NumberedRow = tuple[int, LabelRow]
"""The number that a spreadsheet shows, and a label of that row."""
Reading = tuple[str | None, ...]
"""What a label is about and who read it: everything but its value."""
READING = ("image", "frame", "side", "site", "study", "target", "reader")


def read_labels(uris: Sequence[str], vocabulary: Vocabulary) -> pa.Table:
    """The labels of several files, checked; an optional column that a file lacks is filled with nulls."""
    return pa.concat_tables([READ_LABELS.empty_table(), *(_read_file(uri, vocabulary) for uri in uris)])


def _read_file(uri: str, vocabulary: Vocabulary) -> pa.Table:
    table, numbers = read_text_table(uri, "labels")
    rows = _rows_of_file(uri, table, numbers, vocabulary)
    check = LabelCheck(uri, vocabulary)
    checked = [(number, check.row(number, row)) for number, row in rows]
    check.raise_first()
    refuse_contradictions(
        uri, ((number, tuple(row[name] for name in READING), row["value"]) for number, row in checked)
    )
    return pa.Table.from_pylist([{**row, "file": uri, "row": number} for number, row in checked], schema=READ_LABELS)


def _rows_of_file(uri: str, table: pa.Table, numbers: Sequence[int], vocabulary: Vocabulary) -> Iterator[NumberedRow]:
    header, known = table.column_names, _wide_columns(table.column_names, vocabulary)
    wide = {name: known[name.casefold()] for name in header if name.casefold() in known}
    if wide:
        check_header(f"the labels file {uri}", header, ("image",), (*LABEL_COLUMNS, *wide, *known))
    else:
        check_header(f"the labels file {uri}", header, REQUIRED_LABEL_COLUMNS, OPTIONAL_LABEL_COLUMNS)
    for number, row in zip(numbers, table.to_pylist(), strict=True):
        cells = {name: (value or "").strip() or None for name, value in row.items()}
        shared = {name: cells.get(name) for name in LABEL_COLUMNS}
        if not wide:
            yield number, shared
        for column, named in wide.items():
            if cells[column] is not None:
                yield number, {**shared, **named, "value": cells[column]}


def _wide_columns(header: Sequence[str], vocabulary: Vocabulary) -> dict[str, dict[str, str]]:
    """What the columns of a wide table label: `jsn_MCP2`, `stage`, or `MCP2` beside a column `target`; {} if long."""
    if "value" in header or "image" not in header:
        return {}
    known: dict[str, dict[str, str]] = {}
    for targets in vocabulary.values():
        for target, label in targets.items():
            for site in label.sites:
                if "target" in header and site:
                    known[site.casefold()] = {"site": site}
                elif "target" not in header:
                    column = f"{target}_{site}" if site else target
                    known[column.casefold()] = {"target": target, **({"site": site} if site else {})}
    return known


class LabelCheck:
    """Checks labels row by row, and collects the numbers of the rows that have a mistake."""

    def __init__(self, uri: str, vocabulary: Vocabulary) -> None:
        self.uri, self.vocabulary = uri, vocabulary
        self.mistakes: dict[tuple[type[BadTable] | type[UnknownName], str], list[int]] = {}

    def row(self, number: int, row: LabelRow) -> LabelRow:
        """The row with its image and value as rajobs writes them."""
        image = (row["image"] or "").replace("\\", "/").removeprefix("./")
        row = {**row, "image": image or None}
        if row["study"] is None and row["target"] is not None:  # a wide table's
            studies = [study for study, targets in self.vocabulary.items() if row["target"] in targets]
            row["study"] = studies[0] if len(studies) == 1 else None
        empty = [name for name in REQUIRED_LABEL_COLUMNS if row[name] is None]
        if empty:
            self._note(number, BadTable, f"no {' and no '.join(empty)}; every row needs one")
            return row
        for column, fits, mistake in _CHECKS:
            value = row[column]
            if value is not None and not fits(value):
                self._note(number, BadTable, f"{column} is {mistake}")
        return {**row, "value": self._value(number, row)}

    def _value(self, number: int, row: LabelRow) -> str | None:
        study, target, site = row["study"] or "", row["target"] or "", row["site"] or ""
        if study not in self.vocabulary:
            self._note(number, UnknownName, f"an unknown study; {nearest(study, self.vocabulary)}")
            return None
        targets = self.vocabulary[study]
        if target not in targets:
            self._note(number, UnknownName, f"an unknown target of {study}; {nearest(target, targets)}")
            return None
        sites = targets[target].sites
        if site not in sites:
            self._note(number, UnknownName, f"{target} of {study} at {_unknown_site(site, sites)}")
            return None
        allowed = sites[site]
        value = canonical_value(row["value"] or "", allowed)
        if value is None:
            where = f"{target} at {site}" if site else target
            kinds = f"none of {', '.join(allowed)}" if allowed else "no place on a film (a pixel, as 812.5)"
            self._note(number, BadTable, f"{where} of {study} is {kinds}")
        return value

    def _note(self, number: int, error: type[BadTable] | type[UnknownName], mistake: str) -> None:
        self.mistakes.setdefault((error, mistake), []).append(number)

    def raise_first(self) -> None:
        """The first mistake, as one line with the rows that have it."""
        for (error, mistake), numbers in self.mistakes.items():
            raise error(f"the labels file {self.uri}, {name_rows(numbers)}: {mistake}")


def _unknown_site(site: str, sites: Mapping[str, tuple[str, ...]]) -> str:
    if not site:
        return f"no site; name one of {', '.join(sites)}"
    if set(sites) == {""}:
        return "a site, but it is of the whole hand or film; leave site empty"
    return f"an unknown site; {nearest(site, [name for name in sites if name])}"


_CHECKS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("side", SIDES.__contains__, f"none of {', '.join(SIDES)}"),
    ("split", SPLITS.__contains__, f"none of {', '.join(SPLITS)}"),
    ("frame", NUMBER.fullmatch, "no number from 0 on"),
    ("derived_from", lambda value: UID.fullmatch(value) or IMAGE_ID.fullmatch(value), "neither image_id nor SOP UID"),
)


def name_rows(numbers: Sequence[int], noun: str = "row") -> str:
    """The rows of a file in words: `row 7`, or `rows 7, 9, 12, 13, 20 and 5 more`."""
    rows = list(dict.fromkeys(numbers))  # a row of a wide table has several labels
    shown = ", ".join(str(number) for number in rows[:ROWS_SHOWN])
    more = f" and {len(rows) - ROWS_SHOWN} more" if len(rows) > ROWS_SHOWN else ""
    return f"{noun}{'s' if len(rows) > 1 else ''} {shown}{more}"


def refuse_contradictions(uri: str, readings: Iterable[tuple[int, Reading, str | None]]) -> None:
    """BadTable if two rows of a file give one reading two values."""
    first: dict[Reading, tuple[int, str | None]] = {}
    contradicting: dict[int, None] = {}
    for number, reading, value in readings:
        before, known = first.setdefault(reading, (number, value))
        if known != value:
            contradicting |= {before: None, number: None}
    if contradicting:
        raise BadTable(
            f"the labels file {uri}, {name_rows(list(contradicting))}: one reading has two values; leave one of "
            "them, or name the readers in a column reader"
        )


def values_by_image(labels: pa.Table, column: str) -> dict[str, str]:
    """The value of a column for each image that has one."""
    pairs = zip(labels.column("image").to_pylist(), labels.column(column).to_pylist())
    return {image: value for image, value in pairs if value}


def labels_by_path(labels: pa.Table) -> pa.Table:
    """The labels that name their image by a path: only a file without a DICOM header needs what labels say of it."""
    paths = [UID.fullmatch(image) is None for image in labels.column("image").to_pylist()]
    return labels.filter(pa.array(paths, pa.bool_()))
