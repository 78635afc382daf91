"""Splits: no patient, and nothing derived from one, is in two parts, and a split can be made again."""

import random
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from rajobs.records.errors import DataError
from rajobs.records.splits import (
    MANY,
    LabelledImage,
    PrintedPatients,
    PrintedSplit,
    clean_split,
    groups,
    learning_sources,
    published_split,
)


def cohort(patients: int, films: int = 3) -> list[LabelledImage]:
    """Films of two classes, a fifth of the patients ill."""
    return [
        LabelledImage(
            image_id=f"i{p}-{f}", patient=f"p{p:04d}", derived_from=None, stratum="ra" if p % 5 == 0 else "none"
        )
        for p in range(patients)
        for f in range(films)
    ]


def parts_of(split: pa.Table) -> dict[str, str]:
    """The part of each image."""
    return dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))


def test_no_patient_crosses_and_the_classes_keep_their_shares() -> None:
    images = cohort(100)
    part_of = parts_of(clean_split(images, 0))
    for patient in range(100):
        assert len({part_of[f"i{patient}-{film}"] for film in range(3)}) == 1
    ill = Counter(part_of[image.image_id] for image in images if image.stratum == "ra")
    assert Counter(part_of.values()) == {"train": 180, "validation": 60, "test": 60}
    assert ill == {"train": 36, "validation": 12, "test": 12}


def test_lineage_joins_patients_however_long_the_chain() -> None:
    images = [
        LabelledImage(image_id="base", patient="drawn", derived_from=None, stratum="a"),
        LabelledImage(image_id="copy", patient="z", derived_from="base", stratum="a"),
        LabelledImage(image_id="copy of copy", patient="m", derived_from="copy", stratum="a"),
        LabelledImage(image_id="other", patient="b", derived_from=None, stratum="a"),
        LabelledImage(image_id="of one that is not there", patient="c", derived_from="gone", stratum="a"),
        LabelledImage(image_id="of the same", patient="a", derived_from="gone", stratum="a"),
    ]
    assert groups(images) == ["drawn", "drawn", "drawn", "b", "a", "a"]
    assert groups(images[::-1])[::-1] == groups(images)


def test_the_order_of_images_does_not_matter_and_the_seed_does() -> None:
    images = cohort(60)
    shuffled = random.Random(1).sample(images, len(images))
    assert clean_split(shuffled, 0) == clean_split(images, 0)
    assert parts_of(clean_split(images, 1)) != parts_of(clean_split(images, 0))
    printed = PrintedSplit(target="ra", learn={"ra": 10, "none": 20}, test={"ra": 5, "none": 5})
    assert published_split(shuffled, printed, 0) == published_split(images, printed, 0)


def test_the_user_s_split_wins_for_the_whole_group() -> None:
    images = cohort(60)
    before = parts_of(clean_split(images, 0))
    moved = next(name for name, part in before.items() if part == "train")
    chosen = [replace(image, user_part="test" if image.image_id == moved else None) for image in images]
    after = parts_of(clean_split(chosen, 0))
    assert {name for name in before if before[name] != after[name]} == {f"{moved.split('-')[0]}-{n}" for n in range(3)}
    assert after[moved] == "test"


def test_a_user_s_split_of_one_patient_into_two_parts_is_refused() -> None:
    images = cohort(60)
    split_patient = [replace(image, user_part="test" if image.image_id == "i7-0" else "train") for image in images]
    with pytest.raises(DataError, match="puts 1 patients"):
        clean_split(split_patient, 0)


def test_a_test_patient_is_left_out_if_a_training_drawing_was_made_from_it() -> None:
    images = [replace(image, user_part="test") for image in cohort(20)]
    images += [LabelledImage(image_id=f"d{n}", patient=f"d{n}", derived_from=None, stratum="ra", user_part=part)
              for n, part in enumerate(["train", "train", "validation"])]  # fmt: skip
    like = LabelledImage(image_id="like", patient="like", derived_from="i7-0", stratum="ra", user_part="train")
    before, after = (parts_of(clean_split(each, 0)) for each in (images, [*images, like]))
    assert before["i7-0"] == before["i7-1"] == "test"
    assert after == {name: part for name, part in before.items() if not name.startswith("i7-")} | {"like": "train"}
    published = parts_of(published_split([*images, like], None, 0))
    assert published == before | {"like": "train"}, "the leak that the paper has"


