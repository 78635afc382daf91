"""Batch norms of several workers: their statistics do not depend on how many workers share a batch.

Either statistics are taken over lots, a fixed number of a batch's rows that all lie with one worker: nobody waits. Or
they are taken over the batch of all workers, as in the papers' networks: workers wait for each other in every layer.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def prepare_norms(network: nn.Module, rows: int) -> nn.Module:
    """The same network with batch norms over lots of `rows` rows, or (0) over the rows of all workers.

    The network is changed in place: names and tensors of its weights stay, since an optimiser may refer to them.
    """
    norms = [module for module in network.modules() if type(module) is nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = LotBatchNorm2d if rows else SharedBatchNorm2d

    def count_lots(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for norm in norms:  # a layer may see several pictures per row, so it cannot count the lots itself
            norm.lots = max(1, len(inputs[0]) // rows)  # type: ignore[assignment]

    if rows and norms:
        network.register_forward_pre_hook(count_lots)
    return network


def settle_norms(network: nn.Module, world: int) -> None:
    """Replace every worker's running statistics by the workers' mean, which one worker with all lots would have."""
    statistics = [values for name, values in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    if statistics:
        mean = torch.cat(statistics)
        dist.all_reduce(mean)
        for values, settled in zip(statistics, mean.div_(world).split([len(values) for values in statistics])):
            values.copy_(settled)


class LotBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over each lot of a batch: "ghost batch norm" (Hoffer and others, arXiv 1705.08741)."""

    lots = 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.lots == 1:
            return super().forward(x)
        y, mean, variance = _Lots.apply(x, self.weight, self.bias, self.eps, self.lots)
        _update_running_statistics(self, mean, variance)
        assert isinstance(y, Tensor)
        return y


def _update_running_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics with a batch's, as torch's own norm does."""
    assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance, norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)


class _Lots(torch.autograd.Function):
    """Torch's own norm per lot, written into one tensor: joining the lots afterwards would take twice as long."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, lots: int) -> tuple[Tensor, ...]:
        y, saved_statistics = torch.empty_like(x), []
        means, variances = (weight.new_zeros(lots, len(weight)) for _ in range(2))
        for lot, to, mean, variance in zip(x.tensor_split(lots), y.tensor_split(lots), means, variances):
            saved = (torch.empty_like(weight), torch.empty_like(weight))
            torch.ops.aten.native_batch_norm.out(
                lot, weight, bias, mean, variance, True, 1.0, eps, out=to, save_mean=saved[0], save_invstd=saved[1]
            )
            saved_statistics.append(saved)
        context.save_for_backward(x, weight, *(values for saved in saved_statistics for values in saved))
        context.eps = eps
        mean, variance = means.mean(0), variances.mean(0)
        context.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, *saved = context.saved_tensors
        lots = len(saved) // 2
        x_grad, weight_grad, bias_grad = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(weight)
        parts = zip(
            x.tensor_split(lots), gradient.tensor_split(lots), x_grad.tensor_split(lots), saved[::2], saved[1::2]
        )
        for lot, lot_gradient, lot_x_grad, mean, scale in parts:
            lot_weight_grad, lot_bias_grad = torch.empty_like(weight), torch.empty_like(weight)
            torch.ops.aten.native_batch_norm_backward.out(
                lot_gradient, lot, weight, None, None, mean, scale, True, context.eps, [True, True, True],
                out0=lot_x_grad, out1=lot_weight_grad, out2=lot_bias_grad,
            )  # fmt: skip
            weight_grad += lot_weight_grad
            bias_grad += lot_bias_grad
        return x_grad, weight_grad, bias_grad, None, None


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batch of all workers, whose shares may be unequal; torch's own works on GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(x)
        y, mean, variance, count = _Shared.apply(x, self.weight, self.bias, self.eps)
        _update_running_statistics(self, mean, variance * count / (count - 1))
        assert isinstance(y, Tensor)
        return y


class _Shared(torch.autograd.Function):
    """Workers exchange numbers once forwards and once backwards: these are few, but the waiting takes time."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        # Each worker sends its mean and the squares about it: squares about zero lose digits where the mean is large.
        variances, means = torch.var_mean(x.float(), (0, 2, 3), correction=0)
        by_worker = _gather_by_worker(torch.cat([means, variances, means.new_full((1,), x.numel() / x.shape[1])]))
        (means, variances), counts = by_worker[:, :-1].chunk(2, dim=1), by_worker[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        context.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps), count)
        context.mark_non_differentiable(mean, variance, count)
        return nn.functional.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance, count

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, count = context.saved_tensors
        _, weight_grad, bias_grad = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, scale, True, 0.0, [False, True, True]
        )
        # Each worker's loss depends on the rows of all workers.
        weight_grads, bias_grads = _gather_by_worker(torch.cat([weight_grad, bias_grad])).sum(0).chunk(2)
        slope = -(scale**2) * weight * weight_grads / count
        intercept = -scale * weight * bias_grads / count - slope * mean
        through_statistics = torch.addcmul(intercept[:, None, None], x, slope[:, None, None])
        x_grad = torch.addcmul(through_statistics, gradient, (scale * weight)[:, None, None]).to(x.dtype)
        return x_grad, weight_grad, bias_grad, None


def _gather_by_worker(numbers: Tensor) -> Tensor:
    """Every worker's numbers, one row per worker; with gloo, gathering takes half the time of a sum."""
    by_worker = [torch.empty_like(numbers) for _ in range(dist.get_world_size())]
    dist.all_gather(by_worker, numbers)
    return torch.stack(by_worker)
