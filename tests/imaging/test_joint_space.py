"""The joint space is measured on drawings of two arcs with a known gap, and left out where there is none to measure.

Both bones are round along the beam: their brightness begins with the root of the depth, as that of every round body.
"""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import JOINT_SIDE
from rajobs.imaging.joint_space.measure import JointSpace, measure_joint_space, share_of_metacarpal
from rajobs.imaging.rows import Row

UNIT = 240.0  # pixels of MCP3-PIP3
ROUND = 0.24  # radius of the head, in units
HALF = 0.12  # half the width of the bones
SIZE = (300, 400)  # columns and rows of the film
MIDDLE = np.array([150.0, 190.0])  # of the joint


def row(*, site: str = "MCP3", at: NDArray[np.float64] = MIDDLE, angle: float = 0.0, unit: float = UNIT) -> Row:
    half = unit * JOINT_SIDE / 2
    return Row(
        image_id="i", at=0, site=site, side="R", box=(at[0] - half, at[1] - half, at[0] + half, at[1] + half),
        angle=angle,
    )  # fmt: skip


def rising(depth: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """From 0 at the surface of a round body to 1 at this depth."""
    share: NDArray[np.float64] = np.sqrt(np.clip(depth / whole, 0, 1))
    return share


@cache
def film(
    gap: float, *, angle: float = 0.0, aside: float = 0.0, lip: float = 0.012, growth_plate: bool = False,
    noise: float = 0.01, blur: float = 1.0, unit: float = UNIT,
) -> NDArray[np.uint16]:  # fmt: skip
    """A round head and a base around it, `gap` pixels apart in the middle, in 12 bits.

    `aside` moves the base across by units, so that the space is a wedge. `lip` is how far the rim of the base reaches
    over the space, and `growth_plate` puts a dark band into the base, as in a child.
    """
    finer = 3
    columns, rows = np.meshgrid(np.arange(SIZE[0] * finer), np.arange(SIZE[1] * finer))
    across, down = ((grid + 0.5) / finer - 0.5 - at for grid, at in ((columns, MIDDLE[0]), (rows, MIDDLE[1])))
    turn = np.deg2rad(angle)
    x = (across * np.cos(turn) + down * np.sin(turn)) / unit
    y = (down * np.cos(turn) - across * np.sin(turn)) / unit
    share = gap / unit
    head = ROUND - np.hypot(x, y - ROUND - share / 2)  # depth below the surface
    base = np.hypot(x - aside, y - ROUND - share / 2) - ROUND - share
    light = 0.20 + 0.12 * (np.abs(x) < 0.24)
    in_head = (np.abs(x) < HALF) & (y > -ROUND / 2)
    light += 0.3 * rising(np.where(y > ROUND + share / 2, 1.0, head), 0.03) * in_head
    in_base = (np.abs(x) < HALF) & (y < ROUND / 2)
    light += (0.25 + 0.3 * (1 - rising(base, 0.04))) * ((base > 0) & in_base)
    light += 0.55 * (1 - rising(-base, lip)) * ((base <= 0) & in_base)
    if growth_plate:
        light[(np.abs(y + 0.09) < 0.012) & in_base] = 0.32
    small = cv2.resize(light.astype(np.float32), SIZE, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), blur)
    small = small + np.random.default_rng(0).normal(0, noise, small.shape)
    return np.clip(small * 4095, 0, 4095).astype(np.uint16)


def measured(pixels: NDArray[np.uint16], joint: Row) -> JointSpace:
    space = measure_joint_space(pixels, joint)
    assert space is not None
    return space


@pytest.mark.parametrize(("gap", "angle"), [(5.0, 0.0), (8.0, 90.0), (12.0, 200.0), (20.0, 334.0)])
def test_a_known_gap_is_measured_below_a_pixel(gap: float, angle: float) -> None:
    space = measured(film(gap, angle=angle), row(angle=angle))
    assert space.mean_px == pytest.approx(gap, abs=0.5)
    assert space.least_px == pytest.approx(gap, abs=0.8)
    assert space.confidence > 0.5


def test_both_contours_lie_on_the_bones_edges() -> None:
    space = measured(film(12.0, angle=30.0), row(angle=30.0))
    up = np.array([np.sin(np.deg2rad(30.0)), -np.cos(np.deg2rad(30.0))])
    centre = MIDDLE - up * (ROUND * UNIT + 6.0)  # of both arcs: below the middle of the space
    for line, radius in ((space.head, ROUND * UNIT), (space.base, ROUND * UNIT + 12.0)):
        away = np.hypot(*(line - centre).T)
        assert np.abs(away - radius).max() < 0.8
        assert np.abs(away - radius).mean() < 0.4


