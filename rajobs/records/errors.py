"""The one error tree. Messages name the mistake and the mend; they never quote a header or a place in an archive.

RajobsError
|-- UsageError            wrong use: exit status 2
|   |-- UnknownName         a study, recipe, architecture or setting that does not exist
|   |-- BadTable            a table or CSV whose columns or values do not fit
|   |-- BadRecipe           a recipe or tune space that does not fit
|   |-- BadKey              the pseudonym key is missing, malformed or another one
|   |-- WrongOutput         OUT holds another run's output
|   `-- NotThereYet         a part of the contract that this version does not have
|-- StoreError            a store that cannot be reached, read or written: exit status 1
|-- DataError             inputs that cannot be worked with: exit status 1
|   |-- BadBundle           a model bundle whose files or hashes do not fit
|   `-- TooManyRejects      more rejects than --max-rejects allows
`-- Reject                one file's fate, never a job's: a reason of a closed list and a stage
"""

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path

TRACEBACK = "RAJOBS_TRACEBACK"
"""Variable of the environment with which faults of ours are shown whole."""


class RajobsError(Exception):
    """Root of everything a user can cause. Shown as one line."""

    status = 1


class UsageError(RajobsError, ValueError):
    """The command line, a setting or an input table is wrong."""

    status = 2


class UnknownName(UsageError):
    """A name that is not in the list of those there are."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownName":
        """The error for `name`, with the nearest known name."""
        return cls(f"unknown {kind} {name!r}; {nearest(name, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to one that is not known, whatever its capitals, or all of them."""
    names = {each.casefold(): each for each in sorted(known)}
    near = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    return f"did you mean {names[near[0]]}?" if near else f"there are: {', '.join(names.values())}"


class BadTable(UsageError):
    """A table does not fit its schema."""


class BadRecipe(UsageError):
    """A recipe or a tune space does not fit."""


class BadKey(UsageError):
    """The pseudonym key is missing, malformed or not the one an output was made with."""


class WrongOutput(UsageError):
    """OUT holds the output of another run."""


class NotThereYet(UsageError):
    """A part of the contract that this version does not have."""


class StoreError(RajobsError):
    """A store cannot be reached, read or written."""


class DataError(RajobsError):
    """The data given cannot be worked with."""


class BadBundle(DataError):
    """A model bundle is incomplete or was changed."""


class TooManyRejects(DataError):
    """More files were rejected than allowed."""


REJECT_REASONS = (
    "truncated",  # ends before its own lengths say
    "corrupt",  # a coding or structure that contradicts itself
    "unsupported-syntax",  # a transfer syntax or photometric interpretation outside the list
    "unsupported-picture",  # a picture or loop coding outside the list
    "no-pixels",  # an image object without pixel data
    "too-large",  # pixels, frames, bytes or a compression ratio above the limits
    "too-deep",  # archives nested deeper than allowed
    "unsafe-path",  # a member that points outside its archive
    "encrypted",  # a member that needs a password
    "decoder-crashed",  # the decoder died or ran past its time or memory, twice
    "not-grey-or-colour",  # a sample layout that is neither
    "burned-in-annotation",  # the header says that text is in the pixels
    "no-region",  # ultrasound without a region sequence or mask
    "no-modality",  # a picture without header or label that says what it shows
    "not-a-joint-modality",  # neither a radiograph nor ultrasound
)

REJECT_STAGES = ("archive", "header", "decode", "region")

IGNORE_REASONS = ("not-an-image", "duplicate", "directory-record")


class Reject(Exception):
    """A file that cannot become an image. `detail` holds numbers and names of ours, never header text."""

    def __init__(self, reason: str, stage: str, detail: str = "") -> None:
        assert reason in REJECT_REASONS and stage in REJECT_STAGES, (reason, stage)
        super().__init__(reason, stage, detail)
        self.reason, self.stage, self.detail = reason, stage, detail


def place(error: Exception) -> str:
    """A fault of ours in one line, without the exception's own text: it may quote what must not be seen."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"internal error {type(error).__name__} at {Path(at.filename).name}:{at.lineno}; please report it. "
        f"{TRACEBACK}=1 shows the whole of it, which may name patients"
    )
