"""Drawn rows for a network to learn from: films, each drawn only once, and scans. No torch is needed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.coding import shrink_to_preview
from rajobs.imaging.formats.ultrasound_regions import blank_outside
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import Row
from rajobs.imaging.views import ViewInput, from_zero
from rajobs.imaging.windowing import apply_grey_range, find_grey_range, to_bytes
from rajobs.learning.points import points_in_view
from rajobs.learning.study import Array, Study
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.radiographs.films import sample_film
from rajobs.phantoms.radiographs.spoiling import joint_places, spoil
from rajobs.phantoms.ultrasound.scans import sample_scan
from rajobs.records.anatomy import FINGER_JOINTS, SIDES

VIEW_SHARES = {
    "films": {"unilateral": 0.24, "beside": 0.09, "both": 0.17, "foot": 0.16, "other": 0.34},
    "extremities": {"unilateral": 0.60, "both": 0.40},
    "joints": {"unilateral": 0.90, "both": 0.10},
}  # fmt: skip
"""Shares of views. `beside`: one hand next to a foot or a child's hand, which is too rare otherwise to be learnt."""
GRADES = 4
DIFFICULTIES = {"easy": 0.1, "standard": 0.5, "hard": 0.4}
SIZES: Mapping[str, Mapping[Any, float]] = {
    "films": {"SMALL": 0.15, (335, 248): 0.50, (248, 335): 0.35},
    "extremities": {"SMALL": 0.55, (1005, 745): 0.30, (745, 1005): 0.15},
    "joints": {(1005, 745): 0.20, (1490, 1104): 0.30, "FULL": 0.35, (1490, 2010): 0.15},
}
"""Shares of sizes (rows, columns). A film that is seen as its preview of 256 pixels may be little larger: that is drawn
sooner; hands need larger films too, since they are cut out."""
WRONG_SIDE = 0.08  # share of the hands that get the other side, so that a network learns to show no joints then


@dataclass(frozen=True, kw_only=True)
class DrawnRow:
    """A row of a drawn film with its array and its truth."""

    array: Array
    row: Row
    labels: Mapping[str, str]  # by target
    points: NDArray[np.float32] | None
    picture: Picture | None  # the whole film; None once it is not needed any more


def draw_rows(study: Study, settings: Mapping[str, Any], seed: tuple[int, ...], films: range) -> Iterator[DrawnRow]:
    """The study's rows of the films with these numbers."""
    chosen = study.view.with_settings(settings)
    for number in films:
        rng = np.random.default_rng((*seed, number))
        size, kind, hard = (
            _choose(rng, shares) for shares in (SIZES[study.rows.name], VIEW_SHARES[study.rows.name], DIFFICULTIES)
        )
        view, beside = ("unilateral", True) if kind == "beside" else (kind, None)
        of_joints = study.rows.labels_name_site
        picture = sample_film(rng, kind=view, size=size, difficulty=hard, beside=beside, even_scores=of_joints)
        if not of_joints:  # a film that is blurred or cut has joints that cannot be scored
            picture = spoil(picture, rng)
        yield from rows_of_picture(study, chosen, picture, number, rng)


def rows_of_picture(
    study: Study, settings: Mapping[str, Any], picture: Picture, number: int, rng: np.random.Generator
) -> Iterator[DrawnRow]:
    """The study's rows of one film; of joints those of fingers."""
    of_joints = study.rows.labels_name_site
    places, image = positions(picture), _to_view_input(picture, study.view.source(settings))
    labels = _labels_by_place(study, picture)
    for row in study.rows.cut(f"drawn-{number}", number, places):
        if of_joints and row.site not in FINGER_JOINTS:
            continue
        own = labels.get((row.side, row.site) if of_joints else (None, None), {})
        if row.side and study.points is not None and rng.random() < WRONG_SIDE:
            row = replace(row, side=next(side for side in SIDES if side != row.side))
        yield DrawnRow(
            array=study.view.draw(image, row, **settings), row=row, labels=own, picture=picture,
            points=_points_in_array(study, row, places, picture, settings),
        )  # fmt: skip


def _labels_by_place(study: Study, picture: Picture) -> dict[tuple[str | None, str | None], dict[str, str]]:
    """A film's true labels of a study, by side and site."""
    labels: dict[tuple[str | None, str | None], dict[str, str]] = {}
    for truth in picture.truths:
        if truth.study == study.name and truth.reader == "truth":
            labels.setdefault((truth.side, truth.site), {})[truth.target] = truth.value
    return labels


def draw_scans(
    study: Study, settings: Mapping[str, Any], seed: int, count: int
) -> tuple[Array, dict[str, list[str | None]]]:
    """Arrays of `count` drawn scans, and their true labels by target.

    All pairs of grades are equally frequent: a network must not infer one grade from the other.
    """
    chosen = tuple(sorted(study.view.with_settings(settings).items()))
    return _draw_scans_once(
        study.view.draw, chosen, (study.name, *(target.name for target in study.targets)), seed, count
    )


@lru_cache(maxsize=1)  # trials of a sweep, folds of a cross-validation and members of a recipe use the same scans
def _draw_scans_once(
    draw: Callable[..., Array], settings: tuple[tuple[str, Any], ...], names: tuple[str, ...], seed: int, count: int
) -> tuple[Array, dict[str, list[str | None]]]:
    study, *targets = names
    arrays = []
    labels: dict[str, list[str | None]] = {target: [] for target in targets}
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        grey, hard = number // GRADES % GRADES, _choose(rng, DIFFICULTIES)
        picture = sample_scan(rng, grade=number % GRADES, grey_grade=grey, difficulty=hard)
        truths = {truth.target: truth.value for truth in picture.truths if truth.study == study}
        for name, values in labels.items():
            values.append(truths.get(name))
        assert picture.region is not None
        frame = blank_outside(picture.frames[0].astype(np.uint8), (picture.region,))  # as ingest keeps it
        arrays.append(draw(ViewInput(pixels=frame), Row(image_id=f"drawn-{number}", at=number), **dict(settings)))
    return cast(Array, np.stack(arrays)), labels


def _choose(rng: np.random.Generator, shares: Mapping[Any, float]) -> Any:
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def positions(picture: Picture) -> list[Position]:
    """Where the joints of a drawn film's hands are."""
    named = joint_places(picture) if picture.body_part == "hand" else {}
    return [Position(site=str(site), side=side, x=float(x), y=float(y)) for (side, site), (x, y) in named.items()]


def _to_view_input(picture: Picture, reads: str) -> ViewInput:
    """The picture as ingest stores it and a view reads it."""
    frame = picture.frames[0]
    top = (1 << picture.bits) - 1
    deep = (np.subtract(top, frame) if picture.inverted else frame).astype(np.uint16)
    if reads == "preview":
        preview = apply_grey_range(shrink_to_preview(deep), find_grey_range(deep, picture.window))
        return ViewInput(pixels=preview, scale=preview.shape[1] / deep.shape[1])
    return ViewInput(pixels=to_bytes(deep, picture.window), deep=from_zero(deep))


def _points_in_array(
    study: Study, row: Row, places: list[Position], picture: Picture, settings: Mapping[str, Any]
) -> NDArray[np.float32] | None:
    if study.points is None or study.view.place is None:
        return None
    shape = picture.frames[0].shape
    return points_in_view(study.points.point_names, row, places, study.view.place(row, shape[:2], **settings))
