"""Where models find hands and joints: first roughly on the film's preview, then closely on each hand turned upright."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.imaging import rows as row_kinds
from rajobs.imaging.extremities import invert, move_points, shrink_views
from rajobs.imaging.hand_geometry import Position, Positions
from rajobs.imaging.rows import Row
from rajobs.learning.bundle import Images, Model
from rajobs.learning.points import LEAST_CONFIDENCE, PointNames
from rajobs.learning.samples.row_arrays import draw_views
from rajobs.learning.voting import mean_points
from rajobs.learning.voting_models import VotingModels
from rajobs.records.anatomy import SIDES
from rajobs.records.store import Store

FEWEST_POINTS = 6  # that make a hand
TWO_HANDS = 0.25  # share of the sites shown twice, from which a film has two hands; one may be cut to FEWEST_POINTS
GROUPING_STEPS = 10  # of the grouping of points into two hands
SECOND_SCALE = 0.4  # a film without a hand is looked at again at this scale: its hand may fill the film
SURE_AT_SECOND_SCALE = 0.9  # median confidence that a hand needs there: one taken for the other side has less
TAG_WEIGHT = 0.15  # of 1: what the header's side counts when a hand looks like either side's

Hands = dict[str | None, list[Position]]
"""Their joints, by side."""
Shape = tuple[int, int]
"""Rows and columns of a film."""
Points = NDArray[np.float64]
"""Column, row and confidence of each point."""


def find_joints(
    store: Store, key: str, images: pa.Table, films: Sequence[Row], hands: VotingModels, joints: VotingModels
) -> Positions:
    """The joints of these films' hands; empty if there is no model that shows them.

    Films on which a hand is missing are looked at once more, at a smaller scale.
    """
    if not hands.finders or not joints.finders:
        return {}
    finder = JointFinder(store=store, key=key, images=images, hands=hands, joints=joints)
    by_film = finder.hands_of(films, 1.0)
    incomplete = [film for film in films if not _is_complete(by_film.get(film.image_id, {}))]
    for name, smaller in finder.hands_of(incomplete, SECOND_SCALE).items():
        sure = {side: hand for side, hand in smaller.items() if _median_confidence(hand) >= SURE_AT_SECOND_SCALE}
        if _total_confidence(sure) > _total_confidence(by_film.get(name, {})):
            by_film[name] = sure
    positions = {name: [place for hand in of_film.values() for place in hand] for name, of_film in by_film.items()}
    return {name: places for name, places in positions.items() if places}


def keep_examined(positions: Positions, single: Collection[str]) -> Positions:
    """Of two hands on a film that shows a single one, keep the larger: the other is a child's beside it."""
    kept = {}
    for name, places in positions.items():
        hands = [[place for place in places if place.side == side] for side in SIDES]
        kept[name] = max(hands, key=_extent) if name in single and all(hands) else places
    return kept


def _extent(hand: Sequence[Position]) -> float:
    """The largest distance between two of its joints, in the film's pixels."""
    return max(float(np.hypot(a.x - b.x, a.y - b.y)) for a in hand for b in hand)


def _is_complete(hands: Hands) -> bool:
    """Whether there are hands, and each of them has joints."""
    return bool(hands) and all(hands.values())


def _median_confidence(hand: Sequence[Position]) -> float:
    return float(np.median([place.confidence or 0.0 for place in hand])) if hand else 0.0


def _total_confidence(hands: Hands) -> float:
    return sum(place.confidence or 0.0 for hand in hands.values() for place in hand)


@dataclass(frozen=True, kw_only=True)
class JointFinder:
    """The films of a part, and the models that look at them."""

    store: Store
    key: str
    images: pa.Table
    hands: VotingModels
    joints: VotingModels

    @property
    def shapes(self) -> dict[str, Shape]:
        films = self.images.select(["image_id", "rows", "columns"]).to_pylist()
        return {film["image_id"]: (film["rows"], film["columns"]) for film in films}

    def hands_of(self, films: Sequence[Row], scale: float) -> dict[str, Hands]:
        """By film, its hands as seen at this scale, each with its joints; some have none."""
        if not films:
            return {}
        tags = dict(zip(*(self.images.column(name).to_pylist() for name in ("image_id", "laterality"))))
        rough: dict[str, list[Position]] = {}
        assert self.hands.study.points is not None and self.joints.study.points is not None
        for row, points in zip(films, self.points_of(self.hands, films, scale)):
            hands = choose_hands(self.hands.study.points.point_names, points, tags[row.image_id])
            if hands:
                rough[row.image_id] = hands
        close: dict[str, Hands] = defaultdict(dict)
        for row, points in self.joints_of(row_kinds.EXTREMITIES.rows_of_part(self.images, rough)):
            names = self.joints.study.points.point_names
            close[row.image_id][row.side] = positions_of_hand(names, points, row.side)
        return close

    def joints_of(self, rows: Sequence[Row]) -> list[tuple[Row, Points]]:
        """Each hand with its joints.

        A hand with too few joints is taken for the other side's if most joints are visible as such.
        """
        seen = list(zip(rows, self.points_of(self.joints, rows)))
        taken = {(row.image_id, row.side) for row in rows}
        doubtful = []
        for at, (row, points) in enumerate(seen):
            other = replace(row, side=next(side for side in SIDES if side != row.side))
            if _count_visible(points) < FEWEST_POINTS and (row.image_id, other.side) not in taken:
                doubtful.append((at, other))
        if doubtful:
            for (at, other), points in zip(doubtful, self.points_of(self.joints, [row for _, row in doubtful])):
                if _count_visible(points) > len(points) / 2:  # a part of a hand may look like either side's
                    seen[at] = other, points
        return seen

    def points_of(self, models: VotingModels, rows: Sequence[Row], scale: float = 1.0) -> list[Points]:
        """The points of each row, in the film's pixels, the mean of several models'; `scale`: of the views."""
        drawn = draw_views(self.store, self.key, models.view_requests(rows, models.finders))
        view, shapes = models.study.view, self.shapes
        assert view.place is not None
        by_model = []
        for model in models.finders:
            arrays, settings = models.arrays_for(model, drawn), view.with_settings(model.recipe.view)
            points = model.locate(arrays) if scale == 1 else _locate_at_scale(model, arrays, scale)
            for at, row in enumerate(rows):
                to_film = invert(view.place(row, shapes[row.image_id], **settings))
                points[at, :, :2] = move_points(points[at, :, :2], to_film)
            by_model.append(points)
        return [on_film(points, shapes[row.image_id]) for row, points in zip(rows, mean_points(by_model))]


