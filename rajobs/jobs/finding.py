"""Where models find hands and joints: roughly on the film's preview, then closely on each hand turned upright."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.imaging.hands import back, move
from rajobs.imaging.rows import Position, Positions, Row, derive
from rajobs.jobs.panel import Panel
from rajobs.learning.drawing import draw_all
from rajobs.learning.ensemble import mean_of
from rajobs.learning.points import SURE, Places
from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.store import Store

LEAST = 6  # points that make a hand
APART = 0.5  # of a hand's reach: two hands whose middles are nearer are one, seen as left and as right
TAG = 0.15  # what a side told by the film's header weighs, of 1
DOUBTED = 0.8  # confidence of most finger joints below which a hand is looked at again
TURN = 45.0  # degrees that it is turned by then

Shapes = Mapping[str, tuple[int, int]]
"""Rows and columns of each film."""


def find_joints(
    store: Store, key: str, images: pa.Table, films: Sequence[Row], filters: Panel, joints: Panel
) -> Positions:
    """The joints of these films' hands; nothing where there is no model that shows them."""
    if not filters.finders or not joints.finders or not films:
        return {}
    told = images.select(["image_id", "rows", "columns", "laterality"]).to_pylist()
    shapes = {image["image_id"]: (image["rows"], image["columns"]) for image in told}
    tags = {image["image_id"]: image["laterality"] for image in told}
    rough: dict[str, list[Position]] = {}
    for row, found in zip(films, _seen(store, key, filters, films, shapes)):
        assert filters.study.points is not None
        hands = choose_hands(filters.study.points.places, found, tags[row.image_id])
        if hands:
            rough[row.image_id] = hands
    rows = derive("hands", images, rough)
    close: dict[str, list[Position]] = defaultdict(list)
    for row, found in _close(store, key, joints, rows, shapes):
        assert joints.study.points is not None
        for (_, site), (x, y, sure) in zip(joints.study.points.places, found.tolist()):
            if sure >= SURE:
                close[row.image_id].append(Position(site=site, side=row.side, x=x, y=y, confidence=sure))
    return dict(close)


def _close(
    store: Store, key: str, panel: Panel, rows: Sequence[Row], shapes: Shapes
) -> Iterator[tuple[Row, NDArray[np.float64]]]:
    """Each hand with its joints. One in doubt is looked at again, turned and as the other side's: the surest counts."""
    assert panel.study.points is not None
    fingers = np.array([site in FINGER_JOINTS for _, site in panel.study.points.places])
    seen = list(zip(rows, _seen(store, key, panel, rows, shapes)))
    sure = [float(np.nanmedian(found[fingers, 2])) for _, found in seen]
    taken = {(row.image_id, row.side) for row in rows}
    tries = [(at, other) for at, row in enumerate(rows) if sure[at] < DOUBTED for other in _others(row, taken)]
    if tries:
        again = [row for _, row in tries]
        for (at, row), found in zip(tries, _seen(store, key, panel, again, shapes)):
            if (now := float(np.nanmedian(found[fingers, 2]))) > sure[at]:
                seen[at], sure[at] = (row, found), now
    yield from seen


def _others(row: Row, taken: set[tuple[str, str | None]]) -> Iterator[Row]:
    """The same hand as it may be instead; no film has two hands of a side."""
    other = {"L": "R", "R": "L"}.get(row.side or "")
    sides = [row.side] if other is None or (row.image_id, other) in taken else [row.side, other]
    for side, turn in product(sides, (0.0, -TURN, TURN)):
        if side != row.side or turn:
            yield replace(row, side=side, angle=row.angle + turn)


def _seen(store: Store, key: str, panel: Panel, rows: Sequence[Row], shapes: Shapes) -> list[NDArray[np.float64]]:
    """Film column and row, and sureness, of each place in each row: of several models the mean."""
    drawn: Mapping[str, Any] = draw_all(store, key, panel.asks(rows, panel.finders))
    given = []
    for model in panel.finders:
        found, settings = model.find(panel.images(drawn, model)), panel.study.view.with_settings(model.recipe.view)
        assert panel.study.view.place is not None
        for at, row in enumerate(rows):
            to_film = back(panel.study.view.place(row, shapes[row.image_id], **settings))
            found[at, :, :2] = move(found[at, :, :2], to_film)
        given.append(found)
    several = np.stack(given)
    looked = np.isfinite(several[..., 2:])
    weight = np.where(looked, np.maximum(several[..., 2:], 1e-6), 0)
    total = weight.sum(axis=0)
    where = np.where(looked, several[..., :2] * weight, 0).sum(axis=0) / np.where(total > 0, total, np.nan)
    return list(np.concatenate([where, mean_of(list(several[..., 2:]))], axis=2))


def choose_hands(places: Places, found: NDArray[np.float64], tag: str | None) -> list[Position]:
    """The positions of the hands that are there, at most one a side."""
    hands: dict[str, list[Position]] = defaultdict(list)
    for (side, site), (x, y, sure) in zip(places, found.tolist()):
        if sure >= SURE and side is not None:
            hands[side].append(Position(site=site, side=side, x=x, y=y, confidence=sure))
    there = {side: hand for side, hand in hands.items() if len(hand) >= LEAST}
    if len(there) == 2 and _one_place(*there.values()):
        weight = {side: sum(place.confidence or 0 for place in hand) / len(places) * 2 for side, hand in there.items()}
        best = max(there, key=lambda side: weight[side] + TAG * (side == tag))
        there = {best: there[best]}
    return [place for hand in there.values() for place in hand]


def _one_place(one: Sequence[Position], other: Sequence[Position]) -> bool:
    """Whether two hands lie on each other."""
    first, second = (np.array([(place.x, place.y) for place in hand]) for hand in (one, other))
    reach = max(float(np.ptp(points, axis=0).max()) for points in (first, second))
    return bool(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) < APART * reach)
