"""Where models find hands and joints: roughly on the film's preview, then closely on each hand turned upright."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.imaging.extremities import invert, move_points, shrink_views
from rajobs.imaging.rows import Position, Positions, Row, rows_of_part
from rajobs.learning.bundle import Model
from rajobs.learning.ensemble import mean_points
from rajobs.learning.points import LEAST_CONFIDENCE, PointNames
from rajobs.learning.samples.row_arrays import draw_views
from rajobs.learning.study import Array
from rajobs.learning.voting import VotingModels
from rajobs.records.anatomy import SIDES
from rajobs.records.store import Store

LEAST = 6  # points that make a hand
TWICE = 0.25  # of the sites: so many that lie in two places make two hands, and a second one may be cut to LEAST
STEPS = 10  # by which places are parted
FARTHER = 0.4  # of its size: so a film is looked at again where hands are not found, for they may be too close
SURE_FAR = 0.9  # of most of a hand's joints, to be believed from there: one taken for the other side's is less sure
TAG = 0.15  # what a side told by the film's header weighs, of 1

Hands = dict[str | None, list[Position]]
"""Their joints, by side."""

Shapes = Mapping[str, tuple[int, int]]
"""Rows and columns of each film."""


def find_joints(
    store: Store, key: str, images: pa.Table, films: Sequence[Row], filters: VotingModels, joints: VotingModels
) -> Positions:
    """The joints of these films' hands; nothing where there is no model that shows them.

    Films of which a hand is not found are looked at once more, from farther away.
    """
    if not filters.finders or not joints.finders:
        return {}
    look = partial(_look, store, key, images, filters, joints)
    found = look(films, 1.0)
    lost = [film for film in films if not _whole(found.get(film.image_id, {}))]
    for name, hands in look(lost, FARTHER).items():
        sure = {side: hand for side, hand in hands.items() if _median(hand) >= SURE_FAR}
        if _sureness(sure) > _sureness(found.get(name, {})):
            found[name] = sure
    known = {name: [place for hand in hands.values() for place in hand] for name, hands in found.items()}
    return {name: held for name, held in known.items() if held}


def keep_examined(found: Positions, single: Collection[str]) -> Positions:
    """Of films that are said to show a single hand, the larger of two: the other is a child's, beside it."""
    kept = {}
    for name, held in found.items():
        hands = [[place for place in held if place.side == side] for side in SIDES]
        kept[name] = max(hands, key=_size) if name in single and all(hands) else held
    return kept


def _size(hand: Sequence[Position]) -> float:
    """From one end of it to the other, in the film's pixels."""
    return max(float(np.hypot(a.x - b.x, a.y - b.y)) for a in hand for b in hand)


def _look(
    store: Store,
    key: str,
    images: pa.Table,
    filters: VotingModels,
    joints: VotingModels,
    films: Sequence[Row],
    share: float,
) -> dict[str, Hands]:
    """The hands of these films, seen at this share of their size, each with its joints; some have none."""
    if not films:
        return {}
    told = images.select(["image_id", "rows", "columns", "laterality"]).to_pylist()
    shapes = {image["image_id"]: (image["rows"], image["columns"]) for image in told}
    tags = {image["image_id"]: image["laterality"] for image in told}
    rough: dict[str, list[Position]] = {}
    for row, found in zip(films, _seen(store, key, filters, films, shapes, share)):
        assert filters.study.points is not None
        hands = choose_hands(filters.study.points.point_names, found, tags[row.image_id])
        if hands:
            rough[row.image_id] = hands
    close: dict[str, Hands] = defaultdict(dict)
    for row, found in _sided(store, key, joints, rows_of_part("hands", images, rough), shapes):
        assert joints.study.points is not None
        close[row.image_id][row.side] = joints_of(joints.study.points.point_names, found, row.side)
    return close


def _whole(hands: Hands) -> bool:
    """Whether there are hands, and each of them shows joints."""
    return bool(hands) and all(hands.values())


def _median(hand: Sequence[Position]) -> float:
    """How sure its joints are."""
    return float(np.median([place.confidence or 0.0 for place in hand])) if hand else 0.0


def _sureness(hands: Hands) -> float:
    """Of all their joints together."""
    return sum(place.confidence or 0.0 for hand in hands.values() for place in hand)


def joints_of(places: PointNames, found: NDArray[np.float64], side: str | None) -> list[Position]:
    """The joints of a hand that are there; too few make no hand."""
    there = [
        Position(site=site, side=side, x=x, y=y, confidence=sure)
        for (_, site), (x, y, sure) in zip(places, found.tolist())
        if sure >= LEAST_CONFIDENCE
    ]
    return there if len(there) >= LEAST else []


