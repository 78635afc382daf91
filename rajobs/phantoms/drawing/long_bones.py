"""Metacarpals, metatarsals and phalanges: outlines with flared ends, joint lines over them, growth plates."""

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.bones import Bite, Bone, Plate, bounding_box, closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Points, affine_map
from rajobs.phantoms.people.build import Build, personal_deviates


@dataclass(frozen=True, kw_only=True)
class BoneEnd:
    """What disease does to one end of a bone: how far the end reaches into the gap, and what is missing."""

    reach: tuple[float, float] = (0.0, 0.0)  # mm beyond the healthy end, on the -v and on the +v side
    bites: tuple[Bite, ...] = ()  # with u counted inwards from the end
    collapse: float = 0.0  # mm by which the end is flattened
    plate_loss: float = 0.0  # share of the subchondral plate that is missing
    sclerosis: float = 0.0  # share by which the plate is brighter
    fused: bool = False  # with the neighbouring bone: there is no shell at this end


HEALTHY_END = BoneEnd()


def _metacarpal_profile(w: float, s: float, h: float, length: float) -> Points:
    """Half an outline from the middle of the base to the middle of the head: (u, half width) in mm."""
    r = min(h, 0.118 * length)
    return np.array(
        [
            (0.09 * w, 0.0), (0.0, 0.45 * w), (0.05 * w, 0.82 * w), (0.25 * w, 0.95 * w), (0.075 * length, w),
            (0.13 * length, 0.93 * w),
            (0.22 * length, 0.62 * w + 0.38 * s), (0.36 * length, 1.03 * s), (0.52 * length, s), (0.68 * length,
            1.08 * s),
            (length - 2.25 * r, 0.55 * s + 0.45 * h), (length - 1.72 * r, 0.90 * h), (length - 1.35 * r, 1.0 * h),
            (length - 1.02 * r, 0.93 * h), (length - 0.58 * r, 0.82 * h), (length - 0.22 * r, 0.56 * h),
            (length - 0.04 * r, 0.24 * h),
            (length, 0.0),
        ]
    )  # fmt: skip


def _shaft_and_head(w: float, s: float, h: float, length: float) -> list[tuple[float, float]]:
    """Shaft and head, which proximal and middle phalanges have in common."""
    return [
        (0.035 * length, 1.0 * w), (0.085 * length, 0.97 * w), (0.18 * length, 0.74 * w + 0.14 * s), (0.30 * length,
        0.24 * w + 0.78 * s),
        (0.46 * length, 1.02 * s), (0.62 * length, s), (0.75 * length, 0.85 * s + 0.15 * h),
        (length - min(1.25 * h, 0.20 * length), 0.30 * s + 0.70 * h), (length - min(0.85 * h, 0.15 * length), 1.0 * h),
        (length - min(0.55 * h, 0.10 * length), 0.97 * h), (length - min(0.16 * h, 0.03 * length), 0.80 * h),
        (length + 0.10, 0.58 * h),
        (length - 0.02, 0.28 * h), (length - 0.22, 0.0),
    ]  # fmt: skip


def _proximal_profile(w: float, s: float, h: float, length: float) -> Points:
    """A proximal phalanx: a cup for the round head below it."""
    rim = 0.075 * 2 * w
    return np.array(
        [
            (0.0, 0.0),
            (-0.22 * rim, 0.34 * w),
            (-0.80 * rim, 0.64 * w),
            (-0.85 * rim, 0.86 * w),
            *_shaft_and_head(w, s, h, length),
        ]
    )


def _middle_profile(w: float, s: float, h: float, length: float) -> Points:
    """A middle phalanx: two hollows with a ridge between them."""
    return np.array(
        [(-0.22, 0.0), (0.12, 0.34 * w), (-0.25, 0.68 * w), (-0.20, 0.88 * w), *_shaft_and_head(w, s, h, length)]
    )


