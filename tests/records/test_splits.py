"""Splits: nothing of a patient or of what derives from one stands on two sides, and a split can be made again."""

import random
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from rajobs.records.errors import DataError
from rajobs.records.splits import MANY, Item, PrintedPatients, PrintedSplit, clean_split, groups, published_split


def cohort(patients: int, films: int = 3) -> list[Item]:
    """Films of two classes, a fifth of the patients ill."""
    return [
        Item(image_id=f"i{p}-{f}", patient=f"p{p:04d}", derived_from=None, stratum="ra" if p % 5 == 0 else "none")
        for p in range(patients)
        for f in range(films)
    ]


def parts_of(split: pa.Table) -> dict[str, str]:
    """An image's part."""
    return dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))


def test_no_patient_crosses_and_the_classes_keep_their_shares() -> None:
    items = cohort(100)
    part_of = parts_of(clean_split(items, 0))
    for patient in range(100):
        assert len({part_of[f"i{patient}-{film}"] for film in range(3)}) == 1
    ill = Counter(part_of[item.image_id] for item in items if item.stratum == "ra")
    assert Counter(part_of.values()) == {"train": 180, "validation": 60, "test": 60}
    assert ill == {"train": 36, "validation": 12, "test": 12}


def test_lineage_joins_patients_however_long_the_chain() -> None:
    items = [
        Item(image_id="base", patient="drawn", derived_from=None, stratum="a"),
        Item(image_id="copy", patient="z", derived_from="base", stratum="a"),
        Item(image_id="copy of copy", patient="m", derived_from="copy", stratum="a"),
        Item(image_id="other", patient="b", derived_from=None, stratum="a"),
        Item(image_id="of one that is not there", patient="c", derived_from="gone", stratum="a"),
        Item(image_id="of the same", patient="a", derived_from="gone", stratum="a"),
    ]
    assert groups(items) == ["drawn", "drawn", "drawn", "b", "a", "a"]
    assert groups(items[::-1])[::-1] == groups(items)


def test_the_order_of_items_does_not_matter_and_the_seed_does() -> None:
    items = cohort(60)
    shuffled = random.Random(1).sample(items, len(items))
    assert clean_split(shuffled, 0) == clean_split(items, 0)
    assert parts_of(clean_split(items, 1)) != parts_of(clean_split(items, 0))
    printed = PrintedSplit(target="ra", learn={"ra": 10, "none": 20}, test={"ra": 5, "none": 5})
    assert published_split(shuffled, printed, 0) == published_split(items, printed, 0)


def test_the_user_s_split_wins_for_the_whole_group() -> None:
    items = cohort(60)
    before = parts_of(clean_split(items, 0))
    moved = next(name for name, part in before.items() if part == "train")
    given = [Item(**{**vars(item), "given": "test" if item.image_id == moved else None}) for item in items]
    after = parts_of(clean_split(given, 0))
    assert {name for name in before if before[name] != after[name]} == {f"{moved.split('-')[0]}-{n}" for n in range(3)}
    assert after[moved] == "test"


def test_a_user_s_split_that_tears_a_patient_apart_is_refused() -> None:
    items = cohort(60)
    torn = [Item(**{**vars(item), "given": "test" if item.image_id == "i7-0" else "train"}) for item in items]
    with pytest.raises(DataError, match="puts 1 patients"):
        clean_split(torn, 0)


def test_what_a_drawing_that_teaches_was_made_from_judges_nobody_with_all_of_its_patient() -> None:
    items = [Item(**{**vars(item), "given": "test"}) for item in cohort(20)]
    items += [Item(image_id=f"d{n}", patient=f"d{n}", derived_from=None, stratum="ra", given=part)
              for n, part in enumerate(["train", "train", "validation"])]  # fmt: skip
    like = Item(image_id="like", patient="like", derived_from="i7-0", stratum="ra", given="train")
    before, after = (parts_of(clean_split(each, 0)) for each in (items, [*items, like]))
    assert before["i7-0"] == before["i7-1"] == "test"
    assert after == {name: part for name, part in before.items() if not name.startswith("i7-")} | {"like": "train"}
    published = parts_of(published_split([*items, like], None, 0))
    assert published == before | {"like": "train"}, "the paper's leak"


