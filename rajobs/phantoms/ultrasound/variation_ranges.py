"""How far drawn scans differ from each other, by difficulty: the spread of every measure and share."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rajobs.phantoms.presets import get_preset

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class VariationRanges:
    """Standard deviations, ranges (lowest, highest) and shares (0 to 1) of drawn scans."""

    scale: float = 0.10  # relative s.d. of the lengths of a layer
    tilt: float = 2.5  # degrees, s.d. of the whole joint's tilt
    depth_mm: float = 0.6  # mm, s.d. of the joint's depth
    gain: float = 0.14  # relative s.d. of the grey gain
    contrast: Range = (0.62, 0.78)  # how much darker the synovium is than other tissue
    width_mm: Range = (28.0, 40.0)  # width of the scan: a deeper setting shows more
    vessel_mm: Range = (0.20, 0.34)  # radius of a vessel's trunk and of a spot
    margin: float = 0.05  # distance of the signal's share of the synovium from the limit between grades
    specks: float = 5.0  # mean number of coloured specks outside the synovium
    feeding_vessels: float = 0.35  # share of scans with a normal vessel outside the synovium
    loops: float = 0.15  # share of a cohort's scans that are loops
    grey_only: float = 0.12  # share of a cohort's scans without a colour box
    annotated: float = 0.25  # share of scans with coloured letters, callipers, arrows, palettes, ...


RANGES: Mapping[str, VariationRanges] = MappingProxyType(
    {
        "easy": VariationRanges(
            scale=0.06, tilt=1.5, depth_mm=0.4, gain=0.06, contrast=(0.72, 0.80), width_mm=(30.0, 36.0), margin=0.10,
            specks=2.0, feeding_vessels=0.15, annotated=0.1,
        ),
        "standard": VariationRanges(),
        "hard": VariationRanges(
            scale=0.13, tilt=4.0, depth_mm=0.9, gain=0.24, contrast=(0.45, 0.75), width_mm=(25.0, 46.0), margin=0.025,
            specks=9.0, feeding_vessels=0.55, annotated=0.4,
        ),
    }
)  # fmt: skip


def ranges_of_difficulty(difficulty: str) -> VariationRanges:
    """The ranges of a named difficulty."""
    return RANGES[get_preset(difficulty).name]
