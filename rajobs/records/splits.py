"""Which rows teach, which choose and which judge: split once, by patient and lineage, and frozen.

clean: nothing of a group (a patient, with all that was derived from it) crosses a part. Small data are stratified,
large data follow a hash of the group's pseudonym, so that a group's part never depends on who else is there.
published: the paper's counts, by image, with the leak the paper has.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rajobs.records.errors import DataError, UnknownName
from rajobs.records.tables.schemas import SPLIT

PARTS = ("train", "validation", "test")
MODES = ("clean", "published")
MANY = 5000  # groups from which a hash alone balances the classes well enough
FOLDS = 5  # a fold is the test part, another the validation part: 60/20/20


def check_mode(mode: str) -> None:
    """UnknownName for a protocol that there is not."""
    if mode not in MODES:
        raise UnknownName.among("mode", mode, MODES)


@dataclass(frozen=True, kw_only=True)
class PrintedSplit:
    """A paper's counts of images by class: to learn from (a share of them validates) and to judge by."""

    target: str
    learn: Mapping[str, int]
    test: Mapping[str, int]
    validation: float = 0.2


@dataclass(frozen=True, kw_only=True)
class PrintedPatients:
    """A paper's counts of patients, each with as many images, whole patients in one part."""

    train: int
    validation: int
    test: int
    images: int


@dataclass(frozen=True, kw_only=True)
class Item:
    """What a split needs to know of an image."""

    image_id: str
    patient: str
    derived_from: str | None
    stratum: str
    given: str | None = None


def groups(items: Sequence[Item]) -> list[str]:
    """Each item's group: patients joined wherever one's image was derived from another's."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for item in items:
        for other in (f"image {item.image_id}", *([f"image {item.derived_from}"] if item.derived_from else [])):
            ours, theirs = sorted((root(f"patient {item.patient}"), root(other)))
            parent[theirs] = ours
    # A group is named by the least patient in it, so that the name does not hang on the order of work.
    least: dict[str, str] = {}
    for item in items:
        name = root(f"patient {item.patient}")
        least[name] = min(least.get(name, item.patient), item.patient)
    return [least[root(f"patient {item.patient}")] for item in items]


def clean_split(items: Sequence[Item], seed: int, held: Mapping[str, str] | None = None) -> pa.Table:
    """Train, validation and test by group. Patients that other studies have a part for (`held`) keep it.

    So what one study learnt from can start another one's networks, and a chain of models can be judged as one.
    """
    names = groups(items)
    many = len(set(names)) >= MANY
    parts = [_hashed(name, seed) for name in names] if many else _stratified(items, names, seed)
    by_group = dict(zip(names, parts))
    held = held or {}
    known = [(PARTS.index(held[item.patient]), name) for item, name in zip(items, names) if item.patient in held]
    by_group |= {name: PARTS[part] for part, name in sorted(known)}  # joined by lineage: the test part wins
    of_patient = _given(items)
    # The user's own split wins, for the whole group. Where it has one patient's image judge and a drawing made from it
    # teach, the drawing teaches: that patient is left out, so that nothing judges that was learnt from.
    given = {(name, of_patient[item.patient]) for name, item in zip(names, items) if item.patient in of_patient}
    by_group |= dict(sorted(given, key=lambda pair: (pair[0], -PARTS.index(pair[1]))))
    kept = [of_patient.get(item.patient, by_group[name]) == by_group[name] for item, name in zip(items, names)]
    rows = [(item, name) for item, name, keep in zip(items, names, kept) if keep]
    return _table([item for item, _ in rows], [name for _, name in rows], [by_group[name] for _, name in rows])


def torn(items: Sequence[Item], part_of: Mapping[str, str]) -> set[str]:
    """Images that a clean split left out, since their patient's own part is not that of the rest of the group."""
    names, own = groups(items), {item.patient: item.given for item in items if item.given}
    held = {name: part_of[item.image_id] for name, item in zip(names, items) if item.image_id in part_of}
    return {
        item.image_id
        for name, item in zip(names, items)
        if item.image_id not in part_of and name in held and own.get(item.patient, held[name]) != held[name]
    }


def _given(items: Sequence[Item]) -> dict[str, str]:
    """The user's own part of each patient who has one."""
    pairs = {(item.patient, item.given) for item in items if item.given}
    given = dict(sorted(pairs))
    if len(given) < len(pairs):
        raise DataError(f"the labels' split puts {len(pairs) - len(given)} patients into several parts")
    return given


