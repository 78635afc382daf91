"""The one error tree. Messages name the mistake and the mend; they never quote a header or a path in an archive.

RajobsError
|-- UsageError            wrong use: exit status 2
|   |-- UnknownName         a study, recipe, architecture or setting that does not exist
|   |-- BadTable            a table or CSV whose columns or values do not fit
|   |-- BadRecipe           a recipe or tune space that does not fit
|   |-- BadKey              the pseudonym key is missing, malformed or not the output's
|   |-- WrongOutput         OUT has another run's output in it
|   |-- NotThereYet         a planned feature that this version does not have
|   `-- LeaseHeld           another driver is at work on OUT
|-- StoreError            a store that cannot be reached, read or written: exit status 1
|   |-- MediumFault         the disk, file system or network below a store fails; retried, then the job ends
|   |-- MissingParts        parts of a table that are gone, or not as they were written
|   `-- Unreadable          one object that may not be read, or is gone; it ends that object, never a job
|-- LeaseLost             another driver has taken OUT over: exit status 1
|-- DataError             input data that cannot be used: exit status 1
|   |-- BadBundle           a model bundle whose files or hashes do not fit
|   `-- TooManyRejects      more rejects than --max-rejects allows
`-- Reject                ends one file, never a job: a reason from a closed list, and a stage
"""

import difflib
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path

MOST_SHOWN = 60  # characters of a value in a message
TRACEBACK = "RAJOBS_TRACEBACK"
"""Environment variable with which an internal error is shown with its traceback."""


class RajobsError(Exception):
    """Root of everything that a user can cause. Shown as one line."""

    status = 1


class UsageError(RajobsError, ValueError):
    """The command line, a setting or an input table is wrong."""

    status = 2


class UnknownName(UsageError):
    """A name that is not among the known ones."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownName":
        """The error for `name`, with the nearest known name."""
        return cls(f"unknown {kind} {show(name)}; {nearest(name[:MOST_SHOWN], known)}")


def show(value: object) -> str:
    """A value of a user's settings in a message: short, and on one line whatever it is."""
    if isinstance(value, list | tuple | Mapping):  # may be nested too deeply to be printed
        return "a table" if isinstance(value, Mapping) else "a list"
    if isinstance(value, int) and abs(value) >= 10**18:
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to an unknown one, ignoring case, or all known names."""
    names = {known_name.casefold(): known_name for known_name in sorted(known)}
    matches = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    return f"did you mean {names[matches[0]]}?" if matches else f"there are: {', '.join(names.values())}"


def describe_other_schema(what: str, schema: object, known: int, job: str) -> str:
    """Why an output of another schema is refused, and what to run."""
    return f"{what} has schema {schema}, this version reads {known}; run `rajobs {job}` again, into a new place"


class BadTable(UsageError):
    """A table does not fit its schema."""


class BadRecipe(UsageError):
    """A recipe or a tune space does not fit."""


class BadKey(UsageError):
    """The pseudonym key is missing, malformed or not the one an output was made with."""


class WrongOutput(UsageError):
    """OUT has the output of another run in it."""


class NotThereYet(UsageError):
    """A planned feature that this version does not have."""


class StoreError(RajobsError):
    """A store cannot be reached, read or written."""


class MediumFault(StoreError):
    """The disk, file system or network below a store fails: no file is to blame, so this is never a reject."""


class Unreadable(StoreError):
    """One object cannot be read: there is no permission, or it is gone."""


class MissingParts(StoreError):
    """Parts of a table are gone from the store, or not as they were written."""


class LeaseHeld(UsageError):
    """Another driver holds the lease of OUT."""


class LeaseLost(RajobsError):
    """Another driver has taken the lease of OUT over: this one may not write any more."""


class DataError(RajobsError):
    """The input data cannot be used."""


class BadBundle(DataError):
    """A model bundle is incomplete or was changed."""


class TooManyRejects(DataError):
    """More files were rejected than allowed."""


REJECT_REASONS = (
    "truncated",  # ends earlier than its own lengths say
    "corrupt",  # its coding or structure contradicts itself
    "unsupported-syntax",  # a transfer syntax or photometric interpretation outside the list
    "unsupported-picture",  # a picture or loop coding outside the list
    "no-pixels",  # an image object without pixel data
    "too-large",  # pixels, frames, bytes or a compression ratio above the limits
    "too-deep",  # archives nested deeper than allowed
    "unsafe-path",  # a member that points outside its archive
    "encrypted",  # a member that needs a password
    "decoder-crashed",  # reading it takes too much time, or killed its process twice
    "unreadable",  # there is no permission to read it, or it was gone when its turn came
    "not-grey-or-colour",  # a sample layout that is neither
    "burned-in-annotation",  # the header says that text is in the pixels, or it lies over the anatomy
    "no-region",  # ultrasound without a region sequence or mask
    "no-modality",  # a picture without header or label that says what it shows
    "not-a-joint-modality",  # neither a radiograph nor ultrasound
)

REJECT_STAGES = ("archive", "header", "decode", "region")

IGNORE_REASONS = ("not-an-image", "duplicate", "directory-record", "not-a-file", "outside-link")


class Reject(Exception):
    """A file that cannot become an image. `detail` has numbers and fixed words, never header text."""

    def __init__(self, reason: str, stage: str, detail: str = "") -> None:
        assert reason in REJECT_REASONS and stage in REJECT_STAGES, (reason, stage)
        super().__init__(reason, stage, detail)
        self.reason, self.stage, self.detail = reason, stage, detail


def internal_error_line(error: Exception) -> str:
    """An internal error as one line, without the exception's own text: it may quote patient data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"internal error {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}; please report it. "
        f"{TRACEBACK}=1 shows the traceback, which may name patients"
    )
