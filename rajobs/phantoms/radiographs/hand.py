"""A PA hand: its bones and joints from a build, a pose and the scores of its sites.

Hand frame: mm, a right hand seen from the back, zero at the base of metacarpal 3, x to the little finger, y to the
elbow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.drawing.bones import Bone, draw_bone
from rajobs.phantoms.drawing.canvas import MU_BONE, MU_SOFT, Affine, Canvas, Points, map_points
from rajobs.phantoms.drawing.carpus import CARPAL_GAPS, METACARPAL_BASES, carpal_site_points, is_ossified, wrist_bones
from rajobs.phantoms.drawing.joint_damage import remaining_gap
from rajobs.phantoms.drawing.long_bones import BoneEnd
from rajobs.phantoms.drawing.rays import JointSpace, Ray, pose_ray, sesamoid, unit_vector
from rajobs.phantoms.drawing.soft_tissue import (
    add_creases,
    bulge_thickness,
    rounded_thickness,
    silhouette_mask,
    tube_polygons,
)
from rajobs.phantoms.drawing.solid_bones import SolidBone
from rajobs.phantoms.people.build import Build, personal_deviates
from rajobs.phantoms.people.joint_scores import HEALTHY_SCORE, Score, Scores
from rajobs.phantoms.radiographs.pose import HandPose

# Mean bone lengths of men in mm, rays 1-5 (Buryanov and Kotiuk 2010), and widths of base, waist and head.
_LENGTHS = MappingProxyType(
    {
        "MC": (46.2, 68.1, 64.6, 58.0, 53.7), "PP": (31.6, 39.8, 44.6, 41.4, 32.7), "MP": (0.0, 22.4, 26.3, 25.7, 18.1),
        "DP": (21.7, 15.8, 17.4, 17.3, 16.0),
    }
)  # fmt: skip
_WIDTHS = MappingProxyType(
    {
        "MC": ((15.5, 9.6, 15.0), (17.0, 8.5, 15.6), (14.0, 8.7, 15.9), (11.5, 7.1, 13.9), (13.0, 7.4, 13.2)),
        "PP": ((14.2, 9.2, 12.8), (16.2, 9.8, 11.9), (16.7, 10.2, 12.9), (15.3, 9.3, 12.1), (13.2, 8.0, 10.2)),
        "MP": ((0.0, 0.0, 0.0), (12.6, 8.7, 9.9), (13.7, 9.4, 10.7), (12.9, 8.9, 10.2), (10.4, 7.1, 8.3)),
        "DP": ((12.2, 6.3, 8.6), (9.4, 4.5, 6.5), (10.2, 4.8, 7.0), (9.8, 4.7, 6.8), (8.2, 3.7, 5.5)),
    }
)
_GAPS = MappingProxyType({"MCP": 1.35, "MCP1": 0.95, "PIP": 0.80, "PIP5": 0.72, "DIP": 0.75, "IP": 0.70})
_FINGER_RADII = (
    (13.5, 10.8, 9.2, 7.4),
    (10.6, 9.4, 7.8, 6.3),
    (11.0, 9.9, 8.1, 6.6),
    (10.4, 9.2, 7.6, 6.2),
    (9.4, 7.9, 6.7, 5.6),
)
"""Radii in mm of a finger with its skin at its knuckle, its middle joint, its last joint and its tip."""
_LOSS_THRESHOLD = 2.75  # s.d. from which part of a finger is missing: three fingers in a thousand, one hand in seventy


@dataclass(frozen=True, kw_only=True)
class Hand:
    """A posed hand in the hand frame."""

    joints: Mapping[str, Points]
    spaces: Mapping[str, JointSpace]
    bones: tuple[Bone | SolidBone, ...]
    ray_points: tuple[Points, ...]  # base, joints and tip of each ray
    build: Build
    pose: HandPose
    side: str
    scores: Scores

    @property
    def peak_attenuation(self) -> float:
        """How much the densest spots of the hand weaken the beam, as a logarithm."""
        size = self.build.size
        return float(MU_SOFT * 21 * size * self.build.flesh + MU_BONE * 4.8 * size * self.build.density**0.5)


def _direction(angle: float) -> Points:
    """The unit vector at `angle` degrees from the axis of metacarpal 3, + to the little finger."""
    return np.array([np.sin(np.deg2rad(angle)), -np.cos(np.deg2rad(angle))])


def _bone_and_joint_names(ray: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bones of a ray and the joints between them."""
    if ray == 1:
        return ("MC1", "PP1", "DP1"), ("MCP1", "IP")
    return (f"MC{ray}", f"PP{ray}", f"MP{ray}", f"DP{ray}"), (f"MCP{ray}", f"PIP{ray}", f"DIP{ray}")