def positions_of_hand(names: PointNames, points: Points, side: str | None) -> list[Position]:
    """The visible joints of a hand; too few make no hand."""
    visible = [
        Position(site=site, side=side, x=x, y=y, confidence=confidence)
        for (_, site), (x, y, confidence) in zip(names, points.tolist())
        if confidence >= LEAST_CONFIDENCE
    ]
    return visible if len(visible) >= FEWEST_POINTS else []


def _count_visible(points: Points) -> int:
    return int((points[:, 2] >= LEAST_CONFIDENCE).sum())


def _locate_at_scale(model: Model, arrays: Images, scale: float) -> Points:
    small, to_small = shrink_views(arrays, scale)
    points = model.locate(small)
    return np.concatenate([move_points(points[..., :2], invert(to_small)), points[..., 2:]], axis=2)


def on_film(points: Points, shape: Shape) -> Points:
    """The points; the confidence of those that lie off the film is 0."""
    rows, columns = shape
    off = ((points[:, :2] < -0.5) | (points[:, :2] >= (columns - 0.5, rows - 0.5))).any(axis=1)
    return np.column_stack([points[:, :2], np.where(off, 0.0, points[:, 2])])


def choose_hands(names: PointNames, points: Points, tag: str | None) -> list[Position]:
    """The positions of the hands on a film, at most one per side."""
    visible = [
        Position(site=site, side=side, x=x, y=y, confidence=confidence)
        for (side, site), (x, y, confidence) in zip(names, points.tolist())
        if confidence >= LEAST_CONFIDENCE and side is not None
    ]
    if len(visible) < FEWEST_POINTS:
        return []
    groups = _split_in_two(visible)
    twice = {place.site for place in groups[0]} & {place.site for place in groups[1]}
    sites = {place.site for place in visible}
    if len(twice) < TWO_HANDS * len(sites):  # one hand, which may have been seen as left and as right
        hands = {side: _surest_by_site([place for place in visible if place.side == side]) for side in SIDES}
        weight = {
            side: _confidence_as(hand, side) / len(sites) + TAG_WEIGHT * (side == tag)
            for side, hand in hands.items()
            if hand
        }
        return hands[max(weight, key=weight.__getitem__)] if weight else []
    left, right = sorted(groups, key=lambda group: _confidence_as(group, "R") - _confidence_as(group, "L"))
    return [
        replace(place, side=side)
        for side, hand in (("L", _surest_by_site(left)), ("R", _surest_by_site(right)))
        for place in hand
    ]


def _split_in_two(places: Sequence[Position]) -> tuple[list[Position], list[Position]]:
    """Places in two groups by where they lie: a finder may show some of a left hand's on the right one beside it."""
    at = np.array([(place.x, place.y) for place in places])
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)
    centres = at[list(np.unravel_index(int(apart.argmax()), apart.shape))]
    for _ in range(GROUPING_STEPS):
        nearest = np.linalg.norm(at[:, None] - centres[None], axis=2).argmin(axis=1)
        centres = np.array(
            [at[nearest == group].mean(axis=0) if (nearest == group).any() else centres[group] for group in (0, 1)]
        )
    one, other = ([place for place, own in zip(places, nearest) if own == group] for group in (0, 1))
    return one, other


def _confidence_as(places: Sequence[Position], side: str) -> float:
    """The confidence of the places that were seen as this side's."""
    return sum(place.confidence or 0.0 for place in places if place.side == side)


def _surest_by_site(places: Sequence[Position]) -> list[Position]:
    """The surest position of each site, if there are enough for a hand."""
    surest: dict[str, Position] = {}
    for place in sorted(places, key=lambda place: place.confidence or 0.0):
        surest[place.site] = place
    return list(surest.values()) if len(surest) >= FEWEST_POINTS else []
