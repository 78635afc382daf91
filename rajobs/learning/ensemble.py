"""Members trained and asked together: what each learns from, and the rule that makes their answers one."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from rajobs.learning.cascade.detector import Cascade
from rajobs.learning.cascade.fitting import fit_cascade
from rajobs.learning.networks import architectures
from rajobs.learning.networks.starting_weights import StartingWeights
from rajobs.learning.points import UNKNOWN, Points
from rajobs.learning.recipe import NONE, Member, Recipe, Training
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Nominal, Target, encode, predicted
from rajobs.learning.training.loop import Numbers, OnEpoch, Samples, TrainingRun, pick_device
from rajobs.learning.training.state import TrainingState
from rajobs.records import metrics
from rajobs.records.errors import BadRecipe, DataError, UsageError
from rajobs.records.tables.schemas import PREPARED

P = NDArray[np.float64]
LEARNING_PARTS = ("train", "validation")
MOST_ACCURATE = "most_accurate"
DRAWN_SEED = 2002
FittedNetwork = nn.Module | Cascade
"""What a member is once it is trained."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a study's networks learn from: arrays, the agreed labels a target, each row's part of the split."""

    study: Study
    arrays: Prepared
    labels: Mapping[str, Sequence[str | None]]  # by target, a value a row
    points: NDArray[np.float32] | None = None  # shares of the side, by row and place (learning/points.py)
    parts: NDArray[np.str_]  # train | validation | test | "" for a row outside the split
    groups: NDArray[np.str_]  # of patients, and what derives from them: none is in two parts
    budget: float = 1.0  # share of the recipe's epochs and of the training rows


def member_points(study: Study, member: Member) -> Points | None:
    """The points that a member shows, where it is a network that tells where things are."""
    shows = member.architecture in architectures.SHOW_POINTS
    if shows and (study.points is None or study.points.name not in member.targets):
        raise BadRecipe(f"member {member.name}: {member.architecture} shows points; {study.name} has none of that name")
    if shows and member.fit == "cascade" and len(member.targets) > 1:
        raise BadRecipe(f"member {member.name}: a cascade shows points and tells nothing else")
    return study.points if shows else None


def member_targets(study: Study, member: Member) -> tuple[Target, ...]:
    """A member's targets: some of the study's, or one of them with its classes in groups."""
    points = member_points(study, member)
    named = tuple(study.target(name) for name in member.targets if points is None or name != points.name)
    chosen = named if points is not None or named else study.targets
    if not member.ordered:
        chosen = tuple(Nominal(name=target.name, classes=target.classes) for target in chosen)
    if not member.groups:
        return chosen
    if len(chosen) != 1 or chosen[0].ordered:
        raise BadRecipe(f"member {member.name}: groups need one target without an order")
    known = {name for group in member.groups for name in group}
    if not known <= set(chosen[0].classes):
        raise BadRecipe(f"member {member.name}: groups name classes that {chosen[0].name} does not have")
    return (Nominal(name=chosen[0].name, classes=tuple("+".join(group) for group in member.groups)),)


def member_samples(lesson: Dataset, member: Member, part: str) -> Samples:
    """The rows of a part that a member sees, with its own class numbers."""
    study, points = lesson.study, member_points(lesson.study, member)
    truth: dict[str, NDArray[Any]] = {}
    wanted = lesson.parts == part
    labelled = np.zeros(len(wanted), bool)
    if points is not None:
        assert lesson.points is not None, study.name
        truth[points.name] = lesson.points
        labelled |= ~(lesson.points == UNKNOWN).all(axis=(1, 2))
    for target in member_targets(study, member):
        values = list(lesson.labels[target.name])
        if member.sees:
            wanted &= np.isin(np.array([value or "" for value in values]), member.sees)
        if member.groups:
            group_of = {name: "+".join(group) for group in member.groups for name in group}
            values = [group_of.get(value) if value is not None else None for value in values]
        truth[target.name] = encode(target, values)
        labelled |= truth[target.name] != MISSING
    at = np.flatnonzero(wanted & labelled)
    kinds = study.kind_numbers(lesson.arrays.rows.column("site").to_pylist())[at]
    truth = {name: numbers[at] for name, numbers in truth.items()}
    return Samples(arrays=lesson.arrays, at=at, truth=truth, kinds=kinds)


def check_rows_to_learn_from(lessons: Sequence[Dataset], recipe: Recipe) -> None:
    """Refuse a member that has no row to learn from before any other is trained; `lessons`: the turns."""
    for member in recipe.members:
        if all(len(member_samples(lesson, member, "train")) for lesson in lessons):
            continue
        points, targets = member_points(lessons[0].study, member), member_targets(lessons[0].study, member)
        wanted = " or ".join([*(["x and y"] if points else []), *(target.name for target in targets)])
        where = f" in one of {len(lessons)} folds" if len(lessons) > 1 else ""
        raise DataError(
            f"member {member.name} has no row with a label {wanted} to learn from{where}; "
            f"label some, or leave {member.name} out of the recipe (--recipe FILE)"
        )


