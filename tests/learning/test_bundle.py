"""Bundles: a model comes back as it was put, or not at all; an answer hangs on its own row alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rajobs.learning.bundle import Model, TrainedNetwork, calibrate, put_bundle
from rajobs.learning.bundle_description import find_bundles, read_description
from rajobs.learning.card import NO_EVIDENCE, card
from rajobs.learning.ensemble import build_member
from rajobs.learning.evaluation import evaluate_model, figures
from rajobs.learning.recipe import Member, Recipe, to_dict
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.targets import Nominal, Target, scores
from rajobs.records.errors import BadBundle, StoreError
from rajobs.records.metrics import Answers
from rajobs.records.store import LocalStore

FOLDER = "toy/v1"


@pytest.fixture
def store(tmp_path: Path, study: Study, recipe: Recipe) -> LocalStore:
    """A place with one bundle of two members, untrained."""
    store = LocalStore(str(tmp_path))
    two = replace(recipe, members=(recipe.members[0], replace(recipe.members[0], name="second")))
    trained = {
        member.name: [
            TrainedNetwork(network=build_member(study, member, (1, 16, 16), seed).eval(), temperature={"half": 1.5})
        ]
        for seed, member in enumerate(two.members)
    }
    put_bundle(store, FOLDER, trained, {"recipe": to_dict(two), "shape": [1, 16, 16], "study": "toy"})
    return store


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (70, 1, 16, 16), dtype=np.uint8)


def test_a_bundle_comes_back_with_the_same_answers(store: LocalStore, study: Study, images: np.ndarray) -> None:
    assert find_bundles(store, "toy") == [FOLDER] and find_bundles(store, "to") == []
    model = Model.load(store, FOLDER, study)
    again = put_bundle(LocalStore(str(store.root / "copy")), FOLDER, model.trained, {
        "recipe": to_dict(model.recipe), "shape": [1, 16, 16], "study": "toy",
    })  # fmt: skip
    assert again["hash"] == model.hash == read_description(store, FOLDER)["hash"]
    p, said = model.predict(images)["half"]
    back, again_said = Model.load(LocalStore(str(store.root / "copy")), FOLDER, study).predict(images)["half"]
    assert (p == back).all() and (said == again_said).all()
    assert p.shape == (70, 3) and p.sum(axis=1) == pytest.approx(np.ones(70))
    assert not any(entry.key.endswith((".pt", ".pkl", ".pth")) for entry in store.list())


def test_an_answer_does_not_hang_on_its_neighbours(store: LocalStore, study: Study, images: np.ndarray) -> None:
    model = Model.load(store, FOLDER, study)
    p, _ = model.predict(images)["half"]
    others = images.copy()
    others[np.arange(70) != 66] ^= 255
    assert (model.predict(others)["half"][0][66] == p[66]).all()
    alone = np.concatenate([model.predict(images[n : n + 1])["half"][0] for n in (0, 5, 66)])
    assert alone == pytest.approx(p[[0, 5, 66]], abs=1e-6)
    assert model.predict(images[:0])["half"][0].shape == (0, 3)


@pytest.mark.parametrize("name", ["weights-net.safetensors", "weights-second.safetensors", "bundle.json"])
@pytest.mark.parametrize("at", [0, -20])
def test_a_changed_byte_is_refused(store: LocalStore, study: Study, name: str, at: int) -> None:
    data = bytearray(store.get(f"{FOLDER}/{name}"))
    data[at] ^= 1
    store.put(f"{FOLDER}/{name}", bytes(data))
    with pytest.raises(BadBundle, match=name.replace(".", r"\.")):
        Model.load(store, FOLDER, study)


def test_a_missing_weight_file_is_an_error_of_the_store(store: LocalStore, study: Study) -> None:
    store.delete(f"{FOLDER}/weights-second.safetensors")
    with pytest.raises(StoreError):
        Model.load(store, FOLDER, study)


def test_calibration_finds_the_temperature_that_was_put_in() -> None:
    target = Nominal(name="half", classes=("a", "b", "c"))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2000, 3, generator=generator) * 2
    truth = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    assert calibrate(target, logits * 4, truth) == pytest.approx(4, rel=0.2)
    assert calibrate(target, logits, torch.full_like(truth, -1)) == 1.0
    assert calibrate(target, logits[:0], truth[:0]) == 1.0


def test_a_model_is_judged_on_the_labelled_rows_of_a_part(store: LocalStore, study: Study, lesson: Dataset) -> None:
    model = Model.load(store, FOLDER, study)
    some = replace(lesson, labels={"half": [*lesson.labels["half"][:58], None, None]})
    verdict = evaluate_model(model, some, "test")
    assert verdict.at.tolist() == list(range(48, 58)) and set(verdict.patients) == {f"p{n}" for n in range(24, 29)}
    p, said = model.predict(lesson.arrays.take(verdict.at))["half"]
    assert (verdict.p["half"] == p).all() and (verdict.predicted["half"] == said).all()
    found = verdict.figures()
    assert set(found) == {f"half.{name}" for name in study.metrics}
    truth = np.arange(48, 58) % 3
    assert found["half.accuracy"]["value"] == np.mean(said == truth)
    assert found["half.accuracy"]["low"] <= found["half.accuracy"]["value"] <= found["half.accuracy"]["high"]


def test_scores_that_were_learnt_as_names_are_answered_as_names_as_long_as_nobody_learnt_their_order(
    study: Study, recipe: Recipe
) -> None:
    ordered, plain = scores("stage", 3), Nominal(name="stage", classes=("0", "1", "2", "3"))
    graded, one = replace(study, targets=(ordered,)), replace(recipe.members[0], ordered=False)

    def learnt(*members: Member, best: str | None = None) -> dict[str, Target]:
        of = replace(recipe, members=members)
        return Model(study=graded, recipe=of, shape=(), hash="", trained={}, device="cpu", best=best).answered_targets

    assert learnt(one) == {"stage": plain} and learnt(recipe.members[0]) == {"stage": ordered}
    both = (one, replace(one, name="other", ordered=True))
    assert learnt(*both) == {"stage": ordered} and learnt(*both, best=one.name) == {"stage": plain}


def test_classes_that_the_paper_counts_as_one_are_judged_as_one(study: Study) -> None:
    folding = replace(study, folds={"top": "right"}, metrics=("accuracy",))
    truth, said = np.array([0, 1, 2, 2]), np.array([0, 2, 1, 0])
    answers = Answers(truth=truth, predicted=said, p=np.eye(3)[said], patients=np.array(list("abcd")))
    found = figures(folding, {"half": answers})
    assert found["half.accuracy"]["value"] == 0.25 and found["half.accuracy_as_printed"]["value"] == 0.75
    assert figures(folding, {}) == {}


def test_a_card_says_what_its_figures_are_worth(study: Study, recipe: Recipe) -> None:
    facts = {
        "validation": {"half.accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}, "recipe": to_dict(recipe),
        "budget": 0.1, "mode": "clean", "seed": 0, "code": "1", "data": "d", "split": "s",
        "rows": {"train": 36, "validation": 12, "test": 12},
    }  # fmt: skip
    text = card(study, facts)
    assert NO_EVIDENCE in text and "0.500 | 0.250 to 0.750" in text and "Only 0.1 of the recipe's epochs" in text
