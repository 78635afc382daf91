"""Metacarpals, metatarsals and phalanges as solids: flared ends, joint surfaces, growth plates."""

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.canvas import Points, affine_map
from rajobs.phantoms.drawing.solid_bones import EndSurface, Hole, Physis, SolidBone
from rajobs.phantoms.people.build import Build, personal_deviates


@dataclass(frozen=True, kw_only=True)
class BoneEnd:
    """What disease does to one end of a bone: how far the end reaches into the gap, what is missing, what is added."""

    reach: tuple[float, float] = (0.0, 0.0)  # mm beyond the healthy end, on the -v and on the +v side
    holes: tuple[Hole, ...] = ()  # with u counted inwards from the end
    collapse: float = 0.0  # mm by which the end is flattened
    plate_loss: float = 0.0  # share of the subchondral plate that is missing
    sclerosis: float = 0.0  # share by which the plate is thicker
    spurs: tuple[float, float] = (0.0, 0.0)  # mm of osteophyte on the -v and on the +v side
    thinning: float = 0.0  # share of the spongy bone near the joint that is missing; below 0: denser than healthy
    ragged: float = 0.0  # mm by which the surface is uneven
    fused: bool = False  # with the neighbouring bone: there is no shell at this end


HEALTHY_END = BoneEnd()

_Profile = list[tuple[float, float]]


def _metacarpal_sides(w: float, s: float, h: float, length: float) -> _Profile:
    """(u, half width) in mm: the widest places of the head are its tubercles."""
    return [
        (-3.0, 0.80 * w), (-0.5, 0.86 * w), (0.04 * length, 0.98 * w), (0.085 * length, 1.0 * w),
        (0.14 * length, 0.90 * w), (0.22 * length, 0.60 * w + 0.40 * s), (0.36 * length, 1.03 * s), (0.52 * length, s),
        (0.68 * length, 1.06 * s), (length - 2.9 * h, 0.80 * s + 0.20 * h),
        (length - 2.3 * h, 0.56 * s + 0.44 * h), (length - 1.85 * h, 0.26 * s + 0.74 * h), (length - 1.5 * h, 0.99 * h),
        (length - 1.2 * h, 1.03 * h), (length - 0.8 * h, 0.98 * h), (length - 0.25 * h, 0.94 * h),
        (length + 2.0, 0.9 * h),
    ]  # fmt: skip


def _proximal_sides(w: float, s: float, h: float, length: float) -> _Profile:
    """(u, half width) in mm of a proximal phalanx: below its two condyles the head is widest, then comes the neck."""
    return [
        (-3.0, 0.72 * w), (-0.8, 0.86 * w), (0.02 * length, 0.95 * w), (0.05 * length, w), (0.09 * length, 0.97 * w),
        (0.14 * length, 0.78 * w + 0.15 * s), (0.22 * length, 0.42 * w + 0.58 * s), (0.34 * length, 0.14 * w + 0.9 * s),
        (0.52 * length, s), (length - 2.2 * h, 0.97 * s), (length - 1.7 * h, 0.97 * s + 0.02 * h),
        (length - 1.35 * h, 0.66 * s + 0.33 * h), (length - 1.1 * h, 0.2 * s + 0.8 * h), (length - 0.88 * h, 1.02 * h),
        (length - 0.66 * h, 0.97 * h), (length - 0.4 * h, 0.90 * h), (length - 0.15 * h, 0.83 * h),
        (length + 2.0, 0.74 * h),
    ]  # fmt: skip


def _middle_sides(w: float, s: float, h: float, length: float) -> _Profile:
    """(u, half width) in mm of a middle phalanx."""
    return [
        (-3.0, 0.86 * w), (-0.8, 0.94 * w), (0.040 * length, 1.0 * w), (0.09 * length, 0.97 * w),
        (0.20 * length, 0.66 * w + 0.30 * s), (0.33 * length, 0.34 * w + 0.66 * s), (0.48 * length, 0.08 * w + 0.9 * s),
        (0.62 * length, s), (0.75 * length, 0.85 * s + 0.15 * h), (length - min(1.35 * h, 0.22 * length), 0.34 * s +
        0.66 * h), (length - min(0.95 * h, 0.16 * length), 0.97 * h), (length - min(0.6 * h, 0.11 * length), 1.0 * h),
        (length - 0.1 * h, 0.95 * h), (length + 2.0, 0.90 * h),
    ]  # fmt: skip


