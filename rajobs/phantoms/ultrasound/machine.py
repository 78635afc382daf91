"""The machine and its operator: what a scan looks like whatever the joint's disease, and the screen around it."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.doppler_colours import MAP_SHARES, MAPS, Colour, colour_bar
from rajobs.phantoms.ultrasound.speckle import SPECKLES
from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges

Box = tuple[int, int, int, int]
Size = tuple[int, int]
_LINES = ((225, 225, 225), (225, 225, 225), (165, 205, 165), (205, 200, 160), (165, 190, 205))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Gain, fading with depth, darkness under bone; mm shown; colours; where region and colour box are put."""

    gain: float = 1.0
    fade: float = 0.35
    shadow: float = 0.86
    dark: float = 0.70  # how much darker than tissue the synovium is
    width_mm: float = 34.0
    offset: float = 0.56  # the joint's place along the scan, 0 to 1
    speckle: str = "fine"
    colours: str = "gold"
    line: tuple[int, int, int] = _LINES[0]
    power_gain: float = 1.0
    place: tuple[float, float, float, float] = (0.075, 0.20, 0.925, 0.86)  # the region's share of the screen
    box: tuple[float, float, float, float] | None = (13.0, 5.6, 6.0, 5.0)  # mm before, above, behind, below the joint
    mirrored: bool = False

    def region(self, size: Size) -> Box:
        """x0, y0, x1, y1 of the scan on a screen of so many rows and columns, the last ones included."""
        (rows, columns), (left, top, right, bottom) = size, self.place
        return round(columns * left), round(rows * top), round(columns * right) - 1, round(rows * bottom) - 1


def draw_machine(rng: np.random.Generator, ranges: VariationRanges, *, plain: bool = False) -> Machine:
    """A machine and an operator who sets it; neither knows the joint's grade."""
    wide = rng.random() < 0.2  # some never move the box from where it covers most of the scan
    box = (
        float(rng.uniform(11.8, 15.0)) + 6 * wide, float(rng.uniform(5.2, 7.0)) + 1.5 * wide,
        float(rng.uniform(4.6, 8.0)) + 5 * wide, float(rng.uniform(4.2, 7.0)) + 1.5 * wide,
    )  # fmt: skip
    left, top = float(rng.uniform(0.05, 0.11)), float(rng.uniform(0.19, 0.23))
    return Machine(
        gain=float(np.clip(1 + ranges.gain * rng.normal(), 0.5, 1.6)),
        fade=float(rng.uniform(0.15, 0.5)), shadow=float(rng.uniform(0.72, 0.92)),
        dark=float(rng.uniform(*ranges.contrast)), width_mm=float(rng.uniform(*ranges.width_mm)),
        offset=float(rng.uniform(0.50, 0.62)), speckle=str(rng.choice(SPECKLES, p=(0.5, 0.35, 0.15))),
        colours=str(rng.choice(tuple(MAPS), p=MAP_SHARES)), line=_LINES[int(rng.integers(len(_LINES)))],
        power_gain=float(rng.uniform(0.75, 1.15)),
        place=(left, top, float(rng.uniform(0.88, 0.94)), float(rng.uniform(0.76, 0.90))),
        box=None if plain else box, mirrored=bool(rng.random() < 0.3),
    )  # fmt: skip


def place_colour_box(machine: Machine, *, joint_px: float, head_px: float, pitch: float, shape: Size) -> Box | None:
    """The colour box within the region, x0, y0, x1, y1: the joint with the machine's margins, not the synovium's."""
    if machine.box is None:
        return None
    before, above, behind, below = (part / pitch for part in machine.box)
    rows, columns = shape
    return (
        max(2, round(joint_px - before)), max(2, round(head_px - above)),
        min(columns - 3, round(joint_px + behind)), min(rows - 3, round(head_px + below)),
    )  # fmt: skip


def draw_screen(size: Size, machine: Machine, words: tuple[str, ...], rng: np.random.Generator) -> Colour:
    """The screen around the scan: text, grey or colour bar, scale; nothing of it lies in the region."""
    rows, columns = size
    screen = np.zeros((rows, columns, 3), np.uint8)
    x0, y0, x1, y1 = machine.region(size)
    scale = min(columns / 640, rows / 480)
    settings = [f"MSK  L{rng.choice((12, 15, 18))}  {rng.integers(8, 19)}.0 MHz", f"GN {rng.integers(40, 80)}  DR 60"]
    if machine.box is not None:
        settings.append(f"PD GAIN {rng.integers(50, 80)}  PRF 0.{rng.integers(5, 10)}  WF {rng.integers(1, 4)}")
    for left, lines in ((8, words), (400, settings)):
        for number, word in enumerate(lines):
            at = round(left * scale), round((16 + 15 * number) * scale)
            _write(screen, word, at, scale)
    high, wide, left = max(2, round(90 * scale)), max(2, round(14 * scale)), x1 + max(3, round(12 * scale))
    shown = np.linspace(255, 0, high).astype(np.uint8)[:, None, None].repeat(wide, 1).repeat(3, 2)
    if machine.box is not None:
        shown = colour_bar(machine.colours, high, wide)
    room = screen[y0 + 20 : y0 + 20 + len(shown), left : left + wide]
    room[:] = shown[: room.shape[0], : room.shape[1]]
    for number, y in enumerate(np.linspace(y0, y1, 11).astype(int)):
        cv2.line(screen, (x0 - (9 if number % 5 == 0 else 5), int(y)), (x0 - 3, int(y)), (200, 200, 200), 1)
    _write(screen, "PWR" if machine.box is not None else "B", (left - 4, y0 + 14), scale)
    _write(screen, f"TIS 0.{rng.integers(1, 6)} MI 0.{rng.integers(5, 9)}", (round(430 * scale), rows - 8), scale)
    screen[y0 : y1 + 1, x0 : x1 + 1] = 0
    return screen


def _write(screen: Colour, word: str, at: tuple[int, int], scale: float) -> None:
    plain = word.encode("ascii", "replace").decode()
    cv2.putText(screen, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, (225, 225, 225), 1, cv2.LINE_AA)
