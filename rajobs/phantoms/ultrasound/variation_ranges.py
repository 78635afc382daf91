"""How far drawn scans differ from each other: every spread and share as data, so that a sweep can turn them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from rajobs.phantoms.presets import get_preset
from rajobs.records.errors import UnknownName, UsageError

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class VariationRanges:
    """Spreads (standard deviations), ranges (lowest, highest) and shares (0 to 1) of drawn scans."""

    scale: float = 0.10  # relative s.d. of a layer's measures
    tilt: float = 2.5  # degrees, s.d. of the joint's
    move: float = 0.6  # mm, s.d. of the joint's depth
    gain: float = 0.14  # relative s.d. of the grey gain
    contrast: Range = (0.62, 0.78)  # how much darker than tissue the synovium is
    width_mm: Range = (28.0, 40.0)  # of the scan: a deeper setting shows more
    vessel_mm: Range = (0.20, 0.34)  # radius of a trunk and of a spot
    margin: float = 0.05  # how far a share of the synovium stays from the border between grades
    specks: float = 5.0  # mean number of coloured specks outside the capsule
    feeding: float = 0.35  # share of scans with a normal vessel outside the capsule
    loops: float = 0.15  # share of a cohort's scans that are loops
    plain: float = 0.12  # share of a cohort's scans without a colour box

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, as JSON and TOML have them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def ranges_from(values: Mapping[str, Any], *, start: VariationRanges | None = None) -> VariationRanges:
    """Ranges out of plain values; what they leave out is as in `start`."""
    names = {field.name: field.type for field in fields(VariationRanges)}
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            raise UnknownName.among("range of drawn scans", name, names)
        pair = isinstance(value, list | tuple)
        if pair != (names[name] is Range) or (pair and len(value) != 2):
            raise UsageError(f"{name} is {'lowest and highest' if names[name] is Range else 'one number'}, not {value}")
        chosen[name] = tuple(float(part) for part in value) if pair else float(value)
    return replace(start or VariationRanges(), **chosen)


RANGES: Mapping[str, VariationRanges] = MappingProxyType(
    {
        "easy": VariationRanges(
            scale=0.06, tilt=1.5, move=0.4, gain=0.06, contrast=(0.72, 0.80), width_mm=(30.0, 36.0), margin=0.10,
            specks=2.0, feeding=0.15,
        ),
        "standard": VariationRanges(),
        "hard": VariationRanges(
            scale=0.13, tilt=4.0, move=0.9, gain=0.24, contrast=(0.45, 0.75), width_mm=(25.0, 46.0), margin=0.025,
            specks=9.0, feeding=0.55,
        ),
    }
)  # fmt: skip


def ranges_of_difficulty(difficulty: str) -> VariationRanges:
    """The ranges of a named difficulty."""
    return RANGES[get_preset(difficulty).name]
