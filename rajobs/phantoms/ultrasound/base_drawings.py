"""The 17 base drawings of a dorsal MCP scan (002) as numbers, layer by layer, and how a layer is changed.

Lengths are millimetres; `x` runs from the metacarpal (proximal, left) to the phalanx, 0 at the joint space.
"""

from dataclasses import dataclass, replace

import numpy as np

from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges

PUBLISHED_COUNTS = (212, 236, 222, 200)


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """Skin and what lies over the joint: thickness of the skin, depth and thickness of the extensor tendon."""

    skin: float = 1.1
    tendon: float = 3.4
    thick: float = 1.3


@dataclass(frozen=True, kw_only=True)
class Bone:
    """Depth of the metacarpal head's top, how far the neck lies below it, the joint space, the phalanx's depth."""

    head: float = 7.4
    neck: float = 1.7
    gap: float = 1.1
    base: float = 8.0
    tilt: float = 0.0  # degrees of the whole joint


@dataclass(frozen=True, kw_only=True)
class Capsule:
    """The synovium: how far it reaches over metacarpal and phalanx, and its height over the bone."""

    proximal: float = 8.0
    distal: float = 2.6
    height: float = 1.8


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Vessels: groups of spots (a number is how many touch), or a share of the synovium about a centre (0 to 1)."""

    groups: tuple[int, ...] = ()
    radius: float = 0.27
    share: float = 0.0
    centre: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A joint in four layers."""

    number: int
    grade: int
    grey_grade: int
    tissue: Tissue = Tissue()
    bone: Bone = Bone()
    capsule: Capsule = Capsule()
    signal: Signal = Signal()


HEIGHTS = (1.3, 2.0, 2.8, 3.7)
"""Height of the synovium over the bone, by grey-scale grade, mm."""


def _base(number: int, grade: int, grey: int, bone: Bone, signal: Signal) -> Drawing:
    return Drawing(number=number, grade=grade, grey_grade=grey, bone=bone, capsule=_synovium(grey), signal=signal)


def _synovium(grey: int) -> Capsule:
    return Capsule(proximal=6.5 + 1.1 * grey, distal=2.0 + 0.5 * grey, height=HEIGHTS[grey])


_STEADY = Bone(head=7.7, neck=1.9, base=8.35, tilt=0.8)
_FLAT, _STEEP, _DEEP, _TILTED = Bone(), Bone(neck=2.5, gap=1.5), Bone(head=8.6, base=9.4), Bone(tilt=3.0, base=7.7)
BASES: tuple[Drawing, ...] = (
    _base(0, 0, 0, _FLAT, Signal()),
    _base(1, 0, 0, _STEEP, Signal()),
    _base(2, 0, 1, _DEEP, Signal()),
    _base(3, 0, 1, _TILTED, Signal()),
    _base(4, 0, 2, _STEADY, Signal()),
    _base(5, 1, 1, _FLAT, Signal(groups=(1,))),
    _base(6, 1, 1, _STEEP, Signal(groups=(1, 1, 1))),
    _base(7, 1, 2, _DEEP, Signal(groups=(2, 2))),
    _base(8, 1, 2, _TILTED, Signal(groups=(2, 1, 1))),
    _base(9, 2, 1, _FLAT, Signal(share=0.22, centre=0.4)),
    _base(10, 2, 2, _STEEP, Signal(share=0.30, centre=0.6)),
    _base(11, 2, 2, _DEEP, Signal(share=0.40, centre=0.3)),
    _base(12, 2, 3, _TILTED, Signal(share=0.34, centre=0.5)),
    _base(13, 3, 2, _FLAT, Signal(share=0.62, centre=0.5)),
    _base(14, 3, 2, _STEEP, Signal(share=0.72, centre=0.4)),
    _base(15, 3, 3, _DEEP, Signal(share=0.82, centre=0.6)),
    _base(16, 3, 3, _TILTED, Signal(share=0.72, centre=0.5)),
)
SHARES = ((0.0, 0.0), (0.0, 0.0), (0.14, 0.50), (0.50, 0.94))
"""Between which shares of the synovium a grade's signal lies (EULAR/OMERACT: less than half, more than half)."""
SPOTS = ((1,), (1, 1), (1, 1, 1), (2,), (2, 1), (2, 1, 1), (2, 2))
"""What grade 1 may be: up to three single spots, or one confluent and up to two single, or two confluent."""
REACH = 11.4, 4.2
"""The synovium's longest reach over metacarpal and phalanx, mm: a colour box that covers the joint covers it."""


def share_limits(grade: int, margin: float) -> tuple[float, float]:
    """Lowest and highest share of a grade that is drawn, a margin away from the next grade's."""
    low, high = SHARES[grade]
    return (low, high - margin) if grade == 2 else (low + margin, high) if grade == 3 else (0.0, 0.0)


def with_grey_grade(drawing: Drawing, grey_grade: int) -> Drawing:
    """The drawing with a synovium of another grey-scale grade."""
    return replace(drawing, grey_grade=grey_grade, capsule=_synovium(grey_grade))


def vary_drawing(drawing: Drawing, rng: np.random.Generator, ranges: VariationRanges) -> Drawing:
    """The drawing with every layer moved and scaled a little; its grades stay what they are."""
    tissue, bone, capsule, signal = drawing.tissue, drawing.bone, drawing.capsule, drawing.signal
    scale = np.clip(1 + ranges.scale * rng.normal(size=8), 0.75, 1.3)
    moved = ranges.move * float(rng.normal())
    low, high = share_limits(drawing.grade, ranges.margin)
    return replace(
        drawing,
        tissue=replace(tissue, skin=tissue.skin * scale[0], tendon=tissue.tendon * scale[1]),
        bone=replace(
            bone, head=bone.head + moved, base=bone.base + moved, neck=bone.neck * scale[2], gap=bone.gap * scale[3],
            tilt=bone.tilt + ranges.tilt * float(rng.normal()),
        ),
        capsule=replace(
            capsule, proximal=min(capsule.proximal * scale[4], REACH[0]),
            distal=min(capsule.distal * scale[5], REACH[1]),
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
