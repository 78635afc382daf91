"""What is drawn on pictures of films in figures and by programs: boxes, arrows, measures, letters, frames, captions.

Stored films are grey, so coloured marks are some grey. Marks move no joint: positions on the film stay true.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import Grey, Points
from rajobs.phantoms.presets import Preset

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_FINDINGS = ("fractured", "fracture", "erosion", "text", "lesion", "normal", "OA", "JSN", "abnormal", "bone")
_WORDS = (
    "A", "B", "C", "1", "2", "3", "4", "a", "b", "*", "S", "h", "Osteophyte", "Fig. 2", "Tibia", "Geode", "joint space",
    "Fracture", "Enchondroma", "pre-op", "6 weeks", "R", "L",
)  # fmt: skip
_CORNER_LINES = (
    "Im: 1/2", "Se: 3", "W 4095 L 2048", "60 kV", "5 mAs", "Zoom 0.8", "PA", "2019-04-11", "CR 1", "DR 14x17", "Lossy",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pen:
    """Draws on a film; `size` is the length in pixels of a hundredth of its shorter side."""

    shown: Grey
    rng: np.random.Generator

    @property
    def size(self) -> float:
        return int(min(self.shown.shape)) / 100

    def grey(self) -> float:
        """White and black are frequent; colours become greys in between."""
        return float(self.rng.choice((1.0, 1.0, 0.0, self.rng.uniform(0.25, 0.9))))

    def thick(self, low: float = 0.2, high: float = 1.0) -> int:
        return max(1, round(float(self.rng.uniform(low, high)) * self.size))

    def point(self, margin: float = 0.08) -> Points:
        """A place at least so many shares of a side away from the edges."""
        rows, columns = self.shown.shape
        return np.array([columns, rows]) * self.rng.uniform(margin, 1 - margin, 2)

    def line(self, start: Points, stop: Points, grey: float, thick: int, *, dashes: bool = False) -> None:
        count = 12 if dashes else 1
        ends = np.linspace(0, 1, 2 * count)
        for low, high in zip(ends[::2], ends[1::2], strict=True):
            first, last = start + low * (stop - start), start + high * (stop - start)
            cv2.line(self.shown, _pixel(first), _pixel(last), grey, thick, cv2.LINE_AA)

    def text(self, words: str, at: Points, height: float, grey: float, *, ground: float | None = None) -> None:
        """Writes words from the lower left corner `at`; `height` is in pixels."""
        font = _FONTS[int(self.rng.integers(len(_FONTS)))]
        scale, thick = height / 22, max(1, round(height / 10))
        (width, high), base = cv2.getTextSize(words, font, scale, thick)
        x, y = _pixel(at)
        if ground is not None:
            cv2.rectangle(self.shown, (x - thick, y - high - thick - 1), (x + width + thick, y + base), ground, -1)
        cv2.putText(self.shown, words, (x, y), font, scale, grey, thick, cv2.LINE_AA)

    def height(self, low: float = 2.5, high: float = 6.5) -> float:
        """The height of letters in pixels."""
        return max(7.0, float(self.rng.uniform(low, high)) * self.size)


def draw_marks(shown: Grey, rng: np.random.Generator, preset: Preset) -> tuple[str, ...]:
    """Draws marks on some films, in place; gives their kinds."""
    if rng.random() >= preset.marks:
        return ()
    kinds = tuple(
        str(kind) for kind in rng.permutation(tuple(_KINDS))[: int(rng.choice((1, 2, 3), p=(0.5, 0.35, 0.15)))]
    )
    pen = _Pen(shown=shown, rng=rng)
    for kind in sorted(kinds, key=list(_KINDS).index):  # frames and bands lie over the rest
        _KINDS[kind](pen)
    np.clip(shown, 0, 1, out=shown)
    return kinds


def _draw_boxes(pen: _Pen) -> None:
    """Boxes of a detector with its label and its certainty."""
    rng, grey, thick, height = pen.rng, pen.grey(), pen.thick(0.4, 1.1), pen.height(3.0, 6.5)
    for _ in range(int(rng.integers(1, 4))):
        reach = rng.uniform(4, 22, 2) * pen.size
        low, high = (at := pen.point(0.1)) - reach / 2, at + reach / 2
        cv2.rectangle(pen.shown, _pixel(low), _pixel(high), grey, thick, cv2.LINE_AA)
        if rng.random() < 0.85:
            words = f"{rng.choice(_FINDINGS)} {rng.uniform(0.2, 0.99):.2f}" if rng.random() < 0.8 else "1"
            written = 1.0 if grey < 0.75 else 0.0
            pen.text(
                words, np.array([low[0], low[1] - 1]), height, written, ground=grey if rng.random() < 0.8 else None
            )


def _draw_arrows(pen: _Pen) -> None:
    rng, grey, thick = pen.rng, pen.grey(), pen.thick(0.3, 1.3)
    wide, shaft = float(rng.uniform(1.2, 3.0)) * pen.size + thick, rng.random() < 0.75
    for _ in range(int(rng.integers(1, 5))):
        tip, turn = pen.point(), float(rng.uniform(0, 2 * np.pi))
        along = np.array([np.cos(turn), np.sin(turn)])
        aside = np.array([-along[1], along[0]])
        end = tip + along * float(rng.uniform(6, 16)) * pen.size
        head = np.array([tip, tip + 2 * wide * along + wide * aside, tip + 2 * wide * along - wide * aside])
        if shaft:
            pen.line(tip + 1.8 * wide * along, end, grey, thick)
        cv2.fillPoly(pen.shown, [np.rint(head).astype(np.int32)], grey, cv2.LINE_AA)
        if rng.random() < 0.25:
            pen.text(str(rng.choice(_WORDS)), end, pen.height(), grey)


def _draw_measures(pen: _Pen) -> None:
    """Lengths with their ends and numbers, and angles."""
    rng, grey, thick = pen.rng, pen.grey(), pen.thick(0.2, 0.6)
    for _ in range(int(rng.integers(1, 4))):
        first = pen.point()
        second = np.clip(first + rng.normal(0, 18, 2) * pen.size, 1, np.array(pen.shown.shape[::-1]) - 2)
        pen.line(first, second, grey, thick, dashes=bool(rng.random() < 0.25))
        step = (second - first) / max(float(np.hypot(*(second - first))), 1.0)
        aside = np.array([-step[1], step[0]]) * 1.5 * pen.size
        words = f"{rng.uniform(0.6, 90):.1f} mm"
        if rng.random() < 0.3:
            third = first + rng.normal(0, 18, 2) * pen.size
            pen.line(first, third, grey, thick)
            words = f"{rng.uniform(4, 140):.1f} deg"
        else:
            for end in (first, second):
                pen.line(end - aside, end + aside, grey, thick)
        if rng.random() < 0.7:
            pen.text(words, second + 2 * aside, pen.height(2.2, 4.5), grey, ground=0.0 if rng.random() < 0.3 else None)


def _draw_letters(pen: _Pen) -> None:
    """Letters and words, some with a line to what they name."""
    rng, grey, height = pen.rng, pen.grey(), pen.height()
    for _ in range(int(rng.integers(1, 7))):
        at = pen.point()
        if rng.random() < 0.4:
            pen.line(at, at + rng.normal(0, 10, 2) * pen.size, grey, pen.thick(0.2, 0.4))
        pen.text(str(rng.choice(_WORDS)), at, height, grey, ground=1.0 - grey if rng.random() < 0.15 else None)


def _draw_shapes(pen: _Pen) -> None:
    """Circles and curves around something, or spots painted over it."""
    rng, grey, thick = pen.rng, pen.grey(), pen.thick(0.3, 0.9)
    painted, opacity = rng.random() < 0.4, float(rng.uniform(0.25, 0.7))
    before = pen.shown.copy()
    for _ in range(int(rng.integers(1, 5))):
        axes = np.maximum(rng.uniform(2, 14, 2) * pen.size, 1)
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(
            pen.shown, _pixel(pen.point()), _pixel(axes), turn, 0, 360, grey, -1 if painted else thick, cv2.LINE_AA
        )
    if painted:
        pen.shown[:] = (1 - opacity) * before + opacity * pen.shown


def _draw_corner_text(pen: _Pen) -> None:
    """What a viewer writes into the corners of its window."""
    rng, height = pen.rng, pen.height(1.8, 3.2)
    rows, columns = pen.shown.shape
    for right in (False, True):
        for low in (False, True):
            if rng.random() < 0.4:
                continue
            for number in range(int(rng.integers(1, 5))):
                words = str(rng.choice(_CORNER_LINES))
                x = columns - 0.75 * height * len(words) if right else 0.6 * height
                y = rows - (0.7 + 1.4 * number) * height if low else (1.6 + 1.4 * number) * height
                pen.text(words, np.array([x, y]), height, 1.0)


def _draw_wedge(pen: _Pen) -> None:
    """A scale of greys, or of centimetres."""
    rng, (rows, columns) = pen.rng, pen.shown.shape
    high, wide = round(float(rng.uniform(0.15, 0.4)) * rows), max(3, round(float(rng.uniform(0.01, 0.04)) * columns))
    x = int(rng.integers(2, columns - wide - 2))
    x, y = (x if rng.random() < 0.2 else columns - 2 * wide), int(rng.integers(2, rows - high - 2))
    if rng.random() < 0.5:
        pen.shown[y : y + high, x : x + wide] = np.linspace(1, 0, high, dtype=np.float32)[:, None]
        return
    grey = pen.grey()
    for number, at in enumerate(np.linspace(y, y + high, 11)):
        reach = wide if number % 5 == 0 else wide // 2
        pen.line(np.array([x, at]), np.array([x + reach, at]), grey, 1)
    pen.line(np.array([x, y]), np.array([x, y + high]), grey, 1)


def _draw_frame(pen: _Pen) -> None:
    """A frame of one grey, around all of the picture or at some of its sides."""
    rng, grey = pen.rng, float(pen.rng.choice((1.0, 1.0, 0.0, pen.rng.uniform(0.1, 0.9))))
    whole = rng.random() < 0.6
    wide = rng.uniform(0.3, 4.0) * pen.size
    for side in range(4):
        if whole or rng.random() < 0.4:
            width = max(1, round(wide if whole else float(rng.uniform(0.3, 6.0)) * pen.size))
            edge = (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:])[side]
            pen.shown[edge] = grey


def _draw_band(pen: _Pen) -> None:
    """A band with a caption below or above the film."""
    rng, ground = pen.rng, float(pen.rng.choice((1.0, 0.0, 0.5)))
    height = pen.height(2.5, 4.5)
    rows, columns = pen.shown.shape
    wide = round(2.0 * height)
    low = bool(rng.random() < 0.7)
    pen.shown[(np.s_[-wide:] if low else np.s_[:wide])] = ground
    words = " ".join(str(word) for word in rng.choice(_WORDS, int(rng.integers(1, 6))))
    pen.text(
        words, np.array([0.05 * columns, rows - 0.6 * height if low else 1.4 * height]), height, float(ground < 0.4)
    )


def _pixel(at: Points) -> tuple[int, int]:
    return round(float(at[0])), round(float(at[1]))


_KINDS: Mapping[str, Callable[[_Pen], None]] = MappingProxyType(
    {
        "shapes": _draw_shapes, "boxes": _draw_boxes, "arrows": _draw_arrows, "measures": _draw_measures,
        "letters": _draw_letters, "corner text": _draw_corner_text, "wedge": _draw_wedge, "frame": _draw_frame,
        "band": _draw_band,
    }
)  # fmt: skip
MARKS = tuple(_KINDS)
"""The kinds of marks, in the order in which they are drawn."""
