"""Recipes: data that comes back as it went, and mistakes that are named."""

import pytest

from rajobs.learning.recipe import Augment, Member, Recipe, Training, from_dict, from_toml, replace, to_dict, to_toml
from rajobs.records.errors import BadRecipe, UnknownName, UsageError

FULL = Recipe(
    view={"size": 48},
    members=(
        Member(name="m1", architecture="conv4", settings={"hidden": 64}, groups=(("a",), ("b", "c")), sees=("a", "b")),
        Member(
            name="m2", architecture="compact", groups=(("b",), ("c",)), copies={"b": 11}, training=Training(epochs=3)
        ),
    ),
    combine="first_yes",
    training=Training(optimiser="sgd", augment=Augment(rotate=10.0, flip_vertical=True)),
    heavy=True,
)


def test_a_recipe_survives_plain_data_and_toml() -> None:
    assert from_dict(to_dict(FULL)) == FULL
    assert from_toml(to_toml(FULL)) == FULL
    short = from_toml('members = [{ name = "n", architecture = "compact" }]\ntraining.learning_rate = 1\n')
    assert short.training == Training(learning_rate=1.0) and short.combine == "mean"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = 3", "there are: calibrate, combine"),
        ("[training]\nlearning_rat = 3.0", "unknown setting in training 'learning_rat'; did you mean learning_rate?"),
        ("[training.augment]\nrotat = 1.0", "did you mean rotate?"),
        ("[training]\nepochs = 1.5", "training.epochs must be a whole number, not 1.5"),
        ("[training]\nepochs = true", "training.epochs must be a whole number, not True"),
        ('[training]\nlearning_rate = "fast"', "training.learning_rate must be a number, not 'fast'"),
        ("[training]\nepochs = 0", "epochs must lie between 1 and 100,000, not be 0"),
        ('[training]\noptimiser = "adadlta"', "did you mean adadelta?"),
        ("training = 3", "training must be a table of settings"),
        ("members = 3", "members must be a list"),
        ("members = []", "a recipe needs members"),
        ('members = [{ name = "n" }]', "members.0 needs architecture"),
        ('members = [{ name = "n", architecture = "a", fit = "cascad" }]', "unknown fit 'cascad'"),
        ('members = [{ name = "n", architecture = "a", sees = "all" }]', "members.0.sees must be a list"),
        ('combine = "first_yes"\nmembers = [{ name = "n", architecture = "a" }]', "first_yes needs two groups"),
        ('members = [{ name = "n", architecture = "a", copies = { b = 1.5 } }]', "copies.b must be a whole number"),
        ("heavy = yes", "the recipe is not TOML"),
        (
            'sites = ["MCP22"]\nmembers = [{ name = "n", architecture = "a" }]',
            "unknown site 'MCP22'; did you mean MCP2",
        ),
        ("[training]\nlearning_rate = nan", "learning_rate must lie between 1e-12 and 100, not be nan"),
        ("[training]\nlearning_rate = inf", "learning_rate must lie between 1e-12 and 100, not be inf"),
        ("[training]\nweight_decay = -0.1", "weight_decay must lie between 0 and 10, not be -0.1"),
        ("[training]\nmomentum = 1.5", "momentum must lie between 0 and 0.9999, not be 1.5"),
        ("[training.augment]\nzoom = 1e300", "zoom must lie between 0 and 0.95, not be 1e+300"),
        ("[training]\nepochs = 1000000000", "epochs must lie between 1 and 100,000, not be 1000000000"),
        (f"[training]\nepochs = 0x{'f' * 9000}", "not be a whole number of 36000 bits"),
        (f"[training]\nlearning_rate = 0x{'f' * 9000}", "must be a number, not a whole number of 36000 bits"),
        (f"[training]\nepochs = {'9' * 9000}", "the recipe is not TOML"),
        ("drawn = nan", "drawn must lie between 0 and 100, not be nan"),
        ("folds = -3", "folds must lie between 0 and 100, not be -3"),
        (f"heavy = {'[' * 5000}{']' * 5000}", "the recipe is nested too deeply"),
        (f"heavy = {'[' * 100}{']' * 100}", "heavy must be true or false, not a list"),
        ("heavy = { a = 1 }", "heavy must be true or false, not a table"),
        (f'combine = "{"x" * 5000}"', "unknown combine"),
        ('members = [{ name = "../n", architecture = "a" }]', "at most 64, unlike '../n'"),
        ('members = [{ name = "a/b", architecture = "a" }]', "a member's name has letters, digits, - and _"),
        ('members = [{ name = "", architecture = "a" }]', "a member's name has letters, digits, - and _"),
    ],
)
def test_what_does_not_fit_is_named(text: str, words: str) -> None:
    member = "" if "members" in text else 'members = [{ name = "n", architecture = "compact" }]\n'
    with pytest.raises(UsageError) as error:
        from_toml(member + text)
    assert words in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 300


def test_members_have_names_of_their_own() -> None:
    with pytest.raises(BadRecipe, match="each with a name of its own"):
        Recipe(members=(Member(name="m", architecture="a"), Member(name="m", architecture="b")))


def test_one_setting_is_changed_by_its_path() -> None:
    assert replace(FULL, "training.augment.rotate", 20).training.augment == Augment(rotate=20.0, flip_vertical=True)
    assert replace(FULL, "view.size", 64).view == {"size": 64}
    assert [m.settings for m in replace(FULL, "members.settings.width", 8).members] == [
        {"hidden": 64, "width": 8}, {"width": 8},
    ]  # fmt: skip
    assert [m.settings for m in replace(FULL, "members.1.settings.width", 8).members] == [{"hidden": 64}, {"width": 8}]
    assert [m.architecture for m in replace(FULL, "members.architecture", "conv4").members] == ["conv4", "conv4"]
    assert FULL.view == {"size": 48}, "the recipe itself stays as it was"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("training.augment.rotat", "did you mean rotate?"),
        ("memberz.settings.width", "did you mean members?"),
        ("members.2.settings.width", "there are 2 members"),
        ("members.0", "is not the path of a setting"),
        ("training.epochs.more", "is not the path of a setting"),
        ("training", "training must be a table of settings"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, words: str) -> None:
    with pytest.raises((BadRecipe, UnknownName)) as error:
        replace(FULL, path, 1)
    assert words in str(error.value)
