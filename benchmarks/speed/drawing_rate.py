"""Measures how many films and scans one core draws per second.

    python benchmarks/speed/drawing_rate.py [FILMS]

It counts processor time, because on a shared machine the wall clock depends on what else runs.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from rajobs.phantoms.radiographs.films import sample_film
from rajobs.phantoms.ultrasound.scans import sample_scan


def rate(draw: Callable[[int], object], count: int) -> float:
    """Drawings per second of processor time on one thread, from the median drawing."""
    draw(0)
    spent = []
    for seed in range(count):
        start = time.process_time()
        draw(seed)
        spent.append(time.process_time() - start)
    return 1 / statistics.median(spent)


def main() -> None:
    """Print one row per kind and size of film, and one row for scans."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    cv2.setNumThreads(1)
    print(f"{'picture':<12}{'size':<9}per second")
    for size in ("FULL", "SMALL"):
        for kind in ("unilateral", "both", "foot", "other"):
            print(f"{kind:<12}{size:<9}{rate(partial(film, kind, size), count):.1f}")
    print(f"{'scan':<12}{'480x640':<9}{rate(scan, count):.1f}")


def film(kind: str, size: str, seed: int) -> None:
    """Draw one film."""
    sample_film(np.random.default_rng(seed), kind=kind, size=size)


def scan(seed: int) -> None:
    """Draw one ultrasound frame, with the grades in turn."""
    sample_scan(np.random.default_rng(seed), grade=seed % 4)


if __name__ == "__main__":
    main()