def _bone_lengths(build: Build, pose: HandPose, ray: int) -> list[float]:
    """Lengths in mm of the bones of a ray as the film shows them, shortened by flexion."""
    bones, _ = _bone_and_joint_names(ray)
    curl = np.deg2rad(pose.curl[ray - 1])
    lengths = []
    for number, bone in enumerate(bones):
        variation = 1 + 0.022 * float(np.clip(personal_deviates(build, f"len{bone}", 1)[0], -2, 2))
        short = 1.0 if number == 0 else float(np.cos(curl * (0.5, 1.0, 1.25)[number - 1]))
        child = 1.0 if number == 0 else 1.0 - 0.02 * (1 - build.maturity)
        lengths.append(_LENGTHS[bone[:2]][ray - 1] * build.size * variation * short * child)
    return lengths


def _joint_gap(build: Build, joint: str) -> float:
    """The healthy gap of a joint in mm: wider in children and in men, narrower in old age.

    The widths in _GAPS are those that films of sound adults show: narrower than the cartilage, 1.7 mm at MCP2-5 and 1.0
    at PIP joints. Their spread and the factors of sex and age are assumptions: no published table was used.
    """
    child = 1.0 + 0.3 * (1 - build.maturity)
    age = 1.0 - 0.003 * max(0.0, build.age - 30)
    sex = 0.97 if build.sex == "F" else 1.03
    person = 1 + 0.15 * float(np.clip(personal_deviates(build, "gaps", 1)[0], -2.2, 2.2))
    base = _GAPS.get(joint, _GAPS[joint.rstrip("12345")]) * build.size**0.5 * child * age * sex * person
    gap: float = base * (1 + 0.07 * float(np.clip(personal_deviates(build, f"gap{joint}", 1)[0], -2, 2)))
    return gap


def _ray_points_and_gaps(build: Build, pose: HandPose, ray: int) -> tuple[Points, list[float]]:
    """Base, joints and tip of a ray, and the gap of each joint, in mm."""
    bones, joints = _bone_and_joint_names(ray)
    gaps = [_joint_gap(build, joint) for joint in joints]
    first = pose.proximal[ray - 1]
    angles = [pose.metacarpal[ray - 1], first]
    for extra in pose.bend[ray - 1][: len(bones) - 2]:
        angles.append(angles[-1] + extra)
    at = np.array(METACARPAL_BASES[ray], dtype=float) / 10 * build.size
    points = [at]
    for number, length in enumerate(_bone_lengths(build, pose, ray)):
        reach = length + 0.5 * (gaps[number] if number < len(gaps) else 0) + 0.5 * (gaps[number - 1] if number else 0)
        at = at + _direction(angles[number]) * reach
        points.append(at)
    squeeze = np.array([np.cos(np.deg2rad(pose.tilt)), 1.0])
    return np.array(points) * squeeze, gaps


def _bone_widths(bone: str, build: Build) -> tuple[float, float, float]:
    """Widths in mm of base, waist and head."""
    ray = int(bone[-1]) - 1
    wide = build.size * build.girth
    base, waist, head = _WIDTHS[bone[:2]][ray]
    return base * wide, waist * wide, head * wide


