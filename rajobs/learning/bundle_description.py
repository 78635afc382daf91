"""What bundle.json says about a model: its origin, its content, and the hashes of its weight files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.recipe import Recipe, from_dict, to_dict
from rajobs.records.errors import BadBundle, RajobsError
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store

BUNDLE = "bundle.json"
FORMAT = 2
TEMPERATURES = 0.01, 100.0
MOST_IN_SHAPE = 256, 2048, 2048  # channels, rows, columns
_WEIGHT_FILE = re.compile(r"weights-[A-Za-z0-9_-]+\.(safetensors|xml)")

Figures = Mapping[str, Mapping[str, float | None]]
"""By metric: value, and low and high end of its interval; null if there are too few rows."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One network's file, its hash, and the temperature of each target."""

    file: str
    sha256: str
    temperature: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class DrawnFilms:
    """The drawings that a built-in model learnt from."""

    phantom: int  # version of the drawings
    rounds: int
    films: int
    tried: int  # films of another seed, on which its figures were made
    rarer: float = 1.0  # by which the odds of steps up of a score, and of no score, are divided: cohorts are sounder

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "rarer" or value != 1.0}


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """How many epochs a network ran, and the epoch whose weights were kept."""

    run: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Everything that determines a model; its hash is the model's version."""

    study: str
    recipe: Recipe
    mode: str
    seed: int
    budget: float
    code: str  # version of rajobs
    data: str  # hash of the ingest's manifest
    key: str  # fingerprint of the pseudonyms' key
    split: str  # hash of the frozen split
    starts: Mapping[str, str] = field(default_factory=dict)  # by member: sha256 of the weights it started from
    finders: tuple[str, ...] = ()  # hashes of the models that placed joints where labels are silent
    drawn: DrawnFilms | None = None

    def to_json(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name != "drawn"}
        plain |= {"recipe": to_dict(self.recipe), "starts": dict(self.starts), "finders": list(self.finders)}
        if not self.finders:
            del plain["finders"]
        return plain | (self.drawn.to_json() if self.drawn is not None else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Origin":
        drawn = DrawnFilms(**_select_fields(DrawnFilms, content)) if "phantom" in content else None
        own = {name: value for name, value in _select_fields(cls, content).items() if name != "drawn"}
        own |= {"recipe": from_dict(content["recipe"]), "finders": tuple(content.get("finders", ()))}
        return cls(**own, drawn=drawn)

    @property
    def version(self) -> str:
        """The folder's name; a model of drawings depends on no data, key, split or starting weights."""
        absent = ("data", "key", "split", "starts") if self.drawn is not None else ()
        return digest({name: value for name, value in self.to_json().items() if name not in absent})


@dataclass(frozen=True, kw_only=True)
class BundleDescription:
    """A bundle's origin, content and figures."""

    origin: Origin
    shape: tuple[int, ...]  # channels, rows, columns of a sample
    classes: Mapping[str, tuple[str, ...]]
    parameters: Mapping[str, int]
    epochs: Mapping[str, Epochs]
    rows: Mapping[str, int]  # by part of the split
    learned: Mapping[str, Mapping[str, int]]  # number of rows that it learnt from, by target and site
    validation: Figures
    placed: Mapping[str, int] = field(default_factory=dict)  # rows by who placed their joints: labels, models
    calibration: Calibration = field(default_factory=Calibration)  # empty in bundles made before there was one
    best: str | None = None  # the member that answers alone in a recipe that keeps one
    members: Mapping[str, tuple[WeightFile, ...]] = field(default_factory=dict)
    hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """The JSON form without the hash."""
        return {
            "format": FORMAT,
            **self.origin.to_json(),
            "shape": list(self.shape),
            "classes": {name: list(classes) for name, classes in self.classes.items()},
            "parameters": dict(self.parameters),
            "epochs": {name: vars(epochs) for name, epochs in self.epochs.items()},
            "rows": dict(self.rows),
            "learned": {target: dict(sites) for target, sites in self.learned.items()},
            "validation": {name: dict(figure) for name, figure in self.validation.items()},
            **({"placed": dict(self.placed)} if self.placed else {}),
            **({"calibration": self.calibration.to_json()} if self.calibration else {}),
            **({"best": self.best} if self.best else {}),
            "members": {name: [vars(file) for file in files] for name, files in self.members.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "BundleDescription":
        return cls(
            origin=Origin.from_json(content),
            shape=tuple(content["shape"]),
            classes={name: tuple(classes) for name, classes in content["classes"].items()},
            parameters=content["parameters"],
            epochs={name: Epochs(**epochs) for name, epochs in content["epochs"].items()},
            rows=content["rows"],
            learned=content["learned"],
            validation=content["validation"],
            placed=content.get("placed", {}),
            calibration=Calibration.from_json(content.get("calibration", {})),
            best=content.get("best"),
            members={name: tuple(WeightFile(**file) for file in files) for name, files in content["members"].items()},
            hash=content["hash"],
        )


def _select_fields(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a JSON object that are fields of a dataclass."""
    return {name: content[name] for name in kind.__dataclass_fields__ if name in content}  # type: ignore[attr-defined]


def put_description(store: Store, folder: str, description: BundleDescription) -> BundleDescription:
    """Write bundle.json; returns the description with its hash."""
    content = description.to_json()
    content["hash"] = digest(content)
    store.put(f"{folder}/{BUNDLE}", to_json(content))
    return replace(description, hash=content["hash"])


def read_description(store: Store, folder: str) -> BundleDescription:
    """A bundle's description, checked against its own hash."""
    place = f"{folder}/{BUNDLE}" if folder else BUNDLE
    try:
        content: dict[str, Any] = dict(json.loads(store.get(place)))
    except (ValueError, TypeError, RecursionError):
        content = {}
    if content.get("hash") != digest({key: value for key, value in content.items() if key != "hash"}):
        raise BadBundle(f"{store.uri}/{place} was changed after it was written; train again or restore it")
    if content.get("format") != FORMAT:
        raise BadBundle(
            f"{store.uri}/{folder} has bundle format {content.get('format')}, this version reads {FORMAT}; train again"
        )
    try:
        description = BundleDescription.from_json(content)
        mistake = _find_mistake(description)
    except RajobsError as error:
        mistake = str(error)
    except (KeyError, TypeError, ValueError, AttributeError):
        mistake = "an entry is missing or of another kind"
    if mistake:
        raise BadBundle(f"{store.uri}/{place} describes no usable model: {mistake}; train again or restore it")
    return description


def _find_mistake(description: BundleDescription) -> str | None:
    """What is wrong with a description whose hash is right: anybody can make one."""
    files = [file for several in description.members.values() for file in several]
    if not all(_WEIGHT_FILE.fullmatch(file.file) for file in files):
        return "the name of a weight file is none, or leads out of the bundle"
    low, high = TEMPERATURES
    if not all(low <= temperature <= high for file in files for temperature in file.temperature.values()):
        return f"a temperature does not lie between {low:g} and {high:g}"
    shape = description.shape
    if len(shape) != len(MOST_IN_SHAPE) or not all(0 < side <= most for side, most in zip(shape, MOST_IN_SHAPE)):
        return "its shape is not that of an image"
    return None


def find_bundles(store: Store, study: str) -> list[str]:
    """The folders of a study's bundles, in order."""
    return [
        entry.key.removesuffix(f"/{BUNDLE}") for entry in store.list(f"{study}/") if entry.key.endswith(f"/{BUNDLE}")
    ]
