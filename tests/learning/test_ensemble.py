"""Members: which rows and classes each sees, and the rule that makes their answers one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from rajobs import studies
from rajobs.learning.ensemble import member_samples, member_targets
from rajobs.learning.judging.evaluation import Evaluation, member_figures
from rajobs.learning.networks.starting_weights import apply_weights_option, find_starting_weights
from rajobs.learning.recipe import Member, Recipe, trials
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import Study
from rajobs.learning.targets import Nominal, scores
from rajobs.learning.training.members import build_run, headline_score, train_member
from rajobs.learning.voting import combine_members, dissent, mean_points, member_votes
from rajobs.records.errors import BadRecipe, UnknownName, UsageError
from tests.learning.conftest import prepared_of

M1 = Member(name="m1", architecture="compact", groups=(("left",), ("right", "top")))
M2 = Member(name="m2", architecture="compact", groups=(("right",), ("top",)), sees=("right", "top"))
TWO = Recipe(members=(M1, M2), combine="first_yes")


def test_the_first_member_that_says_yes_has_the_answer(study: Study) -> None:
    asked = {
        "m1": {"half": np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])},
        "m2": {"half": np.array([[1.0, 0.0], [0.7, 0.3], [0.1, 0.9]])},
    }
    p, answer = combine_members(study, TWO, asked)["half"]
    assert answer.tolist() == [0, 1, 2], "M2's certainty counts for nothing where M1 has answered yes"
    assert p == pytest.approx(np.array([[0.9, 0.1, 0.0], [0.4, 0.42, 0.18], [0.2, 0.08, 0.72]]))
    assert p.sum(axis=1) == pytest.approx(np.ones(3))
    # The answer is the rule's, even where the shares point elsewhere: 0.45 left, 0.55 * 0.51 right.
    close = {"m1": {"half": np.array([[0.45, 0.55]])}, "m2": {"half": np.array([[0.51, 0.49]])}}
    p, answer = combine_members(study, TWO, close)["half"]
    assert answer.tolist() == [1] and p.argmax() == 0


def test_members_and_groups_of_classes_answer_by_their_mean(study: Study) -> None:
    plain = Member(name="plain", architecture="compact")
    one, other = np.array([[0.2, 0.3, 0.5]]), np.array([[0.6, 0.1, 0.3]])
    both = Recipe(members=(plain, replace(plain, name="again")))
    p, answer = combine_members(study, both, {"plain": {"half": one}, "again": {"half": other}})["half"]
    assert p == pytest.approx(np.array([[0.4, 0.2, 0.4]])) and answer.tolist() == [0]
    grouped = Recipe(members=(plain, M1))
    p, _ = combine_members(study, grouped, {"plain": {"half": one}, "m1": {"half": np.array([[0.4, 0.6]])}})["half"]
    assert p == pytest.approx(np.array([[0.3, 0.15, 0.55]]))


def test_the_best_member_answers_and_members_that_disagree_are_counted(study: Study) -> None:
    plain = Member(name="plain", architecture="compact")
    best = Recipe(members=(plain, replace(plain, name="again"), replace(plain, name="third")), combine="most_accurate")
    left, right = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1]]), np.array([[0.1, 0.9, 0.0], [0.7, 0.2, 0.1]])
    answers = {"plain": {"half": left}, "again": {"half": right}, "third": {"half": left}}
    assert combine_members(study, best, answers, "again")["half"][1].tolist() == [1, 0]
    together = combine_members(study, best, answers)["half"][1]
    assert together.tolist() == [0, 0], "as long as nobody knows the best they answer together"
    own = member_votes(study, best, answers)["half"]
    assert own.tolist() == [[0, 0], [1, 0], [0, 0]] and dissent(own, together) == pytest.approx([1 / 3, 0])
    assert np.isnan(dissent(own[:1], together)).all(), "one alone has nobody to differ from"
    grouped = member_votes(study, TWO, {"m1": {"half": left[:, :2]}, "m2": {"half": left[:, :2]}})["half"]
    assert grouped.shape == (0, 2), "members that tell but two groups apart have no answer of their own"
    with pytest.raises(BadRecipe, match="most_accurate needs members of the same targets"):
        Recipe(members=(plain, M1), combine="most_accurate")


def test_every_network_is_judged_alone_in_the_classes_that_it_distinguishes(study: Study) -> None:
    """Two binary networks and two trials: a row of a class that a network never learns from does not judge it."""
    truth = np.array([0, 0, 1, 1, 2, 2, -1])
    yes, no = [0.9, 0.1], [0.2, 0.8]
    evaluation = Evaluation(
        study=study, at=np.arange(7), patients=np.array([f"p{at}" for at in range(7)]), truth={"half": truth},
        predicted={"half": truth}, p={"half": np.zeros((7, 3))},
        members={"m1": {"half": np.array([yes, no, no, no, yes, no, yes])},
                 "m2": {"half": np.array([yes, yes, yes, no, no, no, no])}},
    )  # fmt: skip
    first, second = member_figures("hash", TWO, evaluation)
    assert (first.member, first.classes, first.rows) == ("m1", ("left", "right+top"), 6)
    assert first.matrix == ((1, 1), (1, 3)) and first.figures["accuracy"]["value"] == pytest.approx(4 / 6)
    assert (second.classes, second.rows, second.matrix) == (("right", "top"), 4, ((1, 1), (0, 2)))
    assert second.to_dict()["by_class"]["right"]["sensitivity"] == 0.5
    both = Recipe(members=trials(Member(name="trial", architecture="compact"), 2), combine="middle")
    exact, never = np.eye(3)[truth], np.eye(3)[(truth + 1) % 3]
    of_trials = {"trial1": {"half": exact}, "trial2": {"half": never}}
    figures = member_figures("hash", both, replace(evaluation, members=of_trials))
    assert [each.figures["accuracy"]["value"] for each in figures] == [1.0, 0.0]
    assert [each.rows for each in figures] == [6, 6]
    alone = Recipe(members=both.members[:1])
    assert member_figures("hash", alone, evaluation) == [], "a single network is the model"


def test_a_member_sees_its_rows_with_its_own_classes(dataset: Dataset) -> None:
    first, second = member_samples(dataset, M1, "train"), member_samples(dataset, M2, "train")
    names = np.array(dataset.labels["half"])
    assert len(first) == 36 and first.truth["half"].tolist() == [int(n != "left") for n in names[first.at]]
    assert set(names[second.at]) == {"right", "top"} and len(second) == 24
    assert second.truth["half"].tolist() == [int(n == "top") for n in names[second.at]]
    assert set(member_samples(dataset, M1, "test").at) == set(range(48, 60))


def test_a_row_without_any_label_is_not_seen(dataset: Dataset) -> None:
    some = replace(dataset, labels={"half": [None, "sideways", *dataset.labels["half"][2:]]})
    assert member_samples(some, Member(name="n", architecture="compact"), "train").at.tolist() == list(range(2, 36))


def test_a_member_learns_the_readers_shares_and_is_scored_by_one_class(dataset: Dataset) -> None:
    plain, shares = Member(name="n", architecture="compact"), {3: {"left": 0.25, "top": 0.75}, 50: {"right": 1.0}}
    soft = replace(dataset, shares={"half": shares})
    samples, hard = member_samples(soft, plain, "train"), member_samples(dataset, plain, "train")
    assert samples.truth["half"].tolist() == hard.truth["half"].tolist() == hard.taught("half").tolist()
    taught = samples.taught("half")
    assert taught.shape == (36, 3) and taught[3].tolist() == [0.25, 0, 0.75]
    assert taught[:3].argmax(axis=1).tolist() == hard.truth["half"][:3].tolist()
    grouped = member_samples(soft, M1, "train").taught("half")
    assert grouped[3].tolist() == [0.25, 0.75]
    run = build_run(replace(soft, budget=0.5), Recipe(members=(plain,)), plain, 0)
    assert len(run.train) == len(run.train.taught("half")) == 18


def test_members_that_do_not_fit_the_study_are_refused(study: Study) -> None:
    with pytest.raises(BadRecipe, match="groups name classes that half does not have"):
        member_targets(study, replace(M1, groups=(("left",), ("bottom",))))
    with pytest.raises(UnknownName, match="unknown target of toy 'hlf'; did you mean half"):
        member_targets(study, replace(M1, targets=("hlf",)))
    ordered = replace(study, targets=(scores("grade", 3),), headline="grade.qwk")
    with pytest.raises(BadRecipe, match="one target without an order"):
        member_targets(ordered, M1)


def test_a_network_that_starts_from_weights_is_not_started_at_random(dataset: Dataset, recipe: Recipe) -> None:
    pretrained = replace(recipe.members[0], weights="imagenet")
    with pytest.raises(UsageError, match="starts from imagenet weights, and none are given"):
        train_member(dataset, recipe, pretrained, 0, lambda epoch, state: True)


def test_the_headline_is_scored_for_a_member_that_answers_its_target(study: Study) -> None:
    own = headline_score(study, (Nominal(name="other", classes=("a", "b")),))
    assert own is not None, "without the headline's target, its metric of the network's own"
    assert own({"other": np.eye(2)}, {"other": np.array([0, 0])}) == 0.5
    assert headline_score(study, ()) is None
    score = headline_score(study, study.targets)
    assert score is not None
    p = {"half": np.eye(3)}
    assert score(p, {"half": np.array([0, 1, -1])}) == 1.0, "the row without a label is left out"
    assert score(p, {"half": np.array([0, 2, 1])}) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_weights_that_the_recipe_does_not_name_start_every_member(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    _, state = train_member(dataset, recipe, recipe.members[0], 3, lambda epoch, now: False)
    file = tmp_path / "weights-net.safetensors"
    file.write_bytes(safetensors.torch.save(dict(state.weights)))
    started = apply_weights_option(recipe, str(file))
    assert [member.weights for member in started.members] == ["given"]
    start = find_starting_weights(started, str(file))["net"]
    still = replace(started, training=replace(started.training, learning_rate=1e-9, weight_decay=0.0, epochs=1))
    network, _ = train_member(dataset, still, still.members[0], 4, lambda epoch, now: True, start=start)
    moved = {name: tensor for name, tensor in network.state_dict().items() if "running" not in name}
    for name, tensor in moved.items():
        if name.startswith("trunk.") and tensor.is_floating_point():
            torch.testing.assert_close(tensor, state.weights[name], atol=1e-5, rtol=0)
    assert apply_weights_option(recipe, None) == apply_weights_option(recipe, "none") == recipe


def test_models_that_are_unsure_of_a_point_do_not_pull_it_away() -> None:
    sure, unsure, none = [[0.2, 0.3, 0.98]], [[0.8, 0.3, 0.02]], [[np.nan] * 3]
    (mean,) = mean_points([np.array([sure]), np.array([unsure]), np.array([none])])
    assert mean[0].tolist() == pytest.approx([0.212, 0.3, 0.5])
    assert np.isnan(mean_points([np.array([none])])).all()


@pytest.mark.slow
def test_drawn_rows_are_learnt_from_beside_the_data_and_never_validate(
    study: Study, dataset: Dataset, recipe: Recipe
) -> None:
    scans, size = studies.find("ultrasound_grading"), 24
    frames = np.random.default_rng(0).integers(0, 255, (40, size, size, 3), dtype=np.uint8)
    of_scans = replace(
        dataset, study=scans, arrays=prepared_of(frames), parts=np.array(["train"] * 30 + ["validation"] * 10),
        labels={"grade": ["1", None] * 20, "grey_grade": ["2"] * 40}, groups=np.array([f"p{n}" for n in range(40)]),
    )  # fmt: skip
    mixed = Recipe(view={"size": size}, members=(Member(name="n", architecture="compact"),), drawn=0.4)
    run = build_run(of_scans, mixed, mixed.members[0], 0)
    assert len(run.train) == 30 + 12 and run.validation is not None and len(run.validation) == 10
    assert run.train.truth["grade"][:30].tolist() == [1, -1] * 15
    assert run.train.truth["grade"][30:].tolist() == [0, 1, 2, 3] * 3
    assert run.train.truth["grey_grade"][30:].tolist() == [0] * 4 + [1] * 4 + [2] * 4, "neither grade tells the other"
    shown = run.train.arrays.take(run.train.at)
    assert shown.shape == (42, 3, size, size) and (shown[:30] == frames[:30].transpose(0, 3, 1, 2)).all()
    signal = (shown[30:].max(axis=1).astype(int) - shown[30:].min(axis=1) > 60).mean(axis=(1, 2))
    assert signal[3::4].mean() > signal[::4].mean(), "the drawn pixels belong to their grades"
    again = build_run(of_scans, mixed, mixed.members[0], 1).train
    assert (again.arrays.take(again.at) == shown).all(), "workers draw the same"
    with pytest.raises(BadRecipe, match="only scans are drawn for a recipe, but toy learns from"):
        build_run(dataset, replace(recipe, drawn=0.5), recipe.members[0], 0)
    with pytest.raises(BadRecipe, match="drawn must lie between 0"):
        replace(recipe, drawn=-1.0)
