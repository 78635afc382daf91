"""Drawn Doppler scans: the pixels of the signal show the grade, and nothing else in the image does."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rajobs.phantoms.people.activity import joint_activity
from rajobs.phantoms.people.cohort import plan_patient
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.ultrasound.base_drawings import BASES, PUBLISHED_COUNTS, SPOT_GROUPS, bases_of_grade
from rajobs.phantoms.ultrasound.parameter_estimation import colour_mask, estimate_parameters, find_region
from rajobs.phantoms.ultrasound.scan_composition import Scan
from rajobs.phantoms.ultrasound.scans import draw_like, draw_scans, sample_scan, sample_scan_with_masks
from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges
from rajobs.records.statistics.count_statistics import kappa_linear

pytestmark = pytest.mark.slow
EACH = 24


def coloured(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask of the pixels on which power was painted."""
    red, green, blue = cv2.split(frame)
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(most, least) > 50, np.uint8)


def inside(scan: Scan) -> NDArray[np.uint8]:
    """Colour within the synovium of the first frame."""
    return np.asarray(cv2.bitwise_and(coloured(scan.frames[0]), scan.capsule), np.uint8)


def truth(picture: Picture, target: str = "grade") -> str | None:
    return next((t.value for t in picture.truths if t.target == target and t.reader == "truth"), None)


@pytest.fixture(scope="module")
def drawn() -> list[list[tuple[Picture, Scan]]]:
    """Pictures of every grade, with the masks of what was drawn."""
    return [
        [sample_scan_with_masks(np.random.default_rng([grade, number]), grade=grade) for number in range(EACH)]
        for grade in range(4)
    ]


def test_the_base_drawings_are_the_papers() -> None:
    assert len(BASES) == 17
    assert [len(bases_of_grade(number)) for number in range(4)] == [5, 4, 4, 4]
    assert sum(PUBLISHED_COUNTS) == 870
    assert {base.signal.groups for base in bases_of_grade(1)} <= set(SPOT_GROUPS)


def test_signal_follows_the_definition_of_its_grade(drawn: list[list[tuple[Picture, Scan]]]) -> None:
    shares: list[list[float]] = []
    for grade, scans in enumerate(drawn):
        signals = [inside(scan) for _, scan in scans]
        shares.append([np.count_nonzero(s) / np.count_nonzero(scan.capsule) for s, (_, scan) in zip(signals, scans)])
        if grade == 1:
            for signal, (_, scan) in zip(signals, scans):
                assert_spots(signal, scan)
    assert max(shares[0]) == 0
    assert min(shares[1]) > 0
    assert max(shares[2]) < 0.5 < min(shares[3])
    for lower, higher in pairwise(shares):
        assert np.median(lower) < np.median(higher)
        assert np.mean([low < high for low in lower for high in higher]) > 0.97


def assert_spots(signal: NDArray[np.uint8], scan: Scan) -> None:
    """The signal is up to three single spots, or one confluent and up to two single ones, or two confluent ones."""
    groups = sorted(int(count) for count in str(scan.details["groups"]).split())
    _, _, stats, _ = cv2.connectedComponentsWithStats(signal, connectivity=8)
    areas = sorted(stats[1:, cv2.CC_STAT_AREA])
    assert len(areas) == len(groups) <= 3
    assert tuple(sorted(groups, reverse=True)) in SPOT_GROUPS
    if groups[0] < groups[-1]:
        assert areas[-1] > 1.05 * areas[0], "a confluent spot is larger than a single spot of the same scan"


