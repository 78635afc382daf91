"""How a hand lies on the cassette: angles of its rays, drawn and never hoped for."""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.presets import Preset


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """Angles in degrees from the middle metacarpal's axis, + towards the little finger (as on a right hand)."""

    metacarpal: tuple[float, ...]  # rays 1-5
    proximal: tuple[float, ...]  # absolute angle of each proximal phalanx
    bend: tuple[tuple[float, float], ...]  # sideways angle added at PIP and DIP (the thumb's IP in the first place)
    curl: tuple[float, ...]  # flexion of a finger: its phalanges look shorter by the cosine
    tilt: float  # rotation about the long axis
    wrist: float  # the forearm's angle
    forearm: float  # mm of forearm on the film


def _tilt(rng: np.random.Generator, preset: Preset) -> float:
    """Flat mostly; an oblique film is taken on purpose."""
    flat, aside, lot = rng.normal(0, preset.tilt), rng.uniform(25, 50), rng.random()
    return float(aside if lot < 0.4 * preset.clutter else np.clip(flat, -30, 30))


def draw_pose(rng: np.random.Generator, preset: Preset, *, drift: float = 0.0) -> HandPose:
    """A pose; `drift` (0-1) turns the fingers to the ulnar side, as in long-standing RA."""
    spread = float(rng.beta(1.6, 2.0) * 1.25 - 0.1)
    s = preset.spread
    wobble = rng.normal(0, s, (5, 3))
    thumb = float(rng.normal(0, 5 + s) - 6)
    out = 16.0 * drift
    metacarpal = (
        -36 + thumb * 0.6,
        -8 + 2.0 * (1 - spread),
        0.0,
        4.5 + 4 * spread + 0.2 * wobble[3, 0],
        11 + 14 * spread + 0.3 * wobble[4, 0],
    )
    proximal = (
        metacarpal[0] + 4 + thumb * 0.7 + wobble[0, 0],
        -3 - 12 * spread + 0.5 * wobble[1, 0] + out,
        0 + 0.5 * wobble[2, 0] + out,
        4 + 15 * spread + 0.5 * wobble[3, 0] + out,
        9 + 34 * spread + 0.7 * wobble[4, 0] + out,
    )
    bend = tuple(
        (float(0.4 * wobble[ray, 1] + mean), float(0.4 * wobble[ray, 2] + 0.4 * mean))
        for ray, mean in enumerate((-6.0, 0.5, 0.0, -1.5, -2.5))
    )
    curl = tuple(float(c) for c in np.minimum(rng.exponential(preset.curl, 5) * rng.choice((0.3, 1.0, 1.8)), 48.0))
    return HandPose(
        metacarpal=metacarpal,
        proximal=proximal,
        bend=bend,
        curl=curl,
        tilt=_tilt(rng, preset),
        wrist=float(np.clip(rng.normal(8, 6 + 0.4 * s), -8, 24)),
        forearm=float(rng.choice((24.0, 45.0, 75.0, 105.0), p=(0.2, 0.4, 0.3, 0.1)) * rng.uniform(0.85, 1.2)),
    )
