"""A hand in space: turned about its long axis, with bent fingers, as lateral, oblique and ball-catcher films show it.

Hand frame as in radiographs/hand.py; z runs towards the palm. A turn of 0 degrees is a PA view, 90 a lateral one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve, draw_bone
from rajobs.phantoms.drawing.canvas import Points, affine_map, compose_maps
from rajobs.phantoms.drawing.long_bones import long_bone
from rajobs.phantoms.drawing.soft_tissue import bulge_thickness, rounded_thickness, silhouette_mask, tube_polygons
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.presets import get_preset
from rajobs.phantoms.radiographs.hand import pose_hand
from rajobs.phantoms.radiographs.other_parts.turned_wrist import draw_turned_wrist
from rajobs.phantoms.radiographs.pose import draw_pose

Widths = tuple[float, float, float]
Flexion = Sequence[Sequence[float]]
"""Degrees at the joints of rays 1-5: knuckle, middle and last joint (of the thumb: knuckle and last)."""

# Base, waist and head in mm of an average man's middle finger, from the front and from the side.
_FRONT: Mapping[str, Widths] = MappingProxyType(
    {"MC": (14.0, 8.0, 13.5), "PP": (14.8, 8.8, 10.8), "MP": (12.6, 7.2, 9.6), "DP": (9.8, 4.7, 6.8)}
)
_SIDE: Mapping[str, Widths] = MappingProxyType(
    {"MC": (15.0, 9.0, 15.0), "PP": (13.0, 7.6, 9.2), "MP": (10.4, 6.2, 7.4), "DP": (7.8, 4.0, 3.4)}
)
_GIRTHS = (1.05, 1.02, 1.0, 0.94, 0.84)  # of rays 1-5 over the middle finger's
_RISES = ((9.0, 24.0), (1.0, 0.0), (0.0, -2.0), (1.0, 1.0), (3.0, 6.0))
"""Millimetres of the metacarpals' bases and heads in front of the hand's plane: the palm is hollow."""
_ROLLS = (68.0, 8.0, 0.0, -6.0, -14.0)  # degrees by which the rays are turned about their own axes
_GAPS = (1.8, 1.3, 1.0)
_SKIN = ((13.0, 10.5, 7.4), (10.2, 8.4, 7.0, 5.6), (10.6, 8.8, 7.3, 5.8), (10.0, 8.3, 6.9, 5.6), (9.0, 7.2, 6.1, 5.0))
"""Radii of a finger with its skin at its joints and its tip."""
_KINDS = MappingProxyType({"MC": "metacarpal", "PP": "proximal", "MP": "middle", "DP": "distal"})
_STRAIGHT_ARM = ((0.0, 95.0, 35.0), (0.0, 270.0, 43.0))
"""The forearm's middle line, aside from and away from the wrist, and its radii, in mm of an adult."""
_STEEPEST_ROLL = np.deg2rad(50)  # of a bone that is drawn as a solid; beyond, it is drawn as seen from the side
_END_ON = 0.45  # a bone that is foreshortened to less than this share is seen along its axis


@dataclass(frozen=True, kw_only=True)
class TurnedHand:
    """Rays as points in space (base, joints, tip; mm), seen after a turn in degrees about the long axis."""

    build: Build
    rays: tuple[Points, ...]
    turn: float
    wrist: float  # angle of the forearm
    arm: tuple[tuple[float, float, float], ...] = _STRAIGHT_ARM

    def flatten(self, points: Points) -> Points:
        """The points as the film shows them."""
        turn = np.deg2rad(self.turn)
        return np.column_stack([points[:, 0] * np.cos(turn) - points[:, 2] * np.sin(turn), points[:, 1]])

    def tilt_of(self, axis: Points) -> float:
        """Radians by which a unit vector points away from the X-ray tube."""
        turn = np.deg2rad(self.turn)
        return float(np.arcsin(np.clip(axis[0] * np.sin(turn) + axis[2] * np.cos(turn), -0.9, 0.9)))


