"""Measures the space of a finger joint on a film, without any learning, and says how far to trust it."""

from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.joint_space.contours import MIDDLE, Contours, Strip, sample_strip, trace
from rajobs.imaging.joint_space.frame import (
    ACROSS,
    STEP,
    Frame,
    Grey,
    Numbers,
    Surroundings,
    cut_surroundings,
    frame_of,
    quantile,
    unit_of,
    upright_patch,
)
from rajobs.imaging.joint_space.outlines import Outlines, find_outlines
from rajobs.imaging.joint_space.valleys import (
    Extent,
    Valley,
    along,
    bone_behind,
    choose_valley,
    extent_of,
    list_valleys,
)
from rajobs.imaging.rows import Row

MEASURED_SITES = frozenset(f"{joint}{ray}" for joint in ("MCP", "PIP") for ray in range(2, 6))
"""A thumb lies on its side on a film of a hand, so that its joints are seen askew, sesamoids over them."""
_LEAST_CONFIDENCE = 0.1
_USUAL_HALF = 0.11  # of a joint whose sides are not seen
_FLESH = 0.3  # of the line through the space that is darker than what else lies there
_RIM = 0.015  # depth of bone beside the space that is compared with it
_TILTS = 0.4, 0.25  # how steep a joint may be in its frame: as its row places it, and as it was itself seen to lie


@dataclass(frozen=True, kw_only=True)
class JointSpace:
    """A joint's space in pixels of the film, over the middle third of its base, and the contours it lies between."""

    mean_px: float
    least_px: float
    confidence: float  # 0 to 1; from 0.5 on, 99 of 100 copies of a film agree to within a tenth
    base: Numbers  # (n, 2) columns and rows: the plate of the distal bone's base
    head: Numbers  # (n, 2): the outline of the proximal bone's head


def share_of_metacarpal(width_px: float, joint: Row) -> float:
    """A width as a share of the distance MCP3-PIP3 of the joint's hand, for films without spacing."""
    return width_px / unit_of(joint)


def measure_joint_space(pixels: NDArray[Any], joint: Row) -> JointSpace | None:
    """The space of a joint on a grey film with bright bones, at its full depth; None where it cannot be measured."""
    if pixels.ndim != 2 or joint.box is None or joint.site not in MEASURED_SITES:
        return None
    frame = frame_of(joint)
    around = cut_surroundings(pixels, frame)
    site = None if around is None else _find_joint(around, frame, joint.site)
    if around is None or site is None:
        return None
    strip = sample_strip(around, site.frame, site.valley, site.middle, site.half)
    if not strip.is_inside(around.shape):
        return None
    contours = trace(strip, site.valley, frame.unit)
    outlines = find_outlines(strip, contours, frame.unit)
    widths = _widths(strip, outlines)
    narrow = float(widths.mean()) / outlines.blur
    away = float(np.hypot(*(site.centre() - frame.centre))) / frame.unit
    confidence = _confidence(_doubts(site, strip, contours, widths) | {"away": away, "narrow": narrow})
    if confidence < _LEAST_CONFIDENCE:
        return None
    base, head = (strip.to_film(places)[MIDDLE] for places in outlines.places)
    mean, least = (float(width * frame.unit) for width in (widths.mean(), widths.min()))
    return JointSpace(mean_px=mean, least_px=least, confidence=confidence, base=base, head=head)


