"""Films for the filter that show no joint with a name: other parts, and a foot from the side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import Canvas, affine, blank_canvas
from rajobs.phantoms.drawing.exposure import attenuation, display, draw_exposure, shut, stored, write
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.people.cohort import Film
from rajobs.phantoms.picture import Picture, Truth
from rajobs.phantoms.presets import Preset, film_shape
from rajobs.phantoms.radiographs.film_layout import Placing, draw_letters, draw_shutter
from rajobs.phantoms.radiographs.foreign_objects import photograph
from rajobs.phantoms.radiographs.other_parts import ankle, hip_and_shoulder, jaw, limbs, skull, teeth, trunk


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part's drawing, the rectangle (mm, x0 y0 x1 y1) a film of it shows, and how it is taken."""

    draw: Callable[[Pencil, Build], None]
    view: tuple[float, float, float, float]
    position: str
    half: tuple[float, float, float, float] | None = None  # what a film of one side shows
    sided: bool = False
    turns: float = 0.05  # how often it lies on its side or upside down
    magnified: float = 1.0  # how many times as large as life it is drawn


def _anybody(draw: Callable[[Pencil], None]) -> Callable[[Pencil, Build], None]:
    """A part that is drawn without regard to the person's build."""
    return lambda pencil, _: draw(pencil)


_PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "chest": Part(
            draw=_anybody(trunk.chest),
            view=(-165, -195, 165, 170),
            position="PA",
            half=(-150, -215, 150, 120),
            turns=0.02,
        ),
        "abdomen": Part(draw=_anybody(trunk.abdomen), view=(-165, -205, 165, 205), position="AP", turns=0.08),
        "spine": Part(draw=_anybody(trunk.backbone), view=(-110, -200, 110, 200), position="AP", turns=0.08),
        "hip": Part(
            draw=_anybody(hip_and_shoulder.hip),
            view=(-175, -160, 175, 160),
            position="AP",
            half=(-25, -130, 195, 190),
            turns=0.03,
        ),
        "shoulder": Part(
            draw=_anybody(hip_and_shoulder.shoulder), view=(-150, -90, 80, 160), position="AP", sided=True, turns=0.05
        ),
        "skull": Part(draw=_anybody(skull.skull), view=(-112, -148, 118, 125), position="AP", turns=0.08),
        "neck": Part(draw=_anybody(skull.skull), view=(-88, 8, 78, 200), position="LL", turns=0.04),
        "jaw": Part(draw=_anybody(jaw.jaw), view=(-140, -76, 140, 78), position="PA", turns=0.04),
        "teeth": Part(
            draw=_anybody(teeth.few_teeth),
            view=(-76, -58, 76, 58),
            position="AP",
            half=(-54, -70, 54, 70),
            turns=0.1,
            magnified=teeth.MAGNIFIED,
        ),
        "knee": Part(draw=_anybody(limbs.knee), view=(-80, -160, 80, 150), position="AP", sided=True, turns=0.25),
        "lower_leg": Part(
            draw=_anybody(limbs.lower_leg), view=(-75, -270, 75, 90), position="AP", sided=True, turns=0.25
        ),
        "humerus": Part(
            draw=_anybody(limbs.upper_arm), view=(-75, -190, 75, 180), position="AP", sided=True, turns=0.15
        ),
        "ankle": Part(draw=ankle.ankle, view=(-95, -120, 215, 105), position="LL", sided=True, turns=0.35),
        "elbow": Part(draw=_anybody(limbs.elbow), view=(-70, -120, 90, 120), position="AP", sided=True, turns=0.3),
        "forearm": Part(draw=limbs.forearm, view=(-75, -25, 100, 220), position="AP", sided=True, turns=0.3),
    }
)


def _half(
    canvas: Canvas,
    shape: tuple[int, int],
    to_px: np.ndarray,
    part: Part,
    build: Build,
    rng: np.random.Generator,
) -> Canvas:
    """Draws at half the pitch of a large film: these films are not measured, and it is much faster."""
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
        step=max(1, round(canvas.step * scale)),
    )


