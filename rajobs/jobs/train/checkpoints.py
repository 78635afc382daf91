"""Checkpoints of a network in training: the newest one is there, whatever dies."""

import dataclasses
import math
import time

from rajobs.learning.training.state import TrainingState, load_state, save_state
from rajobs.records.store import Store

CHECKPOINT_SECONDS = 20.0


@dataclasses.dataclass(kw_only=True)
class Checkpoints:
    """Keeps one network's newest state in a folder of the store."""

    store: Store
    folder: str
    name: str
    last: float = -math.inf  # when a state was put: the first one is put at once

    def keys(self) -> list[str]:
        return [entry.key for entry in self.store.list(f"{self.folder}/{self.name}/")]

    def latest(self) -> TrainingState | None:
        found = self.keys()
        return load_state(self.store.get(found[-1])) if found else None

    def save(self, epoch: int, state: TrainingState, done: bool) -> None:
        """Put the state after an epoch, if the last one is some time ago or there is none to come."""
        if not done and time.monotonic() - self.last < CHECKPOINT_SECONDS:
            return
        key = f"{self.folder}/{self.name}/{epoch:05d}.safetensors"
        older = [held for held in self.keys() if held != key]
        self.store.put(key, save_state(state))
        for held in older:
            self.store.delete(held)
        self.last = time.monotonic()
