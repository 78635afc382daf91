"""A foot from above (dorsoplantar): five rays with long metatarsals and short toes, and a block of tarsals.

Foot frame: mm, a right foot, zero at the base of metatarsal 2, x to the little toe, y to the heel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.bones import Bone, closed_curve, draw_bone
from rajobs.phantoms.drawing.canvas import MU_BONE, MU_SOFT, Affine, Canvas, Points, affine_map, compose_maps
from rajobs.phantoms.drawing.rays import JointSpace, Ray, pose_ray, sesamoid, unit_vector
from rajobs.phantoms.drawing.soft_tissue import bulge_thickness, rounded_thickness, silhouette_mask, tube_polygons
from rajobs.phantoms.drawing.solid_bones import SolidBone
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build, personal_deviates
from rajobs.phantoms.people.joint_scores import Scores
from rajobs.phantoms.presets import Preset

# Rays 1-5 of an adult man's foot: bases in mm, angles in degrees, lengths of their bones, and widths of base, waist and
# head in mm.
_BASES = ((-17.0, 3.0), (0.0, 0.0), (11.5, 3.0), (22.0, 8.0), (32.0, 14.0))
_ANGLES = (-5.0, 0.0, 4.0, 8.0, 13.0)
_LENGTHS = (
    (61.0, 32.0, 24.0),
    (73.0, 28.0, 12.5, 9.5),
    (69.0, 26.0, 11.0, 9.0),
    (67.0, 24.0, 9.0, 8.5),
    (63.0, 22.0, 7.5, 8.0),
)
_WIDTHS = (
    ((21.0, 13.5, 21.0), (19.0, 11.5, 15.5), (15.5, 9.0, 11.5)),
    ((15.0, 8.2, 11.5), (11.8, 6.0, 8.2), (8.8, 6.4, 7.6), (7.2, 3.8, 5.0)),
    ((14.0, 7.8, 11.0), (11.3, 5.6, 7.9), (8.5, 6.2, 7.3), (7.0, 3.7, 4.8)),
    ((13.5, 7.6, 10.8), (11.0, 5.4, 7.6), (8.3, 6.2, 7.0), (6.8, 3.6, 4.6)),
    ((16.0, 8.0, 11.2), (11.0, 5.4, 7.6), (8.0, 6.2, 7.0), (6.6, 3.6, 4.6)),
)
_TOE_RADII = (
    (13.5, 12.5, 11.5),
    (9.5, 8.0, 7.2, 6.6),
    (9.5, 7.8, 7.0, 6.4),
    (9.5, 7.6, 6.8, 6.3),
    (9.5, 7.8, 7.0, 6.5),
)
"""Radii in mm of a toe with its skin at its joints and its tip."""
_TARSALS: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "cuneiform1": ((-28, 6), (-18, 5), (-8, 5), (-7, 16), (-9, 30), (-20, 32), (-30, 30), (-30, 18)),
        "cuneiform2": ((-7, 3), (0, 1.5), (6, 3), (6, 14), (2, 21), (-6, 20)),
        "cuneiform3": ((6, 4), (12, 4), (18, 7), (18, 22), (12, 28), (4, 24), (5, 14)),
        "cuboid": ((18, 10), (28, 12), (38, 18), (40, 34), (36, 50), (24, 50), (17, 40), (17, 24)),
        "navicular": ((-32, 33), (-22, 32), (-8, 30), (6, 25), (12, 30), (8, 38), (-6, 44), (-22, 47), (-34, 46)),
        "talus": ((-30, 48), (-20, 49), (-4, 45), (8, 40), (12, 50), (8, 66), (10, 84), (2, 96), (-16, 98), (-26,
        88), (-24, 70)),
        "calcaneus": ((14, 46), (26, 51), (36, 52), (36, 74), (30, 100), (24, 126), (8, 132), (-6, 124), (-6, 100),
        (4, 74)),
    }
)  # fmt: skip
_OSSIFICATION_YEARS = MappingProxyType(
    {"cuneiform1": 2.0, "cuneiform2": 3.0, "cuneiform3": 0.6, "navicular": 3.0, "cuboid": 0.2}
)
_LEG_SHARE = 0.2
"""Share of feet that are stretched so far that the film shows the lower leg over the heel."""
_TIBIA = ((-30, 80), (-26, 66), (-12, 62), (2, 64), (8, 72), (10, 100), (6, 160), (6, 360), (-22, 360), (-22, 160))
_FIBULA = ((12, 60), (18, 54), (23, 66), (20, 100), (19, 160), (21, 360), (11, 360), (11, 160), (12, 100))


@dataclass(frozen=True, kw_only=True)
class Foot:
    """A posed foot in the foot frame."""

    joints: Mapping[str, Points]
    spaces: Mapping[str, JointSpace]
    bones: tuple[Bone | SolidBone, ...]
    ray_points: tuple[Points, ...]  # base, joints and tip of each ray
    build: Build
    heel: float  # mm of heel below the tarsals that are on the film
    leg: float | None  # degrees of the lower leg, where the film shows it

    @property
    def peak_attenuation(self) -> float:
        """How much the densest spots of the foot weaken the beam, as a logarithm."""
        size = self.build.size
        return float(MU_SOFT * 30 * size * self.build.flesh + MU_BONE * 5.5 * size * self.build.density**0.5)


def _bone_and_joint_names(ray: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bones of a ray and the joints between them."""
    if ray == 1:
        return ("MT1", "FP1", "FD1"), ("MTP1", "IP1")
    return (f"MT{ray}", f"FP{ray}", f"FM{ray}", f"FD{ray}"), (f"MTP{ray}", f"FPIP{ray}", f"FDIP{ray}")


