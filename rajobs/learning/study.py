"""What a study is: one frozen declaration that every job works from. No torch is needed to read one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.extremities import Affine
from rajobs.imaging.rows import RowKind
from rajobs.learning.points import Points
from rajobs.learning.recipe import Recipe, check_range, convert_plain
from rajobs.learning.targets import Nominal, Target
from rajobs.records.errors import NotThereYet, UnknownName
from rajobs.records.manifest import digest
from rajobs.records.metrics import OF_SCORES
from rajobs.records.splits import PrintedPatients, PrintedSplit
from rajobs.records.tables.table_schema import Column

POINT_CLASSES = ("not found", "found")
"""Classes of a point: found means within half a joint's width of its label."""

Array = NDArray[np.uint8] | NDArray[np.uint16]

_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({"size": (8, 2048), "margin": (0, 4)})
"""Of the settings of views that are numbers: pixels of the side, and shares of a joint's box."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How a row becomes an array. Raise `version` when the function changes, so that arrays are prepared anew."""

    draw: Callable[..., Array]  # (image, or a visit's findings, row, **settings) -> array
    version: int
    reads: str  # preview | pixels | clinic: what it is drawn from
    settings: Mapping[str, Any] = field(default_factory=dict)  # the defaults, which a recipe may change
    fits_from_pixels: tuple[str, ...] = ()  # values of its setting `fit` that need the image itself, not the preview
    place: Callable[..., Affine] | None = None  # (row, film's shape, **settings): where `draw` puts the film's pixels

    def with_settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        for name, value in chosen.items():
            if name not in self.settings:
                raise UnknownName.among("view setting", name, self.settings)
            convert_plain(type(self.settings[name]), value, f"{name} of the view")
            if name in _RANGES:
                check_range(f"{name} of the view", value, *_RANGES[name])
        return {**self.settings, **chosen}

    def source(self, chosen: Mapping[str, Any]) -> str:
        """What it is drawn from with these settings: preview, pixels or clinic."""
        return "pixels" if self.with_settings(chosen).get("fit") in self.fits_from_pixels else self.reads

    def identity(self, chosen: Mapping[str, Any]) -> str:
        """A digest that is equal for equal views only."""
        return digest([self.draw.__name__, self.version, self.reads, self.with_settings(chosen)])


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A figure that a paper prints, and our metric that it is compared with."""

    what: str
    value: float
    metric: str | None = None  # "<target>.<metric id>", if one of ours is the same measure
    part: str = "test"  # test | validation | folds: what is judged; of a single network, "<member>.<metric id>"
    seeded: bool = False  # of a model that also learnt from drawings made after images of the test part
    member: str | None = None  # the network of a published recipe that it is of


@dataclass(frozen=True, kw_only=True)
class PrintedCharacteristics:
    """A paper's tables of its patients, by class."""

    columns: Mapping[str, str]  # column of the clinic table -> how the paper's entry for it begins
    tables: Mapping[str, str]  # part of the split -> the paper's table


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A change of the view that shows what the answers depend on: they are asked for again with it."""

    name: str  # in words, for the page
    view: Mapping[str, Any]  # settings that replace the recipe's


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An answer without a model, for rows whose image has this value in a column of the images table."""

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
    p: str | None = None  # a list column: the probability of each class
    p_of: Mapping[str, str] = field(default_factory=dict)  # class -> column of its probability
    conformal: str | None = None  # a list column, of joints' scores: the conformal set
    disagreement: str | None = None  # column of the largest difference between several models
    dissent: str | None = None  # column of the share of members that answer something else
    least_p: float = 0.0  # an answer that is less likely leaves the columns empty
    where: Mapping[str, str] = field(default_factory=dict)  # target -> its answer, without which they stay empty

    @property
    def names(self) -> tuple[str, ...]:
        """All of these columns."""
        columns = (self.answer, self.p, self.conformal, *self.p_of.values(), self.disagreement, self.dissent)
        return tuple(name for name in columns if name is not None)


