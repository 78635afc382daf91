"""A hand lying PA: where its bones and joints are, drawn from a build, a pose and the scores of its sites.

Hand frame: mm, a right hand from the back, zero at metacarpal 3's base, x to the little finger, y to the elbow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.drawing.bones import Bone, draw_bone
from rajobs.phantoms.drawing.canvas import MU_BONE, MU_SOFT, Affine, Canvas, Points, move
from rajobs.phantoms.drawing.carpus import BASES, GAPS, carpal_visible, site_points, wrist_bones
from rajobs.phantoms.drawing.joint_damage import SOUND, Score, Scores, gap_left
from rajobs.phantoms.drawing.long_bones import End
from rajobs.phantoms.drawing.rays import Ray, draw_ray, pebble, unit
from rajobs.phantoms.drawing.soft_tissue import bulge, creases, rounded, silhouette, tube
from rajobs.phantoms.people.build import Build, quirks
from rajobs.phantoms.radiographs.pose import HandPose

# Mean bone lengths of adults in mm, rays 1-5 (Buryanov and Kotiuk 2010; men), and widths of base, waist and head.
_LENGTHS = MappingProxyType(
    {
        "MC": (46.2, 68.1, 64.6, 58.0, 53.7), "PP": (31.6, 39.8, 44.6, 41.4, 32.7), "MP": (0.0, 22.4, 26.3, 25.7, 18.1),
        "DP": (21.7, 15.8, 17.4, 17.3, 16.0),
    }
)  # fmt: skip
_WIDTHS = MappingProxyType(
    {
        "MC": ((15.5, 9.4, 13.6), (17.0, 8.0, 13.4), (14.0, 8.2, 14.0), (11.5, 6.5, 12.0), (13.0, 7.0, 11.6)),
        "PP": ((13.5, 8.3, 11.5), (15.2, 8.9, 10.2), (15.6, 9.2, 11.2), (14.3, 8.3, 10.4), (12.6, 7.1, 8.8)),
        "MP": ((0.0, 0.0, 0.0), (11.9, 6.9, 9.2), (13.1, 7.4, 9.9), (12.3, 7.1, 9.5), (10.0, 5.8, 7.8)),
        "DP": ((12.2, 6.3, 8.6), (9.4, 4.5, 6.5), (10.2, 4.8, 7.0), (9.8, 4.7, 6.8), (8.2, 3.7, 5.5)),
    }
)
_GAPS = MappingProxyType({"MCP": 1.75, "PIP": 1.25, "DIP": 0.95, "IP": 1.25})
_FLESH = (
    (13.5, 10.8, 9.2, 7.4),
    (10.6, 9.4, 7.8, 6.3),
    (11.0, 9.9, 8.1, 6.6),
    (10.4, 9.2, 7.6, 6.2),
    (9.4, 7.9, 6.7, 5.6),
)
"""Radii of a finger's skin in mm at its knuckle, its middle joint, its last joint and its tip."""
LOST = 2.75  # s.d. from which a finger ends early: three of a thousand, so that one hand of seventy lacks something


@dataclass(frozen=True, kw_only=True)
class Hand:
    """A posed hand in its own millimetres: its joints, its bones and its skin."""

    joints: Mapping[str, Points]
    bones: tuple[Bone, ...]
    chains: tuple[Points, ...]  # each ray from its base to its fingertip
    build: Build
    pose: HandPose
    side: str
    scores: Scores
    gaps: Mapping[str, float]

    @property
    def dense(self) -> float:
        """How much the beam is weakened at the hand's dense spots, as a logarithm."""
        size = self.build.size
        return float(MU_SOFT * 21 * size * self.build.flesh + MU_BONE * 4.8 * size * self.build.density**0.5)


def _up(angle: float) -> Points:
    return np.array([np.sin(np.deg2rad(angle)), -np.cos(np.deg2rad(angle))])


