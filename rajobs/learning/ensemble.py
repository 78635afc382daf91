"""The members of a recipe: the targets and rows of each, and the network that it starts as."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rajobs.learning.cascade.detector import Cascade
from rajobs.learning.networks import architectures
from rajobs.learning.points import UNKNOWN, Points
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.samples.dataset import LEARNING_PARTS, Dataset
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Nominal, Target, encode, encode_shares
from rajobs.learning.training.loop import Samples
from rajobs.records.errors import BadRecipe, DataError, UnknownName

FittedNetwork = nn.Module | Cascade
"""A trained member: a network, or a cascade of 004."""


def network_name(member: str, fold: int, folds: int) -> str:
    """Name of one of a member's networks in files and in the history."""
    return member if folds == 1 else f"{member}-{fold + 1}"


def member_points(study: Study, member: Member) -> Points | None:
    """The points that a member shows; None for a member that answers targets alone."""
    shows = member.architecture in architectures.SHOW_POINTS
    if shows and (study.points is None or study.points.name not in member.targets):
        raise BadRecipe(f"member {member.name}: {member.architecture} shows points; {study.name} has none of that name")
    if shows and member.fit == "cascade" and len(member.targets) > 1:
        raise BadRecipe(f"member {member.name}: a cascade shows points and answers no other target")
    return study.points if shows else None


def member_targets(study: Study, member: Member) -> tuple[Target, ...]:
    """A member's targets: all or some of the study's targets, or one of them with its classes in groups."""
    points = member_points(study, member)
    named = tuple(study.target(name) for name in member.targets if points is None or name != points.name)
    targets = named if points is not None or named else study.targets
    for name in member.copies:
        if name not in targets[0].classes:
            raise UnknownName.among(f"class in copies of {member.name}", name, targets[0].classes)
    if not member.ordered:
        targets = tuple(Nominal(name=target.name, classes=target.classes) for target in targets)
    if not member.groups:
        return targets
    if len(targets) != 1 or targets[0].ordered:
        raise BadRecipe(f"member {member.name}: groups need one target without an order")
    known = {name for group in member.groups for name in group}
    if not known <= set(targets[0].classes):
        raise BadRecipe(f"member {member.name}: groups name classes that {targets[0].name} does not have")
    return (Nominal(name=targets[0].name, classes=tuple("+".join(group) for group in member.groups)),)


def member_samples(dataset: Dataset, member: Member, part: str) -> Samples:
    """The rows of a part that a member sees, with the member's own class numbers."""
    study, points = dataset.study, member_points(dataset.study, member)
    truth: dict[str, NDArray[Any]] = {}
    shares: dict[str, NDArray[np.float32]] = {}
    wanted = dataset.parts == part
    labelled = np.zeros(len(wanted), bool)
    if points is not None:
        assert dataset.points is not None, study.name
        truth[points.name] = dataset.points
        labelled |= ~(dataset.points == UNKNOWN).all(axis=(1, 2))
    for target in member_targets(study, member):
        values = list(dataset.labels[target.name])
        if member.sees:
            wanted &= np.isin(np.array([value or "" for value in values]), member.sees)
        if member.groups:
            group_of = names_of_groups(member)
            values = [group_of.get(value) if value is not None else None for value in values]
        truth[target.name] = encode(target, values)
        labelled |= truth[target.name] != MISSING
        if of_target := dataset.shares.get(target.name):
            in_groups = {row: _share_of_groups(by_class, member) for row, by_class in of_target.items()}
            shares[target.name] = encode_shares(target, truth[target.name], in_groups)
    at = np.flatnonzero(wanted & labelled)
    kinds = study.kind_numbers(dataset.arrays.rows.column("site").to_pylist())[at]
    return Samples(
        arrays=dataset.arrays, at=at, truth={name: numbers[at] for name, numbers in truth.items()}, kinds=kinds,
        shares={name: of_target[at] for name, of_target in shares.items()},
    )  # fmt: skip


def names_of_groups(member: Member) -> dict[str, str]:
    """The group of each class that a member answers in groups."""
    return {name: "+".join(group) for group in member.groups for name in group}


def _share_of_groups(by_class: Mapping[str, float], member: Member) -> Mapping[str, float]:
    if not member.groups:
        return by_class
    shares: dict[str, float] = {}
    for name, group in names_of_groups(member).items():
        shares[group] = shares.get(group, 0.0) + by_class.get(name, 0.0)
    return shares


def check_rows_to_learn_from(folds: Sequence[Dataset], recipe: Recipe) -> None:
    """Refuse a member without a row to learn from before any member is trained."""
    for member in recipe.members:
        if all(len(member_samples(dataset, member, "train")) for dataset in folds):
            continue
        points, targets = member_points(folds[0].study, member), member_targets(folds[0].study, member)
        wanted = " or ".join([*(["x and y"] if points else []), *(target.name for target in targets)])
        where = f" in one of {len(folds)} folds" if len(folds) > 1 else ""
        raise DataError(
            f"member {member.name} has no row with a label {wanted} to learn from{where}; "
            f"label some, or leave {member.name} out of the recipe (--recipe FILE)"
        )


def count_learned_rows(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Counts of labelled rows to learn from, by target and site; a site that is missing here was never learnt."""
    sites = dataset.arrays.rows.column("site").to_pylist()
    learning = np.isin(dataset.parts, LEARNING_PARTS)
    learned: dict[str, dict[str, int]] = {}
    for target in dataset.study.targets:
        used = (encode(target, list(dataset.labels[target.name])) != MISSING) & learning
        learned[target.name] = dict(sorted(Counter(site for site, use in zip(sites, used) if use).items()))
    return learned


def build_member(study: Study, member: Member, shape: tuple[int, ...], seed: int) -> nn.Module:
    """A member's network with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        points = member_points(study, member)
        shown = (points.name, points.outputs) if points is not None else None
        sizes = architectures.head_sizes(member_targets(study, member), member.groups)
        kinds = len(set(study.kinds.values())) if member.by_kind else 1
        return architectures.build(
            member.architecture, member.settings, sizes, shape, kinds=kinds, points=shown,
            head_dropout=member.head_dropout,
        )  # fmt: skip
