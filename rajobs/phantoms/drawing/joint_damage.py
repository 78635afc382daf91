"""How the scores of a joint look on a film: its gap, its erosions and the displacement of its distal bone.

Beside them stands what has no score: osteophytes and sclerosis of wear, cysts, vascular channels, thinned bone.
"""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.erosions import crumbling_of, erosion_holes
from rajobs.phantoms.drawing.long_bones import BoneEnd
from rajobs.phantoms.drawing.solid_bones import Hole
from rajobs.phantoms.people.build import Build, personal_deviates
from rajobs.phantoms.people.joint_scores import Score


@dataclass(frozen=True, kw_only=True)
class DamagedJoint:
    """How a joint is drawn: the ends of its two bones, and how far the distal bone is displaced."""

    head: BoneEnd
    base: BoneEnd
    space: float | None  # mm between the bones over the middle of the joint; None: displaced
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


def _unscored_holes(deviates: np.ndarray, half: float, build: Build) -> tuple[Hole, ...]:
    """A cyst with its rim, or the dot of a vascular channel: neither is an erosion, as the surface is whole."""
    rare = abs(float(deviates[0]))
    inwards, aside = (0.75 + 0.2 * abs(deviates[1])) * half, 0.30 * float(np.clip(deviates[2], -1.4, 1.4)) * half
    if not build.child and rare > (1.9 if build.age > 45 else 2.5):
        size = 0.16 * half + 0.25
        return (Hole(centre=(inwards, aside, 0.0), radii=(size, size, size), left=0.2, rim=0.4, phase=deviates[3]),)
    if rare < 0.10:
        return (Hole(centre=(1.5 * inwards, aside, 0.3 * half), radii=(0.45, 0.45, 1.5), left=0.1, phase=0.0),)
    return ()


def _spurs(deviates: np.ndarray, score: Score, half: float, build: Build) -> tuple[float, float]:
    """Osteophytes in mm at both sides of an end: with age, and beside narrowing that wear has made."""
    wear = 0.35 * (build.age - 58) / 12 + 0.25 * min(score.jsn, 3) * (score.erosion == 0) - 1.3
    if build.child or float(deviates[0]) + wear < 0:
        return 0.0, 0.0
    size = min(0.35, 0.10 + 0.08 * (float(deviates[0]) + wear)) * half
    shares = np.clip(1 + 0.6 * deviates[1:3], 0.0, 2.0)
    return float(size * shares[0]), float(size * shares[1])


def damage_joint(
    build: Build, side: str, site: str, score: Score, *, gap: float, half_head: float, half_base: float, luxates: float
) -> DamagedJoint:  # fmt: skip
    """A finger or toe joint with this score; `luxates` is how often JSN 3-4 shows as displacement."""
    deviates = personal_deviates(build, f"{side}{site}", 40)
    remaining = remaining_gap(deviates, score.jsn)
    displaced = score.jsn >= 3 and float(deviates[12]) < float(np.interp(luxates, (0, 1), (-2.5, 2.5)))
    along = aside = 0.0
    if displaced and score.jsn == 3:
        remaining, aside = (0.42, 0.42), 0.42 * half_base
    elif displaced:
        remaining, aside, along = (0.6, 0.6), 0.72 * half_base, 0.32 * half_head + 2.0
    aside *= 1.0 if deviates[13] < 0.9 else -1.0
    fused = score.jsn == 4 and not displaced
    eroded = erosion_holes(build, f"{side}{site}", deviates, score.erosion, half_head, half_base)
    reach = tuple((1 - share) * gap / 2 + (0.45 if fused else 0.0) for share in remaining)
    collapse = 0.0 if score.erosion < 5 else (0.32 if score.jsn < 4 else 0.45) * half_head
    thinning = min(0.5, 0.07 * (score.jsn + score.erosion) + 0.1 * max(0.0, float(deviates[14])))
    crumbling = crumbling_of(build, f"{side}{site}", score)
    if crumbling.degree:
        eroded, collapse, thinning = crumbling.holes(half_head, half_base), 0.4 * collapse, -crumbling.density
    plate_loss = 1.0 if fused else min(1.0, 0.18 * score.erosion) * (crumbling.degree == 0)
    ends = []
    for number, (half, flattened) in enumerate(((half_head, collapse), (half_base, 0.4 * collapse))):
        own = deviates[16 + 10 * number : 26 + 10 * number]
        spurs = (0.0, 0.0) if fused else _spurs(own[4:7], score, half, build)
        wider = crumbling.breadth * half
        ends.append(
            BoneEnd(
                reach=(reach[0], reach[1]), holes=(*eroded[number], *_unscored_holes(own, half, build)),
                collapse=flattened, plate_loss=plate_loss,
                sclerosis=(0.0, 0.0, 0.15, 0.35, 0.5)[score.jsn] + 0.8 * max(spurs) / half
                + crumbling.density,
                spurs=(spurs[0] + wider, spurs[1] + wider), thinning=thinning, fused=fused,
                ragged=crumbling.raggedness * half,
            )
        )  # fmt: skip
    space = None if displaced else (0.0 if fused else gap * float(np.mean(remaining)))
    return DamagedJoint(head=ends[0], base=ends[1], space=space, along=along, aside=aside, fused=fused)