def _joint_gap(build: Build, joint: str, first: bool) -> float:
    """The healthy gap of a joint in mm: wider in children, and at the first joint of a ray."""
    child = 1.0 + 0.9 * (1 - build.maturity)
    personal = 1 + 0.06 * float(personal_deviates(build, f"gap{joint}", 1)[0])
    gap: float = (2.0 if first else 1.1) * build.size**0.5 * child * personal
    return gap


def _plan_ray(build: Build, rng: np.random.Generator, preset: Preset, ray: int, oblique: float, valgus: float) -> Ray:
    """A ray with all its bones, before damage."""
    bones, joints = _bone_and_joint_names(ray)
    lateral = oblique * (ray - 2) * 1.2
    angle = _ANGLES[ray - 1] + float(rng.normal(0, 1.2))
    turn = [
        angle,
        angle + valgus if ray == 1 else float(rng.normal(4 - 3 * (ray - 2), 2 + preset.spread)) + 0.15 * valgus,
    ]
    turn += [turn[1] + float(rng.normal(-3 if ray == 5 else 0, 4)), turn[1] + float(rng.normal(0, 7))]
    curl = float(np.clip(rng.normal(0.88, 0.12), 0.5, 1.0)) if ray > 1 else 1.0
    gaps = tuple(_joint_gap(build, joint, number == 0) for number, joint in enumerate(joints))
    at = (np.array(_BASES[ray - 1]) + np.array([lateral, 0.0])) * build.size
    points = [at]
    for number, length in enumerate(_LENGTHS[ray - 1]):
        shown_length = (
            length
            * build.size
            * (1 + 0.025 * float(personal_deviates(build, f"len{bones[number]}", 1)[0]))
            * (curl if number else 1.0)
        )
        reach = shown_length + 0.5 * sum(gaps[max(0, number - 1) : number + 1])
        at = at + reach * np.array([np.sin(np.deg2rad(turn[number])), -np.cos(np.deg2rad(turn[number]))])
        points.append(at)
    squeeze = np.array([1 - 0.16 * abs(oblique), 1.0])
    wide = build.size * build.girth
    widths = tuple((base * wide, waist * wide, head * wide) for base, waist, head in _WIDTHS[ray - 1])
    return Ray(
        bones=bones, joints=joints, points=np.array(points) * squeeze, gaps=gaps, widths=widths,
        luxates=tuple(0.6 if joint.startswith("MTP") else 0.3 for joint in joints), plate_at_base=ray == 1,
    )  # fmt: skip


def _tarsal_bones(build: Build, oblique: float) -> list[Bone]:
    """The tarsals that have ossified."""
    bones = []
    place = np.array([[0.0, build.size, 0.0], [build.size, 0.0, 0.0]])
    for name, corners in _TARSALS.items():
        if build.age < _OSSIFICATION_YEARS.get(name, 0.0):
            continue
        deviates = personal_deviates(build, name, 30)
        points = np.array(corners, dtype=float)
        points = points + 0.5 * deviates[: 2 * len(points)].reshape(-1, 2) if 2 * len(points) <= 30 else points
        if build.child:
            maturity = float(np.interp(build.age, (1, 12), (0.6, 1.0)))
            points = points.mean(axis=0) + (points - points.mean(axis=0)) * maturity
        points[:, 0] *= 1 - 0.16 * abs(oblique)
        points[:, 0] += oblique * 3.0 * (name in ("cuboid", "calcaneus"))
        bones.append(
            Bone(
                name=name, outline=closed_curve(points, 5)[:, ::-1], place=place,
                cortex=(0.5, 0.5 * build.density, 0.5),
                marrow=(0.16 * build.density, 0.16 * build.density), tubular=False, grain=0.4, weight=build.size,
                texture_at=(abs(int(deviates[20] * 90)), abs(int(deviates[21] * 90))),
            )
        )  # fmt: skip
    return bones


