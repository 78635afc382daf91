"""Rows of extremities and joints out of votes: scores by site, totals, and the doubt that is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rajobs.imaging.rows import Row
from rajobs.jobs.score.steps import ASSESSABLE, Record, Votes, fill
from rajobs.learning.study import AnswerColumns
from rajobs.learning.targets import predicted
from rajobs.learning.voting import Vote
from rajobs.records.anatomy import FINGER_JOINTS, HAND_SITES, JOINT_KINDS, SCORES, SITES
from rajobs.records.changes import ByMeasure
from rajobs.records.doubt import doubt
from rajobs.records.statistics.conformal import score_set
from rajobs.records.svdh import HIGHEST, expected_totals, totals


@dataclass(frozen=True, kw_only=True)
class ExtremityInProgress:
    """A hand or foot while its rows are made; `uncertainty` and `apart` hold one number per score of its joints."""

    row: Row
    owner: Record  # image_id, patient and visit_date
    film: Record
    joints: list[Record] = field(default_factory=list)
    uncertainty: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)

    @property
    def part(self) -> str:
        """hand | foot."""
        return SITES[self.row.joints[0].site].part


def fill_joints(
    hands: Sequence[ExtremityInProgress], votes: Votes, spaces: Sequence[Record], bundles: Sequence[str]
) -> None:
    """The rows of all sites of every hand; a joint that was not found, or cannot be assessed, has nulls for scores.

    Votes and spaces are in the order of the hands' joints.
    """
    first = 0
    for hand in hands:
        row_of_site = {joint.site: (joint, first + number) for number, joint in enumerate(hand.row.joints)}
        for site in (each.name for each in HAND_SITES):
            record: Record = {
                "image_id": hand.row.image_id, "extremity": hand.row.extremity, "site": site, "side": hand.row.side,
                "patient": hand.owner["patient"], "bundles": list(bundles),
            }  # fmt: skip
            if site in row_of_site:
                joint, row = row_of_site[site]
                assert joint.box is not None, joint
                record |= {
                    "confidence": joint.confidence,
                    "box": list(joint.box),
                    "x": sum(joint.box[::2]) / 2,
                    "y": sum(joint.box[1::2]) / 2,
                    **spaces[row],
                }
                for study, columns, vote in votes.each():
                    if columns.target == study.assessable or votes.is_assessable(study, row):
                        record |= _fill_site(hand, site, columns, vote, row, votes)
            hand.joints.append(record)
        first += len(hand.row.joints)


def _fill_site(
    hand: ExtremityInProgress, site: str, columns: AnswerColumns, vote: Vote, row: int, votes: Votes
) -> Record:
    """A site's answer; a score of the method goes no higher than the method does at this site."""
    p = vote.probabilities_at(row)
    if columns.target not in SCORES or p is None:
        return fill(columns, votes.schema, vote, row)
    most = SITES[site].highest(columns.target)
    if most is None:
        return {}
    possible = p[: most + 1] / p[: most + 1].sum()
    hand.uncertainty.append(float(1 - possible.max()))
    hand.apart.append(float(vote.apart[row]))
    answer = vote.answers[row] if len(possible) == len(p) else predicted(vote.target, possible[None])[0]
    filled = fill(columns, votes.schema, _one_row(vote, row, int(answer)), 0)
    if columns.p is not None:
        filled[columns.p] = possible.tolist()
    least_p = votes.calibration.least_p.get(columns.target, {}).get(JOINT_KINDS[site])
    if columns.conformal is not None and least_p is not None:
        filled[columns.conformal] = score_set(possible, int(answer), least_p)
    return filled


def _one_row(vote: Vote, row: int, answer: int) -> Vote:
    """A vote about one row alone, with another answer."""
    of_row = slice(row, row + 1)
    return replace(
        vote, p=vote.p[of_row], answers=np.array([answer]), apart=vote.apart[of_row], dissent=vote.dissent[of_row],
        by_rule=vote.by_rule[of_row],
    )  # fmt: skip


