"""Drawn radiographs: a cohort's films in order, or one film of a kind for a network that sees each film once."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rajobs.phantoms.drawing.canvas import Canvas, Points, blank_canvas, move
from rajobs.phantoms.drawing.exposure import Shutter, attenuation, display, draw_exposure, is_lit, shut, stored, write
from rajobs.phantoms.drawing.joint_damage import Scores, stage
from rajobs.phantoms.people.build import Build, draw_build
from rajobs.phantoms.people.cohort import Film, plan_patient, plan_sample
from rajobs.phantoms.people.severity import READERS, reader_stage, readings
from rajobs.phantoms.picture import Picture, Truth
from rajobs.phantoms.presets import Preset, film_shape, preset
from rajobs.phantoms.radiographs.bystanders import draw_neighbour
from rajobs.phantoms.radiographs.film_layout import Item, Placing, draw_angle, draw_letters, draw_shutter, place_items
from rajobs.phantoms.radiographs.foot import Foot, draw_foot, foot_extent, pose_foot
from rajobs.phantoms.radiographs.foreign_objects import dress_hand, photograph
from rajobs.phantoms.radiographs.hand import Hand, draw_hand, hand_extent, pose_hand
from rajobs.phantoms.radiographs.other_parts.films import draw_part
from rajobs.phantoms.radiographs.pose import draw_pose
from rajobs.records.anatomy import SITES

_BESIDE = 0.35
"""How often something lies beside a single hand, over how often other hindrances do."""


def draw_films(*, patients: int, seed: int, size: str = "FULL", difficulty: str = "standard") -> Iterator[Picture]:
    """The films of a cohort, patient by patient, drawn as they are asked for."""
    for number in range(patients):
        for film in plan_patient(number, seed=seed, size=size, difficulty=difficulty):
            yield draw_film(film)


def sample_film(
    rng: np.random.Generator, *, kind: str, size: str | tuple[int, int] = "SMALL", difficulty: str = "standard",
    beside: bool | None = None
) -> Picture:  # fmt: skip
    """One film of a kind (unilateral, both, foot, other) of a person nobody has seen before."""
    return draw_film(plan_sample(rng, kind=kind, size=size, difficulty=difficulty, beside=beside))


def _streams(film: Film) -> list[np.random.Generator]:
    """Independent randomness, so that none disturbs another.

    For pose, film, exposure, dressing, readers, texture and what lies beside.
    """
    return [np.random.Generator(np.random.SFC64(seed)) for seed in np.random.SeedSequence(film.entropy).spawn(7)]


def draw_film(film: Film) -> Picture:
    """The picture of a planned film, with its truth."""
    streams = _streams(film)
    build = draw_build(np.random.default_rng(film.build_seed), sex=film.patient.sex, age=film.age)
    ease = preset(film.difficulty)
    if film.part in ("hand", "foot"):
        return _limb_film(film, build, ease, streams)
    return draw_part(film, build, ease, streams)


def _limb(film: Film, build: Build, side: str, ease: Preset, rng: np.random.Generator) -> tuple[Hand | Foot, Item]:
    scores = film.scores.get(side, {})
    if film.part == "foot":
        foot = pose_foot(build, rng, ease, side, scores)
        return foot, Item(around=foot_extent(foot), mirrored=side == "L", down=np.array([0.0, 1.0]), tail=foot.heel)
    hand = pose_hand(build, draw_pose(rng, ease, drift=film.drift), side, scores)
    down = np.array([np.sin(np.deg2rad(hand.pose.wrist)), np.cos(np.deg2rad(hand.pose.wrist))])
    return hand, Item(around=hand_extent(hand), mirrored=side == "L", down=down, tail=hand.pose.forearm * build.size)


def _limb_film(film: Film, build: Build, ease: Preset, streams: list[np.random.Generator]) -> Picture:
    pose_rng, film_rng, _, dress_rng, _, texture_rng, beside_rng = streams
    limbs = [_limb(film, build, side, ease, pose_rng) for side in film.sides]
    likely = _BESIDE * ease.clutter if film.beside is None else float(film.beside)
    if film.view == "unilateral" and beside_rng.random() < likely:
        limbs.append(draw_neighbour(build, ease, limbs[0][1], beside_rng))
    angle = draw_angle(film_rng, ease)
    lying = abs(np.sin(np.deg2rad(angle))) > 0.7
    sideways = lying != (len(limbs) > 1) if film_rng.random() < 0.85 else bool(film_rng.random() < 0.5)
    shape = film_shape(film.size, sideways=sideways)
    placing = place_items(film_rng, [item for _, item in limbs], shape, angle, ease)
    shutter = draw_shutter(film_rng, placing, shape)
    canvas = blank_canvas(shape, placing.pitch, texture_rng)
    shown = len(film.sides)
    for number, ((limb, _), to_px) in enumerate(zip(limbs, placing.to_px, strict=True)):
        if isinstance(limb, Foot):
            draw_foot(canvas, limb, to_px)
            continue
        draw_hand(canvas, limb, to_px)
        if number < shown:
            dress_hand(canvas, limb, to_px, dress_rng, ease)
    # What lies beside the examined limbs is drawn, and no truth is told of it.
    examined = replace(placing, to_px=placing.to_px[:shown])
    return _finish(film, canvas, ease, streams, examined, shutter, [limb for limb, _ in limbs[:shown]])


def _finish(
    film: Film, canvas: Canvas, ease: Preset, streams: list[np.random.Generator], placing: Placing,
    shutter: Shutter | None,
    limbs: list[Hand | Foot],
) -> Picture:  # fmt: skip
    _, film_rng, exposure_rng, dress_rng, reader_rng, *_ = streams
    exposure = draw_exposure(exposure_rng, ease, dense=limbs[0].dense)
    shown = display(attenuation(canvas, exposure), canvas, exposure)
    for text, limb, to_px in zip(film.sides, limbs, placing.to_px, strict=True):
        near = move(np.array(list(limb.joints.values())), to_px)
        letters = draw_letters(film_rng, canvas, text, shutter, placing.angle, near)
        if letters is not None:
            write(shown, letters, canvas.pitch)
    shown = shut(shown, shutter, canvas.pitch)
    shown, warp = photograph(shown, dress_rng, ease)
    truths = [Truth(study="hand_filter", target="view", value=film.view)]
    for side, limb, to_px in zip(film.sides, limbs, placing.to_px, strict=True):
        lit = {site: move(at[None], to_px)[0] for site, at in limb.joints.items()}
        places = {site: move(at[None], warp)[0] for site, at in lit.items() if is_lit(shutter, at)}
        truths += _side_truths(film, side, limb, places, canvas.shape, ease, reader_rng)
    one = film.sides[0] if len(film.sides) == 1 else None
    top = float((1 << exposure.bits) - 1)
    return Picture(
        frames=(stored(shown, exposure),),
        modality="CR" if exposure.noise_seed % 3 else "DX",
        body_part=film.part,
        bits=exposure.bits,
        spacing_mm=round(canvas.pitch / float(np.hypot(*warp[:, 0])), 4),
        patient=film.patient,
        taken=film.taken,
        visit=film.visit,
        laterality=one,
        view_position="PA" if film.part == "hand" else "AP",
        inverted=exposure.inverted,
        window=(top / 2, top),
        truths=tuple(truths),
        difficulty=film.difficulty,
        details={"angle": round(placing.angle, 2), "age": round(film.age, 2), "pitch": canvas.pitch},
    )


def _in_frame(at: Points, shape: tuple[int, int]) -> bool:
    return 0 <= at[0] <= shape[1] - 1 and 0 <= at[1] <= shape[0] - 1


def _side_truths(
    film: Film, side: str, limb: Hand | Foot, places: dict[str, Points], shape: tuple[int, int], ease: Preset,
    rng: np.random.Generator
) -> list[Truth]:  # fmt: skip
    shown = [site for site, at in places.items() if site in SITES and _in_frame(at, shape)]
    truths = []
    for site in shown:
        for target, value in zip("xy", places[site], strict=True):
            truths.append(Truth(study="joint_detection", target=target, value=f"{value:.1f}", side=side, site=site))
    scores: Scores = {site: score for site, score in film.scores.get(side, {}).items() if site in limb.joints}
    by_reader = {"truth": scores} | {reader: readings(rng, scores, ease) for reader in READERS}
    stages = {"truth": stage(scores)} | {reader: reader_stage(rng, scores, ease) for reader in READERS}
    for reader, read in by_reader.items():
        for site in shown:
            if site in read:
                truths += _score_truths(site, read[site].jsn, read[site].erosion, side, reader)
    if isinstance(limb, Hand):
        truths.append(Truth(study="ra_recognition", target="ra", value=str(int(stages["truth"] > 0)), side=side))
        truths += [
            Truth(study="ra_staging", target="stage", value=str(s), side=side, reader=r) for r, s in stages.items()
        ]
    return truths


def _score_truths(site: str, jsn: int, erosion: int, side: str, reader: str) -> list[Truth]:
    place = SITES[site]
    pairs = [("jsn", jsn)] * (place.jsn_max is not None) + [("erosion", erosion)] * (place.erosion_max is not None)
    return [Truth(study="svdh_scoring", target=t, value=str(v), side=side, site=site, reader=reader) for t, v in pairs]
