"""What score's page needs of tables that may be too large for memory: counts, and the few rows that it shows.

Tables come part by part, in any order, and the order changes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.records.svdh import HIGHEST
from rajobs.records.tables.schemas import EXTREMITIES, VIEWS
from rajobs.records.tables.table_schema import TableSchema

EXAMPLES = 6  # pictures per view, of films that are not in doubt
QUEUE = 18  # pictures of doubtful films
UNSURE = 0.7  # a film needs review if its likeliest view has a lower probability
DISAGREE = 0.3  # or if the probabilities of its models differ by more
DOUBTFUL_HANDS = 12  # overlays of doubtful hands
CALM_HANDS = 4  # overlays of hands that are not in doubt
FASTEST = 10  # visits with the largest change
SCORES = {"jsn": 5, "erosion": 6}  # number of different scores of each kind


@dataclass(frozen=True, kw_only=True)
class ShownFilm:
    """A film that the page shows."""

    image_id: str
    patient: str
    part: str  # file name of the tables' part that it is in
    view: str
    probabilities: Mapping[str, float]  # by view
    disagreement: float | None  # between models
    doubt: float  # 0 where nobody needs to look at it

    @property
    def top(self) -> float:
        return max(self.probabilities.values())


@dataclass(frozen=True, kw_only=True)
class ShownHand:
    """A hand that the page shows; unknown values are None."""

    image_id: str
    extremity: int
    part: str  # file name of the tables' part that it is in
    side: str | None
    box: tuple[float, ...]
    svdh_total: int | None
    svdh_lowest: int | None
    svdh_highest: int | None
    coverage: float | None
    stage: int | None
    ra_p: float | None
    doubt: float
    doubt_reasons: tuple[str, ...]

    @property
    def place(self) -> tuple[str, int]:
        return self.image_id, self.extremity


@dataclass(frozen=True, kw_only=True)
class ShownChange:
    """A large change of a patient's total since the visit before, over the sites scored at both."""

    patient: str
    visit_date: date
    days: int
    sites: int
    change: int
    expected: float | None
    low: float | None
    high: float | None
    detectable: float | None = None
    beyond: bool = False  # whether the change is beyond the smallest detectable one


