"""Grey values to brightness."""

import numpy as np
import pytest

from rajobs.imaging.windowing import to_bytes


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_joint_has_the_same_shades_as_its_film(kind: type[np.unsignedinteger]) -> None:
    """A large array goes through a lookup table and a small one does not, with the same result."""
    top = int(np.iinfo(kind).max)
    film = np.random.default_rng(0).integers(0, top + 1, (300, 300)).astype(kind)
    window = (top / 2, top / 3)
    shown = to_bytes(film, window)
    assert (to_bytes(film[40:50, 60:70], window) == shown[40:50, 60:70]).all()
    assert shown.min() == 0 and shown.max() == 255 and shown.dtype == np.uint8
    expected = np.clip((film.astype(float) - (window[0] - 0.5 - (window[1] - 1) / 2)) * 255 / (window[1] - 1), 0, 255)
    assert np.abs(shown - expected).max() <= 0.51
