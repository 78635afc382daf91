from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest

from rajobs.imaging.rows import Row
from rajobs.jobs.sheet.plan import MOST_TOGETHER, Subject, assign_readers, cases_of, plan_rows

DAY = date(2001, 5, 4)


def hand(image: str, side: str, days: int | None, part: str = "hand") -> Subject:
    day = None if days is None else DAY + timedelta(days=days)
    return Subject(
        image_id=image, patient="p", day=day, part=part, side=side, row=Row(image_id=image, at=0), frames=(image,)
    )


@pytest.mark.parametrize(("readers", "share"), [("ab", 0.2), ("abc", 0.5), ("ab", 1.0), ("a", 0.0)])
def test_the_share_is_read_twice_spread_evenly_and_readers_have_equal_work(readers: str, share: float) -> None:
    patients = [f"p{number:02}" for number in range(60)]
    by_reader = assign_readers(patients, list(readers), share)
    times = Counter(patient for of_reader in by_reader.values() for patient in of_reader)
    twice = [number for number, patient in enumerate(patients) if times[patient] == 2]
    assert set(times) == set(patients) and set(times.values()) <= {1, 2} and len(twice) == round(60 * share)
    counts = [len(of_reader) for of_reader in by_reader.values()]
    assert max(counts) - min(counts) <= 1
    assert all(of_reader == sorted(of_reader) for of_reader in by_reader.values()), "the order stays"
    if share == 0.2:
        assert {after - before for before, after in pairwise(twice)} == {5}


def test_a_hand_s_visits_are_read_together_in_order_and_told_by_days() -> None:
    subjects = [hand("c", "R", 400), hand("a", "R", 0), hand("b", "L", 0), hand("d", "R", 400)]
    left, right = cases_of(subjects, noun="hand", blind=False)
    assert (left.what, left.titles) == ("left hand", ("",))
    assert [subject.image_id for subject in right.subjects] == ["a", "c", "d"]
    assert right.titles == ("day 0", "day 400", "day 400, film 2")


def test_blind_visits_are_shuffled_always_alike_and_no_day_is_told() -> None:
    orders = set()
    for patient in "klmno":
        subjects = [hand(f"{patient}{number}", "R", 100 * number) for number in range(4)]
        (case,) = cases_of(subjects, noun="hand", blind=True)
        (again,) = cases_of(subjects[::-1], noun="hand", blind=True)
        assert case == again and case.titles == ("film A", "film B", "film C", "film D")
        orders.add(tuple(subject.image_id[1] for subject in case.subjects))
    assert len(orders) > 2


def test_many_visits_become_several_cases_whose_days_count_from_the_first() -> None:
    subjects = [hand(f"i{number}", "R", 10 * number) for number in range(MOST_TOGETHER + 1)]
    cases = cases_of(subjects, noun="hand", blind=False)
    assert [case.titles for case in cases] == [("day 0", "day 10", "day 20"), ("day 30", "day 40")]


def test_films_without_a_day_have_no_order() -> None:
    (case,) = cases_of([hand("a", "R", None), hand("b", "R", 5)], noun="hand", blind=False)
    assert case.titles == ("film A", "film B")


def test_the_plan_says_who_else_reads_what() -> None:
    cases = cases_of([hand("a", "R", 0)], noun="hand", blind=False)
    rows = plan_rows({"anna": [("anna-1.html", cases)], "ben": [("ben-1.html", cases)]})
    assert [(row["reader"], row["image_id"], row["also_read_by"]) for row in rows] == [
        ("anna", "a", "ben"),
        ("ben", "a", "anna"),
    ]
