"""How well built-in models find hands and joints on drawn films that they never saw.

    python benchmarks/finding.py DATA MODELS [--films 1000]

DATA is an ingest of phantoms with their labels, MODELS a folder of bundles. Errors are in widths of a joint, 0.28 of
the distance MCP3-PIP3 of that hand. Drawn films are no clinical evidence.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rajobs.imaging.rows import COLUMNS, Position, derive
from rajobs.jobs.finding import find_joints
from rajobs.jobs.panel import Panel, bundles_at
from rajobs.jobs.scorer import places
from rajobs.learning.drawing import draw_all
from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.labels import consensus
from rajobs.records.parts import parts, read_part, read_table
from rajobs.records.schema import IMAGES, LABELS, VIEWS
from rajobs.records.store import open_store

Hand = dict[str, Position]
HALF = 0.5


def width_of(hand: Hand) -> float | None:
    """Pixels of a joint's width, where the two joints it is told by are there."""
    if not {"MCP3", "PIP3"} <= hand.keys():
        return None
    one, other = hand["MCP3"], hand["PIP3"]
    return 0.28 * float(np.hypot(one.x - other.x, one.y - other.y))


def by_side(found: Sequence[Position]) -> dict[str | None, Hand]:
    hands: dict[str | None, Hand] = defaultdict(dict)
    for place in found:
        hands[place.side][place.site] = place
    return hands


@dataclass(kw_only=True)
class Tally:
    """What came of the films so far."""

    joints: list[tuple[str, float, float]] = field(default_factory=list)  # site, error (infinite: none), confidence
    hands: int = 0
    sides: int = 0  # hands found with their side
    others: int = 0  # films without a hand
    false: int = 0  # of these, with one seen
    strayed: int = 0  # finger joints on another's place
    films: int = 0
    filtered: int = 0  # films whose view the filter told rightly

    def add(self, found: Sequence[Position], truth: Sequence[Position], view: str) -> None:
        seen, real = by_side(found), by_side(truth)
        if view in ("foot", "other"):
            self.others += 1
            self.false += bool(seen)
        for side, hand in real.items():
            width = width_of(hand)
            if width is not None:
                self.hands += 1
                self.sides += side in seen
                self._add_hand(seen.get(side, {}), hand, width)

    def _add_hand(self, seen: Hand, real: Hand, width: float) -> None:
        for site in real:
            if site not in seen:
                self.joints.append((site, math.inf, 0.0))
                continue
            away = {name: math.hypot(at.x - seen[site].x, at.y - seen[site].y) / width for name, at in real.items()}
            self.joints.append((site, away[site], seen[site].confidence or 0.0))
            nearest = min((name for name in away if name in FINGER_JOINTS), key=away.__getitem__)
            self.strayed += site in FINGER_JOINTS and nearest != site

    def tell(self) -> None:
        if self.films:
            print(f"views told rightly by the filter: {self.filtered} of {self.films}")
        print(
            f"hands found with their side: {self.sides} of {self.hands}; seen in films without one: {self.false} of "
            f"{self.others}; finger joints on another's place: {self.strayed}"
        )
        wrist = sorted({name for name, _, _ in self.joints} - set(FINGER_JOINTS))
        for name, sites in (("finger joints", FINGER_JOINTS), ("wrist sites", wrist)):
            error, sure = (np.array([row[at] for row in self.joints if row[0] in sites]) for at in (1, 2))
            if not len(error):
                continue
            good, kept = error <= HALF, sure >= np.sort(sure)[int(0.05 * len(sure))]
            print(
                f"{name}: {len(error)}, {good.mean():.4f} within half a width, median error "
                f"{np.median(error[np.isfinite(error)]):.3f} widths, not found {np.isinf(error).mean():.4f}; of the "
                f"95 % surest {(~good[kept]).mean():.4f} wrong"
            )
        shares = {site: np.mean([row[1] <= HALF for row in self.joints if row[0] == site]) for site in FINGER_JOINTS}
        print("  ".join(f"{site} {share:.4f}" for site, share in shares.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("models")
    parser.add_argument("--films", type=int, default=1000)
    args = parser.parse_args()
    store = open_store(args.data)
    labels = read_table(store, "labels", LABELS)
    truth = places(labels)
    views = {name: view for (name, _, _), view in consensus(labels, "hand_filter", "view", ordered=False).items()}
    filters, joints = (Panel.load(name, bundles_at(args.models, name)) for name in ("hand_filter", "joint_detection"))
    tally, seconds, left = Tally(), 0.0, args.films
    for key in parts(store, "images"):
        images = read_part(store, key, IMAGES, [*COLUMNS, "laterality"])
        films = [row for row in derive("films", images, {}) if row.image_id in views][:left]
        left -= len(films)
        start = time.perf_counter()
        found = find_joints(store, key, images, films, filters, joints)
        seconds += time.perf_counter() - start
        vote = filters.vote(films, draw_all(store, key, filters.asks(films))).get("view") if films else None
        if vote is not None:
            told = [VIEWS[int(at)] for at in vote.p.argmax(axis=1)]
            tally.films += len(films)
            tally.filtered += sum(view == views[row.image_id] for row, view in zip(films, told))
        for row in films:
            tally.add(found.get(row.image_id, ()), truth.get(row.image_id, ()), views[row.image_id])
    tally.tell()
    films_seen = max(args.films - left, 1)
    print(f"{seconds / films_seen:.3f} s a film, decoding included, of {films_seen} films")


if __name__ == "__main__":
    main()
