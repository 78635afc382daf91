"""How the scores of a joint look on a film: its gap, its erosions and the displacement of its distal bone."""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.bones import Bite
from rajobs.phantoms.drawing.long_bones import BoneEnd
from rajobs.phantoms.people.build import Build, personal_deviates
from rajobs.phantoms.people.joint_scores import Score


@dataclass(frozen=True, kw_only=True)
class DamagedJoint:
    """How a joint is drawn: the ends of its two bones, and how far the distal bone is displaced."""

    head: BoneEnd
    base: BoneEnd
    along: float = 0.0  # mm by which the base of the distal bone overlaps the head
    aside: float = 0.0  # mm by which it is displaced sideways (+: ulnar)
    fused: bool = False


def remaining_gap(deviates: np.ndarray, jsn: int) -> tuple[float, float]:
    """Shares of the healthy gap that remain at the radial and the ulnar side."""
    wide = 1.0 + 0.05 * float(np.clip(deviates[0], -1.5, 1.5))
    tilt = float(np.clip(deviates[1], -1.2, 1.2))
    if jsn == 0:
        return wide, wide
    if jsn == 1:
        return (0.62 * wide, wide) if tilt < 0 else (wide, 0.62 * wide)
    middle = {2: 0.60, 3: 0.27, 4: 0.0}[jsn] + (0.04 * deviates[2] if jsn < 4 else 0.0)
    lean = 0.05 * tilt if jsn < 4 else 0.0
    return float(np.clip(middle + lean, 0.0, 0.72)), float(np.clip(middle - lean, 0.0, 0.72))


def _margin_bites(deviates: np.ndarray, erosion: int, half_width: float, *, head: bool) -> tuple[Bite, ...]:
    """An erosion at the bare area beside the cartilage; a higher score enlarges the bite of the lower one."""
    if erosion <= 0:
        return ()
    side = 1.0 if deviates[0] < 0.3 else -1.0  # the radial side is eroded first more often
    inwards = (1.15 + 0.15 * deviates[1]) * half_width if head else 0.30 * half_width + 0.5
    size = {1: 0.22, 2: 0.36, 3: 0.60}[min(erosion, 3)] * half_width + 0.45
    outwards = {1: 0.90, 2: 0.80, 3: 0.48}[min(erosion, 3)]
    inwards = inwards if erosion < 3 else 0.62 * inwards
    stretch = 1.0 + 0.18 * float(np.clip(deviates[2], -1, 1))
    return (
        Bite(
            u=inwards,
            v=side * outwards * half_width,
            along=size * stretch,
            across=size / stretch,
            depth=0.80 if erosion > 1 else 0.72,
        ),
    )


def _joint_bites(
    deviates: np.ndarray, erosion: int, half_head: float, half_base: float
) -> tuple[tuple[Bite, ...], tuple[Bite, ...]]:
    """Bites of the head and of the base, whose scores add up to the score of the joint."""
    head_first = deviates[3] < 0.6
    major, minor = {0: (0, 0), 1: (1, 0), 2: (2, 0), 3: (3, 0), 4: (3, 1), 5: (3, 2)}[min(erosion, 5)]
    head, base = (major, minor) if head_first else (minor, major)
    head_bites = _margin_bites(deviates[4:8], head, half_head, head=True)
    base_bites = _margin_bites(deviates[8:12], base, half_base, head=False)
    if erosion >= 5:
        opposite = Bite(
            u=0.7 * half_head,
            v=-np.sign(head_bites[0].v) * 0.7 * half_head,
            along=0.5 * half_head,
            across=0.45 * half_head,
            depth=0.7,
        )
        head_bites = (*head_bites, opposite)
    return head_bites, base_bites


def damage_joint(
    build: Build, side: str, site: str, score: Score, *, gap: float, half_head: float, half_base: float, luxates: float
) -> DamagedJoint:  # fmt: skip
    """A finger or toe joint with this score; `luxates` is how often JSN 3-4 shows as displacement."""
    deviates = personal_deviates(build, f"{side}{site}", 24)
    remaining = remaining_gap(deviates, score.jsn)
    displaced = score.jsn >= 3 and float(deviates[12]) < float(np.interp(luxates, (0, 1), (-2.5, 2.5)))
    along = aside = 0.0
    if displaced and score.jsn == 3:
        remaining, aside = (0.42, 0.42), 0.42 * half_base
    elif displaced:
        remaining, aside, along = (0.6, 0.6), 0.72 * half_base, 0.32 * half_head + 2.0
    aside *= 1.0 if deviates[13] < 0.9 else -1.0
    fused = score.jsn == 4 and not displaced
    head_bites, base_bites = _joint_bites(deviates[:12], score.erosion, half_head, half_base)
    reach = tuple((1 - share) * gap / 2 + (0.45 if fused else 0.0) for share in remaining)
    sclerosis = (0.0, 0.0, 0.15, 0.35, 0.5)[score.jsn]
    plate_loss = 1.0 if fused else min(1.0, 0.18 * score.erosion)
    collapse = 0.0 if score.erosion < 5 else (0.32 if score.jsn < 4 else 0.45) * half_head
    head, base = (
        BoneEnd(
            reach=(reach[0], reach[1]), bites=bites, collapse=flattened, plate_loss=plate_loss, sclerosis=sclerosis,
            fused=fused,
        )
        for bites, flattened in ((head_bites, collapse), (base_bites, 0.4 * collapse))
    )  # fmt: skip
    return DamagedJoint(head=head, base=base, along=along, aside=aside, fused=fused)
