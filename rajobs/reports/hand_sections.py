"""The part of score's page about hands: scores, a review queue ranked by doubt with drawn overlays, and progression;
and what scans told the clinic's picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rajobs.records.svdh import HIGHEST
from rajobs.reports import figures as draw
from rajobs.reports.page import (
    Cell,
    Figure,
    Figures,
    Notice,
    PageTable,
    Part,
    Picture,
    Pictures,
    Section,
    Text,
    Tile,
    Tiles,
    short_id,
    shown,
)
from rajobs.reports.score_tallies import HandTally, VisitTally, median

Place = tuple[str, int]
"""image_id and number of the hand."""


def hand_sections(hands: HandTally, visits: VisitTally, overlays: Mapping[Place, bytes]) -> list[Section]:
    """Sections for hands, joints and visits; none where no hand came that far."""
    if not hands.hands:
        return []
    return [_scores(hands), _review(hands, overlays), *_progression(visits)]


def _scores(hands: HandTally) -> Section:
    tiles = [
        Tile(value=shown(hands.hands), label="hands"),
        Tile(value=shown(hands.joints), label="joints found"),
        Tile(value=shown(hands.doubtful), label="hands for review"),
    ]
    parts: list[Part] = [Tiles(tiles=tuple(tiles))]
    if hands.totals.any():
        covered = median(hands.coverage)
        if covered < 1:
            text = (
                f"Totals are partial Sharp/van der Heijde scores: the median hand has {covered:.0%} of the "
                "method's sites scored. Its lowest and highest possible total stand beside it in the table."
            )
            parts.append(Notice(text=text))
        parts.append(Figures(figures=tuple(_figures(hands))))
    return Section(title="Hands and joints", parts=tuple(parts))


def _figures(hands: HandTally) -> list[Figure]:
    values, most = np.arange(HIGHEST + 1.0), float(HIGHEST)
    found = [
        Figure(
            png=draw.histogram({"hands": values}, "total", bounds=(0.0, most), counts={"hands": hands.totals}),
            caption="Hands by their total, of the sites that were scored.",
        )
    ]
    for name, counts in hands.scores.items():
        if counts.any():
            image = draw.counts({"joints": counts}, [str(score) for score in range(len(counts))], name)
            found.append(
                Figure(png=image, caption=f"How often each {'narrowing' if name == 'jsn' else 'erosion'} score.")
            )
    return found


def _review(hands: HandTally, overlays: Mapping[Place, bytes]) -> Section:
    parts: list[Part] = []
    for rows, title in ((hands.queue, "Look at these first"), (hands.calm, "Not in doubt")):
        if rows:
            parts.append(Pictures(pictures=tuple(_picture(row, overlays) for row in rows), title=title))
    return Section(
        title="Hands to look at again",
        lead=f"{hands.doubtful:,} of {hands.hands:,} hands are in doubt, the most doubtful first. Red boxes are "
        "joints; narrowing (JSN) stands upper left in yellow, erosion lower right in blue.",
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


def _progression(visits: VisitTally) -> list[Section]:
    if not visits.changes:
        return []
    rows: list[tuple[Cell, ...]] = []
    for visit in visits.fastest:
        both = visit["L_svdh_total"] + visit["R_svdh_total"]
        change = f"{visit['svdh_change']:+d}"
        rows.append((short_id(visit["patient"]), both - visit["svdh_change"], both, change, visit["days_since"]))
    lead = (
        f"{visits.changes.total():,} visits have both hands' totals at this visit and the one before, of as many "
        f"sites: the median change is {median(visits.changes):+.0f}. The largest ones:"
    )
    table = PageTable(columns=("patient", "before", "now", "change", "days between"), rows=tuple(rows))
    return [Section(title="Progression", lead=lead, parts=(table,))]


def clinic_sections(visits: VisitTally) -> list[Section]:
    """What of the clinic's picture came from scans; nothing where the clinic was not asked or knew all."""
    if not visits.asked or not visits.squares + visits.placeless:
        return []
    text = (
        f"The clinic's models were asked about {visits.asked:,} visits. Grades of scans of the same day filled "
        f"{visits.squares:,} squares (grey scale and power Doppler of a joint) that the clinic had left empty at "
        f"{visits.filled:,} of them."
    )
    if visits.placeless:
        text += f" {visits.placeless:,} graded frames filled none: no label names their side and joint."
    return [Section(title="The clinic's picture", parts=(Text(paragraphs=(text,)),))]
