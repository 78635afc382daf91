"""Tune spaces: read whole, or refused in one clear line before anything runs."""

import pytest

from rajobs.learning.space import Axis, read_space, space_text
from rajobs.learning.study import Study
from rajobs.records.errors import UsageError

AXIS = '"training.learning_rate" = { low = 1e-4, high = 1e-1, log = true }\n'


def test_axes_are_choices_or_ranges(study: Study) -> None:
    text = f'study = "toy"\nfirst = ["default"]\n[axes]\n{AXIS}"training.epochs" = {{ low = 1, high = 9 }}\n'
    space = read_space(text + '"training.optimiser" = { choices = ["sgd", "adam"] }\n', study)
    assert space.base == "default" and space.first == ("default",)
    assert space.axes == (
        Axis(setting="training.learning_rate", low=1e-4, high=1e-1, log=True),
        Axis(setting="training.epochs", low=1, high=9, whole=True),
        Axis(setting="training.optimiser", choices=("sgd", "adam")),
    )
    changed = space.recipe(study.recipe("default"), {"training.optimiser": "sgd", "training.epochs": 3})
    assert (changed.training.optimiser, changed.training.epochs) == ("sgd", 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('study = "toy"\n[axes', "the space is not TOML"),
        (f"study{'.a' * 3000} = 1", "is for study a table, not 'toy'"),
        ('study = "other"', "is for study 'other', not 'toy'"),
        (f"[axes]\n{AXIS}", "is for study None, not 'toy'"),
        ('study = "toy"', "has no axes"),
        ('study = "toy"\naxes = 3', "has no axes"),
        ('study = "toy"\naxis = 3', "did you mean axes?"),
        (f'study = "toy"\nbase = "defalt"\n[axes]\n{AXIS}', "did you mean default?"),
        (f'study = "toy"\nbase = 3\n[axes]\n{AXIS}', "base of the space must be a recipe's name"),
        (f'study = "toy"\nfirst = "default"\n[axes]\n{AXIS}', "first a list of such names"),
        (f'study = "toy"\nfirst = ["publishd"]\n[axes]\n{AXIS}', "unknown recipe of toy 'publishd'"),
    ],
)
def test_a_space_that_does_not_fit_its_study_is_refused(study: Study, text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_space(text, study)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ('"training.learning_rat" = { low = 0.1, high = 0.2 }', "did you mean learning_rate?"),
        ('"training.augment.rotat" = { low = 0.1, high = 0.2 }', "did you mean rotate?"),
        ('"members.settings.widht" = { choices = [4, 8] }', "did you mean width?"),
        ('"members.architecture" = { choices = ["compct"] }', "did you mean compact?"),
        ('"view.sise" = { choices = [4, 8] }', "unknown view setting 'sise'; did you mean size?"),
        ('"training.learning_rate" = { low = 0.2, high = 0.1 }', "low 0.2 is not below high 0.1"),
        ('"training.learning_rate" = { low = 0.1, high = 0.1 }', "low 0.1 is not below high 0.1"),
        ('"training.weight_decay" = { low = 0.0, high = 0.1, log = true }', "low must be above 0 where log is true"),
        ('"training.learning_rate" = { low = 0.0, high = 0.1 }', "learning_rate must lie between 1e-12 and 100"),
        ('"training.learning_rate" = { low = 0.1 }', "needs choices, or low and high as numbers"),
        ('"training.learning_rate" = { low = "a", high = "b" }', "needs choices, or low and high as numbers"),
        ('"training.learning_rate" = { low = 0.1, hihg = 0.2 }', "did you mean high?"),
        ('"training.learning_rate" = { choices = [] }', "choices must be a list"),
        ('"training.learning_rate" = { choices = 3 }', "choices must be a list"),
        ('"training.learning_rate" = { choices = [0.1], log = true }', "without low, high or log"),
        ('"training.learning_rate" = 3', "must be a table with choices"),
        ('"training.epochs" = { low = 1.0, high = 9.0 }', "training.epochs must be a whole number"),
        ('"training.optimiser" = { choices = ["sdg"] }', "did you mean sgd?"),
        ('"training.learning_rate" = { low = nan, high = 0.1 }', "low nan is not below high 0.1"),
        ('"training.learning_rate" = { low = 0.1, high = inf }', "learning_rate must lie between 1e-12 and 100"),
        ('"training.weight_decay" = { choices = [0.1, nan] }', "weight_decay must lie between 0 and 10, not be nan"),
        ('"members.settings.width" = { choices = [4, 1000000000] }', "width of compact must lie between 1 and 1,024"),
        ('"members.settings.width" = { low = -8, high = 8 }', "width of compact must lie between 1 and 1,024"),
        ('"members.settings.dropout" = { low = 0.0, high = inf }', "dropout of compact must lie between 0 and 0.95"),
        ('"members.settings.width" = { choices = [[[4]]] }', "width of compact must be a whole number, not a list"),
        ('"members.name" = { choices = ["a/b"] }', "a member's name has letters, digits, - and _"),
        ('"view.size" = { choices = [1000000] }', "size of the view must lie between 8 and 2,048, not be 1000000"),
        ('"view.size" = { choices = ["big"] }', "size of the view must be a whole number, not 'big'"),
        (f'"view.size" = {{ choices = {"[" * 5000}{"]" * 5000} }}', "the space is nested too deeply"),
    ],
)
def test_an_axis_that_does_not_fit_the_recipe_is_refused(study: Study, axis: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_space(f'study = "toy"\n[axes]\n{axis}\n', study)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_study_without_a_space_says_how_to_name_one() -> None:
    with pytest.raises(UsageError, match="has no tune space; name one with --space FILE"):
        space_text("toy")