def turn_hand(
    build: Build, rng: np.random.Generator, *, turn: float, flexion: Flexion, closed: float = 0.0
) -> TurnedHand:
    """A hand in space; `closed` (0-1) brings the fingers side by side."""
    pose = draw_pose(rng, get_preset("easy"))
    wrist = pose.wrist * float(np.cos(np.deg2rad(turn)))
    together = tuple(angle * (1 - closed) for angle in pose.proximal[1:])
    pose = replace(pose, curl=(0.0,) * 5, tilt=0.0, wrist=wrist, proximal=(pose.proximal[0], *together))
    flat = pose_hand(build, pose, "R", {}).ray_points
    rays = [
        _lift_ray(points, _RISES[number], flexion[number], build.size) for number, points in enumerate(flat)
    ]  # fmt: skip
    return TurnedHand(build=build, rays=tuple(rays), turn=turn, wrist=wrist)


def _lift_ray(points: Points, rises: tuple[float, float], flexion: Sequence[float], size: float) -> Points:
    """A flat ray as points in space: bent towards the palm, each bone as long as before."""
    place = np.array([*points[0], rises[0] * size])
    head = np.array([*points[1], rises[1] * size])
    lifted, angle = [place, head], 0.0
    for number in range(1, len(points) - 1):
        angle += np.deg2rad(flexion[number - 1])
        step = points[number + 1] - points[number]
        length = float(np.hypot(*step))
        forward = step / length * np.cos(angle)
        # The thumb bends across the palm rather than into it.
        lifted.append(lifted[-1] + length * np.array([*forward, np.sin(angle)]))
    return np.array(lifted)


def draw_turned_hand(pencil: Pencil, hand: TurnedHand, *, forearm: float = 120.0, shafts: bool = True) -> None:
    """Adds a turned hand with its wrist and so many mm of forearm; without `shafts` no radius and ulna."""
    _draw_skin(pencil, hand)
    draw_turned_wrist(pencil, hand.build, turn=hand.turn, wrist=hand.wrist, forearm=forearm, shafts=shafts)
    for number in (4, 3, 2, 1, 0):
        _draw_ray(pencil, hand, number)


def _draw_ray(pencil: Pencil, hand: TurnedHand, number: int) -> None:
    """Adds the bones of a ray; a person may have lost the last ones."""
    points = hand.rays[number]
    names = (("MC", "PP", "DP") if number == 0 else ("MC", "PP", "MP", "DP"))[: len(points) - 1]
    for at in range(len(names)):
        _draw_turned_bone(pencil, hand, number, names[at], points[at : at + 2], (at > 0, at + 1 < len(names)))


def _draw_turned_bone(
    pencil: Pencil, hand: TurnedHand, ray: int, name: str, ends: Points, jointed: tuple[bool, bool]
) -> None:
    """Adds one bone between two points in space, from the front, from the side, or along its axis."""
    build, size = hand.build, hand.build.size
    axis = ends[1] - ends[0]
    length = float(np.linalg.norm(axis))
    gap = _GAPS[min(2, ["MC", "PP", "MP", "DP"].index(name))] * size * (1 + 0.8 * (1 - build.maturity))
    cut = 0.5 * gap / length
    start, stop = hand.flatten(np.array([ends[0] + cut * axis * jointed[0], ends[1] - cut * axis * jointed[1]]))
    wide = size * build.girth * _GIRTHS[ray]
    front, side = (np.array(table[name]) * wide for table in (_FRONT, _SIDE))
    roll = np.deg2rad(hand.turn + _ROLLS[ray] * (-1 if ray == 0 else 1))
    widths = front * np.cos(roll) ** 2 + side * np.sin(roll) ** 2
    shown = float(np.hypot(*(stop - start)))
    if shown < _END_ON * length:
        _draw_end_on(pencil, (start + stop) / 2, widths, shown, build)
    elif abs(roll) < _STEEPEST_ROLL:
        bone = long_bone(
            f"{name}{ray + 1}", _KINDS[name], build, start=start, stop=stop,
            widths=(float(front[0]), float(front[1]), float(front[2])), plate_at_base=ray == 0,
            pitch=hand.tilt_of(axis / length), roll=float(roll),
        )  # fmt: skip
        draw_bone(pencil.canvas, bone, pencil.to_px)
    else:
        back = _back_of_bone(axis / length, hand)
        _draw_from_side(pencil, name, start, stop, side, back, build)


