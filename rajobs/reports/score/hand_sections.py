"""The sections of score's page about hands (scores, review queue with overlays, progression) and clinical findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rajobs.learning.judging.review import Reviewed
from rajobs.records.svdh import HIGHEST
from rajobs.reports import figures as draw
from rajobs.reports.page import (
    Cell,
    Correction,
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
    format_cell,
)
from rajobs.reports.score.tallies import HandTally, ShownHand, VisitTally, median
from rajobs.reports.wording import format_count, format_percent, short_id

Place = tuple[str, int]
"""image_id and number of the hand."""

SCORE_NAMES = {"jsn": "narrowing (JSN) score", "erosion": "erosion score"}


@dataclass(frozen=True, kw_only=True)
class ReviewQueue:
    """What sends hands to review, and what validation expects of it."""

    scale: float = 1.0  # of the documented thresholds of doubt
    asked: float | None = None  # the error that the user asked for
    expected: Reviewed | None = None  # None: no validation says it

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """What the page says of it."""
        texts = []
        if self.asked is not None:
            scaled = f"thresholds of doubt are {self.scale:.2f} times as documented."
            every = "no threshold of doubt is low enough on validation: every hand with any doubt is here."
            texts.append(f"For --review-error {self.asked:g}, {scaled if self.scale else every}")
        if self.expected is not None:
            reviewed, caught = (format_percent(share) for share in (self.expected.reviewed, self.expected.caught))
            texts.append(
                f"What to expect of this queue: on the models' validation patients, {reviewed} of the hands were so "
                f"doubtful, and had {caught} of the errors (points by which scores were off). The scores of the other "
                f"hands were off by {self.expected.error:.2f} on average. This holds for patients like those. Doubts "
                "that validation could not see, such as the view of a film, send more hands here."
            )
        return tuple(texts)


def hand_sections(
    hands: HandTally, visits: VisitTally, overlays: Mapping[Place, bytes],
    corrections: Mapping[Place, tuple[Correction, ...]] = MappingProxyType({}), queue: ReviewQueue | None = None,
) -> list[Section]:  # fmt: skip
    """Sections for hands, joints and visits; none where no hand was scored."""
    if not hands.hands:
        return []
    return [_scores(hands), _review(hands, overlays, corrections, queue or ReviewQueue()), *_progression(visits)]


def _scores(hands: HandTally) -> Section:
    tiles = (
        Tile(value=format_cell(hands.hands), label="hands"),
        Tile(value=format_cell(hands.joints), label="joints found"),
        Tile(value=format_cell(hands.doubtful), label="hands for review"),
    )
    parts: list[Part] = [Tiles(tiles=tiles)]
    if hands.totals.any():
        coverage = median(hands.coverage)
        if coverage < 1:
            text = (
                f"Totals are partial Sharp/van der Heijde scores: the median hand has {format_percent(coverage)} of "
                "the method's sites scored. The hands table also has each hand's lowest and highest possible total."
            )
            parts.append(Notice(text=text))
        parts.append(Figures(figures=tuple(_figures(hands))))
    return Section(title="Hands and joints", parts=tuple(parts))


def _figures(hands: HandTally) -> list[Figure]:
    values, most = np.arange(HIGHEST + 1.0), float(HIGHEST)
    figures = [
        Figure(
            png=draw.histogram({"hands": values}, "total", bounds=(0.0, most), counts={"hands": hands.totals}),
            caption="Hands by their total over the scored sites.",
        )
    ]
    for name, counts in hands.scores.items():
        if counts.any():
            image = draw.counts({"joints": counts}, [str(score) for score in range(len(counts))], SCORE_NAMES[name])
            figures.append(Figure(png=image, caption=f"Joints by their {SCORE_NAMES[name]}."))
    return figures


def _review(
    hands: HandTally, overlays: Mapping[Place, bytes], corrections: Mapping[Place, tuple[Correction, ...]],
    queue: ReviewQueue,
) -> Section:  # fmt: skip
    parts: list[Part] = [Text(paragraphs=queue.paragraphs)] if queue.paragraphs else []
    for shown, title in ((hands.queue, "Look at these first"), (hands.calm, "Not in doubt")):
        if shown:
            pictures = tuple(
                _picture(hand, overlays.get(hand.place), corrections.get(hand.place, ())) for hand in shown
            )
            parts.append(Pictures(pictures=pictures, title=title))
    doubtful = f"{hands.doubtful:,} of {format_count(hands.hands, 'hand')} need review; the most doubtful come first."
    return Section(
        title="Hands to review",
        lead=f"{doubtful if hands.doubtful else 'No hand is in doubt.'} Red boxes mark joints. The narrowing score "
        "(JSN) is at the upper left in yellow, the erosion score at the lower right in blue.",
        parts=tuple(parts),
    )


def _picture(hand: ShownHand, drawn: bytes | None, corrections: tuple[Correction, ...]) -> Picture:
    lines = []
    if hand.svdh_total is not None and hand.coverage is not None:
        bounds = f" ({hand.svdh_lowest} to {hand.svdh_highest} possible)" if hand.coverage < 1 else ""
        lines.append(f"total {hand.svdh_total} from {format_percent(hand.coverage)} of the sites{bounds}")
    if hand.stage is not None:
        lines.append(f"stage {hand.stage}")
    if hand.ra_p is not None:
        lines.append(f"RA probability {format_percent(hand.ra_p)}")
    side = {"L": "left hand", "R": "right hand"}.get(hand.side or "", "hand")
    return Picture(
        png=drawn,
        title=side if not hand.doubt else f"{side}, doubt {hand.doubt:.2f}",
        lines=tuple(lines),
        code=hand.image_id,
        tags=hand.doubt_reasons,
        corrections=corrections,
    )


def _progression(visits: VisitTally) -> list[Section]:
    if not visits.changes:
        return []
    rows: list[tuple[Cell, ...]] = [
        (
            short_id(shown.patient), shown.days, shown.sites, f"{shown.change:+d}", _signed(shown.expected),
            "" if shown.low is None else f"{_signed(shown.low)} to {_signed(shown.high)}",
            "" if shown.detectable is None else f"{shown.detectable:.1f}",
        )
        for shown in visits.fastest
    ]  # fmt: skip
    lead = (
        f"At {format_count(visits.changes.total(), 'visit')} a patient's total can be compared with the visit before, "
        "over the sites scored at both. The median change of the likeliest scores is "
        f"{median(visits.changes):+.0f}. The expected change adds up expected scores, which see small changes of many "
        "joints. The table shows the largest changes; the table changes has all of them, of each hand too."
    )
    columns = (
        "patient", "days between", "sites at both", "change", "expected change", "90 % interval", "detectable",
    )  # fmt: skip
    strong = tuple(number for number, shown in enumerate(visits.fastest) if shown.beyond)
    parts: list[Part] = [PageTable(columns=columns, rows=tuple(rows), strong=strong)]
    if visits.beyond:
        text = (
            "Beyond the smallest detectable change, which the models' validation patients gave: "
            f"{visits.beyond[True]:,} of {format_count(visits.beyond.total(), 'change')}. By chance at most 5 % are."
        )
        parts.insert(0, Text(paragraphs=(text,)))
    return [Section(title="Progression", lead=lead, parts=tuple(parts))]


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"


def clinic_sections(visits: VisitTally) -> list[Section]:
    """What scans added to the clinical findings; nothing where no model asked for them or nothing was missing."""
    if not visits.clinic_visits or not visits.squares_filled + visits.scans_without_place:
        return []
    text = (
        f"The clinical models answered for {format_count(visits.clinic_visits, 'visit')}. Each joint has a square for "
        "grey scale and one for power Doppler in the picture that they see. Ultrasound grades of the same day filled "
        f"{format_count(visits.squares_filled, 'square')} that the clinic had left empty, at "
        f"{format_count(visits.visits_filled, 'visit')}."
    )
    if visits.scans_without_place:
        text += (
            f" {format_count(visits.scans_without_place, 'graded frame')} could not be used, because no label names "
            "the side and the joint."
        )
    return [Section(title="Clinical findings filled from ultrasound", parts=(Text(paragraphs=(text,)),))]
