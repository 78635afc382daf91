"""Bundles: a model comes back as it was put, or not at all; an answer depends on its own row alone."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from rajobs.learning.bundle import Model, TrainedNetwork, calibrate, put_bundle
from rajobs.learning.bundle_description import (
    BundleDescription,
    DrawnFilms,
    Epochs,
    find_bundles,
    put_description,
    read_description,
)
from rajobs.learning.card import NO_EVIDENCE, card
from rajobs.learning.ensemble import build_member
from rajobs.learning.judging.evaluation import evaluate_model, figures
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.targets import Nominal, Target, scores
from rajobs.records.errors import BadBundle, StoreError
from rajobs.records.manifest import digest, to_json
from rajobs.records.metrics import Answers
from rajobs.records.store import LocalStore
from tests.learning.conftest import describe

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
    put_bundle(store, FOLDER, trained, describe(study, two))
    return store


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (70, 1, 16, 16), dtype=np.uint8)


def test_a_bundle_comes_back_with_the_same_answers(store: LocalStore, study: Study, images: np.ndarray) -> None:
    assert find_bundles(store, "toy") == [FOLDER] and find_bundles(store, "to") == []
    model = Model.load(store, FOLDER, study)
    copy = LocalStore(str(store.root / "copy"))
    again = put_bundle(copy, FOLDER, model.trained, describe(study, model.recipe))
    assert again.hash == model.hash and again == read_description(store, FOLDER) == read_description(copy, FOLDER)
    p, answers = model.predict(images)["half"]
    p_of_copy, answers_of_copy = Model.load(copy, FOLDER, study).predict(images)["half"]
    assert (p == p_of_copy).all() and (answers == answers_of_copy).all()
    assert p.shape == (70, 3) and p.sum(axis=1) == pytest.approx(np.ones(70))
    assert not any(entry.key.endswith((".pt", ".pkl", ".pth")) for entry in store.list())


def test_a_bundle_answers_the_targets_that_it_learnt(store: LocalStore, study: Study, images: np.ndarray) -> None:
    """Also when the study has got another one since, as the models inside the package did."""
    grown = replace(study, targets=(*study.targets, Nominal(name="kind", classes=("wrist", "finger"))))
    old, new = (Model.load(store, FOLDER, which) for which in (study, grown))
    assert old.predict(images).keys() == new.predict(images).keys() == new.answered_targets.keys()
    assert all((old.predict(images)[name][0] == new.predict(images)[name][0]).all() for name in old.answered_targets)


def test_a_description_comes_back_as_it_was_put(tmp_path: Path, study: Study, recipe: Recipe) -> None:
    store, plain = LocalStore(str(tmp_path)), describe(study, recipe)
    drawn = DrawnFilms(phantom=4, rounds=3, films=60, tried=20)
    origins = (
        replace(plain.origin, starts={"net": "0a"}, budget=0.5), replace(plain.origin, mode="drawn", drawn=drawn),
    )  # fmt: skip
    assert len({origin.version for origin in (plain.origin, *origins)}) == 3, "each is a model of its own"
    full = replace(
        plain, parameters={"net": 7}, epochs={"net": Epochs(run=6, kept=4)}, learned={"half": {"": 48}},
        validation={"half.auc": {"value": 0.5, "low": None, "high": None}}, best="net",
    )  # fmt: skip
    for folder, origin in zip(("toy/v2", "toy/v3"), origins):
        written = put_description(store, folder, replace(full, origin=origin))
        assert written == replace(full, origin=origin, hash=written.hash) == read_description(store, folder)


def test_an_answer_does_not_depend_on_its_neighbours(store: LocalStore, study: Study, images: np.ndarray) -> None:
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


Content = dict[str, Any]


def _change(path: str, value: object) -> Callable[[Content], None]:
    """A change of one entry of bundle.json, by its path."""

    def change(content: Content) -> None:
        *parents, name = [int(part) if part.isdigit() else part for part in path.split(".")]
        at: Any = content
        for parent in parents:
            at = at[parent]
        if value is None:
            del at[name]
        else:
            at[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_change("members.net.0.file", "../../secret"), "leads out of the bundle"),
        (_change("members.net.0.file", "/etc/passwd"), "leads out of the bundle"),
        (_change("members.net.0.file", "weights-../a.safetensors"), "leads out of the bundle"),
        (_change("members.net.0.file", 7), "missing or of another kind"),
        (_change("members.net.0.temperature.half", 0), "a temperature does not lie between 0.01 and 100"),
        (_change("members.net.0.temperature.half", -1.5), "a temperature does not lie between"),
        (_change("members.net.0.temperature", [1]), "missing or of another kind"),
        (_change("members.net", None), "has no weight file of member net"),
        (_change("members.second", []), "has no weight file of member second"),
        (_change("members", None), "missing or of another kind"),
        (_change("recipe", None), "missing or of another kind"),
        (_change("recipe.members.0.settings.width", 10**9), "width of compact must lie between 1 and 1,024"),
        (_change("recipe.members.0.settings.stages", 8), "compact with 8 stages needs images of 256 pixels"),
        (_change("recipe.members.0.name", "a/b"), "a member's name has letters"),
        (_change("recipe.members.0.targets", ["hlaf"]), "did you mean half?"),
        (_change("recipe.training.epochs", -1), "epochs must lie between 1 and 100,000"),
        (_change("shape", [1, 10**6, 10**6]), "its shape is not that of an image"),
        (_change("shape", [1, "a", 1]), "missing or of another kind"),
        (_change("classes", 3), "missing or of another kind"),
        (_change("epochs", {"net": {"run": 1}}), "missing or of another kind"),
        (_change("format", 7), "has bundle format 7"),
        (_change("format", None), "has bundle format None"),
        (_change("study", "other"), "holds a model of other, not of toy"),
    ],
)  # fmt: skip
def test_a_description_that_somebody_made_up_is_refused_in_one_line(
    store: LocalStore, study: Study, change: Callable[[Content], None], words: str
) -> None:
    content = json.loads(store.get(f"{FOLDER}/bundle.json"))
    del content["hash"]
    change(content)
    store.put(f"{FOLDER}/bundle.json", to_json({**content, "hash": digest(content)}))
    with pytest.raises(BadBundle) as refused:
        Model.load(store, FOLDER, study)
    assert words in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 400


HEADER = b'{"a":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,4]}}'


@pytest.mark.parametrize("fit", ["gradient", "cascade"])
@pytest.mark.parametrize(
    "data",
    [
        b"", b"PK\x03\x04", b"\xff" * 64, (2**62).to_bytes(8, "little") + b"{}",
        (9).to_bytes(8, "little") + b"not JSON!",
        len(HEADER).to_bytes(8, "little") + HEADER + bytes(4), (2).to_bytes(8, "little") + b"{}", b"<a><b></a>",
        b"<opencv_storage/>", safetensors.numpy.save({"other": np.zeros(3)}),
    ],
)  # fmt: skip
def test_a_weight_file_that_holds_something_else_is_refused_in_one_line(
    store: LocalStore, study: Study, data: bytes, fit: str
) -> None:
    content = json.loads(store.get(f"{FOLDER}/bundle.json"))
    del content["hash"]
    content["members"]["net"][0]["sha256"] = hashlib.sha256(data).hexdigest()
    if fit == "cascade":
        content["recipe"]["members"][0] |= {"fit": fit, "architecture": "haar", "settings": {}}
    store.put(f"{FOLDER}/weights-net.safetensors", data)
    store.put(f"{FOLDER}/bundle.json", to_json({**content, "hash": digest(content)}))
    with pytest.raises(
        BadBundle, match=r"^toy: the weights of net are (no safetensors file|no cascade|another version)"
    ):
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


def test_a_model_is_evaluated_on_the_labelled_rows_of_a_part(store: LocalStore, study: Study, dataset: Dataset) -> None:
    model = Model.load(store, FOLDER, study)
    some = replace(dataset, labels={"half": [*dataset.labels["half"][:58], None, None]})
    evaluation = evaluate_model(model, some, "test")
    assert evaluation.at.tolist() == list(range(48, 58)) and set(evaluation.patients) == {
        f"p{n}" for n in range(24, 29)
    }
    p, answers = model.predict(dataset.arrays.take(evaluation.at))["half"]
    assert (evaluation.p["half"] == p).all() and (evaluation.predicted["half"] == answers).all()
    by_metric = evaluation.figures()
    assert set(by_metric) == {f"half.{name}" for name in study.metrics}
    truth = np.arange(48, 58) % 3
    accuracy = by_metric["half.accuracy"]
    assert accuracy["value"] == np.mean(answers == truth)
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_scores_are_answered_as_names_unless_a_member_that_answers_learnt_their_order(
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
    merging = replace(study, merged_classes={"top": "right"}, metrics=("accuracy",))
    truth, predicted = np.array([0, 1, 2, 2]), np.array([0, 2, 1, 0])
    answers = Answers(truth=truth, predicted=predicted, p=np.eye(3)[predicted], patients=np.array(list("abcd")))
    by_metric = figures(merging, {"half": answers})
    assert by_metric["half.accuracy"]["value"] == 0.25 and by_metric["half.accuracy_as_printed"]["value"] == 0.75
    assert figures(merging, {}) == {}


def test_a_card_says_what_its_figures_are_worth(study: Study, recipe: Recipe) -> None:
    def of(**changed: object) -> BundleDescription:
        plain = describe(study, recipe)
        figures = {"half.accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}
        return replace(plain, origin=replace(plain.origin, **changed), validation=figures)

    text = card(study, of(budget=0.1))
    assert NO_EVIDENCE in text and "0.500 | 0.250 to 0.750" in text and "Only 0.1 of the recipe's epochs" in text
    drawings = card(study, of(drawn=DrawnFilms(phantom=4, rounds=3, films=6000, tried=20)))
    assert NO_EVIDENCE in drawings and "0.500 | 0.250 to 0.750" in drawings and "6,000 drawn films" in drawings
