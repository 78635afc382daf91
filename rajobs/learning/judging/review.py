"""Whether doubt is earned: the error that is left when the most doubtful hands are reviewed, by reason of doubt.

A hand's error is how far its scores are from the readers', in points. Its doubt is what score would make of it, as far
as a table of answers shows it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.learning.study import Study
from rajobs.learning.targets import YES
from rajobs.records.anatomy import FINGER_JOINTS, SCORES, SITES
from rajobs.records.doubt import ALLOWED
from rajobs.records.errors import UsageError
from rajobs.records.statistics.by_patient import LEAST_PATIENTS, student_interval
from rajobs.records.statistics.count_statistics import Ints, Reals
from rajobs.records.svdh import HIGHEST

Figure = Mapping[str, float]
Curve = Mapping[str, Sequence[float]]
"""By scale of the documented thresholds: share of hands reviewed, error of a score in the others, the same with the
worst patient counted twice (bound), and share of the errors that the reviewed hands have (caught)."""
Joints = Sequence[Mapping[str, Any]]
Place = tuple[str, int]
"""image_id and number of the hand."""

WHOLE = "any reason"
SCALES = (0.0, *(2 ** (step / 8) for step in range(-24, 27)))
"""Of the documented thresholds, 1 among them: from all hands with any doubt to none."""
FIFTH = 0.2
WORTH = ("reviewed", "error", "caught")
_COLUMNS = ("image_id", "extremity", "site", "patient", "target", "truth", "predicted", "p", "apart")


@dataclass(frozen=True, kw_only=True)
class JudgedHands:
    """Hands whose scores the readers know, an entry each."""

    patients: NDArray[np.str_]
    points: Reals  # by which the scores differ from the readers'
    scores: Reals  # how many there are
    levels: Mapping[str, Reals]  # by reason, and of any: how many times its allowed value a measure of doubt is

    def __len__(self) -> int:
        return len(self.patients)

    def take(self, rows: Ints) -> "JudgedHands":
        return JudgedHands(
            patients=self.patients[rows], points=self.points[rows], scores=self.scores[rows],
            levels={name: of_reason[rows] for name, of_reason in self.levels.items()},
        )  # fmt: skip


def judged_hands(study: Study, table: pa.Table) -> JudgedHands:
    """Those of a predictions table, or of an end_to_end one; none of studies whose scores are not summed.

    Feet are left out: score does not score them yet.
    """
    by_models = "confidence" in table.column_names
    hands: dict[Place, list[dict[str, Any]]] = {}
    for row in table.select([*_COLUMNS, *(["confidence"] if by_models else [])]).to_pylist() if study.summed else ():
        if row["site"] in SITES and SITES[row["site"]].part == "hand" and row["extremity"] is not None:
            hands.setdefault((row["image_id"], row["extremity"]), []).append(row)
    hands = {place: joints for place, joints in hands.items() if _answered(joints)}
    measured = {place: dict(_measures(study, joints, by_models=by_models)) for place, joints in hands.items()}
    for place, apart in _apart(hands):
        measured[place]["hands contradict each other"] = apart
    levels = {
        reason: np.array([measures.get(reason, 0.0) / allowed for measures in measured.values()], float)
        for reason, allowed in ALLOWED.items()
    }
    answered = [_answered(joints) for joints in hands.values()]
    return JudgedHands(
        patients=np.array([joints[0]["patient"] for joints in answered], np.str_),
        points=np.array([sum(abs(int(row["truth"]) - int(row["predicted"])) for row in of) for of in answered], float),
        scores=np.array([len(joints) for joints in answered], float),
        levels={WHOLE: np.max(list(levels.values()), axis=0), **levels},
    )


def _answered(joints: Joints) -> Joints:
    return [row for row in joints if row["target"] in SCORES and row["predicted"] is not None]


def _measures(study: Study, joints: Joints, *, by_models: bool) -> Iterator[tuple[str, float]]:
    """A hand's measures of doubt; not its film's view, nor the answers of other studies, which no table here has."""
    answered, labelled = _answered(joints), [row for row in joints if row["target"] in SCORES]
    several = {
        "scores unsure": [1 - max(row["p"]) for row in answered if row["p"]],
        "models disagree": [row["apart"] for row in answered if row["apart"] is not None],
        "joints not assessable": [
            row["predicted"] != YES for row in joints if row["target"] == study.assessable and row["predicted"]
        ],
    }
    if by_models:
        confidence = {row["site"]: row["confidence"] or 0.0 for row in labelled if row["site"] in FINGER_JOINTS}
        several["joints unsure"] = [1 - value for value in confidence.values()]
        several["joints missing"] = [row["predicted"] is None for row in labelled]
    yield from ((name, float(np.mean(values))) for name, values in several.items() if values)


def _apart(hands: Mapping[Place, Joints]) -> Iterator[tuple[Place, float]]:
    """How far the totals of two hands of a film are apart."""
    by_film: dict[str, dict[Place, int]] = {}
    for place, joints in hands.items():
        by_film.setdefault(place[0], {})[place] = sum(int(row["predicted"]) for row in _answered(joints))
    for totals in by_film.values():
        if len(totals) == 2:
            one, other = totals.values()
            yield from ((place, abs(one - other) / HIGHEST) for place in totals)


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """What the review of some hands is worth."""

    reviewed: float  # share of the hands
    error: float  # mean difference of a score from the readers', in points, in the hands that are not reviewed
    caught: float  # share of all points of error that the reviewed hands have


def review(hands: JudgedHands, chosen: NDArray[np.bool_]) -> Reviewed:
    """What the review of the chosen hands is worth."""
    left, whole = hands.points[~chosen].sum(), hands.points.sum()
    return Reviewed(
        reviewed=float(chosen.mean()),
        error=float(left / hands.scores[~chosen].sum()) if not chosen.all() else 0.0,
        caught=float(1 - left / whole) if whole else float("nan"),
    )


def review_curve(hands: JudgedHands) -> dict[str, list[float]]:
    """What validation hands say of every scale of the thresholds; nothing with too few patients."""
    patients, number = np.unique(hands.patients, return_inverse=True)
    if len(patients) < LEAST_PATIENTS or not hands.points.any():
        return {}
    curve: dict[str, list[float]] = {name: [] for name in (*WORTH, "bound")}
    for scale in SCALES:
        chosen = hands.levels[WHOLE] > scale
        points, scores = (
            np.bincount(number, weights=np.where(chosen, 0, each)) for each in (hands.points, hands.scores)
        )
        # A new patient may be as wrong as the worst of these, and by a point at least: that one counts twice.
        bound = ((points.sum() + np.maximum(points, 1)) / np.maximum(scores.sum() + scores, 1)).max()
        for name, value in {**vars(review(hands, chosen)), "bound": float(bound)}.items():
            curve[name].append(value)
    return curve


def choose_scale(curve: Curve, error: float) -> float:
    """The largest scale of the thresholds that keeps an error on validation; 0 where only a review of all does."""
    if not error > 0:
        raise UsageError(f"--review-error must be above 0, in points of a score, not {error:g}")
    if not curve:
        raise UsageError(
            "--review-error needs models whose validation part has five patients with scored joints, and none of these "
            "has: leave it out, or train anew on more patients"
        )
    return max((scale for scale, bound in zip(SCALES, curve["bound"]) if bound <= error), default=0.0)


def expected_at(curve: Curve, scale: float) -> Reviewed:
    """What validation says of a scale."""
    return Reviewed(**{name: curve[name][SCALES.index(scale)] for name in WORTH})


@dataclass(frozen=True, kw_only=True)
class ReasonOfDoubt:
    """One reason of doubt, or any: hands beyond its documented threshold, and the fifth of hands with most of it."""

    reason: str
    hands: int  # beyond the threshold
    reviewed: Figure
    caught: Figure
    fifth: Figure  # share of the errors in the most doubtful fifth: a fifth, if doubt says nothing


@dataclass(frozen=True, kw_only=True)
class ThresholdCheck:
    """What a scale of the thresholds does on the rows that judge, beside what validation says of it."""

    scale: float
    asked: float | None  # the error that was asked for; None: the documented thresholds
    figures: Mapping[str, Figure]
    expected: Mapping[str, float] = field(default_factory=dict)  # empty where there is no validation


@dataclass(frozen=True, kw_only=True)
class ReviewFacts:
    """How well doubt finds the errors of the hands that judge."""

    hands: JudgedHands  # drawn, not written
    error: float  # of a score without any review
    reasons: tuple[ReasonOfDoubt, ...]
    thresholds: tuple[ThresholdCheck, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "hands": len(self.hands), "patients": len(np.unique(self.hands.patients)), "error": self.error,
            "reasons": [vars(each) for each in self.reasons], "thresholds": [vars(each) for each in self.thresholds],
        }  # fmt: skip


def judge_review(study: Study, table: pa.Table, curve: Curve, asked: float | None = None) -> ReviewFacts | None:
    """The facts of the hands that judge; `asked`: the error that the user names. None where no score is wrong."""
    hands = judged_hands(study, table)
    if not hands.points.any():
        return None
    scales: list[tuple[float, float | None]] = [(1.0, None)]
    scales += [(choose_scale(curve, asked), asked)] if asked is not None else []
    return ReviewFacts(
        hands=hands, error=review(hands, np.zeros(len(hands), bool)).error, reasons=tuple(_reasons(hands)),
        thresholds=tuple(
            ThresholdCheck(
                scale=scale, asked=error, figures=_figures(hands, _beyond(WHOLE, scale)),
                expected=vars(expected_at(curve, scale)) if curve else {},
            )
            for scale, error in scales
        ),
    )  # fmt: skip


def _reasons(hands: JudgedHands) -> Iterator[ReasonOfDoubt]:
    for reason, levels in hands.levels.items():
        if levels.any():
            figures = _figures(hands, _beyond(reason, 1.0))
            yield ReasonOfDoubt(
                reason=reason, hands=int((levels > 1).sum()), reviewed=figures["reviewed"], caught=figures["caught"],
                fifth=_figures(hands, _most_doubtful(reason))["caught"],
            )  # fmt: skip


Choice = Callable[[JudgedHands], NDArray[np.bool_]]


def _beyond(reason: str, scale: float) -> Choice:
    return lambda hands: hands.levels[reason] > scale


def _most_doubtful(reason: str) -> Choice:
    """A fifth of the hands, those with the most doubt; of hands with equal doubt the first."""

    def choose(hands: JudgedHands) -> NDArray[np.bool_]:
        rank = np.argsort(np.argsort(-hands.levels[reason], kind="stable"), kind="stable")
        chosen: NDArray[np.bool_] = rank < round(FIFTH * len(hands))
        return chosen

    return choose


def _figures(hands: JudgedHands, choose: Choice) -> dict[str, Figure]:
    def value(name: str, rows: Ints) -> float:
        some = hands.take(rows)
        return float(getattr(review(some, choose(some)), name))

    figures: dict[str, Figure] = {}
    for name in WORTH:
        low, high = student_interval(lambda rows, name=name: value(name, rows), hands.patients)  # type: ignore[misc]
        most = np.inf if name == "error" else 1.0
        figures[name] = {"value": value(name, np.arange(len(hands))), "low": max(low, 0.0), "high": min(high, most)}
    return figures


def risk_coverage(hands: JudgedHands, levels: Reals) -> tuple[Reals, Reals]:
    """Share of hands reviewed, those with the highest levels first, and the error of a score in the others.

    Hands of equal levels are reviewed together.
    """
    order = np.argsort(-levels, kind="stable")
    ends = np.concatenate([[0], np.flatnonzero(np.diff(levels[order])) + 1]).astype(np.int64)
    left, of_left = (
        each.sum() - np.concatenate([[0.0], np.cumsum(each[order])])[ends] for each in (hands.points, hands.scores)
    )
    return ends / len(hands), left / of_left