def _plan_ray(build: Build, pose: HandPose, side: str, scores: Scores, number: int) -> Ray:
    """A ray without its lost bones, before damage."""
    bones, joints = _bone_and_joint_names(number)
    points, gaps = _ray_points_and_gaps(build, pose, number)
    count, stump = _bones_left(build, side, number)
    bones, joints, points = bones[:count], joints[: count - 1], points[: count + 1]
    points[-1] = points[-2] + stump * (points[-1] - points[-2])
    return Ray(
        bones=bones, joints=joints, points=points, gaps=tuple(gaps[: count - 1]),
        widths=tuple(_bone_widths(bone, build) for bone in bones),
        luxates=tuple({"MCP": 0.62, "DIP": 0.12}.get(joint[:3], 0.38) for joint in joints),
        base=_metacarpal_base(build, side, scores, number), plate_at_base=number == 1,
        pitches=tuple(np.deg2rad(angle) for angle in pose.pitch[number - 1]),
        roll=float(np.deg2rad(np.clip(pose.roll[number - 1], -40, 40))),
    )  # fmt: skip


def _bones_left(build: Build, side: str, ray: int) -> tuple[int, float]:
    """How many bones of a ray this person still has, and the share of the last one that is left."""
    whole, deviates = len(_bone_and_joint_names(ray)[0]), personal_deviates(build, f"{side}lost{ray}", 3)
    if deviates[0] < _LOSS_THRESHOLD:
        return whole, 1.0
    count = max(2, whole - int(abs(deviates[1]) > 0.5) - int(abs(deviates[1]) > 1.4))
    return count, float(np.clip(0.75 + 0.25 * deviates[2], 0.35, 1.0))


def _metacarpal_base(build: Build, side: str, scores: Scores, ray: int) -> BoneEnd:
    """The base of a metacarpal, which is closer to its carpal the narrower their joint is."""
    remaining = remaining_gap(
        personal_deviates(build, f"{side}CMC{ray}", 24), scores.get(f"CMC{ray}", HEALTHY_SCORE).jsn
    )
    lost = tuple((1 - share) * CARPAL_GAPS.get(f"CMC{ray}", 1.7) * build.size / 2 for share in remaining)
    return BoneEnd(reach=(lost[0], lost[1]))


# Ray and joint of a sesamoid, mm back from the joint and to the radial side of it, its radius in mm, and the normal
# deviate above which a person has it: the thumb's two are there in everybody.
_SESAMOIDS = (
    (1, 1, 4.5, 4.6, 2.3, -9.0), (1, 1, 3.8, -3.2, 1.9, -9.0), (2, 1, 4.0, 3.5, 1.6, 0.3), (5, 1, 3.6, -3.2, 1.7, 0.0),
    (1, 2, 2.4, 0.6, 1.2, 0.3),
)  # fmt: skip


_PALM_MM = 7.0  # how far in front of a ray's axis its sesamoids lie: on a ray that is turned they lie beside it


def _sesamoids(build: Build, pose: HandPose, rays: list[Points]) -> list[Bone]:
    """The sesamoid bones that this person has."""
    if build.age < 12.5:
        return []
    bones = []
    for number, (ray, joint, back, out, size, rarity) in enumerate(_SESAMOIDS):
        deviates = personal_deviates(build, f"sesamoid{number}", 12)
        points = rays[ray - 1]
        if deviates[0] < rarity or joint >= len(points) - 1:
            continue
        axis = unit_vector(points[joint] - points[joint - 1])
        aside = np.array([-axis[1], axis[0]])
        beside = out + 0.6 * deviates[1] + _PALM_MM * float(np.sin(np.deg2rad(pose.roll[ray - 1]))) * (joint == 1)
        at = points[joint] + (aside * beside - axis * back) * build.size
        radii = (1.15 * size * build.size, size * build.size)
        bones.append(sesamoid(build, f"sesamoid{number}", at, axis, radii, deviates[4:]))
    return bones


