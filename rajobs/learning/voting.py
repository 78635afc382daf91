"""Voting: the answers of a recipe's members, and of a study's models, become one answer per row.

Members vote by their recipe's rule (the mean, first_yes of 003, one member alone of 000 and 002); models by the mean of
their probabilities. The jobs evaluate and score both vote and apply a study's rules here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.study import Rule, Study
from rajobs.learning.targets import Nominal, Target, predicted

Probabilities = NDArray[np.float64]
"""Rows by classes; not a number in a row that a model cannot answer."""
Numbers = NDArray[np.int64]
MemberProbabilities = Mapping[str, Mapping[str, Probabilities]]
"""By member and target, rows by the classes that the member distinguishes."""
LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One model's answers to one target, one per row."""

    p: Probabilities
    answers: Numbers
    ordered: bool  # whether the model learnt the target's classes in order
    member_votes: Numbers | None = None  # members x rows: the answer of each member alone


@dataclass(frozen=True, kw_only=True)
class Vote:
    """All models' answers to one target, one per row."""

    p: Probabilities
    answers: Numbers
    target: Target  # as the models learnt it: names, or ordered scores
    apart: NDArray[np.float64]  # 0 to 1: largest difference between two models; of a score, as a share of its range
    dissent: NDArray[np.float64]  # share of all members that answer something else; not a number for a single member
    by_rule: NDArray[np.bool_]  # answered by a rule of the study

    def probabilities_at(self, row: int) -> Probabilities | None:
        """One row's probabilities; None if no model can answer it."""
        return None if np.isnan(self.p[row]).any() else self.p[row]

    def dissent_of_row(self, row: int) -> float | None:
        """One row's dissent; None if a single member answers."""
        return None if np.isnan(self.dissent[row]) else float(self.dissent[row])


def combine_votes(target: Target, ballots: Sequence[Ballot]) -> Vote:
    """The mean probabilities of the models that can answer a row; a single model's answers stay as they are.

    Several models answer in order if at least one of them learnt the order.
    """
    learnt = target_as_learnt(target, (ballot.ordered for ballot in ballots))
    several = np.stack([ballot.p for ballot in ballots])
    p = mean_of_known(several)
    answers = ballots[0].answers if len(ballots) == 1 else predicted(learnt, p)
    votes = [ballot.member_votes for ballot in ballots if ballot.member_votes is not None]
    rows = len(answers)
    return Vote(
        p=p,
        answers=answers,
        target=learnt,
        apart=_largest_difference(several, target.ordered),
        dissent=dissent(np.concatenate(votes), answers) if len(votes) == len(ballots) else np.full(rows, np.nan),
        by_rule=np.zeros(rows, bool),
    )


def _largest_difference(several: NDArray[np.float64], ordered: bool) -> NDArray[np.float64]:
    """Largest difference between two models (models x rows x classes) per row; 0 if fewer than two can answer."""
    known: NDArray[np.bool_] = np.logical_not(np.isnan(several).any(axis=2))
    count = known.sum(axis=0)
    scale = np.arange(several.shape[2]) / max(several.shape[2] - 1, 1)
    compared = (several @ scale)[..., None] if ordered else several
    high = np.where(known[..., None], compared, -np.inf).max(axis=0)
    low = np.where(known[..., None], compared, np.inf).min(axis=0)
    spread = np.where(count[:, None] > 0, high - low, 0).max(axis=1)
    return np.where(count > 1, spread, 0.0)


def apply_rule(vote: Vote, rule: Rule, holds: NDArray[np.bool_]) -> Vote:
    """The vote with a rule's answer in the rows where the rule holds: certain, and without dissent."""
    number = vote.target.classes.index(rule.answer)
    certain = np.eye(vote.p.shape[1])[number]
    return replace(
        vote,
        p=np.where(holds[:, None], certain, vote.p),
        answers=np.where(holds, number, vote.answers),
        dissent=np.where(holds, np.nan, vote.dissent),
        by_rule=vote.by_rule | holds,
    )


