"""Measures how well models find hands and joints on drawn films that they have never seen, and where they fail.

    python benchmarks/finder/joint_finding_rate.py DATA MODELS [--films 1000] [--mistaken]

DATA is an ingest of phantoms with their labels, MODELS a folder of bundles. Errors are in joint widths, 0.28 of the
distance MCP3-PIP3 of the hand. `--mistaken` swaps the side of every hand before its joints are found, to test whether
the finder notices. One core is used. Drawn films are no clinical evidence.
"""

import argparse
import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rajobs import studies
from rajobs.imaging import rows as row_kinds
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import COLUMNS
from rajobs.jobs.score import joint_finding
from rajobs.jobs.score.joint_finding import choose_hands, find_joints, keep_examined
from rajobs.jobs.score.worker import hand_positions
from rajobs.learning.points import PointNames
from rajobs.learning.samples.row_arrays import draw_views
from rajobs.learning.voting_models import VotingModels, list_bundles
from rajobs.records.anatomy import FINGER_JOINTS, HAND_SITES
from rajobs.records.label_consensus import consensus
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, read_table
from rajobs.records.tables.schemas import IMAGES, LABELS, VIEWS

Hand = dict[str, Position]
Pixels = np.ndarray[Any, Any]
HALF = 0.5
NONE = ("foot", "other")
MORE_COLUMNS = ("laterality", "rows", "columns", "age_years", "preview")


def width_of(hand: Hand) -> float | None:
    """A joint's width in pixels, if the two joints that define it are visible."""
    if not {"MCP3", "PIP3"} <= hand.keys():
        return None
    one, other = hand["MCP3"], hand["PIP3"]
    return 0.28 * float(np.hypot(one.x - other.x, one.y - other.y))


def by_side(positions: Sequence[Position]) -> dict[str | None, Hand]:
    """Positions by side and site."""
    hands: dict[str | None, Hand] = defaultdict(dict)
    for place in positions:
        hands[place.side][place.site] = place
    return hands


def conditions(hand: Hand, film: Mapping[str, Any], preview: Pixels) -> list[str]:
    """The conditions of a hand by which the joints are counted separately."""
    age, long = film["age_years"], max(film["rows"], film["columns"])
    points = np.array([(place.x, place.y) for place in hand.values()])
    up = np.array([hand["PIP3"].x - hand["MCP3"].x, hand["MCP3"].y - hand["PIP3"].y])
    hull = np.zeros(preview.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull((points * max(preview.shape) / long).astype(np.int32)), 1)
    inside = preview[hull > 0]
    present = {
        "children": age is not None and age < 17,
        "75 and older": age is not None and age >= 75,
        "turned by more than 40 degrees": abs(math.degrees(math.atan2(up[0], up[1]))) > 40,
        "small in the film": float(np.ptp(points, axis=0).max()) < 0.35 * long,
        "finger joints not on the film": not set(FINGER_JOINTS) <= hand.keys(),
        "burnt out": bool(np.mean(inside >= 250) > 0.5) if len(inside) else False,
        "under-exposed": bool(np.mean(inside) < 40) if len(inside) else False,
    }
    return ["all", *(name for name, true in present.items() if true)]


@dataclass(kw_only=True)
class Tally:
    """Counts and joints of the films so far."""

    joints: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    views: Counter[tuple[str, str]] = field(default_factory=Counter)  # true view, the filter's answer
    jsn: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def add(
        self,
        predicted: Sequence[Position],
        truth: Sequence[Position],
        view: str,
        film: Mapping[str, Any],
        preview: Pixels,
    ) -> None:
        """Count one film with the positions that the models gave it."""
        seen, real = by_side(predicted), by_side(truth)
        if view in NONE:
            self.counts["others"] += 1
            self.counts["false"] += bool(seen)
        else:
            self.counts["invented"] += len(seen.keys() - real.keys())
        for side, hand in real.items():
            width = width_of(hand)
            if width is not None:
                self.counts["hands"] += 1
                self.counts["sides"] += side in seen
                self._add_hand(seen.get(side, {}), hand, width, film["image_id"], conditions(hand, film, preview))

    def _add_hand(self, seen: Hand, real: Hand, width: float, image: str, why: list[str]) -> None:
        for site in (each.name for each in HAND_SITES):
            place = seen.get(site)
            row: dict[str, Any] = {"site": site, "there": site in real, "why": why, "error": math.inf, "sure": 0.0}
            if place is not None:
                away = {name: math.hypot(at.x - place.x, at.y - place.y) / width for name, at in real.items()}
                fingers = [name for name in away if name in FINGER_JOINTS]
                row |= {"error": away.get(site, math.inf), "sure": place.confidence or 0.0}
                row["strayed"] = site in fingers and min(fingers, key=away.__getitem__) != site
            row["shown"] = place is not None
            row["jsn"] = self.jsn.get((image, real["MCP3"].side or "", site))
            self.joints.append(row)

    def print_figures(self) -> None:
        """Print all figures of the films so far."""
        c, films = self.counts, sum(self.views.values())
        right = sum(count for (real, answer), count in self.views.items() if real == answer)
        if films:
            wrong = ", ".join(f"{count} {a} as {b}" for (a, b), count in self.views.most_common() if a != b)
            print(f"views recognised by the filter: {right} of {films} ({right / films:.4f}); {wrong or 'none'} wrong")
        print(
            f"hands found with the correct side: {c['sides']} of {c['hands']}; films without hands in which one was "
            f"found: {c['false']} of {c['others']}; additional hands on films of hands: {c['invented']}"
        )
        rows = pd.DataFrame(self.joints)
        if rows.empty:
            return
        rows["finger"], rows["good"] = rows.site.isin(FINGER_JOINTS), rows.error <= HALF
        there = rows[rows.there]
        fingers = there[there.finger]
        for name, joints in (("finger joints", fingers), ("wrist sites", there[~there.finger])):
            if joints.empty:
                continue
            surest = joints[joints.sure >= joints.sure.quantile(0.05)]
            print(
                f"{name}: {len(joints)}, {joints.good.mean():.4f} within half a width, median error "
                f"{joints.error[joints.shown].median():.3f} widths, not found {(~joints.shown).mean():.4f}; of the "
                f"95 % surest {(~surest.good).mean():.4f} wrong"
            )
        named = rows[rows.site.isin(there.site)]  # the true positions of other sites are unknown
        absent, wrist = (named[~named.there & (named.finger == finger)] for finger in (True, False))
        strayed = int(fingers.strayed.fillna(False).sum())
        print(
            f"finger joints nearer to another finger joint: {strayed}; shown although not on the film: "
            f"{int(absent.shown.sum())} of {len(absent)} finger joints, {int(wrist.shown.sum())} of {len(wrist)} wrist "
            "sites"
        )
        _print_calibration(fingers[fingers.shown])
        print("  ".join(f"{site} {joints.good.mean():.4f}" for site, joints in fingers.groupby("site")))
        for jsn, joints in fingers.groupby("jsn"):
            print(f"  JSN {jsn}: {joints.good.mean():.4f} of {len(joints)} finger joints")
        for why, joints in fingers.explode("why").groupby("why"):
            lost = (~joints.shown).mean()
            print(f"  {why}: {joints.good.mean():.4f} of {len(joints)} finger joints, {lost:.4f} not found")


