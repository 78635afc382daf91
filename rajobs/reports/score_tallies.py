"""What score's page needs of tables that may be too large to hold: counts, and the few rows that are shown.

Tables come part by part, in any order: what is told of them is the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.records.svdh import HIGHEST
from rajobs.records.tables.schemas import VIEWS

EXAMPLES = 6  # pictures a view, of films that are not in doubt
QUEUE = 18  # pictures of doubtful films
UNSURE = 0.7  # a film whose likeliest view has less is looked at again
DISAGREE = 0.3  # and one whose models differ by more in a probability
HANDS = 12  # overlays of doubtful hands
CALM = 4  # and of hands that are not in doubt
FASTEST = 10  # visits with the largest change
SCORES = {"jsn": 5, "erosion": 6}  # how many scores there are of each

Shown = Mapping[str, Any]
"""A row that the page shows; `part` names the part it stands in."""


class Shares:
    """Numbers from 0 to 1, counted to a thousandth."""

    FINE = 1000

    def __init__(self) -> None:
        self.counts = np.zeros(self.FINE, np.int64)
        self.values = (np.arange(self.FINE) + 0.5) / self.FINE

    def add(self, values: NDArray[np.floating]) -> None:
        at = np.minimum((values * self.FINE).astype(np.int64), self.FINE - 1)
        self.counts += np.bincount(at, minlength=self.FINE)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The value below which this share of the numbers lies."""
        assert len(self), "of no numbers there is none"
        return float(self.values[np.searchsorted(np.cumsum(self.counts), max(share * len(self), 1))])


class FilmTally:
    """What the films show and how sure that is."""

    def __init__(self) -> None:
        self.fates: Counter[str] = Counter()
        self.sure = {view: Shares() for view in VIEWS}  # of the likeliest view
        self.doubtful = dict.fromkeys(VIEWS, 0)
        self.differ = Shares()  # between models
        self.queue: list[Shown] = []
        self.examples: dict[str, list[Shown]] = {view: [] for view in VIEWS}

    def add(self, films: pa.Table, part: str = "") -> None:
        """A part of the films table."""
        self.fates.update(films.column("fate").to_pylist())
        judged = films.filter(pc.is_valid(films.column("view")))
        p = np.stack([judged.column(f"{view}_p").to_numpy() for view in VIEWS], axis=1)
        differ, top = judged.column("disagreement").to_numpy(), p.max(axis=1, initial=0)
        self.differ.add(differ[~np.isnan(differ)])
        unsure, apart = 1 - top, np.nan_to_num(differ)
        doubt = np.where((unsure > 1 - UNSURE) | (apart > DISAGREE), np.maximum(unsure, apart), 0)
        rows = [
            {**row, "top": float(each), "doubt": float(asked), "part": part}
            for row, each, asked in zip(judged.to_pylist(), top, doubt)
        ]
        for view in VIEWS:
            mine = [row for row in rows if row["view"] == view]
            self.sure[view].add(np.array([row["top"] for row in mine]))
            self.doubtful[view] += sum(row["doubt"] > 0 for row in mine)
            calm = [row for row in mine if not row["doubt"]]
            self.examples[view] = _one_a_patient([*self.examples[view], *calm])[:EXAMPLES]
        asked_again = [*self.queue, *(row for row in rows if row["doubt"])]
        self.queue = sorted(asked_again, key=lambda row: (-row["doubt"], row["image_id"]))[:QUEUE]

    @property
    def judged(self) -> int:
        return sum(map(len, self.sure.values()))

    def shown(self) -> list[Shown]:
        """The films whose previews the page shows."""
        return [row for view in VIEWS for row in self.examples[view]] + self.queue


