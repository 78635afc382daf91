"""The state of a training run between two epochs, in memory and as bytes. Nothing is pickled."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
from torch import Tensor

Checked = tuple[float | None, float | None, float | None]
"""What a validation gave: the loss, the headline metric and the share of right answers."""

UNCHECKED: Checked = (None, None, None)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of a training step: for each row of its batch, and for the step itself, which moves all weights."""

    row: float
    step: float


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Figures of one epoch, for the history and for callbacks."""

    epoch: int
    loss: float
    validation_loss: float | None
    metric: float | None
    learning_rate: float
    accuracy: float | None = None  # share of right answers to the training rows as they were shown
    validation_accuracy: float | None = None


@dataclass(kw_only=True)
class TrainingState:
    """Everything that a run needs to resume; the loop changes it and jobs save it between epochs."""

    weights: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    best_epoch: int = 0
    history: list[Epoch] = field(default_factory=list)
    checked: Checked = UNCHECKED  # the epoch's last validation so far


def save_state(state: TrainingState) -> bytes:
    """A state as safetensors: tensors by name, everything else as JSON in the header."""
    tensors = {f"weights/{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"best/{name}": tensor.clone() for name, tensor in state.best.items()}
    slots: dict[str, dict[str, Any]] = {}
    for number, slot in state.optimiser["state"].items():
        for name, value in slot.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser/{number}/{name}"] = value.detach().cpu().contiguous()
            else:
                slots.setdefault(str(number), {})[name] = value
    rest = {
        "groups": state.optimiser["param_groups"],
        "slots": slots,
        "best_loss": state.best_loss,
        "best_epoch": state.best_epoch,
        "history": [vars(epoch) for epoch in state.history],
    }
    return safetensors.torch.save(tensors, metadata={"state": json.dumps(rest)})


def load_state(data: bytes) -> TrainingState:
    """A state that `save_state` wrote."""
    tensors = safetensors.torch.load(data)
    length = int.from_bytes(data[:8], "little")
    rest = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["state"])

    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    slots: dict[int, dict[str, Any]] = {int(number): dict(slot) for number, slot in rest["slots"].items()}
    for name, tensor in below("optimiser/").items():
        number, _, slot = name.partition("/")
        slots.setdefault(int(number), {})[slot] = tensor
    return TrainingState(
        weights=below("weights/"),
        optimiser={"state": slots, "param_groups": rest["groups"]},
        best=below("best/"),
        best_loss=rest["best_loss"],
        best_epoch=rest["best_epoch"],
        history=[Epoch(**epoch) for epoch in rest["history"]],
    )
