"""The part of score's page about hands: scores, a review queue ranked by doubt with drawn overlays, and progression."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.svdh import HIGHEST
from rajobs.reports import figures as draw
from rajobs.reports.page import (
    Cell,
    Figure,
    Figures,
    Notice,
    Part,
    Picture,
    Pictures,
    Section,
    Table,
    Tile,
    Tiles,
    short_id,
    shown,
)

QUEUE = 12  # overlays of the review queue
CALM = 4  # and of hands that are not in doubt
FASTEST = 10  # visits with the largest change

Place = tuple[str, int]
"""image_id and number of the hand."""


def pick_overlays(hands: pa.Table) -> list[Place]:
    """The hands that the page shows: the most doubtful ones, then some that nobody has to look at."""
    return [(row["image_id"], row["hand"]) for row in (*_queue(hands), *_calm(hands))]


def hand_sections(tables: Mapping[str, pa.Table], overlays: Mapping[Place, bytes]) -> list[Section]:
    """Sections for hands, joints and visits; none where no hand came that far."""
    hands = tables["hands"]
    if not hands.num_rows:
        return []
    return [_scores(tables), _review(hands, overlays), *_progression(tables["visits"])]


def _scores(tables: Mapping[str, pa.Table]) -> Section:
    hands, joints = tables["hands"], tables["joints"]
    totals = hands.column("svdh_total").drop_null().to_numpy()
    covered = hands.column("coverage").drop_null().to_numpy()
    tiles = [
        Tile(value=shown(hands.num_rows), label="hands"),
        Tile(value=shown(int(pc.count(joints.column("x")).as_py())), label="joints found"),
        Tile(value=shown(int(pc.sum(pc.greater(hands.column("doubt"), 0)).as_py() or 0)), label="hands for review"),
    ]
    parts: list[Part] = [Tiles(tiles=tuple(tiles))]
    if len(totals):
        if np.median(covered) < 1:
            text = (
                f"Totals are partial Sharp/van der Heijde scores: the median hand has {np.median(covered):.0%} of the "
                "method's sites scored. Its lowest and highest possible total stand beside it in the table."
            )
            parts.append(Notice(text=text))
        parts.append(Figures(figures=tuple(_figures(totals, joints))))
    return Section(title="Hands and joints", parts=tuple(parts))


def _figures(totals: Any, joints: pa.Table) -> list[Figure]:
    found = [
        Figure(
            png=draw.histogram({"hands": totals.astype(np.float64)}, "total", bounds=(0.0, float(HIGHEST))),
            caption="Hands by their total, of the sites that were scored.",
        )
    ]
    for name, most in (("jsn", 4), ("erosion", 5)):
        column = joints.column(name).drop_null().to_numpy()
        if len(column):
            counts = {"joints": np.bincount(column, minlength=most + 1)[: most + 1].astype(np.int64)}
            image = draw.counts(counts, [str(score) for score in range(most + 1)], name)
            found.append(
                Figure(png=image, caption=f"How often each {'narrowing' if name == 'jsn' else 'erosion'} score.")
            )
    return found


def _queue(hands: pa.Table, most: int = QUEUE) -> list[dict[str, Any]]:
    asked = hands.filter(pc.greater(hands.column("doubt"), 0))
    order = [("doubt", "descending"), ("image_id", "ascending"), ("hand", "ascending")]
    rows: list[dict[str, Any]] = asked.sort_by(order).slice(0, most).to_pylist()
    return rows


def _calm(hands: pa.Table, most: int = CALM) -> list[dict[str, Any]]:
    """Of hands without doubt those with the highest totals: there is something to see."""
    calm = hands.filter(pc.equal(hands.column("doubt"), 0))
    order = [("svdh_total", "descending"), ("image_id", "ascending"), ("hand", "ascending")]
    rows: list[dict[str, Any]] = calm.sort_by(order).slice(0, most).to_pylist()
    return rows


def _review(hands: pa.Table, overlays: Mapping[Place, bytes]) -> Section:
    queue, calm = _queue(hands), _calm(hands)
    count = int(pc.sum(pc.greater(hands.column("doubt"), 0)).as_py() or 0)
    parts: list[Part] = []
    if queue:
        parts.append(Pictures(pictures=tuple(_picture(row, overlays) for row in queue), title="Look at these first"))
    if calm:
        parts.append(Pictures(pictures=tuple(_picture(row, overlays) for row in calm), title="Not in doubt"))
    return Section(
        title="Hands to look at again",
        lead=f"{count:,} of {hands.num_rows:,} hands are in doubt, the most doubtful first. Red boxes are joints; "
        "narrowing (JSN) stands upper left in yellow, erosion lower right in blue.",
        parts=tuple(parts),
    )


def _picture(row: Mapping[str, Any], overlays: Mapping[Place, bytes]) -> Picture:
    lines = []
    if row["svdh_total"] is not None:
        bounds = f", {row['svdh_lowest']} to {row['svdh_highest']} possible" if row["coverage"] < 1 else ""
        lines.append(f"total {row['svdh_total']} of {row['coverage']:.0%} of the sites{bounds}")
    if row["stage"] is not None:
        lines.append(f"stage {row['stage']}")
    if row["ra_p"] is not None:
        lines.append(f"RA {row['ra_p']:.0%}")
    side = {"L": "left hand", "R": "right hand"}.get(row["side"], "hand")
    return Picture(
        png=overlays.get((row["image_id"], row["hand"])),
        title=side if not row["doubt"] else f"{side}, doubt {row['doubt']:.2f}",
        lines=tuple(lines),
        code=short_id(row["image_id"]),
        tags=tuple(row["doubt_reasons"] or ()),
    )


def _progression(visits: pa.Table) -> list[Section]:
    known = visits.filter(pc.is_valid(visits.column("svdh_change")))
    if not known.num_rows:
        return []
    rows: list[tuple[Cell, ...]] = []
    for visit in known.sort_by([("svdh_change", "descending"), ("patient", "ascending")]).slice(0, FASTEST).to_pylist():
        both = visit["L_svdh_total"] + visit["R_svdh_total"]
        change = f"{visit['svdh_change']:+d}"
        rows.append((short_id(visit["patient"]), both - visit["svdh_change"], both, change, visit["days_since"]))
    changes = known.column("svdh_change").to_numpy()
    lead = (
        f"{known.num_rows:,} visits have both hands' totals at this visit and the one before, of as many sites: the "
        f"median change is {np.median(changes):+.0f}. The largest ones:"
    )
    table = Table(columns=("patient", "before", "now", "change", "days between"), rows=tuple(rows))
    return [Section(title="Progression", lead=lead, parts=(table,))]