def _window(
    film: Film, part: Part, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[float, np.ndarray, float]:
    """Pitch, map of body mm to pixels, and the turn of a film."""
    x0, y0, x1, y1 = part.half if part.half and rng.random() < 0.45 else part.view
    zoom = float(rng.uniform(0.7, 1.1))
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 0.07, 2) * (x1 - x0, y1 - y0)
    turn = float(rng.normal(0, 3)) + (float(rng.choice((90.0, 180.0, 270.0))) if rng.random() < part.turns else 0.0)
    lying = abs(np.sin(np.deg2rad(turn))) > 0.7
    span = np.array([y1 - y0, x1 - x0] if lying else [x1 - x0, y1 - y0]) * zoom
    pitch = float(max(span[0] / shape[1], span[1] / shape[0]))
    to_px = affine(
        turn, (0, 0), scale=1 / pitch, mirror=bool(rng.random() < 0.5) and (part.sided or part.half is not None)
    )
    to_px[:, 2] = np.array([shape[1] / 2, shape[0] / 2]) - to_px[:, :2] @ centre
    return pitch, to_px, turn


def draw_part(film: Film, build: Build, ease: Preset, streams: list[np.random.Generator]) -> Picture:
    """A film of any part in `_PARTS`, which tells its view and nothing of joints."""
    draw_rng, film_rng, exposure_rng, dress_rng, _, texture_rng, _ = streams
    part = _PARTS[film.part]
    wide = part.view[2] - part.view[0] > part.view[3] - part.view[1]
    shape = film_shape(film.size, sideways=wide if film_rng.random() < 0.8 else not wide)
    pitch, to_px, turn = _window(film, part, film_rng, shape)
    draft = shape if max(shape) < 1200 else (-(-shape[0] // 2), -(-shape[1] // 2))
    ratio = shape[0] / draft[0]
    canvas = blank_canvas(draft, pitch * ratio, texture_rng)
    canvas = _half(canvas, shape, to_px / ratio, part, build, draw_rng)
    exposure = draw_exposure(exposure_rng, ease, dense=1.2)
    values = attenuation(canvas, exposure)
    low, high = np.percentile(values[::8, ::8], (3.0, 99.0))
    room = float(max(high - low, 0.3))
    exposure = replace(
        exposure,
        saturate=False,
        gamma=float(np.exp(film_rng.normal(-0.2, 0.4))),
        span=room * float(film_rng.uniform(0.85, 1.3)),
        floor=float(low) + room * float(film_rng.uniform(-0.12, 0.22)),
    )
    shown = display(values, canvas, exposure)
    side = film.sides[0] if film.sides else str(film_rng.choice(("L", "R")))
    # A limb's film is often lit as a strip along the limb.
    across = int(abs(np.sin(np.deg2rad(turn))) > 0.7)
    margin = np.array([shape[1], shape[0]]) * film_rng.uniform(0.0, 0.12, 2)
    margin[across] *= float(film_rng.uniform(1.0, 2.5)) if part.sided else 1.0
    lit = np.array(
        [margin, (shape[1] - margin[0], margin[1]), (shape[1], shape[0]) - margin, (margin[0], shape[0] - margin[1])]
    )
    placing = Placing(pitch=canvas.pitch, to_px=(to_px,), angle=turn, lit=lit)
    shutter = draw_shutter(film_rng, placing, shape)
    letters = draw_letters(film_rng, canvas, side, shutter, turn)
    if letters is not None:
        write(shown, letters, canvas.pitch)
    shown, _ = photograph(shut(shown, shutter, canvas.pitch), dress_rng, ease)
    top = float((1 << exposure.bits) - 1)
    return Picture(
        frames=(stored(shown, exposure),),
        modality="CR" if exposure.noise_seed % 3 else "DX",
        body_part=film.part,
        bits=exposure.bits,
        spacing_mm=round(canvas.pitch / part.magnified, 4),
        patient=film.patient,
        taken=film.taken,
        visit=film.visit,
        laterality=side if part.sided else None,
        view_position=part.position,
        inverted=exposure.inverted,
        window=(top / 2, top),
        truths=(Truth(study="hand_filter", target="view", value=film.view),),
        difficulty=film.difficulty,
        details={"angle": round(turn, 2), "age": round(film.age, 2), "pitch": canvas.pitch},
    )