def _names(ray: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A ray's bones and the joints between them."""
    if ray == 1:
        return ("MC1", "PP1", "DP1"), ("MCP1", "IP")
    return (f"MC{ray}", f"PP{ray}", f"MP{ray}", f"DP{ray}"), (f"MCP{ray}", f"PIP{ray}", f"DIP{ray}")


def _lengths(build: Build, pose: HandPose, ray: int) -> list[float]:
    bones, _ = _names(ray)
    curl = np.deg2rad(pose.curl[ray - 1])
    lengths = []
    for number, bone in enumerate(bones):
        jitter = 1 + 0.022 * float(np.clip(quirks(build, f"len{bone}", 1)[0], -2, 2))
        short = 1.0 if number == 0 else float(np.cos(curl * (0.5, 1.0, 1.25)[number - 1]))
        child = 1.0 if number == 0 else 1.0 - 0.02 * (1 - build.maturity)
        lengths.append(_LENGTHS[bone[:2]][ray - 1] * build.size * jitter * short * child)
    return lengths


def _gap(build: Build, joint: str) -> float:
    child = 1.0 + 0.9 * (1 - build.maturity)
    age = 1.0 - 0.0025 * max(0.0, build.age - 40)
    base = _GAPS[joint.rstrip("12345")] * build.size**0.5 * child * age
    return base * (1 + 0.06 * float(np.clip(quirks(build, f"gap{joint}", 1)[0], -1.5, 1.5)))


def _ray(build: Build, pose: HandPose, ray: int) -> tuple[Points, list[float]]:
    """Base, joints and tip of a ray (mm), and the gap in each joint."""
    bones, joints = _names(ray)
    gaps = [_gap(build, joint) for joint in joints]
    first = pose.proximal[ray - 1]
    angles = [pose.metacarpal[ray - 1], first]
    for extra in pose.bend[ray - 1][: len(bones) - 2]:
        angles.append(angles[-1] + extra)
    at = np.array(BASES[ray], dtype=float) / 10 * build.size
    points = [at]
    for number, length in enumerate(_lengths(build, pose, ray)):
        reach = length + 0.5 * (gaps[number] if number < len(gaps) else 0) + 0.5 * (gaps[number - 1] if number else 0)
        at = at + _up(angles[number]) * reach
        points.append(at)
    squeeze = np.array([np.cos(np.deg2rad(pose.tilt)), 1.0])
    return np.array(points) * squeeze, gaps


def _widths(bone: str, build: Build) -> tuple[float, float, float]:
    ray = int(bone[-1]) - 1
    wide = build.size * build.girth
    w, s, h = _WIDTHS[bone[:2]][ray]
    return w * wide, s * wide, h * wide


def _ray_of(build: Build, pose: HandPose, side: str, scores: Scores, number: int) -> Ray:
    bones, joints = _names(number)
    points, gaps = _ray(build, pose, number)
    left, stump = _left(build, side, number)
    bones, joints, points = bones[:left], joints[: left - 1], points[: left + 1]
    points[-1] = points[-2] + stump * (points[-1] - points[-2])
    return Ray(
        bones=bones, joints=joints, points=points, gaps=tuple(gaps[: left - 1]),
        widths=tuple(_widths(bone, build) for bone in bones),
        luxates=tuple({"MCP": 0.62, "DIP": 0.12}.get(joint[:3], 0.38) for joint in joints),
        base=_cmc_end(build, side, scores, number), plate_at_base=number == 1,
    )  # fmt: skip


def _left(build: Build, side: str, ray: int) -> tuple[int, float]:
    """How many bones of a ray this person still has, and how much of the last one."""
    whole, odd = len(_names(ray)[0]), quirks(build, f"{side}lost{ray}", 3)
    if odd[0] < LOST:
        return whole, 1.0
    left = max(2, whole - int(abs(odd[1]) > 0.5) - int(abs(odd[1]) > 1.4))
    return left, float(np.clip(0.75 + 0.25 * odd[2], 0.35, 1.0))


def _cmc_end(build: Build, side: str, scores: Scores, ray: int) -> End:
    """The base of a metacarpal, which grows towards its carpal as that joint narrows."""
    left = gap_left(quirks(build, f"{side}CMC{ray}", 24), scores.get(f"CMC{ray}", SOUND).jsn)
    lost = tuple((1 - share) * GAPS.get(f"CMC{ray}", 1.7) * build.size / 2 for share in left)
    return End(reach=(lost[0], lost[1]))


def _sesamoids(build: Build, points: Points) -> list[Bone]:
    """The two little bones at the thumb's knuckle."""
    if build.age < 12.5:
        return []
    axis = unit(points[1] - points[0])
    aside = np.array([-axis[1], axis[0]])
    odd = quirks(build, "sesamoid", 12)
    drawn = []
    for number, (back, out, size) in enumerate(((4.5, 4.6, 2.3), (3.8, -3.2, 1.9))):
        at = points[1] - axis * back * build.size + aside * (out + 0.6 * odd[number]) * build.size
        drawn.append(
            pebble(build, f"sesamoid{number}", at, axis, (1.15 * size * build.size, size * build.size), odd[4:])
        )
    return drawn


def _worn(build: Build, side: str) -> dict[str, Score]:
    """Old people's last finger joints, which no method scores, narrow with age."""
    odd = quirks(build, f"{side}worn", 4)
    wear = max(0.0, build.age - 52) / 18
    return {f"DIP{ray}": Score(jsn=int(np.clip(wear * (0.9 + 0.8 * odd[ray - 2]), 0, 3))) for ray in range(2, 6)}


def pose_hand(build: Build, pose: HandPose, side: str, scores: Scores) -> Hand:
    """All of a hand's bones and joints; the joints' places do not depend on the scores but for displaced ones."""
    scores = {**_worn(build, side), **scores}
    bones: list[Bone] = []
    joints = {site: point * build.size for site, point in site_points(pose.wrist).items()}
    chains, gaps = [], dict[str, float]()
    for ray in range(1, 6):
        plan = _ray_of(build, pose, side, scores, ray)
        drawn = draw_ray(plan, build, side, scores)
        bones += drawn.bones
        joints |= drawn.joints
        gaps |= drawn.gaps
        chains.append(plan.points)
    bones += _sesamoids(build, chains[0])
    joints = {site: at for site, at in joints.items() if carpal_visible(_NEEDS.get(site, "capitate"), build)}
    return Hand(
        joints=joints, bones=tuple(bones), chains=tuple(chains), build=build, pose=pose, side=side, scores=scores,
        gaps=gaps
    )  # fmt: skip


_NEEDS = MappingProxyType(
    {"STT": "scaphoid", "CNL": "lunate", "RC": "lunate", "CMC1": "trapezium"}
    | {n: n for n in ("trapezium", "scaphoid", "lunate")}
)
"""The bone without which a site of a child's wrist cannot be seen."""


def _skin(hand: Hand) -> list[Points]:
    build, chains = hand.build, hand.chains
    scale = build.size * (0.55 + 0.45 * build.flesh) * (1 + 0.06 * (1 - build.maturity))
    polygons = []
    for ray, chain_ in enumerate(chains):
        tip = chain_[-1] - unit(chain_[-1] - chain_[-2]) * 2.2 * build.size
        body = np.vstack([chain_[0] * 0.6 + chain_[1] * 0.4, chain_[1:-1], tip])
        radii = [r * scale for r in _FLESH[ray]]
        radii = [radii[0] * 1.12, radii[0], radii[1], radii[3]] if ray == 0 else [radii[0] * 1.1, *radii]
        polygons += tube(body, radii[: len(body)])
    web = [chains[ray][1] * 0.66 + chains[ray][2] * 0.34 for ray in range(1, 5)]
    palm = np.vstack([chains[1][0], *web, chains[4][0]])
    polygons.append(around(palm))
    thumb_web = _web(chains[0], chains[1])
    polygons.append(thumb_web)
    s = build.size
    elbow = np.deg2rad(hand.pose.wrist)
    down = np.array([np.sin(elbow), np.cos(elbow)])
    carpus = [np.array([-4.0, 8.0]) * s, np.array([3.0, 24.0]) * s]
    polygons += tube(
        np.array([chains[2][0] * 0.5 + chains[2][1] * 0.5, carpus[0], carpus[1]]),
        [28 * scale, 30 * scale, 28.5 * scale],
    )
    heel = np.array(
        [chains[4][0] * 0.4 + chains[4][1] * 0.6, chains[4][0] + (-2 * s, 5 * s), carpus[1] + (10 * s, 8 * s)]
    )
    polygons += tube(heel, [11 * scale, 12.5 * scale, 17 * scale])
    ball = np.array(
        [chains[0][0] * 0.4 + chains[0][1] * 0.6, chains[0][0] + (5 * s, 4 * s), carpus[1] + (-9 * s, 8 * s)]
    )
    polygons += tube(ball, [13 * scale, 14 * scale, 17 * scale])
    low = carpus[1] + down * 26 * s + np.array([8.0, 0.0]) * s
    polygons += tube(
        np.array([carpus[1], low, low + down * 70 * s, low + down * 260 * s]),
        [30 * scale, 32.5 * scale, 35 * scale, 43 * scale],
    )
    return polygons


def _web(thumb: Points, index: Points) -> Points:
    """The skin between thumb and index finger: a hollow curve from one to the other."""
    first, last = 0.7 * thumb[1] + 0.3 * thumb[2], 0.95 * index[1] + 0.05 * index[2]
    deep = 0.5 * (0.35 * thumb[0] + 0.65 * thumb[1]) + 0.5 * (0.25 * index[0] + 0.75 * index[1])
    t = np.linspace(0, 1, 10)[:, None]
    curve = (1 - t) ** 2 * first + 2 * t * (1 - t) * deep + t**2 * last
    return np.vstack([thumb[0], curve, index[0]])


def around(points: Points) -> Points:
    """The points around their middle, in order of angle."""
    away = points - points.mean(axis=0)
    return points[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]


def draw_hand(canvas: Canvas, hand: Hand, to_px: Affine) -> None:
    """Adds a hand to the film; `to_px` maps hand mm to columns and rows."""
    build = hand.build
    mask = silhouette(canvas, _skin(hand), to_px, web_mm=1.6 * build.size)
    thick = build.size * build.flesh
    soft = rounded(canvas, mask, (8.5 * build.size, 13.5 * thick), (30 * build.size, 13.0 * thick))
    chains = hand.chains
    thenar = np.vstack([chains[0][0], chains[0][1], chains[1][1] * 0.5 + chains[1][0] * 0.5, chains[2][0]])
    soft += bulge(canvas, thenar, to_px, height=4.0 * build.flesh * build.size, blur_mm=1.6 * build.size) * (soft > 0)
    canvas.add_soft(soft)
    fold = np.array([[-4.0, 0.4], [0, -0.6], [4.0, 0.4]]) * build.size
    creases(canvas, [fold + points[1] * 0.64 + points[2] * 0.36 for points in chains[1:]], to_px, depth=0.9, width=0.5)
    reach = _forearm_on_film(canvas, to_px) / build.size
    wrist = wrist_bones(build, hand.side, hand.scores, wrist=hand.pose.wrist, forearm=reach)
    for bone in (*wrist, *hand.bones):
        draw_bone(canvas, bone, to_px)


def _forearm_on_film(canvas: Canvas, to_px: Affine) -> float:
    """How many mm of forearm can be on the film: more need not be drawn."""
    rows, columns = canvas.shape
    back = cv2.invertAffineTransform(to_px)
    corners = move(np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], dtype=float), back)
    return float(np.clip(corners[:, 1].max() - 20, 30, 260))


def hand_extent(hand: Hand) -> Points:
    """Points around what should be on the film: fingertips, thumb and wrist."""
    tips = np.vstack([points[-1] + unit(points[-1] - points[-2]) * 5 * hand.build.size for points in hand.chains])
    s = hand.build.size
    wrist = np.array([[-32.0, 20], [36.0, 20], [-28, 34], [40, 34]]) * s
    return np.vstack([tips, wrist, *(points[1:] for points in hand.chains)])
