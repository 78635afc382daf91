"""What every study's declaration must keep to, the eighth one included: nothing here names a study."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from rajobs import studies
from rajobs.imaging.rows import CLINIC_TABLE, ROW_KINDS, Row
from rajobs.imaging.views import ViewInput
from rajobs.learning.ensemble import build_member, member_points, member_targets
from rajobs.learning.networks import architectures
from rajobs.learning.networks.landmarks import Landmarks
from rajobs.learning.recipe import Recipe, from_toml, to_toml
from rajobs.learning.space import read_space, space_text
from rajobs.learning.study import Study
from rajobs.learning.tabular_baseline import BASELINES
from rajobs.learning.training.members import headline_score
from rajobs.learning.voting import combine_members
from rajobs.records.errors import NotThereYet, UnknownName
from rajobs.records.metrics import LESS_IS_BETTER, METRICS
from rajobs.records.splits import PrintedSplit
from rajobs.records.tables.schemas import IMAGES

STUDIES = [studies.find(name) for name in studies.names()]
RECIPES = [(study, name) for study in STUDIES for name in study.recipes]
EVERY = pytest.mark.parametrize("study", STUDIES, ids=studies.names())
EVERY_RECIPE = pytest.mark.parametrize(("study", "name"), RECIPES, ids=[f"{s.name}-{name}" for s, name in RECIPES])


def sample_shape(study: Study, recipe: Recipe) -> tuple[int, ...]:
    """The shape of one sample of a study, drawn from a grey picture: channels, rows, columns."""
    settings = study.view.with_settings(recipe.view)
    row = Row(image_id="i", at=0, box=(4.0, 4.0, 40.0, 40.0) if study.rows.cut_by_positions else None)
    # A visit without any finding, or a grey picture.
    source = {} if study.rows.table == CLINIC_TABLE else ViewInput(pixels=np.full((64, 48), 90, np.uint8))
    drawn = study.view.draw(source, row, **settings)
    assert drawn.dtype in (np.uint8, np.uint16)
    return (drawn.shape[2], *drawn.shape[:2]) if drawn.ndim == 3 else (1, *drawn.shape)


def as_judged(study: Study) -> Study:
    """A study that shows points is judged by which of them are found."""
    return study if study.targets else study.for_recipe(study.recipe("default"))


@EVERY
def test_a_declaration_is_consistent(study: Study) -> None:
    study = as_judged(study)
    reads = ("clinic",) if study.rows.table == CLINIC_TABLE else ("preview", "pixels")
    assert study.rows in ROW_KINDS and study.view.reads in reads and study.question.endswith("?")
    assert study.baseline is None or study.baseline in BASELINES
    names = [target.name for target in study.targets]
    assert len(set(names)) == len(names) and all(len(set(t.classes)) == len(t.classes) for t in study.targets)
    assert set(study.metrics) <= set(METRICS)
    target, _, metric = study.headline.partition(".")
    assert target in names and metric in METRICS and metric not in LESS_IS_BETTER, "a headline grows as it gets better"
    assert headline_score(study, study.targets) is not None
    assert study.points is None or study.view.place is not None, "points are found again in the film"
    classes = {name for target in study.targets for name in target.classes}
    assert {*study.merged_classes, *study.merged_classes.values()} <= classes
    assert all(rule.answer in study.target(rule.target).classes for rule in study.rules)
    assert {rule.column for rule in study.rules} <= set(IMAGES.names)


@EVERY
def test_printed_figures_are_compared_with_metrics_that_exist(study: Study) -> None:
    study = as_judged(study)
    there = {f"{target.name}.{metric}" for target in study.targets for metric in (*METRICS, "accuracy_as_printed")}
    alone = {f"{member.name}.accuracy" for recipe in study.recipes.values() for member in recipe.members}
    for printed in study.printed:
        assert printed.part in ("test", "validation", "folds")
        known = alone if printed.part == "validation" else there
        assert printed.metric is None or printed.metric in known
    if isinstance(study.printed_split, PrintedSplit):
        split, target = study.printed_split, study.target(study.printed_split.target)
        assert {*split.learn, *split.test} <= set(target.classes) - set(study.merged_classes)


@EVERY_RECIPE
@pytest.mark.slow
def test_a_recipe_builds_and_its_members_answer_every_target(study: Study, name: str) -> None:
    recipe = study.recipe(name)
    assert from_toml(to_toml(recipe)) == recipe
    shape = sample_shape(study, recipe)
    answers = {}
    for member in recipe.members:
        architectures.check_member(member)
        points = member_points(study, member)
        if member.fit == "cascade":
            assert points is not None and set(member.sees) <= {site for _, site in points.point_names}
            continue
        targets = member_targets(study, member)
        if points is not None:
            network = build_member(study, member, shape, 0).eval()
            outputs = network(torch.zeros(1, *shape))
            assert points.answer(outputs[points.name]).shape == (1, len(points.point_names), 3)
            assert set(outputs) == {points.name, *(target.name for target in targets)}
            assert isinstance(network, Landmarks) and set(network.classify(torch.zeros(1, *shape))) == {
                t.name for t in targets
            }
            answers[member.name] = {t.name: np.full((1, len(t.classes)), 1 / len(t.classes)) for t in targets}
            continue
        with torch.device("meta"):  # of a network of hundreds of millions only the shapes are of interest here
            network = architectures.build(
                member.architecture, member.settings, architectures.head_sizes(targets, member.groups), shape
            )
            outputs = network(torch.zeros(1, *shape))
        assert {t.name: outputs[t.name].shape[1] for t in targets} == {t.name: t.outputs for t in targets}
        answers[member.name] = {t.name: np.full((1, len(t.classes)), 1 / len(t.classes)) for t in targets}
    if study.for_recipe(recipe) is not study:
        return
    combined = combine_members(study, recipe, answers)
    assert set(combined) == {target.name for target in study.targets}
    for target in study.targets:
        p, answers = combined[target.name]
        assert p.sum() == pytest.approx(1) and 0 <= answers[0] < len(target.classes)


@EVERY
def test_a_default_recipe_runs_on_any_machine_and_a_missing_published_one_is_named(study: Study) -> None:
    if study.recipes:
        assert "default" in study.recipes
        if "published" not in study.recipes:
            with pytest.raises(NotThereYet, match=f"no recipe yet of what {study.paper} did"):
                study.recipe("published")
        assert not study.recipe("default").heavy, "the default recipe is for any machine"
    with pytest.raises(UnknownName, match="did you mean default"):
        study.recipe("defalt")


SPACES = sorted((Path(__file__).parents[2] / "tune_spaces").glob("*.toml"))


@pytest.mark.parametrize("file", SPACES, ids=[file.stem for file in SPACES])
def test_a_space_reads_cleanly_with_its_study(file: Path) -> None:
    study, text = studies.find(file.stem.partition("-")[0]), file.read_text()
    assert space_text(study.name) == text or file.stem != study.name
    space = read_space(text, study)
    assert space.study == tomllib.loads(text)["study"] == study.name
    base = study.recipe(space.base)
    for axis in space.axes:
        ends = {space.recipe(base, {axis.setting: value}) != base for value in axis.choices or (axis.low, axis.high)}
        assert True in ends, f"{axis.setting} turns nothing"


def test_a_study_is_found_by_name_or_the_nearest_is_named() -> None:
    assert all(studies.find(name).name == name for name in studies.names())
    name = studies.names()[0]
    with pytest.raises(UnknownName, match=f"did you mean {name}"):
        studies.find(name[:-1])