def test_three_patients_of_three_classes_are_enough_and_two_are_not() -> None:
    items = [Item(image_id=f"i{n}", patient=f"p{n}", derived_from=None, stratum=f"class {n}") for n in range(3)]
    assert set(parts_of(clean_split(items, 0)).values()) == {"train", "validation", "test"}
    with pytest.raises(DataError, match="at least 3 patients with labels, there are 2"):
        clean_split(items[:2], 0)


def test_published_counts_are_exact_and_too_few_images_are_named() -> None:
    printed = PrintedSplit(target="view", learn={"ra": 20, "none": 100}, test={"ra": 10, "none": 30})
    items = cohort(100)
    split = published_split(items, printed, 0)
    stratum = {item.image_id: item.stratum for item in items}
    counts = Counter((stratum[name], part) for name, part in parts_of(split).items())
    assert counts == {
        ("ra", "train"): 16, ("ra", "validation"): 4, ("ra", "test"): 10,
        ("none", "train"): 80, ("none", "validation"): 20, ("none", "test"): 30,
    }  # fmt: skip
    with pytest.raises(DataError, match="needs 130 images of view none, there are 72; use --mode clean"):
        published_split(cohort(30), printed, 0)


def test_among_many_a_patient_s_part_does_not_hang_on_who_else_is_there() -> None:
    items = cohort(MANY + 500, films=1)
    more, fewer = parts_of(clean_split(items, 0)), parts_of(clean_split(items[500:], 0))
    assert all(more[name] == part for name, part in fewer.items())
    shares = Counter(more.values())
    assert abs(shares["test"] / len(more) - 0.2) < 0.02 and abs(shares["validation"] / len(more) - 0.2) < 0.02


def test_a_paper_s_patients_come_whole_and_with_as_many_films() -> None:
    items = [*cohort(12), Item(image_id="single", patient="one film", derived_from=None, stratum="ra")]
    printed = PrintedPatients(train=6, validation=2, test=3, images=2)
    split = published_split(items, printed, 0)
    assert split == published_split(items[::-1], printed, 0)
    patient_of = {item.image_id: item.patient for item in items}
    films = Counter((patient_of[image], part) for image, part in parts_of(split).items())
    assert set(films.values()) == {2} and len({patient for patient, _ in films}) == len(films) == 11
    assert Counter(part for _, part in films) == {"train": 6, "validation": 2, "test": 3}
    assert set(split.column("group").to_pylist()) == {patient for patient, _ in films}
    with pytest.raises(DataError, match="needs 108 patients with 2 labelled images each, there are 12"):
        published_split(items, PrintedPatients(train=73, validation=20, test=15, images=2), 0)


def test_a_patient_keeps_the_part_that_another_study_gave() -> None:
    items = cohort(40)
    first = clean_split(items[:60], 0)  # of half the patients
    patient_of = {item.image_id: item.patient for item in items}
    held = {patient_of[image]: part for image, part in parts_of(first).items()}
    later = [replace(item, stratum="x" if item.image_id.endswith("0") else "y") for item in items]
    part_of = parts_of(clean_split(later, 0, held))
    assert {image: part_of[image] for image in parts_of(first)} == parts_of(first)
    assert len(set(part_of.values())) == 3 and len(part_of) == len(items)
    # Lineage joins a patient of the training part with one of the test part: both judge.
    learns, judges = (next(p for p, part in held.items() if part == name) for name in ("train", "test"))
    joined = [replace(item, derived_from=f"i{int(judges[1:])}-0" if item.patient == learns else None) for item in items]
    part_of = parts_of(clean_split(joined, 0, held))
    assert {part_of[image] for image, patient in patient_of.items() if patient in (learns, judges)} == {"test"}
