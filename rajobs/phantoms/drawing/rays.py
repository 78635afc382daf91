"""A ray of a hand or foot: its bones from base to tip with the damage of the joints between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.bones import Bone, closed_curve
from rajobs.phantoms.drawing.canvas import Points
from rajobs.phantoms.drawing.joint_damage import DamagedJoint, damage_joint
from rajobs.phantoms.drawing.long_bones import HEALTHY_END, BoneEnd, long_bone
from rajobs.phantoms.drawing.shown_space import clear_space, shown_width
from rajobs.phantoms.drawing.solid_bones import SolidBone
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.people.joint_scores import HEALTHY_SCORE, Scores


@dataclass(frozen=True, kw_only=True)
class Ray:
    """A healthy ray: `points` are its base, its joints and its tip in mm."""

    bones: tuple[str, ...]
    joints: tuple[str, ...]
    points: Points
    gaps: tuple[float, ...]
    widths: tuple[tuple[float, float, float], ...]  # mm, base, waist and head of each bone
    luxates: tuple[float, ...]  # how often JSN 3-4 is a displacement, for each joint
    base: BoneEnd = HEALTHY_END
    plate_at_base: bool = False  # the growth plate of the first bone is at its base
    pitches: tuple[float, ...] = (0.0,) * 4  # radians by which each bone is bent out of the film's plane
    roll: float = 0.0  # radians by which the ray is turned about its own axis


@dataclass(frozen=True, kw_only=True)
class JointSpace:
    """What can be measured of a joint, or why not."""

    width: float | None  # mm that the film shows over the middle of the joint; None: there is no such width
    displaced: bool
    clear: float  # mm of it that neither bone overlaps on the film; below 0: overlap


@dataclass(frozen=True, kw_only=True)
class PosedRay:
    """The bones of a ray, and where its joints lie in mm."""

    bones: tuple[Bone | SolidBone, ...]
    joints: dict[str, Points]
    spaces: dict[str, JointSpace]


_MOST_OVERLAP = 1.6  # mm by which a lip may lie over the other bone's end: beyond it, readers do not score the joint


def is_assessable(space: JointSpace) -> bool:
    """Whether a reader sees the joint space, or that it is gone."""
    return space.displaced or space.clear > -_MOST_OVERLAP


def unit_vector(vector: Points) -> Points:
    """The vector scaled to length 1."""
    unit: Points = vector / np.linalg.norm(vector)
    return unit


def _damaged_joints(ray: Ray, build: Build, side: str, scores: Scores) -> list[DamagedJoint]:
    """The joints of a ray, with the damage that follows from their scores."""
    return [
        damage_joint(
            build, side, joint, scores.get(joint, HEALTHY_SCORE), gap=ray.gaps[number],
            half_head=ray.widths[number][2] / 2, half_base=ray.widths[number + 1][0] / 2, luxates=ray.luxates[number],
        )
        for number, joint in enumerate(ray.joints)
    ]  # fmt: skip


def pose_ray(ray: Ray, build: Build, side: str, scores: Scores) -> PosedRay:
    """The ray with its damage. A displaced bone keeps its far end, so a score changes the film at its site only."""
    damaged = _damaged_joints(ray, build, side, scores)
    starts, stops, joints = [ray.points[0]], [], {}
    for number, (joint, damage) in enumerate(zip(ray.joints, damaged, strict=True)):
        before, at, after = ray.points[number : number + 3]
        near, far = unit_vector(at - before), unit_vector(after - at)
        aside = np.array([-far[1], far[0]])
        shift = aside * damage.aside - far * damage.along
        stops.append(at - near * ray.gaps[number] / 2)
        starts.append(at + far * ray.gaps[number] / 2 + shift)
        joints[joint] = at + shift / 2
    stops.append(ray.points[-1])
    rods: list[SolidBone] = []
    bridges: list[Bone] = []
    spaces = {}
    for number, name in enumerate(ray.bones):
        near_joint = damaged[number - 1] if number else None
        far_joint = damaged[number] if number < len(damaged) else None
        kind = "distal" if name[1] == "D" or name[0] == "D" else ("metacarpal", "proximal", "middle")[number]
        bone = long_bone(
            name, kind, build, start=starts[number], stop=stops[number], widths=ray.widths[number],
            base=near_joint.base if near_joint else ray.base, head=far_joint.head if far_joint else HEALTHY_END,
            plate_at_base=ray.plate_at_base, pitch=ray.pitches[number], roll=ray.roll,
        )  # fmt: skip
        if near_joint:
            spaces[ray.joints[number - 1]] = _joint_space(rods[-1], bone, near_joint, ray.gaps[number - 1])
        rods.append(bone)
        if near_joint and near_joint.fused:
            axis = unit_vector(stops[number] - starts[number])
            bridges.append(
                _fusion_bridge(
                    build, f"{name}bridge", ray.points[number], axis, ray.gaps[number - 1], ray.widths[number][0]
                )
            )
    return PosedRay(bones=(*rods, *bridges), joints=joints, spaces=spaces)


def _joint_space(proximal: SolidBone, distal: SolidBone, damage: DamagedJoint, gap: float) -> JointSpace:
    """The space of a posed joint."""
    displaced = damage.space is None
    width = None if displaced else (0.0 if damage.fused else shown_width(proximal, distal))
    return JointSpace(width=width, displaced=displaced, clear=clear_space(proximal, distal, gap))


def _fusion_bridge(build: Build, name: str, at: Points, axis: Points, gap: float, width: float) -> Bone:
    """The bone that grows through a fused joint."""
    reach, half = gap / 2 + 1.4, 0.36 * width
    outline = np.array(
        [(-reach, -0.8 * half), (-reach, 0.8 * half), (0, half), (reach, 0.8 * half), (reach, -0.8 * half), (0, -half)]
    )
    return small_bone(name, closed_curve(outline), at, axis, cortex=0.05, marrow=0.15 * build.density)


def small_bone(name: str, outline: Points, at: Points, axis: Points, *, cortex: float, marrow: float) -> Bone:
    """A small bone around `at` whose outline has its first axis along `axis`."""
    return Bone(
        name=name, outline=outline, place=np.column_stack([axis, [-axis[1], axis[0]], at]), cortex=(cortex,) * 3,
        marrow=(marrow, marrow), tubular=False,
    )  # fmt: skip


def sesamoid(build: Build, name: str, at: Points, axis: Points, radii: Sequence[float], deviates: np.ndarray) -> Bone:
    """A sesamoid bone: an uneven oval."""
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    shape = np.column_stack([np.cos(turn) * radii[0], np.sin(turn) * radii[1]]) * (1 + 0.05 * deviates[:8, None])
    return small_bone(name, closed_curve(shape, 4), at, axis, cortex=0.25, marrow=0.5 * build.density)
