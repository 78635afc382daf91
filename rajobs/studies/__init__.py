"""The studies, one file each, found by name. A file here with a `STUDY` and one in tune_spaces/ make a study."""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from rajobs.learning.study import Study
from rajobs.records.errors import NotThereYet, UnknownName

SEVEN: Mapping[str, str] = MappingProxyType({
    "hand_filter": "films", "joint_detection": "hands", "svdh_scoring": "joints", "ra_recognition": "hands",
    "ra_staging": "hands", "ultrasound_grading": "ultrasound", "clinical_array": "visits",
})  # fmt: skip
"""The studies of the five papers and the rows they read; those without a file are still to come."""


def names() -> list[str]:
    """The names of the studies there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def to_come() -> list[str]:
    """The studies of the papers that this version does not have."""
    return [name for name in SEVEN if name not in names()]


def find(name: str) -> Study:
    """A study by name."""
    if name in to_come():
        raise NotThereYet(f"the study {name} is not in this version yet; there is {', '.join(names())}")
    if name not in names():
        raise UnknownName.among("study", name, names())
    study: Study = importlib.import_module(f"{__name__}.{name}").STUDY
    assert study.name == name, f"studies/{name}.py declares {study.name}"
    return study
