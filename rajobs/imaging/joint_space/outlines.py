"""Moves two contours from where brightness changes most to where the bones begin.

A ray at the depth d inside a round body passes a length that grows with the root of d. Blurred by a film with the
standard deviation b, such an edge is steepest 0.765 b inside the outline, and 1.463 b before that place it is half as
steep: this tells b. The floor of a hollow base is the same edge seen from within: bone gets thinner by a root in front
of the floor, while the plate goes on behind it. Of a plate of 3 to 8 b, as they are, the brightest line of the blurred
edge lies 1.1 to 1.6 b behind the floor, and the steepest place before it. The mean of what both tell is steadier.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.imaging.joint_space.contours import MIDDLE, Contours, Strip
from rajobs.imaging.joint_space.frame import Numbers

_STEEPEST, _HALF, _BRIGHTEST = 0.765, 1.463, 1.35  # in blurs
_STEEPEST_OF_FLOOR = 1.3  # in blurs, from the steepest place to the floor of a base: chosen on drawings
_FINE = 0.0005  # between the samples of a profile, in units
_REACH, _NEAR = 0.028, 0.003  # of a profile to either side of a contour, and how far from it the steepest place lies
_BLUR_PX, _BLUR = 0.7, 0.0018  # standard deviation along a profile: whichever is more
_LEAST, _MOST = 0.0012, 0.012  # of a film's blur


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """The floor of a base and the outline of a head in a strip."""

    places: Numbers  # (2, columns)
    blur: float  # of the film, standard deviation in units


@dataclass(frozen=True, kw_only=True)
class _Edge:
    """The mean profile across a contour, whose samples rise from the darker side to the brighter one."""

    profile: Numbers
    slope: Numbers
    steepest: int

    def half_as_steep(self) -> int:
        """The last sample before the steepest one where the slope is no more than half of it."""
        return int(np.flatnonzero(self.slope[: self.steepest] <= self.slope[self.steepest] / 2).max(initial=0))

    def brightest(self) -> int:
        """The first sample from which on brightness no longer rises."""
        behind = np.flatnonzero(self.slope[self.steepest :] <= 0)
        return self.steepest + int(behind[0]) if len(behind) else len(self.profile) - 1


def find_outlines(strip: Strip, contours: Contours, unit: float) -> Outlines:
    """The contours moved to the floor of the base and to the outline of the head; `unit` is in pixels."""
    base, head = contours.places
    sigma = max(_BLUR_PX / unit, _BLUR)
    into_base, into_head = (_edge_at(strip, line, sign, sigma) for line, sign in ((base, -1), (head, 1)))
    blur = _FINE * (into_head.steepest - into_head.half_as_steep()) / _HALF
    blur = min(max(blur, _LEAST), _MOST)
    outline = _away(into_head.steepest) - _STEEPEST * blur
    behind = _away(into_base.brightest()) - _BRIGHTEST * blur
    before = _away(into_base.steepest) + _STEEPEST_OF_FLOOR * blur
    floor = -(behind + before) / 2
    of_base = _FINE * (into_base.brightest() - into_base.steepest) / (_BRIGHTEST + _STEEPEST)
    return Outlines(places=np.stack([base + floor, head + outline]), blur=max(blur, min(of_base, _MOST)))


def _away(sample: int) -> float:
    """From a contour, in units; above 0 inside the bone."""
    return sample * _FINE - _REACH


def _edge_at(strip: Strip, line: Numbers, sign: int, sigma: float) -> _Edge:
    """The mean of the measured columns across a contour; `sign` tells on which side of it the bone lies."""
    step = float(strip.s[1] - strip.s[0])
    away = sign * np.arange(-_REACH, _REACH + _FINE / 2, _FINE)
    rows = (line[MIDDLE][None, :] + away[:, None] - strip.s[0]) / step
    columns = np.broadcast_to(np.arange(MIDDLE.start, MIDDLE.stop), rows.shape)
    grey = cv2.remap(
        strip.grey, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    profile = cv2.GaussianBlur(grey.mean(axis=1)[:, None], (1, 0), sigma / _FINE)[:, 0].astype(np.float64)
    slope = np.gradient(profile)
    middle, near = len(away) // 2, round(_NEAR / _FINE)
    steepest = middle - near + int(slope[middle - near : middle + near + 1].argmax())
    return _Edge(profile=profile, slope=slope, steepest=steepest)