def _sided(
    store: Store, key: str, panel: VotingModels, rows: Sequence[Row], shapes: Shapes
) -> list[tuple[Row, NDArray[np.float64]]]:
    """Each hand with its joints; one that shows too few is the other side's if most of its joints are there as such."""
    seen = list(zip(rows, _seen(store, key, panel, rows, shapes)))
    taken = {(row.image_id, row.side) for row in rows}
    again = []
    for at, (row, found) in enumerate(seen):
        other = replace(row, side=next(side for side in SIDES if side != row.side))
        if _there(found) < LEAST and (row.image_id, other.side) not in taken:
            again.append((at, other))
    if again:
        for (at, other), found in zip(again, _seen(store, key, panel, [row for _, row in again], shapes)):
            if _there(found) > len(found) / 2:  # a part of a hand may look like either side's
                seen[at] = other, found
    return seen


def _there(found: NDArray[np.float64]) -> int:
    """How many places are."""
    return int((found[:, 2] >= LEAST_CONFIDENCE).sum())


def _seen(
    store: Store, key: str, panel: VotingModels, rows: Sequence[Row], shapes: Shapes, share: float = 1.0
) -> list[NDArray[np.float64]]:
    """Film column and row, and sureness, of each place in each row: of several models the mean.

    `share`: of its size that a view is made, as seen from farther away.
    """
    drawn: Mapping[str, Any] = draw_views(store, key, panel.view_requests(rows, panel.finders))
    given = []
    for model in panel.finders:
        images, settings = panel.images(drawn, model), panel.study.view.with_settings(model.recipe.view)
        found = model.locate(images) if share == 1 else _from_farther(model, images, share)
        assert panel.study.view.place is not None
        for at, row in enumerate(rows):
            to_film = invert(panel.study.view.place(row, shapes[row.image_id], **settings))
            found[at, :, :2] = move_points(found[at, :, :2], to_film)
        given.append(found)
    return [on_film(found, shapes[row.image_id]) for row, found in zip(rows, mean_points(given))]


def _from_farther(model: Model, images: Array, share: float) -> NDArray[np.float64]:
    small, by = shrink_views(images, share)
    found = model.locate(small)
    return np.concatenate([move_points(found[..., :2], invert(by)), found[..., 2:]], axis=2)


def on_film(found: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Columns, rows and sureness of places; what lies off the film is not there."""
    rows, columns = shape
    off = ((found[:, :2] < -0.5) | (found[:, :2] >= (columns - 0.5, rows - 0.5))).any(axis=1)
    return np.column_stack([found[:, :2], np.where(off, 0.0, found[:, 2])])


def choose_hands(places: PointNames, found: NDArray[np.float64], tag: str | None) -> list[Position]:
    """The positions of the hands that are there, at most one a side."""
    sure = [
        Position(site=site, side=side, x=x, y=y, confidence=sure)
        for (side, site), (x, y, sure) in zip(places, found.tolist())
        if sure >= LEAST_CONFIDENCE and side is not None
    ]
    if len(sure) < LEAST:
        return []
    groups = _two_groups(sure)
    twice = {place.site for place in groups[0]} & {place.site for place in groups[1]}
    sites = {place.site for place in sure}
    if len(twice) < TWICE * len(sites):  # one hand, if seen as left and as right
        hands = {side: _hand([place for place in sure if place.side == side]) for side in SIDES}
        weight = {side: _weight(hand, side) / len(sites) + TAG * (side == tag) for side, hand in hands.items() if hand}
        return hands[max(weight, key=weight.__getitem__)] if weight else []
    first, second = sorted(groups, key=lambda group: _weight(group, "R") - _weight(group, "L"))
    return [replace(place, side=side) for side, hand in (("L", _hand(first)), ("R", _hand(second))) for place in hand]


def _two_groups(places: Sequence[Position]) -> tuple[list[Position], list[Position]]:
    """Places parted in two by where they lie: a finder may show some of a left hand's on the right one beside it."""
    at = np.array([(place.x, place.y) for place in places])
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)
    middles = at[list(np.unravel_index(int(apart.argmax()), apart.shape))]
    for _ in range(STEPS):
        far = np.linalg.norm(at[:, None] - middles[None], axis=2).argmin(axis=1)
        middles = np.array(
            [at[far == group].mean(axis=0) if (far == group).any() else middles[group] for group in (0, 1)]
        )
    one, other = ([place for place, mine in zip(places, far) if mine == group] for group in (0, 1))
    return one, other


def _weight(places: Sequence[Position], side: str) -> float:
    return sum(place.confidence or 0.0 for place in places if place.side == side)


def _hand(places: Sequence[Position]) -> list[Position]:
    """The surest position of each site, where there are enough for a hand."""
    surest: dict[str, Position] = {}
    for place in sorted(places, key=lambda place: place.confidence or 0.0):
        surest[place.site] = place
    return list(surest.values()) if len(surest) >= LEAST else []
