"""Films without labelled joints, for the hand filter: other parts of the body, and feet from the side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Canvas, affine_map, blank_canvas
from rajobs.phantoms.drawing.exposure import (
    cover_unlit,
    detected_attenuation,
    displayed_grey,
    draw_exposure,
    stored_values,
    write_side_marker,
)
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.people.cohort import PlannedFilm
from rajobs.phantoms.picture import Picture, Truth
from rajobs.phantoms.presets import Preset, film_shape
from rajobs.phantoms.radiographs.film_layout import Placement, draw_shutter, draw_side_marker
from rajobs.phantoms.radiographs.foreign_objects import photograph_film
from rajobs.phantoms.radiographs.other_parts import ankle, hip_and_shoulder, jaw, limbs, skull, teeth, trunk
from rajobs.phantoms.radiographs.random_streams import RandomStreams


@dataclass(frozen=True, kw_only=True)
class BodyPart:
    """How a part of the body is drawn, and which rectangles of it (mm, x0 y0 x1 y1) a film can show."""

    draw: Callable[[Pencil, Build], None]
    whole: tuple[float, float, float, float]
    position: str  # view position
    half: tuple[float, float, float, float] | None = None  # the rectangle of films of one side
    sided: bool = False  # whether it is a left or a right part
    turned_share: float = 0.05  # share of films that lie on their side or upside down
    magnification: float = 1.0  # of the drawing over real size


def _ignoring_build(draw: Callable[[Pencil], None]) -> Callable[[Pencil, Build], None]:
    """The drawing of a part that does not depend on the person's build."""
    return lambda pencil, _: draw(pencil)


_PARTS: Mapping[str, BodyPart] = MappingProxyType(
    {
        "chest": BodyPart(
            draw=_ignoring_build(trunk.draw_chest),
            whole=(-165, -195, 165, 170),
            position="PA",
            half=(-150, -215, 150, 120),
            turned_share=0.02,
        ),
        "abdomen": BodyPart(
            draw=_ignoring_build(trunk.draw_abdomen), whole=(-165, -205, 165, 205), position="AP", turned_share=0.08
        ),
        "spine": BodyPart(
            draw=_ignoring_build(trunk.draw_spine), whole=(-110, -200, 110, 200), position="AP", turned_share=0.08
        ),
        "hip": BodyPart(
            draw=_ignoring_build(hip_and_shoulder.draw_hip),
            whole=(-175, -160, 175, 160),
            position="AP",
            half=(-25, -130, 195, 190),
            turned_share=0.03,
        ),
        "shoulder": BodyPart(
            draw=_ignoring_build(hip_and_shoulder.draw_shoulder),
            whole=(-150, -90, 80, 160),
            position="AP",
            sided=True,
            turned_share=0.05,
        ),
        "skull": BodyPart(
            draw=_ignoring_build(skull.draw_skull), whole=(-112, -148, 118, 125), position="AP", turned_share=0.08
        ),
        "neck": BodyPart(
            draw=_ignoring_build(skull.draw_skull), whole=(-88, 8, 78, 200), position="LL", turned_share=0.04
        ),
        "jaw": BodyPart(
            draw=_ignoring_build(jaw.draw_jaw), whole=(-140, -76, 140, 78), position="PA", turned_share=0.04
        ),
        "teeth": BodyPart(
            draw=_ignoring_build(teeth.draw_few_teeth),
            whole=(-76, -58, 76, 58),
            position="AP",
            half=(-54, -70, 54, 70),
            turned_share=0.1,
            magnification=teeth.MAGNIFICATION,
        ),
        "knee": BodyPart(
            draw=_ignoring_build(limbs.draw_knee),
            whole=(-80, -160, 80, 150),
            position="AP",
            sided=True,
            turned_share=0.25,
        ),
        "lower_leg": BodyPart(
            draw=_ignoring_build(limbs.draw_lower_leg),
            whole=(-75, -270, 75, 90),
            position="AP",
            sided=True,
            turned_share=0.25,
        ),
        "humerus": BodyPart(
            draw=_ignoring_build(limbs.draw_upper_arm),
            whole=(-75, -190, 75, 180),
            position="AP",
            sided=True,
            turned_share=0.15,
        ),
        "ankle": BodyPart(
            draw=ankle.draw_ankle, whole=(-95, -120, 215, 105), position="LL", sided=True, turned_share=0.35
        ),
        "elbow": BodyPart(
            draw=_ignoring_build(limbs.draw_elbow),
            whole=(-70, -120, 90, 120),
            position="AP",
            sided=True,
            turned_share=0.3,
        ),
        "forearm": BodyPart(
            draw=limbs.draw_forearm, whole=(-75, -25, 100, 220), position="AP", sided=True, turned_share=0.3
        ),
    }
)


