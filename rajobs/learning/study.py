"""What a study is: one frozen declaration that every job works from. No torch is needed to read one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.extremities import Affine
from rajobs.imaging.rows import RowKind
from rajobs.learning.points import Points
from rajobs.learning.recipe import Recipe
from rajobs.learning.targets import Nominal, Target
from rajobs.records.errors import NotThereYet, UnknownName
from rajobs.records.manifest import digest
from rajobs.records.splits import PrintedPatients, PrintedSplit
from rajobs.records.tables.table_schema import Column

POINT_CLASSES = ("not found", "found")
"""Of a point: not there or not where it was said to be, and found within half a joint's width."""

Array = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class View:
    """How a row becomes an array. Raise `version` when the function changes: arrays are then prepared anew."""

    draw: Callable[..., Array]  # (image, or a visit's findings, row, **settings) -> array
    version: int
    reads: str  # preview | pixels | clinic: what it is given
    settings: Mapping[str, Any] = field(default_factory=dict)  # its defaults; a recipe may change them
    place: Callable[..., Affine] | None = None  # (row, film's shape, **settings): where `draw` puts the film's pixels

    def with_settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        for name in chosen:
            if name not in self.settings:
                raise UnknownName.among("view setting", name, self.settings)
        return {**self.settings, **chosen}

    def identity(self, chosen: Mapping[str, Any]) -> str:
        """Tells one distinct view from another."""
        return digest([self.draw.__name__, self.version, self.reads, self.with_settings(chosen)])


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A figure that a paper prints, beside the metric of ours that it is compared with."""

    what: str
    value: float
    metric: str | None = None  # "<target>.<metric id>", where one of ours is the same measure


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An answer that needs no model: for rows whose image has a certain value in a column of the images table."""

    target: str
    column: str
    value: bool
    answer: str
    sentence: str  # for the page


@dataclass(frozen=True, kw_only=True)
class AnswerColumns:
    """The columns of a score table that the answers to one target fill."""

    target: str
    answer: str | None = None  # a text column takes the class, an integer column its number (the score)
    p: str | None = None  # a list: the probability of each class
    p_of: Mapping[str, str] = field(default_factory=dict)  # class -> column of its probability
    disagreement: str | None = None  # largest difference between several models
    dissent: str | None = None  # share of the members that answer something else


@dataclass(frozen=True, kw_only=True)
class ScoreStep:
    """What score does with a study's answers: the table and the columns that they fill."""

    table: str  # films | hands | joints | ultrasound | visits
    columns: tuple[AnswerColumns, ...] = ()
    adds: tuple[Column, ...] = ()  # columns that the table has for this study alone
    passes: tuple[str, ...] = ()  # a filter of films: the answers after which a film goes on to the other studies


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question, the rows it is asked of, and the recipes that answer it."""

    name: str
    paper: str
    question: str
    rows: RowKind
    view: View
    targets: tuple[Target, ...] = ()
    points: Points | None = None  # what is to be found in an array, by the labels' x and y
    headline: str  # "<target>.<metric id>", higher is better
    metrics: tuple[str, ...] = ("accuracy", "balanced_accuracy", "auc", "calibration_error")
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    printed: tuple[Printed, ...] = ()
    printed_split: PrintedSplit | PrintedPatients | None = None
    folds: Mapping[str, str] = field(default_factory=dict)  # classes that the paper counts as another
    kinds: Mapping[str, str] = field(default_factory=dict)  # site -> kind of row, for members with a head a kind
    rules: tuple[Rule, ...] = ()  # of score, and of evaluate in clean mode
    scores: ScoreStep | None = None  # None: score does not ask this study
    baseline: str | None = (
        None  # a plain model of the rows' own numbers beside the networks; see learning/tabular_baseline.py
    )

    def kind_numbers(self, sites: Sequence[str]) -> NDArray[np.int64]:
        """The number of each row's kind; 0 where a study has but one."""
        number = {name: at for at, name in enumerate(dict.fromkeys(self.kinds.values()))}
        return np.array([number.get(self.kinds.get(site, ""), 0) for site in sites], np.int64)

    def asked(self, recipe: Recipe) -> "Study":
        """The study as a recipe answers it: of one that shows points alone it is judged whether each is found."""
        points = self.points.name if self.points is not None else None
        if points is None or not any(points in member.targets for member in recipe.members):
            study = self if points is None else replace(self, points=None)
        elif all(member.targets == (points,) for member in recipe.members):
            return self.shown()
        else:
            study = self
        every = [target.name for target in self.targets]
        told = [name for member in recipe.members for name in member.targets or every if name != points]
        return study.answered({self.target(name).name for name in told})

    def answered(self, names: Collection[str]) -> "Study":
        """The study without the targets that nobody answers; where the headline's is one, another's same measure."""
        kept = tuple(target for target in self.targets if target.name in names)
        if kept == self.targets:
            return self
        name, _, metric = self.headline.partition(".")
        headline = self.headline if name in names else f"{kept[0].name}.{metric}"
        rules = tuple(rule for rule in self.rules if rule.target in names)
        return replace(self, targets=kept, headline=headline, rules=rules)

    def shown(self) -> "Study":
        """The study asked where things are, and nothing else."""
        assert self.points is not None, self.name
        found = Nominal(name=self.points.name, classes=POINT_CLASSES)
        metrics = ("accuracy", "balanced_accuracy", "auc", "calibration_error")
        return replace(self, targets=(found,), headline=f"{found.name}.accuracy", metrics=metrics, folds={})

    def target(self, name: str) -> Target:
        found = {target.name: target for target in self.targets}
        if name not in found:
            raise UnknownName.among(f"target of {self.name}", name, found)
        return found[name]

    def recipe(self, name: str) -> Recipe:
        if not self.recipes:
            raise NotThereYet(f"{self.name} is declared but has no recipe yet; `rajobs studies` shows which have")
        if name == "published" and name not in self.recipes:
            raise NotThereYet(
                f"what {self.paper} did for {self.name} is no recipe yet; there is {', '.join(self.recipes)}"
            )
        if name not in self.recipes:
            raise UnknownName.among(f"recipe of {self.name}", name, [*self.recipes, "or a TOML file"])
        return self.recipes[name]
