"""Counts drawn grey scans with coloured annotations that pass for Doppler, and drawn scans of little flow that do not.

    python benchmarks/recipes/doppler_flag.py [--scans 300] [--seed 1] [--real FOLDER]

Annotations are letters, callipers, arrows, rulers, body marks, palettes, outlines and logos; one to four kinds a scan.
Each scan is looked at as drawn, smaller, larger, and after JPEG compression, as pictures of figures are. FOLDER holds
`views.csv` (columns `image` and `view`, of which ultrasound_grey and ultrasound_doppler count) and `films/`.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.formats.doppler_colour import has_doppler_colour
from rajobs.imaging.formats.ultrasound_regions import blank_outside
from rajobs.phantoms.ultrasound.scans import sample_scan_with_masks
from rajobs.phantoms.ultrasound.variation_ranges import ranges_of_difficulty

Frame = NDArray[np.uint8]
SETS: Mapping[str, tuple[int, bool, float, bool]] = {
    "grey, annotated": (0, True, 1.0, False),
    "grey, bare": (0, True, 0.0, False),
    "grade 1, annotated": (1, False, 1.0, True),
    "grade 1, bare": (1, False, 0.0, True),
    "grade 2": (2, False, 0.5, True),
    "grade 3": (3, False, 0.5, True),
}
"""Grade, whether the scan is grey, the share of annotated scans, and whether there is flow to be seen."""


def compress(frame: Frame, quality: int) -> Frame:
    _, packed = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def scale(frame: Frame, factor: float) -> Frame:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=method), np.uint8)


LOOKS: Mapping[str, Callable[[Frame], Frame]] = {
    "as drawn": lambda frame: frame,
    "x 0.7": lambda frame: scale(frame, 0.7),
    "x 1.6": lambda frame: scale(frame, 1.6),
    "JPEG 90": lambda frame: compress(frame, 90),
    "JPEG 60": lambda frame: compress(frame, 60),
}


def drawn_frames(name: str, count: int, seed: int) -> Iterator[Frame]:
    """Frames of a set as ingest keeps them."""
    grade, grey_only, annotated, _ = SETS[name]
    for number in range(count):
        difficulty = ("easy", "standard", "hard")[number % 3]
        ranges = replace(ranges_of_difficulty(difficulty), annotated=annotated)
        rng = np.random.default_rng([seed, list(SETS).index(name), number])
        picture, _ = sample_scan_with_masks(rng, grade=grade, difficulty=difficulty, ranges=ranges, grey_only=grey_only)
        assert picture.region is not None
        yield blank_outside(picture.frames[0].astype(np.uint8), (picture.region,))


def count_drawn(scans: int, seed: int) -> None:
    print(f"{'wrong of ' + str(scans):20}" + "".join(f"{look:>12}" for look in LOOKS))
    for name, (*_, is_flow) in SETS.items():
        wrong = dict.fromkeys(LOOKS, 0)
        for frame in drawn_frames(name, scans, seed):
            for look, change in LOOKS.items():
                wrong[look] += has_doppler_colour(change(frame)) != is_flow
        print(f"{name:20}" + "".join(f"{count:12}" for count in wrong.values()), flush=True)
    frames = list(drawn_frames("grade 1, annotated", 50, seed))
    start = time.perf_counter()
    for frame in frames:
        has_doppler_colour(frame)
    print(f"{1000 * (time.perf_counter() - start) / len(frames):.1f} ms a frame of 480 x 640")


def count_real(folder: Path) -> None:
    with (folder / "views.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["view"].startswith("ultrasound_")]
    right = 0
    for row in rows:
        picture = cv2.imread(str(folder / "films" / row["image"]), cv2.IMREAD_COLOR)
        assert picture is not None, row["image"]
        is_right = has_doppler_colour(np.asarray(picture[..., ::-1], np.uint8)) == (row["view"] == "ultrasound_doppler")
        right += is_right
        if not is_right:
            print(f"wrong: {row['image']} is {row['view']}")
    print(f"right: {right} of {len(rows)} real scans (a development figure)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=300, help="drawn scans of each set")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path)
    args = parser.parse_args()
    count_drawn(args.scans, args.seed)
    if args.real is not None:
        count_real(args.real)


if __name__ == "__main__":
    main()