def _distal_profile(w: float, s: float, h: float, length: float) -> Points:
    """A distal phalanx: a flat base, a thin waist and a ragged tuft."""
    return np.array(
        [
            (0.12, 0.0), (0.0, 0.45 * w), (-0.2, 0.75 * w), (0.025 * length, 0.98 * w), (0.10 * length, 1.0 * w),
            (0.22 * length, 0.74 * w),
            (0.36 * length, 0.18 * w + 0.90 * s), (0.55 * length, s), (0.70 * length, 0.85 * s + 0.12 * h),
            (0.78 * length, 0.92 * h),
            (0.83 * length, 1.0 * h), (0.90 * length, 0.90 * h), (0.96 * length, 0.72 * h), (0.99 * length,
            0.40 * h), (length, 0.0),
        ]
    )  # fmt: skip


_PROFILES = MappingProxyType(
    {
        "metacarpal": _metacarpal_profile,
        "proximal": _proximal_profile,
        "middle": _middle_profile,
        "distal": _distal_profile,
    }
)


def _smooth_step(x: np.ndarray) -> np.ndarray:
    """Rises smoothly from 0 at x = 0 to 1 at x = 1."""
    x = np.minimum(np.maximum(x, 0), 1)
    step: np.ndarray = x * x * (3 - 2 * x)
    return step


def _reshape_ends(points: Points, length: float, half: tuple[float, float], base: BoneEnd, head: BoneEnd) -> Points:
    """The outline with its ends moved into the gap or flattened; the shaft stays as it is."""
    u, v = points[:, 0].copy(), points[:, 1]
    zone = min(5.0, 0.2 * length)
    for end, weight, sign, width in (
        (base, _smooth_step(1 - u / zone), -1.0, half[0]),
        (head, _smooth_step(1 - (length - u) / zone), 1.0, half[1]),
    ):
        lean = np.minimum(np.maximum(0.5 + 0.5 * v / max(width, 0.1), 0), 1)
        reach = end.reach[0] + (end.reach[1] - end.reach[0]) * lean
        dome = 1 - 0.45 * np.abs(2 * lean - 1)
        u += sign * weight * (reach - end.collapse * dome)
    return np.column_stack([u, v])


def _end_bites(base: BoneEnd, head: BoneEnd, length: float) -> tuple[Bite, ...]:
    """The bites of both ends, all with u counted from the base."""
    return (*base.bites, *(replace(bite, u=length - bite.u) for bite in head.bites))


def _edge_lines(
    kind: str,
    half: tuple[float, float, float],
    length: float,
    ends: tuple[BoneEnd, BoneEnd],
    side: Points,
    density: float,
) -> list[tuple[Points, float, float]]:
    """Subchondral lines (points, width, weight), strong in a base and thin over a head, and edges of the far face."""
    w, _, h = half
    base, head = ends
    v = np.linspace(-0.80, 0.80, 11)
    floor = np.interp(np.abs(v) * w, side[:4, 1], side[:4, 0])
    socket = np.column_stack([0.5 + 0.8 * floor, v * w])
    strength = {"metacarpal": 0.45, "proximal": 1.0, "middle": 0.9, "distal": 0.7}[kind]
    lines = [(socket, 0.11 * w + 0.12, 3.1 * strength * (w / 7) ** 0.5 * (1 - base.plate_loss) * (1 + base.sclerosis))]
    if kind == "metacarpal":
        t = np.linspace(-1.15, 1.15, 9)
        lines.append(
            (
                np.column_stack([length - h + (h - 0.3) * np.cos(t), 0.86 * h * np.sin(t)]),
                0.5,
                0.9 * (1 - head.plate_loss) * (1 + head.sclerosis),
            )
        )
        for sign in (-1, 1):
            notch = np.array(
                [
                    (length - 2.1 * h, 0.66 * h),
                    (length - 1.7 * h, 0.72 * h),
                    (length - 1.4 * h, 0.68 * h),
                    (length - 1.05 * h, 0.60 * h),
                    (length - 0.8 * h, 0.60 * h),
                ]
            )
            lines.append((open_curve(notch * (1, sign), 4), 0.9, 1.5))
    elif kind in ("proximal", "middle"):
        t = np.linspace(-0.66, 0.66, 9)
        lines.append(
            (
                np.column_stack([length - 0.5 - 0.16 * np.cos(t * 5), t * h]),
                0.5,
                1.0 * (1 - head.plate_loss) * (1 + head.sclerosis),
            )
        )
        neck = np.array([(length - 1.7 * h, 0.30 * h), (length - 1.45 * h, 0.05 * h), (length - 1.7 * h, -0.24 * h)])
        lines.append((open_curve(neck, 4), 0.7, 0.8))
    return [(points, width, weight * density) for points, width, weight in lines]