class ShareCounts:
    """Numbers from 0 to 1, counted to a thousandth."""

    FINE = 1000

    def __init__(self) -> None:
        self.counts = np.zeros(self.FINE, np.int64)
        self.values = (np.arange(self.FINE) + 0.5) / self.FINE

    def add(self, values: NDArray[np.floating]) -> None:
        bins = np.minimum((values * self.FINE).astype(np.int64), self.FINE - 1)
        self.counts += np.bincount(bins, minlength=self.FINE)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The value below which this share of the numbers lies."""
        assert len(self), "no numbers have no quantile"
        return float(self.values[np.searchsorted(np.cumsum(self.counts), max(share * len(self), 1))])


class FilmTally:
    """What the films show and how sure that is."""

    def __init__(self) -> None:
        self.fates: Counter[str] = Counter()
        self.certainty = {view: ShareCounts() for view in VIEWS}  # probabilities of the likeliest view
        self.doubtful = dict.fromkeys(VIEWS, 0)
        self.disagreement = ShareCounts()  # between models
        self.queue: list[ShownFilm] = []
        self.examples: dict[str, list[ShownFilm]] = {view: [] for view in VIEWS}

    def add(self, films: pa.Table, part: str = "") -> None:
        """Count a part of the films table."""
        self.fates.update(films.column("fate").to_pylist())
        judged = films.filter(pc.is_valid(films.column("view")))
        p = np.stack([judged.column(f"{view}_p").to_numpy() for view in VIEWS], axis=1)
        disagreement = judged.column("disagreement").to_numpy()
        self.disagreement.add(disagreement[~np.isnan(disagreement)])
        unsure, apart = 1 - p.max(axis=1, initial=0), np.nan_to_num(disagreement)
        doubts = np.where((unsure > 1 - UNSURE) | (apart > DISAGREE), np.maximum(unsure, apart), 0)
        rows = [_read_film(part, row, float(doubt)) for row, doubt in zip(judged.to_pylist(), doubts)]
        for view in VIEWS:
            of_view = [row for row in rows if row.view == view]
            self.certainty[view].add(np.array([row.top for row in of_view]))
            self.doubtful[view] += sum(row.doubt > 0 for row in of_view)
            calm = [row for row in of_view if not row.doubt]
            self.examples[view] = _one_film_per_patient([*self.examples[view], *calm])[:EXAMPLES]
        queue = [*self.queue, *(row for row in rows if row.doubt)]
        self.queue = sorted(queue, key=lambda row: (-row.doubt, row.image_id))[:QUEUE]

    @property
    def judged(self) -> int:
        return sum(map(len, self.certainty.values()))

    def shown(self) -> list[ShownFilm]:
        """The films whose previews the page shows."""
        return [row for view in VIEWS for row in self.examples[view]] + self.queue


class HandTally:
    """The hands' totals, the scores of their joints, and which hands are in doubt."""

    def __init__(self) -> None:
        self.hands = self.doubtful = self.joints = 0
        self.totals = np.zeros(HIGHEST + 1, np.int64)
        self.coverage: Counter[float] = Counter()
        self.scores = {name: np.zeros(count, np.int64) for name, count in SCORES.items()}
        self.queue: list[ShownHand] = []
        self.calm: list[ShownHand] = []

    def add(self, hands: pa.Table, joints: pa.Table, part: str = "") -> None:
        """Count a part of the extremities table and of the joints table."""
        doubt = hands.column("doubt")
        self.hands += hands.num_rows
        self.doubtful += int(pc.sum(pc.greater(doubt, 0)).as_py() or 0)
        self.joints += int(pc.count(joints.column("x")).as_py())
        totals = hands.column("svdh_total").drop_null().to_numpy()
        self.totals += np.bincount(totals, minlength=HIGHEST + 1)
        self.coverage.update(hands.column("coverage").drop_null().to_pylist())
        for name, counts in self.scores.items():
            counts += np.bincount(joints.column(name).drop_null().to_numpy(), minlength=len(counts))[: len(counts)]
        doubtful = _highest_rows(hands.filter(pc.greater(doubt, 0)), EXTREMITIES, "doubt", DOUBTFUL_HANDS)
        queue = [*self.queue, *(_read_hand(part, row) for row in doubtful)]
        self.queue = sorted(queue, key=lambda hand: (-hand.doubt, hand.place))[:DOUBTFUL_HANDS]
        # Of the hands without doubt those with the highest totals: there is something to see.
        highest = _highest_rows(hands.filter(pc.equal(doubt, 0)), EXTREMITIES, "svdh_total", CALM_HANDS)
        calm = [*self.calm, *(_read_hand(part, row) for row in highest)]
        self.calm = sorted(calm, key=lambda hand: (hand.svdh_total is None, -(hand.svdh_total or 0), hand.place))
        self.calm = self.calm[:CALM_HANDS]

    def shown(self) -> list[ShownHand]:
        """The hands that the page shows: the most doubtful ones, then some that are not in doubt."""
        return [*self.queue, *self.calm]


