"""The training loop: plain torch in one process, with a callback `on_epoch` for jobs, trials and workers.

All random numbers of an epoch follow from the seed and the epoch's number, so that a resumed run is the same run.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from rajobs.learning.networks.architectures import head_parameters, trunk_parameters
from rajobs.learning.networks.batch_norms import prepare_norms, settle_norms
from rajobs.learning.points import Points, PointsOutput
from rajobs.learning.recipe import Training
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.targets import MISSING, Target
from rajobs.learning.training.augmentation import augment, change_copies, mix_seed, move
from rajobs.learning.training.state import UNCHECKED, Checked, Epoch, Pace, TrainingState
from rajobs.records.errors import DataError

_ROWS_TIMED = 4  # to estimate the time of a run
_SHORT_FLOATS = ("avx512_bf16", "amx_bf16", "bf16")  # names of processors' instructions for bfloat16
Numbers = NDArray[np.int64]
Outputs = Mapping[str, Tensor | PointsOutput]
"""By target: logits, or what a network shows of points."""

Weights = Mapping[str, Tensor]
"""By target, the weights of its classes."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Some prepared rows with their class numbers per target, or their points."""

    arrays: Prepared
    at: Numbers  # the rows, by number in `arrays`
    truth: Mapping[str, NDArray[Any]]
    kinds: Numbers  # of the rows, for networks with a head per kind
    shares: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # of readers by class, where some differ
    copy: Numbers | None = None  # of kept copies: the number of each row's copy, from 0, which is the row itself
    maps: NDArray[np.float32] | None = None  # of fixed copies: how each row is moved

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: Numbers) -> "Samples":
        """Some of the rows, or some of them several times."""
        return replace(
            self,
            at=self.at[chosen],
            truth={name: numbers[chosen] for name, numbers in self.truth.items()},
            kinds=self.kinds[chosen],
            shares={name: of_target[chosen] for name, of_target in self.shares.items()},
            copy=None if self.copy is None else self.copy[chosen],
            maps=None if self.maps is None else self.maps[chosen],
        )

    def taught(self, target: str) -> NDArray[Any]:
        """What a network learns of a target: the readers' shares if some of them differ, else class numbers."""
        return self.shares.get(target, self.truth[target])


