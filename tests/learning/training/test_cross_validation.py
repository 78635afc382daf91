"""Cross-validation: every patient validates once, no network learns from those that it is judged on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rajobs.learning.bundle import Model, TrainedNetwork, put_bundle
from rajobs.learning.ensemble import build_member, network_name
from rajobs.learning.judging.evaluation import choose_member, evaluate_folds, evaluate_model
from rajobs.learning.recipe import Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.members import train_member
from rajobs.records.errors import BadRecipe, DataError
from rajobs.records.store import LocalStore
from tests.learning.conftest import describe


def test_every_patient_validates_once_and_the_test_part_stays(dataset: Dataset) -> None:
    folds = fold_datasets(dataset, 4)
    assert len(folds) == 4
    seen: list[str] = []
    for fold in folds:
        validating, learning = (fold.groups_of(part) for part in ("validation", "train"))
        assert validating and learning and not validating & learning
        assert (fold.parts == "test").tolist() == (dataset.parts == "test").tolist()
        seen += sorted(validating)
    assert sorted(seen) == sorted(set(dataset.groups[dataset.parts != "test"]))
    assert [each.parts.tolist() for each in fold_datasets(dataset, 4)] == [each.parts.tolist() for each in folds]
    names = np.array(dataset.labels["half"])
    shares = [[int(np.sum(names[each.parts == "validation"] == name)) for name in sorted(set(names))] for each in folds]
    assert np.ptp(shares, axis=0).max() <= 2, "classes are dealt evenly"


def test_by_centre_no_network_has_seen_an_image_of_the_centre_that_it_is_judged_on(dataset: Dataset) -> None:
    at = np.arange(60) // 2  # patient by row
    centres = np.array(["basel", "bern", "", "bonn"])[at % 4]
    centres[0] = "bern"  # a patient with an image in each of two centres
    folds = fold_datasets(replace(dataset, centres=centres), "centre")
    assert len(folds) == 3
    seen: list[str] = []
    for fold, name in zip(folds, ("basel", "bern", "bonn"), strict=True):
        assert not np.any(centres[fold.parts == "train"] == name)
        assert {"p2", "p6"} <= fold.groups_of("train") or "p2" in dataset.groups_of("test"), "who has no centre trains"
        assert (fold.parts == "test").tolist() == (dataset.parts == "test").tolist()
        assert not fold.groups_of("train") & fold.groups_of("validation")
        seen += sorted(fold.groups_of("validation"))
    named = {f"p{patient}" for patient in at[(dataset.parts != "test") & (centres != "")]}
    assert sorted(seen) == sorted(named), "each validates once"
    assert "p0" in folds[0].groups_of("validation") and "p0" in folds[1].groups_of(""), (
        "it has as many images elsewhere"
    )
    with pytest.raises(DataError, match="needs patients of two centres"):
        fold_datasets(replace(dataset, centres=np.full(60, "")), "centre")


def test_a_recipe_without_folds_keeps_its_dataset_and_too_few_patients_are_refused(
    dataset: Dataset, recipe: Recipe
) -> None:
    assert fold_datasets(dataset, 0) == [dataset]
    with pytest.raises(DataError, match="folds = 25 needs as many patients to learn from; there are 24"):
        fold_datasets(dataset, 25)
    with pytest.raises(BadRecipe, match="folds must be 0"):
        replace(recipe, folds=1)


def test_a_row_is_judged_by_the_network_that_did_not_learn_from_it(
    tmp_path: Path, study: Study, recipe: Recipe, dataset: Dataset
) -> None:
    several = replace(recipe, folds=3)
    folds = fold_datasets(dataset, 3)
    networks = [
        TrainedNetwork(network=build_member(study, recipe.members[0], (1, 16, 16), seed).eval(), temperature={})
        for seed in range(3)
    ]
    model = Model(study=study, recipe=several, shape=(1, 16, 16), hash="", trained={"net": networks}, device="cpu")
    evaluation = evaluate_folds(model, folds)
    assert sorted(evaluation.at) == np.flatnonzero(dataset.parts != "test").tolist()
    fold_of = {at: number for number, fold in enumerate(folds) for at in np.flatnonzero(fold.parts == "validation")}
    alone = [replace(model, trained={"net": [network]}) for network in networks]
    for at, p in zip(evaluation.at, evaluation.p["half"]):
        own = alone[fold_of[at]].predict(dataset.arrays.take(np.array([at])))["half"][0]
        assert p == pytest.approx(own[0], abs=1e-6)
    # Asked about rows that none of them has seen, all answer, and a bundle keeps them all.
    means = np.mean([evaluate_model(one, dataset, "test").p["half"] for one in alone], axis=0)
    assert evaluate_model(model, dataset, "test").p["half"] == pytest.approx(means)
    store = LocalStore(str(tmp_path))
    description = put_bundle(store, "toy/v", model.trained, describe(study, several))
    assert [weights.file for weights in description.members["net"]] == [
        f"weights-net-{n}.safetensors" for n in (1, 2, 3)
    ]
    assert evaluate_model(Model.load(store, "toy/v", study), dataset, "test").p["half"] == pytest.approx(means)


def test_the_most_accurate_member_is_chosen_on_validation_or_as_published_on_the_test_part(
    study: Study, recipe: Recipe, dataset: Dataset
) -> None:
    names = ("one", "other")
    members = tuple(replace(recipe.members[0], name=name) for name in names)
    two = replace(recipe, members=members, combine="most_accurate")
    trained = {
        name: [TrainedNetwork(network=build_member(study, recipe.members[0], (1, 16, 16), seed).eval(), temperature={})]
        for seed, name in enumerate(names)
    }
    model = Model(study=study, recipe=two, shape=(1, 16, 16), hash="", trained=trained, device="cpu")
    images, classes = dataset.arrays.take(np.arange(60)), np.array(study.targets[0].classes)
    answers = {name: replace(model, best=name).predict(images)["half"][1] for name in names}
    # The labels are one member's answers on the test part and the other's elsewhere: each is right on its own rows.
    labels = np.where(dataset.parts == "test", classes[answers["one"]], classes[answers["other"]]).tolist()
    assert (answers["one"] != answers["other"]).any()
    split = replace(dataset, labels={"half": labels})
    assert choose_member(model, [split], "published") == "one"
    assert choose_member(model, [split], "clean") == "other"
    middle = replace(model, recipe=replace(two, combine="middle"))
    assert choose_member(middle, [split], "published") == "one", "the last of two on validation, whatever the mode"


def test_each_fold_learns_from_its_own_rows(study: Study, recipe: Recipe, dataset: Dataset) -> None:
    weights = []
    for fold in fold_datasets(dataset, 2):
        network, state = train_member(fold, recipe, recipe.members[0], 0, lambda epoch, now: True)
        assert state.history[-1].metric is not None
        weights.append(network.state_dict()["heads.half_head.weight"])
    assert not weights[0].equal(weights[1])
    assert [network_name("net", fold, 2) for fold in (0, 1)] == ["net-1", "net-2"]
    assert network_name("net", 0, 1) == "net"
