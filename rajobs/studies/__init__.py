"""The studies, one file each, found by name. A new study is a file here with a `STUDY`, and one in tune_spaces/."""

import importlib
import pkgutil

from rajobs.learning.study import Study
from rajobs.records.errors import UnknownName


def names() -> list[str]:
    """The names of all studies."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Study:
    """A study by name."""
    if name not in names():
        raise UnknownName.among("study", name, names())
    study: Study = importlib.import_module(f"{__name__}.{name}").STUDY
    assert study.name == name, f"studies/{name}.py declares {study.name}"
    return study


def every() -> list[Study]:
    """All studies."""
    return [find(name) for name in names()]
