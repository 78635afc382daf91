"""The ultrasound machine and its operator: the look of a scan that does not depend on disease, and its screen."""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.doppler_colours import MAP_SHARES, MAPS, Colour, colour_bar
from rajobs.phantoms.ultrasound.speckle import SPECKLES
from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges

Box = tuple[int, int, int, int]  # x0, y0, x1, y1, the last row and column included
Size = tuple[int, int]  # rows, columns
Sides = tuple[float, float, float, float]  # left, top, right, bottom
_BOX_COLOURS = ((225, 225, 225), (225, 225, 225), (165, 205, 165), (205, 200, 160), (165, 190, 205))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Settings of a machine: gains, geometry, colours, and where the scan and the colour box lie."""

    gain: float = 1.0
    depth_fade: float = 0.35  # share of brightness lost from the top of the scan to its bottom
    bone_shadow: float = 0.86  # share of brightness lost under bone
    synovium_darkness: float = 0.70  # how much darker the synovium is than other tissue
    width_mm: float = 34.0  # width of the scan
    joint_offset: float = 0.56  # position of the joint along the scan, 0 to 1
    speckle: str = "fine"
    colours: str = "gold"  # name of the colour map
    box_colour: tuple[int, int, int] = _BOX_COLOURS[0]
    power_gain: float = 1.0
    region_share: Sides = (0.075, 0.20, 0.925, 0.86)  # the region's sides as shares of the screen
    box_margins: Sides | None = (13.0, 5.6, 6.0, 5.0)  # mm from the joint to the sides of the colour box
    mirrored: bool = False

    def region(self, size: Size) -> Box:
        """The region of the scan on a screen of this size."""
        (rows, columns), (left, top, right, bottom) = size, self.region_share
        return round(columns * left), round(rows * top), round(columns * right) - 1, round(rows * bottom) - 1


def draw_machine(rng: np.random.Generator, ranges: VariationRanges, *, grey_only: bool = False) -> Machine:
    """Random settings, independent of the joint's grade; `grey_only` is a scan without a colour box."""
    wide = rng.random() < 0.2  # some operators leave the box where it covers most of the scan
    box_margins = (
        float(rng.uniform(11.8, 15.0)) + 6 * wide, float(rng.uniform(5.2, 7.0)) + 1.5 * wide,
        float(rng.uniform(4.6, 8.0)) + 5 * wide, float(rng.uniform(4.2, 7.0)) + 1.5 * wide,
    )  # fmt: skip
    left, top = float(rng.uniform(0.05, 0.11)), float(rng.uniform(0.19, 0.23))
    return Machine(
        gain=float(np.clip(1 + ranges.gain * rng.normal(), 0.5, 1.6)),
        depth_fade=float(rng.uniform(0.15, 0.5)), bone_shadow=float(rng.uniform(0.72, 0.92)),
        synovium_darkness=float(rng.uniform(*ranges.contrast)), width_mm=float(rng.uniform(*ranges.width_mm)),
        joint_offset=float(rng.uniform(0.50, 0.62)), speckle=str(rng.choice(SPECKLES, p=(0.5, 0.35, 0.15))),
        colours=str(rng.choice(tuple(MAPS), p=MAP_SHARES)),
        box_colour=_BOX_COLOURS[int(rng.integers(len(_BOX_COLOURS)))],
        power_gain=float(rng.uniform(0.75, 1.15)),
        region_share=(left, top, float(rng.uniform(0.88, 0.94)), float(rng.uniform(0.76, 0.90))),
        box_margins=None if grey_only else box_margins, mirrored=bool(rng.random() < 0.3),
    )  # fmt: skip


def place_colour_box(machine: Machine, *, joint_px: float, head_px: float, pitch: float, shape: Size) -> Box | None:
    """The colour box within the region; its margins are the operator's and do not depend on the synovium."""
    if machine.box_margins is None:
        return None
    left, above, right, below = (margin / pitch for margin in machine.box_margins)
    rows, columns = shape
    return (
        max(2, round(joint_px - left)), max(2, round(head_px - above)),
        min(columns - 3, round(joint_px + right)), min(rows - 3, round(head_px + below)),
    )  # fmt: skip


def draw_screen(size: Size, machine: Machine, words: tuple[str, ...], rng: np.random.Generator) -> Colour:
    """The screen around the scan: text, grey or colour bar and depth scale; the region itself stays black."""
    rows, columns = size
    screen = np.zeros((rows, columns, 3), np.uint8)
    x0, y0, x1, y1 = machine.region(size)
    scale = min(columns / 640, rows / 480)
    settings = [f"MSK  L{rng.choice((12, 15, 18))}  {rng.integers(8, 19)}.0 MHz", f"GN {rng.integers(40, 80)}  DR 60"]
    if machine.box_margins is not None:
        settings.append(f"PD GAIN {rng.integers(50, 80)}  PRF 0.{rng.integers(5, 10)}  WF {rng.integers(1, 4)}")
    for left, lines in ((8, words), (400, settings)):
        for number, word in enumerate(lines):
            _write_text(screen, word, (round(left * scale), round((16 + 15 * number) * scale)), scale)
    height, width, left = max(2, round(90 * scale)), max(2, round(14 * scale)), x1 + max(3, round(12 * scale))
    bar = np.linspace(255, 0, height).astype(np.uint8)[:, None, None].repeat(width, 1).repeat(3, 2)
    if machine.box_margins is not None:
        bar = colour_bar(machine.colours, height, width)
    space = screen[y0 + 20 : y0 + 20 + len(bar), left : left + width]
    space[:] = bar[: space.shape[0], : space.shape[1]]
    for number, y in enumerate(np.linspace(y0, y1, 11).astype(int)):
        cv2.line(screen, (x0 - (9 if number % 5 == 0 else 5), int(y)), (x0 - 3, int(y)), (200, 200, 200), 1)
    _write_text(screen, "PWR" if machine.box_margins is not None else "B", (left - 4, y0 + 14), scale)
    _write_text(screen, f"TIS 0.{rng.integers(1, 6)} MI 0.{rng.integers(5, 9)}", (round(430 * scale), rows - 8), scale)
    screen[y0 : y1 + 1, x0 : x1 + 1] = 0
    return screen


def _write_text(screen: Colour, text: str, position: tuple[int, int], scale: float) -> None:
    printable = text.encode("ascii", "replace").decode()
    cv2.putText(screen, printable, position, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, (225, 225, 225), 1, cv2.LINE_AA)
