"""A paper's counts of hands by class, with whole patients on one side of the split."""

from collections import Counter

import numpy as np
import pytest

from rajobs import studies
from rajobs.records.errors import DataError
from rajobs.records.splits import LabelledImage, PrintedSplit, published_split
from rajobs.records.whole_patients import deal_whole_patients

STAGING = studies.find("ra_staging").printed_split
assert isinstance(STAGING, PrintedSplit)


def hands(seed: int, extra: int = 0) -> dict[str, list[str]]:
    """001's 344 hands (and a few more of each stage) by patient; both hands of most are at equal or near stages."""
    assert isinstance(STAGING, PrintedSplit)
    rng = np.random.default_rng(seed)
    left = [name for name in STAGING.learn for _ in range(STAGING.learn[name] + STAGING.test[name] + extra)]
    stages: dict[str, list[str]] = {}
    while left:
        own = [left.pop(int(rng.integers(len(left))))]
        near = [at for at, name in enumerate(left) if abs(int(name) - int(own[0])) <= 1]
        if near and rng.random() < 0.85:
            own.append(left.pop(int(rng.choice(near))))
        stages[f"p{len(stages):03d}"] = own
    return stages


@pytest.mark.parametrize("extra", [0, 5])
def test_both_hands_of_a_patient_are_on_one_side_and_240_hands_teach_and_104_judge(extra: int) -> None:
    stages = hands(1, extra)
    films = [
        LabelledImage(image_id=f"{patient}-{n}", patient=patient, derived_from=None, stratum=name, rows=(name,))
        for patient, own in stages.items()
        for n, name in enumerate(own)
    ]  # each hand on a film of its own: the worst case
    split = published_split(films, STAGING, 0)
    assert split == published_split(films[::-1], STAGING, 0) != published_split(films, STAGING, 1)
    part_of = dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))
    assert Counter(part_of.values()) == {"train": 240, "test": 104}, "none is held back for validation"
    for patient, own in stages.items():
        assert len({part_of.get(f"{patient}-{n}") for n in range(len(own))}) == 1
    stage_of = {film.image_id: film.stratum for film in films}
    counts = Counter((part, stage_of[name]) for name, part in part_of.items())
    assert isinstance(STAGING, PrintedSplit)
    assert all(abs(counts["train", name] - count) <= 2 for name, count in STAGING.learn.items())
    assert all(abs(counts["test", name] - count) <= 2 for name, count in STAGING.test.items())


def test_a_film_of_both_hands_counts_twice_and_too_few_hands_are_named() -> None:
    printed = PrintedSplit(
        target="ra", learn={"0": 4, "1": 8}, test={"0": 2, "1": 4}, validation=0, whole_patients=True
    )
    films = [
        LabelledImage(image_id=f"f{n}", patient=f"p{n}", derived_from=None, stratum="1", rows=(str(n % 2), "1"))
        for n in range(20)
    ]
    part_of = dict(zip(*published_split(films, printed, 0).select(["image_id", "split"]).to_pydict().values()))
    rows = Counter(name for film in films if film.image_id in part_of for name in film.rows)
    assert sum(rows.values()) == 18
    with pytest.raises(DataError, match="needs 6 rows of ra 0, there are 2; use --mode clean"):
        published_split(films[:4], printed, 0)


def test_odd_counts_of_patients_with_equal_hands_miss_by_one_hand_and_not_by_more() -> None:
    classes_of = {f"p{n}": [str(n % 3)] * 2 for n in range(60)}
    wanted = {"train": {"0": 13, "1": 8, "2": 9}, "test": {"0": 5, "1": 4, "2": 3}}
    part_of = deal_whole_patients(classes_of, wanted, 0)
    counts = Counter((part, name) for patient, part in part_of.items() for name in classes_of[patient])
    for part, of_part in wanted.items():
        assert sum(counts[part, name] for name in of_part) == sum(of_part.values())
        assert max(abs(counts[part, name] - count) for name, count in of_part.items()) == 1
