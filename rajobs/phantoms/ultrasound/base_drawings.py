"""The 17 base drawings of a dorsal MCP scan (002) as numbers, layer by layer, and their random variation.

Lengths are in millimetres; `x` runs from the metacarpal (proximal, left) to the phalanx and is 0 at the joint space.
"""

from dataclasses import dataclass, replace

import numpy as np

from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges

PUBLISHED_COUNTS = (212, 236, 222, 200)
"""Number of drawings of grades 0 to 3 in the paper."""


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """The soft tissue over the joint."""

    skin: float = 1.1  # thickness of the skin
    tendon: float = 3.4  # depth of the extensor tendon
    tendon_thickness: float = 1.3


@dataclass(frozen=True, kw_only=True)
class Bone:
    """The bones' surfaces."""

    head: float = 7.4  # depth of the metacarpal head
    neck: float = 1.7  # depth of the metacarpal neck below the head
    gap: float = 1.1  # width of the joint space
    base: float = 8.0  # depth of the phalanx
    tilt: float = 0.0  # degrees, of the whole joint


@dataclass(frozen=True, kw_only=True)
class Capsule:
    """The synovium."""

    proximal: float = 8.0  # reach over the metacarpal
    distal: float = 2.6  # reach over the phalanx
    height: float = 1.8  # over the bone


@dataclass(frozen=True, kw_only=True)
class Signal:
    """The Doppler signal: groups of spots, or branching vessels that fill a share of the synovium."""

    groups: tuple[int, ...] = ()  # number of touching spots in each group
    radius: float = 0.27  # of a spot or vessel
    share: float = 0.0  # of the synovium that vessels fill
    centre: float = 0.5  # where vessels are densest, 0 (proximal) to 1 (distal)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A joint in four layers, with its power-Doppler and grey-scale grades."""

    number: int
    grade: int
    grey_grade: int
    tissue: Tissue = Tissue()
    bone: Bone = Bone()
    capsule: Capsule = Capsule()
    signal: Signal = Signal()


SYNOVIUM_HEIGHTS = (1.3, 2.0, 2.8, 3.7)
"""Height of the synovium over the bone, by grey-scale grade, mm."""


def _make_base(number: int, grade: int, grey: int, bone: Bone, signal: Signal) -> Drawing:
    return Drawing(
        number=number, grade=grade, grey_grade=grey, bone=bone, capsule=_synovium_of_grade(grey), signal=signal
    )


def _synovium_of_grade(grey: int) -> Capsule:
    return Capsule(proximal=6.5 + 1.1 * grey, distal=2.0 + 0.5 * grey, height=SYNOVIUM_HEIGHTS[grey])


_STEADY = Bone(head=7.7, neck=1.9, base=8.35, tilt=0.8)
_FLAT, _STEEP, _DEEP, _TILTED = Bone(), Bone(neck=2.5, gap=1.5), Bone(head=8.6, base=9.4), Bone(tilt=3.0, base=7.7)
BASES: tuple[Drawing, ...] = (
    _make_base(0, 0, 0, _FLAT, Signal()),
    _make_base(1, 0, 0, _STEEP, Signal()),
    _make_base(2, 0, 1, _DEEP, Signal()),
    _make_base(3, 0, 1, _TILTED, Signal()),
    _make_base(4, 0, 2, _STEADY, Signal()),
    _make_base(5, 1, 1, _FLAT, Signal(groups=(1,))),
    _make_base(6, 1, 1, _STEEP, Signal(groups=(1, 1, 1))),
    _make_base(7, 1, 2, _DEEP, Signal(groups=(2, 2))),
    _make_base(8, 1, 2, _TILTED, Signal(groups=(2, 1, 1))),
    _make_base(9, 2, 1, _FLAT, Signal(share=0.22, centre=0.4)),
    _make_base(10, 2, 2, _STEEP, Signal(share=0.30, centre=0.6)),
    _make_base(11, 2, 2, _DEEP, Signal(share=0.40, centre=0.3)),
    _make_base(12, 2, 3, _TILTED, Signal(share=0.34, centre=0.5)),
    _make_base(13, 3, 2, _FLAT, Signal(share=0.62, centre=0.5)),
    _make_base(14, 3, 2, _STEEP, Signal(share=0.72, centre=0.4)),
    _make_base(15, 3, 3, _DEEP, Signal(share=0.82, centre=0.6)),
    _make_base(16, 3, 3, _TILTED, Signal(share=0.72, centre=0.5)),
)
SIGNAL_SHARES = ((0.0, 0.0), (0.0, 0.0), (0.14, 0.50), (0.50, 0.94))
"""Lowest and highest share of the synovium that a grade's signal fills (EULAR/OMERACT: less or more than half)."""
SPOT_GROUPS = ((1,), (1, 1), (1, 1, 1), (2,), (2, 1), (2, 1, 1), (2, 2))
"""The groups of spots of grade 1: up to three single, or one confluent and up to two single, or two confluent."""
LONGEST_REACH = 11.4, 4.2
"""The synovium's longest reach over metacarpal and phalanx, mm: every colour box covers it."""


def share_limits(grade: int, margin: float) -> tuple[float, float]:
    """Lowest and highest share that is drawn for a grade, at a margin from the neighbouring grade."""
    low, high = SIGNAL_SHARES[grade]
    return (low, high - margin) if grade == 2 else (low + margin, high) if grade == 3 else (0.0, 0.0)


def with_grey_grade(drawing: Drawing, grey_grade: int) -> Drawing:
    """The drawing with a synovium of another grey-scale grade."""
    return replace(drawing, grey_grade=grey_grade, capsule=_synovium_of_grade(grey_grade))


def vary_drawing(drawing: Drawing, rng: np.random.Generator, ranges: VariationRanges) -> Drawing:
    """The drawing with every layer shifted and scaled a little; its grades stay the same."""
    tissue, bone, capsule, signal = drawing.tissue, drawing.bone, drawing.capsule, drawing.signal
    scale = np.clip(1 + ranges.scale * rng.normal(size=8), 0.75, 1.3)
    shift = ranges.depth_mm * float(rng.normal())
    low, high = share_limits(drawing.grade, ranges.margin)
    return replace(
        drawing,
        tissue=replace(tissue, skin=tissue.skin * scale[0], tendon=tissue.tendon * scale[1]),
        bone=replace(
            bone, head=bone.head + shift, base=bone.base + shift, neck=bone.neck * scale[2], gap=bone.gap * scale[3],
            tilt=bone.tilt + ranges.tilt * float(rng.normal()),
        ),
        capsule=replace(
            capsule, proximal=min(capsule.proximal * scale[4], LONGEST_REACH[0]),
            distal=min(capsule.distal * scale[5], LONGEST_REACH[1]),
            height=capsule.height * float(np.clip(scale[6], 0.88, 1.12)),
        ),
        signal=replace(
            signal, radius=float(signal.radius * scale[7]),
            centre=float(np.clip(signal.centre + 1.5 * ranges.scale * rng.normal(), 0.1, 0.9)),
            share=float(np.clip(signal.share * (1 + ranges.scale * rng.normal()), low, high)),
        ),
    )  # fmt: skip


def bases_of_grade(grade: int) -> tuple[Drawing, ...]:
    """The base drawings of a grade."""
    return tuple(drawing for drawing in BASES if drawing.grade == grade)
