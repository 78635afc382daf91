"""Forearms from the front and from the side, from the hand to the elbow. Coordinates in mm, y to the elbow.

Zero is the joint between capitate and metacarpal 3 of a right hand, as in the hand's frame; the forearm runs straight.
"""

from dataclasses import replace

import numpy as np

from rajobs.phantoms.drawing.bones import Plate
from rajobs.phantoms.drawing.canvas import Points, affine_map, compose_maps
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.radiographs.other_parts.hands_and_wrists import bend_fingers
from rajobs.phantoms.radiographs.other_parts.turned_hand import draw_turned_hand, turn_hand

ELBOW = 268.0  # mm from the hand's zero to the elbow's joint
_RADIUS_FRONT = (
    (-16, 31), (-10, 33), (0, 34), (10, 33), (17, 32), (17, 42), (12, 56), (6, 76), (2, 110), (-1, 150), (1, 190),
    (5, 216), (7, 230), (4, 240), (4, 250), (7, 255), (7, 262), (-2, 264), (-13, 262), (-13, 255), (-10, 249),
    (-8, 238), (-8, 226), (-11, 190), (-14, 150), (-13, 110), (-11, 80), (-15, 56), (-18, 42),
)  # fmt: skip
_ULNA_FRONT = (
    (20, 33), (24, 29), (30, 28), (31, 25), (33, 30), (31, 40), (28, 56), (26, 100), (23, 150), (21, 200), (21, 232),
    (25, 246), (29, 262), (29, 286), (22, 293), (14, 288), (10, 272), (7, 258), (8, 240), (10, 200), (13, 150),
    (16, 100), (18, 60), (19, 42),
)  # fmt: skip
_HUMERUS_FRONT = (
    (-14, 270), (-4, 267), (4, 271), (12, 266), (24, 268), (30, 276), (37, 288), (30, 300), (19, 322), (14, 360),
    (13, 460), (-9, 460), (-10, 360), (-14, 322), (-21, 300), (-22, 282),
)  # fmt: skip
_RADIUS_SIDE = (
    (-11, 35), (-4, 33.5), (4, 32.5), (11, 32), (12, 42), (8, 60), (4, 100), (1, 150), (-1, 200), (-4, 236), (-3, 246),
    (2, 252), (1, 261), (-10, 262), (-19, 260), (-18, 251), (-14, 244), (-14, 232), (-11, 200), (-9, 150), (-7, 100),
    (-7, 60), (-11, 44),
)  # fmt: skip
_ULNA_SIDE = (
    (-4, 32), (2, 29), (8, 30), (12, 28), (13, 34), (10, 44), (8, 80), (9, 150), (11, 210), (13, 250), (14, 280),
    (11, 294), (3, 297), (-2, 291), (-3, 281), (-5, 272), (-11, 266), (-13, 258), (-7, 250), (-4, 230), (-2, 180),
    (-1, 120), (-2, 70), (-4, 46),
)  # fmt: skip
_HUMERUS_SIDE = (
    (-16, 0), (-13, -9), (-4, -13), (8, -12), (16, -5), (17, 5), (11, 12), (8, 24), (9, 60), (10, 190), (-8, 190),
    (-8, 60), (-9, 26), (-14, 12),
)  # fmt: skip
"""From the side, around its joint with the ulna; the shaft runs down y."""


def draw_front_forearm(pencil: Pencil, build: Build) -> None:
    """A forearm from the front with wrist and elbow."""
    rng = pencil.rng
    bend = abs(float(rng.normal(6, 8)))
    hand = turn_hand(build, rng, turn=float(rng.normal(0, 16)), flexion=bend_fingers(rng, 8, *(bend,) * 4), closed=0.6)
    hand = replace(
        hand, wrist=0.6 * hand.wrist, arm=((-2, 60, 35), (-3, 150, 42), (0, 240, 43), (0, 290, 43), (0, 440, 48))
    )
    draw_turned_hand(pencil, hand, shafts=False)
    arm = _along_forearm(pencil, build, -hand.wrist)
    for outline in (_ULNA_FRONT, _RADIUS_FRONT, _HUMERUS_FRONT):
        _add_long_bone(arm, build, np.array(outline, float), is_humerus=outline is _HUMERUS_FRONT)


def draw_side_forearm(pencil: Pencil, build: Build) -> None:
    """A forearm from the side; its hand is on its side too, and its elbow bent."""
    rng = pencil.rng
    bend = abs(float(rng.normal(16, 16)))
    hand = turn_hand(build, rng, turn=float(rng.normal(86, 8)), flexion=bend_fingers(rng, 18, *(bend,) * 4), closed=0.9)
    elbow_bend = float(np.clip(rng.normal(80, 25), 0, 110))
    bent = np.deg2rad(elbow_bend)
    upper_arm = [(-away * np.sin(bent), 246 + away * np.cos(bent), radius) for away, radius in ((60, 46), (200, 54))]
    draw_turned_hand(
        pencil, replace(hand, wrist=0.0, arm=((0, 70, 35), (1, 150, 42), (2, 240, 46), *upper_arm)), shafts=False
    )  # fmt: skip
    arm = _along_forearm(pencil, build, 0.0)
    upper = replace(arm, to_px=compose_maps(arm.to_px, affine_map(elbow_bend, (-2.0, ELBOW + 12))))
    for outline in (_ULNA_SIDE, _RADIUS_SIDE):
        _add_long_bone(arm, build, np.array(outline, float))
    _add_long_bone(upper, build, np.array(_HUMERUS_SIDE, float), is_humerus=True)


def _along_forearm(pencil: Pencil, build: Build, lean: float) -> Pencil:
    """A pencil in adult millimetres whose y axis runs down the forearm, turned about the wrist."""
    place = affine_map(lean, (0, 30 * build.size), scale=build.size)
    place[:, 2] -= place[:, :2] @ np.array([0.0, 30.0])
    return replace(pencil, to_px=compose_maps(pencil.to_px, place), wobble=0.004)


def _add_long_bone(pencil: Pencil, build: Build, outline: Points, *, is_humerus: bool = False) -> None:
    """Adds radius, ulna or humerus; a child's has growth plates."""
    dense = build.size * build.density**0.5
    cuts: tuple[Points, ...] = ()
    if build.child and not is_humerus:
        gap = float(np.interp(build.maturity, (0.1, 0.7, 0.97, 1.0), (2.6, 1.5, 0.6, 0.15)))
        x = np.linspace(-25, 45, 8)
        wave = 0.5 * np.cos(0.4 * x)
        cuts = tuple(
            np.vstack([np.column_stack([at + wave - gap / 2, x]), np.column_stack([at + wave + gap / 2, x])[::-1]])
            for at in (41.0, 254.0)
        )
    plates = (Plate(points=np.array([(35.5, -12), (35.8, 0), (34.8, 12)]), width=1.6, weight=2.6 * build.density),)
    is_radius = outline is not None and float(outline[:, 0].min()) < -15 and not is_humerus
    pencil.add_bone(
        outline, cortex=(3.6 if is_humerus else 2.9) * build.density, marrow=0.09, tubular=True, ends=0.6,
        depth=0.85 * dense, plates=plates if is_radius else (), cuts=cuts,
    )  # fmt: skip
