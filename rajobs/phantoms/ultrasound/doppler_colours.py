"""Power Doppler's colours: the maps of several machines, stray specks, and power laid over grey."""

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
"""Colours of rising power, by the machine's map."""
MAP_SHARES = (0.46, 0.24, 0.12, 0.10, 0.08)
_AWAY: ColourSteps = ((0.0, (0, 0, 120)), (0.4, (0, 50, 215)), (0.75, (40, 150, 255)), (1.0, (150, 235, 255)))


@lru_cache(maxsize=2 * len(MAPS))
def colour_table(name: str, *, away: bool = False) -> Colour:
    """256 colours of power; `away` those of flow away from the probe, on a directional map."""
    steps = _AWAY if away else MAPS[name]
    at, points = [step[0] for step in steps], np.array([step[1] for step in steps], float)
    table = np.stack([np.interp(np.linspace(0, 1, 256), at, points[:, i]) for i in range(3)], axis=1)
    table = np.rint(table).astype(np.uint8)
    table.setflags(write=False)
    return table


def colour_bar(name: str, height: int, width: int) -> Colour:
    """The colour bar beside a scan: power rises from the middle up and down, or towards and away."""
    half = colour_table(name)[::-1, None]
    other = colour_table(name, away=name == "directional")[:, None]
    size = width, max(1, height // 2)
    return np.asarray(np.vstack([cv2.resize(part.copy(), size) for part in (half, other)]), np.uint8)


def draw_stray_specks(free: Mask, mean: float, rng: np.random.Generator) -> Grey:
    """Power of weak stray specks of a few pixels, where `free` lets them be."""
    power = np.zeros(free.shape, np.float32)
    rows, columns = free.shape
    for _ in range(min(int(rng.poisson(mean)), 40)):
        x, y = int(rng.integers(columns)), int(rng.integers(rows))
        wide, high = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        power[y : y + high, x : x + wide] = rng.uniform(0.02, 0.30)
        if wide > 1 and high > 1:
            power[y, x] = 0
    return np.where(free > 0, power, 0).astype(np.float32)


def paint_power(image: Colour, power: Grey, name: str, away: Mask | None = None) -> None:
    """Lays power over grey, in place."""
    shown = power > 0
    level = np.minimum(power[shown] * 255, 255).astype(np.uint8)
    image[shown] = colour_table(name)[level]
    if away is not None:
        back = shown & (away > 0)
        image[back] = colour_table(name, away=True)[np.minimum(power[back] * 255, 255).astype(np.uint8)]


def draw_reversed_flow(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Where blood flows away from the probe."""
    return np.asarray(cut_texture("slow", shape, rng) > 0.3, np.uint8)