def _print_calibration(joints: pd.DataFrame) -> None:
    """Print how often the joints of each range of confidence are right."""
    bins = joints.groupby(pd.cut(joints.sure, [0.5, 0.8, 0.95, 0.99, 1.0], include_lowest=True), observed=True)
    rates = [f"{span.left:.2f} to {span.right:.2f}: {part.good.mean():.3f} of {len(part)}" for span, part in bins]
    print(f"right at a confidence of {'; '.join(rates)}")


def mistaken(names: PointNames, points: NDArray[np.float64], tag: str | None) -> list[Position]:
    """The hands that `choose_hands` chooses, with their sides swapped."""
    other = {"L": "R", "R": "L"}
    return [replace(place, side=other[place.side or ""]) for place in choose_hands(names, points, tag)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("models")
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--mistaken", action="store_true")
    args = parser.parse_args()
    if args.mistaken:
        joint_finding.choose_hands = mistaken
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    store = open_store(args.data)
    labels = read_table(store, "labels", LABELS)
    truth = hand_positions(labels)
    views = {name: view for (name, _, _), view in consensus(labels, "hand_filter", "view", ordered=False).items()}
    filters, joints = (
        VotingModels.load(studies.find(name), list_bundles(args.models, name))
        for name in ("hand_filter", "joint_detection")
    )
    tally, seconds, left = Tally(jsn=_true_jsn(labels)), [0.0, 0.0], args.films
    for key in list_parts(store, "images"):
        images = read_part(store, key, IMAGES, list(dict.fromkeys([*COLUMNS, *MORE_COLUMNS])))
        films = [row for row in row_kinds.FILMS.rows_of_part(images, {}) if row.image_id in views][:left]
        left -= len(films)
        start = time.perf_counter()
        vote = filters.vote(films, draw_views(store, key, filters.view_requests(films))).get("view") if films else None
        seconds[0] += time.perf_counter() - start
        hands = [row for row in films if views[row.image_id] not in NONE]
        start = time.perf_counter()
        positions = dict(find_joints(store, key, images, hands, filters, joints))
        answers = {row.image_id: VIEWS[int(at)] for row, at in zip(films, vote.p.argmax(axis=1))} if vote else {}
        positions = dict(keep_examined(positions, {name for name, view in answers.items() if view == "unilateral"}))
        seconds[1] += time.perf_counter() - start
        positions |= find_joints(store, key, images, [row for row in films if row not in hands], filters, joints)
        tally.views.update((views[name], view) for name, view in answers.items())
        image_of = {image["image_id"]: image for image in images.to_pylist()}
        for row in films:
            image = image_of[row.image_id]
            seen, real = positions.get(row.image_id, ()), truth.get(row.image_id, ())
            tally.add(seen, real, views[row.image_id], image, _pixels(image["preview"]))
    tally.print_figures()
    hands_seen = sum(count for (real, _), count in tally.views.items() if real not in NONE)
    per_view, per_hand = seconds[0] / max(args.films - left, 1), seconds[1] / max(hands_seen, 1)
    print(f"{per_view:.4f} s per film for its view; {per_hand:.3f} s per film of hands, from stored pixels to joints")


def _pixels(preview: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(preview, np.uint8), cv2.IMREAD_GRAYSCALE))


def _true_jsn(labels: Any) -> dict[tuple[str, str, str], str]:
    """The drawn score of each joint, by image, side and site."""
    rows = labels.to_pandas()
    rows = rows[(rows.study == "svdh_scoring") & (rows.target == "jsn") & (rows.reader == "truth")]
    return dict(zip(zip(rows.image_id, rows.side, rows.site), rows.value))


if __name__ == "__main__":
    main()
