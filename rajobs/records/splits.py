"""Which images train, which validate and which test: split once, by patient and lineage, and frozen.

clean: no group (patients joined by images that were derived from one another) is in two parts. Small data are
stratified; in large data a hash of the group's pseudonym decides, so that a group's part never depends on the others.
published: the paper's counts, by image or by whole patients as the paper has it, with the leak that the paper has.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rajobs.records.errors import DataError, UnknownName
from rajobs.records.tables.schemas import SPLIT
from rajobs.records.whole_patients import deal_whole_patients

PARTS = ("train", "validation", "test")
MODES = ("clean", "published")
MANY = 5000  # from so many groups on, a hash alone balances the classes well enough
FOLDS = 5  # one fold is the test part, another the validation part: 60/20/20


def check_mode(mode: str) -> None:
    """UnknownName for a mode that does not exist."""
    if mode not in MODES:
        raise UnknownName.among("mode", mode, MODES)


@dataclass(frozen=True, kw_only=True)
class PrintedSplit:
    """A paper's counts of images by class: for learning (a share of which validates) and for the test."""

    target: str
    learn: Mapping[str, int]
    test: Mapping[str, int]
    validation: float = 0.2  # 0: the paper names no validation part
    whole_patients: bool = False  # the counts are of rows (hands), met as nearly as whole patients allow

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the paper has."""
        return tuple(part for part in PARTS if part != "validation" or self.validation)

    def count(self, name: str, part: str) -> int:
        """The rows of a class in a part."""
        validation = round(self.learn.get(name, 0) * self.validation)
        counts = {"train": self.learn.get(name, 0) - validation, "validation": validation}
        return counts.get(part, self.test.get(name, 0))


@dataclass(frozen=True, kw_only=True)
class PrintedPatients:
    """A paper's counts of patients with equally many films of a single hand each; a patient is in one part."""

    train: int
    validation: int
    test: int
    images: int


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """What a split needs to know of an image; `user_part` is the part that the user's labels name."""

    image_id: str
    patient: str
    derived_from: str | None
    stratum: str
    user_part: str | None = None
    rows: tuple[str, ...] = ()  # class of each of its labelled rows, where a paper counts these


