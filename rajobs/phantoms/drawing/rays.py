"""A ray of hand or foot: its bones from base to tip, drawn through its joints with what disease did to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.bones import Bone, closed_curve
from rajobs.phantoms.drawing.canvas import Points
from rajobs.phantoms.drawing.joint_damage import SOUND, Damage, Scores, joint_damage
from rajobs.phantoms.drawing.long_bones import HEALTHY, End, long_bone
from rajobs.phantoms.people.build import Build


@dataclass(frozen=True, kw_only=True)
class Ray:
    """A ray to draw: `points` are its base, its joints and its tip in mm."""

    bones: tuple[str, ...]
    joints: tuple[str, ...]
    points: Points
    gaps: tuple[float, ...]
    widths: tuple[tuple[float, float, float], ...]  # mm, base, waist and head of each bone
    luxates: tuple[float, ...]  # how often JSN 3-4 is a displacement, a joint each
    base: End = HEALTHY
    plate_at_base: bool = False  # the first bone grows at its base


@dataclass(frozen=True, kw_only=True)
class DrawnRay:
    """A ray's bones, where its joints came to lie and the gap that is left in each, in mm."""

    bones: tuple[Bone, ...]
    joints: dict[str, Points]
    gaps: dict[str, float]


def unit(vector: Points) -> Points:
    """The direction of a vector."""
    return vector / np.linalg.norm(vector)


def _damages(ray: Ray, build: Build, side: str, scores: Scores) -> list[Damage]:
    return [
        joint_damage(
            build, side, joint, scores.get(joint, SOUND), gap=ray.gaps[number], half_head=ray.widths[number][2] / 2,
            half_base=ray.widths[number + 1][0] / 2, luxates=ray.luxates[number],
        )
        for number, joint in enumerate(ray.joints)
    ]  # fmt: skip


def draw_ray(ray: Ray, build: Build, side: str, scores: Scores) -> DrawnRay:
    """A ray's bones. A displaced bone's far end stays where it was: a score changes the film only there."""
    damages = _damages(ray, build, side, scores)
    starts, stops, joints, gaps = [ray.points[0]], [], {}, {}
    for number, (joint, damage) in enumerate(zip(ray.joints, damages, strict=True)):
        before, at, after = ray.points[number : number + 3]
        near, far = unit(at - before), unit(after - at)
        aside = np.array([-far[1], far[0]])
        moved = aside * damage.aside - far * damage.along
        stops.append(at - near * ray.gaps[number] / 2)
        starts.append(at + far * ray.gaps[number] / 2 + moved)
        joints[joint] = at + moved / 2
        gaps[joint] = 0.0 if damage.along else damage.gap
    stops.append(ray.points[-1])
    bones = []
    for number, name in enumerate(ray.bones):
        near_joint = damages[number - 1] if number else None
        far_joint = damages[number] if number < len(damages) else None
        kind = "distal" if name[1] == "D" or name[0] == "D" else ("metacarpal", "proximal", "middle")[number]
        bones.append(
            long_bone(
                name, kind, build, start=starts[number], stop=stops[number], widths=ray.widths[number],
                base=near_joint.base if near_joint else ray.base, head=far_joint.head if far_joint else HEALTHY,
                plate_at_base=ray.plate_at_base,
            )
        )  # fmt: skip
        if near_joint and near_joint.fused:
            axis = unit(stops[number] - starts[number])
            bones.append(
                _bridge(build, f"{name}bridge", ray.points[number], axis, ray.gaps[number - 1], ray.widths[number][0])
            )
    return DrawnRay(bones=tuple(bones), joints=joints, gaps=gaps)


def _bridge(build: Build, name: str, at: Points, axis: Points, gap: float, width: float) -> Bone:
    """Bone that grew through a joint."""
    reach, half = gap / 2 + 1.4, 0.36 * width
    outline = np.array(
        [(-reach, -0.8 * half), (-reach, 0.8 * half), (0, half), (reach, 0.8 * half), (reach, -0.8 * half), (0, -half)]
    )
    return blob(name, closed_curve(outline), at, axis, cortex=0.05, marrow=0.15 * build.density)


def blob(
    name: str, outline: Points, at: Points, axis: Points, *, cortex: float, marrow: float, texture_at: int = 0
) -> Bone:
    """A small bone around `at`, with its outline's first axis along `axis`."""
    return Bone(
        name=name, outline=outline, place=np.column_stack([axis, [-axis[1], axis[0]], at]), cortex=(cortex,) * 3,
        marrow=(marrow, marrow), tubular=False, texture_at=(texture_at, 2 * texture_at),
    )  # fmt: skip


def pebble(build: Build, name: str, at: Points, axis: Points, radii: Sequence[float], odd: np.ndarray) -> Bone:
    """A sesamoid: an uneven oval."""
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    shape = np.column_stack([np.cos(turn) * radii[0], np.sin(turn) * radii[1]]) * (1 + 0.05 * odd[:8, None])
    return blob(name, closed_curve(shape, 4), at, axis, cortex=0.4, marrow=0.2 * build.density)