def _distal_sides(w: float, s: float, h: float, length: float) -> _Profile:
    """(u, half width) in mm of a distal phalanx: a flat base, a thin waist and a tuft."""
    return [
        (-3.0, 0.85 * w), (-0.4, 0.92 * w), (0.035 * length, 1.0 * w), (0.10 * length, 0.98 * w),
        (0.22 * length, 0.72 * w), (0.36 * length, 0.18 * w + 0.90 * s), (0.55 * length, s),
        (0.70 * length, 0.85 * s + 0.12 * h), (0.78 * length, 0.92 * h), (0.84 * length, 1.0 * h),
        (0.91 * length, 0.90 * h), (0.96 * length, 0.72 * h), (0.99 * length, 0.42 * h), (length + 2.0, 0.2 * h),
    ]  # fmt: skip


_SIDES = MappingProxyType(
    {"metacarpal": _metacarpal_sides, "proximal": _proximal_sides, "middle": _middle_sides, "distal": _distal_sides}
)
# Contrast of the trabeculae: it is weaker where more of them lie behind each other.
_GRAIN = MappingProxyType({"metacarpal": 0.14, "proximal": 0.20, "middle": 0.20, "distal": 0.20})
_FLAT_THUMB = 1.35  # radius of the thumb's MCP joint over that of the other fingers
_SHELLS = MappingProxyType({"metacarpal": 0.235, "proximal": 0.22, "middle": 0.18, "distal": 0.19})  # of the waist
_DEPTHS = MappingProxyType(
    {  # (palm, back) over half the width, at the base, the waist and the head
        "metacarpal": ((0.95, 0.95), (1.05, 1.05), (1.12, 0.92)),
        "proximal": ((0.80, 0.72), (0.70, 0.82), (0.78, 0.62)),
        "middle": ((0.76, 0.68), (0.66, 0.78), (0.74, 0.60)),
        "distal": ((0.76, 0.60), (0.66, 0.66), (0.42, 0.42)),
    }
)


def _ball(half: float, flat: float, deviates: np.ndarray) -> Points:
    """A round head over v: an arc, a little flatter on one side; `flat` is its radius over that of other heads."""
    v = np.linspace(-1.15, 1.15, 21) * half
    radius = half * flat * (1.14 + 0.05 * float(np.clip(deviates[0], -1.5, 2)))
    middle = 0.07 * half * float(np.clip(deviates[1], -1.5, 1.5))
    away = np.minimum(np.abs(v - middle), 0.985 * radius)
    return np.column_stack([v, np.sqrt(radius**2 - away**2) - radius])


def _cup(half: float, head: float, deviates: np.ndarray) -> Points:
    """The hollow of a proximal phalanx over v: a little shallower than the ball that it faces."""
    v = np.linspace(-1.15, 1.15, 21) * half
    radius = 1.18 * head + 1.6
    sag = radius - np.sqrt(radius**2 - np.minimum(np.abs(v), 0.9 * radius) ** 2)
    depth = 0.80 + 0.06 * float(np.clip(deviates[0], -2, 2))
    return np.column_stack([v, -depth * sag + 0.15 * half * np.maximum(np.abs(v) / half - 0.9, 0) ** 2])


_CONDYLES = (
    (0.0, -1.0),
    (0.16, -0.80),
    (0.33, -0.24),
    (0.46, 0.0),
    (0.60, -0.02),
    (0.72, -0.15),
    (0.84, -0.6),
    (1.15, -2.4),
)
_HOLLOWS = (
    (0.0, -1.0),
    (0.18, -0.80),
    (0.36, -0.26),
    (0.52, 0.05),
    (0.68, 0.1),
    (0.84, -0.1),
    (1.0, -0.15),
    (1.15, 0.5),
)


def _two_sided(table: tuple[tuple[float, float], ...], half: float, scale: float, lopsided: float) -> Points:
    """A surface over v from one half of it, `scale` mm deep in a bone of 12 mm; one side reaches a little farther."""
    v, u = np.array(table).T
    heights = np.concatenate([u[:0:-1], u]) * scale * half / 6.0
    places = np.concatenate([-v[:0:-1], v]) * half
    return np.column_stack([places, heights + lopsided * places])