@pytest.mark.parametrize("place", [(0.07, 0.0), (-0.07, 0.05), (0.0, -0.07), (0.05, 0.06)])
@pytest.mark.parametrize("off", [-15.0, 15.0])
def test_place_and_angle_are_corrected_by_the_picture(place: tuple[float, float], off: float) -> None:
    joint = row(at=MIDDLE + np.array(place) * UNIT, angle=off)
    assert measured(film(12.0), joint).mean_px == pytest.approx(12.0, rel=0.06)


def test_a_growth_plate_beside_the_joint_is_not_measured() -> None:
    for place in (0.0, -0.04, 0.06):
        joint = row(at=MIDDLE + np.array([0.0, place * UNIT]))
        assert measured(film(16.0, growth_plate=True), joint).mean_px == pytest.approx(16.0, rel=0.06)


def test_the_seam_of_a_lip_over_the_space_does_not_narrow_it() -> None:
    assert measured(film(14.0, lip=0.02), row()).mean_px == pytest.approx(14.0, rel=0.1)


def test_the_least_width_of_a_wedge_is_less_than_its_mean() -> None:
    wedge = measured(film(12.0, aside=0.04), row())
    assert wedge.least_px < 0.92 * wedge.mean_px


def test_noise_moves_the_width_little() -> None:
    assert measured(film(12.0, noise=0.03), row()).mean_px == pytest.approx(12.0, rel=0.08)


def test_depth_and_exposure_of_the_film_do_not_matter() -> None:
    deep = film(12.0)
    width = measured(deep, row()).mean_px
    shallow = (deep / 16).astype(np.uint8)
    bright = ((deep / 4095) ** 0.7 * 4095).astype(np.uint16)
    assert measure_joint_space(shallow, row()) is not None
    for other in (shallow, bright):
        space = measure_joint_space(other, row())
        assert space is not None and space.mean_px == pytest.approx(width, rel=0.03)


def test_a_closed_space_is_not_measured() -> None:
    for gap in (0.0, -6.0):
        space = measure_joint_space(film(gap), row())
        assert space is None or space.confidence < 0.5


def test_a_space_about_as_narrow_as_the_blur_is_not_trusted() -> None:
    for gap in (1.0, 2.0, 3.0):
        space = measure_joint_space(film(gap, blur=2.5), row())
        assert space is None or space.confidence < 0.5


def test_where_there_is_no_joint_nothing_is_measured() -> None:
    grey = np.random.default_rng(1).normal(2000, 100, SIZE[::-1]).astype(np.uint16)
    shaft = film(12.0)
    for pixels, joint in (
        (grey, row()),
        (np.full_like(grey, 1000), row()),
        (shaft, row(at=MIDDLE + np.array([0.0, 0.45 * UNIT]))),
        (shaft, row(at=np.array([-20.0, 30.0]))),
    ):
        space = measure_joint_space(pixels, joint)
        assert space is None or space.confidence < 0.5


def test_a_joint_that_the_film_s_edge_cuts_is_not_measured() -> None:
    pixels = film(12.0)
    cut = pixels[:, : round(MIDDLE[0] + 0.02 * UNIT)]
    assert measure_joint_space(np.ascontiguousarray(cut), row()) is None


def test_confidence_falls_with_resolution() -> None:
    fine, coarse = measured(film(12.0), row()), film(12.0)
    shrunk = cv2.resize(coarse, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    small = row(at=(MIDDLE + 0.5) * 0.2 - 0.5, unit=UNIT * 0.2)
    space = measure_joint_space(np.asarray(shrunk), small)
    assert space is None or space.confidence < 0.6 * fine.confidence


def test_only_joints_of_two_bones_in_a_grey_film_are_measured() -> None:
    pixels = film(12.0)
    assert measure_joint_space(pixels, row(site="STT")) is None
    assert measure_joint_space(pixels, row(site="IP")) is None
    assert measure_joint_space(pixels, replace(row(), box=None)) is None
    assert measure_joint_space(np.repeat(pixels[..., None], 3, axis=2), row()) is None


def test_a_width_is_a_share_of_the_middle_finger_s_length() -> None:
    assert share_of_metacarpal(12.0, row()) == pytest.approx(12.0 / UNIT)


def test_a_sesamoid_over_the_head_is_not_taken_for_its_outline() -> None:
    clear = film(12.0)
    for depth in (20, 26, 34):
        covered = clear.astype(np.float32)
        cv2.circle(covered, (145, 196 + depth), 11, 3600.0, -1, cv2.LINE_AA)
        space = measure_joint_space(cv2.GaussianBlur(covered, (0, 0), 1.0).astype(np.uint16), row())
        assert space is None or space.confidence < 0.5 or space.mean_px == pytest.approx(12.0, rel=0.1)
