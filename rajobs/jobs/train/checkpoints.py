"""Checkpoints of a network in training: the latest one is on the store, whatever dies."""

import dataclasses
import math
import time

from rajobs.learning.training.state import TrainingState, load_state, save_state
from rajobs.records.store import Store

CHECKPOINT_SECONDS = 20.0


@dataclasses.dataclass(kw_only=True)
class Checkpoints:
    """The latest state of one network, in a folder of the store."""

    store: Store
    folder: str
    name: str
    saved_at: float = -math.inf  # clock of the last save; the first state is saved at once

    def keys(self) -> list[str]:
        return [entry.key for entry in self.store.list(f"{self.folder}/{self.name}/")]

    def latest(self) -> TrainingState | None:
        keys = self.keys()
        return load_state(self.store.get(keys[-1])) if keys else None

    def save(self, epoch: int, state: TrainingState, last: bool) -> None:
        """Save the state after an epoch, if the last save is some time ago or this is the last epoch."""
        if not last and time.monotonic() - self.saved_at < CHECKPOINT_SECONDS:
            return
        key = f"{self.folder}/{self.name}/{epoch:05d}.safetensors"
        older = [other for other in self.keys() if other < key]  # a later one is of a command that has gone further
        self.store.put(key, save_state(state))
        for other in older:
            self.store.delete(other)
        self.saved_at = time.monotonic()
