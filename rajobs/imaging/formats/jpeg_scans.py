"""Whether the scans of an 8-bit JPEG are sound: the library behind every decoder here guesses on and prints a warning.

Nothing but its standard error tells; OpenCV lets the warning through. The decoding is a second one at an eighth of the
size, which reads every code but computes few pixels.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from rajobs.records.errors import Reject

_COMPLAINTS = (b"Corrupt JPEG data", b"Premature end of JPEG")


def check(data: bytes) -> None:
    """Reject a JPEG that libjpeg complains of."""
    import cv2

    with _captured() as file:
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        file.seek(0)
        said = file.read()
    if any(complaint in said for complaint in _COMPLAINTS):
        raise Reject("corrupt", "decode", "JPEG scan")


@contextmanager
def _captured() -> Iterator[BinaryIO]:
    """The process's standard error in a file; for the decoding child, which has one thread."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(kept, 2)
            os.close(kept)
