"""Kinds of answer: probabilities that are some, losses that leave out what nobody labelled."""

import numpy as np
import pytest
import torch

from rajobs.learning.targets import MISSING, Nominal, Ordinal, encode, encode_shares, merge_classes, predicted, scores

VIEW = Nominal(name="view", classes=("hand", "foot", "other"))
EROSION = scores("erosion", 5)
BOTH = pytest.mark.parametrize("target", [VIEW, EROSION], ids=["nominal", "ordinal"])


@BOTH
def test_probabilities_sum_to_one_whatever_the_outputs(target: Nominal | Ordinal) -> None:
    logits = torch.randn(200, target.outputs, generator=torch.Generator().manual_seed(0)) * 5
    p = target.p(logits)
    assert p.shape == (200, len(target.classes)) and bool((p >= 0).all())
    assert torch.allclose(p.sum(dim=1), torch.ones(200), atol=1e-6)


@BOTH
def test_a_row_without_a_label_takes_no_part_in_the_loss(target: Nominal | Ordinal) -> None:
    logits = torch.randn(4, target.outputs, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = target.loss(logits, torch.tensor([0, MISSING, 2, MISSING]), torch.ones(len(target.classes)))
    assert loss[1] == loss[3] == 0 and loss[0] > 0 and loss[2] > 0
    loss.sum().backward()
    assert logits.grad is not None
    assert not logits.grad[[1, 3]].any() and logits.grad[[0, 2]].all()


@BOTH
def test_readers_who_agree_teach_the_same_as_shares_and_as_numbers(target: Nominal | Ordinal) -> None:
    logits = torch.randn(4, target.outputs, generator=torch.Generator().manual_seed(0))
    numbers, weights = np.array([0, MISSING, 2, 1]), torch.arange(1.0, len(target.classes) + 1)
    shares = torch.from_numpy(encode_shares(target, numbers, {}))
    assert torch.allclose(target.loss(logits, shares, weights), target.loss(logits, torch.from_numpy(numbers), weights))


def test_two_readers_who_differ_teach_each_step_s_share_of_readers() -> None:
    shares = encode_shares(EROSION, np.array([2, MISSING]), {0: {"0": 0.5, "3": 0.5, "9": 1.0}, 1: {"1": 1.0}})
    assert shares.tolist() == [[0.5, 0, 0, 0.5, 0, 0], [0] * 6], "a value that the target does not have is no vote"
    logits = torch.zeros(1, 5, requires_grad=True)
    for _ in range(400):
        (gradient,) = torch.autograd.grad(
            EROSION.loss(logits, torch.from_numpy(shares[:1]), torch.ones(6)).sum(), logits
        )
        logits = (logits - gradient).detach().requires_grad_()
    assert EROSION.p(logits)[0].tolist() == pytest.approx([0.5, 0, 0, 0.5, 0, 0], abs=0.01)


@BOTH
def test_a_class_s_weight_scales_its_rows_alone(target: Nominal | Ordinal) -> None:
    logits, truth = torch.zeros(2, target.outputs), torch.tensor([0, 1])
    weights = torch.ones(len(target.classes))
    plain, heavy = target.loss(logits, truth, weights), target.loss(logits, truth, weights.index_fill(0, truth[1:], 3))
    assert heavy[0] == plain[0] and heavy[1] == 3 * plain[1]


def test_a_larger_miss_of_a_score_costs_more_and_its_steps_go_up_together() -> None:
    certain = torch.tensor([[9.0, 9.0, -9.0, -9.0, -9.0]])  # a clear 2
    losses = [float(EROSION.loss(certain, torch.tensor([truth]), torch.ones(6))) for truth in range(6)]
    assert losses[2] == min(losses) and losses[2] < losses[3] < losses[4] < losses[5] and losses[1] < losses[0]
    crossed = EROSION.p(torch.tensor([[-3.0, 3.0, 0.0, 3.0, -3.0]]))  # steps that contradict one another
    above = 1 - crossed.cumsum(dim=1)
    assert bool((above.diff(dim=1) <= 1e-6).all())
    better = EROSION.p(torch.linspace(-4, 4, 9)[:, None] - torch.arange(5.0)[None, :])
    means = (better * torch.arange(6.0)).sum(dim=1)
    assert bool((means.diff() > 0).all())


def test_labels_become_numbers_and_probabilities_become_answers() -> None:
    assert encode(VIEW, ["foot", None, "hoof", "hand"]).tolist() == [1, MISSING, MISSING, 0]
    p = np.array([[0.4, 0.1, 0.1, 0.3, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    assert predicted(EROSION, p).tolist() == [1, 5], "the median, not the likeliest"
    assert predicted(VIEW, p[:, :3]).tolist() == [0, 0]


def test_classes_fold_into_those_of_the_paper() -> None:
    p, kept = merge_classes(np.array([[0.2, 0.5, 0.3]]), VIEW.classes, {"foot": "other"})
    assert kept == ["hand", "other"] and p == pytest.approx(np.array([[0.2, 0.8]]))
