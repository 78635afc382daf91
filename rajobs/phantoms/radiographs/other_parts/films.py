"""Films without labelled joints, for the hand filter: other parts of the body, and feet from the side."""

from dataclasses import replace

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
from rajobs.phantoms.radiographs.bystanders import add_helping_hand
from rajobs.phantoms.radiographs.film_layout import Placement, draw_shutter, draw_side_marker
from rajobs.phantoms.radiographs.foreign_objects import photograph_film
from rajobs.phantoms.radiographs.marks import draw_marks
from rajobs.phantoms.radiographs.other_parts.parts import PARTS, BodyPart
from rajobs.phantoms.radiographs.random_streams import RandomStreams

_HELPED_AGE = 9.0  # years
_HELPED_SHARE = 0.4
"""How often somebody's hands hold a child's limb."""


def _choose_shape(part: BodyPart, size: str | tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Rows and columns of a film: those of a cassette, or a strip along the limb; a size in numbers stays."""
    wide = part.whole[2] - part.whole[0] > part.whole[3] - part.whole[1]
    rows, columns = film_shape(size, sideways=wide if rng.random() < 0.8 else not wide)
    is_strip, narrow = rng.random() < part.strip, float(rng.uniform(0.4, 0.85))
    if is_strip and not isinstance(size, tuple):
        rows, columns = (rows, round(columns * narrow)) if rows > columns else (round(rows * narrow), columns)
    return rows, columns


def _draw_and_enlarge(
    canvas: Canvas,
    shape: tuple[int, int],
    to_px: Affine,
    part: BodyPart,
    build: Build,
    streams: RandomStreams,
) -> Canvas:
    """Draws a part on a canvas that may be coarser than the film, and enlarges the canvas to the film's shape."""
    pencil = Pencil(canvas=canvas, to_px=to_px, rng=streams.anatomy, wobble=0.008)
    part.draw(pencil, build)
    if part.limb and build.age < _HELPED_AGE and streams.bystander.random() < _HELPED_SHARE:
        add_helping_hand(canvas, streams.bystander)
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


def _choose_window(
    part: BodyPart, build: Build, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[float, Affine, float]:
    """Pitch of a film, map from body mm to its pixels, and its turn in degrees."""
    grown = build.size if part.grows else 1.0
    x0, y0, x1, y1 = (edge * grown for edge in (part.half if part.half and rng.random() < 0.45 else part.whole))
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
    """A film of any of PARTS; its only labels are its view and, if that is other, its kind.

    Hands that are no PA hands have no labels of joints: a finder must not learn to show them there.
    """
    film_rng = streams.film
    views = PARTS[film.part]
    frequencies = np.array([view.frequency for view in views])
    part = views[int(film_rng.choice(len(views), p=frequencies / frequencies.sum()))]
    shape = _choose_shape(part, film.size, film_rng)
    pitch, to_px, turn = _choose_window(part, build, film_rng, shape)
    # Large films are drawn at half their resolution: nothing is measured on them, and it is much faster.
    coarse_shape = shape if max(shape) < 1200 else (-(-shape[0] // 2), -(-shape[1] // 2))
    ratio = shape[0] / coarse_shape[0]
    canvas = blank_canvas(coarse_shape, pitch * ratio, streams.texture)
    canvas = _draw_and_enlarge(canvas, shape, to_px / ratio, part, build, streams)
    exposure = draw_exposure(streams.exposure, preset, peak_attenuation=1.2)
    values = detected_attenuation(canvas, exposure)
    low, high = np.percentile(values[::8, ::8], (3.0, part.white))
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
    marks = draw_marks(shown, streams.marks, preset)
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
        truths=tuple(
            Truth(study="hand_filter", target=target, value=value)
            for target, value in {"view": film.view, "kind": film.part}.items()
            if target == "view" or film.view == "other"
        ),
        difficulty=film.difficulty,
        details={"angle": round(turn, 2), "age": round(film.age, 2), "pitch": canvas.pitch, "marks": " ".join(marks)},
    )
