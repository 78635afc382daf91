"""The training loop: plain torch, one process. Whoever runs it (a job, a trial, a worker of many) hears of every epoch.

All randomness of an epoch follows from the seed and the epoch's number, so that a resumed run is the same run.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from rajobs.learning.networks.architectures import head_parameters, trunk_parameters
from rajobs.learning.networks.batch_norms import prepare_norms, settle_norms
from rajobs.learning.points import Points
from rajobs.learning.recipe import Training
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.targets import MISSING, Target
from rajobs.learning.training.augmentation import augment
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.errors import DataError

_TRIED = 4  # rows by which the time of a run is told
_SHORT_FLOATS = ("avx512_bf16", "amx_bf16", "bf16")  # what processors call the arithmetic of bfloat16
Numbers = NDArray[np.int64]
Weights = Mapping[str, Tensor]
"""Of the classes, a target."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Some prepared rows with their class number a target, or their points."""

    arrays: Prepared
    at: Numbers
    truth: Mapping[str, NDArray[Any]]
    kinds: Numbers

    def __len__(self) -> int:
        return len(self.at)


Score = Callable[[Mapping[str, NDArray[np.float64]], Mapping[str, Numbers]], float]
OnEpoch = Callable[[Epoch, TrainingState], bool]
"""Told of every epoch; False ends the run."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One network's run: its data, settings and place among the workers."""

    targets: tuple[Target | Points, ...]
    training: Training
    train: Samples
    validation: Samples | None
    seed: int
    score: Score | None = None
    device: str = "cpu"
    rank: int = 0
    world: int = 1

    def run(self, network: nn.Module, on_epoch: OnEpoch, state: TrainingState | None = None) -> TrainingState:
        """Fit until the epochs are done, patience ends or `on_epoch` says so; the state with the weights to keep."""
        if not len(self.train):
            raise DataError("no row with a label is left to learn from")
        if self._batch < self.world:
            raise DataError(f"a batch of {self._batch} rows cannot be shared by {self.world} workers")
        state = state or TrainingState()
        if self.training.norm_rows or self.world > 1:
            prepare_norms(_bare(network), self.training.norm_rows)
        optimiser = _optimiser(network, self.training)
        if state.weights:
            _bare(network).load_state_dict(state.weights)
            optimiser.load_state_dict(state.optimiser)
        weights = {target.name: self._class_weights(target) for target in self.targets}
        for number in range(len(state.history) + 1, self.training.epochs + 1):
            if self._stale(state):
                break
            with torch.random.fork_rng(devices=[], enabled=True):
                torch.manual_seed(_mix(self.seed, number, self.rank))
                loss = self._epoch(network, optimiser, number, weights)
            self._note(state, network, optimiser, loss, weights)
            if not on_epoch(state.history[-1], state):
                break
        return state

    def estimate(self, network: nn.Module) -> float:
        """Seconds that the run will take, about, from the time of a few rows; nothing is learnt from them."""
        at = np.arange(min(_TRIED, self._batch))
        weights = {target.name: self._class_weights(target) for target in self.targets}
        network.eval()
        for _ in range(2):  # the first one makes ready
            start = time.perf_counter()
            with mixed_precision(self.device):
                outputs = network(self._images(self.train, at), self._kinds(self.train, at))
                loss = self._loss(outputs, self.train, at, weights)
            loss.backward()
            float(loss.detach())
            taken = time.perf_counter() - start
        network.zero_grad(set_to_none=True)
        return taken / len(at) * len(self.train) * self.training.copies * self.training.epochs

    def _stale(self, state: TrainingState) -> bool:
        patience = self.training.patience
        return bool(patience) and len(state.history) - state.best_epoch >= patience

    def _epoch(self, network: nn.Module, optimiser: torch.optim.Optimizer, number: int, weights: Weights) -> float:
        network.train()
        total = torch.zeros((), device=self.device)
        rounds = list(self._batches(number))
        for step, at in enumerate(rounds):
            progress = (number - 1 + step / len(rounds)) / self.training.epochs
            for group in optimiser.param_groups:
                group["lr"] = (
                    self.training.learning_rate
                    * group["factor"]
                    * learning_rate_factor(self.training.schedule, progress)
                )
            images = self._images(self.train, at)
            generator = torch.Generator().manual_seed(_mix(self.seed, number, self.rank, step))
            images, moved = augment(images, self.training.augment, generator)
            with mixed_precision(self.device):
                loss = self._loss(network(images, self._kinds(self.train, at)), self.train, at, weights, moved)
            loss = loss * (len(at) * self.world / self._batch)  # workers' gradients are averaged, whatever their shares
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += loss.detach()
        if self.world > 1:
            settle_norms(_bare(network), self.world)
            dist.all_reduce(total.div_(self.world))
        return float(total) / len(rounds)

    def _batches(self, number: int) -> Iterator[Numbers]:
        """This worker's share of the epoch, shuffled; a last batch that is not full is left for another epoch."""
        rng = np.random.default_rng([self.seed, number])
        order = np.concatenate([rng.permutation(len(self.train)) for _ in range(self.training.copies)])
        for start in range(0, len(order) - self._batch + 1, self._batch):
            yield self._share(order[start : start + self._batch])

    def _share(self, rows: Numbers) -> Numbers:
        """This worker's of them, side by side: a batch norm's lots stay whole."""
        return np.array_split(rows, self.world)[self.rank]

    @property
    def _batch(self) -> int:
        """Rows of a batch, of all workers together."""
        return min(self.training.batch_size, len(self.train) * self.training.copies)

    def _images(self, samples: Samples, at: Numbers) -> Tensor:
        images = torch.from_numpy(samples.arrays.take(samples.at[at])).to(self.device)
        images = images.to(torch.float32).div_(255)
        return images.contiguous(memory_format=torch.channels_last) if self.device != "cpu" else images

    def _kinds(self, samples: Samples, at: Numbers) -> Tensor:
        return torch.from_numpy(samples.kinds[at]).to(self.device)

    def _loss(
        self,
        logits: Mapping[str, Tensor],
        samples: Samples,
        at: Numbers,
        weights: Weights,
        moved: Tensor | None = None,
    ) -> Tensor:
        losses = []
        for target in self.targets:
            truth = torch.from_numpy(samples.truth[target.name][at]).to(self.device)
            if moved is not None and isinstance(target, Points):
                truth = target.follow(truth, moved)
            losses.append(target.loss(logits[target.name].float(), truth, weights[target.name]).mean())
        return torch.stack(losses).sum()

    def _class_weights(self, target: Target | Points) -> Tensor:
        if isinstance(target, Points):
            return torch.ones(1, device=self.device)
        counts = np.bincount(self.train.truth[target.name][self.train.truth[target.name] != MISSING])
        weights = np.ones(len(target.classes))
        if self.training.class_weights and len(counts):
            share = np.maximum(np.pad(counts, (0, len(weights) - len(counts))), 1) / counts.sum()
            weights = 1 / (share * len(weights))
            weights = np.clip(weights, 0.1, 10)
        return torch.tensor(weights, dtype=torch.float32, device=self.device)

    def _note(
        self, state: TrainingState, network: nn.Module, optimiser: torch.optim.Optimizer, loss: float, weights: Weights
    ) -> None:
        """Judge the epoch on the validation part and keep the weights if they are the ones to keep."""
        number, watched, metric = len(state.history) + 1, loss, None
        if self.validation is not None and len(self.validation):
            watched, metric = self._judge(network, self.validation, weights)
        state.weights = {name: tensor.detach().cpu().clone() for name, tensor in _bare(network).state_dict().items()}
        state.optimiser = optimiser.state_dict()
        # A loss that is no number is never the lowest, but the first epoch's weights are kept for want of others.
        if not state.best or watched < state.best_loss or self.training.keep == "last":
            state.best, state.best_loss, state.best_epoch = state.weights, min(state.best_loss, watched), number
        rate = float(optimiser.param_groups[0]["lr"])
        told = watched if self.validation is not None and len(self.validation) else None
        state.history.append(Epoch(epoch=number, loss=loss, validation_loss=told, metric=metric, learning_rate=rate))

    def _judge(self, network: nn.Module, samples: Samples, weights: Weights) -> tuple[float, float | None]:
        if self.score is None:
            return self._mean_loss(network, samples, weights), None
        logits = self._gathered(network, samples)
        loss = float(self._loss(logits, samples, np.arange(len(samples)), weights))
        p = {
            target.name: target.p(logits[target.name]).double().cpu().numpy()
            for target in self.targets
            if not isinstance(target, Points)
        }
        return loss, self.score(p, samples.truth)

    def _mean_loss(self, network: nn.Module, samples: Samples, weights: Weights) -> float:
        """Without holding all the outputs: those of points are many. Each worker judges its share."""
        total = torch.zeros((), device=self.device)
        for at, outputs in self._asked(network, samples, self._share(np.arange(len(samples))), 64):
            total += self._loss(outputs, samples, at, weights) * len(at)
        if self.world > 1:
            dist.all_reduce(total)
        return float(total) / len(samples)

    def _gathered(self, network: nn.Module, samples: Samples) -> dict[str, Tensor]:
        """The outputs for every sample; each worker asks for its share, and all know all."""
        if self.world == 1:
            return self.logits(network, samples)
        mine = self._share(np.arange(len(samples)))
        found = {}
        for name, values in self.logits(network, samples, mine).items():
            found[name] = values.new_zeros(len(samples), *values.shape[1:])
            found[name][mine] = values
            dist.all_reduce(found[name])
        return found

    def logits(self, network: nn.Module, samples: Samples, rows: Numbers | None = None) -> dict[str, Tensor]:
        """The outputs for every sample, unchanged by augmentation or dropout, in full precision as a bundle answers."""
        found: dict[str, list[Tensor]] = {
            target.name: [torch.zeros(0, target.outputs, device=self.device)]
            for target in self.targets
            if not isinstance(target, Points)  # theirs are too many to hold
        }
        rows = np.arange(len(samples)) if rows is None else rows
        for _, outputs in self._asked(network, samples, rows, 128):
            for name, values in found.items():
                values.append(outputs[name].float())
        return {name: torch.cat(values[1:] or values) for name, values in found.items()}

    @torch.inference_mode()
    def _asked(
        self, network: nn.Module, samples: Samples, rows: Numbers, batch: int
    ) -> Iterator[tuple[Numbers, Mapping[str, Tensor]]]:
        """Some rows after the other with the network's outputs."""
        network.eval()
        for start in range(0, len(rows), batch):
            at = rows[start : start + batch]
            yield at, _bare(network)(self._images(samples, at), self._kinds(samples, at))


def learning_rate_factor(schedule: str, progress: float) -> float:
    """The learning rate's factor at a share of the run."""
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    rise = 0.3  # one_cycle: up in a line, down in a half cosine
    if progress < rise:
        return 0.04 + 0.96 * progress / rise
    return max(1e-4, 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise))))


def pick_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def mixed_precision(device: str) -> torch.autocast:
    """Half the bits where the device multiplies them faster; the weights keep all of theirs."""
    if device != "cpu":
        return torch.autocast(device, dtype=torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
    can = torch.cpu.get_capabilities()
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=any(can.get(name) for name in _SHORT_FLOATS))


def _bare(network: nn.Module) -> nn.Module:
    inner = getattr(network, "module", network)  # DistributedDataParallel wraps it
    assert isinstance(inner, nn.Module)
    return inner


def _mix(*numbers: int) -> int:
    return random.Random(str(numbers)).getrandbits(63)


def _optimiser(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    parameters = [
        {"params": trunk_parameters(network), "factor": 1.0},
        {"params": head_parameters(network), "factor": training.head_rate},
    ]
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    if training.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    if training.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=training.momentum)
    if training.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay, momentum=training.momentum)
    return torch.optim.Adadelta(parameters, lr=rate, weight_decay=decay)
