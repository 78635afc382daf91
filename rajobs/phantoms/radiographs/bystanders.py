"""Bystanders: what lies beside an examined part: a foot or a child's hand, or a hand that holds a child's limb."""

import numpy as np

from rajobs.phantoms.drawing.canvas import Canvas, affine_map
from rajobs.phantoms.people.build import Build, draw_build
from rajobs.phantoms.presets import Preset, get_preset
from rajobs.phantoms.radiographs.film_layout import FilmItem
from rajobs.phantoms.radiographs.foot import Foot, foot_extent, pose_foot
from rajobs.phantoms.radiographs.hand import Hand, draw_hand, hand_extent, pose_hand
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


def add_helping_hand(canvas: Canvas, rng: np.random.Generator) -> None:
    """Adds one or two adult hands that hold something on the film: they come in from its edge, and some are cut."""
    rows, columns = canvas.shape
    for _ in range(int(rng.integers(1, 3))):
        helper = draw_build(rng, sex=str(rng.choice(("F", "M"))), age=float(rng.uniform(22, 60)))
        hand = pose_hand(helper, draw_pose(rng, get_preset("hard")), "R", {})
        edge, along = int(rng.integers(4)), float(rng.uniform(0.15, 0.85))
        at = ((along * columns, rows), (0.0, along * rows), (along * columns, 0.0), (columns, along * rows))[edge]
        turn = 90.0 * edge + float(rng.normal(0, 25))
        place = affine_map(turn, at, scale=1 / canvas.pitch, mirror=bool(rng.random() < 0.5))
        # Fingertips reach so far into the film.
        away = np.array([np.sin(np.deg2rad(turn)), -np.cos(np.deg2rad(turn))]) * (float(rng.uniform(50, 150)) - 190)
        place[:, 2] += away / canvas.pitch
        draw_hand(canvas, hand, place)
