"""Batch norms of several workers: what a batch norm learns from is the same however many share a batch.

Either it learns from lots, fixed numbers of a batch's rows, which a worker has whole: nobody waits. Or it learns from
the batch of all workers, as a paper's network does: they wait for each other in every layer.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def prepare_norms(network: nn.Module, rows: int) -> nn.Module:
    """The same network, whose batch norms learn from lots of so many rows, or (0) from the rows of all workers.

    In place: the weights' names stay, and the weights themselves are where an optimiser may hold them.
    """
    norms = [module for module in network.modules() if type(module) is nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = LotBatchNorm2d if rows else SharedBatchNorm2d

    def count(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        for norm in norms:  # a layer may see several pictures of a row, so it is told how many lots there are
            norm.lots = max(1, len(given[0]) // rows)  # type: ignore[assignment]

    if rows and norms:
        network.register_forward_pre_hook(count)
    return network


def settle_norms(network: nn.Module, world: int) -> None:
    """Workers' running statistics made one: their mean, which is what one worker with all lots has."""
    told = [values for name, values in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    if told:
        mean = torch.cat(told)
        dist.all_reduce(mean)
        for values, settled in zip(told, mean.div_(world).split([len(values) for values in told])):
            values.copy_(settled)


class LotBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over each lot of a batch, "ghost batch norm" (Hoffer and others, arXiv 1705.08741)."""

    lots = 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.lots == 1:
            return super().forward(x)
        y, mean, variance = _Lots.apply(x, self.weight, self.bias, self.eps, self.lots)
        _remember(self, mean, variance)
        assert isinstance(y, Tensor)
        return y


def _remember(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """A batch's statistics taken into the running ones, as torch's own norm does."""
    assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance, norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)


class _Lots(torch.autograd.Function):
    """Torch's own norm, lot after lot, into one place: joined afterwards it would take twice as long."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, lots: int) -> tuple[Tensor, ...]:
        y, found = torch.empty_like(x), []
        means, variances = (weight.new_zeros(lots, len(weight)) for _ in range(2))
        for lot, to, mean, variance in zip(x.tensor_split(lots), y.tensor_split(lots), means, variances):
            saved = (torch.empty_like(weight), torch.empty_like(weight))
            torch.ops.aten.native_batch_norm.out(
                lot, weight, bias, mean, variance, True, 1.0, eps, out=to, save_mean=saved[0], save_invstd=saved[1]
            )
            found.append(saved)
        context.save_for_backward(x, weight, *(values for saved in found for values in saved))
        context.eps = eps
        mean, variance = means.mean(0), variances.mean(0)
        context.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, *saved = context.saved_tensors
        lots = len(saved) // 2
        to, slopes, shifts = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(weight)
        parts = zip(x.tensor_split(lots), gradient.tensor_split(lots), to.tensor_split(lots), saved[::2], saved[1::2])
        for lot, steep, into, mean, scale in parts:
            slope, shift = torch.empty_like(weight), torch.empty_like(weight)
            torch.ops.aten.native_batch_norm_backward.out(
                steep, lot, weight, None, None, mean, scale, True, context.eps, [True, True, True],
                out0=into, out1=slope, out2=shift,
            )  # fmt: skip
            slopes += slope
            shifts += shift
        return to, slopes, shifts, None, None


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batch of all workers, however unequal their shares; torch's own works on GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(x)
        y, mean, variance, count = _Shared.apply(x, self.weight, self.bias, self.eps)
        _remember(self, mean, variance * count / (count - 1))
        assert isinstance(y, Tensor)
        return y


class _Shared(torch.autograd.Function):
    """Workers wait for each other once forwards and once backwards: what each tells is small, the waiting is not."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        # Each worker's mean and squares about it: squares about zero lose their digits where the mean is large.
        variances, means = torch.var_mean(x.float(), (0, 2, 3), correction=0)
        told = _of_all(torch.cat([means, variances, means.new_full((1,), x.numel() / x.shape[1])]))
        (means, variances), counts = told[:, :-1].chunk(2, dim=1), told[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        context.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps), count)
        context.mark_non_differentiable(mean, variance, count)
        return nn.functional.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance, count

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, count = context.saved_tensors
        _, slopes, shifts = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, scale, True, 0.0, [False, True, True]
        )
        slope, shift = _of_all(torch.cat([slopes, shifts])).sum(0).chunk(2)  # each worker's loss hangs on all rows
        steep = -(scale**2) * weight * slope / count
        level = -scale * weight * shift / count - steep * mean
        found = torch.addcmul(level[:, None, None], x, steep[:, None, None])
        return torch.addcmul(found, gradient, (scale * weight)[:, None, None]).to(x.dtype), slopes, shifts, None


def _of_all(mine: Tensor) -> Tensor:
    """Every worker's numbers, a row each: gathered, which takes gloo half the time of a sum."""
    told = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(told, mine)
    return torch.stack(told)
