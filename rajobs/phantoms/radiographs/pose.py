"""How a hand lies on the cassette: the angles of its rays."""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.canvas import Points
from rajobs.phantoms.presets import Preset


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """Angles in degrees from the axis of metacarpal 3, + towards the little finger of a right hand."""

    metacarpal: tuple[float, ...]  # rays 1-5
    proximal: tuple[float, ...]  # of each proximal phalanx, also from the axis of metacarpal 3
    bend: tuple[tuple[float, float], ...]  # sideways angles added at PIP and DIP; the first of the thumb is at its IP
    curl: tuple[float, ...]  # flexion of each finger, which shortens its phalanges by the cosine
    pitch: tuple[tuple[float, ...], ...]  # degrees by which each bone of rays 1-5 is bent out of the film's plane
    roll: tuple[float, ...]  # degrees by which rays 1-5 are turned about their own axes
    tilt: float  # rotation of the hand about its long axis
    wrist: float  # angle of the forearm
    forearm: float  # mm of forearm on the film

    @property
    def forearm_direction(self) -> Points:
        """The unit vector from the wrist to the elbow."""
        return np.array([np.sin(np.deg2rad(self.wrist)), np.cos(np.deg2rad(self.wrist))])


def _draw_tilt(rng: np.random.Generator, preset: Preset) -> float:
    """A hand that lies nearly flat, or a little oblique; beyond 30 degrees it is of another kind (other_parts)."""
    flat, oblique, lot = rng.normal(0, preset.tilt), rng.uniform(18, 30), rng.random()
    return float(oblique if lot < 0.4 * preset.clutter else np.clip(flat, -30, 30))


def _draw_pitches(rng: np.random.Generator, curl: tuple[float, ...], tube: float) -> tuple[tuple[float, ...], ...]:
    """Pitches of the bones of each ray: a flat hand's metacarpals rise to their heads, bent fingers leave the plane."""
    rises = rng.normal((4, -9, -10, -8, -5), 3)
    pitches = []
    for rise, bend, loose in zip(rises, curl, (8, 4, 4, 4, 4), strict=True):  # a thumb lies as it likes
        flexion = np.array([0.0, 0.5, 1.0, 1.25]) * bend + rng.normal(0, loose, 4)
        flexion[0] += rise
        pitches.append(tuple(float(angle) for angle in flexion + tube))
    return tuple(pitches)


def draw_pose(rng: np.random.Generator, preset: Preset, *, drift: float = 0.0) -> HandPose:
    """A random pose; `drift` (0-1) turns the fingers to the ulnar side, as in long-standing RA."""
    spread = float(rng.beta(1.6, 2.0) * 1.25 - 0.1)
    wobble = rng.normal(0, preset.spread, (5, 3))
    thumb = float(rng.normal(0, 5 + preset.spread) - 6)
    ulnar = 16.0 * drift
    metacarpal = (
        -36 + thumb * 0.6,
        -8 + 2.0 * (1 - spread),
        0.0,
        4.5 + 4 * spread + 0.2 * wobble[3, 0],
        11 + 14 * spread + 0.3 * wobble[4, 0],
    )
    proximal = (
        metacarpal[0] + 4 + thumb * 0.7 + wobble[0, 0],
        -3 - 12 * spread + 0.5 * wobble[1, 0] + ulnar,
        0 + 0.5 * wobble[2, 0] + ulnar,
        4 + 15 * spread + 0.5 * wobble[3, 0] + ulnar,
        9 + 34 * spread + 0.7 * wobble[4, 0] + ulnar,
    )
    bend = tuple(
        (float(0.4 * wobble[ray, 1] + mean), float(0.4 * wobble[ray, 2] + 0.4 * mean))
        for ray, mean in enumerate((-6.0, 0.5, 0.0, -1.5, -2.5))
    )
    curl = tuple(
        float(angle) for angle in np.minimum(rng.exponential(preset.curl, 5) * rng.choice((0.3, 1.0, 1.8)), 48.0)
    )
    tilt, tube = _draw_tilt(rng, preset), float(rng.normal(0, 4))
    return HandPose(
        metacarpal=metacarpal,
        proximal=proximal,
        bend=bend,
        curl=curl,
        pitch=_draw_pitches(rng, curl, tube),
        roll=(float(rng.normal(38, 12)) + tilt, *(float(angle) + tilt for angle in rng.normal((-4, 0, 3, 8), 5))),
        tilt=tilt,
        wrist=float(np.clip(rng.normal(8, 6 + 0.4 * preset.spread), -8, 24)),
        forearm=float(rng.choice((24.0, 45.0, 75.0, 105.0), p=(0.2, 0.4, 0.3, 0.1)) * rng.uniform(0.85, 1.2)),
    )
