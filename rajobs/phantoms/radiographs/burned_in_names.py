"""Names, dates and numbers as machines burn them into films: in corners and at edges, on the film or on plates.

After the pictures with which presidio's image redactor is tested: lines such as "DAVIDSON^DOUGLAS [M]" and
"DOB: 06.16.1976". All names are made up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.drawing.canvas import Grey

HEIGHTS = (0.008, 0.035)
"""Heights of capital letters, as shares of the film's longer side."""
SMALLEST = 10.0  # pixels: smaller letters are hardly legible

BRIGHT = 0.6
"""A ground on which white could not be read; a black plate is laid over it."""

_STROKED_FONTS = {
    "Hershey simplex": cv2.FONT_HERSHEY_SIMPLEX, "Hershey duplex": cv2.FONT_HERSHEY_DUPLEX,
    "Hershey complex": cv2.FONT_HERSHEY_COMPLEX,
}  # fmt: skip
_FAMILIES = (
    "DAVIDSON",
    "Meier",
    "O'NEILL",
    "Lindqvist",
    "SATO",
    "Kowalska",
    "Rossi",
    "VAN DAM",
    "Fuchs",
    "GARCIA-LOPEZ",
)
_FIRST_NAMES = ("DOUGLAS", "Anna", "IDA", "Jean-Luc", "HANAKO", "Piotr", "Lia", "Wilhelmina", "JO", "ALAN")
_CLINICS = ("ST. MARY'S HOSPITAL", "Klinikum Nord", "RADIOLOGY DEPT", "Praxis Dr. Weber", "UNIVERSITY CLINIC")


@dataclass(frozen=True, kw_only=True, eq=False)
class BurnedInNames:
    """What was written on a film, and which pixels are letters."""

    lines: tuple[str, ...]
    font: str
    style: str
    height: float  # of capital letters, in pixels
    letters: NDArray[np.bool_]
    plate: tuple[int, int, int, int]  # x0, y0, x1, y1 of what is written on


def burn_in_names(shown: Grey, rng: np.random.Generator, font_files: Sequence[str] = ()) -> BurnedInNames:
    """Writes one to four lines on a film (0 to 1), in place, in a corner or at the middle of an edge.

    A font is chosen among OpenCV's stroked ones and the files.
    """
    longest = max(shown.shape)
    height = max(SMALLEST, float(np.exp(rng.uniform(*np.log(np.array(HEIGHTS) * longest)))))
    font, style = str(rng.choice((*_STROKED_FONTS, *font_files))), str(rng.choice(tuple(STYLES)))
    lines = _choose_lines(rng)
    ink = _written(lines, font, height)
    most = int(shown.shape[1] * 0.96)
    if ink.shape[1] > most:  # as on a screen, a line that is too long is written smaller
        height *= most / ink.shape[1]
        ink = _written(lines, font, height)
    row, column = _choose_place(shown.shape, ink.shape, rng)
    window = shown[row : row + ink.shape[0], column : column + ink.shape[1]]
    ink = ink[: window.shape[0], : window.shape[1]]
    if float(np.percentile(window, 95)) > BRIGHT and not style.startswith("on"):
        style = "on black"
    STYLES[style](window, ink, rng)
    np.clip(shown, 0, 1, out=shown)
    letters = np.zeros(shown.shape, bool)
    letters[row : row + ink.shape[0], column : column + ink.shape[1]] = ink > 0.5
    plate = (column, row, column + ink.shape[1] - 1, row + ink.shape[0] - 1)
    return BurnedInNames(lines=lines, font=font, style=style, height=height, letters=letters, plate=plate)


