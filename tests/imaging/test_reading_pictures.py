import zlib

import numpy as np
import pytest

from rajobs.imaging import rows as row_kinds
from rajobs.imaging.extremities import move_points
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.reading_pictures import LONGEST, joint_places, joint_side, pack, upright_hand, whole_film
from rajobs.imaging.rows import Row

RNG = np.random.default_rng(0)
HAND = {"MCP2": (420.0, 700.0), "MCP3": (500.0, 690.0), "PIP3": (505.0, 480.0), "PIP2": (410.0, 500.0)}


def unpack(data: bytes, rows: int, columns: int) -> np.ndarray:
    """As the page does it (picture.js)."""
    planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, rows, columns).astype(np.int64)
    folded = planes[0] | planes[1] << 8
    difference, values = (folded >> 1) ^ -(folded & 1), np.zeros((rows, columns), np.int64)
    for row in range(rows):
        for column in range(columns):
            left = values[row, column - 1] if column else None
            above = values[row - 1, column] if row else None
            known = [value for value in (left, above) if value is not None]
            values[row, column] = ((sum(known) // len(known) if known else 0) + difference[row, column]) % 65_536
    return values


@pytest.mark.parametrize("highest", [2, 255, 4096, 65_536])
def test_a_packed_picture_is_the_same_to_the_last_bit(highest: int) -> None:
    pixels = RNG.integers(0, highest, (23, 31)).astype(np.uint16 if highest > 256 else np.uint8)
    assert np.array_equal(unpack(pack(pixels), 23, 31), pixels)


def turned(angle: float) -> tuple[np.ndarray, Row]:
    """A film with a bright dot at each joint of a hand that is turned clockwise, and the hand's row."""
    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    film = np.zeros((1400, 1300), np.uint16)
    places = []
    for site, at in HAND.items():
        x, y = matrix @ (np.array(at) - 600) + 620
        film[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3] = 4000
        places.append(Position(site=site, side="L", x=float(x), y=float(y)))
    return film, row_kinds.EXTREMITIES.cut("i", 0, places)[0]


@pytest.mark.parametrize("angle", [0.0, 8.0, 35.0, 90.0, 180.0])
def test_joints_lie_in_the_picture_where_the_film_shows_them_and_fingers_point_up(angle: float) -> None:
    film, row = turned(angle)
    picture = upright_hand(film, row)
    places = joint_places(row, picture)
    assert places["PIP3"][1] < places["MCP3"][1] - 150, "fingers up"
    assert places["MCP2"][0] < places["MCP3"][0], "a left hand is not mirrored"
    for site, (x, y) in places.items():
        assert picture.pixels[round(y), round(x)] > 1000, site
        back = move_points(np.array([[x, y]]), picture.to_film)[0]
        joint = next(joint for joint in row.joints if joint.site == site)
        assert joint.box is not None
        assert back == pytest.approx(((joint.box[0] + joint.box[2]) / 2, (joint.box[1] + joint.box[3]) / 2), abs=0.01)


def test_a_hand_that_lies_nearly_straight_keeps_its_pixels() -> None:
    film, row = turned(8.0)
    picture = upright_hand(film, row)
    assert np.array_equal(picture.to_film[:, :2], np.eye(2)) and set(np.unique(picture.pixels)) == {0, 4000}
    assert joint_side(row) > 50


def test_a_large_film_is_shrunk_and_its_places_stay_true() -> None:
    film = np.zeros((4000, 3000), np.uint16)
    film[2000:2010, 1000:1010] = 900
    picture = whole_film(film, LONGEST)
    assert picture.pixels.shape == (LONGEST, 1200)
    (row, column), *_ = np.argwhere(picture.pixels == picture.pixels.max())
    assert move_points(np.array([[column, row]], float), picture.to_film)[0] == pytest.approx((1004.5, 2004.5), abs=4)
