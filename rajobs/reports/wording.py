"""How figures, intervals, shares, counts and names are written for people."""

import math
import re
from collections.abc import Mapping, Sequence

_CAPITALS = ("auc", "esr", "jsn", "mae", "qwk", "ra")
_SPACE = "\xa0"  # keeps an interval on one line


def format_figure(figure: Mapping[str, float | None], *, signed: bool = False, digits: int = 3) -> str | None:
    """`0.750 (0.500 to 1.000)`, or None where the value or an end of its interval is unknown."""
    known = [end for name in ("value", "low", "high") if (end := figure[name]) is not None and math.isfinite(end)]
    if len(known) < 3:
        return None
    value, low, high = (f"{end:{'+' if signed else ''}.{digits}f}" for end in known)
    return f"{value} ({low} to {high})"


def format_interval(low: float | None, high: float | None) -> str | None:
    """An interval in words, or None where an end is unknown."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return None
    return f"{low:.3f}{_SPACE}to{_SPACE}{high:.3f}"


def format_percent(share: float) -> str:
    """A share of 1 in whole percent."""
    return f"{100 * share:.0f} %"


def format_count(count: int, noun: str) -> str:
    """`1 film`, `2,000 films`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_list(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def ratio(part: int, whole: int) -> float | None:
    """The share of a part, or None of an empty whole."""
    return part / whole if whole else None


def humanize(name: str) -> str:
    """`hand_filter` as `Hand filter`, `view.auc` as `View, AUC`."""
    parts = [part.upper() if part in _CAPITALS else part for part in re.split(r"[ _-]", name.replace(".", ", "))]
    text = " ".join(parts)
    return text[:1].upper() + text[1:]


def short_id(image_id: str) -> str:
    """Enough of an image_id to find it by."""
    return image_id[:12]
