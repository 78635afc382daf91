"""The frame that all pages share: one file per page, without clocks or anything fetched from elsewhere.

A page with tables, or with answers to correct, has one script, ours, which alone its policy lets run.
"""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar

import jinja2

from rajobs import __version__
from rajobs.learning.card import NO_EVIDENCE
from rajobs.records.tables.csv_files import rows_to_csv

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBER = re.compile(r"[+−-]?[\d.,]+(\xa0to\xa0[+−-]?[\d.,]+)?")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A cell with a bar behind its text; the share is from 0 to 1."""

    text: str
    share: float


Cell = str | int | float | Bar | None


@dataclass(frozen=True, kw_only=True)
class Text:
    """Paragraphs."""

    kind: ClassVar[str] = "text"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A sentence that must not be overlooked."""

    kind: ClassVar[str] = "notice"
    text: str


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One number that summarises a page."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The few numbers to read first."""

    kind: ClassVar[str] = "tiles"
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A definition list."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """Rows under headings. Numbers are aligned right; `strong` rows are sums or winners."""

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    strong: tuple[int, ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds only numbers or intervals."""
        columns = [[row[at] for row in self.rows if row[at] is not None] for at in range(len(self.columns))]
        return tuple(bool(cells) and all(_is_number(cell) for cell in cells) for cells in columns)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawn figure with its caption; a wide one scrolls sideways on a phone. `data` is what it was drawn from."""

    png: bytes
    caption: str
    wide: bool = False
    data: PageTable | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class Correction:
    """An answer that a reader may replace by a label: the label's line in a label file, up to its value."""

    name: str  # MCP2 erosion
    start: str  # begins as CORRECTION_HEADER does
    values: tuple[str, ...]  # what may be right
    answer: str = ""  # the models' answer, where it is one value


CORRECTION_HEADER = "image,side,study,target,site,value"
"""The first line of a label file with such lines."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A film or frame with its description, which stands alone where there is no `png`."""

    png: bytes | None
    title: str
    lines: tuple[str, ...] = ()
    code: str = ""  # the image_id
    tags: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A grid of pictures."""

    kind: ClassVar[str] = "pictures"
    pictures: tuple[Picture, ...]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a job sequence, with the page that it made; `href` is relative to this page."""

    name: str
    line: str
    counts: tuple[tuple[str, Cell], ...] = ()
    png: bytes | None = None
    href: str | None = None
    link: str = "Open the report"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps in order, numbered."""

    kind: ClassVar[str] = "steps"
    steps: tuple[Step, ...]


Part = Text | Notice | Tiles | Facts | PageTable | Figures | Pictures | Steps


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with its parts below it."""

    title: str
    parts: tuple[Part, ...]
    lead: str = ""


def render(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The page as HTML. Every text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rajobs.reports", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = _script(sections)
    environment.filters |= {
        "format_cell": format_cell, "data_uri": _data_uri, "size": _size, "csv_uri": _csv_uri, "file_name": _file_name,
    }  # fmt: skip
    return environment.get_template("page.html.j2").render(
        title=title,
        lead=lead,
        sections=sections,
        css=_resource("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        no_evidence=NO_EVIDENCE,
        version=__version__,
    )


def _script(sections: Sequence[Section]) -> str:
    """What a page's tables and corrections need, and nothing for a page without any."""
    parts = [part for section in sections for part in section.parts]
    pictures = [picture for part in parts if isinstance(part, Pictures) for picture in part.pictures]
    names = {
        "tables.js": any(isinstance(part, PageTable) for part in parts),
        "corrections.js": any(picture.corrections for picture in pictures),
    }
    return "".join(_resource(name) for name, needed in names.items() if needed)


def _resource(name: str) -> str:
    return resources.files("rajobs.reports").joinpath(name).read_text(encoding="utf-8")


def format_cell(value: Cell) -> str:
    """A cell's text: thousands separated, three decimals, a dash for an unknown value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, Bar):
        return value.text
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else value


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None)


def share_bar(part: int, whole: int) -> Bar:
    """The share of a part as a bar with its percentage."""
    fraction = part / whole if whole else 0.0
    return Bar(text=f"{100 * fraction:.1f} %", share=fraction)


def _data_uri(png: bytes) -> str:
    assert png.startswith(_PNG), "a page embeds PNG pictures only"
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def table_csv(table: PageTable) -> bytes:
    """The table as a CSV file; numbers with all their digits."""
    return rows_to_csv([table.columns, *([_plain(cell) for cell in row] for row in table.rows)])


def _csv_uri(table: PageTable) -> str:
    return f"data:text/csv;base64,{base64.b64encode(table_csv(table)).decode()}"


def _plain(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return cell.text if isinstance(cell, Bar) else str(cell)


def _file_name(caption: str) -> str:
    return f"{re.sub('[^a-z0-9]+', '-', caption.lower()).strip('-')[:60] or 'figure'}.csv"


def _size(png: bytes) -> tuple[int, int]:
    """Width and height, so that a page does not jump while it opens."""
    columns, rows = struct.unpack(">II", png[16:24])
    return columns, rows