def _back_of_bone(axis: Points, hand: TurnedHand) -> Points:
    """Where the back of a bone with this axis lies on the film."""
    along = np.hypot(*axis[:2])
    back = np.array([*(axis[:2] / max(along, 1e-6) * axis[2]), -along])
    return np.asarray(hand.flatten(back[None])[0])


def _draw_from_side(
    pencil: Pencil, name: str, start: Points, stop: Points, widths: Points, back: Points, build: Build
) -> None:
    """Adds a bone seen from the side, its back bulging towards `back`."""
    axis = stop - start
    length = float(np.hypot(*axis))
    turn = float(np.rad2deg(np.arctan2(axis[1], axis[0])))
    aside = np.array([-axis[1], axis[0]]) / length
    outline = side_outline(name, length, widths) * (1, 1.0 if aside @ back >= 0 else -1.0)
    # The pencil's tubular bones run down its y axis.
    local = replace(
        pencil, to_px=compose_maps(pencil.to_px, compose_maps(affine_map(turn, start), _SWAP)), wobble=0.006
    )
    base, waist = float(widths[0]), float(widths[1])
    cuts: tuple[Points, ...] = ()
    if build.child:
        gap = float(np.interp(build.maturity, (0.15, 0.7, 0.97, 1.0), (2.0, 1.1, 0.45, 0.12)))
        at = length - 0.6 * float(widths[2]) if name == "MC" else 0.22 * base + 1.0
        cuts = (np.array([(at - gap / 2, -base), (at + gap / 2, -base), (at + gap / 2, base), (at - gap / 2, base)]),)
    local.add_bone(
        outline[:, ::-1], cortex=0.22 * waist * build.density, marrow=0.19 * build.density, tubular=True, ends=0.35,
        depth=0.85 * build.density**0.5, grain=0.35, cuts=cuts,
    )  # fmt: skip


_SWAP = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def side_outline(name: str, length: float, widths: Points) -> Points:
    """The outline (u along, v to the back) of a bone from the side: its back bulges, its palmar side is hollow."""
    base, waist, head = (float(width) for width in widths)
    bow = {"MC": 0.045, "PP": 0.050, "MP": 0.045, "DP": 0.03}[name] * length
    r = head / 2
    if name == "DP":
        u = np.array([0.0, 0.03, 0.10, 0.22, 0.45, 0.70, 0.88, 0.97])
        back = np.array([0.30, 0.50, 0.50, 0.36, 0.30, 0.26, 0.24, 0.12]) * np.interp(
            u, (0, 0.4, 1), (base, base, head * 1.6)
        )
        front = np.array([0.36, 0.50, 0.50, 0.30, 0.16, 0.18, 0.26, 0.16]) * np.interp(
            u, (0, 0.4, 1), (base, base, head * 1.6)
        )
        ends = [(1.0, 0.0)]
        u = u * length
    else:
        neck = length - 2.1 * r
        u = np.array(
            [0.0, 0.02 * length, 0.10 * length, 0.24 * length, 0.48 * length, 0.5 * (0.48 * length + neck), neck]
        )
        half = np.array([0.34 * base, 0.47 * base, 0.50 * base, 0.30 * base + 0.2 * waist, 0.5 * waist, 0.5 * waist,
                         0.42 * waist + 0.1 * head])  # fmt: skip
        back, front = half * 0.98, half * 1.02
        # A round head that hangs towards the palm.
        turns = np.deg2rad(np.linspace(115, -130, 9))
        drop = -0.10 * head
        ends = [(length - r + r * np.cos(t), drop + r * np.sin(t)) for t in turns]
    centre = bow * np.sin(np.pi * np.clip(u / length, 0, 1)) - 0.35 * bow
    upper = np.column_stack([u, centre + back])
    lower = np.column_stack([u, centre - front])[::-1]
    scale = length / max(point[0] for point in ends)
    return np.vstack([upper, np.array(ends) * (scale, 1), lower])


