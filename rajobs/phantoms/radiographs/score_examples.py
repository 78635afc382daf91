"""Drawn examples of scores: one hand with every joint at a score, without a film's disturbances around it."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.drawing.canvas import affine_map, blank_canvas, map_points
from rajobs.phantoms.drawing.exposure import Exposure, detected_attenuation, displayed_grey, stored_values
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.people.joint_scores import Score
from rajobs.phantoms.presets import get_preset
from rajobs.phantoms.radiographs.hand import draw_hand, hand_extent, pose_hand
from rajobs.phantoms.radiographs.pose import draw_pose
from rajobs.records.anatomy import HAND_SITES

PITCH_MM = 0.18
MARGIN_MM = 12.0
HIGHEST: Mapping[str, int] = {"jsn": 4, "erosion": 5}
_POSE_SEED, _TEXTURE_SEED = 3, 1

Places = Mapping[str, tuple[float, float]]
"""Column and row of each site."""


def draw_examples() -> Iterator[tuple[str, int, NDArray[np.uint16], Places]]:
    """A right hand for each score of each kind: the kind, the score, its film and where its sites lie."""
    for target, highest in HIGHEST.items():
        for value in range(highest + 1):
            yield target, value, *_draw_hand(Score(**{target: value}))


def _draw_hand(score: Score) -> tuple[NDArray[np.uint16], Places]:
    build = Build(sex="F", age=40.0, seed=5, size=0.95, girth=0.97, flesh=1.0, density=1.0)
    pose = draw_pose(np.random.default_rng(_POSE_SEED), get_preset("easy"))
    hand = pose_hand(build, pose, "R", {site.name: score for site in HAND_SITES})
    extent = hand_extent(hand)
    low, high = extent.min(axis=0) - MARGIN_MM, extent.max(axis=0) + MARGIN_MM
    columns, rows = (int(side) for side in np.ceil((high - low) / PITCH_MM))
    to_film = affine_map(0.0, -low / PITCH_MM, scale=1 / PITCH_MM)
    canvas = blank_canvas((rows, columns), PITCH_MM, np.random.default_rng(_TEXTURE_SEED))
    draw_hand(canvas, hand, to_film)
    exposure = _plain_exposure(hand.peak_attenuation)
    film = stored_values(displayed_grey(detected_attenuation(canvas, exposure), canvas, exposure), exposure)
    places = {site: map_points(at[None], to_film)[0] for site, at in hand.joints.items()}
    return film.astype(np.uint16), {site: (float(x), float(y)) for site, (x, y) in places.items()}


def _plain_exposure(peak_attenuation: float) -> Exposure:
    """A film that is neither noisy nor processed much."""
    return Exposure(
        floor=-0.1 * peak_attenuation, span=1.2 * peak_attenuation, gamma=1.0, toe=0.3, heel=(0.0, 0.0), scatter=0.05,
        noise=0.004, grain_px=0.6, blur_mm=0.1, sharpen=0.5, sharpen_mm=1.0, halo=0.4, halo_mm=0.3, flatten=0.25,
        flatten_mm=8.0, saturate=False, inverted=False, bits=12, noise_seed=2,
    )  # fmt: skip