def test_three_patients_of_three_classes_are_enough_and_two_are_not() -> None:
    images = [
        LabelledImage(image_id=f"i{n}", patient=f"p{n}", derived_from=None, stratum=f"class {n}") for n in range(3)
    ]
    assert set(parts_of(clean_split(images, 0)).values()) == {"train", "validation", "test"}
    with pytest.raises(DataError, match="at least 3 patients with labels, there are 2"):
        clean_split(images[:2], 0)


def test_published_counts_are_exact_and_too_few_images_are_named() -> None:
    printed = PrintedSplit(target="view", learn={"ra": 20, "none": 100}, test={"ra": 10, "none": 30})
    images = cohort(100)
    split = published_split(images, printed, 0)
    stratum = {image.image_id: image.stratum for image in images}
    counts = Counter((stratum[name], part) for name, part in parts_of(split).items())
    assert counts == {
        ("ra", "train"): 16, ("ra", "validation"): 4, ("ra", "test"): 10,
        ("none", "train"): 80, ("none", "validation"): 20, ("none", "test"): 30,
    }  # fmt: skip
    with pytest.raises(DataError, match="needs 130 images of view none, there are 72; use --mode clean"):
        published_split(cohort(30), printed, 0)


def test_an_image_that_teaches_is_followed_to_the_test_image_it_was_modelled_on() -> None:
    parts = {"scan": "test", "other": "test", "like": "train", "copy": "validation", "own": "train", "variant": "train"}
    sources = {"like": "scan", "copy": "like", "variant": "own", "other": "own", "outside": "scan", "far": "outside"}
    assert learning_sources(parts, sources) == {"like": "scan", "copy": "scan"}
    assert learning_sources({**parts, "far": "train"}, sources)["far"] == "scan", "also through one that takes no part"


def test_in_large_data_a_patient_s_part_does_not_depend_on_the_others() -> None:
    images = cohort(MANY + 500, films=1)
    more, fewer = parts_of(clean_split(images, 0)), parts_of(clean_split(images[500:], 0))
    assert all(more[name] == part for name, part in fewer.items())
    shares = Counter(more.values())
    assert abs(shares["test"] / len(more) - 0.2) < 0.02 and abs(shares["validation"] / len(more) - 0.2) < 0.02


def test_a_paper_s_patients_are_whole_and_have_equally_many_films() -> None:
    images = [*cohort(12), LabelledImage(image_id="single", patient="one film", derived_from=None, stratum="ra")]
    printed = PrintedPatients(train=6, validation=2, test=3, images=2)
    split = published_split(images, printed, 0)
    assert split == published_split(images[::-1], printed, 0)
    patient_of = {image.image_id: image.patient for image in images}
    films = Counter((patient_of[image], part) for image, part in parts_of(split).items())
    assert set(films.values()) == {2} and len({patient for patient, _ in films}) == len(films) == 11
    assert Counter(part for _, part in films) == {"train": 6, "validation": 2, "test": 3}
    assert set(split.column("group").to_pylist()) == {patient for patient, _ in films}
    with pytest.raises(DataError, match="needs 108 patients with 2 labelled films of a single hand each, there are 12"):
        published_split(images, PrintedPatients(train=73, validation=20, test=15, images=2), 0)


def test_a_patient_keeps_the_part_of_another_study() -> None:
    images = cohort(40)
    first = clean_split(images[:60], 0)  # of half the patients
    patient_of = {image.image_id: image.patient for image in images}
    known = {patient_of[image]: part for image, part in parts_of(first).items()}
    later = [replace(image, stratum="x" if image.image_id.endswith("0") else "y") for image in images]
    part_of = parts_of(clean_split(later, 0, known))
    assert {image: part_of[image] for image in parts_of(first)} == parts_of(first)
    assert len(set(part_of.values())) == 3 and len(part_of) == len(images)
    # Lineage joins a patient of the training part with one of the test part: both test.
    training, testing = (next(p for p, part in known.items() if part == name) for name in ("train", "test"))
    joined = [
        replace(image, derived_from=f"i{int(testing[1:])}-0" if image.patient == training else None) for image in images
    ]
    part_of = parts_of(clean_split(joined, 0, known))
    assert {part_of[image] for image, patient in patient_of.items() if patient in (training, testing)} == {"test"}