@dataclass(frozen=True, kw_only=True)
class ScoreStep:
    """What score does with a study's answers: the table and the columns that it writes them to."""

    table: str  # films | extremities | joints | ultrasound | visits
    columns: tuple[AnswerColumns, ...] = ()
    adds: tuple[Column, ...] = ()  # columns that the table has only for this study
    passes: tuple[str, ...] = ()  # for a filter of films: the answers that let a film pass on to the other studies


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question about rows of one kind, and the recipes that answer it."""

    name: str
    paper: str
    question: str
    rows: RowKind
    view: View
    targets: tuple[Target, ...] = ()
    points: Points | None = None  # what has to be located in an array, by the labels' x and y
    headline: str  # "<target>.<metric id>", higher is better
    metrics: tuple[str, ...] = ("accuracy", "balanced_accuracy", "auc", "calibration_error")
    summed: tuple[str, ...] = ()  # targets whose scores add up to a patient's total
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    printed: tuple[Printed, ...] = ()
    printed_members: tuple[Printed, ...] = ()  # of single networks of published recipes: architectures, trials
    assumptions: tuple[str, ...] = ()  # of the published recipe, where the paper prints nothing; in sentences
    printed_split: PrintedSplit | PrintedPatients | None = None
    merged_classes: Mapping[str, str] = field(default_factory=dict)  # class -> the class that the paper counts it as
    kinds: Mapping[str, str] = field(default_factory=dict)  # site -> kind of row, for members with one head per kind
    printed_kinds: Mapping[str, str] = field(default_factory=dict)  # kind of row -> the paper's group of it
    assessable: str | None = None  # target whose answer "0" says that a row cannot be judged by the other targets
    majority: tuple[str, ...] = ()  # scores that in published mode are those of most readers, or left out
    rules: tuple[Rule, ...] = ()  # applied by score, and by evaluate in clean mode
    characteristics: PrintedCharacteristics | None = None  # of studies of visits
    probes: tuple[Probe, ...] = ()  # by which evaluate asks what the answers depend on
    scores: ScoreStep | None = None  # None: score does not use this study
    baseline: str | None = None  # plain model that the networks are compared with; see learning/tabular_baseline.py

    @property
    def cut_by_places(self) -> bool:
        """Whether its rows are cut out of films where labels or models place joints, and are not about the places."""
        return self.rows.cut_by_positions and self.points is None

    def kind_numbers(self, sites: Sequence[str]) -> NDArray[np.int64]:
        """The number of each row's kind; 0 if the study has only one kind."""
        number = {name: at for at, name in enumerate(dict.fromkeys(self.kinds.values()))}
        return np.array([number.get(self.kinds.get(site, ""), 0) for site in sites], np.int64)

    def kinds_of(self, sites: Sequence[str]) -> NDArray[np.str_]:
        """The kind of each row's site; empty for a site that is of no kind."""
        return np.array([self.kinds.get(site, "") for site in sites], np.str_)

    def for_recipe(self, recipe: Recipe) -> "Study":
        """The study as a recipe answers it. If all members only show points, the question is whether each is found."""
        points = self.points.name if self.points is not None else None
        if points is None or not any(points in member.targets for member in recipe.members):
            study = self if points is None else replace(self, points=None)
        elif all(member.targets == (points,) for member in recipe.members):
            return self.of_points()
        else:
            study = self
        every = [target.name for target in self.targets]
        answered = [name for member in recipe.members for name in member.targets or every if name != points]
        return study.with_targets({self.target(name).name for name in answered})

    def with_targets(self, names: Collection[str]) -> "Study":
        """The study with these targets only. If the headline's is left out, the first one's same metric replaces it."""
        kept = tuple(target for target in self.targets if target.name in names)
        if kept == self.targets:
            return self
        rules = tuple(rule for rule in self.rules if rule.target in names)
        return replace(self, targets=kept, headline=self.headline_of([target.name for target in kept]), rules=rules)

    def headline_of(self, targets: Sequence[str]) -> str:
        """The headline where only these targets are answered: its own, or the same metric of the first of them."""
        name, _, metric = self.headline.partition(".")
        return self.headline if name in targets or not targets else f"{targets[0]}.{metric}"

    def with_printed_classes(self) -> "Study":
        """The study with the paper's classes: those that it counts as others are part of them."""
        targets = tuple(
            replace(target, classes=tuple(name for name in target.classes if name not in self.merged_classes))
            for target in self.targets
        )
        return replace(self, targets=targets)

    def of_points(self) -> "Study":
        """The study with a single question: whether each point is found."""
        assert self.points is not None, self.name
        target = Nominal(name=self.points.name, classes=POINT_CLASSES)
        metrics = ("accuracy", "balanced_accuracy", "auc", "calibration_error")
        return replace(self, targets=(target,), headline=f"{target.name}.accuracy", metrics=metrics, merged_classes={})

    @property
    def conformal_targets(self) -> list[Target]:
        """The targets whose answers score writes with a conformal set."""
        columns = self.scores.columns if self.scores is not None else ()
        named = {each.target for each in columns if each.conformal is not None}
        return [target for target in self.targets if target.name in named]

    def target(self, name: str) -> Target:
        by_name = {target.name: target for target in self.targets}
        if name not in by_name:
            raise UnknownName.among(f"target of {self.name}", name, by_name)
        return by_name[name]

    def metrics_of(self, target: Target) -> tuple[str, ...]:
        """The study's metrics of a target."""
        return self.metrics if target.ordered else tuple(name for name in self.metrics if name not in OF_SCORES)

    def recipe(self, name: str) -> Recipe:
        if not self.recipes:
            raise NotThereYet(f"{self.name} is declared but has no recipe yet; `rajobs studies` shows which have")
        if name == "published" and name not in self.recipes:
            raise NotThereYet(
                f"there is no recipe yet of what {self.paper} did for {self.name}; there are: {', '.join(self.recipes)}"
            )
        if name not in self.recipes:
            raise UnknownName.among(f"recipe of {self.name}", name, [*self.recipes, "or a TOML file"])
        return self.recipes[name]
