"""The colours of power Doppler: colour maps of several machines, stray specks, and power painted over grey."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.ultrasound.speckle import Grey, cut_texture

Mask = NDArray[np.uint8]
Colour = NDArray[np.uint8]
ColourSteps = tuple[tuple[float, tuple[int, int, int]], ...]
MAPS: Mapping[str, ColourSteps] = MappingProxyType(
    {
        "gold": (
            (0.0, (110, 0, 0)), (0.2, (165, 11, 0)), (0.4, (222, 63, 0)), (0.6, (255, 130, 0)), (0.85, (255, 250, 0)),
            (1.0, (255, 255, 0)),
        ),
        "amber": ((0.0, (90, 6, 0)), (0.35, (175, 35, 0)), (0.7, (245, 130, 15)), (1.0, (255, 240, 110))),
        "violet": ((0.0, (95, 0, 85)), (0.4, (175, 25, 135)), (0.75, (240, 90, 190)), (1.0, (255, 190, 240))),
        "dusk": ((0.0, (80, 0, 110)), (0.35, (170, 20, 130)), (0.65, (235, 75, 70)), (1.0, (255, 215, 120))),
        "directional": ((0.0, (110, 0, 0)), (0.4, (215, 20, 0)), (0.75, (255, 110, 20)), (1.0, (255, 225, 90))),
    }
)  # fmt: skip
"""Colours of rising power (0 to 1), by name of the colour map."""
MAP_SHARES = (0.46, 0.24, 0.12, 0.10, 0.08)
"""Share of machines with each colour map."""
_AWAY_STEPS: ColourSteps = ((0.0, (0, 0, 120)), (0.4, (0, 50, 215)), (0.75, (40, 150, 255)), (1.0, (150, 235, 255)))


@lru_cache(maxsize=2 * len(MAPS))
def colour_table(name: str, *, away: bool = False) -> Colour:
    """256 colours of rising power; with `away`, those of flow away from the probe on a directional map."""
    steps = _AWAY_STEPS if away else MAPS[name]
    levels, colours = [step[0] for step in steps], np.array([step[1] for step in steps], float)
    table = np.stack([np.interp(np.linspace(0, 1, 256), levels, colours[:, i]) for i in range(3)], axis=1)
    rounded: Colour = np.rint(table).astype(np.uint8)
    rounded.setflags(write=False)
    return rounded


def colour_bar(name: str, height: int, width: int) -> Colour:
    """The colour bar beside a scan: power rises from the middle to both ends, one end for each flow direction."""
    upper = colour_table(name)[::-1, None]
    lower = colour_table(name, away=name == "directional")[:, None]
    size = width, max(1, height // 2)
    return np.asarray(np.vstack([cv2.resize(half.copy(), size) for half in (upper, lower)]), np.uint8)


def draw_stray_specks(allowed: Mask, mean: float, rng: np.random.Generator) -> Grey:
    """Power of weak specks a few pixels wide, inside the `allowed` mask; `mean` is their expected number."""
    power = np.zeros(allowed.shape, np.float32)
    rows, columns = allowed.shape
    for _ in range(min(int(rng.poisson(mean)), 40)):
        x, y = int(rng.integers(columns)), int(rng.integers(rows))
        width, height = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        power[y : y + height, x : x + width] = rng.uniform(0.02, 0.30)
        if width > 1 and height > 1:
            power[y, x] = 0
    return np.where(allowed > 0, power, 0).astype(np.float32)


def paint_power(image: Colour, power: Grey, name: str, away: Mask | None = None) -> None:
    """Paints power over a grey image, in place; the `away` mask marks flow away from the probe."""
    coloured = power > 0
    level = np.minimum(power[coloured] * 255, 255).astype(np.uint8)
    image[coloured] = colour_table(name)[level]
    if away is not None:
        reversed_flow = coloured & (away > 0)
        level = np.minimum(power[reversed_flow] * 255, 255).astype(np.uint8)
        image[reversed_flow] = colour_table(name, away=True)[level]


def draw_reversed_flow(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """A mask of where blood flows away from the probe."""
    return np.asarray(cut_texture("slow", shape, rng) > 0.3, np.uint8)