def count_learned_rows(lesson: Dataset) -> dict[str, dict[str, int]]:
    """Rows with a label among those to learn from, by target and site: a site that is not here was never learnt."""
    sites = lesson.arrays.rows.column("site").to_pylist()
    found: dict[str, dict[str, int]] = {}
    for target in lesson.study.targets:
        there = encode(target, list(lesson.labels[target.name])) != MISSING
        counts = Counter(site for site, use in zip(sites, there & np.isin(lesson.parts, LEARNING_PARTS)) if use)
        found[target.name] = dict(sorted(counts.items()))
    return found


def build_member(study: Study, member: Member, shape: tuple[int, ...], seed: int) -> nn.Module:
    """A member's network, its weights drawn at random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        points = member_points(study, member)
        shown = (points.name, points.outputs) if points is not None else None
        sizes = architectures.head_sizes(member_targets(study, member), member.groups)
        kinds = len(set(study.kinds.values())) if member.by_kind else 1
        return architectures.build(member.architecture, member.settings, sizes, shape, kinds=kinds, points=shown)


def train_member(
    lesson: Dataset,
    recipe: Recipe,
    member: Member,
    seed: int,
    on_epoch: OnEpoch,
    state: TrainingState | None = None,
    start: StartingWeights | None = None,
) -> tuple[FittedNetwork, TrainingState]:
    """Train one member here; its network holds the weights to keep."""
    if member.weights != NONE and start is None and state is None:
        raise UsageError(f"{member.name} starts from {member.weights} weights, and none are given: it is no such model")
    fit = build_run(lesson, recipe, member, seed)
    if member.fit == "cascade":
        return fit_cascade(fit, member, on_epoch)
    network = build_member(lesson.study, member, lesson.arrays.shape, seed)
    if start is not None and state is None:
        start.load_into(network)
    network = network.to(fit.device)
    state = fit.run(network, on_epoch, state)
    network.load_state_dict(state.best)
    return network.eval(), state


def build_run(
    lesson: Dataset, recipe: Recipe, member: Member, seed: int, *, rank: int = 0, world: int = 1
) -> TrainingRun:
    """A member's run as one worker of several sees it."""
    training = scale_epochs(recipe.training_of(member), lesson.budget)
    train, validation = member_samples(lesson, member, "train"), member_samples(lesson, member, "validation")
    if lesson.budget < 1:
        keep = np.random.default_rng(seed).permutation(len(train))[: max(1, round(len(train) * lesson.budget))]
        train = _some(train, np.sort(keep))
    if recipe.drawn:
        train = _mixed(lesson, recipe, member, train)
    points, targets = member_points(lesson.study, member), member_targets(lesson.study, member)
    return TrainingRun(
        targets=targets if points is None else (points, *targets), training=training, train=train,
        validation=validation, seed=seed, device=pick_device(), rank=rank, world=world,
        # The outputs of points are too many to hold: what shows them is chosen by its loss.
        score=headline_score(lesson.study, targets) if points is None else None,
    )  # fmt: skip


def _mixed(lesson: Dataset, recipe: Recipe, member: Member, train: Samples) -> Samples:
    """The rows to learn from and drawn ones beside them, the same whoever asks; they choose and judge nothing."""
    from rajobs.learning.samples.drawn_rows import draw_scans  # much to load, and few recipes ask for it

    study, count = lesson.study, round(recipe.drawn * len(train))
    if study.rows != "ultrasound":
        raise BadRecipe(
            f"drawn = {recipe.drawn}: scans alone are drawn for a recipe, {study.name} learns from {study.rows}"
        )
    if not count:
        return train
    arrays, labels = draw_scans(study, recipe.view, DRAWN_SEED, count)
    names = [f"drawn-{number}" for number in range(count)]
    rows = PREPARED.rows([{"image_id": name, "hand": 0, "site": "", "patient": name} for name in names])
    of_drawings = replace(
        lesson, arrays=Prepared(rows=rows, arrays=(arrays,), starts=np.zeros(1, np.int64)), labels=labels, points=None,
        parts=np.full(count, "train"), groups=np.array(names),
    )  # fmt: skip
    drawn, known = member_samples(of_drawings, member, "train"), lesson.arrays
    both = Prepared(
        rows=pa.concat_tables([known.rows, rows]), arrays=(*known.arrays, arrays),
        starts=np.append(known.starts, len(known)),
    )  # fmt: skip
    return Samples(
        arrays=both, at=np.concatenate([train.at, len(known) + drawn.at]),
        truth={name: np.concatenate([numbers, drawn.truth[name]]) for name, numbers in train.truth.items()},
        kinds=np.concatenate([train.kinds, drawn.kinds]),
    )  # fmt: skip


def scale_epochs(training: Training, budget: float) -> Training:
    """The training at a share of its epochs."""
    return replace(training, epochs=max(1, round(training.epochs * budget)))