def test_vessels_of_higher_grades_branch(drawn: list[list[tuple[Picture, Scan]]]) -> None:
    """Strands have a much longer outline for their area than blobs."""

    def outline(scan: Scan) -> float:
        signal = np.asarray(scan.signal, np.uint8)
        contours, _ = cv2.findContours(signal, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        return sum(cv2.arcLength(c, True) for c in contours) / np.sqrt(4 * np.pi * np.count_nonzero(signal))

    assert np.median([outline(scan) for _, scan in drawn[2]]) > 3


def test_nothing_outside_the_synovium_reveals_the_grade(drawn: list[list[tuple[Picture, Scan]]]) -> None:
    boxes, grades, greys, text, stray, light = [], [], [], [], [], []
    for grade, scans in enumerate(drawn):
        for picture, scan in scans:
            assert picture.region is not None and scan.box is not None
            x0, y0, x1, y1 = picture.region
            left, top, right, bottom = scan.box
            assert x0 <= left < right <= x1 and y0 <= top < bottom <= y1
            rows, columns = np.nonzero(inside(scan))
            assert not len(rows) or (rows.min() > top and rows.max() < bottom)
            assert not len(rows) or (columns.min() > left and columns.max() < right)
            region = scan.frames[0][y0 : y1 + 1, x0 : x1 + 1]
            near = cv2.dilate(scan.capsule, np.ones((7, 7), np.uint8))[y0 : y1 + 1, x0 : x1 + 1]
            boxes.append((right - left, bottom - top, (right - left) * (bottom - top)))
            grades.append(grade)
            greys.append(int(truth(picture, "grey_grade") or 0))
            text.append(float(scan.frames[0].sum(dtype=np.int64) - region.sum(dtype=np.int64)))
            stray.append(float((coloured(region)[near == 0]).any()))
            light.append(scan.frames[0][y0 + 10 : y0 + 40, x0 + 10 : x1 - 10].mean())
    bound = 3 / np.sqrt(len(grades))  # three standard errors of no correlation
    sizes = np.array(boxes, float)
    assert all(sizes.std(axis=0) > 0.1 * sizes.mean(axis=0)), "operators differ"
    for measure in (*sizes.T, text, stray, light):
        for label in (grades, greys):
            assert abs(np.corrcoef(measure, label)[0, 1]) < bound
    assert 0.2 < np.mean(stray[:EACH]) < 1, "colour outside the synovium occurs at grade 0 as well"


def test_a_loop_pulses_moves_and_keeps_its_grade() -> None:
    for grade in range(4):
        _, scan = sample_scan_with_masks(np.random.default_rng(grade), grade=grade, frames=8)
        moved = [cv2.dilate(scan.capsule, np.ones((9, 9), np.uint8)) > 0] * 8
        areas = [int(coloured(frame)[near].sum()) for frame, near in zip(scan.frames, moved)]
        assert not np.array_equal(scan.frames[0], scan.frames[3])
        if grade == 0:
            continue
        assert min(areas) > 0.3 * max(areas)
        assert areas[4] < areas[0]
        share = areas[4] / np.count_nonzero(scan.capsule)
        assert grade != 3 or share > 0.5
        assert grade != 2 or 0.1 < share < 0.5


@pytest.mark.parametrize("number", range(4))
def test_a_scan_carries_its_truth_and_its_region(number: int) -> None:
    scan = sample_scan(np.random.default_rng(number), grade=number)
    again = sample_scan(np.random.default_rng(number), grade=number)
    assert truth(scan) == str(number)
    assert scan.frames[0].shape == (480, 640, 3)
    assert all(np.array_equal(one, other) for one, other in zip(scan.frames, again.frames))
    assert scan.region is not None
    outside = scan.frames[0].copy()
    x0, y0, x1, y1 = scan.region
    outside[y0 : y1 + 1, x0 : x1 + 1] = 0
    assert outside.any(), "text and colour bar lie outside the region, as on a real machine"


def test_a_cohorts_scans_have_the_clinics_grades() -> None:
    seed, plain, loops = 3, 0, 0
    scans = list(draw_scans(patients=6, seed=seed))
    assert {scan.patient.number for scan in scans} == set(range(6))
    for scan in scans:
        plan = tuple(plan_patient(scan.patient.number, seed=seed, difficulty="standard"))
        joint = str(scan.truths[0].side), str(scan.truths[0].site)
        grey, doppler = joint_activity(plan, scan.visit)[joint]
        assert scan.taken in {film.taken for film in plan if film.visit == scan.visit}
        assert truth(scan, "grey_grade") == str(grey)
        assert truth(scan) in (str(doppler), None)
        plain += truth(scan) is None
        loops += len(scan.frames) > 1
        assert (truth(scan) is None) == (scan.details["colours"] == "")
    assert plain and loops, "grey scans and loops occur"


def test_without_stray_colour_a_scan_of_grade_0_has_no_colour() -> None:
    clean = VariationRanges(specks=0, feeding_vessels=0, annotated=0)
    _, scan = sample_scan_with_masks(np.random.default_rng(1), grade=0, ranges=clean)
    assert not colour_mask(scan.frames[0][100:350, 80:560]).any()


def blanked(picture: Picture) -> NDArray[np.uint8]:
    """The first frame as ingest stores it: black around the region."""
    assert picture.region is not None
    x0, y0, x1, y1 = picture.region
    frame = np.zeros_like(picture.frames[0], np.uint8)
    frame[y0 : y1 + 1, x0 : x1 + 1] = picture.frames[0][y0 : y1 + 1, x0 : x1 + 1]
    return frame


def test_a_drawing_like_another_keeps_its_signal_and_its_depth(drawn: list[list[tuple[Picture, Scan]]]) -> None:
    sources = [scans[number] for scans in drawn for number in range(5)]
    before, after = [], []
    for number, (picture, _) in enumerate(sources):
        grade = int(truth(picture) or 0)
        made = draw_like(blanked(picture), np.random.default_rng(number), derived_from="an image", grade=grade)
        assert made.derived_from == "an image"
        assert truth(made) == str(grade)
        assert made.frames[0].shape == picture.frames[0].shape
        for scan, measures in ((picture, before), (made, after)):
            measures.append((float(scan.details["signal_px"]) ** 0.5, float(scan.details["head_px"])))
    for of_sources, of_drawings in zip(np.array(before).T, np.array(after).T):
        assert np.corrcoef(of_sources, of_drawings)[0, 1] > 0.8


def test_an_image_of_any_size_can_be_modelled() -> None:
    picture = sample_scan(np.random.default_rng(8), grade=3, size=(768, 1024))
    assert picture.region is not None
    assert np.abs(np.array(find_region(blanked(picture))) - picture.region).max() <= 3
    assert np.abs(np.array(find_region(picture.frames[0].astype(np.uint8))) - picture.region).max() <= 3
    drawing, machine = estimate_parameters(blanked(picture))
    assert drawing.grade == 3
    assert machine.colours == picture.details["colours"]
    for empty in (np.zeros((300, 200, 3), np.uint8), np.full((40, 50, 3), 90, np.uint8)):
        assert draw_like(empty, np.random.default_rng(0), derived_from="x").truths


def test_two_readers_grade_each_scan_and_differ_as_readers_do() -> None:
    grades: dict[str, list[int]] = {name: [] for name in ("truth", "reader1", "reader2")}
    for scan in draw_scans(patients=20, seed=1):
        for label in scan.truths:
            grades[label.reader].append(int(label.value))
    true, first, second = (np.array(grades[name]) for name in grades)
    assert len(true) == len(first) == len(second) and not np.array_equal(first, second)
    for reader in (first, second):
        matrix = np.bincount(4 * true + reader, minlength=16).reshape(4, 4)
        assert 0.68 < kappa_linear(matrix) < 0.92