def _draw_end_on(pencil: Pencil, middle: Points, widths: Points, shown: float, build: Build) -> None:
    """Adds a bone that points at the X-ray tube: a ring of cortex, bright because the beam runs along it."""
    turns = np.linspace(0, 2 * np.pi, 13)[:-1]
    long, wide = 0.5 * max(shown, 0.8 * float(widths[0])), 0.5 * float(widths[0])
    oval = middle + np.column_stack([wide * np.cos(turns), long * np.sin(turns)])
    pencil.add_bone(oval, cortex=1.1 * build.density, marrow=0.26 * build.density, depth=0.9, grain=0.4)


def _draw_skin(pencil: Pencil, hand: TurnedHand) -> None:
    """Adds fingers, palm and forearm; a turned palm is thick, and fingers behind each other add up."""
    build, canvas = hand.build, pencil.canvas
    size, fat = build.size, build.size * (0.55 + 0.45 * build.flesh)
    side = abs(np.sin(np.deg2rad(hand.turn)))
    flat = [hand.flatten(points) for points in hand.rays]
    fingers = np.zeros_like(canvas.soft)
    for number, shown in enumerate(flat):
        body = np.vstack([0.15 * shown[0] + 0.85 * shown[1], shown[1:]])
        radii = np.array((_SKIN[number][0] * 1.05, *_SKIN[number][: len(body) - 1])) * fat
        mask = silhouette_mask(canvas, tube_polygons(body, radii), pencil.to_px)
        fingers += rounded_thickness(canvas, mask, (8.5 * size, 15.0 * fat))
    mask = silhouette_mask(canvas, _palm_and_forearm(hand, flat, side), pencil.to_px, web_mm=2.5 * size)
    trunk = rounded_thickness(canvas, mask, (9 * size, 13 * fat), (30 * size, (13 + 5 * side) * fat))
    trunk += bulge_thickness(
        canvas, _palm(flat, side, fat), pencil.to_px, thickness=26 * side**2 * fat, blur_mm=9 * size
    ) * (mask > 0)  # fmt: skip
    canvas.add_soft_tissue(np.asarray(np.cbrt(fingers**3 + trunk**3), np.float32))


def _palm(flat: Sequence[Points], side: float, fat: float) -> Points:
    """The palm's outline with the balls of thumb and little finger."""
    discs = [
        *((points[1] * 0.72 + points[2] * 0.28, 7.0) for points in flat[1:]),
        *((points[1] * 0.95 + points[0] * 0.05, 9.5 + 2 * side) for points in flat[1:]),
        *((points[0], 13.0 + 3 * side) for points in flat[1:]),
        (flat[0][0], 12.0),
    ]
    around = np.vstack([_disc(at, radius * fat) for at, radius in discs])
    return cv2.convexHull(around.astype(np.float32))[:, 0].astype(float)


def _palm_and_forearm(hand: TurnedHand, flat: Sequence[Points], side: float) -> list[Points]:
    """Polygons that cover all but the fingers."""
    size, fat = hand.build.size, hand.build.size * (0.55 + 0.45 * hand.build.flesh)
    middle = 7.0 * (1 - side)
    thenar = np.array([flat[0][1] * 0.85 + flat[0][0] * 0.15, flat[0][0], np.array([middle - 8, 20.0]) * size])
    lean = np.array([np.sin(np.deg2rad(hand.wrist)), np.cos(np.deg2rad(hand.wrist))])
    bases = np.mean([points[0] for points in flat[1:]], axis=0)
    wrist = np.array([middle - 2, 24.0]) * size
    aside = np.array([lean[1], -lean[0]])
    arm = [(2 * (1 - side), 26.0, 31.5 - 10 * side)]
    arm += [(x + 2 * (1 - side), y, radius * (1 - 0.18 * side)) for x, y, radius in hand.arm]
    line = [bases, wrist, *(wrist + (lean * y + aside * x) * size for x, y, _ in arm)]
    radii = [28 - 7 * side, 28 - 8 * side, *(radius for _, _, radius in arm)]
    return [
        closed_curve(_palm(flat, side, fat), 2),
        *tube_polygons(thenar, np.array([12.5, 14.5, 15.0]) * fat),
        *tube_polygons(np.array(line), np.array(radii) * fat),
    ]


def _disc(at: Points, radius: float) -> Points:
    turns = np.linspace(0, 2 * np.pi, 25)[:-1]
    return at + radius * np.column_stack([np.cos(turns), np.sin(turns)])