def _draw_and_enlarge(
    canvas: Canvas,
    shape: tuple[int, int],
    to_px: Affine,
    part: BodyPart,
    build: Build,
    rng: np.random.Generator,
) -> Canvas:
    """Draws a part on a canvas that may be coarser than the film, and enlarges the canvas to the film's shape."""
    pencil = Pencil(canvas=canvas, to_px=to_px, rng=rng, wobble=0.008)
    part.draw(pencil, build)
    np.maximum(canvas.soft, 0, out=canvas.soft)
    if canvas.shape == shape:
        return canvas
    scale = shape[0] / canvas.shape[0]
    return replace(
        canvas,
        bone=cv2.resize(canvas.bone, (shape[1], shape[0])),
        pitch=canvas.pitch / scale,
        coarse_step=max(1, round(canvas.coarse_step * scale)),
    )


def _choose_window(part: BodyPart, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[float, Affine, float]:
    """Pitch of a film, map from body mm to its pixels, and its turn in degrees."""
    x0, y0, x1, y1 = part.half if part.half and rng.random() < 0.45 else part.whole
    zoom = float(rng.uniform(0.7, 1.1))
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 0.07, 2) * (x1 - x0, y1 - y0)
    turn = float(rng.normal(0, 3)) + (
        float(rng.choice((90.0, 180.0, 270.0))) if rng.random() < part.turned_share else 0.0
    )
    lying = abs(np.sin(np.deg2rad(turn))) > 0.7
    span = np.array([y1 - y0, x1 - x0] if lying else [x1 - x0, y1 - y0]) * zoom
    pitch = float(max(span[0] / shape[1], span[1] / shape[0]))
    to_px = affine_map(
        turn, (0, 0), scale=1 / pitch, mirror=bool(rng.random() < 0.5) and (part.sided or part.half is not None)
    )
    to_px[:, 2] = np.array([shape[1] / 2, shape[0] / 2]) - to_px[:, :2] @ centre
    return pitch, to_px, turn


def draw_part_film(film: PlannedFilm, build: Build, preset: Preset, streams: RandomStreams) -> Picture:
    """A film of any part in `_PARTS`; its only label is its view."""
    film_rng = streams.film
    part = _PARTS[film.part]
    wide = part.whole[2] - part.whole[0] > part.whole[3] - part.whole[1]
    shape = film_shape(film.size, sideways=wide if film_rng.random() < 0.8 else not wide)
    pitch, to_px, turn = _choose_window(part, film_rng, shape)
    # Large films are drawn at half their resolution: nothing is measured on them, and it is much faster.
    coarse_shape = shape if max(shape) < 1200 else (-(-shape[0] // 2), -(-shape[1] // 2))
    ratio = shape[0] / coarse_shape[0]
    canvas = blank_canvas(coarse_shape, pitch * ratio, streams.texture)
    canvas = _draw_and_enlarge(canvas, shape, to_px / ratio, part, build, streams.anatomy)
    exposure = draw_exposure(streams.exposure, preset, peak_attenuation=1.2)
    values = detected_attenuation(canvas, exposure)
    low, high = np.percentile(values[::8, ::8], (3.0, 99.0))
    span = float(max(high - low, 0.3))
    exposure = replace(
        exposure,
        saturate=False,
        gamma=float(np.exp(film_rng.normal(-0.2, 0.4))),
        span=span * float(film_rng.uniform(0.85, 1.3)),
        floor=float(low) + span * float(film_rng.uniform(-0.12, 0.22)),
    )
    shown = displayed_grey(values, canvas, exposure)
    side = film.sides[0] if film.sides else str(film_rng.choice(("L", "R")))
    # On a film of a limb, often only a strip along the limb is lit.
    across = int(abs(np.sin(np.deg2rad(turn))) > 0.7)
    margin = np.array([shape[1], shape[0]]) * film_rng.uniform(0.0, 0.12, 2)
    margin[across] *= float(film_rng.uniform(1.0, 2.5)) if part.sided else 1.0
    lit_corners = np.array(
        [margin, (shape[1] - margin[0], margin[1]), (shape[1], shape[0]) - margin, (margin[0], shape[0] - margin[1])]
    )
    placement = Placement(pitch=canvas.pitch, to_px=(to_px,), angle=turn, lit_corners=lit_corners)
    shutter = draw_shutter(film_rng, placement, shape)
    marker = draw_side_marker(film_rng, canvas, side, shutter, turn)
    if marker is not None:
        write_side_marker(shown, marker, canvas.pitch)
    shown, _ = photograph_film(cover_unlit(shown, shutter, canvas.pitch), streams.foreign_objects, preset)
    highest = float((1 << exposure.bits) - 1)
    return Picture(
        frames=(stored_values(shown, exposure),),
        modality="CR" if exposure.noise_seed % 3 else "DX",
        body_part=film.part,
        bits=exposure.bits,
        spacing_mm=round(canvas.pitch / part.magnification, 4),
        patient=film.patient,
        taken=film.taken,
        visit=film.visit,
        laterality=side if part.sided else None,
        view_position=part.position,
        inverted=exposure.inverted,
        window=(highest / 2, highest),
        truths=(Truth(study="hand_filter", target="view", value=film.view),),
        difficulty=film.difficulty,
        details={"angle": round(turn, 2), "age": round(film.age, 2), "pitch": canvas.pitch},
    )