@dataclass(frozen=True, kw_only=True)
class _Joint:
    """A joint as it was seen: its valley in a patch, and how its bones lie along it."""

    frame: Frame
    patch: Grey
    valley: Valley
    lines: Grey  # brightness along the space, the base and the head
    base: Extent
    head: Extent

    @property
    def _seen(self) -> list[Extent]:
        return [extent for extent in (self.base, self.head) if extent.is_joint()]

    @property
    def middle(self) -> float:
        """Of the base across, else of the head, in units from the middle of the patch."""
        return self._seen[0].middle if self._seen else 0.0

    @property
    def half(self) -> float:
        """Half the base's width, else the head's."""
        return self._seen[0].half if self._seen else _USUAL_HALF

    @property
    def offset(self) -> float:
        """Between the middles of the bones, where both are seen."""
        return abs(self.head.middle - self.base.middle) if len(self._seen) == 2 else 0.0

    def centre(self) -> Numbers:
        """The middle of the space in the film's pixels."""
        middle = np.array(self.middle)
        return np.array(self.frame.to_film(middle, self.valley.y() + self.valley.slope * middle))

    def is_centred(self) -> bool:
        """Whether the patch lies well enough about the joint."""
        return abs(self.middle) < 0.03 and abs(self.valley.slope) < 0.16 and abs(self.valley.y()) < 0.06


def _find_joint(around: Surroundings, frame: Frame, name: str) -> _Joint | None:
    """The joint near its place; a second look is taken where place or angle were far off."""
    joint = None
    for tilt in _TILTS:
        patch = upright_patch(around, frame)
        valley = choose_valley(list_valleys(patch, tilt), patch, name)
        if valley is None:
            return None
        lines = along(patch, valley)
        # Where a bent finger's bones overlap the space is as bright as they are, but nowhere darker than flesh.
        dark = np.minimum(lines[0], quantile(lines[0], _FLESH))
        base, head = extent_of(lines[1] - dark), extent_of(lines[2] - dark)
        joint = _Joint(frame=frame, patch=patch, valley=valley, lines=lines, base=base, head=head)
        if joint.is_centred():
            break
        turned = frame.angle + 0.7 * float(np.rad2deg(np.arctan(valley.slope)))
        frame = replace(frame, centre=joint.centre(), angle=turned)
    return joint


def _widths(strip: Strip, outlines: Outlines) -> Numbers:
    """The distance between the outlines in each measured column, across the line midway between them."""
    base, head = outlines.places
    lean = np.gradient((base + head) / 2, strip.length / (len(base) - 1))
    widths: Numbers = ((head - base) / np.hypot(lean, 1))[MIDDLE]
    return widths


_TRUST = MappingProxyType(
    {
        "depth": (0.0, 0.20),  # of the space below its bones, as a share of the patch's range: no space, overlap
        "steep": (0.005, 0.045),  # change of brightness a sample at the contours, as that share: blur
        "clear": (0.15, 1.0),  # the same over the noise
        "rough": (0.16, 0.03),  # what a smooth curve leaves of a contour, over the width: erosion, no joint
        "even": (0.32, 0.10),  # standard deviation of the width, over the width: a bent or displaced joint
        "covered": (3.0, 0.5),  # brightness of the space above that beside the joint, over its depth: overlap
        "beside": (-1.0, -0.35),  # the same: where it is brighter beside the joint, bone lies there
        "filled": (0.45, 0.20),  # brightness of the space near the head, over its depth: a sesamoid
        "burnt": (0.12, 0.02),  # share of samples that are black or white
        "offset": (0.12, 0.04),  # between the middles of both bones: a displaced joint
        "behind": (0.10, 0.50),  # brightness of the proximal bone: a growth plate
        "rival": (0.97, 0.75),  # strength of another plate: lip or plate, plate or growth plate
        "width": (0.005, 0.010),
        "wide": (0.12, 0.085),  # a small child's cartilage
        "pixels": (1.8, 3.5),  # of the width
        "narrow": (3.5, 5.5),  # width over the film's blur: two edges that run into one another look farther apart
        "away": (0.18, 0.11),  # from where the row places the joint: another joint
    }
)
"""What is looked at, the value at which nothing is trusted, and the value from which on all is."""


def _confidence(values: dict[str, float]) -> float:
    """0 to 1. The root, because most doubts come in company."""
    ramps = ((values[name] - none) / (full - none) for name, (none, full) in _TRUST.items())
    return float(np.sqrt(np.prod([min(max(ramp, 0.0), 1.0) for ramp in ramps])))