def _growth_plate_cut(
    kind: str, half: tuple[float, float, float], length: float, maturity: float, deviates: np.ndarray
) -> tuple[Points, ...]:
    """The dark band between shaft and epiphysis, at the head of metacarpals 2-5 and at the base of all other bones."""
    if maturity >= 1:
        return ()
    gap = float(np.interp(maturity, (0.15, 0.7, 0.97, 1.0), (2.0, 1.1, 0.45, 0.12)))
    base_depth = 0.42 * half[0] + 1.0
    width = max(half) * 1.3
    v = np.linspace(-width, width, 9)
    wave = 0.30 * np.cos(v / width * 4.0 + deviates[0]) + 0.12 * deviates[1:10]
    middle = (length - 1.15 * half[2] if kind == "metacarpal" else base_depth) + wave
    return (np.vstack([np.column_stack([middle - gap / 2, v]), np.column_stack([middle + gap / 2, v])[::-1]]),)


def long_bone(
    name: str, kind: str, build: Build, *, start: Points, stop: Points, widths: tuple[float, float, float],
    base: BoneEnd = HEALTHY_END, head: BoneEnd = HEALTHY_END, plate_at_base: bool = False,
) -> Bone:  # fmt: skip
    """A long bone between two points of the body, with the widths of its base, waist and head in mm."""
    axis = np.asarray(stop) - np.asarray(start)
    length = float(np.hypot(*axis))
    deviates = personal_deviates(build, name, 60)
    w, s, h = (width / 2 * (1 + 0.04 * deviate) for width, deviate in zip(widths, deviates[:3], strict=True))
    side = _PROFILES[kind](w, s, h, length)
    side[:, 1] *= 1 + 0.018 * deviates[3 : 3 + len(side)]
    other = side[1:-1].copy()
    other[:, 1] *= 1 + 0.035 * deviates[25 : 25 + len(other)]
    other[:, 0] += 0.12 * deviates[30]
    outline = np.vstack([side * (1, 1), other[::-1] * (1, -1)])
    if kind == "distal":
        tip = outline[:, 0] > 0.78 * length
        outline[tip, 0] += 0.25 * deviates[: int(tip.sum())]
    density = build.density
    healthy = closed_curve(outline, 6)
    lines = _edge_lines(kind, (w, s, h), length, (base, head), side, density)
    curves = [healthy, *(points for points, _, _ in lines)]
    stops = np.cumsum([len(points) for points in curves])[:-1]
    outline, *shaped = np.split(_reshape_ends(np.vstack(curves), length, (w, h), base, head), stops)
    plates = (
        Plate(points=points, width=width, weight=weight)
        for points, (_, width, weight) in zip(shaped, lines, strict=True)
    )
    turn = float(np.rad2deg(np.arctan2(axis[1], axis[0])))
    cortex = 0.235 * 2 * s * density**0.9
    rim = 0.26 * min(1.1, density)
    return Bone(
        name=name,
        outline=outline,
        place=affine_map(turn, np.asarray(start)),
        cortex=(0.08 if base.fused else rim, cortex if kind != "distal" else 0.8 * cortex, 0.08 if head.fused else rim),
        marrow=(0.21 * density, 0.075 * density),
        grain=0.26 + 0.25 * max(0.0, 1 - density),
        plates=tuple(plates),
        bites=_end_bites(base, head, length),
        cuts=_growth_plate_cut(
            "proximal" if plate_at_base and kind == "metacarpal" else kind,
            (w, s, h),
            length,
            build.maturity,
            deviates[40:52],
        ),
        texture_at=(abs(int(deviates[52] * 90)), abs(int(deviates[53] * 90))),
        weight=0.92 + 0.08 * density,
        box=bounding_box(healthy),
    )
