"""What lies beside an examined hand and is not examined: a foot of the same person, or the small hand of a child."""

import numpy as np

from rajobs.phantoms.people.build import Build, draw_build
from rajobs.phantoms.presets import Preset
from rajobs.phantoms.radiographs.film_layout import Item
from rajobs.phantoms.radiographs.foot import Foot, foot_extent, pose_foot
from rajobs.phantoms.radiographs.hand import Hand, hand_extent, pose_hand
from rajobs.phantoms.radiographs.pose import draw_pose

_LARGE_ENOUGH = 0.82
"""From this size on a hand is plainly larger than a small child's."""


def draw_neighbour(build: Build, ease: Preset, beside: Item, rng: np.random.Generator) -> tuple[Hand | Foot, Item]:
    """A foot or a child's hand, and how it lies beside the hand of this build."""
    mirror = bool(rng.random() < 0.5)
    side = "L" if mirror else "R"
    before = bool(rng.random() < 0.5)
    # Wherever it comes from, its limb runs away from the examined hand and does not lie over it.
    askew, away = float(abs(rng.normal(2, 14))), 1.0 if before else -1.0
    turn = float(rng.choice((away * askew, away * (90 - askew), 180 - away * askew), p=(0.7, 0.15, 0.15)))
    # Often only a part of it is on the film.
    shown = float(rng.choice((1.0, rng.uniform(0.35, 1.0))))
    if rng.random() < 0.5 or build.size < _LARGE_ENOUGH:
        foot = pose_foot(build, rng, ease, side, {})
        limb: Hand | Foot = foot
        around = foot_extent(foot)
    else:
        small = draw_build(rng, sex=str(rng.choice(("F", "M"))), age=float(rng.uniform(1.5, 8.0 * build.size - 1.5)))
        limb = pose_hand(small, draw_pose(rng, ease), side, {})
        around = hand_extent(limb)
    return limb, Item(
        around=around, mirrored=mirror, down=beside.down, tail=beside.tail, turn=turn, before=before, shown=shown
    )  # fmt: skip
