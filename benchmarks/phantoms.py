"""Films drawn a second of one core's time: python benchmarks/phantoms.py [films]

Processor time, not the clock: on a shared machine the clock measures the neighbours.
"""

import statistics
import sys
import time

import cv2
import numpy as np

from rajobs.phantoms.films import sample_film


def rate(kind: str, size: str, films: int) -> float:
    """Films a second of processor time, on one thread: the median film's."""
    sample_film(np.random.default_rng(0), kind=kind, size=size)
    spent = []
    for seed in range(films):
        start = time.process_time()
        sample_film(np.random.default_rng(seed), kind=kind, size=size)
        spent.append(time.process_time() - start)
    return 1 / statistics.median(spent)


def main() -> None:
    """Prints a row a kind of film and size."""
    films = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    cv2.setNumThreads(1)
    print(f"{'film':<12}{'size':<8}films/s")
    for size in ("FULL", "SMALL"):
        for kind in ("unilateral", "both", "foot", "other"):
            print(f"{kind:<12}{size:<8}{rate(kind, size, films):.1f}")


if __name__ == "__main__":
    main()