def _doubts(joint: _Joint, strip: Strip, contours: Contours, widths: Numbers) -> dict[str, float]:
    """The values by which a measurement is trusted, but for `away` and `narrow`."""
    scale = max(quantile(joint.patch[::2, ::2], 0.97) - quantile(joint.patch[::2, ::2], 0.05), 1e-6)
    dark, depth = _darkness(strip, contours)
    noise = max(quantile(np.abs(np.diff(strip.grey[:, MIDDLE], axis=1)), 0.5), 1e-6 * scale)
    steep = min(quantile(edge, 0.2) for edge in contours.steepness[:, MIDDLE])
    rough = float(np.sqrt(((contours.raw[:, MIDDLE] @ _remainder()) ** 2).mean(axis=1)).max())
    x = np.abs(np.arange(-ACROSS, ACROSS + 1) * STEP - joint.middle) - max(joint.base.half, joint.head.half)
    beside = joint.lines[0][(x > 0.005) & (x < 0.04)]
    above = quantile(dark, 0.5) - float(beside.mean()) if len(beside) else 0.0
    above /= max(quantile(depth, 0.5), 1e-3 * scale)
    low, high = float(strip.grey.min()) + 0.01 * scale, float(strip.grey.max()) - 0.01 * scale
    width = float(widths.mean())
    return {
        "depth": quantile(depth, 0.15) / scale,
        "steep": steep / scale,
        "clear": steep / noise,
        "rough": rough / max(width, 0.02),
        "even": float(widths.std()) / max(width, 1e-3),
        "covered": above,
        "beside": above,
        "filled": _brightness_near_head(strip, contours, dark, depth),
        "burnt": max(float((strip.grey < low).mean()), float((strip.grey > high).mean())),
        "offset": joint.offset,
        "behind": bone_behind(joint.patch, joint.valley),
        "rival": contours.rival,
        "width": width,
        "wide": width,
        "pixels": width * joint.frame.unit,
    }


def _darkness(strip: Strip, contours: Contours) -> tuple[Grey, Grey]:
    """The darkest of the space in each measured column, and how far it lies below the darker of the two bones."""
    grey, s = contours.grey[:, MIDDLE], strip.s[:, None]
    base, head = contours.places[:, MIDDLE]
    slack = (s[1, 0] - s[0, 0]) / 2
    plate = np.where((s <= base) & (s > base - _RIM), grey, -np.inf).max(axis=0)
    bone = np.where((s >= head) & (s < head + _RIM), grey, -np.inf).max(axis=0)
    dark = np.where((s >= base - slack) & (s <= head + slack), grey, np.inf).min(axis=0)
    crossed = ~np.isfinite(dark)  # the contours overlap
    dark = np.where(crossed, 0, dark).astype(np.float32)
    return dark, np.where(crossed, 0, np.minimum(plate, bone) - dark).astype(np.float32)


def _brightness_near_head(strip: Strip, contours: Contours, dark: Grey, depth: Grey) -> float:
    """How bright the space is two thirds of the way from the base to the head, over its depth."""
    base, head = contours.places
    at = np.rint((base + (head - base) * 2 / 3 - strip.s[0]) / (strip.s[1] - strip.s[0])).astype(np.intp)
    grey = contours.grey[np.clip(at, 0, len(strip.s) - 1), np.arange(len(at))][MIDDLE]
    return float(np.median((grey - dark) / np.maximum(depth, 1e-6 * max(float(depth.max()), 1e-6))))


@cache
def _remainder() -> Numbers:
    """What a curve of the fourth degree leaves of the measured columns' places."""
    x = np.linspace(-1, 1, MIDDLE.stop - MIDDLE.start)
    basis, _ = np.linalg.qr(np.vander(x, 5))
    return np.asarray(np.eye(len(x)) - basis @ basis.T)