def _age_related_wear(build: Build, side: str) -> dict[str, Score]:
    """Scores of the DIP joints, which narrow with age and which no method scores."""
    deviates = personal_deviates(build, f"{side}worn", 4)
    wear = max(0.0, build.age - 52) / 18
    return {f"DIP{ray}": Score(jsn=int(np.clip(wear * (0.9 + 0.8 * deviates[ray - 2]), 0, 3))) for ray in range(2, 6)}


def pose_hand(build: Build, pose: HandPose, side: str, scores: Scores) -> Hand:
    """All bones and joints of a hand; scores move no joint unless it is displaced."""
    scores = {**_age_related_wear(build, side), **scores}
    bones: list[Bone | SolidBone] = []
    spaces: dict[str, JointSpace] = {}
    joints = {site: point * build.size for site, point in carpal_site_points(pose.wrist).items()}
    ray_points = []
    for ray in range(1, 6):
        plan = _plan_ray(build, pose, side, scores, ray)
        posed = pose_ray(plan, build, side, scores)
        bones += posed.bones
        joints |= posed.joints
        spaces |= posed.spaces
        ray_points.append(plan.points)
    bones += _sesamoids(build, pose, ray_points)
    joints = {site: at for site, at in joints.items() if is_ossified(_BONE_OF_SITE.get(site, "capitate"), build)}
    return Hand(
        joints=joints, spaces=spaces, bones=tuple(bones), ray_points=tuple(ray_points), build=build, pose=pose,
        side=side, scores=scores,
    )  # fmt: skip


_BONE_OF_SITE = MappingProxyType(
    {"STT": "scaphoid", "CNL": "lunate", "RC": "lunate", "CMC1": "trapezium"}
    | {bone: bone for bone in ("trapezium", "scaphoid", "lunate")}
)
"""The bone that must have ossified before a site of a child's wrist can be seen."""


def _skin_polygons(hand: Hand) -> list[Points]:
    """Polygons that cover fingers, palm, thenar, wrist and forearm."""
    build, rays = hand.build, hand.ray_points
    scale = build.size * (0.55 + 0.45 * build.flesh) * (1 + 0.06 * (1 - build.maturity))
    polygons = []
    for ray, points in enumerate(rays):
        tip = points[-1] - unit_vector(points[-1] - points[-2]) * 2.2 * build.size
        body = np.vstack([points[0] * 0.6 + points[1] * 0.4, points[1:-1], tip])
        radii = [radius * scale for radius in _FINGER_RADII[ray]]
        radii = [radii[0] * 1.12, radii[0], radii[1], radii[3]] if ray == 0 else [radii[0] * 1.1, *radii]
        polygons += tube_polygons(body, radii[: len(body)])
    web = [rays[ray][1] * 0.66 + rays[ray][2] * 0.34 for ray in range(1, 5)]
    palm = np.vstack([rays[1][0], *web, rays[4][0]])
    polygons.append(_sort_by_angle(palm))
    polygons.append(_thumb_web(rays[0], rays[1]))
    size, to_elbow = build.size, hand.pose.forearm_direction
    carpus = [np.array([-4.0, 8.0]) * size, np.array([3.0, 24.0]) * size]
    polygons += tube_polygons(
        np.array([rays[2][0] * 0.5 + rays[2][1] * 0.5, carpus[0], carpus[1]]),
        [28 * scale, 30 * scale, 28.5 * scale],
    )
    hypothenar = np.array(
        [rays[4][0] * 0.4 + rays[4][1] * 0.6, rays[4][0] + (-2 * size, 5 * size), carpus[1] + (10 * size, 8 * size)]
    )
    polygons += tube_polygons(hypothenar, [11 * scale, 12.5 * scale, 17 * scale])
    thenar = np.array(
        [rays[0][0] * 0.4 + rays[0][1] * 0.6, rays[0][0] + (5 * size, 4 * size), carpus[1] + (-9 * size, 8 * size)]
    )
    polygons += tube_polygons(thenar, [13 * scale, 14 * scale, 17 * scale])
    forearm = carpus[1] + to_elbow * 26 * size + np.array([8.0, 0.0]) * size
    polygons += tube_polygons(
        np.array([carpus[1], forearm, forearm + to_elbow * 70 * size, forearm + to_elbow * 260 * size]),
        [30 * scale, 32.5 * scale, 35 * scale, 43 * scale],
    )
    return polygons


