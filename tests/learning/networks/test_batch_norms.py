"""Batch norms of several workers: they learn as one worker does, waiting for each other or not."""

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rajobs.learning.ensemble import build_member
from rajobs.learning.networks import architectures
from rajobs.learning.networks.batch_norms import LotBatchNorm2d, prepare_norms, settle_norms
from rajobs.learning.recipe import Recipe
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.training.members import Worker, build_run
from rajobs.learning.training.state import TrainingState

SHARES = {0: 24, 16: 32}  # rows of the first of two workers, by the rows of a lot: shares may be unequal without lots


def batch() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network with batch norm and 64 pictures far from zero, in an order that makes workers' halves differ."""
    torch.manual_seed(0)
    network = architectures.build("compact", {"width": 4, "stages": 2, "dropout": 0.0}, {"ra": 2}, (1, 12, 12))
    images = 5 + torch.randn(64, 1, 12, 12) + torch.linspace(0, 3, 64).view(64, 1, 1, 1)
    return network, images, torch.arange(64) % 2


def learn(network: nn.Module, images: Tensor, truth: Tensor, share: float = 1.0) -> dict[str, Tensor]:
    """One step's gradients, and the running statistics after it."""
    loss = nn.functional.cross_entropy(network(images)["ra"], truth) * share
    loss.backward()
    bare = getattr(network, "module", network)
    if bare is not network:
        settle_norms(bare, 2)
    gradients = {name: p.grad for name, p in bare.named_parameters() if p.grad is not None}
    return {**gradients, **dict(bare.named_buffers())}


def fit(dataset: Dataset, recipe: Recipe, rank: int = 0, world: int = 1) -> TrainingState:
    """Three epochs of a recipe whose norms learn from lots of eight rows, as one worker of so many."""
    training = replace(recipe.training, epochs=3, norm_rows=8, optimiser="sgd")  # Adam makes much of little
    several = replace(recipe, training=training)
    network = build_member(dataset.study, several.members[0], dataset.arrays.shape, 0)
    shared = DistributedDataParallel(network, forward_sync_buffers=False) if world > 1 else network
    run = build_run(dataset, several, several.members[0], 0, Worker(rank=rank, world=world))
    with patch("rajobs.learning.training.loop._SHORT_FLOATS", ()):  # in full precision, so that they can be compared
        return run.run(shared, lambda epoch, state: True)


def work(rank: int, place: str, dataset: Dataset, recipe: Recipe) -> None:
    """One worker of two."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
    for rows, first in SHARES.items():
        network, images, truth = batch()
        half = slice(0, first) if rank == 0 else slice(first, 64)
        parallel = DistributedDataParallel(prepare_norms(network, rows), forward_sync_buffers=False)
        share = len(images[half]) * 2 / len(images)  # the workers' gradients are averaged
        torch.save(learn(parallel, images[half], truth[half], share), f"{place}/rows{rows}-rank{rank}.pt")
    state = fit(dataset, recipe, rank, 2)
    torch.save({"weights": state.weights, "figures": figures(state)}, f"{place}/fit-rank{rank}.pt")
    dist.barrier()  # neither goes while the other still listens
    dist.destroy_process_group()


def figures(state: TrainingState) -> Tensor:
    """The losses and metrics of a run's epochs."""
    return torch.tensor([[epoch.loss, epoch.validation_loss or 0, epoch.metric or 0] for epoch in state.history])


@pytest.mark.slow  # processes of its own take ten seconds
def test_two_workers_learn_as_one_does(tmp_path: Path, dataset: Dataset, recipe: Recipe) -> None:
    torch.multiprocessing.spawn(work, (str(tmp_path), dataset, recipe), nprocs=2)
    for rows in SHARES:
        network, images, truth = batch()
        alone = learn(prepare_norms(network, rows), images, truth)
        for rank in range(2):
            together = torch.load(tmp_path / f"rows{rows}-rank{rank}.pt", weights_only=True)
            assert together.keys() == alone.keys()
            for name, values in alone.items():
                torch.testing.assert_close(together[name], values, rtol=1e-5, atol=1e-5 * float(values.abs().max()))
    one = fit(dataset, recipe)
    for rank in range(2):
        both = torch.load(tmp_path / f"fit-rank{rank}.pt", weights_only=True)
        torch.testing.assert_close(both["figures"], figures(one), rtol=1e-3, atol=1e-4)
        for name, values in one.weights.items():
            torch.testing.assert_close(both["weights"][name], values, rtol=1e-3, atol=1e-3 * float(values.abs().max()))


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_a_lot_is_normed_as_a_batch_of_its_own(form: torch.memory_format) -> None:
    torch.manual_seed(0)
    norm, plain = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.uniform_(norm.weight)
    plain.load_state_dict(norm.state_dict())
    images = torch.randn(8, 3, 5, 5).contiguous(memory_format=form).requires_grad_()
    once = prepare_norms(nn.Sequential(norm), 4)
    assert type(once[0]) is LotBatchNorm2d and next(iter(once.state_dict())) == "0.weight"
    wanted = torch.cat([plain(images[:4]), plain(images[4:])])
    steep = torch.randn_like(wanted)
    ours = torch.autograd.grad(once(images), [images, norm.weight, norm.bias], steep)
    theirs = torch.autograd.grad(wanted, [images, plain.weight, plain.bias], steep)
    for gradient, other in zip(ours, theirs):
        torch.testing.assert_close(gradient, other)
    variances = [images[lot].detach().transpose(0, 1).flatten(1).var(1) for lot in (slice(0, 4), slice(4, 8))]
    running_var = norm.running_var
    assert running_var is not None
    torch.testing.assert_close(running_var, 0.9 + 0.1 * (variances[0] + variances[1]) / 2)
    torch.testing.assert_close(once.eval()(images), nn.functional.batch_norm(
        images, norm.running_mean, norm.running_var, norm.weight, norm.bias))  # fmt: skip


def test_a_row_of_several_pictures_counts_once() -> None:
    network = architectures.build("compact", {"width": 4, "stages": 2, "tiles": True}, {"stage": 3}, (3, 16, 16))
    prepare_norms(network, 4)(torch.rand(8, 3, 16, 16))
    assert {norm.lots for norm in network.modules() if isinstance(norm, LotBatchNorm2d)} == {2}
