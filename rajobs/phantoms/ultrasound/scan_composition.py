"""Composes a scan: grey layers, vessels and stray colour in the colour box, on the machine's screen."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.ultrasound.base_drawings import Drawing, share_limits
from rajobs.phantoms.ultrasound.doppler_colours import Colour, Mask, draw_reversed_flow, draw_stray_specks, paint_power
from rajobs.phantoms.ultrasound.machine import Box, Machine, Size, draw_screen, place_colour_box
from rajobs.phantoms.ultrasound.screen_annotations import Overlay, draw_annotations, lay_over
from rajobs.phantoms.ultrasound.speckle import Grey
from rajobs.phantoms.ultrasound.tissue_layers import GreyScan, draw_layers
from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges
from rajobs.phantoms.ultrasound.vessels import spot_power, strand_power, tree_power

Pixel = TypeVar("Pixel", np.uint8, np.float32)
_HEART_BEAT = 8  # frames
_CLEARANCE = 4  # pixels around the synovium without stray colour


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """The frames of a scan, and masks and colour box of the first frame in screen coordinates."""

    frames: tuple[Colour, ...]
    capsule: Mask
    signal: Mask
    box: Box | None
    details: dict[str, float | str]


def compose_scan(
    drawing: Drawing, machine: Machine, ranges: VariationRanges, rng: np.random.Generator, *, size: Size, frames: int,
    words: tuple[str, ...],
) -> Scan:  # fmt: skip
    """A scan of one or more frames; `words` are written on the screen."""
    # Separate streams: what lies around the synovium never depends on what is in it.
    around, inside, stray, written = rng.spawn(4)
    x0, y0, x1, y1 = machine.region(size)
    shape = y1 - y0 + 1, x1 - x0 + 1
    screen = draw_screen(size, machine, words, around)
    grey_scan = draw_layers(drawing, machine, shape, around)
    box = place_colour_box(
        machine, joint_px=grey_scan.joint_px, head_px=grey_scan.head_px, pitch=grey_scan.pitch, shape=shape
    )
    power = _draw_signal(drawing, grey_scan, inside) if box is not None else None
    grey = grey_scan.grey.astype(np.uint8)
    screens: list[Colour] = []
    stray_colour = _StrayColour(grey_scan, box, ranges, machine, stray) if box is not None else None
    away = draw_reversed_flow(shape, stray) if machine.colours == "directional" else None
    drift = stray.normal(0, 1.2, 2)
    overlay, annotations = _annotate(grey_scan.capsule, machine, ranges, written)
    for number in range(frames):
        scan: Colour = np.asarray(cv2.cvtColor(_shift_frame(grey, drift, number), cv2.COLOR_GRAY2RGB), np.uint8)
        if box is not None and stray_colour is not None:
            paint_power(scan, _shift_frame(stray_colour.draw_frame(), drift, number), machine.colours, away)
            if power is not None:
                pulsed = _pulse_power(power, grey_scan.capsule, drawing.grade, number) * machine.power_gain
                paint_power(scan, _shift_frame(pulsed, drift, number), machine.colours, away)
            cv2.rectangle(scan, box[:2], box[2:], machine.box_colour, 1)
        frame = screen.copy()
        frame[y0 : y1 + 1, x0 : x1 + 1] = scan[:, ::-1] if machine.mirrored else scan
        if overlay is not None:
            lay_over(frame[y0 : y1 + 1, x0 : x1 + 1], overlay)
        screens.append(frame)
    signal = np.zeros(shape, np.uint8) if power is None else (power > 0).astype(np.uint8)
    return Scan(
        frames=tuple(screens), capsule=_place_on_screen(grey_scan.capsule, machine, size),
        signal=_place_on_screen(signal, machine, size), box=box and _place_box_on_screen(box, machine, size),
        details=_describe_scan(drawing, machine, grey_scan, box, signal) | {"annotations": " ".join(annotations)},
    )  # fmt: skip


def _annotate(
    capsule: Mask, machine: Machine, ranges: VariationRanges, rng: np.random.Generator
) -> tuple[Overlay | None, tuple[str, ...]]:
    """What is written and drawn over some scans, never over the synovium, and its kinds."""
    if rng.random() >= ranges.annotated:
        return None, ()
    blocked = cv2.dilate(capsule, np.ones((2 * _CLEARANCE + 1, 2 * _CLEARANCE + 1), np.uint8))
    return draw_annotations(np.asarray(blocked[:, ::-1] if machine.mirrored else blocked, np.uint8), rng)


class _StrayColour:
    """Colour outside the synovium: in some scans a feeding vessel, and specks that differ from frame to frame."""

    def __init__(
        self, grey_scan: GreyScan, box: Box, ranges: VariationRanges, machine: Machine, rng: np.random.Generator
    ) -> None:
        x0, y0, x1, y1 = box
        in_box = np.zeros_like(grey_scan.capsule)
        in_box[y0 + 1 : y1, x0 + 1 : x1] = 1
        blocked = cv2.dilate(grey_scan.capsule, np.ones((2 * _CLEARANCE + 1, 2 * _CLEARANCE + 1), np.uint8))
        self._allowed: Mask = np.asarray(np.where(blocked > 0, 0, in_box), np.uint8)
        self._rng, self._box = rng, box
        self._mean_specks = ranges.specks * machine.power_gain * float(rng.gamma(2.0, 0.5))
        self._vessel = np.zeros(in_box.shape, np.float32)
        if rng.random() < ranges.feeding_vessels:
            start = float(rng.uniform(x0, x1)), float(rng.uniform(0.4, 1.1) * grey_scan.head_px)
            heading = float(rng.normal(0, 0.4)) + np.pi * (rng.random() < 0.5)
            length, radius = (float(mm) / grey_scan.pitch for mm in (rng.uniform(0.8, 3.0), rng.uniform(0.1, 0.2)))
            vessel = strand_power(in_box.shape, start, heading, length, radius, rng)
            self._vessel = np.where((self._allowed > 0) & (grey_scan.below_bone == 0), vessel, 0).astype(np.float32)

    def draw_frame(self) -> Grey:
        """The power of the next frame."""
        x0, y0, x1, y1 = self._box
        power = self._vessel.copy()
        in_box = power[y0:y1, x0:x1]
        specks = draw_stray_specks(self._allowed[y0:y1, x0:x1], self._mean_specks, self._rng)
        np.maximum(in_box, specks, out=in_box)
        return power


def _draw_signal(drawing: Drawing, grey_scan: GreyScan, rng: np.random.Generator) -> Grey | None:
    signal = drawing.signal
    radius = signal.radius / grey_scan.pitch
    if signal.groups:
        return spot_power(grey_scan.capsule, signal.groups, radius, rng)
    if signal.share:
        return tree_power(grey_scan.capsule, signal.share, signal.centre, radius, rng)
    return None


def _pulse_power(power: Grey, capsule: Mask, grade: int, number: int) -> Grey:
    """The power at a moment of the heart beat: it becomes weaker and a little smaller but keeps its grade."""
    phase = 0.5 - 0.5 * np.cos(2 * np.pi * number / _HEART_BEAT)
    if not phase:
        return power
    within = power[capsule > 0]
    share = np.count_nonzero(within) / len(within)
    lowest = share_limits(grade, 0.02)[0] if grade > 1 else 0.7 * share
    level = np.quantile(within, 1 - (share - phase * min(0.10, max(0.0, share - lowest))))
    return np.where(power > level, power * (1 - 0.25 * phase), 0).astype(np.float32)


def _shift_frame(image: NDArray[Pixel], drift: NDArray[np.float64], number: int) -> NDArray[Pixel]:
    """The frame shifted a little, as the hand with the probe is never quite still."""
    if not number:
        return image
    dx, dy = drift * (np.sin(0.7 * number), 0.5 * np.sin(1.1 * number))
    shift = np.array([[1, 0, round(float(dx))], [0, 1, round(float(dy))]], np.float32)
    size = image.shape[1], image.shape[0]
    shifted = cv2.warpAffine(image, shift, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(shifted, image.dtype)


def _place_on_screen(mask: Mask, machine: Machine, size: Size) -> Mask:
    x0, y0, x1, y1 = machine.region(size)
    screen = np.zeros(size, np.uint8)
    screen[y0 : y1 + 1, x0 : x1 + 1] = mask[:, ::-1] if machine.mirrored else mask
    return screen


def _place_box_on_screen(box: Box, machine: Machine, size: Size) -> Box:
    x0, y0, x1, _ = machine.region(size)
    left, right = (x1 - box[2], x1 - box[0]) if machine.mirrored else (x0 + box[0], x0 + box[2])
    return left, y0 + box[1], right, y0 + box[3]


def _describe_scan(
    drawing: Drawing, machine: Machine, grey_scan: GreyScan, box: Box | None, signal: Mask
) -> dict[str, float | str]:
    return {
        "drawing": float(drawing.number), "gain": machine.gain, "pitch": grey_scan.pitch, "head_mm": drawing.bone.head,
        "head_px": grey_scan.head_px, "capsule_px": float(np.count_nonzero(grey_scan.capsule)),
        "signal_px": float(np.count_nonzero(signal)), "spot_px": drawing.signal.radius / grey_scan.pitch,
        "groups": " ".join(map(str, drawing.signal.groups)), "share": drawing.signal.share,
        "colours": machine.colours if box is not None else "",
        "box_mm": (box[2] - box[0]) * (box[3] - box[1]) * grey_scan.pitch**2 if box is not None else 0.0,
    }  # fmt: skip
