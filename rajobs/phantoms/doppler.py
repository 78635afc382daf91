"""The layer of vascular signal: spots, single and confluent, or a share of the synovium, in power Doppler's colours."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.speckle import Grey, cut

Mask = NDArray[np.uint8]
Colour = NDArray[np.uint8]


@lru_cache(maxsize=1)
def colours() -> Colour:
    """256 colours of power: dark red, red, orange, yellow."""
    steps = ((0.0, (70, 4, 0)), (0.35, (170, 30, 0)), (0.7, (245, 120, 10)), (1.0, (255, 240, 70)))
    at, points = [s[0] for s in steps], np.array([s[1] for s in steps], float)
    table = np.stack([np.interp(np.linspace(0, 1, 256), at, points[:, i]) for i in range(3)], axis=1)
    table = np.rint(table).astype(np.uint8)
    table.setflags(write=False)
    return table


def spot_power(capsule: Mask, groups: tuple[int, ...], radius: float, rng: np.random.Generator) -> Grey:
    """Power (1 at a spot's middle, 0 at its rim) of groups of spots that touch within a group and not between them."""
    inside = cv2.erode(capsule, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(2.2 * radius) + 1,) * 2))
    if not inside.any():
        inside = capsule
    rows, columns = np.nonzero(inside)
    order = np.argsort(columns, kind="stable")
    power = np.zeros(capsule.shape, np.float32)
    for number, count in enumerate(groups):
        # Groups lie in bands of their own along the joint, so that single spots stay single.
        near, far = (number + 0.15) / len(groups), (number + 0.85) / len(groups)
        pick = order[int(rng.uniform(near, far) * (len(order) - 1))]
        x, y = float(columns[pick]), float(rows[pick])
        for _ in range(count):
            size = radius * rng.uniform(0.8, 1.15)
            _add_spot(power, x, y, size)
            x += 1.3 * radius
            y += radius * rng.uniform(-0.3, 0.3)
    return np.where(capsule > 0, power, 0).astype(np.float32)


def _add_spot(power: Grey, x: float, y: float, size: float) -> None:
    reach = int(size * 1.6) + 2
    y0, x0 = max(0, int(y) - reach), max(0, int(x) - reach)
    part = power[y0 : int(y) + reach + 1, x0 : int(x) + reach + 1]
    if part.size:
        rows, columns = np.indices(part.shape, dtype=np.float32)
        away = np.hypot(columns + x0 - x, (rows + y0 - y) * 1.15) / size
        np.maximum(part, (1 - away).astype(np.float32), out=part)


def share_power(capsule: Mask, share: float, centre: float, rng: np.random.Generator) -> Grey:
    """Power of branching vessels that fill a share of the synovium, thickest about `centre` (0 to 1 along it)."""
    inside = capsule > 0
    x0, y0, width, height = cv2.boundingRect(capsule)
    field = cut("flow", (height, width), rng) - 0.45 * np.abs(cut("flow", (height, width), rng))
    along = (np.arange(width, dtype=np.float32) / max(1, width - 1) - centre) / 0.45
    field = field - 0.55 * along[None] ** 2
    box = inside[y0 : y0 + height, x0 : x0 + width]
    level = np.quantile(field[box], 1 - share)
    top = max(float(np.quantile(field[box], 0.995) - level), 1e-3)
    power = np.zeros(capsule.shape, np.float32)
    power[y0 : y0 + height, x0 : x0 + width] = np.where(box, (field - level) / top, 0)
    return power


def paint(image: Colour, power: Grey, beat: float) -> None:
    """Lays power over grey (in place); `beat` 0 is the peak of the pulse, more lets the weak signal vanish."""
    shown = power > beat
    level = np.clip((power[shown] - beat) * 175 + 80, 0, 255).astype(np.uint8)
    image[shown] = colours()[level]
