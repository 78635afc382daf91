"""The frame that all pages share: one file each, nothing fetched from elsewhere, no script, no clock."""

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
_SHORT = ("auc", "esr", "jsn", "mae", "qwk", "ra")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A cell with a bar behind its text; the share is 0 to 1."""

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
    """One number that sums a page up."""

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
    """Rows under headings; numbers stand right, `strong` rows are sums or winners."""

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    strong: tuple[int, ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers or intervals only."""
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
    """A film or frame with what is said of it; without `png` the words stand alone."""

    png: bytes | None
    title: str
    lines: tuple[str, ...] = ()
    code: str = ""  # its id
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A grid of pictures."""

    kind: ClassVar[str] = "pictures"
    pictures: tuple[Picture, ...]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a line of work, with the page it led to."""

    name: str
    line: str
    counts: tuple[tuple[str, Cell], ...] = ()
    png: bytes | None = None
    href: str | None = None
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps in order, numbered."""

    kind: ClassVar[str] = "steps"
    steps: tuple[Step, ...]


Part = Text | Notice | Tiles | Facts | PageTable | Figures | Pictures | Steps


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with what stands under it."""

    title: str
    parts: tuple[Part, ...]
    lead: str = ""


def render(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The page. Every text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rajobs.reports", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"shown": shown, "data_uri": _data_uri, "size": _size}
    return environment.get_template("page.html.j2").render(
        title=title,
        lead=lead,
        sections=sections,
        css=resources.files("rajobs.reports").joinpath("page.css").read_text(encoding="utf-8"),
        no_evidence=NO_EVIDENCE,
        version=__version__,
    )


def shown(value: Cell) -> str:
    """A cell's text: thousands apart, three decimals, a dash for what is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, Bar):
        return value.text
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else value


def interval(low: float | None, high: float | None) -> str | None:
    """An interval in words, or None where there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return None
    return f"{low:.3f}\xa0to\xa0{high:.3f}"


def words(name: str) -> str:
    """`hand_filter` as `Hand filter`, `view.auc` as `View, AUC`."""
    known = [word.upper() if word in _SHORT else word for word in re.split(r"[ _-]", name.replace(".", ", "))]
    text = " ".join(known)
    return text[:1].upper() + text[1:]


def short_id(image_id: str) -> str:
    """Enough of an image_id to find it by."""
    return image_id[:12]


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None)


def share(part: int, whole: int) -> Bar:
    """A part of a whole as a bar with its percentage."""
    fraction = part / whole if whole else 0.0
    return Bar(text=f"{100 * fraction:.1f} %", share=fraction)


def _data_uri(png: bytes) -> str:
    assert png.startswith(_PNG), "pages hold PNG pictures only"
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _size(png: bytes) -> tuple[int, int]:
    """Width and height, so that a page does not jump while it opens."""
    columns, rows = struct.unpack(">II", png[16:24])
    return columns, rows