class HandTally:
    """The hands' totals, their joints' scores and what is doubtful."""

    def __init__(self) -> None:
        self.hands = self.doubtful = self.joints = 0
        self.totals = np.zeros(HIGHEST + 1, np.int64)
        self.coverage: Counter[float] = Counter()
        self.scores = {name: np.zeros(count, np.int64) for name, count in SCORES.items()}
        self.queue: list[Shown] = []
        self.calm: list[Shown] = []

    def add(self, hands: pa.Table, joints: pa.Table, part: str = "") -> None:
        """A part of the hands table, and of the joints table."""
        doubt = hands.column("doubt")
        self.hands += hands.num_rows
        self.doubtful += int(pc.sum(pc.greater(doubt, 0)).as_py() or 0)
        self.joints += int(pc.count(joints.column("x")).as_py())
        totals = hands.column("svdh_total").drop_null().to_numpy()
        self.totals += np.bincount(totals, minlength=HIGHEST + 1)
        self.coverage.update(hands.column("coverage").drop_null().to_pylist())
        for name, counts in self.scores.items():
            counts += np.bincount(joints.column(name).drop_null().to_numpy(), minlength=len(counts))[: len(counts)]
        self.queue = _best(self.queue, hands.filter(pc.greater(doubt, 0)), "doubt", HANDS, part)
        # Of those without doubt the highest totals: there is something to see.
        self.calm = _best(self.calm, hands.filter(pc.equal(doubt, 0)), "svdh_total", CALM, part)

    def shown(self) -> list[Shown]:
        """The hands that the page shows: the most doubtful ones, then some that nobody has to look at."""
        return [*self.queue, *self.calm]


class VisitTally:
    """How totals change from a visit to the next, and what scans told the clinic's picture."""

    def __init__(self) -> None:
        self.visits = self.asked = self.filled = self.squares = self.placeless = 0
        self.changes: Counter[int] = Counter()
        self.fastest: list[Shown] = []

    def add(self, visits: pa.Table) -> None:
        """A part of the visits table."""
        known = visits.filter(pc.is_valid(visits.column("svdh_change")))
        self.visits += visits.num_rows
        self.changes.update(known.column("svdh_change").to_pylist())
        self.fastest = _best(self.fastest, known, "svdh_change", FASTEST)
        squares = visits.column("squares_filled").drop_null()
        self.asked += len(squares)
        self.filled += int(pc.sum(pc.greater(squares, 0)).as_py() or 0)
        self.squares += int(pc.sum(squares).as_py() or 0)

    def add_scans(self, scans: pa.Table) -> None:
        """A part of the ultrasound table: the graded frames of which nobody says whose joint they show."""
        graded = pc.or_(pc.is_valid(scans.column("grade")), pc.is_valid(scans.column("grey_grade")))
        placed = pc.and_(pc.is_valid(scans.column("side")), pc.is_valid(scans.column("site")))
        self.placeless += int(pc.sum(pc.and_not(graded, placed)).as_py() or 0)


def median(counted: Mapping[Any, int]) -> float:
    """Of numbers of which there are few different ones."""
    values = np.array(sorted(counted))
    up_to = np.cumsum([counted[value] for value in sorted(counted)])
    return float(np.mean(values[np.searchsorted(up_to, [(up_to[-1] + 1) // 2, up_to[-1] // 2 + 1])]))


def _one_a_patient(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The first film of each patient by image_id, whose order is a random one."""
    order = sorted(rows, key=lambda row: str(row["image_id"]), reverse=True)
    first = {row["patient"]: row for row in order}
    return sorted(first.values(), key=lambda row: str(row["image_id"]))


def _best(held: Sequence[Shown], table: pa.Table, column: str, most: int, part: str = "") -> list[Shown]:
    """The rows with the highest values, of those held and a table's; of equal ones the first by the table's key."""
    key = [name for name in ("image_id", "patient", "hand", "visit_date") if name in table.column_names]
    order = [(column, "descending"), *((name, "ascending") for name in key)]
    rows = table.sort_by(order).slice(0, most).to_pylist()
    both = [*held, *({**row, "part": part} for row in rows)]

    def place(row: Shown) -> tuple[Any, ...]:
        return (row[column] is None, -(row[column] or 0), *(row[name] for name in key))

    return sorted(both, key=place)[:most]
