"""A recipe: every hyper-parameter of a model, as data. It comes from a study or a TOML file; torch is not needed."""

import dataclasses
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rajobs.records.anatomy import SITES
from rajobs.records.errors import BadRecipe, UnknownName, show

OPTIMISERS = ("adamw", "adam", "sgd", "rmsprop", "adadelta")
SCHEDULES = ("constant", "cosine", "one_cycle")
COMBINES = ("mean", "first_yes", "most_accurate", "middle")
KEEP_ONE = ("most_accurate", "middle")  # one member answers alone
FITS = ("gradient", "cascade")
COPYING = ("anew", "kept")
CUTS = ("before", "after")
NONE = "none"
BY_CENTRE = "centre"  # as folds: each centre's patients validate once, on a network that saw none of its images

Settings = Mapping[str, Any]

_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "rotate": (0, 180), "shift": (0, 1), "zoom": (0, 0.95), "shear": (0, 80), "channel_shift": (0, 1),
    "contrast": (0, 1), "noise": (0, 1), "gamma": (0, 5), "sharpen": (0, 20), "shade": (0, 1), "cover": (0, 1),
    "epochs": (1, 100_000), "batch_size": (1, 65_536), "learning_rate": (1e-12, 100), "head_rate": (1e-6, 1e6),
    "weight_decay": (0, 10), "momentum": (0, 0.9999), "copies": (1, 10_000), "norm_rows": (0, 65_536),
    "patience": (0, 100_000), "head_dropout": (0, 0.95), "validate_every": (0, 1_000_000), "drawn": (0, 100),
    "folds": (0, 100), "redraw": (0, 0.9),
})  # fmt: skip
"""The values of each number that can be meant; beyond them lies a slip of the keyboard."""
MOST_MEMBERS = 64
_MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes of a sample, drawn anew each time that it is shown, or fixed copies. Zeros change nothing."""

    rotate: float = 0.0  # degrees, either way
    quarter_turns: bool = False  # by 0, 90, 180 or 270 degrees first
    shift: float = 0.0  # share of the side, either way
    zoom: float = 0.0  # scale by 1-zoom to 1+zoom
    shear: float = 0.0  # degrees, either way
    flip_horizontal: bool = False  # half of the samples, left to right
    flip_vertical: bool = False  # half of the samples, top to bottom
    channel_shift: float = 0.0  # added to all pixels, of a range of 1
    contrast: float = 0.0  # factor 1-contrast to 1+contrast about the mean
    noise: float = 0.0  # standard deviation, of a range of 1
    gamma: float = 0.0  # exponent e^-gamma to e^gamma on the range of 1
    sharpen: float = 0.0  # details of 3 and of 9 pixels times a factor from 0 (blurred away) to 1+sharpen
    shade: float = 0.0  # a smooth shadow over the image, of a range of 1
    cover: float = 0.0  # largest side of a plain rectangle that covers a part of the image, as a share of its side
    fixed: bool = False  # instead of draws: turned by 0, rotate and -rotate, as it is and flipped; validation rows too

    def __post_init__(self) -> None:
        _check_numbers(self)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is fitted. A cascade uses epochs, copies, and the moves and the horizontal flip of augment."""

    epochs: int = 10  # passes over the training rows; for a cascade its stages
    batch_size: int = 64  # rows per step, of all workers together
    optimiser: str = "adamw"  # adamw | adam | sgd | rmsprop | adadelta
    learning_rate: float = 1e-3  # the highest of its schedule
    head_rate: float = 1.0  # factor on the heads' learning rate, if the trunk is pretrained
    weight_decay: float = 1e-2  # shrinks the weights at each step
    momentum: float = 0.9  # sgd and rmsprop only
    schedule: str = "one_cycle"  # constant | cosine | one_cycle: the learning rate over all steps
    class_weights: bool = False  # rare classes have more weight, by the inverse of their share
    copies: int = 1  # times that a training row is shown in an epoch
    copying: str = "anew"  # anew | kept: copies change each time; or the row itself, and copies that are changed once
    validation_cut: str = "before"  # before | after: rows validate, or some of all rows' copies do, which is a leak
    norm_rows: int = 0  # a batch norm normalises so many rows at a time; 0: the whole batch, of all workers
    validate_every: int = 0  # steps from one validation to the next; 0: after each epoch
    patience: int = 0  # epochs without a lower validation loss after which training stops; 0: never
    keep: str = "best"  # best | last: the epoch whose weights are kept
    augment: Augment = field(default_factory=Augment)  # how a row is changed each time it is shown

    def __post_init__(self) -> None:
        _check_choice("optimiser", self.optimiser, OPTIMISERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("keep", self.keep, ("best", "last"))
        _check_choice("copying", self.copying, COPYING)
        _check_choice("validation_cut", self.validation_cut, CUTS)
        if self.validation_cut == "after" and self.copying != "kept":
            raise BadRecipe('validation_cut = "after" cuts copies that are kept: it needs copying = "kept"')
        _check_numbers(self)
        if self.norm_rows == 1:
            raise BadRecipe("norm_rows must be 0 (the whole batch) or 2 and more, not 1")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network of a recipe."""

    name: str  # unique within the recipe
    architecture: str  # by name; see learning/networks/architectures.py
    settings: Settings = field(default_factory=dict)  # of the architecture
    targets: tuple[str, ...] = ()  # of the study; empty: all
    groups: tuple[tuple[str, ...], ...] = ()  # classes that it distinguishes only as groups, in order of its outputs
    sees: tuple[str, ...] = ()  # classes of rows that it learns from, or the sites that a cascade looks for; empty: all
    copies: Mapping[str, int] = field(default_factory=dict)  # by class of its first target; other classes: training's
    by_kind: bool = False  # one head per kind of row (of joint), on a shared trunk
    ordered: bool = True  # true: scores are learnt as ordered steps; false: as names, by softmax
    head_dropout: float = 0.0  # share of the heads' outputs that are left out while training
    weights: str = NONE  # name of the pretrained weights that it starts from
    training: Training | None = None  # its own, if it differs from the recipe's
    fit: str = "gradient"  # gradient | cascade: gradient descent, or a boosted cascade of Haar-like features

    def __post_init__(self) -> None:
        if not _MEMBER_NAME.fullmatch(self.name):  # files are named for it
            raise BadRecipe(f"a member's name has letters, digits, - and _, at most 64, unlike {show(self.name)}")
        _check_choice("fit", self.fit, FITS)
        _check_numbers(self)
        if self.fit != "gradient" and self.weights != NONE:
            raise BadRecipe(f"{self.name} is a boosted cascade, which starts from no weights: leave them out")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained and how. Several members answer together."""

    view: Settings = field(default_factory=dict)  # settings of the study's view
    members: tuple[Member, ...]  # the networks that answer together
    combine: str = "mean"  # mean | first_yes | most_accurate | middle: how their answers become one
    training: Training = field(default_factory=Training)  # of all members without their own
    drawn: float = 0.0  # drawn rows to learn from, per row of the data; ultrasound only
    redraw: float = 0.0  # share of the training rows that each network draws to validate on, if the split has none
    folds: int | str = 0  # of a cross-validation: one network each, which answer together; "centre": leaves each out
    calibrate: bool = True  # one temperature per network and target, set on the validation part
    sites: tuple[str, ...] = ()  # of the joints that it learns from and is judged by; empty: all
    heavy: bool = False  # meant for a GPU

    def __post_init__(self) -> None:
        _check_choice("combine", self.combine, COMBINES)
        _check_numbers(self)
        if self.folds == 1 or (isinstance(self.folds, str) and self.folds != BY_CENTRE):
            raise BadRecipe(f'folds must be 0 (none), 2 and more, or "{BY_CENTRE}", not {self.folds!r}')
        for site in self.sites:
            _check_choice("site", site, tuple(SITES))
        if len(self.members) > MOST_MEMBERS:
            raise BadRecipe(f"a recipe has at most {MOST_MEMBERS} members, not {len(self.members)}")
        names = [member.name for member in self.members]
        if not names or len(set(names)) != len(names):
            raise BadRecipe("a recipe needs members, each with a name of its own")
        if self.combine == "first_yes" and any(
            len(member.groups) != 2 or not all(member.groups) for member in self.members
        ):
            raise BadRecipe("combine first_yes needs two groups of classes in every member: yes, and the rest")
        if self.drawn and any(member.copies or self.training_of(member).copying == "kept" for member in self.members):
            raise BadRecipe("drawn rows have no kept copies, and no copies by class: leave one of them out")
        if self.combine in KEEP_ONE and any(
            member.groups or member.targets != self.members[0].targets for member in self.members
        ):
            raise BadRecipe(f"combine {self.combine} needs members of the same targets, without groups of classes")

    def training_of(self, member: Member) -> Training:
        return member.training or self.training

    @property
    def leaks(self) -> bool:
        """Whether copies of one row train and validate."""
        return any(self.training_of(member).validation_cut == "after" for member in self.members)

    def check_leaks(self, mode: str) -> None:
        """BadRecipe for a leak that only published mode repeats."""
        if mode == "clean" and self.leaks:
            raise BadRecipe(
                'validation_cut = "after" puts copies of one row into both parts: a leak, for --mode published alone'
            )


def trials(member: Member, count: int) -> tuple[Member, ...]:
    """A paper's trials: networks that differ in their seed alone, named after the member with a number from 1."""
    return tuple(dataclasses.replace(member, name=f"{member.name}{trial}") for trial in range(1, count + 1))


def _check_numbers(settings: object) -> None:
    for name, value in vars(settings).items():
        if name in _RANGES and not isinstance(value, str):
            for number in value.values() if isinstance(value, Mapping) else (value,):
                check_range(name, number, *_RANGES[name])


def check_range(name: str, value: float, low: float, high: float) -> None:
    """BadRecipe for a number out of its range, or none at all (NaN)."""
    if not low <= value <= high:
        raise BadRecipe(f"{name} must lie between {low:,.12g} and {high:,.12g}, not be {show(value)}")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UnknownName.among(name, value, known)


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain data that `from_dict` reads back."""
    plain = typing.cast(dict[str, Any], _to_plain(recipe))
    for member in plain["members"]:
        if member["training"] is None:
            del member["training"]
    return plain


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    return value


def from_dict(data: Mapping[str, Any]) -> Recipe:
    """A recipe from plain data; a key or type that does not fit raises a BadRecipe that names it."""
    return typing.cast(Recipe, _build_dataclass(Recipe, data, ""))


def from_toml(text: str) -> Recipe:
    """A recipe from the text of a TOML file."""
    return from_dict(read_toml(text, "recipe"))


def read_toml(text: str, what: str) -> dict[str, Any]:
    """The content of a user's TOML file; BadRecipe if it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadRecipe(f"the {what} is nested too deeply: a setting is a number, a text or a short list") from None
    except ValueError as error:  # of TOML itself, or a number of thousands of digits
        raise BadRecipe(f"the {what} is not TOML: {error}") from None


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML."""
    import tomli_w

    return tomli_w.dumps(to_dict(recipe))


def replace(recipe: Recipe, dotted: str, value: Any) -> Recipe:
    """The recipe with one setting changed, named by its path: `training.augment.rotate`, `members.0.settings.width`.

    If a path into `members` leaves out the number, every member is changed.
    """
    data = to_dict(recipe)
    _set_value(data, dotted.split("."), value, dotted)
    return from_dict(data)


def lookup(recipe: Recipe, dotted: str) -> Any:
    """The value of one setting by its path, as in `replace`; without a member's number, the first member's."""
    value: Any = to_dict(recipe)
    for name in dotted.split("."):
        if isinstance(value, list):
            value = value[int(name)] if name.isdigit() else value[0].get(name)
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _set_value(data: Any, path: list[str], value: Any, dotted: str) -> None:
    if not path or not isinstance(data, list | dict):
        raise BadRecipe(f"{dotted} is not the path of a setting")
    name, *rest = path
    if isinstance(data, list):
        if name.isdigit() and int(name) >= len(data):
            raise BadRecipe(f"{dotted}: there are {len(data)} members, counted from 0")
        for item in [data[int(name)]] if name.isdigit() else data:
            _set_value(item, rest if name.isdigit() else path, value, dotted)
        return
    # A new name is allowed at the end of a path into an open mapping: the architecture or the view checks it.
    is_open = not rest and dotted.split(".")[-2:-1] in (["settings"], ["view"])
    if name not in data and not is_open:
        raise UnknownName.among(f"setting in {dotted}", name, data)
    if rest:
        _set_value(data[name], rest, value, dotted)
    else:
        data[name] = value


def _check_table(value: Any, where: str) -> Settings:
    if not isinstance(value, Mapping):
        raise BadRecipe(f"{where} must be a table of settings")
    return value


def _build_dataclass(kind: type, data: Any, where: str) -> Any:
    _check_table(data, where or "the recipe")
    hints = typing.get_type_hints(kind)
    for name in data:
        if name not in hints:
            raise UnknownName.among(f"setting in {where or 'the recipe'}", name, hints)
    values = {name: _convert_value(hints[name], item, f"{where}.{name}".lstrip(".")) for name, item in data.items()}
    needed = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in values
    ]
    if needed:
        raise BadRecipe(f"{where or 'the recipe'} needs {', '.join(needed)}")
    return kind(**values)


def _convert_value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        kinds = [part for part in typing.get_args(hint) if part is not type(None)]
        return _convert_value(next((kind for kind in kinds if type(value) is kind), kinds[0]), value, where)
    if dataclasses.is_dataclass(hint):
        return _build_dataclass(typing.cast(type, hint), value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadRecipe(f"{where} must be a list")
        inner = typing.get_args(hint)[0]
        return tuple(_convert_value(inner, item, f"{where}.{at}") for at, item in enumerate(value))
    if origin is not None:
        inner = typing.get_args(hint)[1]
        table = _check_table(value, where)
        if inner is Any:
            return dict(table)
        return {name: convert_plain(inner, item, f"{where}.{name}") for name, item in table.items()}
    return convert_plain(hint, value, where)


def convert_plain(kind: type, value: Any, where: str) -> Any:
    """A plain value of the kind that a setting has; a whole number is a number, too."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadRecipe(f"{where} must be {_TYPE_NAMES[kind]}, not {show(value)}")
    return value


_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
