"""The model and each reader beside one another as a paper counts them: by its groups of sites, and totals of films."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.judging.readers.totals import MODEL
from rajobs.learning.judging.reliability import Figure, figures_of_pairs, pearson_of_pairs
from rajobs.learning.reader_agreement import REFERENCE, readings_by_reader
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode
from rajobs.records import metrics
from rajobs.records.label_consensus import ADJUDICATED

ALL = "all"
AGREEMENT = ("accuracy", "within_one")
ANY_DAMAGE = ("any_sensitivity", "any_specificity")

Scores = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class GroupAgreement:
    """How far two voices agree on the scores of one target at one group of sites; `against` counts as the truth."""

    target: str
    group: str
    who: str
    against: str
    rows: int
    patients: int
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class FilmTotals:
    """The sums of one score over the sites of each hand, by the model and by a reader."""

    target: str
    against: str
    patients: int
    model: tuple[int, ...]
    reader: tuple[int, ...]
    pearson: Figure

    def to_dict(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name not in ("model", "reader")}
        return {**plain, "rows": len(self.model)}


@dataclass(frozen=True, kw_only=True)
class ReaderScores:
    """Of the finger joints, for 004: all that it reports of its test."""

    agreement: tuple[GroupAgreement, ...]
    totals: tuple[FilmTotals, ...]
    counts: Mapping[str, Mapping[str, tuple[int, ...]]]  # by target and voice, how often it gives each score

    def to_dict(self) -> dict[str, Any]:
        return {
            "agreement": [each.to_dict() for each in self.agreement],
            "totals": [each.to_dict() for each in self.totals],
            "counts": {target: {who: list(of) for who, of in voices.items()} for target, voices in self.counts.items()},
        }


@dataclass(frozen=True, kw_only=True)
class _Voices:
    """Who says what of the rows of one target: the model, and each reader (or the reference, if no reader is named)."""

    target: Target
    rows: Sequence[Mapping[str, Any]]
    groups: NDArray[np.str_]
    patients: NDArray[np.str_]
    scores: Mapping[str, Scores]

    @property
    def readers(self) -> list[str]:
        return [name for name in self.scores if name != MODEL]


def judge_readers(study: Study, table: pa.Table) -> ReaderScores | None:
    """Of a predictions table or an end_to_end one, in which rows without an answer have no score of the model's.

    Two readers are compared on all rows. None of studies whose paper has no groups of sites.
    """
    several = [voices for name in study.summed if len((voices := _voices(study, study.target(name), table)).rows)]
    if not study.printed_kinds or not several:
        return None
    names = [ALL, *dict.fromkeys(study.printed_kinds.values())]
    return ReaderScores(
        agreement=tuple(each for voices in several for each in _agreement(voices, names)),
        totals=tuple(each for voices in several for each in _film_totals(voices)),
        counts={
            voices.target.name: {
                who: tuple(np.bincount(scores[scores != MISSING], minlength=len(voices.target.classes)).tolist())
                for who, scores in voices.scores.items()
            }
            for voices in several
        },
    )


def _voices(study: Study, target: Target, table: pa.Table) -> _Voices:
    of_target = table.filter(pc.equal(table.column("target"), target.name))
    kinds = study.kinds_of(of_target.column("site").to_pylist())
    chosen = np.flatnonzero(np.isin(kinds, list(study.printed_kinds)))
    of_target = of_target.take(pa.array(chosen, pa.int64()))
    read = {name: readings for name, readings in readings_by_reader(of_target).items() if name not in ADJUDICATED}
    return _Voices(
        target=target,
        rows=of_target.select(["image_id", "side"]).to_pylist(),
        groups=np.array([study.printed_kinds[kind] for kind in kinds[chosen].tolist()], np.str_),
        patients=np.array(of_target.column("patient").to_pylist(), np.str_),
        scores={
            MODEL: encode(target, of_target.column("predicted").to_pylist()),
            **{
                name: encode(target, readings)
                for name, readings in (read or {REFERENCE: of_target.column("truth").to_pylist()}).items()
            },
        },
    )


def _agreement(voices: _Voices, groups: Sequence[str]) -> Iterator[GroupAgreement]:
    pairs = [(MODEL, reader) for reader in voices.readers] + list(combinations(voices.readers, 2))
    for who, against in pairs:
        one, other = voices.scores[who], voices.scores[against]
        for group in groups:
            inside = (one != MISSING) & (other != MISSING) & ((voices.groups == group) | (group == ALL))
            if inside.any():
                answers = metrics.Answers(
                    truth=other[inside], predicted=one[inside], patients=voices.patients[inside],
                    p=np.zeros((int(inside.sum()), len(voices.target.classes))),
                )  # fmt: skip
                names = (*AGREEMENT, *(ANY_DAMAGE if who == MODEL else ()))
                yield GroupAgreement(
                    target=voices.target.name, group=group, who=who, against=against, rows=int(inside.sum()),
                    patients=len(np.unique(answers.patients)),
                    figures={name: metrics.figure(metrics.METRICS[name], answers) for name in names},
                )  # fmt: skip


def _film_totals(voices: _Voices) -> Iterator[FilmTotals]:
    """Each hand that the model has scored at all; a joint without its score adds nothing to its total."""
    hands: dict[tuple[str, str | None], int] = {}
    number = np.array([hands.setdefault((row["image_id"], row["side"]), len(hands)) for row in voices.rows])
    patients = voices.patients[np.unique(number, return_index=True)[1]]

    def sums(who: str) -> NDArray[np.float64]:
        """A total of each hand; not a number where nobody scored it."""
        known = voices.scores[who] != MISSING
        total = np.bincount(number[known], weights=voices.scores[who][known], minlength=len(hands))
        return np.where(np.bincount(number[known], minlength=len(hands)) > 0, total, np.nan)

    for reader in voices.readers:
        pairs = np.column_stack([sums(MODEL), sums(reader)])
        both = np.isfinite(pairs).all(axis=1)
        if both.sum() > 1:
            figure = figures_of_pairs({"pearson": pearson_of_pairs}, pairs[both], patients[both])["pearson"]
            yield FilmTotals(
                target=voices.target.name, against=reader, patients=len(np.unique(patients[both])),
                model=tuple(pairs[both, 0].astype(int).tolist()), reader=tuple(pairs[both, 1].astype(int).tolist()),
                pearson=figure,
            )  # fmt: skip