def published_split(items: Sequence[Item], printed: PrintedSplit | PrintedPatients | None, seed: int) -> pa.Table:
    """The paper's counts, drawn at random; what is left over takes no part.

    Where the user has given parts, those are the split.
    """
    given = [item for item in items if item.given]
    if given:
        return _table(given, [item.image_id for item in given], [str(item.given) for item in given])
    assert printed is not None, "without the paper's counts the user has given parts"
    return (
        _by_patient(items, printed, seed) if isinstance(printed, PrintedPatients) else _by_class(items, printed, seed)
    )


def _by_patient(items: Sequence[Item], printed: PrintedPatients, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    of: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.image_id):
        of.setdefault(item.patient, []).append(item)
    able = sorted(patient for patient, mine in of.items() if len(mine) >= printed.images)
    needed = printed.train + printed.validation + printed.test
    if len(able) < needed:
        raise DataError(
            f"the paper's split needs {needed} patients with {printed.images} labelled images each, there are "
            f"{len(able)}; use --mode clean or add data"
        )
    parts = ["test"] * printed.test + ["validation"] * printed.validation + ["train"] * printed.train
    chosen: list[tuple[Item, str]] = []
    for at, part in zip(rng.permutation(len(able)), parts):
        mine = of[able[at]]
        chosen += [(mine[n], part) for n in rng.permutation(len(mine))[: printed.images]]
    return _table([item for item, _ in chosen], [item.patient for item, _ in chosen], [part for _, part in chosen])


def _by_class(items: Sequence[Item], printed: PrintedSplit, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    chosen: list[tuple[Item, str]] = []
    for name in sorted({*printed.learn, *printed.test}):
        mine = sorted((item for item in items if item.stratum == name), key=lambda item: item.image_id)
        learn, test = printed.learn.get(name, 0), printed.test.get(name, 0)
        if len(mine) < learn + test:
            needs = f"the paper's split needs {learn + test} images of {printed.target} {name}"
            raise DataError(f"{needs}, there are {len(mine)}; use --mode clean or add data")
        order = rng.permutation(len(mine))
        watch = round(learn * printed.validation)
        for place, at in enumerate(order[: learn + test]):
            part = "validation" if place < watch else "train" if place < learn else "test"
            chosen.append((mine[at], part))
    kept = [item for item, _ in chosen]
    return _table(kept, [item.image_id for item in kept], [part for _, part in chosen])


def _hashed(name: str, seed: int) -> str:
    share = int(hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:8], 16) / 0x100000000
    return "test" if share < 0.2 else "validation" if share < 0.4 else "train"


def _stratified(items: Sequence[Item], names: Sequence[str], seed: int) -> list[str]:
    """The groups dealt into five folds, of which one judges and one validates."""
    if len(set(names)) < 3:
        raise DataError(f"a split needs at least 3 patients with labels, there are {len(set(names))}")
    fold_of = deal(names, [item.stratum for item in items], FOLDS, seed)
    used = sorted(set(fold_of.values()))
    part_of = dict.fromkeys(used, "train") | {used[-1]: "test", used[-2]: "validation"}
    return [part_of[fold_of[name]] for name in names]


def deal(names: Sequence[str], strata: Sequence[str], count: int, seed: int) -> dict[str, int]:
    """Whole groups into folds of equal class shares: the fold that needs a group's rarest class most gets it.

    An item a place: its group and its class. The fold of each group.
    """
    kinds = sorted(set(strata))
    profile = {name: np.zeros(len(kinds)) for name in names}
    for name, stratum in zip(names, strata):
        profile[name][kinds.index(stratum)] += 1
    total = np.sum(list(profile.values()), axis=0)
    folds = np.zeros((count, len(kinds)))
    fold_of: dict[str, int] = {}
    tie = {name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in profile}
    # Groups with much of what is rare go first, while every fold can still take them.
    for name in sorted(profile, key=lambda group: (-float(np.sum(profile[group] / total)), tie[group])):
        load = np.sum(((folds + profile[name]) / total) ** 2, axis=1) - np.sum((folds / total) ** 2, axis=1)
        # Where classes don't decide, the emptiest fold: else three patients of three classes would all be in one.
        fold_of[name] = int(np.lexsort((folds.sum(axis=1), load.round(9)))[0])
        folds[fold_of[name]] += profile[name]
    return fold_of


def _table(items: Sequence[Item], names: Sequence[str], parts: Sequence[str]) -> pa.Table:
    ordered = sorted(zip([item.image_id for item in items], names, parts))
    table = SPLIT.rows([{"image_id": image, "group": group, "split": part} for image, group, part in ordered])
    for part in PARTS:
        if part not in parts:
            raise DataError(f"the split leaves no row for {part}; more patients with labels are needed")
    return table
