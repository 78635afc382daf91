"""A scan put together: the flattened drawing, vessels and stray colour in the colour box, on the machine's screen."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.ultrasound.base_drawings import Drawing, share_limits
from rajobs.phantoms.ultrasound.doppler_colours import Colour, Mask, draw_reversed_flow, draw_stray_specks, paint_power
from rajobs.phantoms.ultrasound.machine import Box, Machine, Size, draw_screen, place_colour_box
from rajobs.phantoms.ultrasound.speckle import Grey
from rajobs.phantoms.ultrasound.tissue_layers import GreyScan, draw_layers
from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges
from rajobs.phantoms.ultrasound.vessels import spot_power, strand_power, tree_power

Kind = TypeVar("Kind", np.uint8, np.float32)
_BEAT = 8  # frames
_CLEAR = 4  # pixels around the synovium without stray colour


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """Frames and, of the first one, what was drawn where: masks and box are the screen's, the last pixels included."""

    frames: tuple[Colour, ...]
    capsule: Mask
    signal: Mask
    box: Box | None
    details: dict[str, float | str]


def compose_scan(
    drawing: Drawing, machine: Machine, ranges: VariationRanges, rng: np.random.Generator, *, size: Size, frames: int,
    words: tuple[str, ...],
) -> Scan:  # fmt: skip
    """A scan of one frame or more."""
    around, inside, stray = rng.spawn(3)  # what lies around the synovium never depends on what is in it
    x0, y0, x1, y1 = machine.region(size)
    shape = y1 - y0 + 1, x1 - x0 + 1
    screen = draw_screen(size, machine, words, around)
    plate = draw_layers(drawing, machine, shape, around)
    box = place_colour_box(machine, joint_px=plate.joint_px, head_px=plate.head_px, pitch=plate.pitch, shape=shape)
    power = _signal(drawing, plate, machine, inside) if box is not None else None
    grey = plate.grey.astype(np.uint8)
    shown: list[Colour] = []
    around_it = _Surroundings(plate, box, ranges, machine, stray) if box is not None else None
    away = draw_reversed_flow(shape, stray) if machine.colours == "directional" else None
    drift = stray.normal(0, 1.2, 2)
    for number in range(frames):
        scan: Colour = np.asarray(cv2.cvtColor(_moved(grey, drift, number), cv2.COLOR_GRAY2RGB), np.uint8)
        if box is not None and around_it is not None:
            paint_power(scan, _moved(around_it.power(), drift, number), machine.colours, away)
            if power is not None:
                beat = _pulsed(power, plate.capsule, drawing.grade, number)
                paint_power(scan, _moved(beat * machine.power_gain, drift, number), machine.colours, away)
            cv2.rectangle(scan, box[:2], box[2:], machine.line, 1)
        frame = screen.copy()
        frame[y0 : y1 + 1, x0 : x1 + 1] = scan[:, ::-1] if machine.mirrored else scan
        shown.append(frame)
    signal = np.zeros(shape, np.uint8) if power is None else (power > 0).astype(np.uint8)
    return Scan(
        frames=tuple(shown), capsule=_on_screen(plate.capsule, machine, size),
        signal=_on_screen(signal, machine, size), box=box and _box_on_screen(box, machine, size),
        details=_details(drawing, machine, plate, box, signal),
    )  # fmt: skip