def _some(samples: Samples, keep: Numbers) -> Samples:
    truth = {name: numbers[keep] for name, numbers in samples.truth.items()}
    return Samples(arrays=samples.arrays, at=samples.at[keep], truth=truth, kinds=samples.kinds[keep])


def headline_score(
    study: Study, targets: Sequence[Target]
) -> Callable[[Mapping[str, P], Mapping[str, Numbers]], float] | None:
    """The study's headline metric, where a member answers its target."""
    name, _, metric = study.headline.partition(".")
    mine = [target for target in targets if target.name == name]
    if not mine:
        return None

    def score(p: Mapping[str, P], truth: Mapping[str, Numbers]) -> float:
        there = truth[name] != MISSING
        nobody = np.full(int(there.sum()), "", dtype=np.str_)
        given = p[name][there]
        answers = metrics.Answers(
            truth=truth[name][there], predicted=predicted(mine[0], given), p=given, patients=nobody
        )
        return metrics.METRICS[metric](answers)

    return score


def combine_members(
    study: Study, recipe: Recipe, answers: Mapping[str, Mapping[str, P]], best: str | None = None
) -> dict[str, tuple[P, Numbers]]:
    """All members' probabilities (by member, by target) as one: probabilities and the answer, a target.

    `best`: of a recipe whose most accurate member answers, its name; as long as nobody knows it, the mean answers.
    """
    rule = {"mean": _mean, "first_yes": _first_yes, MOST_ACCURATE: _mean}[recipe.combine]
    chosen = [member for member in recipe.members if member.name == best] or recipe.members
    combined = {}
    for target in study.targets:
        mine = [member for member in chosen if target.name in answers[member.name]]
        if mine:
            combined[target.name] = rule(target, mine, [answers[member.name][target.name] for member in mine])
    return combined


def target_as_learnt(target: Target, ordered: Iterable[bool]) -> Target:
    """The kind that a target's answer is told by: where none of those who answer learnt its order, names."""
    return target if any(ordered) else Nominal(name=target.name, classes=target.classes)


def member_votes(study: Study, recipe: Recipe, answers: Mapping[str, Mapping[str, P]]) -> dict[str, NDArray[np.int64]]:
    """The members' own answers, members x rows a target, of those who tell all of its classes apart."""
    found = {}
    for target in study.targets:
        given = [
            (each, answers[each.name][target.name]) for each in recipe.members if target.name in answers[each.name]
        ]
        said = [_mean(target, [member], [p])[1] for member, p in given if not member.groups]
        if given:
            found[target.name] = np.array(said, np.int64).reshape(len(said), len(given[0][1]))
    return found


def dissent(said: NDArray[np.int64], answer: Numbers) -> NDArray[np.float64]:
    """Of each row the share of the members (members x rows) who say something else; not a number if one alone does."""
    return np.mean(said != answer, axis=0) if len(said) > 1 else np.full(len(answer), np.nan)


def _mean(target: Target, members: Sequence[Member], given: Sequence[P]) -> tuple[P, Numbers]:
    p = np.mean([_spread(target, member, values) for member, values in zip(members, given)], axis=0)
    return p, predicted(target_as_learnt(target, (member.ordered for member in members)), p)


def _first_yes(target: Target, members: Sequence[Member], given: Sequence[P]) -> tuple[P, Numbers]:
    """Members are asked in turn; the first that says yes (its first group, above a half) has the answer (003)."""
    left = np.ones(len(given[0]))
    p = np.zeros((len(left), len(target.classes)))
    answer = np.full(len(left), -1, np.int64)
    for member, values in zip(members, given):
        yes = target.classes.index(member.groups[0][0])
        p[:, yes] += left * values[:, 0]
        left = left * values[:, 1]
        answer[(answer < 0) & (values[:, 0] > 0.5)] = yes
    rest = target.classes.index(members[-1].groups[1][-1])
    p[:, rest] += left
    answer[answer < 0] = rest
    return p, answer


def mean_of_known(given: Sequence[P]) -> P:
    """The mean over those that have a word; not a number where none has."""
    several = np.stack(given)
    there = np.isfinite(several)
    count = there.sum(axis=0)
    return np.asarray(np.where(there, several, 0).sum(axis=0) / np.where(count > 0, count, np.nan))


def mean_points(given: Sequence[P]) -> P:
    """Of several finders' points (column, row, sureness) the mean places by sureness, and the mean sureness."""
    several = np.stack(given)
    sure = several[..., 2:]
    weight = np.where(np.isfinite(sure), np.maximum(sure, 1e-6), 0)
    total = weight.sum(axis=0)
    where = np.where(weight > 0, several[..., :2] * weight, 0).sum(axis=0) / np.where(total > 0, total, np.nan)
    return np.concatenate([where, mean_of_known(list(sure))], axis=2)


def _spread(target: Target, member: Member, values: P) -> P:
    """A member's probabilities over the target's own classes; a group's go to the last of its classes."""
    if not member.groups:
        return values
    p = np.zeros((len(values), len(target.classes)))
    for at, group in enumerate(member.groups):
        p[:, target.classes.index(group[-1])] += values[:, at]
    return p