def _dome(build: Build) -> float:
    """How far the heads of phalanges are plain domes: in a small child only their middle is bone."""
    return float(np.interp(build.maturity, (0.2, 0.55), (1.0, 0.0)))


def _condyles(half: float, wave: float, lopsided: float, dome: float) -> Points:
    """The head of a phalanx: two condyles, or the dome that a small child has in their place."""
    surface = _two_sided(_CONDYLES, half, (1 - dome) * wave, lopsided)
    away = np.minimum(np.abs(surface[:, 0]) / half, 1.0)
    surface[:, 1] -= dome * 0.75 * half * away**2.2
    return surface


def _surfaces(
    kind: str, half: tuple[float, float, float], depth: tuple[float, float], build: Build, slant: float,
    flatness: float, deviates: np.ndarray,
) -> tuple[EndSurface, EndSurface]:  # fmt: skip
    """The joint surfaces of base and head.

    `depth` is half the depth of both in mm, `slant` the slope of hinge joints, `flatness` the radius of a ball joint
    over that of other fingers.
    """
    w, _, h = half
    lopsided = slant + 0.02 * float(np.clip(deviates[2], -2, 2))
    flat = np.array([[-2 * w, 0.0], [0.0, 0.25], [2 * w, 0.0]])
    lip = (0.9 + 0.3 * float(np.clip(deviates[3], -2, 2))) * min(1.3, 0.16 * w)
    lean = 0.05 * deviates[4]
    wave = 0.85 + 0.22 * float(np.clip(deviates[5], -2, 2))  # mm from the middle of a PIP joint to its condyles
    dome = _dome(build)
    faint = 0.32 * (1 + 0.3 * float(np.clip(personal_deviates(build, "heads", 1)[0], -2, 2)))  # mm: a head's plate
    if kind == "metacarpal":
        base = EndSurface(across=flat, curve=0.0, plate=0.40)
        head = EndSurface(across=_ball(h, flatness, deviates), curve=-0.5 / (1.05 * depth[1]), plate=faint)
    elif kind == "proximal":
        across = _cup(w, 0.9 * w * flatness, deviates)
        base = EndSurface(across=across, curve=-1.25 * lip / depth[0] ** 2, plate=0.72, lean=lean)
        head = EndSurface(across=_condyles(h, wave, lopsided, dome), curve=-0.5 / depth[1], plate=faint)
    else:
        across = _two_sided(_HOLLOWS, w, wave if kind == "middle" else 0.6 * wave, lopsided)
        plate = 0.66 if kind == "middle" else 0.5
        base = EndSurface(across=across, curve=-1.3 * lip / depth[0] ** 2, plate=plate, lean=lean)
        round_head = _condyles(h, 0.6 * wave, lopsided, dome)
        head = EndSurface(across=round_head if kind == "middle" else flat * (1, -1), curve=-0.5 / depth[1], plate=faint)
    thick = build.density**0.7 * min(1.0, build.size)
    return replace(base, plate=base.plate * thick * _rims(kind, build)), replace(head, plate=head.plate * thick)


def _rims(kind: str, build: Build) -> float:
    """How thick the plate of a base looks in a grown person, whose rims of palm and back lie behind it as one band."""
    if kind not in ("proximal", "middle"):
        return 1.0
    usual, spread = (1.35, 0.40) if kind == "middle" else (1.1, 0.25)
    person = float(np.clip(personal_deviates(build, "rims", 1)[0], -1.5, 2))
    return float(np.interp(build.maturity, (0.5, 0.9), (1.0, usual + spread * person)))


def _slant(bone: str, build: Build) -> float:
    """How much the joint line of the thumb's IP joint slopes: one condyle reaches farther than the other."""
    if bone not in ("PP1", "DP1"):
        return 0.0
    return 0.09 + 0.04 * float(np.clip(personal_deviates(build, "slant", 1)[0], -2, 2))


