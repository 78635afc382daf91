"""Votes about hands and their joints as rows of the tables: totals, and the doubt that is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rajobs.imaging.rows import Row
from rajobs.learning.targets import predicted
from rajobs.learning.voting import Vote
from rajobs.records.anatomy import FINGER_JOINTS, HAND_SITES, SITES
from rajobs.records.doubt import doubt
from rajobs.records.svdh import HIGHEST, totals

Record = dict[str, Any]
SCORES = ("jsn", "erosion")


@dataclass(frozen=True, kw_only=True)
class HandInProgress:
    """A hand while its rows are made; `unsure` and `apart` hold a number a score."""

    row: Row
    whose: Record
    film: Record
    joints: list[Record] = field(default_factory=list)
    unsure: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)


def score_joints(hands: Sequence[HandInProgress], votes: Mapping[str, Vote], bundles: Sequence[str]) -> None:
    """All sites of every hand; one that was not found has nulls. Votes are in the order of the hands' joints."""
    first = 0
    for hand in hands:
        place = {joint.site: (joint, first + number) for number, joint in enumerate(hand.row.joints)}
        for site in (each.name for each in HAND_SITES):
            told: Record = {
                "image_id": hand.row.image_id, "hand": hand.row.hand, "site": site, "side": hand.row.side,
                "patient": hand.whose["patient"], "bundles": list(bundles),
            }  # fmt: skip
            if site in place:
                joint, at = place[site]
                assert joint.box is not None, joint
                told |= {
                    "confidence": joint.confidence,
                    "box": list(joint.box),
                    "x": sum(joint.box[::2]) / 2,
                    "y": sum(joint.box[1::2]) / 2,
                }
                for name, vote in votes.items():
                    told |= _score(hand, site, name, vote, at)
            hand.joints.append(told)
        first += len(hand.row.joints)


def _score(hand: HandInProgress, site: str, name: str, vote: Vote, at: int) -> Record:
    """A site's score, where the method has one and a model has learned it; no higher than it goes there."""
    most, given = {"jsn": SITES[site].jsn_max, "erosion": SITES[site].erosion_max}[name], vote.probabilities_at(at)
    if most is None or given is None:
        return {}
    p = given[: most + 1] / given[: most + 1].sum()
    hand.unsure.append(float(1 - p.max()))
    hand.apart.append(float(vote.apart[at]))
    score = vote.answers[at] if len(p) == len(given) else predicted(vote.target, p[None])[0]
    return {name: int(score), f"{name}_p": p.tolist()}


def hand_rows(
    hands: Sequence[HandInProgress], ra: Vote | None, stage: Vote | None, bundles: Sequence[str]
) -> list[Record]:
    """Rows of the hands table; joints come first."""
    rows, measures = [], []
    for at, hand in enumerate(hands):
        whole = totals(*({row["site"]: row.get(name) for row in hand.joints} for name in SCORES))
        row: Record = {
            **hand.whose, "hand": hand.row.hand, "side": hand.row.side, "box": list(hand.row.box or ()),
            "bundles": list(bundles), "jsn_total": whole.jsn, "erosion_total": whole.erosion,
            "svdh_total": whole.svdh, "coverage": whole.coverage, "svdh_lowest": whole.lowest,
            "svdh_highest": whole.highest,
        }  # fmt: skip
        apart = list(hand.apart and [float(np.mean(hand.apart))])
        if ra is not None and (p := ra.probabilities_at(at)) is not None:
            row["ra_p"] = float(p[1])
            apart.append(float(ra.apart[at]))
        if stage is not None and (p := stage.probabilities_at(at)) is not None:
            row |= {"stage": int(stage.answers[at]), "stage_p": p.tolist()}
            apart.append(float(stage.apart[at]))
        rows.append(row)
        measures.append(_measures(row, hand, apart))
    _compare(rows, measures)
    return [{**row, **dict(zip(("doubt", "doubt_reasons"), doubt(mine)))} for row, mine in zip(rows, measures)]


def _measures(row: Record, hand: HandInProgress, apart: Sequence[float]) -> dict[str, float]:
    """What a hand's doubt is made of, by reason (records/doubt.py)."""
    found = {"answers contradict each other": _contradiction(row), "models disagree": max(apart, default=0.0)}
    if hand.unsure:
        found |= {"scores unsure": float(np.mean(hand.unsure)), "joints missing": 1 - row["coverage"]}
    told = {joint["site"]: joint.get("confidence") for joint in hand.joints}
    if any(confidence is not None for confidence in told.values()):  # people's positions have none
        found["joints unsure"] = 1 - float(np.mean([told[site] or 0.0 for site in FINGER_JOINTS]))
    if hand.film.get("view"):
        found["view unsure"] = 1 - hand.film[f"{hand.film['view']}_p"]
    return found


def _contradiction(row: Record) -> float:
    """How far RA, the stage and the total of one hand go apart."""
    ra, stage, total = row.get("ra_p"), row.get("stage"), row["svdh_total"]
    found = [0.0]
    if ra is not None and stage is not None:
        found.append(ra if stage == 0 else (1 - ra) * min(1.0, stage / 2))
    if stage == 0 and total is not None:
        found.append(min(1.0, 4 * total / HIGHEST))
    return max(found)


def _compare(rows: Sequence[Record], measures: Sequence[dict[str, float]]) -> None:
    """Two hands of one film that are very unequally ill are looked at again."""
    for one, mine in zip(rows, measures):
        for other in rows:
            pair = one["image_id"] == other["image_id"] and one["hand"] != other["hand"]
            if pair and one["svdh_total"] is not None and other["svdh_total"] is not None:
                mine["hands contradict each other"] = abs(one["svdh_total"] - other["svdh_total"]) / HIGHEST
