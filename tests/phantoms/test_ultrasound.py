"""Drawn Doppler scans: their truth can be measured from their pixels."""

import numpy as np
import pytest

from rajobs.phantoms.picture import Picture
from rajobs.phantoms.ultrasound import draw_scans, like, sample_scan
from rajobs.phantoms.ultrasound_drawings import BASES, PUBLISHED_COUNTS, bases


def signal(picture: Picture) -> int:
    """Coloured pixels of the first frame, within the region."""
    assert picture.region is not None
    x0, y0, x1, y1 = picture.region
    frame = picture.frames[0][y0 : y1 + 1, x0 : x1 + 1].astype(int)
    return int(np.sum(frame.max(axis=2) - frame.min(axis=2) > 40))


def grade(picture: Picture) -> str:
    (found,) = {truth.value for truth in picture.truths if truth.target == "grade" and truth.reader == "truth"}
    return found


def test_the_base_drawings_are_the_papers() -> None:
    assert len(BASES) == 17
    assert [len(bases(number)) for number in range(4)] == [5, 4, 4, 4]
    assert sum(PUBLISHED_COUNTS) == 870


def test_the_vascular_area_rises_with_the_grade() -> None:
    areas = [
        [signal(sample_scan(np.random.default_rng(100 * number + n), grade=number)) for n in range(8)]
        for number in range(4)
    ]
    assert max(areas[0]) == 0
    assert min(areas[1]) > 0
    assert max(areas[1]) < min(areas[2])
    assert np.median(areas[2]) < np.median(areas[3])


@pytest.mark.parametrize("number", range(4))
def test_a_scan_carries_its_truth_and_its_region(number: int) -> None:
    scan = sample_scan(np.random.default_rng(number), grade=number)
    again = sample_scan(np.random.default_rng(number), grade=number)
    assert grade(scan) == str(number)
    assert scan.frames[0].shape == (480, 640, 3)
    assert all(np.array_equal(one, other) for one, other in zip(scan.frames, again.frames))
    assert scan.region is not None
    outside = scan.frames[0].copy()
    x0, y0, x1, y1 = scan.region
    outside[y0 : y1 + 1, x0 : x1 + 1] = 0
    assert outside.any(), "text and colour bar stand outside the region, as a scanner's do"


def test_a_cohorts_scans_are_of_its_patients() -> None:
    scans = list(draw_scans(patients=4, seed=3))
    assert {scan.patient.number for scan in scans} <= set(range(4))
    assert {grade(scan) for scan in scans} <= set("0123")
    assert len(scans) >= 4


def test_a_drawing_like_another_keeps_its_grade_and_tells_its_lineage() -> None:
    source = sample_scan(np.random.default_rng(5), grade=3)
    drawn = like(source.frames[0], np.random.default_rng(6), derived_from="an image", grade=3)
    assert drawn.derived_from == "an image"
    assert grade(drawn) == "3"
    assert abs(signal(drawn) - signal(source)) < signal(source)