def pose_foot(build: Build, rng: np.random.Generator, preset: Preset, side: str, scores: Scores) -> Foot:
    """A foot in a random pose; oblique films are nearly as frequent as straight ones."""
    oblique = float(rng.normal(0, 0.25)) if rng.random() < 0.6 else float(rng.uniform(0.4, 1.2))
    valgus = float(np.clip(rng.normal(12, 9), -4, 42))
    bones: list[Bone | SolidBone] = [*_tarsal_bones(build, oblique)]
    ray_points = []
    joints: dict[str, Points] = {}
    spaces: dict[str, JointSpace] = {}
    for number in range(1, 6):
        ray = _plan_ray(build, rng, preset, number, oblique, valgus)
        posed = pose_ray(ray, build, side, scores)
        bones += posed.bones
        joints |= posed.joints
        spaces |= posed.spaces
        ray_points.append(ray.points)
    if build.age > 11:
        axis = unit_vector(ray_points[0][1] - ray_points[0][0])
        aside = np.array([-axis[1], axis[0]])
        deviates = personal_deviates(build, "footsesamoid", 12)
        for number, out in enumerate((-5.0, 4.5)):
            at = ray_points[0][1] + (-axis * 9.0 + aside * (out + 3.5 * oblique)) * build.size
            bones.append(
                sesamoid(build, f"sesamoid{number}", at, axis, (5.6 * build.size, 4.3 * build.size), deviates[number:])
            )
    leg = float(rng.normal(0, 7)) if rng.random() < _LEG_SHARE else None
    heel = float(rng.choice((0.0, 25.0, 60.0, 95.0)) if leg is None else rng.uniform(80, 200))
    return Foot(
        joints=joints, spaces=spaces, bones=tuple(bones), ray_points=tuple(ray_points), build=build,
        heel=heel * build.size, leg=leg,
    )  # fmt: skip


def foot_extent(foot: Foot) -> Points:
    """Points around all that should be on the film: toes and the front of the tarsals."""
    tips = np.vstack(
        [points[-1] + unit_vector(points[-1] - points[-2]) * 5 * foot.build.size for points in foot.ray_points]
    )
    block = np.array([(-40.0, 40.0), (50.0, 40.0), (-34, 0), (50, 0), (-33, -45)]) * foot.build.size
    return np.vstack([tips, block, *(points[:3] for points in foot.ray_points)])


def draw_foot(canvas: Canvas, foot: Foot, to_px: Affine) -> None:
    """Adds a foot to the film."""
    size, fat = foot.build.size, 0.6 + 0.4 * foot.build.flesh
    polygons = []
    for ray, points in enumerate(foot.ray_points):
        tip = points[-1] - unit_vector(points[-1] - points[-2]) * 2.0 * size
        radii = [_TOE_RADII[ray][0], *_TOE_RADII[ray]]
        body = np.vstack([points[0] * 0.5 + points[1] * 0.5, points[1:-1], tip])
        polygons += tube_polygons(body, [radius * size * fat for radius in radii])
    sole = np.array(
        [
            (-16, -64),
            (-31, -45),
            (-34, 0),
            (-40, 40),
            (-38, 80),
            (-24, 128),
            (4, 142),
            (36, 128),
            (46, 80),
            (50, 20),
            (49, -25),
            (47, -44),
            (20, -66),
        ]
    )
    polygons.append(closed_curve(sole * size * (fat, 1.0)))
    mask = silhouette_mask(canvas, polygons, to_px, web_mm=2.5 * size)
    soft = rounded_thickness(canvas, mask, (9 * size, 17 * size * foot.build.flesh))
    inside = soft > 0
    instep = np.array([(-30, 0), (40, 10), (44, 60), (30, 130), (-20, 130), (-34, 50)]) * size
    soft += bulge_thickness(canvas, instep, to_px, thickness=20 * size, blur_mm=20 * size) * inside
    canvas.add_soft_tissue(soft)
    if foot.leg is not None:
        _draw_leg(canvas, foot, to_px, foot.leg)
    for bone in foot.bones:
        draw_bone(canvas, bone, to_px)


def _draw_leg(canvas: Canvas, foot: Foot, to_px: Affine, angle: float) -> None:
    """Adds the lower leg over the heel."""
    build, size = foot.build, foot.build.size
    about_ankle = affine_map(angle, (0.0, 70.0 * size))
    about_ankle[:, 2] -= about_ankle[:, :2] @ np.array([0.0, 70.0 * size])
    pencil = Pencil(
        canvas=canvas, to_px=compose_maps(to_px, about_ankle), rng=np.random.default_rng(build.seed), wobble=0.008
    )
    line = np.array([(-4.0, y) for y in (70, 90, 160, 360)]) * size
    # Less than a leg is thick: the exposure of a foot would burn out, and such films are exposed for the ankle.
    pencil.add_body(
        tube_polygons(line, [radius * size * build.flesh for radius in (30, 36, 36, 52)]), round_mm=45 * size,
        thickness=24 * size * build.flesh,
    )  # fmt: skip
    for outline, cortex in ((_FIBULA, 2.2), (_TIBIA, 4.0)):
        pencil.add_bone(
            np.array(outline, float) * size, cortex=cortex * build.density, marrow=0.10, tubular=True, ends=0.6,
            depth=0.45 * size * build.density**0.5,
        )  # fmt: skip