def combine_members(
    study: Study, recipe: Recipe, answers: MemberProbabilities, best: str | None = None
) -> dict[str, tuple[Probabilities, Numbers]]:
    """Probabilities and answers by target, combined from the members' probabilities (by member and target).

    `best`: the member that answers alone in a recipe that keeps one; if it is not known yet, all members answer.
    """
    rule = _vote_by_first_yes if recipe.combine == "first_yes" else _vote_by_mean
    answering = [member for member in recipe.members if member.name == best] or recipe.members
    combined = {}
    for target in study.targets:
        members = [member for member in answering if target.name in answers[member.name]]
        if members:
            combined[target.name] = rule(target, members, [answers[member.name][target.name] for member in members])
    return combined


def target_as_learnt(target: Target, ordered: Iterable[bool]) -> Target:
    """The target as it is answered: names without an order, if no member or model learnt the order."""
    return target if any(ordered) else Nominal(name=target.name, classes=target.classes)


def member_votes(study: Study, recipe: Recipe, answers: MemberProbabilities) -> dict[str, Numbers]:
    """By target, the answer of each member alone (members x rows); members with groups of classes have no vote."""
    votes = {}
    for target in study.targets:
        answering = [member for member in recipe.members if target.name in answers[member.name]]
        own = [
            _vote_by_mean(target, [member], [answers[member.name][target.name]])[1]
            for member in answering
            if not member.groups
        ]
        if answering:
            rows = len(answers[answering[0].name][target.name])
            votes[target.name] = np.array(own, np.int64).reshape(len(own), rows)
    return votes


def dissent(votes: Numbers, answers: Numbers) -> NDArray[np.float64]:
    """Share of the members (members x rows) that answer something else, per row; not a number for a single member."""
    return np.mean(votes != answers, axis=0) if len(votes) > 1 else np.full(len(answers), np.nan)


def _vote_by_mean(
    target: Target, members: Sequence[Member], several: Sequence[Probabilities]
) -> tuple[Probabilities, Numbers]:
    p = np.mean([_spread_over_classes(target, member, values) for member, values in zip(members, several)], axis=0)
    return p, predicted(target_as_learnt(target, (member.ordered for member in members)), p)


def _vote_by_first_yes(
    target: Target, members: Sequence[Member], several: Sequence[Probabilities]
) -> tuple[Probabilities, Numbers]:
    """The first member whose first group has a probability above a half gives the answer (003)."""
    left = np.ones(len(several[0]))
    p = np.zeros((len(left), len(target.classes)))
    answer = np.full(len(left), -1, np.int64)
    for member, values in zip(members, several):
        yes = target.classes.index(member.groups[0][0])
        p[:, yes] += left * values[:, 0]
        left = left * values[:, 1]
        answer[(answer < 0) & (values[:, 0] > 0.5)] = yes
    rest = target.classes.index(members[-1].groups[1][-1])
    p[:, rest] += left
    answer[answer < 0] = rest
    return p, answer


def _spread_over_classes(target: Target, member: Member, values: Probabilities) -> Probabilities:
    """A member's probabilities over the target's own classes; a group's probability goes to its last class."""
    if not member.groups:
        return values
    p = np.zeros((len(values), len(target.classes)))
    for at, group in enumerate(member.groups):
        p[:, target.classes.index(group[-1])] += values[:, at]
    return p


def mean_of_known(several: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the first axis without values that are not a number; not a number if there are no others."""
    known = np.isfinite(several)
    count = known.sum(axis=0)
    return np.asarray(np.where(known, several, 0).sum(axis=0) / np.where(count > 0, count, np.nan))


def mean_points(several: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Several finders' points (column, row, confidence): positions averaged by confidence, and mean confidence."""
    stacked = np.stack(several)
    confidence = stacked[..., 2:]
    weight = np.where(np.isfinite(confidence), np.maximum(confidence, LEAST_WEIGHT), 0)
    total = weight.sum(axis=0)
    where = np.where(weight > 0, stacked[..., :2] * weight, 0).sum(axis=0) / np.where(total > 0, total, np.nan)
    return np.concatenate([where, mean_of_known(confidence)], axis=2)
