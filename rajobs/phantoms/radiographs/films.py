"""Drawn radiographs: the films of a cohort in order, or single films of a kind for networks that see each only once."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.phantoms.drawing.canvas import Canvas, Points, blank_canvas, map_points
from rajobs.phantoms.drawing.exposure import (
    Shutter,
    cover_unlit,
    detected_attenuation,
    displayed_grey,
    draw_exposure,
    is_lit,
    stored_values,
    write_side_marker,
)
from rajobs.phantoms.drawing.rays import is_assessable
from rajobs.phantoms.people.build import Build, draw_build
from rajobs.phantoms.people.cohort import PlannedFilm, plan_patient, plan_sample
from rajobs.phantoms.people.joint_scores import Score, Scores, hand_stage
from rajobs.phantoms.people.severity import READERS, simulate_readings, simulate_stage_reading
from rajobs.phantoms.picture import Picture, Truth
from rajobs.phantoms.presets import Preset, film_shape, get_preset
from rajobs.phantoms.radiographs.bystanders import draw_bystander
from rajobs.phantoms.radiographs.film_layout import (
    FilmItem,
    Placement,
    draw_angle,
    draw_shutter,
    draw_side_marker,
    place_items,
)
from rajobs.phantoms.radiographs.foot import Foot, draw_foot, foot_extent, pose_foot
from rajobs.phantoms.radiographs.foreign_objects import add_foreign_objects, photograph_film
from rajobs.phantoms.radiographs.hand import Hand, draw_hand, hand_extent, pose_hand
from rajobs.phantoms.radiographs.marks import draw_marks
from rajobs.phantoms.radiographs.other_parts.films import draw_part_film
from rajobs.phantoms.radiographs.pose import draw_pose
from rajobs.phantoms.radiographs.random_streams import RandomStreams, open_streams
from rajobs.records.anatomy import SITES
from rajobs.records.label_consensus import PRESENT

_BYSTANDER_SHARE = 0.35
"""How often a bystander lies beside a single hand, over how often other disturbances occur."""


def draw_films(
    *, patients: int, seed: int, size: str = "FULL", difficulty: str = "standard", repeats: bool = False
) -> Iterator[Picture]:
    """The films of a cohort, patient by patient, each drawn when it is asked for."""
    for number in range(patients):
        for film in plan_patient(number, seed=seed, size=size, difficulty=difficulty, repeats=repeats):
            yield draw_film(film)


def sample_film(
    rng: np.random.Generator, *, kind: str, size: str | tuple[int, int] = "SMALL", difficulty: str = "standard",
    beside: bool | None = None, even_scores: bool = False,
) -> Picture:  # fmt: skip
    """One film of a kind (unilateral, both, foot, other) of a new person."""
    film = plan_sample(rng, kind=kind, size=size, difficulty=difficulty, beside=beside, even_scores=even_scores)
    return draw_film(film)


def draw_film(film: PlannedFilm) -> Picture:
    """The picture of a planned film, with its truth."""
    streams = open_streams(film)
    build = draw_build(np.random.default_rng(film.build_seed), sex=film.patient.sex, age=film.age)
    preset = get_preset(film.difficulty)
    if film.part in ("hand", "foot"):
        return _draw_extremity_film(film, build, preset, streams)
    return draw_part_film(film, build, preset, streams)


def _pose_extremity(
    film: PlannedFilm, build: Build, side: str, preset: Preset, rng: np.random.Generator
) -> tuple[Hand | Foot, FilmItem]:
    """A hand or foot in a random pose, and what the layout of the film needs to know of it."""
    scores = film.scores.get(side, {})
    if film.part == "foot":
        foot = pose_foot(build, rng, preset, side, scores)
        return foot, FilmItem(
            extent=foot_extent(foot), mirrored=side == "L", direction=np.array([0.0, 1.0]), limb_mm=foot.heel
        )
    hand = pose_hand(build, draw_pose(rng, preset, drift=film.drift), side, scores)
    return hand, FilmItem(
        extent=hand_extent(hand), mirrored=side == "L", direction=hand.pose.forearm_direction,
        limb_mm=hand.pose.forearm * build.size,
    )  # fmt: skip


def _draw_extremity_film(film: PlannedFilm, build: Build, preset: Preset, streams: RandomStreams) -> Picture:
    """A film of hands or of feet."""
    extremities = [_pose_extremity(film, build, side, preset, streams.anatomy) for side in film.sides]
    bystander_share = _BYSTANDER_SHARE * preset.clutter if film.beside is None else float(film.beside)
    if film.view == "unilateral" and streams.bystander.random() < bystander_share:
        extremities.append(draw_bystander(build, preset, extremities[0][1], streams.bystander))
    angle = draw_angle(streams.film, preset)
    lying = abs(np.sin(np.deg2rad(angle))) > 0.7
    fitting = lying != (len(extremities) > 1)
    sideways = fitting if streams.film.random() < 0.85 else bool(streams.film.random() < 0.5)
    shape = film_shape(film.size, sideways=sideways)
    placement = place_items(streams.film, [item for _, item in extremities], shape, angle, preset)
    shutter = draw_shutter(streams.film, placement, shape)
    canvas = blank_canvas(shape, placement.pitch, streams.texture)
    examined = len(film.sides)
    for number, ((extremity, _), to_px) in enumerate(zip(extremities, placement.to_px, strict=True)):
        if isinstance(extremity, Foot):
            draw_foot(canvas, extremity, to_px)
            continue
        draw_hand(canvas, extremity, to_px)
        if number < examined:
            add_foreign_objects(canvas, extremity, to_px, streams.foreign_objects, preset)
    # A bystander is drawn, but no label mentions it.
    placement = replace(placement, to_px=placement.to_px[:examined])
    return _expose_extremity_film(
        film, canvas, preset, streams, placement, shutter, [extremity for extremity, _ in extremities[:examined]]
    )


def _expose_extremity_film(
    film: PlannedFilm, canvas: Canvas, preset: Preset, streams: RandomStreams, placement: Placement,
    shutter: Shutter | None, extremities: list[Hand | Foot],
) -> Picture:  # fmt: skip
    """The picture of a drawn canvas with these examined extremities, and its truth."""
    exposure = draw_exposure(streams.exposure, preset, peak_attenuation=extremities[0].peak_attenuation)
    shown = displayed_grey(detected_attenuation(canvas, exposure), canvas, exposure)
    for text, extremity, to_px in zip(film.sides, extremities, placement.to_px, strict=True):
        joints = map_points(np.array(list(extremity.joints.values())), to_px)
        marker = draw_side_marker(streams.film, canvas, text, shutter, placement.angle, joints)
        if marker is not None:
            write_side_marker(shown, marker, canvas.pitch)
    shown = cover_unlit(shown, shutter, canvas.pitch)
    shown, warp = photograph_film(shown, streams.foreign_objects, preset)
    marks = draw_marks(shown, streams.marks, preset)
    truths, measures = [Truth(study="hand_filter", target="view", value=film.view)], []
    for side, extremity, to_px in zip(film.sides, extremities, placement.to_px, strict=True):
        drawn_places = {site: map_points(at[None], to_px)[0] for site, at in extremity.joints.items()}
        places = {site: map_points(at[None], warp)[0] for site, at in drawn_places.items() if is_lit(shutter, at)}
        truths += _side_truths(film, side, extremity, places, canvas.shape, preset, streams.readers)
        measures += _joint_spaces(side, extremity, places)
    highest = float((1 << exposure.bits) - 1)
    return Picture(
        frames=(stored_values(shown, exposure),),
        modality="CR" if exposure.noise_seed % 3 else "DX",
        body_part=film.part,
        bits=exposure.bits,
        spacing_mm=round(canvas.pitch / float(np.hypot(*warp[:, 0])), 4),
        patient=film.patient,
        taken=film.taken,
        visit=film.visit,
        laterality=film.sides[0] if len(film.sides) == 1 else None,
        view_position="PA" if film.part == "hand" else "AP",
        inverted=exposure.inverted,
        window=(highest / 2, highest),
        truths=tuple(truths),
        measures=tuple(measures),
        difficulty=film.difficulty,
        details={
            "angle": round(placement.angle, 2),
            "age": round(film.age, 2),
            "pitch": canvas.pitch,
            "marks": " ".join(marks),
        },
    )


def _is_in_frame(at: Points, shape: tuple[int, int]) -> bool:
    """Whether a place (column, row) lies on the film."""
    return bool(0 <= at[0] <= shape[1] - 1 and 0 <= at[1] <= shape[0] - 1)


def _side_truths(
    film: PlannedFilm, side: str, extremity: Hand | Foot, places: dict[str, Points], shape: tuple[int, int],
    preset: Preset, rng: np.random.Generator,
) -> list[Truth]:  # fmt: skip
    """The labels of one hand or foot, whose joints lie at `places` (column, row)."""
    shown = [site for site, at in places.items() if site in SITES and _is_in_frame(at, shape)]
    truths = [
        Truth(study=POSITION_STUDY, target=PRESENT, value="0", side=side, site=site.name)
        for site in SITES.values()
        if site.part == film.part and site.name not in shown  # beyond the film's edge, or lost, or not ossified yet
    ]
    for site in shown:
        for target, value in zip("xy", places[site], strict=True):
            truths.append(Truth(study=POSITION_STUDY, target=target, value=f"{value:.1f}", side=side, site=site))
    scores: Scores = {site: score for site, score in film.scores.get(side, {}).items() if site in extremity.joints}
    by_reader = {"truth": scores} | {reader: simulate_readings(rng, scores, preset) for reader in READERS}
    stages = {"truth": hand_stage(scores)} | {reader: simulate_stage_reading(rng, scores, preset) for reader in READERS}
    assessable = {site: is_assessable(extremity.spaces[site]) for site in shown if site in extremity.spaces}
    truths += [_truth_of_score("assessable", int(seen), side, site, "truth") for site, seen in assessable.items()]
    for reader, reader_scores in by_reader.items():
        for site in shown:
            if site in scores and assessable.get(site, True):  # readers leave out what they cannot see
                truths += _score_truths(site, reader_scores[site], side, reader)
    if isinstance(extremity, Hand):
        truths.append(Truth(study="ra_recognition", target="ra", value=str(int(stages["truth"] > 0)), side=side))
        truths += [
            Truth(study="ra_staging", target="stage", value=str(stage), side=side, reader=reader)
            for reader, stage in stages.items()
        ]
    return truths


def _joint_spaces(side: str, extremity: Hand | Foot, places: dict[str, Points]) -> list[Truth]:
    """The joint spaces in mm that the film shows."""
    spaces = {site: space for site, space in extremity.spaces.items() if site in places and site in SITES}
    return [
        Truth(study="joint_space", target="jsw_mm", value=f"{space.width:.3f}", side=side, site=site)
        for site, space in spaces.items()
        if space.width is not None and is_assessable(space)
    ]


def _score_truths(site: str, score: Score, side: str, reader: str) -> list[Truth]:
    """The labels of a site for the scores that the method has there."""
    limits = SITES[site]
    scores = (("jsn", score.jsn, limits.jsn_max), ("erosion", score.erosion, limits.erosion_max))
    return [
        _truth_of_score(target, value, side, site, reader) for target, value, highest in scores if highest is not None
    ]


def _truth_of_score(target: str, value: int, side: str, site: str, reader: str) -> Truth:
    return Truth(study="svdh_scoring", target=target, value=str(value), side=side, site=site, reader=reader)