def _changed_surface(
    surface: EndSurface, end: BoneEnd, half: float, sign: float, deviates: np.ndarray
) -> EndSurface:  # fmt: skip
    """A surface that disease moved into the gap, flattened or made uneven; `sign` is +1 for a head."""
    v = np.linspace(-1.15, 1.15, 25) * half
    lean = np.clip(0.5 + 0.5 * v / max(half, 0.1), 0, 1)
    reach = end.reach[0] + (end.reach[1] - end.reach[0]) * lean
    dome = 1 - 0.45 * np.abs(2 * lean - 1)
    uneven = end.ragged * np.interp(v, np.linspace(v[0], v[-1], len(deviates)), np.clip(deviates, -2, 1.5))
    moved = surface.at(v, 0.0) + sign * (reach - end.collapse * dome + uneven)
    plate = 0.02 if end.fused else surface.plate * (1 - 0.8 * end.plate_loss) * (1 + end.sclerosis)
    return replace(surface, across=np.column_stack([v, moved]), plate=plate)


def _with_spurs(sides: Points, end: float, half: float, spurs: tuple[float, float]) -> Points:
    """Half widths with osteophytes at the rim of an end."""
    if not any(spurs):
        return sides
    u = np.unique(np.concatenate([sides[:, 0], end + np.linspace(-0.8, 0.8, 17) * half]))
    rim = np.exp(-(((np.abs(u - end) / half) / 0.30) ** 2))[:, None]
    wide = np.column_stack([np.interp(u, sides[:, 0], sides[:, side]) for side in (1, 2)])
    return np.column_stack([u, wide + rim * np.array(spurs)])


def _growth_plate(
    kind: str, half: tuple[float, float, float], length: float, build: Build, deviates: np.ndarray
) -> Physis | None:
    """The gap between shaft and epiphysis, at the head of metacarpals 2-5 and at the base of all other bones."""
    maturity = build.maturity
    if maturity >= 1:
        return None
    at_base = kind != "metacarpal"
    gap = float(np.interp(maturity, (0.10, 0.25, 0.5, 0.8, 0.97, 1.0), (2.4, 1.7, 1.15, 0.9, 0.45, 0.12)))
    # In a baby the epiphysis is cartilage, which no film shows; it begins as a small island.
    begun = maturity + 0.02 * float(np.clip(deviates[11], -2, 2))
    narrower = float(np.interp(begun, (0.09, 0.11, 0.3, 0.55, 0.75, 1.0), (0.01, 0.40, 0.72, 0.93, 1.02, 1.0)))
    narrower *= 1 + 0.03 * float(np.clip(deviates[10], -2, 2))
    width = max(half) * 1.4
    v = np.linspace(-width, width, 19)
    wave = 0.25 * np.cos(v / width * 5.0 + deviates[0]) + 0.10 * np.interp(v, v[::2], deviates[:10])
    height = float(np.interp(maturity, (0.1, 0.4, 0.8, 1.0), (0.55, 0.80, 1.0, 1.05)))
    at = height * (0.40 * half[0] + 0.7) if at_base else length - height * 1.05 * half[2]
    plate = 0.45 * build.density * min(1.0, build.size)
    return Physis(u=at, gap=gap, wave=np.column_stack([v, wave]), plate=plate, narrower=narrower, at_base=at_base)


def _halves(table: _Profile, deviates: np.ndarray) -> Points:
    """Half widths on both sides, each a little uneven, on a fine grid of u."""
    u, wide = np.array(table).T
    sides = [wide * (1 + 0.022 * deviates[at : at + len(u)]) for at in (0, 20)]
    fine = np.linspace(u[0], u[-1], 80)
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    smooth = [np.convolve(np.pad(np.interp(fine, u, side), 2, mode="edge"), kernel, "valid") for side in sides]
    return np.column_stack([fine, *smooth])


def _fossae(kind: str, h: float, deep: float, length: float, maturity: float, deviates: np.ndarray) -> tuple[Hole, ...]:
    """The hollows beside a head, from which its side ligaments start: on films a bright arc within each side."""
    if kind == "distal" or maturity < 0.7:
        return ()
    inwards, along, across, rim = (1.25, 0.62, 0.34, 0.7) if kind == "metacarpal" else (0.78, 0.40, 0.22, 0.5)
    return tuple(
        Hole(
            centre=(length - inwards * h * (1 + 0.08 * deviate), side * 1.08 * h, 0.15 * deep),
            radii=(along * h, (across + 0.05 * deviate) * h, 0.6 * deep), left=0.6, rim=rim, phase=deviate,
        )
        for side, deviate in zip((-1, 1), np.clip(deviates, -1.8, 1.8), strict=True)
    )  # fmt: skip


