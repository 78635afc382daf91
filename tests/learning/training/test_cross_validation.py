"""Cross-validation: every patient validates once, no network learns from those that it is judged on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rajobs.learning.bundle import Model, TrainedNetwork, put_bundle
from rajobs.learning.ensemble import build_member, network_name
from rajobs.learning.evaluation import choose_most_accurate, evaluate_folds, evaluate_model
from rajobs.learning.recipe import Recipe, to_dict
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.training.cross_validation import fold_datasets
from rajobs.learning.training.members import train_member
from rajobs.learning.voting import MOST_ACCURATE
from rajobs.records.errors import BadRecipe, DataError
from rajobs.records.store import LocalStore


def test_every_patient_validates_once_and_the_test_part_stays(lesson: Dataset) -> None:
    taken = fold_datasets(lesson, 4)
    assert len(taken) == 4
    seen: list[str] = []
    for mine in taken:
        watch, learn = (set(mine.groups[mine.parts == part]) for part in ("validation", "train"))
        assert watch and learn and not watch & learn
        assert (mine.parts == "test").tolist() == (lesson.parts == "test").tolist()
        seen += sorted(watch)
    assert sorted(seen) == sorted(set(lesson.groups[lesson.parts != "test"]))
    assert [each.parts.tolist() for each in fold_datasets(lesson, 4)] == [each.parts.tolist() for each in taken]
    names = np.array(lesson.labels["half"])
    shares = [[int(np.sum(names[each.parts == "validation"] == name)) for name in sorted(set(names))] for each in taken]
    assert np.ptp(shares, axis=0).max() <= 2, "classes are dealt evenly"


def test_none_is_the_lesson_itself_and_too_few_patients_are_refused(lesson: Dataset, recipe: Recipe) -> None:
    assert fold_datasets(lesson, 0) == [lesson]
    with pytest.raises(DataError, match="folds = 25 needs as many patients to learn from; there are 24"):
        fold_datasets(lesson, 25)
    with pytest.raises(BadRecipe, match="folds must be 0"):
        replace(recipe, folds=1)


def test_a_row_is_judged_by_the_network_that_did_not_learn_from_it(
    tmp_path: Path, study: Study, recipe: Recipe, lesson: Dataset
) -> None:
    several = replace(recipe, folds=3)
    lessons = fold_datasets(lesson, 3)
    networks = [
        TrainedNetwork(network=build_member(study, recipe.members[0], (1, 16, 16), seed).eval(), temperature={})
        for seed in range(3)
    ]
    model = Model(study=study, recipe=several, shape=(1, 16, 16), hash="", trained={"net": networks}, device="cpu")
    verdict = evaluate_folds(model, lessons)
    assert sorted(verdict.at) == np.flatnonzero(lesson.parts != "test").tolist()
    turn_of = {at: turn for turn, mine in enumerate(lessons) for at in np.flatnonzero(mine.parts == "validation")}
    alone = [replace(model, trained={"net": [network]}) for network in networks]
    for at, p in zip(verdict.at, verdict.p["half"]):
        own = alone[turn_of[at]].predict(lesson.arrays.take(np.array([at])))["half"][0]
        assert p == pytest.approx(own[0], abs=1e-6)
    # Asked about rows that none of them has seen, all answer, and a bundle keeps them all.
    means = np.mean([evaluate_model(one, lesson, "test").p["half"] for one in alone], axis=0)
    assert evaluate_model(model, lesson, "test").p["half"] == pytest.approx(means)
    store = LocalStore(str(tmp_path))
    told = put_bundle(store, "toy/v", model.trained, {"recipe": to_dict(several), "shape": [1, 16, 16]})
    assert [held["file"] for held in told["members"]["net"]] == [f"weights-net-{n}.safetensors" for n in (1, 2, 3)]
    assert evaluate_model(Model.load(store, "toy/v", study), lesson, "test").p["half"] == pytest.approx(means)


def test_the_most_accurate_member_is_chosen_on_validation_or_as_published_on_the_test_part(
    study: Study, recipe: Recipe, lesson: Dataset
) -> None:
    names = ("one", "other")
    two = replace(recipe, members=tuple(replace(recipe.members[0], name=name) for name in names), combine=MOST_ACCURATE)
    trained = {
        name: [TrainedNetwork(network=build_member(study, recipe.members[0], (1, 16, 16), seed).eval(), temperature={})]
        for seed, name in enumerate(names)
    }
    model = Model(study=study, recipe=two, shape=(1, 16, 16), hash="", trained=trained, device="cpu")
    said = {name: replace(model, best=name).predict(lesson.arrays.take(np.arange(60)))["half"][1] for name in names}
    told = np.array(study.targets[0].classes)
    # The labels are what one member says of the test part and the other of the rest: each is right where it is asked.
    labels = np.where(lesson.parts == "test", told[said["one"]], told[said["other"]]).tolist()
    assert (said["one"] != said["other"]).any()
    split = replace(lesson, labels={"half": labels})
    assert choose_most_accurate(model, [split], "published") == "one"
    assert choose_most_accurate(model, [split], "clean") == "other"


def test_turns_learn_on_their_own_rows(study: Study, recipe: Recipe, lesson: Dataset) -> None:
    weights = []
    for mine in fold_datasets(lesson, 2):
        network, state = train_member(mine, recipe, recipe.members[0], 0, lambda epoch, now: True)
        assert state.history[-1].metric is not None
        weights.append(network.state_dict()["heads.half_head.weight"])
    assert not weights[0].equal(weights[1])
    assert [network_name("net", turn, 2) for turn in (0, 1)] == ["net-1", "net-2"] and network_name(
        "net", 0, 1
    ) == "net"
