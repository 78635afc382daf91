"""Single fingers and thumbs: from the front beside their neighbours, or alone above a fist, oblique and from the side.

The finger's frame: zero at its knuckle, y away from its tip.
"""

from dataclasses import replace

import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Points, affine_map, compose_maps
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.presets import get_preset
from rajobs.phantoms.radiographs.hand import draw_hand, pose_hand
from rajobs.phantoms.radiographs.other_parts.turned_hand import draw_turned_hand, turn_hand
from rajobs.phantoms.radiographs.pose import draw_pose


def draw_flat_finger(pencil: Pencil, build: Build) -> None:
    """A finger from the front: its hand lies flat, so that the neighbours show at the film's sides."""
    rng = pencil.rng
    pose = replace(draw_pose(rng, get_preset("standard")), tilt=float(np.clip(rng.normal(0, 8), -20, 20)))
    hand = pose_hand(build, pose, "R", {})
    ray = hand.ray_points[int(rng.integers(1, 5))]
    draw_hand(pencil.canvas, hand, compose_maps(pencil.to_px, _to_finger(ray[1], ray[-1])))


def draw_single_finger(pencil: Pencil, build: Build) -> None:
    """A finger above a fist, from the front, half turned or from the side."""
    rng, number = pencil.rng, int(pencil.rng.integers(1, 5))
    turn = float(rng.choice((rng.normal(0, 8), rng.uniform(25, 55), rng.normal(90, 7)), p=(0.25, 0.25, 0.5)))
    flexion: list[tuple[float, ...]] = [(30.0, 20.0)]
    for other in range(1, 5):
        bend = float(rng.uniform(70, 95)) if other != number else abs(float(rng.normal(4, 8)))
        flexion.append((bend, bend, 0.5 * bend))
    hand = turn_hand(build, rng, turn=turn, flexion=flexion, closed=0.7)
    shown = hand.flatten(hand.rays[number])
    local = replace(pencil, to_px=compose_maps(pencil.to_px, _to_finger(shown[1], shown[-1])))
    draw_turned_hand(local, hand, forearm=60.0)


def draw_thumb(pencil: Pencil, build: Build) -> None:
    """A thumb: the hand behind it is flat, half turned, or on its side."""
    rng = pencil.rng
    turn = float(rng.choice((rng.normal(0, 8), rng.normal(-25, 8), rng.normal(70, 8)), p=(0.35, 0.3, 0.35)))
    bends: list[tuple[float, ...]] = [(abs(float(rng.normal(4, 6))), abs(float(rng.normal(6, 9))))]
    bends += [(bend, bend, 0.5 * bend) for bend in np.abs(rng.normal(10, 14, 4))]
    hand = turn_hand(build, rng, turn=turn, flexion=bends, closed=0.5)
    shown = hand.flatten(hand.rays[0])
    local = replace(pencil, to_px=compose_maps(pencil.to_px, _to_finger(shown[1], shown[-1])))
    draw_turned_hand(local, hand, forearm=60.0)


def _to_finger(knuckle: Points, tip: Points) -> Affine:
    """The map from hand mm to the finger's frame."""
    step = tip - knuckle
    turn = -90.0 - float(np.rad2deg(np.arctan2(step[1], step[0])))
    turned = affine_map(turn, (0, 0))
    turned[:, 2] = -turned[:, :2] @ knuckle
    return turned
