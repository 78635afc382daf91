"""Checks the scans of an 8-bit JPEG: on damage libjpeg, which all decoders here use, guesses and prints a warning.

The warning reaches nothing but standard error, and only through OpenCV. So the JPEG is decoded a second time with it,
at an eighth of the size, which reads every code but computes few pixels.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from rajobs.records.errors import Reject

_WARNINGS = (b"Corrupt JPEG data", b"Premature end of JPEG")


def check_jpeg_scans(data: bytes) -> None:
    """Reject a JPEG that libjpeg warns about."""
    import cv2

    with _capture_stderr() as file:
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        file.seek(0)
        printed = file.read()
    if any(warning in printed for warning in _WARNINGS):
        raise Reject("corrupt", "decode", "JPEG scan")


@contextmanager
def _capture_stderr() -> Iterator[BinaryIO]:
    """Write the process's standard error to a file; for the decoder process, which has one thread."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