def _thumb_web(thumb: Points, index: Points) -> Points:
    """The skin between thumb and index finger, bounded by a hollow curve from one to the other."""
    first, last = 0.7 * thumb[1] + 0.3 * thumb[2], 0.95 * index[1] + 0.05 * index[2]
    deep = 0.5 * (0.35 * thumb[0] + 0.65 * thumb[1]) + 0.5 * (0.25 * index[0] + 0.75 * index[1])
    t = np.linspace(0, 1, 10)[:, None]
    curve = (1 - t) ** 2 * first + 2 * t * (1 - t) * deep + t**2 * last
    return np.vstack([thumb[0], curve, index[0]])


def _sort_by_angle(points: Points) -> Points:
    """The points in the order of their angle around their mean."""
    away = points - points.mean(axis=0)
    return points[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]


def draw_hand(canvas: Canvas, hand: Hand, to_px: Affine) -> None:
    """Adds a hand to the film; `to_px` maps hand mm to columns and rows."""
    build = hand.build
    mask = silhouette_mask(canvas, _skin_polygons(hand), to_px, web_mm=1.6 * build.size)
    depth = build.size * build.flesh
    soft = rounded_thickness(canvas, mask, (8.5 * build.size, 13.5 * depth), (30 * build.size, 13.0 * depth))
    rays = hand.ray_points
    thenar = np.vstack([rays[0][0], rays[0][1], rays[1][1] * 0.5 + rays[1][0] * 0.5, rays[2][0]])
    soft += bulge_thickness(
        canvas, thenar, to_px, thickness=4.0 * build.flesh * build.size, blur_mm=1.6 * build.size
    ) * (soft > 0)
    canvas.add_soft_tissue(soft)
    fold = np.array([[-4.0, 0.4], [0, -0.6], [4.0, 0.4]]) * build.size
    add_creases(
        canvas, [fold + points[1] * 0.64 + points[2] * 0.36 for points in rays[1:]], to_px, thickness=0.9, width=0.5
    )
    reach = _visible_forearm(canvas, to_px) / build.size
    wrist = wrist_bones(build, hand.side, hand.scores, wrist=hand.pose.wrist, forearm=reach)
    for bone in (*wrist, *hand.bones):
        draw_bone(canvas, bone, to_px)


def _visible_forearm(canvas: Canvas, to_px: Affine) -> float:
    """How many mm of forearm can be on the film, so that no more is drawn."""
    rows, columns = canvas.shape
    to_mm = cv2.invertAffineTransform(to_px)
    corners = map_points(np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], dtype=float), to_mm)
    return float(np.clip(corners[:, 1].max() - 20, 30, 260))


def hand_extent(hand: Hand) -> Points:
    """Points around all that should be on the film: fingertips, thumb and wrist."""
    tips = np.vstack(
        [points[-1] + unit_vector(points[-1] - points[-2]) * 5 * hand.build.size for points in hand.ray_points]
    )
    wrist = np.array([[-32.0, 20], [36.0, 20], [-28, 34], [40, 34]]) * hand.build.size
    return np.vstack([tips, wrist, *(points[1:] for points in hand.ray_points)])
