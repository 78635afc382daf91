"""Rows of films that are drawn while a network learns, so that it sees none of them twice. No torch is needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.coding import small
from rajobs.imaging.rows import PLACES, Position, Row, rows_of
from rajobs.imaging.views import Shown
from rajobs.imaging.windowing import shown, span, to_bytes
from rajobs.learning.points import points_in_view
from rajobs.learning.study import Array, Study
from rajobs.phantoms.films import sample_film
from rajobs.phantoms.picture import Picture

KINDS = {
    "films": {"unilateral": 0.40, "both": 0.25, "foot": 0.13, "other": 0.22},
    "hands": {"unilateral": 0.60, "both": 0.40},
}  # fmt: skip
DIFFICULTIES = {"easy": 0.1, "standard": 0.5, "hard": 0.4}
SIZES: Mapping[str, Mapping[Any, float]] = {
    "films": {"SMALL": 1.0},
    "hands": {"SMALL": 0.55, (1005, 745): 0.30, (745, 1005): 0.15},
}
"""Rows and columns: a hand is looked at closely, and small films are blurred there."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A row of a drawn film with all that is known of it."""

    array: Array
    row: Row
    view: str
    points: NDArray[np.float32] | None
    picture: Picture | None  # the film it is of, where it is still held


def draw_rows(study: Study, settings: Mapping[str, Any], seed: tuple[int, ...], films: range) -> Iterator[Drawn]:
    """The study's rows of the films of these numbers."""
    chosen = study.view.with_settings(settings)
    for number in films:
        rng = np.random.default_rng((*seed, number))
        size, kind, hard = (_choose(rng, shares) for shares in (SIZES[study.rows], KINDS[study.rows], DIFFICULTIES))
        picture = sample_film(rng, kind=kind, size=size, difficulty=hard)
        places, image = positions(picture), _shown(picture, study.view.reads)
        for row in rows_of(study.rows, f"drawn-{number}", number, places):
            yield Drawn(
                array=study.view.draw(image, row, **chosen), row=row, view=kind, picture=picture,
                points=_points(study, row, places, picture, chosen),
            )  # fmt: skip


def _choose(rng: np.random.Generator, shares: Mapping[Any, float]) -> Any:
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def positions(picture: Picture) -> list[Position]:
    """Where the joints of a drawn film's hands are."""
    told = {
        (truth.side, truth.site, truth.target): float(truth.value) for truth in picture.truths if truth.study == PLACES
    }
    hands = [(side, site) for side, site, axis in told if axis == "x"] if picture.body_part == "hand" else []
    return [
        Position(site=str(site), side=side, x=told[side, site, "x"], y=told[side, site, "y"]) for side, site in hands
    ]


def _shown(picture: Picture, reads: str) -> Shown:
    """As ingest stores it and a view is given it."""
    frame = picture.frames[0]
    top = (1 << picture.bits) - 1
    deep = (np.subtract(top, frame) if picture.inverted else frame).astype(np.uint16)
    if reads == "preview":
        preview = shown(small(deep), span(deep, picture.window))
        return Shown(pixels=preview, scale=preview.shape[1] / deep.shape[1])
    return Shown(pixels=to_bytes(deep, picture.window), deep=deep)


def _points(
    study: Study, row: Row, places: list[Position], picture: Picture, settings: Mapping[str, Any]
) -> NDArray[np.float32] | None:
    if study.points is None or study.view.place is None:
        return None
    shape = picture.frames[0].shape
    return points_in_view(study.points.places, row, places, study.view.place(row, shape[:2], **settings))