class _Surroundings:
    """Colour outside the synovium: a feeding vessel at times, and specks that are others in every frame."""

    def __init__(
        self, plate: GreyScan, box: Box, ranges: VariationRanges, machine: Machine, rng: np.random.Generator
    ) -> None:
        x0, y0, x1, y1 = box
        free = np.zeros_like(plate.capsule)
        free[y0 + 1 : y1, x0 + 1 : x1] = 1
        blocked = cv2.dilate(plate.capsule, np.ones((2 * _CLEAR + 1, 2 * _CLEAR + 1), np.uint8))
        self._free: Mask = np.asarray(np.where(blocked > 0, 0, free), np.uint8)
        self._rng, self._box = rng, box
        self._mean = ranges.specks * machine.power_gain * float(rng.gamma(2.0, 0.5))
        self._vessels = np.zeros(free.shape, np.float32)
        if rng.random() < ranges.feeding:
            start = float(rng.uniform(x0, x1)), float(rng.uniform(0.4, 1.1) * plate.head_px)
            heading = float(rng.normal(0, 0.4)) + np.pi * (rng.random() < 0.5)
            length, radius = (float(part) / plate.pitch for part in (rng.uniform(0.8, 3.0), rng.uniform(0.1, 0.2)))
            vessel = strand_power(free.shape, start, heading, length, radius, rng)
            self._vessels = np.where((self._free > 0) & (plate.bone == 0), vessel, 0).astype(np.float32)

    def power(self) -> Grey:
        """The colour of one more frame."""
        x0, y0, x1, y1 = self._box
        found = self._vessels.copy()
        part = found[y0:y1, x0:x1]
        np.maximum(part, draw_stray_specks(self._free[y0:y1, x0:x1], self._mean, self._rng), out=part)
        return found


def _signal(drawing: Drawing, plate: GreyScan, machine: Machine, rng: np.random.Generator) -> Grey | None:
    signal = drawing.signal
    radius = signal.radius / plate.pitch
    if signal.groups:
        return spot_power(plate.capsule, signal.groups, radius, rng)
    if signal.share:
        return tree_power(plate.capsule, signal.share, signal.centre, radius, rng)
    return None


def _pulsed(power: Grey, capsule: Mask, grade: int, number: int) -> Grey:
    """The power at a moment of the heart beat: weaker, and a little smaller, but always of the same grade."""
    phase = 0.5 - 0.5 * np.cos(2 * np.pi * number / _BEAT)
    if not phase:
        return power
    within = power[capsule > 0]
    share = np.count_nonzero(within) / len(within)
    lowest = share_limits(grade, 0.02)[0] if grade > 1 else 0.7 * share
    level = np.quantile(within, 1 - (share - phase * min(0.10, max(0.0, share - lowest))))
    return np.where(power > level, power * (1 - 0.25 * phase), 0).astype(np.float32)


def _moved(image: NDArray[Kind], drift: NDArray[np.float64], number: int) -> NDArray[Kind]:
    """A hand that holds a probe is never quite still."""
    if not number:
        return image
    dx, dy = drift * (np.sin(0.7 * number), 0.5 * np.sin(1.1 * number))
    turn = np.array([[1, 0, round(float(dx))], [0, 1, round(float(dy))]], np.float32)
    size = image.shape[1], image.shape[0]
    moved = cv2.warpAffine(image, turn, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, image.dtype)


def _on_screen(mask: Mask, machine: Machine, size: Size) -> Mask:
    x0, y0, x1, y1 = machine.region(size)
    screen = np.zeros(size, np.uint8)
    screen[y0 : y1 + 1, x0 : x1 + 1] = mask[:, ::-1] if machine.mirrored else mask
    return screen


def _box_on_screen(box: Box, machine: Machine, size: Size) -> Box:
    x0, y0, x1, _ = machine.region(size)
    left, right = (x1 - box[2], x1 - box[0]) if machine.mirrored else (x0 + box[0], x0 + box[2])
    return left, y0 + box[1], right, y0 + box[3]


def _details(
    drawing: Drawing, machine: Machine, plate: GreyScan, box: Box | None, signal: Mask
) -> dict[str, float | str]:
    return {
        "drawing": float(drawing.number), "gain": machine.gain, "pitch": plate.pitch, "head_mm": drawing.bone.head,
        "head_px": plate.head_px, "capsule_px": float(np.count_nonzero(plate.capsule)),
        "signal_px": float(np.count_nonzero(signal)), "spot_px": drawing.signal.radius / plate.pitch,
        "groups": " ".join(map(str, drawing.signal.groups)), "share": drawing.signal.share,
        "colours": machine.colours if box is not None else "",
        "box_mm": (box[2] - box[0]) * (box[3] - box[1]) * plate.pitch**2 if box is not None else 0.0,
    }  # fmt: skip