def _counted_from_base(hole: Hole, length: float) -> Hole:
    inwards, v, w = hole.centre
    return replace(hole, centre=(length - inwards, v, w))


def long_bone(
    name: str, kind: str, build: Build, *, start: Points, stop: Points, widths: tuple[float, float, float],
    base: BoneEnd = HEALTHY_END, head: BoneEnd = HEALTHY_END, plate_at_base: bool = False, pitch: float = 0.0,
    roll: float = 0.0,
) -> SolidBone:  # fmt: skip
    """A long bone between two points of the body, with the widths of its base, waist and head in mm.

    `pitch` bends it out of the film's plane and `roll` turns it about its axis, both in radians.
    """
    axis = np.asarray(stop) - np.asarray(start)
    length = float(np.hypot(*axis) / np.cos(pitch))
    deviates = personal_deviates(build, name, 90)
    w, s, h = half = tuple(
        width / 2 * (1 + 0.04 * deviate) for width, deviate in zip(widths, deviates[:3], strict=True)
    )
    dome = _dome(build) if kind in ("proximal", "middle") else 0.0
    sides = _halves(_SIDES[kind](w, s, h + dome * (1.12 * s - h), length), deviates[3:43])
    ratios = np.array(_DEPTHS[kind]) * np.array([[w], [s], [h]]) * (1 + 0.04 * deviates[43])
    places = np.array([-3.0, 0.09 * length, 0.30 * length, 0.66 * length, length - 1.0 * h, length + 2.0])
    depths = np.column_stack([places, ratios[[0, 0, 1, 1, 2, 2]]])
    density = build.density
    ends = _surfaces(kind, half, (float(ratios[0].mean()), float(ratios[2].mean())), build,
                     _slant(name, build), _FLAT_THUMB if name in ("MC1", "PP1") else 1.0, deviates[44:50])  # fmt: skip
    near = _changed_surface(ends[0], base, w, -1.0, deviates[67:78])
    far = _changed_surface(ends[1], head, h, 1.0, deviates[78:89])
    sides = _with_spurs(_with_spurs(sides, 0.0, w, base.spurs), length - 0.35 * h, h, head.spurs)
    shell = _SHELLS[kind] * 2 * s * density**0.9
    rim = 0.40 * min(1.1, density) * min(1.0, build.size)
    loose = 1 - 0.15 * build.maturity + 0.16 * float(np.clip(personal_deviates(build, "spongy", 1)[0], -2, 1.5))
    spongy = (0.36 if kind == "metacarpal" else 0.44) * density * loose
    thick_to = max(length - 2.1 * h, 0.66 * length)  # above its neck the shaft of a proximal phalanx is thick
    thick = (0.9 if kind == "proximal" else 0.6) * shell
    physis = _growth_plate(
        "proximal" if plate_at_base and kind == "metacarpal" else kind, half, length, build, deviates[50:62]
    )
    return SolidBone(
        name=name, place=affine_map(float(np.rad2deg(np.arctan2(axis[1], axis[0]))), np.asarray(start)), length=length,
        sides=sides, depths=depths, base=near, head=far,
        cortex=np.array([(-3, rim), (0.16 * length, rim), (0.45 * length, 0.8 * shell), (0.60 * length, shell),
                         (thick_to, thick), (length - 1.1 * h, 1.15 * rim), (length, rim)]),
        marrow=np.array([(-3, spongy * (1 - base.thinning)), (0.13 * length, spongy * (1 - 0.8 * base.thinning)),
                         (0.44 * length, 0.12 * density), (0.60 * length, 0.12 * density),
                         (length - 1.5 * h, spongy * (1 - 0.8 * head.thinning)),
                         (length, spongy * (1 - head.thinning))]),
        grain=_GRAIN[kind] * (1 + 0.25 * float(np.clip(deviates[66], -2, 2))) + 0.22 * max(0.0, 1 - density),
        pitch=pitch, roll=roll,
        holes=(
            *_fossae(kind, h, float(ratios[2].mean()), length, build.maturity, deviates[64:66]), *base.holes,
            *(_counted_from_base(hole, length) for hole in head.holes),
        ),
        physis=physis, texture_at=(abs(int(deviates[62] * 90)), abs(int(deviates[63] * 90))),
        weight=0.92 + 0.08 * density,
    )  # fmt: skip
