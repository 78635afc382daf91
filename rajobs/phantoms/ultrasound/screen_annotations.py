"""What machines and people draw over a scan in colour: letters, callipers, arrows, rulers, body marks, palettes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.doppler_colours import MAP_SHARES, MAPS, Colour, Mask, colour_bar

_COLOURS = (
    (255, 255, 0), (0, 255, 0), (0, 255, 255), (255, 128, 0), (255, 0, 0), (255, 0, 255), (90, 150, 255),
    (255, 210, 60), (150, 255, 150), (230, 60, 60), (40, 90, 255),
)  # fmt: skip
_WORDS = (
    "MC", "PP", "MCP 2", "TENDON", "R LONG", "CH", "EL", "Syn", "Effusion?", "1 D 0.42 cm", "A 0.18 cm2", "L", "TGC 2",
    "FR 24 Hz", "Talus", "ML",
)  # fmt: skip
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_TRIES = 12
Point = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """Colours that are laid over a scan and how opaque each pixel is, 0 to 255."""

    colour: Colour
    opacity: Mask
    blocked: Mask  # where no annotation may lie
    rng: np.random.Generator

    @property
    def scale(self) -> float:
        """The size of annotations: 1 on a region of 320 rows."""
        return int(self.opacity.shape[0]) / 320

    def choose_colour(self) -> tuple[int, int, int]:
        return _COLOURS[int(self.rng.integers(len(_COLOURS)))]

    def choose_point(self) -> Point:
        rows, columns = self.opacity.shape
        return int(self.rng.integers(columns)), int(self.rng.integers(rows))

    def lay(self, mask: Mask, colour: tuple[int, int, int] | Colour) -> bool:
        """Lays a colour where the mask is; False if it would cover what is blocked."""
        if (self.blocked[mask > 0] > 0).any():
            return False
        drawn = mask > 0
        self.colour[drawn] = colour[drawn] if isinstance(colour, np.ndarray) else colour
        np.maximum(self.opacity, mask, out=self.opacity)
        return True

    def empty(self) -> Mask:
        return np.zeros_like(self.opacity)


def draw_annotations(blocked: Mask, rng: np.random.Generator) -> tuple[Overlay, tuple[str, ...]]:
    """One to four kinds of annotations for a scan, none of them over the blocked pixels, and their names."""
    overlay = Overlay(colour=np.zeros((*blocked.shape, 3), np.uint8), opacity=np.zeros_like(blocked), blocked=blocked,
                      rng=rng)  # fmt: skip
    kinds = rng.permutation(tuple(_KINDS))[: int(rng.integers(1, 5))]
    return overlay, tuple(str(kind) for kind in kinds if _KINDS[str(kind)](overlay))


def lay_over(image: Colour, overlay: Overlay) -> None:
    """Lays the annotations over an image, in place."""
    drawn = overlay.opacity > 0
    opacity = overlay.opacity[drawn, None].astype(np.float32) / 255
    mixed = image[drawn] * (1 - opacity) + overlay.colour[drawn] * opacity
    image[drawn] = np.rint(mixed).astype(np.uint8)


def _several(overlay: Overlay, draw: Callable[[Mask], None], most: int = 1) -> bool:
    """Draws up to `most` of a kind in one colour, each where there is room for it; whether any was drawn."""
    colour, count = overlay.choose_colour(), 0
    wanted = int(overlay.rng.integers(1, most + 1))
    for _ in range(_TRIES):
        mask = overlay.empty()
        draw(mask)
        count += overlay.lay(mask, colour)
        if count == wanted:
            break
    return count > 0


def _write_letters(overlay: Overlay) -> bool:
    rng = overlay.rng
    font, size = _FONTS[int(rng.integers(len(_FONTS)))], float(rng.uniform(0.4, 1.1)) * overlay.scale
    thick = int(rng.integers(1, 4)) if size > 0.8 else 1
    size *= 1.8 if font == cv2.FONT_HERSHEY_PLAIN else 1.0

    def draw(mask: Mask) -> None:
        cv2.putText(mask, str(rng.choice(_WORDS)), overlay.choose_point(), font, size, 255, thick, cv2.LINE_AA)

    return _several(overlay, draw, 4)


def _draw_callipers(overlay: Overlay) -> bool:
    """Two crosses with a dotted line between them, and the measured length."""
    rng, arm = overlay.rng, max(3, round(float(overlay.rng.uniform(4, 8)) * overlay.scale))
    thick, dotted = int(rng.integers(1, 3)), rng.random() < 0.7

    def draw(mask: Mask) -> None:
        first, second = np.array(overlay.choose_point()), np.array(overlay.choose_point())
        for x, y in (first, second):
            cv2.line(mask, (int(x) - arm, int(y)), (int(x) + arm, int(y)), 255, thick)
            cv2.line(mask, (int(x), int(y) - arm), (int(x), int(y) + arm), 255, thick)
        length = float(np.hypot(*(second - first)))
        for share in np.arange(0, 1, 6 * overlay.scale / max(length, 1.0)) if dotted else ():
            x, y = np.rint(first + share * (second - first)).astype(int)
            mask[y : y + thick, x : x + thick] = 255

    return _several(overlay, draw, 2)


def _draw_arrows(overlay: Overlay) -> bool:
    rng = overlay.rng
    thick, dashed, headed = int(rng.integers(1, 5)), rng.random() < 0.3, rng.random() < 0.3
    reach = float(rng.uniform(15, 90)) * overlay.scale

    def draw(mask: Mask) -> None:
        tip, turn = np.array(overlay.choose_point()), float(rng.uniform(0, 2 * np.pi))
        along = np.array([np.cos(turn), np.sin(turn)])
        end, wide = tip + reach * along, max(3.0, 1.2 * thick) * overlay.scale + 2
        head = [tip, tip + 2.2 * wide * along + wide * along[::-1] * (1, -1),
                tip + 2.2 * wide * along - wide * along[::-1] * (1, -1)]  # fmt: skip
        cv2.fillPoly(mask, [np.rint(head).astype(np.int32)], 255, cv2.LINE_AA)
        steps = np.linspace(0.1, 1, 12)
        for low, high in zip(steps[:-1:2], steps[1::2] if dashed else steps[2::2], strict=False):
            start, stop = tip + low * (end - tip), tip + high * (end - tip)
            if not headed:
                cv2.line(mask, (round(start[0]), round(start[1])), (round(stop[0]), round(stop[1])), 255, thick,
                         cv2.LINE_AA)  # fmt: skip

    return _several(overlay, draw, 5)


def _draw_ruler(overlay: Overlay) -> bool:
    """Ticks along one side, some of them longer, sometimes with a line and a focus mark."""
    rng, (rows, columns) = overlay.rng, overlay.opacity.shape
    on_left, thick, line = rng.random() < 0.5, int(rng.integers(1, 3)), rng.random() < 0.4

    def draw(mask: Mask) -> None:
        edge = int(rng.integers(2, 12)) if on_left else columns - 1 - int(rng.integers(2, 12))
        inwards = 1 if on_left else -1
        for number, y in enumerate(np.linspace(4, rows - 5, int(rng.integers(8, 40))).astype(int)):
            reach = round((9 if number % 5 == 0 else 5) * overlay.scale)
            cv2.line(mask, (edge, int(y)), (edge + inwards * reach, int(y)), 255, thick)
        if line:
            cv2.line(mask, (edge, 4), (edge, rows - 5), 255, thick)
        y, size = int(rng.integers(rows // 4, rows - 10)), round(6 * overlay.scale)
        mark = np.array([(edge, y), (edge + inwards * 2 * size, y - size), (edge + inwards * 2 * size, y + size)])
        cv2.fillPoly(mask, [mark.astype(np.int32)], 255, cv2.LINE_AA)

    return _several(overlay, draw)


def _draw_body_mark(overlay: Overlay) -> bool:
    """The outline of a limb in white or grey with the probe as a small coloured bar."""
    rng, (rows, columns) = overlay.rng, overlay.opacity.shape
    size = round(float(rng.uniform(34, 60)) * overlay.scale)
    x = int(rng.integers(3, 12)) if rng.random() < 0.5 else columns - size - int(rng.integers(3, 12))
    y = rows - size - int(rng.integers(3, 12)) if rng.random() < 0.8 else 4
    ground = overlay.empty()
    cv2.rectangle(ground, (x, y), (x + size, y + size), 255, -1)
    if not overlay.lay(ground, (14, 14, 14)):
        return False
    limb, probe = overlay.empty(), overlay.empty()
    corners = np.array([(0.3, 0.05), (0.3, 0.45), (0.08, 0.75), (0.12, 0.95), (0.6, 0.95), (0.62, 0.5), (0.7, 0.05)])
    outline = np.rint((corners + rng.normal(0, 0.04, corners.shape)).clip(0.03, 0.97) * size + (x, y)).astype(np.int32)
    cv2.polylines(limb, [outline], rng.random() < 0.5, 255, max(1, round(1.5 * overlay.scale)), cv2.LINE_AA)
    overlay.lay(limb, (220, 220, 220))
    middle, turn = np.array([x, y]) + size * rng.uniform(0.35, 0.6, 2), float(rng.uniform(0, np.pi))
    half = 0.2 * size * np.array([np.cos(turn), np.sin(turn)])
    (x0, y0), (x1, y1) = np.rint(middle - half).astype(int), np.rint(middle + half).astype(int)
    cv2.line(probe, (int(x0), int(y0)), (int(x1), int(y1)), 255, int(rng.integers(2, 6)), cv2.LINE_AA)
    return overlay.lay(probe, overlay.choose_colour())


def _draw_palette(overlay: Overlay) -> bool:
    """The strip of a colour map beside the scan: of flow, of tissue, or both at once."""
    rng, (rows, columns) = overlay.rng, overlay.opacity.shape
    height, width = (round(float(rng.uniform(*span)) * overlay.scale) for span in ((40, 150), (5, 18)))
    bar = colour_bar(str(rng.choice(tuple(MAPS), p=MAP_SHARES)), height, width)
    if rng.random() < 0.3:  # a tissue map: grey with a strong tint
        tint = np.array(overlay.choose_colour()) / 255
        bar = np.asarray(np.linspace(255, 0, len(bar))[:, None, None] * tint * np.ones((1, width, 1)), np.uint8)
    x = 4 if rng.random() < 0.4 else columns - width - 5
    y = int(rng.integers(4, max(5, rows - height - 4)))
    mask, colour = overlay.empty(), np.zeros((rows, columns, 3), np.uint8)
    mask[y : y + len(bar), x : x + width] = 255
    colour[y : y + len(bar), x : x + width] = bar[: rows - y]
    return overlay.lay(mask, colour)


def _draw_outline(overlay: Overlay) -> bool:
    """An ellipse, a box or a traced curve around something, or a curve of the heart along the bottom."""
    rng, (rows, columns) = overlay.rng, overlay.opacity.shape
    kind, thick = int(rng.integers(4)), int(rng.integers(1, 4))

    def draw(mask: Mask) -> None:
        at, reach = overlay.choose_point(), np.rint(rng.uniform(12, 70, 2) * overlay.scale).astype(int)
        if kind == 0:
            axes = int(reach[0]), int(reach[1])
            cv2.ellipse(mask, at, axes, float(rng.uniform(0, 180)), 0, 360, 255, thick, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(mask, at, (at[0] + int(reach[0]), at[1] + int(reach[1])), 255, thick)
        elif kind == 2:
            x = np.arange(0, columns, 2)
            beat = np.exp(-(((x % 90) - 30) ** 2) / 14) * 24 - np.exp(-(((x % 90) - 60) ** 2) / 90) * 6
            curve = np.column_stack([x, rows - 12 - beat * overlay.scale])
            cv2.polylines(mask, [np.rint(curve).astype(np.int32)], False, 255, 1, cv2.LINE_AA)
        else:
            turn = np.linspace(0, 2 * np.pi, 40)
            wave = 1 + 0.2 * np.sin(3 * turn + rng.uniform(0, 6))
            curve = np.column_stack([np.cos(turn) * reach[0], np.sin(turn) * reach[1]]) * wave[:, None] + at
            cv2.polylines(mask, [np.rint(curve).astype(np.int32)], True, 255, thick, cv2.LINE_AA)

    return _several(overlay, draw)


def _draw_logo(overlay: Overlay) -> bool:
    """A maker's sign: a disc or a square with a letter, in two colours."""
    rng, size = overlay.rng, round(float(overlay.rng.uniform(7, 18)) * overlay.scale)
    x, y = size + 4 + int(rng.integers(20)), size + 4 + int(rng.integers(10))
    disc, letter = overlay.empty(), overlay.empty()
    if rng.random() < 0.5:
        cv2.circle(disc, (x, y), size, 255, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(disc, (x - size, y - size), (x + size, y + size), 255, -1)
    cv2.putText(letter, str(rng.choice(("G", "S", "M", "e"))), (x - size // 2, y + size // 2), cv2.FONT_HERSHEY_DUPLEX,
                size / 16, 255, 1, cv2.LINE_AA)  # fmt: skip
    return overlay.lay(disc, overlay.choose_colour()) and overlay.lay(letter, overlay.choose_colour())


_KINDS: Mapping[str, Callable[[Overlay], bool]] = MappingProxyType(
    {
        "letters": _write_letters, "callipers": _draw_callipers, "arrows": _draw_arrows, "ruler": _draw_ruler,
        "body mark": _draw_body_mark, "palette": _draw_palette, "outline": _draw_outline, "logo": _draw_logo,
    }
)  # fmt: skip
ANNOTATIONS = tuple(_KINDS)
"""The kinds of annotations."""
