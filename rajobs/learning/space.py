"""A tune space: which settings of a recipe a sweep turns, and how far. Read from TOML, checked before anything runs."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rajobs.learning.recipe import Recipe, lookup, replace
from rajobs.learning.study import Study
from rajobs.records.errors import BadRecipe, UnknownName, UsageError

FIRST = ("published", "default")
"""What is tried before the search, where a space does not say: what others did, and what we do."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One setting and its values: some choices, or a range."""

    setting: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Space:
    """A study's axes, the recipe they change, and the recipes tried first as they are (a space need not name them)."""

    study: str
    base: str
    first: tuple[str, ...]
    axes: tuple[Axis, ...]

    def values(self, recipe: Recipe) -> dict[str, Any]:
        """What a recipe has at each axis; None where it leaves a setting to the architecture."""
        return {axis.setting: lookup(recipe, axis.setting) for axis in self.axes}

    def recipe(self, base: Recipe, values: Mapping[str, Any]) -> Recipe:
        """The base recipe with the axes at these values."""
        for setting, value in values.items():
            base = replace(base, setting, value)
        return base


def space_text(study: str) -> str:
    """The text of a study's own space: in the package when it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "tune_spaces", package.parent / "tune_spaces"):
        if (place / f"{study}.toml").is_file():
            return (place / f"{study}.toml").read_text()
    raise UsageError(f"{study} has no tune space; name one with --space FILE")


def read_space(text: str, study: Study) -> Space:
    """A space out of a TOML file's text; whatever does not fit the study's recipe is one clear line."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRecipe(f"the space is no TOML: {error}") from None
    known = ("study", "base", "first", "axes")
    for name in data:
        if name not in known:
            raise UnknownName.among("key of the space", name, known)
    if data.get("study") != study.name:
        raise BadRecipe(f"the space is for study {data.get('study')!r}, not {study.name!r}")
    base, given = data.get("base", "default"), data.get("axes")
    first = data.get("first", [name for name in FIRST if name in study.recipes])
    if not isinstance(base, str) or not isinstance(first, list) or not all(isinstance(name, str) for name in first):
        raise BadRecipe("base of the space must be a recipe's name, first a list of such names")
    if not isinstance(given, dict) or not given:
        raise BadRecipe("the space has no axes: nothing to search")
    axes = tuple(_axis(setting, values) for setting, values in given.items())
    space = Space(study=study.name, base=base, first=tuple(first), axes=axes)
    _try(space, study)
    return space


def _axis(setting: str, given: Any) -> Axis:
    known = ("choices", "low", "high", "log")
    if not isinstance(given, dict):
        raise BadRecipe(f"axis {setting} must be a table with choices, or with low and high")
    for name in given:
        if name not in known:
            raise UnknownName.among(f"key of axis {setting}", name, known)
    if "choices" in given:
        if not isinstance(given["choices"], list) or not given["choices"] or len(given) > 1:
            raise BadRecipe(f"axis {setting}: choices must be a list, without low, high or log")
        return Axis(setting=setting, choices=tuple(given["choices"]))
    return _range(setting, given)


def _range(setting: str, given: Mapping[str, Any]) -> Axis:
    ends: list[Any] = [given.get("low"), given.get("high")]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise BadRecipe(f"axis {setting} needs choices, or low and high as numbers")
    low, high = ends
    if not low < high:
        raise BadRecipe(f"axis {setting}: low {low} is not below high {high}")
    if given.get("log") and low <= 0:
        raise BadRecipe(f"axis {setting}: low must be above 0 where log is true")
    whole = all(isinstance(end, int) for end in ends)
    return Axis(setting=setting, low=low, high=high, log=bool(given.get("log")), whole=whole)


def _try(space: Space, study: Study) -> None:
    """Build the recipe at each end of each axis: what fits there, fits between."""
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
