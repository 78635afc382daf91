"""A tune space: the settings of a recipe that a sweep varies, and their ranges. Read from TOML, checked first."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rajobs.learning.recipe import Recipe, lookup, read_toml, replace
from rajobs.learning.study import Study
from rajobs.records.errors import BadRecipe, UnknownName, UsageError, show

FIRST = ("published", "default")
"""Recipes tried before the search if a space names none: the paper's and ours."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One setting and its possible values: choices, or a range."""

    setting: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Space:
    """A study's axes, the recipe that they change, and the recipes that are tried first, unchanged."""

    study: str
    base: str
    first: tuple[str, ...]
    axes: tuple[Axis, ...]

    def values(self, recipe: Recipe) -> dict[str, Any]:
        """A recipe's value at each axis; None for a setting that it leaves to the architecture."""
        return {axis.setting: lookup(recipe, axis.setting) for axis in self.axes}

    def recipe(self, base: Recipe, values: Mapping[str, Any]) -> Recipe:
        """The base recipe with the axes at these values."""
        for setting, value in values.items():
            base = replace(base, setting, value)
        return base


def space_text(study: str) -> str:
    """The text of a study's own space; it lies in an installed package, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "tune_spaces", package.parent / "tune_spaces"):
        if (place / f"{study}.toml").is_file():
            return (place / f"{study}.toml").read_text()
    raise UsageError(f"{study} has no tune space; name one with --space FILE")


def read_space(text: str, study: Study) -> Space:
    """A space from the text of a TOML file. A BadRecipe in one line says what does not fit the study's recipe."""
    data = read_toml(text, "space")
    known = ("study", "base", "first", "axes")
    for name in data:
        if name not in known:
            raise UnknownName.among("key of the space", name, known)
    if data.get("study") != study.name:
        raise BadRecipe(f"the space is for study {show(data.get('study'))}, not {study.name!r}")
    base, axes_table = data.get("base", "default"), data.get("axes")
    first = data.get("first", [name for name in FIRST if name in study.recipes])
    if not isinstance(base, str) or not isinstance(first, list) or not all(isinstance(name, str) for name in first):
        raise BadRecipe("base of the space must be a recipe's name, first a list of such names")
    if not isinstance(axes_table, dict) or not axes_table:
        raise BadRecipe("the space has no axes: nothing to search")
    axes = tuple(_read_axis(setting, values) for setting, values in axes_table.items())
    space = Space(study=study.name, base=base, first=tuple(first), axes=axes)
    _check_recipes(space, study)
    return space


def _read_axis(setting: str, values: Any) -> Axis:
    known = ("choices", "low", "high", "log")
    if not isinstance(values, dict):
        raise BadRecipe(f"axis {setting} must be a table with choices, or with low and high")
    for name in values:
        if name not in known:
            raise UnknownName.among(f"key of axis {setting}", name, known)
    if "choices" in values:
        if not isinstance(values["choices"], list) or not values["choices"] or len(values) > 1:
            raise BadRecipe(f"axis {setting}: choices must be a list, without low, high or log")
        return Axis(setting=setting, choices=tuple(values["choices"]))
    return _read_range(setting, values)


def _read_range(setting: str, values: Mapping[str, Any]) -> Axis:
    ends: list[Any] = [values.get("low"), values.get("high")]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise BadRecipe(f"axis {setting} needs choices, or low and high as numbers")
    low, high = ends
    if not low < high:
        raise BadRecipe(f"axis {setting}: low {show(low)} is not below high {show(high)}")
    if values.get("log") and low <= 0:
        raise BadRecipe(f"axis {setting}: low must be above 0 where log is true")
    whole = all(isinstance(end, int) for end in ends)
    return Axis(setting=setting, low=low, high=high, log=bool(values.get("log")), whole=whole)


def _check_recipes(space: Space, study: Study) -> None:
    """Build the recipe at both ends of each axis: if they fit, all values between fit too."""
    from rajobs.learning.networks import architectures

    base = study.recipe(space.base)
    for name in space.first:
        study.recipe(name)
    for axis in space.axes:
        for value in axis.choices or (axis.low, axis.high):
            recipe = replace(base, axis.setting, value)
            study.view.with_settings(recipe.view)
            for member in recipe.members:
                architectures.check_member(member)
