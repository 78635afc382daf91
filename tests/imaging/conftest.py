"""Fixtures of the imaging tests."""

from pathlib import Path

import pytest

from rajobs.imaging.sandbox import Decoder

REAL = Path(__file__).parents[3] / "shared" / "data" / "dicom"


@pytest.fixture(scope="session")
def real_files():
    """The real files, which may lie next to the repository, by name; without them their tests are skipped."""
    if not REAL.is_dir():
        pytest.skip("no real files here")
    return {path.stem: path.read_bytes() for path in sorted(REAL.glob("*.dcm"))}


@pytest.fixture(scope="session")
def decoder():
    with Decoder() as shared:
        yield shared
