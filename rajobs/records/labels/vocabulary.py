"""What labels may say: the targets of each study, the sites of each target, and the values at each site."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST_COORDINATE = 65_535
"""Pixels: no film is larger."""
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")  # 1,000 may be a thousand


@dataclass(frozen=True, kw_only=True)
class LabelTarget:
    """The values that labels of a target may have, by site; without values, a pixel coordinate."""

    sites: Mapping[str, tuple[str, ...]]  # site -> values; "" is a label without a site


Vocabulary = Mapping[str, Mapping[str, LabelTarget]]
"""Study -> target -> what its labels may say."""


def canonical_value(value: str, allowed: tuple[str, ...]) -> str | None:
    """The value as its target writes it (1.0 is 1, Both is both), or as a number of pixels; None if it is neither.

    A number of pixels is rounded to seven digits, a hundredth of a pixel: no other number hides in it.
    """
    if value in allowed:
        return value
    text = value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value) else value
    if not allowed:
        return f"{float(text):.7g}" if is_pixel(text) else None
    number = _as_number(text)
    if number is not None:
        return whole if (whole := f"{number:g}") in allowed else None
    return {name.casefold(): name for name in allowed}.get(value.casefold())


def is_pixel(text: str) -> bool:
    """Whether a text can be a column or row of a film."""
    number = _as_number(text)
    return number is not None and abs(number) <= LARGEST_COORDINATE


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