def extremity_rows(
    hands: Sequence[ExtremityInProgress],
    votes: Votes,
    bundles: Sequence[str],
    widths: ByMeasure,
    doubt_scale: float = 1.0,
) -> list[Record]:
    """Rows of the extremities table; the joints' rows must be there already.

    `widths`: of the expected totals; `doubt_scale`: of the documented thresholds of doubt.
    """
    rows, measures = [], []
    for number, hand in enumerate(hands):
        jsn, erosion = ({joint["site"]: joint.get(name) for joint in hand.joints} for name in SCORES)
        row: Record = {
            **hand.owner, "extremity": hand.row.extremity, "part": hand.part, "side": hand.row.side,
            "box": list(hand.row.box or ()), "bundles": list(bundles),
            **totals(jsn, erosion, hand.part).columns(), **_expected_columns(hand, widths), **votes.fill(number),
        }  # fmt: skip
        apart = [float(np.mean(hand.apart))] if hand.apart else []
        apart += [float(v.apart[number]) for _, _, v in votes.each() if v.probabilities_at(number) is not None]
        rows.append(row)
        measures.append(_doubt_measures(row, hand, apart))
    _compare_hands(rows, measures)
    return [
        {**row, **dict(zip(("doubt", "doubt_reasons"), doubt(by_reason, doubt_scale)))}
        for row, by_reason in zip(rows, measures)
    ]


def _expected_columns(hand: ExtremityInProgress, widths: ByMeasure) -> Record:
    """The expected totals, and the ends of their intervals where validation has seen enough patients."""
    p = {
        name: {joint["site"]: of_score for joint in hand.joints if (of_score := joint.get(f"{name}_p"))}
        for name in SCORES
    }
    columns: Record = {}
    for measure, expected in expected_totals(p, hand.part).items():
        columns[f"{measure}_expected"] = expected.total
        width = widths.get(hand.part, {}).get(measure)
        if width is not None:
            columns |= dict(zip((f"{measure}_expected_low", f"{measure}_expected_high"), expected.interval(width)))
    return columns


def _doubt_measures(row: Record, hand: ExtremityInProgress, apart: Sequence[float]) -> dict[str, float]:
    """What a hand's doubt is made of, by reason (records/doubt.py)."""
    measures = {"answers contradict each other": _contradiction(row), "models disagree": max(apart, default=0.0)}
    if hand.uncertainty:
        measures |= {"scores unsure": float(np.mean(hand.uncertainty)), "joints missing": 1 - row["coverage"]}
    assessable = [p >= ASSESSABLE for joint in hand.joints if (p := joint.get("assessable_p")) is not None]
    if assessable:
        measures["joints not assessable"] = 1 - float(np.mean(assessable))
    confidence = {joint["site"]: joint.get("confidence") for joint in hand.joints}
    if any(value is not None for value in confidence.values()):  # positions placed by people have none
        measures["joints unsure"] = 1 - float(np.mean([confidence[site] or 0.0 for site in FINGER_JOINTS]))
    if hand.film.get("view"):
        measures["view unsure"] = 1 - hand.film[f"{hand.film['view']}_p"]
    return measures


def _contradiction(row: Record) -> float:
    """How much RA, the stage and the total of one hand contradict each other."""
    ra, stage, total = row.get("ra_p"), row.get("stage"), row["svdh_total"]
    contradictions = [0.0]
    if ra is not None and stage is not None:
        contradictions.append(ra if stage == 0 else (1 - ra) * min(1.0, stage / 2))
    if stage == 0 and total is not None:
        contradictions.append(min(1.0, 4 * total / HIGHEST))
    return max(contradictions)


def _compare_hands(rows: Sequence[Record], measures: Sequence[dict[str, float]]) -> None:
    """Two hands of one film whose totals differ much are looked at again."""
    for one, by_reason in zip(rows, measures):
        for other in rows:
            pair = one["image_id"] == other["image_id"] and one["extremity"] != other["extremity"]
            if pair and one["svdh_total"] is not None and other["svdh_total"] is not None:
                difference = abs(one["svdh_total"] - other["svdh_total"])
                by_reason["hands contradict each other"] = difference / HIGHEST
