"""Bystanders: what lies beside an examined hand but is not examined, a foot of the same person or a child's hand."""

import numpy as np

from rajobs.phantoms.people.build import Build, draw_build
from rajobs.phantoms.presets import Preset
from rajobs.phantoms.radiographs.film_layout import FilmItem
from rajobs.phantoms.radiographs.foot import Foot, foot_extent, pose_foot
from rajobs.phantoms.radiographs.hand import Hand, hand_extent, pose_hand
from rajobs.phantoms.radiographs.pose import draw_pose

_SMALLEST_EXAMINED = 0.82
"""From this size on, a hand is clearly larger than that of a small child."""


def draw_bystander(
    build: Build, preset: Preset, examined: FilmItem, rng: np.random.Generator
) -> tuple[Hand | Foot, FilmItem]:
    """A foot or a child's hand, and how it lies beside the examined hand of this build."""
    mirror = bool(rng.random() < 0.5)
    side = "L" if mirror else "R"
    on_other_side = bool(rng.random() < 0.5)
    # Its limb always runs away from the examined hand, so that it does not lie over it.
    askew, away = float(abs(rng.normal(2, 14))), 1.0 if on_other_side else -1.0
    turn = float(rng.choice((away * askew, away * (90 - askew), 180 - away * askew), p=(0.7, 0.15, 0.15)))
    # Often only part of it is on the film.
    width_shown = float(rng.choice((1.0, rng.uniform(0.35, 1.0))))
    if rng.random() < 0.5 or build.size < _SMALLEST_EXAMINED:
        foot = pose_foot(build, rng, preset, side, {})
        extremity: Hand | Foot = foot
        extent = foot_extent(foot)
    else:
        child = draw_build(rng, sex=str(rng.choice(("F", "M"))), age=float(rng.uniform(1.5, 8.0 * build.size - 1.5)))
        extremity = pose_hand(child, draw_pose(rng, preset), side, {})
        extent = hand_extent(extremity)
    return extremity, FilmItem(
        extent=extent, mirrored=mirror, direction=examined.direction, limb_mm=examined.limb_mm, turn=turn,
        on_other_side=on_other_side, width_shown=width_shown,
    )  # fmt: skip