Score = Callable[[Mapping[str, NDArray[np.float64]], Mapping[str, Numbers]], float]
OnEpoch = Callable[[Epoch, TrainingState], bool]
"""Called after every epoch; False ends the run."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The training of one network: its data, settings and rank among the workers."""

    targets: tuple[Target | Points, ...]
    training: Training
    train: Samples
    validation: Samples | None
    seed: int
    score: Score | None = None
    watched: Target | None = None  # whose share of right answers is kept of every epoch
    device: str = "cpu"
    rank: int = 0
    world: int = 1

    def run(self, network: nn.Module, on_epoch: OnEpoch, state: TrainingState | None = None) -> TrainingState:
        """Train to the last epoch, or until patience ends or `on_epoch` returns False; keep the best weights."""
        if not len(self.train):
            raise DataError("no row with a label is left to learn from")
        if self._batch < self.world:
            raise DataError(f"a batch of {self._batch} rows cannot be shared by {self.world} workers")
        state = state or TrainingState()
        if self.training.norm_rows or self.world > 1:
            prepare_norms(_unwrap(network), self.training.norm_rows)
        optimiser = _build_optimiser(network, self.training)
        if state.weights:
            _unwrap(network).load_state_dict(state.weights)
            optimiser.load_state_dict(state.optimiser)
        weights = {target.name: self._class_weights(target) for target in self.targets}
        for number in range(len(state.history) + 1, self.training.epochs + 1):
            if self._patience_ends(state):
                break
            with torch.random.fork_rng(devices=[], enabled=True):
                torch.manual_seed(mix_seed(self.seed, number, self.rank))
                learnt = self._train_epoch(network, optimiser, number, weights, state)
            self._record_epoch(state, network, optimiser, learnt, weights)
            if not on_epoch(state.history[-1], state):
                break
        return state

    def pace(self, network: nn.Module) -> Pace:
        """How fast the run goes: a step of one row and one of a few are measured. The network is of no use after it."""
        network.eval()  # a batch norm cannot learn from one row
        optimiser = _build_optimiser(network, self.training)
        weights = {target.name: self._class_weights(target) for target in self.targets}
        few = min(_ROWS_TIMED, self._batch)
        one, several = (self._time_step(network, optimiser, np.arange(count), weights) for count in (1, few))
        row = several / few if few == 1 or several <= one else (several - one) / (few - 1)
        return Pace(row=row, step=max(0.0, several - few * row))

    def _time_step(self, network: nn.Module, optimiser: torch.optim.Optimizer, at: Numbers, weights: Weights) -> float:
        """Seconds of a training step of these rows, the second time that it is made: the first one warms up."""
        taken = 0.0
        for _ in range(2):
            start = time.perf_counter()
            with mixed_precision(self.device):
                outputs = network(self._images(self.train, at), self._kinds(self.train, at))
                loss = self._loss(outputs, self.train, at, weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            float(loss.detach())
            taken = time.perf_counter() - start
        return taken

    def _patience_ends(self, state: TrainingState) -> bool:
        patience = self.training.patience
        return bool(patience) and len(state.history) - state.best_epoch >= patience

    def _train_epoch(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, number: int, weights: Weights, state: TrainingState
    ) -> tuple[float, float | None]:
        """The epoch's mean loss, and the share of right answers among the rows as they were shown."""
        network.train()
        total = torch.zeros(3, device=self.device)  # losses, right answers and answers
        batches = list(self._batches(number))
        for step, at in enumerate(batches):
            progress = (number - 1 + step / len(batches)) / self.training.epochs
            for group in optimiser.param_groups:
                group["lr"] = (
                    self.training.learning_rate
                    * group["factor"]
                    * learning_rate_factor(self.training.schedule, progress)
                )
            images = self._images(self.train, at)
            generator = torch.Generator().manual_seed(mix_seed(self.seed, number, self.rank, step))
            maps = None
            if self.train.copy is None:
                images, maps = augment(images, self.training.augment, generator)
            with mixed_precision(self.device):
                outputs = network(images, self._kinds(self.train, at))
                loss = self._loss(outputs, self.train, at, weights, maps)
            loss = loss * (len(at) * self.world / self._batch)  # the mean over workers does not weight their shares
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total[0] += loss.detach() / self.world
            total[1:] += self._count_right(outputs, self.train, at)
            steps = (number - 1) * len(batches) + step + 1
            if self.training.validate_every and steps % self.training.validate_every == 0:
                state.checked = self._check(state, network, number, weights)
                network.train()
        if self.world > 1:
            settle_norms(_unwrap(network), self.world)
            dist.all_reduce(total)
        losses, right, answers = total.tolist()
        return losses / len(batches), right / answers if answers else None

    @torch.no_grad()
    def _count_right(self, outputs: Outputs, samples: Samples, at: Numbers) -> Tensor:
        """How many of these rows' labels of the watched target are answered right, and how many there are."""
        if self.watched is None:
            return torch.zeros(2, device=self.device)
        truth, output = torch.from_numpy(samples.truth[self.watched.name][at]), outputs[self.watched.name]
        assert isinstance(output, Tensor), self.watched.name
        p = self.watched.p(output.float())
        answer = (p.cumsum(dim=1) < 0.5).sum(dim=1) if self.watched.ordered else p.argmax(dim=1)  # as `predicted`
        labelled = (truth != MISSING).to(self.device)
        return torch.stack([(labelled & (answer == truth.to(self.device))).sum(), labelled.sum()])

    def _batches(self, number: int) -> Iterator[Numbers]:
        """This worker's share of the epoch's batches, shuffled; a last batch that is not full is left out."""
        rng = np.random.default_rng([self.seed, number])
        order = np.concatenate([rng.permutation(len(self.train)) for _ in range(self.training.copies)])
        for start in range(0, len(order) - self._batch + 1, self._batch):
            yield self._share(order[start : start + self._batch])

    def _share(self, rows: Numbers) -> Numbers:
        """This worker's share of the rows: neighbours, so that the lots of batch norms stay whole."""
        return np.array_split(rows, self.world)[self.rank]

    @property
    def _batch(self) -> int:
        """Rows per batch, for all workers together."""
        return min(self.training.batch_size, len(self.train) * self.training.copies)

    def _images(self, samples: Samples, at: Numbers) -> Tensor:
        images = torch.from_numpy(samples.arrays.take(samples.at[at])).to(self.device)
        images = images.to(torch.float32).div_(255)
        if samples.maps is not None:
            images = move(images, torch.from_numpy(samples.maps[at]))
        if samples.copy is not None:
            images = change_copies(images, self.training.augment, self.seed, samples.at[at], samples.copy[at])
        return images.contiguous(memory_format=torch.channels_last)  # as the network's weights lie

    def _kinds(self, samples: Samples, at: Numbers) -> Tensor:
        return torch.from_numpy(samples.kinds[at]).to(self.device)

    def _loss(
        self,
        outputs: Outputs,
        samples: Samples,
        at: Numbers,
        weights: Weights,
        maps: Tensor | None = None,
    ) -> Tensor:
        losses = []
        for target in self.targets:
            truth = torch.from_numpy(samples.taught(target.name)[at]).to(self.device)
            output, weight = outputs[target.name], weights[target.name]
            if isinstance(target, Points):
                assert isinstance(output, PointsOutput), target.name
                loss = target.loss(output, truth if maps is None else target.follow(truth, maps), weight)
            else:
                assert isinstance(output, Tensor), target.name
                loss = target.loss(output.float(), truth, weight)
            losses.append(loss.mean())
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

    def _record_epoch(
        self, state: TrainingState, network: nn.Module, optimiser: torch.optim.Optimizer,
        learnt: tuple[float, float | None], weights: Weights,
    ) -> None:  # fmt: skip
        """Add the epoch to the history, with its last validation; validated here unless every so many steps are."""
        number, (loss, accuracy) = len(state.history) + 1, learnt
        if not self.training.validate_every or number == self.training.epochs:
            state.checked = self._check(state, network, number, weights, loss)
        validation_loss, metric, validation_accuracy = state.checked
        state.checked = UNCHECKED
        state.weights, state.optimiser = _copy_weights(network), optimiser.state_dict()
        if not state.best or self.training.keep == "last":  # as long as no loss is a number, the first epoch's
            state.best, state.best_epoch = state.weights, number
        rate = float(optimiser.param_groups[0]["lr"])
        state.history.append(
            Epoch(
                epoch=number, loss=loss, validation_loss=validation_loss, metric=metric, learning_rate=rate,
                accuracy=accuracy, validation_accuracy=validation_accuracy,
            )
        )  # fmt: skip

    def _check(
        self, state: TrainingState, network: nn.Module, number: int, weights: Weights, loss: float = math.inf
    ) -> Checked:
        """What the validation part says; the weights are kept if their loss is the lowest (never NaN)."""
        checked = UNCHECKED
        if self.validation is not None and len(self.validation):
            checked = self._validate(network, self.validation, weights)
        watched = loss if checked[0] is None else checked[0]
        if watched < state.best_loss:
            state.best, state.best_loss, state.best_epoch = _copy_weights(network), watched, number
        return checked

    def _validate(self, network: nn.Module, samples: Samples, weights: Weights) -> Checked:
        """Loss, headline metric and share of right answers."""
        if self.score is None:
            return self._mean_loss(network, samples, weights), None, None
        logits = self._gather_logits(network, samples)
        loss = float(self._loss(logits, samples, np.arange(len(samples)), weights))
        p = {
            target.name: target.p(logits[target.name]).double().cpu().numpy()
            for target in self.targets
            if not isinstance(target, Points)
        }
        right, answers = self._count_right(logits, samples, np.arange(len(samples))).tolist()
        return loss, self.score(p, samples.truth), right / answers if answers else None

    def _mean_loss(self, network: nn.Module, samples: Samples, weights: Weights) -> float:
        """The loss without keeping all outputs, since those of points are large; each worker computes its share."""
        total = torch.zeros((), device=self.device)
        for at, outputs in self._outputs_by_batch(network, samples, self._share(np.arange(len(samples))), 64):
            total += self._loss(outputs, samples, at, weights) * len(at)
        if self.world > 1:
            dist.all_reduce(total)
        return float(total) / len(samples)

    def _gather_logits(self, network: nn.Module, samples: Samples) -> dict[str, Tensor]:
        """The logits of every sample; each worker computes its share and receives the others'."""
        if self.world == 1:
            return self.logits(network, samples)
        share = self._share(np.arange(len(samples)))
        gathered = {}
        for name, values in self.logits(network, samples, share).items():
            gathered[name] = values.new_zeros(len(samples), *values.shape[1:])
            gathered[name][share] = values
            dist.all_reduce(gathered[name])
        return gathered

    def logits(self, network: nn.Module, samples: Samples, rows: Numbers | None = None) -> dict[str, Tensor]:
        """Logits per target for every sample, without augmentation or dropout, in full precision as in a bundle."""
        batches: dict[str, list[Tensor]] = {
            target.name: [torch.zeros(0, target.outputs, device=self.device)]
            for target in self.targets
            if not isinstance(target, Points)  # whose outputs would fill the memory
        }
        rows = np.arange(len(samples)) if rows is None else rows
        for _, outputs in self._outputs_by_batch(network, samples, rows, 128):
            for name, values in batches.items():
                logits = outputs[name]
                assert isinstance(logits, Tensor), name
                values.append(logits.float())
        return {name: torch.cat(values[1:] or values) for name, values in batches.items()}

    @torch.inference_mode()
    def _outputs_by_batch(
        self, network: nn.Module, samples: Samples, rows: Numbers, batch: int
    ) -> Iterator[tuple[Numbers, Outputs]]:
        """Batches of rows with the network's outputs."""
        network.eval()
        for start in range(0, len(rows), batch):
            at = rows[start : start + batch]
            yield at, _unwrap(network)(self._images(samples, at), self._kinds(samples, at))


def learning_rate_factor(schedule: str, progress: float) -> float:
    """The learning rate's factor when a share of the run is done."""
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    rise = 0.3  # one_cycle: a linear rise, then half a cosine
    if progress < rise:
        return 0.04 + 0.96 * progress / rise
    return max(1e-4, 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise))))


def pick_device() -> str:
    """A GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def mixed_precision(device: str) -> torch.autocast:
    """16-bit arithmetic where the device is faster with it; the weights stay in full precision."""
    if device != "cpu":
        return torch.autocast(device, dtype=torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
    capabilities = torch.cpu.get_capabilities()
    enabled = any(capabilities.get(name) for name in _SHORT_FLOATS)
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def _copy_weights(network: nn.Module) -> dict[str, Tensor]:
    state = _unwrap(network).state_dict().items()  # copied in the plain layout, which safetensors takes
    return {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state}


def _unwrap(network: nn.Module) -> nn.Module:
    inner = getattr(network, "module", network)  # DistributedDataParallel wraps it
    assert isinstance(inner, nn.Module)
    return inner


def _build_optimiser(network: nn.Module, training: Training) -> torch.optim.Optimizer:
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
