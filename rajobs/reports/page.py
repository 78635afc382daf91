"""The frame that all pages share: one file per page, without scripts, clocks or anything fetched from elsewhere."""

import base64
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
    """A drawn figure with its caption; a wide one scrolls sideways on a phone."""

    png: bytes
    caption: str
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A film or frame with its description, which stands alone where there is no `png`."""

    png: bytes | None
    title: str
    lines: tuple[str, ...] = ()
    code: str = ""  # the shortened image_id
    tags: tuple[str, ...] = ()


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
    environment.filters |= {"format_cell": format_cell, "data_uri": _data_uri, "size": _size}
    return environment.get_template("page.html.j2").render(
        title=title,
        lead=lead,
        sections=sections,
        css=resources.files("rajobs.reports").joinpath("page.css").read_text(encoding="utf-8"),
        no_evidence=NO_EVIDENCE,
        version=__version__,
    )


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


def _size(png: bytes) -> tuple[int, int]:
    """Width and height, so that a page does not jump while it opens."""
    columns, rows = struct.unpack(">II", png[16:24])
    return columns, rows
