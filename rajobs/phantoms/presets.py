"""Named difficulties of drawn films, which figures quote by name, and sizes of films."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How difficult films are: ranges of pose and exposure, and how often a simulated reader gives the truth."""

    name: str
    jsn_exact: float  # share of sites at which a simulated reader gives the true score
    erosion_exact: float
    stage_exact: float
    grade_exact: float  # share of scans; that of the standard preset gives a reader a linear kappa of 0.80
    tilt: float  # degrees, s.d. of a hand's rotation about its long axis
    curl: float  # degrees, mean flexion of a finger joint
    spread: float  # degrees, s.d. of a finger's sideways angle
    upright: float  # share of hands within a few degrees of the film's long axis
    contrast: tuple[float, float]  # display range over the range of the part's bone: less is more contrast
    noise: tuple[float, float]  # s.d. of the quantum noise at the open beam
    blur_mm: tuple[float, float]
    clutter: float  # probability of each disturbance: cast, ring, crop, photographed film
    marks: float  # share of films with boxes, arrows, measures, letters or frames drawn on them


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                name="easy", jsn_exact=0.92, erosion_exact=0.94, stage_exact=0.92, grade_exact=0.93,
                tilt=3.0, curl=3.0, spread=2.0, upright=0.85,
                contrast=(1.00, 1.30), noise=(0.004, 0.010), blur_mm=(0.08, 0.14), clutter=0.02, marks=0.02,
            ),
            Preset(
                name="standard", jsn_exact=0.76, erosion_exact=0.85, stage_exact=0.75, grade_exact=0.838,
                tilt=7.0, curl=6.0, spread=4.0, upright=0.60,
                contrast=(0.92, 1.65), noise=(0.005, 0.022), blur_mm=(0.08, 0.24), clutter=0.07, marks=0.08,
            ),
            Preset(
                name="hard", jsn_exact=0.64, erosion_exact=0.76, stage_exact=0.62, grade_exact=0.75,
                tilt=12.0, curl=11.0, spread=6.0, upright=0.40,
                contrast=(0.85, 2.30), noise=(0.010, 0.045), blur_mm=(0.10, 0.40), clutter=0.16, marks=0.20,
            ),
        )
    }
)  # fmt: skip

SIZES: Mapping[str, tuple[int, int]] = MappingProxyType({"FULL": (2010, 1490), "SMALL": (670, 497)})
"""Rows and columns of an upright film. SMALL shows the same anatomy at a third of the scale."""


def get_preset(name: str) -> Preset:
    """The preset with this name."""
    if name not in PRESETS:
        raise ValueError(f"no difficulty {name!r}: one of {', '.join(PRESETS)}")
    return PRESETS[name]


def film_shape(size: str | tuple[int, int], *, sideways: bool) -> tuple[int, int]:
    """Rows and columns of a film, upright or sideways; a size in numbers is used as it is."""
    if isinstance(size, tuple):
        return size
    if size not in SIZES:
        raise ValueError(f"no size {size!r}: one of {', '.join(SIZES)}")
    rows, columns = SIZES[size]
    return (columns, rows) if sideways else (rows, columns)
