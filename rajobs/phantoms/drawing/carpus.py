"""The wrist: eight carpals, radius and ulna, traced from a PA film, with the damage of its sites."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.bones import Bite, Bone, Plate, bounding_box, closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Points
from rajobs.phantoms.drawing.joint_damage import remaining_gap
from rajobs.phantoms.people.build import Build, personal_deviates
from rajobs.phantoms.people.joint_scores import HEALTHY_SCORE, Scores

# Corners in tenths of a millimetre of an adult man's right wrist. Zero is the joint between capitate and metacarpal 3,
# x points to the little finger, y to the elbow.
_CARPAL_CORNERS: Mapping[str, tuple[tuple[int, int], ...]] = MappingProxyType(
    {
        "trapezium": (
            (-217, 60), (-188, 37), (-160, 45), (-122, 82), (-108, 102), (-146, 130), (-170, 150), (-212, 147),
            (-240, 130),
            (-244, 104), (-221, 82),
        ),
        "trapezoid": ((-188, 37), (-162, 18), (-122, 18), (-91, 37), (-85, 69), (-89, 95), (-122, 104), (-158, 100),
        (-183, 76)),
        "capitate": (
            (-75, 62), (-60, 30), (-28, 15), (27, 12), (36, 34), (45, 112), (38, 168), (31, 204), (-4, 223), (-36,
            215), (-58, 184),
            (-67, 136), (-73, 100),
        ),
        "hamate": (
            (71, 17), (107, 17), (146, 26), (193, 66), (162, 101), (146, 120), (130, 168), (111, 196), (83, 208),
            (52, 199),
            (53, 145), (59, 81), (62, 41),
        ),
        "triquetrum": (
            (146, 122), (186, 94), (217, 94), (245, 113), (250, 148), (240, 184), (230, 218), (212, 248), (183,
            264), (155, 247),
            (126, 196),
        ),
        "pisiform": ((222, 178), (250, 164), (276, 176), (287, 208), (280, 246), (256, 260), (230, 252), (216, 222)),
        "lunate": (
            (0, 249), (44, 222), (99, 217), (132, 236), (155, 272), (147, 299), (107, 309), (71, 311), (32, 294),
            (6, 268),
        ),
        "scaphoid": (
            (-176, 194), (-172, 169), (-136, 141), (-92, 125), (-73, 137), (-71, 170), (-47, 222), (-3, 257), (2,
            295), (-28, 311),
            (-76, 296), (-116, 264), (-144, 232), (-152, 214), (-166, 214),
        ),
    }
)  # fmt: skip
_RADIUS_LEFT = (
    (-141, 296),
    (-162, 306),
    (-172, 330),
    (-170, 366),
    (-152, 408),
    (-116, 468),
    (-62, 548),
    (-10, 622),
    (28, 700),
)
_RADIUS_TOP = ((-141, 296), (-109, 322), (-61, 337), (0, 338), (68, 330), (117, 322), (157, 316))
_RADIUS_RIGHT = ((157, 316), (176, 344), (182, 396), (176, 452), (186, 540), (200, 626), (216, 700))
_ULNA_LEFT = ((189, 346), (193, 396), (236, 430), (290, 476), (338, 560), (366, 640), (392, 720))
_ULNA_TOP = ((189, 346), (198, 326), (230, 300), (280, 291), (298, 292), (292, 268), (314, 250))
_ULNA_RIGHT = ((314, 250), (334, 268), (366, 316), (390, 390), (424, 486), (470, 606), (510, 720))

METACARPAL_BASES = MappingProxyType({1: (-250, 46), 2: (-130, 22), 3: (-8, 3), 4: (106, 6), 5: (190, 34)})
"""Where the bases of the metacarpals lie, in the same tenths."""

# Which bones face each other at a site, and where. An empty name stands for a metacarpal: towards it, the first bone
# grows in the direction that _CONTACT_DIRECTIONS says.
_CONTACTS: Mapping[str, tuple[tuple[str, str, tuple[int, int]], ...]] = MappingProxyType(
    {
        "CMC3": (("capitate", "", (-8, 6)),),
        "CMC4": (("hamate", "", (108, 6)),),
        "CMC5": (("hamate", "", (178, 44)),),
        "STT": (("trapezium", "scaphoid", (-150, 137)), ("trapezoid", "scaphoid", (-105, 115))),
        "CNL": (("capitate", "scaphoid", (-66, 180)), ("capitate", "lunate", (20, 224))),
        "RC": (("scaphoid", "radius", (-56, 322)), ("lunate", "radius", (90, 318))),
    }
)
_CONTACT_DIRECTIONS = MappingProxyType({"CMC3": (0.0, -1.0), "CMC4": (0.05, -1.0), "CMC5": (0.6, -0.8)})
_EROSION_PLACES = MappingProxyType(
    {
        "CMC1": ("trapezium", (-228, 62)),
        "trapezium": ("trapezium", (-236, 118)),
        "scaphoid": ("scaphoid", (-162, 204)),
        "lunate": ("lunate", (10, 256)),
        "radius": ("radius", (-150, 326)),
        "ulna": ("ulna", (304, 276)),
    }
)
_OSSIFICATION_YEARS = MappingProxyType(
    {
        "capitate": 0.4, "hamate": 0.5, "triquetrum": 2.3, "lunate": 3.6, "trapezium": 4.6, "scaphoid": 5.0,
        "trapezoid": 5.2,
        "pisiform": 10.0,
    }
)  # fmt: skip
_PROXIMAL_ROW = ("scaphoid", "lunate", "triquetrum", "pisiform", "radius", "ulna")
_PIVOT = np.array([0.5, 30.0])
_TRACED_ANGLE = 17.0  # degrees of the traced forearm
CARPAL_GAPS = MappingProxyType({"CMC3": 1.7, "CMC4": 1.7, "CMC5": 1.7, "STT": 1.9, "CNL": 2.0, "RC": 2.6})
"""Healthy gaps of an adult, in mm."""


def _tenths_to_mm(points: tuple[tuple[int, int], ...]) -> Points:
    """Traced corners as an array in mm."""
    return np.array(points, dtype=float) / 10


def _forearm_shaft(left: Points, right: Points, forearm: float) -> tuple[Points, Points]:
    """The sides of a forearm bone, continued by `forearm` mm along its axis and a little slimmer."""
    axis = np.array([np.sin(np.deg2rad(_TRACED_ANGLE)), np.cos(np.deg2rad(_TRACED_ANGLE))])
    across = right[-1] - left[-1]
    ends = []
    for side, inwards in ((left, 0.08), (right, -0.08)):
        middle = side[-1] + axis * 0.3 * forearm + across * inwards
        ends.append(np.vstack([side, middle, side[-1] + axis * forearm + across * 0.5 * inwards]))
    return ends[0], ends[1]


def _forearm_outlines(forearm: float) -> dict[str, Points]:
    """Radius and ulna, each with a shaft of `forearm` mm."""

    def outline(left: Points, top: Points, right: Points) -> Points:
        left, right = _forearm_shaft(open_curve(left, 6), open_curve(right, 6), forearm)
        return np.vstack([left[::-1], open_curve(top, 6)[1:], right[1:]])

    radius = outline(_tenths_to_mm(_RADIUS_LEFT), _tenths_to_mm(_RADIUS_TOP), _tenths_to_mm(_RADIUS_RIGHT))
    ulna = outline(_tenths_to_mm(_ULNA_LEFT), _tenths_to_mm(_ULNA_TOP), _tenths_to_mm(_ULNA_RIGHT))
    return {"radius": radius, "ulna": ulna}


def _turn_with_forearm(points: Points, name: str, wrist: float) -> Points:
    """Turns the forearm about the wrist, and the proximal row a little with it."""
    if name not in _PROXIMAL_ROW:
        return points
    share = (
        0.35 + 0.65 * np.clip((points[:, 1] - 36) / 24, 0, 1)
        if name in ("radius", "ulna")
        else np.full(len(points), 0.35)
    )
    turn = np.deg2rad((_TRACED_ANGLE - wrist) * share)
    away = points - _PIVOT
    cos, sin = np.cos(turn), np.sin(turn)
    turned: Points = (
        np.column_stack([cos * away[:, 0] - sin * away[:, 1], sin * away[:, 0] + cos * away[:, 1]]) + _PIVOT
    )
    return turned


def _close_gap(points: Points, centre: Points, towards: Points, distance: float) -> Points:
    """Moves the part of an outline near a contact by `distance` mm into the gap."""
    weight = np.exp(-(((points - centre) ** 2).sum(axis=1)) / 5.0**2)
    weight[weight < 0.02] = 0
    moved: Points = points + weight[:, None] * towards * distance
    return moved


def carpal_site_points(wrist: float) -> dict[str, Points]:
    """Where each carpal site of an adult lies, in hand mm."""
    points = {}
    for site, contacts in _CONTACTS.items():
        places = np.vstack(
            [
                _turn_with_forearm(_tenths_to_mm((at,)), first if site != "RC" else "radius", wrist)
                for first, _, at in contacts
            ]
        )
        points[site] = places.mean(axis=0)
    for site, (bone, at) in _EROSION_PLACES.items():
        points[site] = _turn_with_forearm(_tenths_to_mm((at,)), bone, wrist)[0]
    points["CMC1"] = _tenths_to_mm(((-243, 58),))[0]
    return points


def _narrow_gaps(
    outlines: dict[str, Points], build: Build, side: str, scores: Scores, wrist: float
) -> dict[str, Points]:
    """The outlines with their gaps narrowed according to the JSN scores."""
    healthy, outlines = outlines, dict(outlines)
    for site, contacts in _CONTACTS.items():
        jsn = scores.get(site, HEALTHY_SCORE).jsn
        remaining = remaining_gap(personal_deviates(build, f"{side}{site}", 24), jsn)
        # Fused bones overlap a little.
        lost = (1 - (remaining[0] + remaining[1]) / 2) * CARPAL_GAPS[site] * (1.25 if jsn == 4 else 1.0)
        for first, second, at in contacts:
            centre = _turn_with_forearm(_tenths_to_mm((at,)), first, wrist)[0]
            if second:
                towards = healthy[second].mean(axis=0) - healthy[first].mean(axis=0)
                if second == "radius":
                    towards = np.array([0.0, 1.0])
                towards = towards / np.linalg.norm(towards)
                outlines[second] = _close_gap(outlines[second], centre, -towards, lost / 2)
            else:
                towards = np.array(_CONTACT_DIRECTIONS[site])
            outlines[first] = _close_gap(outlines[first], centre, towards, lost / 2)
    return outlines


def _carpal_erosions(build: Build, side: str, scores: Scores, wrist: float) -> dict[str, tuple[Bite, ...]]:
    """The erosions of each bone that has any."""
    bites: dict[str, tuple[Bite, ...]] = {}
    points = carpal_site_points(wrist)
    for site, (bone, _) in _EROSION_PLACES.items():
        erosion = scores.get(site, HEALTHY_SCORE).erosion
        if not erosion:
            continue
        deviates = personal_deviates(build, f"{side}{site}", 24)
        size = (0.0, 1.1, 1.8, 2.7, 3.4, 4.4)[erosion]
        at = points[site] if site != "CMC1" else _tenths_to_mm((_EROSION_PLACES["CMC1"][1],))[0]
        site_bites = [
            Bite(
                u=at[1],
                v=at[0],
                along=size * (1 + 0.12 * deviates[0]),
                across=size * (1 - 0.12 * deviates[0]),
                depth=0.75,
            )
        ]
        if erosion >= 4:
            aside = at + np.array([0.8 * size * np.sign(deviates[1]), 1.0 * size])
            site_bites.append(Bite(u=aside[1], v=aside[0], along=0.6 * size, across=0.6 * size, depth=0.7))
        bites[bone] = (*bites.get(bone, ()), *site_bites)
    return bites


def is_ossified(name: str, build: Build) -> bool:
    """Whether a bone of the wrist is no longer all cartilage, so that a film shows it."""
    return build.age >= _OSSIFICATION_YEARS.get(name, 0.0) * (0.85 if build.sex == "F" else 1.0)


def _shrink_child_carpal(points: Points, name: str, build: Build) -> Points:
    """The carpal of a child is a smaller, rounder kernel in its cartilage; that of an adult stays as it is."""
    if not build.child or name not in _OSSIFICATION_YEARS:
        return points
    maturity = (
        float(
            np.clip(
                (build.age - _OSSIFICATION_YEARS[name]) / (13.0 - min(_OSSIFICATION_YEARS[name], 8.0)) + 0.25, 0.2, 1.0
            )
        )
        ** 0.5
    )
    centre = points.mean(axis=0)
    away = points - centre
    radius = np.sqrt((away**2).sum(axis=1, keepdims=True))
    rounded = away / np.maximum(radius, 0.1) * radius.mean()
    outline: Points = centre + maturity * (away * maturity + rounded * (1 - maturity))
    return outline


def _inner_plates(name: str, outline: Points, wrist: float, density: float, deviates: np.ndarray) -> tuple[Plate, ...]:
    """Lines seen through a bone: the joint surface of the radius, the hook of the hamate, edges of the far face."""
    if name == "radius":
        top = _turn_with_forearm(open_curve(_tenths_to_mm(_RADIUS_TOP[1:]), 5), "radius", wrist) + np.array([0.0, 1.3])
        rim = top - np.array([0.0, 1.6])
        return (
            Plate(points=top[:, ::-1], width=1.5, weight=3.4 * density),
            Plate(points=rim[:, ::-1], width=0.7, weight=0.8 * density),
        )
    if name == "hamate":
        turn = np.linspace(0, 2 * np.pi, 25)
        hook = np.column_stack([148 + 27 * np.cos(turn) + 5 * np.sin(turn), 68 + 36 * np.sin(turn)]) / 10
        return (Plate(points=hook[:, ::-1], width=0.9, weight=2.6 * density),)
    if name in _CARPAL_CORNERS and name != "pisiform":
        middle = outline.mean(axis=0)
        far = middle + (outline - middle) * (0.80 + 0.05 * deviates[0]) + 0.5 * deviates[1:3]
        start = int(abs(deviates[3]) * 40) % len(far)
        arc = np.roll(far, -start, axis=0)[: int(0.6 * len(far))]
        return (Plate(points=arc[:, ::-1], width=0.7, weight=1.1 * density),)
    return ()


def _growth_plate_cut(name: str, build: Build, wrist: float) -> tuple[Points, ...]:
    """The growth plate of a child's radius or ulna, with all above it before the epiphysis ossifies."""
    if not build.child or name not in ("radius", "ulna"):
        return ()
    gap = float(np.interp(build.maturity, (0.1, 0.7, 0.97, 1.0), (2.6, 1.5, 0.6, 0.15)))
    low, high, y = (-200, 200, 41.0) if name == "radius" else (175, 420, 38.5)
    x = np.linspace(low, high, 11) / 10
    wave = y + 0.5 * np.cos(x * 0.5) + (0.0 if name == "radius" else 0.08 * (x - 29))
    upper_edge, lower_edge = wave - gap / 2, wave + gap / 2
    kernel_years, top = (1.2, 24.0) if name == "radius" else (5.5, 20.0)
    if build.age < kernel_years:  # the epiphysis has no bone yet: all above the plate is cartilage
        cut = np.vstack([np.column_stack([x, lower_edge]), np.column_stack([x, np.full_like(x, top)])[::-1]])
    else:
        cut = np.vstack([np.column_stack([x, upper_edge]), np.column_stack([x, lower_edge])[::-1]])
    return (_turn_with_forearm(cut, name, wrist)[:, ::-1],)


