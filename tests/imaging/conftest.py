"""What the imaging tests share."""

from pathlib import Path

import pytest

from rajobs.imaging.sandbox import Decoder

REAL = Path(__file__).parents[3] / "shared" / "data" / "dicom"


@pytest.fixture(scope="session")
def real_files():
    """The real files beside the repository, by name; the tests that look at them are left out where there are none."""
    if not REAL.is_dir():
        pytest.skip("no real files here")
    return {path.stem: path.read_bytes() for path in sorted(REAL.glob("*.dcm"))}


@pytest.fixture(scope="session")
def decoder():
    with Decoder() as living:
        yield living