def groups(images: Sequence[LabelledImage]) -> list[str]:
    """The group of each image: patients are joined if an image of one was derived from an image of another."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for image in images:
        sources = [f"image {image.derived_from}"] if image.derived_from else []
        for other in (f"image {image.image_id}", *sources):
            first, second = sorted((root(f"patient {image.patient}"), root(other)))
            parent[second] = first
    # A group is named by its first patient in the order of names, so that the order of the images does not matter.
    first_patient: dict[str, str] = {}
    for image in images:
        name = root(f"patient {image.patient}")
        first_patient[name] = min(first_patient.get(name, image.patient), image.patient)
    return [first_patient[root(f"patient {image.patient}")] for image in images]


def clean_split(
    images: Sequence[LabelledImage], seed: int, parts_elsewhere: Mapping[str, str] | None = None
) -> pa.Table:
    """Train, validation and test by group. Patients keep the part they have in other studies (`parts_elsewhere`).

    A study can therefore start from another one's networks, and a chain of models can be evaluated as a whole.
    """
    names = groups(images)
    many = len(set(names)) >= MANY
    parts = [_part_by_hash(name, seed) for name in names] if many else _stratified_parts(images, names, seed)
    part_of_group = dict(zip(names, parts))
    known = parts_elsewhere or {}
    kept = [(PARTS.index(known[image.patient]), name) for image, name in zip(images, names) if image.patient in known]
    part_of_group |= {name: PARTS[part] for part, name in sorted(kept)}  # of patients joined by lineage the test wins
    # The user's own split wins, for the whole group. If it puts a patient into the test part, and a drawing made from
    # that patient into the training part, the drawing trains and the patient is left out of the test.
    chosen = _user_parts(images)
    choices = {(name, chosen[image.patient]) for name, image in zip(names, images) if image.patient in chosen}
    part_of_group |= dict(sorted(choices, key=lambda choice: (choice[0], -PARTS.index(choice[1]))))
    rows = [
        (image, name)
        for image, name in zip(images, names)
        if chosen.get(image.patient, part_of_group[name]) == part_of_group[name]
    ]
    return _split_table(
        [image for image, _ in rows], [name for _, name in rows], [part_of_group[name] for _, name in rows]
    )


def images_left_out(images: Sequence[LabelledImage], part_of: Mapping[str, str]) -> set[str]:
    """Images that a clean split leaves out, because the user put their patient into another part than its group."""
    names = groups(images)
    chosen = {image.patient: image.user_part for image in images if image.user_part}
    part_of_group = {name: part_of[image.image_id] for name, image in zip(names, images) if image.image_id in part_of}
    return {
        image.image_id
        for name, image in zip(names, images)
        if image.image_id not in part_of
        and name in part_of_group
        and chosen.get(image.patient, part_of_group[name]) != part_of_group[name]
    }


def learning_sources(part_of: Mapping[str, str], sources: Mapping[str, str]) -> dict[str, str]:
    """The images to learn from that derive, directly or through others, from one of the test part: the leak of 002."""
    leaks = {}
    for image in (image for image, part in part_of.items() if part in PARTS[:2]):
        chain = [image]
        while (source := sources.get(chain[-1])) is not None and source not in chain:
            chain.append(source)
            if part_of.get(source) == "test":
                leaks[image] = source
                break
    return leaks


def _user_parts(images: Sequence[LabelledImage]) -> dict[str, str]:
    """The part that the user chose for a patient, for those patients that have one."""
    pairs = {(image.patient, image.user_part) for image in images if image.user_part}
    part_of_patient = dict(sorted(pairs))
    if len(part_of_patient) < len(pairs):
        count = len(pairs) - len(part_of_patient)
        raise DataError(
            f"the labels' split puts {count} patients into several parts; name one part per patient and ingest again"
        )
    return part_of_patient


def published_split(
    images: Sequence[LabelledImage], printed: PrintedSplit | PrintedPatients | None, seed: int
) -> pa.Table:
    """The paper's counts, drawn at random; the remaining images are in no part. The user's own split wins."""
    chosen = [image for image in images if image.user_part]
    if chosen:
        needed = printed.parts if isinstance(printed, PrintedSplit) else PARTS
        parts = [str(image.user_part) for image in chosen]
        return _split_table(chosen, [image.image_id for image in chosen], parts, needed)
    assert printed is not None, "a study without printed counts needs the user's split"
    if isinstance(printed, PrintedPatients):
        return _draw_patients(images, printed, seed)
    draw = _draw_whole_patients if printed.whole_patients else _draw_images
    return draw(images, printed, seed)


def _draw_patients(images: Sequence[LabelledImage], printed: PrintedPatients, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    images_of: dict[str, list[LabelledImage]] = {}
    for image in sorted(images, key=lambda image: image.image_id):
        images_of.setdefault(image.patient, []).append(image)
    eligible = sorted(patient for patient, own in images_of.items() if len(own) >= printed.images)
    needed = printed.train + printed.validation + printed.test
    if len(eligible) < needed:
        raise DataError(
            f"the paper's split needs {needed} patients with {printed.images} labelled films of a single hand each, "
            f"there are {len(eligible)}; use --mode clean or add data"
        )
    parts = ["test"] * printed.test + ["validation"] * printed.validation + ["train"] * printed.train
    drawn: list[tuple[LabelledImage, str]] = []
    for number, part in zip(rng.permutation(len(eligible)), parts):
        own = images_of[eligible[number]]
        drawn += [(own[n], part) for n in rng.permutation(len(own))[: printed.images]]
    return _split_table(
        [image for image, _ in drawn], [image.patient for image, _ in drawn], [part for _, part in drawn],
        needed=set(parts),
    )  # fmt: skip


def _draw_whole_patients(images: Sequence[LabelledImage], printed: PrintedSplit, seed: int) -> pa.Table:
    classes_of: dict[str, list[str]] = {}
    for image in images:
        classes_of.setdefault(image.patient, []).extend(image.rows)
    there = Counter(name for own in classes_of.values() for name in own)
    names = sorted({*printed.learn, *printed.test})
    wanted = {part: {name: printed.count(name, part) for name in names} for part in printed.parts}
    for name in names:
        needed = printed.learn.get(name, 0) + printed.test.get(name, 0)
        _check_enough(there[name], needed, "rows", printed.target, name)
    part_of = deal_whole_patients(classes_of, wanted, seed)
    drawn = [image for image in images if image.rows and image.patient in part_of]
    return _split_table(
        drawn, [image.patient for image in drawn], [part_of[image.patient] for image in drawn], printed.parts
    )


def _check_enough(there: int, needed: int, noun: str, target: str, name: str) -> None:
    if there < needed:
        raise DataError(
            f"the paper's split needs {needed} {noun} of {target} {name}, there are {there}; "
            "use --mode clean or add data"
        )


def _draw_images(images: Sequence[LabelledImage], printed: PrintedSplit, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    drawn: list[tuple[LabelledImage, str]] = []
    for name in sorted({*printed.learn, *printed.test}):
        of_class = sorted((image for image in images if image.stratum == name), key=lambda image: image.image_id)
        learn, test = printed.learn.get(name, 0), printed.test.get(name, 0)
        _check_enough(len(of_class), learn + test, "images", printed.target, name)
        validation = printed.count(name, "validation")
        for place, number in enumerate(rng.permutation(len(of_class))[: learn + test]):
            part = "validation" if place < validation else "train" if place < learn else "test"
            drawn.append((of_class[number], part))
    return _split_table(
        [image for image, _ in drawn], [image.image_id for image, _ in drawn], [part for _, part in drawn],
        printed.parts,
    )  # fmt: skip


def _part_by_hash(name: str, seed: int) -> str:
    share = int(hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:8], 16) / 0x100000000
    return "test" if share < 0.2 else "validation" if share < 0.4 else "train"


def _stratified_parts(images: Sequence[LabelledImage], names: Sequence[str], seed: int) -> list[str]:
    """The part of each image: its group is dealt into one of five folds, of which one tests and one validates."""
    if len(set(names)) < 3:
        raise DataError(f"a split needs at least 3 patients with labels, there are {len(set(names))}; add labels")
    fold_of = deal_into_folds(names, [image.stratum for image in images], FOLDS, seed)
    used = sorted(set(fold_of.values()))
    part_of = dict.fromkeys(used, "train") | {used[-1]: "test", used[-2]: "validation"}
    return [part_of[fold_of[name]] for name in names]


def deal_into_folds(names: Sequence[str], strata: Sequence[str], count: int, seed: int) -> dict[str, int]:
    """The fold of each group, such that the folds have equal shares of the classes.

    `names` and `strata` are the group and the class of each image. A group goes where its classes are most needed.
    """
    classes = sorted(set(strata))
    profiles = {name: np.zeros(len(classes)) for name in names}
    for name, stratum in zip(names, strata):
        profiles[name][classes.index(stratum)] += 1
    total = np.sum(list(profiles.values()), axis=0)
    folds = np.zeros((count, len(classes)))
    fold_of: dict[str, int] = {}
    tie_breaks = {name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in profiles}
    # Groups with many images of rare classes go first, while every fold still has room for them.
    for name in sorted(profiles, key=lambda group: (-float(np.sum(profiles[group] / total)), tie_breaks[group])):
        load = np.sum(((folds + profiles[name]) / total) ** 2, axis=1) - np.sum((folds / total) ** 2, axis=1)
        # If the classes do not decide, the emptiest fold: otherwise three patients of three classes would share one.
        fold_of[name] = int(np.lexsort((folds.sum(axis=1), load.round(9)))[0])
        folds[fold_of[name]] += profiles[name]
    return fold_of


def _split_table(
    images: Sequence[LabelledImage], names: Sequence[str], parts: Sequence[str], needed: Collection[str] = PARTS
) -> pa.Table:
    ordered = sorted(zip([image.image_id for image in images], names, parts))
    table = SPLIT.rows([{"image_id": image, "group": group, "split": part} for image, group, part in ordered])
    for part in PARTS:
        if part in needed and part not in parts:
            raise DataError(f"the split leaves no row for {part}; more patients with labels are needed")
    return table
