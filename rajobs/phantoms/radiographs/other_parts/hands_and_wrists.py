"""Hands that are no PA hands (lateral, oblique, ball-catcher), and wrists from all sides, as a PACS holds them."""

from dataclasses import replace

import numpy as np

from rajobs.phantoms.drawing.canvas import affine_map, compose_maps
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.presets import get_preset
from rajobs.phantoms.radiographs.hand import draw_hand, pose_hand
from rajobs.phantoms.radiographs.other_parts.turned_hand import Flexion, draw_turned_hand, turn_hand
from rajobs.phantoms.radiographs.pose import draw_pose

OBLIQUE = 32.0, 62.0
"""Degrees of an oblique hand; one that lies flatter counts as a PA hand."""


def bend_fingers(rng: np.random.Generator, *means: float, spread: float = 5.0) -> Flexion:
    """The flexion of all joints: each finger's knuckle by its mean, the joints beyond less."""
    fingers = [max(0.0, mean + float(rng.normal(0, spread))) for mean in means]
    return [
        (bend, *(max(0.0, bend * share + float(rng.normal(0, spread))) for share in (0.8, 0.45))) for bend in fingers
    ]


def draw_lateral_hand(pencil: Pencil, build: Build) -> None:
    """A hand on its little finger's side: its fingers fanned out, straight, or bent together."""
    rng = pencil.rng
    lot, turn = rng.random(), float(rng.uniform(78, 98))
    if lot < 0.5:  # the index finger touches the thumb, the little finger is straight
        step, first = float(rng.uniform(14, 24)), float(rng.uniform(50, 75))
        flexion, closed = bend_fingers(rng, 32, first, first - step, first - 2 * step, first - 3 * step), 0.8
    elif lot < 0.75:
        flexion, closed = bend_fingers(rng, 15, 6, 6, 7, 10), 1.0
    else:
        bend = float(rng.uniform(15, 50))
        flexion, closed = bend_fingers(rng, 25, bend, bend, bend, bend + 5), 0.9
    draw_turned_hand(pencil, turn_hand(build, rng, turn=turn, flexion=flexion, closed=closed))


def draw_oblique_hand(pencil: Pencil, build: Build) -> None:
    """A hand turned half onto its little finger's side."""
    rng = pencil.rng
    turn, bend = float(rng.uniform(*OBLIQUE)), abs(float(rng.normal(4, 8)))
    flexion, closed = bend_fingers(rng, 8, bend, bend, bend, bend), float(rng.uniform(0, 0.7))
    draw_turned_hand(pencil, turn_hand(build, rng, turn=turn, flexion=flexion, closed=closed))


def draw_oblique_hands(pencil: Pencil, build: Build) -> None:
    """Both hands turned half onto their sides."""
    for mirror in (False, True):
        draw_oblique_hand(_beside(pencil, build, mirror, -88.0, float(pencil.rng.normal(0, 6))), build)


def draw_ball_catcher(pencil: Pencil, build: Build) -> None:
    """Both hands with their backs half on the cassette, little fingers together, as if to catch a ball."""
    for mirror in (False, True):
        rng = pencil.rng
        bend = float(rng.uniform(8, 32))
        hand = turn_hand(build, rng, turn=-float(rng.uniform(32, 55)), flexion=bend_fingers(rng, 12, *(bend,) * 4),
                         closed=float(rng.uniform(0, 0.5)))  # fmt: skip
        draw_turned_hand(_beside(pencil, build, mirror, 64.0, float(rng.normal(0, 7))), hand)


def _beside(pencil: Pencil, build: Build, mirror: bool, away: float, askew: float) -> Pencil:
    """A pencil for the hand on one side of the film's middle: thumbs outside if `away` is positive, else inside."""
    place = affine_map(askew, ((away if mirror else -away) * build.size, 0.0), mirror=mirror)
    return replace(pencil, to_px=compose_maps(pencil.to_px, place))


def draw_flat_wrist(pencil: Pencil, build: Build) -> None:
    """A wrist from the back, in some films bent to the little finger's side to show the scaphoid."""
    rng = pencil.rng
    pose = draw_pose(rng, get_preset("standard"))
    scaphoid_view = rng.random() < 0.3
    wrist = float(rng.uniform(22, 34)) if scaphoid_view else float(rng.normal(8, 7))
    pose = replace(pose, tilt=float(np.clip(rng.normal(0, 8), -25, 25)), wrist=wrist)
    draw_hand(pencil.canvas, pose_hand(build, pose, "R", {}), pencil.to_px)


def draw_oblique_wrist(pencil: Pencil, build: Build) -> None:
    """A wrist turned half onto either side."""
    rng = pencil.rng
    turn = float(rng.uniform(30, 60)) * (1.0 if rng.random() < 0.75 else -1.0)
    _draw_turned_wrist(pencil, build, turn)


def draw_lateral_wrist(pencil: Pencil, build: Build) -> None:
    """A wrist from the side."""
    _draw_turned_wrist(pencil, build, float(pencil.rng.normal(88, 7)))


def _draw_turned_wrist(pencil: Pencil, build: Build, turn: float) -> None:
    rng = pencil.rng
    bend = abs(float(rng.normal(8, 14)))
    hand = turn_hand(build, rng, turn=turn, flexion=bend_fingers(rng, 10, bend, bend, bend, bend), closed=0.8)
    draw_turned_hand(pencil, hand, forearm=140.0)