def _choose_lines(rng: np.random.Generator) -> tuple[str, ...]:
    day, year = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}", rng.integers(1920, 2024)
    number, sex = rng.integers(10_000, 99_999_999), rng.choice(("M", "F"))
    family, first = rng.choice(_FAMILIES), rng.choice(_FIRST_NAMES)
    kinds = (
        f"{family}^{first} [{sex}]", f"{family}, {first}", f"DOB: {day}.{year}", f"{day}.{year}", f"ID: {number}",
        f"{number}", f"{year}-{day[3:]}-{day[:2]} 14:{rng.integers(10, 60)}", f"Acc# {number}",
        str(rng.choice(_CLINICS)),
    )  # fmt: skip
    chosen = rng.permutation(np.array(kinds))[: int(rng.choice((1, 2, 3, 4), p=(0.4, 0.3, 0.2, 0.1)))]
    return tuple(str(line) for line in chosen)


def _written(lines: tuple[str, ...], font: str, height: float) -> Grey:
    """The ink of some lines, 0 to 1, with a margin of half a letter."""
    rows = [_line(line, font, height) for line in lines]
    margin, step = round(height / 2), round(1.7 * height)
    ink = np.zeros((step * len(rows) + 2 * margin, max(row.shape[1] for row in rows) + 2 * margin), np.float32)
    for number, row in enumerate(rows):
        top = margin + number * step
        part = ink[top : top + row.shape[0], margin : margin + row.shape[1]]
        np.maximum(part, row[: part.shape[0]], out=part)
    return ink


def _line(line: str, font: str, height: float) -> Grey:
    if font in _STROKED_FONTS:
        face, thick = _STROKED_FONTS[font], max(1, round(height / 10))
        scale = height / 22
        (width, high), base = cv2.getTextSize(line, face, scale, thick)
        ink = np.zeros((high + base + thick, width + thick), np.uint8)
        cv2.putText(ink, line, (0, high), face, scale, 255, thick, cv2.LINE_AA)
        return ink.astype(np.float32) / 255
    return _line_of_file(line, font, height)


def _line_of_file(line: str, font: str, height: float) -> Grey:
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(font, height / 0.72)
    left, _, right, bottom = face.getbbox(line)
    page = Image.new("L", (round(right - min(left, 0)) + 1, round(bottom) + 1))
    ImageDraw.Draw(page).text((-min(left, 0), 0), line, fill=255, font=face)
    return np.asarray(page, np.float32) / 255


def _choose_place(film: tuple[int, ...], ink: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of the upper left corner, in a corner of the film or at the middle of an edge."""
    gap = int(rng.uniform(0, 0.02) * max(film))
    low, right = max(gap, film[0] - ink[0] - gap), max(gap, film[1] - ink[1] - gap)
    places = ((gap, gap), (gap, right), (low, gap), (low, right), (gap, right // 2), (low, right // 2), (low // 2, gap))
    return places[int(rng.integers(len(places)))]


def _lay(window: Grey, ink: Grey, grey: float, opacity: float = 1.0) -> None:
    window += ink * np.float32(opacity) * (np.float32(grey) - window)


def _on_plate(window: Grey, ink: Grey, plate: float, grey: float, opacity: float = 1.0) -> None:
    _lay(window, np.ones_like(ink), plate, opacity)
    _lay(window, ink, grey)


STYLES: Mapping[str, Callable[[Grey, Grey, np.random.Generator], None]] = MappingProxyType(
    {
        "white": lambda window, ink, rng: _lay(window, ink, 1.0),
        "grey": lambda window, ink, rng: _lay(window, ink, float(rng.uniform(0.6, 0.9))),
        "semi-transparent": lambda window, ink, rng: _lay(window, ink, 1.0, float(rng.uniform(0.45, 0.8))),
        "on black": lambda window, ink, rng: _on_plate(window, ink, 0.0, 1.0),
        "on white": lambda window, ink, rng: _on_plate(window, ink, 1.0, 0.0),
        "on a faded plate": lambda window, ink, rng: _on_plate(window, ink, 0.0, 1.0, float(rng.uniform(0.3, 0.7))),
    }
)
"""How the letters lie on the film."""
