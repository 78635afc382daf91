from importlib import resources

import cv2
import numpy as np
import pytest

from rajobs.reports.sheet.examples import PICTURE, ROWS, SIDE, SITES, draw_picture


def stored() -> np.ndarray:
    data = resources.files("rajobs.reports.sheet").joinpath(PICTURE).read_bytes()
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_the_picture_has_a_tile_for_each_score_of_each_site() -> None:
    assert stored().shape == (SIDE * len(ROWS), SIDE * len(SITES), 3)


@pytest.mark.long
def test_the_examples_in_the_package_are_what_is_drawn_today() -> None:
    drawn = cv2.imdecode(np.frombuffer(draw_picture(), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(drawn.astype(float) - stored()).mean() < 1, "run `python -m rajobs.reports.sheet.examples`"
