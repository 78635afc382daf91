"""Teeth, and dental films that show a few of them. Coordinates in mm, y downwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve, open_curve
from rajobs.phantoms.drawing.canvas import Affine, Points, affine_map, fill_polygon, map_points
from rajobs.phantoms.drawing.strokes import Pencil, mirror_points

_ToothShape = tuple[float, float, float, int]
# Width and height of the crown, length of the root (mm), and number of roots that are seen; from the middle outwards.
UPPER_TEETH = (
    (8.5, 10.5, 13.0, 1), (6.5, 9.0, 13.0, 1), (7.5, 10.0, 17.0, 1), (7.0, 8.5, 14.0, 1), (7.0, 8.0, 14.0, 1),
    (10.0, 7.5, 13.0, 2), (9.5, 7.0, 12.0, 2), (8.5, 6.5, 11.0, 1),
)  # fmt: skip
LOWER_TEETH = (
    (5.2, 9.0, 12.5, 1), (5.6, 9.5, 14.0, 1), (7.0, 11.0, 16.0, 1), (7.0, 8.5, 14.0, 1), (7.2, 8.0, 14.5, 1),
    (11.0, 7.5, 14.0, 2), (10.5, 7.0, 13.0, 2), (10.0, 7.0, 11.0, 2),
)  # fmt: skip
MAGNIFICATION = 4.0
"""Of the drawing of dental films, which are sharper than the blur that suits large films."""


@dataclass(frozen=True, kw_only=True)
class Dentition:
    """The teeth of a film; what they have in common is collected here and added once."""

    scale: float
    depth: float  # of a tooth, over its width
    care: float  # how many teeth a dentist treated, 0 to 1
    enamel: list[Points] = field(default_factory=list)
    pulps: list[Points] = field(default_factory=list)
    metal: list[Points] = field(default_factory=list)
    sockets: list[Points] = field(default_factory=list)


def _tooth_outline(w: float, h: float, r: float, roots: int, lean: float) -> Points:
    """A tooth from the middle of its biting edge (0, 0) to its apex: w mm wide, its crown h and its roots r mm long."""
    crown = [(0.30, 0.00), (0.46, 0.13), (0.50, 0.40), (0.43, 0.82), (0.38, 1.0)]
    one_root = [(0.36, 0.25), (0.29, 0.60), (0.17, 0.90), (0.06, 1.0)]
    two_roots = [(0.42, 0.30), (0.42, 0.65), (0.35, 0.97), (0.27, 0.97), (0.19, 0.70), (0.09, 0.40), (0.02, 0.28)]
    half = np.array(
        [(x * w, y * h) for x, y in crown] + [(x * w, h + y * r) for x, y in (one_root, two_roots)[roots - 1]]
    )
    points = np.vstack([half, mirror_points(half)[::-1], [(0.0, 0.10 * h if w > 6.8 else 0.0)]])
    points[:, 0] += lean * w * np.clip((points[:, 1] - h) / r, 0, 1) ** 2
    return points


def draw_tooth(pencil: Pencil, mouth: Dentition, tooth: _ToothShape, at: Points, turn: float) -> None:
    """Adds one tooth, or the implant that replaces it, with its biting edge at `at`; at turn 0 its root points down."""
    rng, (w, h, r, roots) = pencil.rng, tooth
    place = affine_map(turn, at, scale=mouth.scale)
    lot = rng.random(4)
    if lot[0] < 0.05 * mouth.care:
        threads = np.array([(0.24 * (1 + 0.14 * (k % 2)), h + 0.75 * r * k / 9) for k in range(10)]) * (w, 1)
        mouth.metal.append(map_points(np.vstack([threads, mirror_points(threads)[::-1]]), place))
        mouth.metal.append(map_points(_tooth_outline(w, h, r, 1, 0)[[0, 1, 2, 3, 4, -6, -5, -4, -3, -2]], place))
        return
    r *= float(rng.uniform(0.85, 1.1))
    lean = float(rng.normal(0.06, 0.07))
    outline = map_points(_tooth_outline(w, h, r, roots, lean), place)
    pencil.add_bone(outline, cortex=40.0, marrow=1.0, depth=mouth.depth, grain=0.05)
    mouth.sockets.append(open_curve(outline[4:-5], 5))
    crown = _tooth_outline(w, h, r, 1, 0)
    rim = np.vstack([crown[:4], crown[-5:]])[[3, 2, 1, 0, 8, 7, 6, 5, 4]]
    cap = np.vstack([rim, [(-0.33 * w, 0.55 * h), (-0.24 * w, 0.30 * h), (0.24 * w, 0.30 * h), (0.33 * w, 0.55 * h)]])
    mouth.enamel.append(map_points(closed_curve(cap, 4), place))
    for out in (-0.31, 0.31) if roots == 2 else (0.0,):
        tip = (out * w + lean * w, h + 0.92 * r)
        line = np.array([(0.35 * out * w, 0.60 * h), (0.45 * out * w, h), (0.9 * out * w, h + 0.45 * r), tip])
        aside = np.array([(0.11, 0), (0.10, 0), (0.05, 0), (0.0, 0)]) * w / roots**0.5
        canal = closed_curve(np.vstack([line - aside, (line + aside)[-2::-1]]), 4)
        filled = lot[1] < 0.12 * mouth.care
        (mouth.metal if filled else mouth.pulps).append(map_points(canal, place))
    if lot[2] < 0.10 * mouth.care:
        mouth.metal.append(map_points(crown[[0, 1, 2, 3, -5, -4, -3, -2, -1]], place))
    elif lot[2] < (0.55 if w > 6.8 else 0.08) * mouth.care:
        x, width, depth = lot[3] * 0.3 - 0.15, 0.15 + 0.2 * rng.random(), 0.25 + 0.3 * rng.random()
        box = np.array(
            [(x - width, 0.02), (x + width, 0.0), (x + 0.8 * width, depth), (x, 1.1 * depth), (x - width, depth)]
        )
        mouth.metal.append(map_points(closed_curve(box * (w, h), 3), place))


def draw_tooth_layers(pencil: Pencil, mouth: Dentition) -> None:
    """Adds the layers that the teeth have in common: sockets around their roots, pulps, enamel, metal."""
    thin, weight = 0.28 * mouth.scale, 2.0 * mouth.depth * mouth.scale
    pencil.add_lines(mouth.sockets, width=3.4 * thin, thickness=0.5 * weight)
    pencil.add_lines(mouth.sockets, width=1.2 * thin, thickness=-1.3 * weight)
    pencil.add_flat_shapes(mouth.pulps, -1.1 * weight, blur=0.22 * mouth.scale)
    pencil.add_flat_shapes(mouth.enamel, 2.1 * weight, blur=0.15 * mouth.scale)
    pencil.add_flat_shapes(mouth.metal, 9.0 * weight)
    np.maximum(pencil.canvas.bone, 0, out=pencil.canvas.bone)


def draw_spongy_bone(pencil: Pencil, shapes: Sequence[Points], thickness: float, cell: float) -> None:
    """Adds one spongy bone of these shapes, with this thickness (mm of cortex) and with meshes of `cell` mm."""
    canvas, curves = pencil.canvas, [closed_curve(corners, 6) for corners in shapes]
    stencil = pencil.make_stencil(curves, 3 * cell)
    if stencil is None:
        return
    mask, window, low = stencil
    for curve in curves:
        fill_polygon(mask, map_points(curve, pencil.to_px) - low)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.7 * cell / canvas.pitch))
    uneven = np.ones(mask.shape, np.float32)
    for mesh, share in ((1.0, 0.10), (2.2, 0.13), (14.0, 0.10)):
        rows, columns = (max(2, round(side * canvas.pitch / (cell * mesh))) for side in mask.shape)
        noise = pencil.rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(share)
        uneven += cv2.resize(noise, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    canvas.bone[window] += mask * np.maximum(uneven, 0.2) * np.float32(thickness / 255)


def _draw_tooth_row(pencil: Pencil, mouth: Dentition, teeth: Sequence[_ToothShape], upper: bool) -> None:
    """Adds a few teeth side by side, with their biting edges near y = 0."""
    rng, s = pencil.rng, mouth.scale
    x = -0.5 * sum(tooth[0] for tooth in teeth) + float(rng.normal(0, 2.5))
    slope = float(rng.normal(0, 0.05))
    for tooth in teeth:
        width = tooth[0]
        at = np.array([x + 0.5 * width, (-0.9 if upper else 0.9) + slope * x + float(rng.normal(0, 0.35))]) * s
        draw_tooth(pencil, mouth, tooth, at, float(rng.normal(0, 3.5)) + (180.0 if upper else 0.0))
        x += width * float(rng.choice((1.0, 1.03, 1.12), p=(0.6, 0.3, 0.1)))


def _draw_jaw_bone(pencil: Pencil, crest: float, upper: bool) -> None:
    """Adds bone and gum from the crest, `crest` mm from the biting edges, to the edge of the film."""
    s = MAGNIFICATION * (-1 if upper else 1)
    x = np.linspace(-34, 34, 18)
    top = crest + pencil.rng.normal(0, 0.5, 18)
    bone = np.vstack([np.column_stack([x, top]), [(36.0, 48.0), (-36.0, 48.0)]]) * (MAGNIFICATION, s)
    draw_spongy_bone(pencil, [bone], float(pencil.rng.uniform(2.8, 4.5)), 0.45 * MAGNIFICATION)
    pencil.add_lines([open_curve(bone[:-2], 4)], width=0.7 * MAGNIFICATION, thickness=1.0, blur=0.2 * MAGNIFICATION)
    pencil.add_mass(bone - (0, 2.5 * s), 16.0, blur=3.0)


def _choose_teeth(rng: np.random.Generator, arch: tuple[_ToothShape, ...]) -> list[_ToothShape]:
    """The front teeth, or the teeth of one cheek."""
    if rng.random() < 0.4:
        return [*arch[2::-1], *arch[:3]]
    return list(arch[2:8])[:: int(rng.choice((-1, 1)))]


def draw_few_teeth(pencil: Pencil) -> None:
    """A dental film: a few whole teeth of one jaw, or a bitewing with the crowns of both jaws."""
    rng, s = pencil.rng, MAGNIFICATION
    mouth = Dentition(scale=s, depth=0.30, care=float(rng.random()))
    pencil.add_mass(np.array([(-40, -40), (40, -40), (40, 40), (-40, 40)]) * s, float(rng.uniform(8, 22)), blur=8)
    bitewing = rng.random() < 0.4
    upper = bool(rng.random() < 0.5)
    crest = float(rng.uniform(9.0, 12.5))
    cheek = bool(rng.random() < 0.6)
    # The middle of the film lies between the jaws, or halfway along the teeth of one jaw.
    shift = affine_map(0, (0, 0.0 if bitewing else 12.5 * s if upper else -12.5 * s))
    moved = Pencil(canvas=pencil.canvas, to_px=_shifted_map(pencil, shift), rng=rng, wobble=0.012)
    for in_upper_jaw in (True, False):
        if not bitewing and in_upper_jaw != upper:
            continue
        _draw_jaw_bone(moved, crest, in_upper_jaw)
        arch = UPPER_TEETH if in_upper_jaw else LOWER_TEETH
        teeth = list(arch[3:8]) if bitewing and cheek else _choose_teeth(rng, arch)
        _draw_tooth_row(moved, mouth, teeth, in_upper_jaw)
    draw_tooth_layers(moved, mouth)
    if upper and not bitewing and rng.random() < 0.6:
        floor = np.array([(-40, -22), (-20, -21), (0, -19), (16, -22), (40, -26)]) * s
        moved.add_lines(
            [closed_curve(np.vstack([floor, [(40 * s, -60 * s), (-40 * s, -60 * s)]]), 6)], width=2.6, thickness=3
        )
        moved.add_mass(np.vstack([floor, [(40 * s, -60 * s), (-40 * s, -60 * s)]]), -9, blur=1.5)


def _shifted_map(pencil: Pencil, shift: Affine) -> Affine:
    """The map to pixels of a drawing that is shifted."""
    to_px = pencil.to_px.copy()
    to_px[:, 2] += to_px[:, :2] @ shift[:, 2]
    return to_px