class VisitTally:
    """How totals change between visits, and which clinical findings came from scans."""

    def __init__(self) -> None:
        self.visits = self.clinic_visits = self.visits_filled = self.squares_filled = self.scans_without_place = 0
        self.changes: Counter[int] = Counter()  # of patients' totals since the visit before
        self.beyond: Counter[bool] = Counter()  # whether they are beyond the smallest detectable change, where known
        self.fastest: list[ShownChange] = []

    def add(self, visits: pa.Table) -> None:
        """Count a part of the visits table: all visits of some patients, in order."""
        self.visits += visits.num_rows
        squares = visits.column("squares_filled").drop_null()
        self.clinic_visits += len(squares)
        self.visits_filled += int(pc.sum(pc.greater(squares, 0)).as_py() or 0)
        self.squares_filled += int(pc.sum(squares).as_py() or 0)

    def add_changes(self, changes: pa.Table) -> None:
        """Count a part of the changes table: the patients' totals since the visit before."""
        wanted = {"part": "all", "measure": "svdh", "since": "before"}
        for name, value in wanted.items():
            changes = changes.filter(pc.equal(changes.column(name), value))
        self.changes.update(int(change) for change in changes.column("change").to_pylist())
        self.beyond.update(changes.column("beyond_detectable").drop_null().to_pylist())
        largest = changes.sort_by([("change", "descending"), ("patient", "ascending"), ("visit_date", "ascending")])
        fastest = [*self.fastest, *(_read_change(row) for row in largest.slice(0, FASTEST).to_pylist())]
        self.fastest = sorted(fastest, key=lambda shown: (-shown.change, shown.patient, shown.visit_date))[:FASTEST]

    def add_scans(self, scans: pa.Table) -> None:
        """Count a part of the ultrasound table: the graded frames of which no label says whose joint they show."""
        graded = pc.or_(pc.is_valid(scans.column("grade")), pc.is_valid(scans.column("grey_grade")))
        placed = pc.and_(pc.is_valid(scans.column("side")), pc.is_valid(scans.column("site")))
        self.scans_without_place += int(pc.sum(pc.and_not(graded, placed)).as_py() or 0)


def median(counts: Mapping[Any, int]) -> float:
    """The median of numbers, from how often each of them occurs."""
    values = np.array(sorted(counts))
    up_to = np.cumsum([counts[value] for value in sorted(counts)])
    return float(np.mean(values[np.searchsorted(up_to, [(up_to[-1] + 1) // 2, up_to[-1] // 2 + 1])]))


def _read_film(part: str, row: Mapping[str, Any], doubt: float) -> ShownFilm:
    return ShownFilm(
        image_id=row["image_id"],
        patient=row["patient"],
        part=part,
        view=row["view"],
        probabilities={view: row[f"{view}_p"] for view in VIEWS},
        disagreement=row["disagreement"],
        doubt=doubt,
    )


def _read_hand(part: str, row: Mapping[str, Any]) -> ShownHand:
    return ShownHand(
        image_id=row["image_id"],
        extremity=row["extremity"],
        part=part,
        side=row["side"],
        box=tuple(row["box"]),
        svdh_total=row["svdh_total"],
        svdh_lowest=row["svdh_lowest"],
        svdh_highest=row["svdh_highest"],
        coverage=row["coverage"],
        stage=row["stage"],
        ra_p=row["ra_p"],
        doubt=row["doubt"],
        doubt_reasons=tuple(row["doubt_reasons"] or ()),
    )


def _read_change(row: Mapping[str, Any]) -> ShownChange:
    return ShownChange(
        patient=row["patient"], visit_date=row["visit_date"], days=row["days"], sites=row["sites"],
        change=int(row["change"]), expected=row["expected_change"], low=row["expected_change_low"],
        high=row["expected_change_high"], detectable=row["detectable_change"], beyond=bool(row["beyond_detectable"]),
    )  # fmt: skip


def _one_film_per_patient(films: Sequence[ShownFilm]) -> list[ShownFilm]:
    """The first film of each patient by image_id, whose order is random."""
    first = {film.patient: film for film in sorted(films, key=lambda film: film.image_id, reverse=True)}
    return sorted(first.values(), key=lambda film: film.image_id)


def _highest_rows(table: pa.Table, schema: TableSchema, column: str, most: int) -> list[dict[str, Any]]:
    """The rows with the highest values, nulls last, ties in the order of the table's key."""
    order = [(column, "descending"), *((name, "ascending") for name in schema.key)]
    rows: list[dict[str, Any]] = table.sort_by(order).slice(0, most).to_pylist()
    return rows