def wrist_bones(build: Build, side: str, scores: Scores, *, wrist: float, forearm: float) -> list[Bone]:
    """The bones of this person's wrist in hand mm, with `forearm` mm of radius and ulna."""
    scale = build.size
    outlines = {name: closed_curve(_tenths_to_mm(corners), 5) for name, corners in _CARPAL_CORNERS.items()}
    outlines |= _forearm_outlines(forearm / scale)
    outlines = {name: _turn_with_forearm(points, name, wrist) for name, points in outlines.items()}
    healthy, outlines = outlines, _narrow_gaps(outlines, build, side, scores, wrist)
    bites = _carpal_erosions(build, side, scores, wrist)
    place = np.array([[0.0, scale, 0.0], [scale, 0.0, 0.0]])  # (u, v) are (y, x)
    bones = []
    for name, points in outlines.items():
        if not is_ossified(name, build):
            continue
        deviates = personal_deviates(build, name, 40)
        tubular = name in ("radius", "ulna")
        points = _shrink_child_carpal(points, name, build)
        points = points + 0.16 * np.resize(np.repeat(deviates[:12], 6), (len(points), 1)) * (0 if tubular else 1)
        bones.append(
            Bone(
                name=name,
                outline=points[:, ::-1],
                place=place,
                cortex=(0.5, 2.3 * build.density, 2.3 * build.density)
                if tubular
                else (0.34, 0.36 * build.density, 0.34),
                marrow=((0.135 if tubular else 0.35) * build.density, 0.06 * build.density),
                depth=(0.62 if name == "radius" else 0.8) if tubular else 0.95,
                tubular=tubular,
                grain=0.21 if tubular else 0.17,
                plates=_inner_plates(name, healthy[name], wrist, build.density, deviates[25:])
                if not (build.child and build.age < 9)
                else (),
                bites=bites.get(name, ()),
                cuts=_growth_plate_cut(name, build, wrist),
                texture_at=(abs(int(deviates[20] * 90)), abs(int(deviates[21] * 90))),
                weight=scale,
                box=bounding_box(healthy[name][:, ::-1]),
                half_thickness=None if build.child else 0.46 * float(np.ptp(healthy[name], axis=0).min()),
            )
        )
    return bones
