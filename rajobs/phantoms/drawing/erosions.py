"""Bone that disease has taken: bites at the margin of a joint, and joints that crumble as a whole."""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.solid_bones import Hole
from rajobs.phantoms.people.build import Build, personal_deviates
from rajobs.phantoms.people.joint_scores import Score

_LATERAL = 0.65  # radians: the usual spread of erosions around the side of a bone


def _margin_holes(deviates: np.ndarray, erosion: int, half_width: float, *, head: bool) -> tuple[Hole, ...]:
    """An erosion at the bare area beside the cartilage; a higher score enlarges the holes of the lower one.

    Real ones are seldom one round bite: smaller hollows lie at the edge of the first, some behind a rim of sclerosis.
    """
    if erosion <= 0:
        return ()
    side = 1.0 if deviates[0] < 0.3 else -1.0  # the radial side is eroded first more often
    inwards = (0.80 + 0.18 * deviates[1]) * half_width if head else 0.26 * half_width + 0.3
    size = {1: 0.24, 2: 0.36, 3: 0.56}[min(erosion, 3)] * half_width + 0.38
    outwards = {1: 0.92, 2: 0.82, 3: 0.50}[min(erosion, 3)] * half_width
    around = _LATERAL * float(np.clip(deviates[3], -1.6, 1.6)) * (0.5 if erosion >= 3 else 1.0)
    stretch = 1.0 + 0.22 * float(np.clip(deviates[2], -1.2, 1.2))
    first = Hole(
        centre=(max(inwards if erosion < 3 else 0.7 * inwards, 0.3), side * outwards * np.cos(around),
                0.75 * outwards * np.sin(around)),
        radii=(size * stretch, size / stretch, size * (1.3 if erosion < 3 else 1.5)),
        left=_share_left(deviates[4]), rim=_rim(deviates[5]), phase=5 * float(deviates[2]),
    )  # fmt: skip
    count = min(int(abs(deviates[6]) * (0.8 + 0.7 * min(erosion, 3))), 5)
    return (first, *(_hollow(deviates[8 + 4 * n : 12 + 4 * n], first, half_width) for n in range(count)))


def _share_left(deviate: float) -> float:
    """The share of the density that an erosion leaves: few are empty all through."""
    return float(np.clip(0.10 + 0.14 * deviate, 0.02, 0.45))


def _rim(deviate: float) -> float:
    """Mm of sclerosis around an erosion that is no longer active."""
    return float(np.clip(0.25 + 0.25 * deviate, 0.0, 0.6)) if deviate > -0.2 else 0.0


def _hollow(deviates: np.ndarray, first: Hole, half_width: float) -> Hole:
    """A small hollow at the edge of an erosion's first hole, on the side of the bone."""
    (u, v, w), (along, across, _) = first.centre, first.radii
    way = 1.1 * float(deviates[0])  # radians from the axis of the bone
    size = (0.13 + 0.05 * float(np.clip(deviates[1], -1.5, 2.5))) * half_width + 0.22
    sign = 1.0 if deviates[2] < 0.5 else -1.0
    aside = v - np.sign(v) * abs(np.sin(way)) * across
    return Hole(
        centre=(max(u + sign * np.cos(way) * (along + 0.4 * size), 0.2), float(np.clip(aside, -half_width, half_width)),
                w + 0.3 * half_width * float(np.clip(deviates[3], -1, 1))),
        radii=(size, 0.9 * size, 1.4 * size), left=_share_left(float(deviates[3])), rim=_rim(float(deviates[2])),
        phase=4 * float(deviates[1]),
    )  # fmt: skip


def _worm_eaten(deviates: np.ndarray, half: float) -> tuple[Hole, ...]:
    """The many small hollows of an end that disease has eaten all through."""
    holes = []
    for along, across, through, wide in np.clip(deviates.reshape(-1, 4), -1.5, 2):
        size = (0.18 + 0.07 * wide) * half
        holes.append(
            Hole(
                centre=((0.5 + 0.32 * along) * half, 0.45 * across * half, 0.3 * through * half),
                radii=(size, size, 1.6 * size), left=0.15, rim=0.4 if through > -0.3 else 0.0, phase=3 * along,
            )
        )  # fmt: skip
    return tuple(holes)


def erosion_holes(
    build: Build, joint: str, deviates: np.ndarray, erosion: int, half_head: float, half_base: float
) -> tuple[tuple[Hole, ...], tuple[Hole, ...]]:
    """Holes of the head and of the base, whose scores add up to the score of the joint."""
    head_first = deviates[3] < 0.6
    major, minor = {0: (0, 0), 1: (1, 0), 2: (2, 0), 3: (3, 0), 4: (3, 1), 5: (3, 2)}[min(erosion, 5)]
    head, base = (major, minor) if head_first else (minor, major)
    own = personal_deviates(build, f"{joint} erosions", 80)
    head_holes = _margin_holes(own[:28], head, half_head, head=True)
    base_holes = _margin_holes(own[28:56], base, half_base, head=False)
    if erosion >= 5:
        opposite = Hole(
            centre=(0.5 * half_head, -float(np.sign(head_holes[0].centre[1])) * 0.7 * half_head, 0.0),
            radii=(0.5 * half_head, 0.45 * half_head, 0.7 * half_head), left=0.08, phase=2 * float(deviates[5]),
        )  # fmt: skip
        head_holes = (*head_holes, opposite)
    if erosion >= 3 and own[56] > 0:
        head_holes += _worm_eaten(own[57:77][: 4 * min(erosion, 5)], half_head)
    return head_holes, base_holes


@dataclass(frozen=True, kw_only=True)
class Crumbling:
    """A joint that disease has destroyed: not bitten, but broad, dense and ragged, with small hollows all through."""

    degree: float  # 0 to 1
    deviates: np.ndarray

    @property
    def breadth(self) -> float:
        """By how much of their half width the ends are broader on either side."""
        return self.degree * max(0.05, 0.30 + 0.14 * float(self.deviates[0]))

    @property
    def density(self) -> float:
        """By how much the spongy bone of the ends is denser than healthy bone."""
        return self.degree * max(0.0, 0.5 + 0.4 * float(self.deviates[1]))

    @property
    def raggedness(self) -> float:
        """How uneven the ends are, as a share of their half width."""
        return self.degree * max(0.04, 0.16 + 0.06 * float(self.deviates[2]))

    def holes(self, half_head: float, half_base: float) -> tuple[tuple[Hole, ...], tuple[Hole, ...]]:
        """The hollows of the head and of the base, which has one fewer."""
        count = 4 * (3 + round(3 * self.degree))  # four deviates for each hollow
        head, base = self.deviates[4 : 4 + count], self.deviates[30 : 26 + count]
        return _worm_eaten(head, half_head), _worm_eaten(base, half_base)


def crumbling_of(build: Build, joint: str, score: Score) -> Crumbling:
    """Most joints crumble whose bones are eroded beyond their middle and whose space is narrow or gone."""
    deviates = np.clip(personal_deviates(build, f"{joint} crumbling", 60), -1.5, 2)
    crumbles = score.erosion >= 3 and score.jsn >= 2 and deviates[3] > -0.4
    degree = min(1.0, 0.25 * (score.erosion - 2) + 0.2 * (score.jsn - 1)) if crumbles else 0.0
    return Crumbling(degree=degree, deviates=deviates)
