"""Milliseconds of one core's time that a clinical picture takes: python benchmarks/clinic.py [pictures]

Processor time, not the clock: on a shared machine the clock measures the neighbours.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import cv2

from rajobs.imaging.clinical import clinical, picture
from rajobs.imaging.rows import Finding, Row
from rajobs.phantoms.clinic import draw_clinic

SIZES = (96, 224, 227)


def main() -> None:
    """Prints a row for the picture itself and one for each size that a network takes it at."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    cv2.setNumThreads(1)
    visits = [dict(row.values) for row in draw_clinic(patients=count, seed=0)][:count]
    ask = partial(clinical, row=Row(image_id="", at=0), shows="all", acpa="as_is", missing="own")
    print(f"{'picture':<12}{'median ms':>10}{'95 of 100':>11}")
    print(f"{'871x494':<12}{timed(picture, visits)}")
    for size in SIZES:
        print(f"{f'{size}x{size}':<12}{timed(partial(ask, size=size), visits)}")


def timed(draw: Callable[[Mapping[str, Finding]], object], visits: Sequence[Mapping[str, Finding]]) -> str:
    """The median one's milliseconds, and those that 95 of 100 stay below."""
    draw(visits[0])
    spent = []
    for findings in visits:
        start = time.process_time()
        draw(findings)
        spent.append(1000 * (time.process_time() - start))
    return f"{statistics.median(spent):>10.2f}{statistics.quantiles(spent, n=20)[-1]:>11.2f}"


if __name__ == "__main__":
    main()
