"""What rheumatoid arthritis does to a joint: scores, and how each score looks on a film.

JSN 0 none, 1 focal, 2 general with more than half left, 3 less than half left or subluxation, 4 ankylosis or luxation.
Erosion 0 none, 1 discrete, 2 larger, 3 over the middle of the bone, 5 collapse; a joint's is the sum of its bones'.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.bones import Bite
from rajobs.phantoms.drawing.long_bones import End
from rajobs.phantoms.people.build import Build, quirks


@dataclass(frozen=True, kw_only=True)
class Score:
    """One site's truth: JSN and erosion (0 where the method has none)."""

    jsn: int = 0
    erosion: int = 0


Scores = Mapping[str, Score]
SOUND = Score()

_STAGE_OF_JSN = (0, 1, 1, 2, 4)
_STAGE_OF_EROSION = (0, 2, 3, 4, 4, 5, 5, 5, 5, 5, 5)


def site_stage(score: Score) -> int:
    """The stage 0-5 a site alone would give, after Larsen: erosion is obligatory from the middle stages on."""
    stage = max(_STAGE_OF_JSN[score.jsn], _STAGE_OF_EROSION[score.erosion])
    return 5 if score.jsn == 4 and score.erosion >= 3 else stage


def stage(scores: Scores) -> int:
    """A hand's stage: its worst joint's."""
    return max((site_stage(score) for score in scores.values()), default=0)


@dataclass(frozen=True, kw_only=True)
class Damage:
    """How a joint is drawn: its two ends, the distal bone's displacement and the gap that is left, in mm."""

    head: End
    base: End
    along: float = 0.0  # mm the distal bone's base moved over the head (overlap)
    aside: float = 0.0  # mm it moved sideways (+: ulnar)
    fused: bool = False
    gap: float = 0.0


def gap_left(site_quirks: np.ndarray, jsn: int) -> tuple[float, float]:
    """Shares of the healthy gap that are left at the radial and the ulnar side."""
    wide = 1.0 + 0.05 * float(np.clip(site_quirks[0], -1.5, 1.5))
    tilt = float(np.clip(site_quirks[1], -1.2, 1.2))
    if jsn == 0:
        return wide, wide
    if jsn == 1:
        return (0.62 * wide, wide) if tilt < 0 else (wide, 0.62 * wide)
    middle = {2: 0.60, 3: 0.27, 4: 0.0}[jsn] + (0.04 * site_quirks[2] if jsn < 4 else 0.0)
    lean = 0.05 * tilt if jsn < 4 else 0.0
    return float(np.clip(middle + lean, 0.0, 0.72)), float(np.clip(middle - lean, 0.0, 0.72))


def _margin_bites(odd: np.ndarray, erosion: int, half: float, *, head: bool) -> tuple[Bite, ...]:
    """Erosions at the bare areas beside the cartilage; a higher score grows the lower one's first bite."""
    if erosion <= 0:
        return ()
    first = 1.0 if odd[0] < 0.3 else -1.0  # the radial side is hit first more often
    inwards = (1.15 + 0.15 * odd[1]) * half if head else 0.30 * half + 0.5
    size = {1: 0.22, 2: 0.36, 3: 0.60}[min(erosion, 3)] * half + 0.45
    out = {1: 0.90, 2: 0.80, 3: 0.48}[min(erosion, 3)]
    inwards = inwards if erosion < 3 else 0.62 * inwards
    stretch = 1.0 + 0.18 * float(np.clip(odd[2], -1, 1))
    return (
        Bite(
            u=inwards,
            v=first * out * half,
            along=size * stretch,
            across=size / stretch,
            depth=0.80 if erosion > 1 else 0.72,
        ),
    )


def _bites(
    odd: np.ndarray, erosion: int, half_head: float, half_base: float
) -> tuple[tuple[Bite, ...], tuple[Bite, ...]]:
    """Bites of the head and of the base whose scores add up to the joint's."""
    head_first = odd[3] < 0.6
    major, minor = {0: (0, 0), 1: (1, 0), 2: (2, 0), 3: (3, 0), 4: (3, 1), 5: (3, 2)}[min(erosion, 5)]
    head, base = (major, minor) if head_first else (minor, major)
    heads = _margin_bites(odd[4:8], head, half_head, head=True)
    bases = _margin_bites(odd[8:12], base, half_base, head=False)
    if erosion >= 5:
        other = Bite(
            u=0.7 * half_head,
            v=-np.sign(heads[0].v) * 0.7 * half_head,
            along=0.5 * half_head,
            across=0.45 * half_head,
            depth=0.7,
        )
        heads = (*heads, other)
    return heads, bases


def joint_damage(
    build: Build, side: str, site: str, score: Score, *, gap: float, half_head: float, half_base: float, luxates: float
) -> Damage:  # fmt: skip
    """The drawing of a score at a finger or toe joint; `luxates` is how often JSN 3-4 shows as displacement."""
    odd = quirks(build, f"{side}{site}", 24)
    left = gap_left(odd, score.jsn)
    displaced = score.jsn >= 3 and float(odd[12]) < float(np.interp(luxates, (0, 1), (-2.5, 2.5)))
    along = aside = 0.0
    if displaced and score.jsn == 3:
        left, aside = (0.42, 0.42), 0.42 * half_base
    elif displaced:
        left, aside, along = (0.6, 0.6), 0.72 * half_base, 0.32 * half_head + 2.0
    aside *= 1.0 if odd[13] < 0.9 else -1.0
    fused = score.jsn == 4 and not displaced
    heads, bases = _bites(odd[:12], score.erosion, half_head, half_base)
    reach = tuple((1 - share) * gap / 2 + (0.45 if fused else 0.0) for share in left)
    worn = (0.0, 0.0, 0.15, 0.35, 0.5)[score.jsn]
    faint = 1.0 if fused else min(1.0, 0.18 * score.erosion)
    collapse = 0.0 if score.erosion < 5 else (0.32 if score.jsn < 4 else 0.45) * half_head
    return Damage(
        head=End(reach=(reach[0], reach[1]), bites=heads, collapse=collapse, faint=faint, hard=worn, fused=fused),
        base=End(reach=(reach[0], reach[1]), bites=bases, collapse=0.4 * collapse, faint=faint, hard=worn, fused=fused),
        along=along,
        aside=aside,
        fused=fused,
        gap=gap * (left[0] + left[1]) / 2,
    )
