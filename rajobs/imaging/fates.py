"""The third fate of an input object, beside image and reject: it was no image to begin with, or is there already."""

from rajobs.records.errors import IGNORE_REASONS


class Ignored(Exception):
    """An object that is left out without being wrong. `reason` is one of IGNORE_REASONS."""

    def __init__(self, reason: str) -> None:
        assert reason in IGNORE_REASONS, reason
        super().__init__(reason)
        self.reason = reason
