"""Measures how often names that are burned into films are found, what is blanked or rejected, and what that costs.

    python benchmarks/burned_in_text.py [--films 60] [--names 4] [--seed 0] [--timed 8] [--pictures FOLDER]
        [--png FOLDER]

On drawn films of six sizes, names, dates and numbers are written in corners and at edges (phantoms/radiographs/
burned_in_names.py), in 11 fonts and six styles. The same films without names have side markers, and nothing may be
found there. Joints are the labelled ones. Times are CPU times in this process: decoding, coding and the preview of
full-size DICOM films, with the search and without in turns. `--pictures` names a folder of real pictures of films, of
which those with findings are listed by name, to be looked at. `--png` writes some films, blanked and not, to a folder.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.burned_in_text.blanking import blank_text
from rajobs.imaging.burned_in_text.text_finder import find_text
from rajobs.imaging.coding import encode, preview
from rajobs.imaging.formats.reader import read_file
from rajobs.imaging.image import Header, Ignored, Image, ReadOptions
from rajobs.phantoms.packaging.dicom_files import dicom_bytes
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.radiographs.burned_in_names import BurnedInNames, burn_in_names
from rajobs.phantoms.radiographs.films import sample_film
from rajobs.phantoms.radiographs.spoiling import joint_places
from rajobs.records.errors import Reject
from rajobs.records.statistics.intervals import wilson

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "STIXGeneralBol", "cmss10",
         "cmtt10")  # fmt: skip
SIZES = ("FULL", "SMALL", (1005, 745), (1490, 1104), (503, 373), (1490, 2010))
KINDS, SHARES = ("unilateral", "both", "foot", "other"), (0.45, 0.3, 0.1, 0.15)
DIFFICULTIES = ("easy", "standard", "hard")
SYNTAXES = ("explicit", "rle", "jpeg-lossless")
PLATES = ("on black", "on white")
TURNS = 3
WHOLE = 0.98  # share of the letters' pixels
KEEP, SEARCH = (ReadOptions(pictures="radiograph", burned_in=keep) for keep in (True, False))


def font_files() -> tuple[str, ...]:
    """Font files that matplotlib brings along."""
    return tuple(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf") for name in FONTS)


def draw(rng: np.random.Generator, size: str | tuple[int, int]) -> Picture:
    """A film with at most a side marker, as it is displayed: MONOCHROME2."""
    while True:
        kind, difficulty = str(rng.choice(KINDS, p=SHARES)), str(rng.choice(DIFFICULTIES))
        picture = sample_film(rng, kind=kind, size=size, difficulty=difficulty)
        if not picture.details["marks"]:
            break
    frame = picture.frames[0]
    highest = (1 << picture.bits) - 1
    return replace(picture, frames=((highest - frame).astype(frame.dtype) if picture.inverted else frame,))


def as_image(pixels: NDArray[np.uint8] | NDArray[np.uint16], bits: int) -> Image:
    return Image(pixels=pixels, bits=bits, window=None, frame=0, doppler=False, header=Header(modality="CR"))


@dataclass(kw_only=True)
class Tally:
    """What became of films with names and of films without."""

    counts: Counter[str] = field(default_factory=Counter)
    by: Counter[tuple[str, bool]] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def add(self, picture: Picture, names: BurnedInNames, image: Image) -> Image | None:
        """Count a film with names; what ingest would store of it."""
        self.counts["names"] += 1
        boxes = find_text(image.pixels)
        left = names.letters.copy()
        for x0, y0, x1, y1 in boxes:
            left[y0 : y1 + 1, x0 : x1 + 1] = False
        covered = 1 - float(left.sum()) / max(1, int(names.letters.sum()))
        is_covered = covered > 0.5
        self.counts["found"] += is_covered
        self.counts["whole"] += covered >= WHOLE
        font = Path(names.font).stem
        for group in (font, names.style, f"{2 ** int(np.log2(names.height))} px and more"):
            self.by[group, is_covered] += 1
        if not is_covered:
            self.missed.append(f"{names.style}, {font}, {names.height:.0f} px, {image.pixels.shape}")
        try:
            stored = blank_text(image)
        except Reject:
            self.counts["rejected"] += 1
            return None
        places = np.array(list(joint_places(picture).values())).reshape(-1, 2)
        if names.style in PLATES:  # which hide the joint already
            places = places[~_inside(places, names.plate)]
        self.counts["joints blanked"] += int(np.any([_inside(places, box) for box in boxes], axis=0).sum())
        return stored


def _inside(places: NDArray[np.float64], box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which places (column, row) a box covers."""
    return np.asarray(((places >= box[:2]) & (places <= box[2:])).all(axis=1))


def print_share(what: str, count: int, whole: int) -> None:
    low, high = wilson(count, whole)
    print(f"{what:44}{count:6} of {whole:5}  {100 * count / whole:6.2f} %  ({100 * low:.2f} to {100 * high:.2f})")


def measure_drawn(films: int, names: int, seed: int, png: Path | None) -> None:
    """Names on drawn films, and the films without names."""
    tally, files = Tally(), font_files()
    for number in range(films):
        rng = np.random.default_rng((seed, number))
        picture = draw(rng, SIZES[number % len(SIZES)])
        frame: NDArray[Any] = picture.frames[0]
        highest = float((1 << picture.bits) - 1)
        alarms = find_text(frame)
        tally.counts["false alarms"] += bool(alarms)
        for turn in range(names):
            shown = frame.astype(np.float32) / np.float32(highest)
            written = burn_in_names(shown, rng, files)
            image = as_image((shown * np.float32(highest) + np.float32(0.5)).astype(frame.dtype), picture.bits)
            stored = tally.add(picture, written, image)
            if png is not None and turn == 0:
                after = stored.pixels if stored is not None else np.zeros_like(image.pixels)
                cv2.imwrite(
                    str(png / f"{number:03d}.png"),
                    (np.hstack([image.pixels, after]).astype(np.float32) / highest * 255).astype(np.uint8),
                )
    counts = tally.counts
    print_share("names found", counts["found"], counts["names"])
    print_share("of them blanked or rejected with every letter", counts["whole"], counts["names"])
    print_share("films with names that are rejected", counts["rejected"], counts["names"])
    print_share("films without names in which text is found", counts["false alarms"], films)
    print(f"{'joints of stored films under a blanked box':44}{counts['joints blanked']:6}")
    for group in sorted({group for group, _ in tally.by}):
        whole = tally.by[group, True] + tally.by[group, False]
        print(f"    {group:40}{tally.by[group, True]:6} of {whole:5}")
    for line in tally.missed:
        print(f"    missed: {line}")


def measure_pictures(folder: Path) -> None:
    """Real pictures: which of them text is found in, by name."""
    with_text, films = [], 0
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            image = read_file(file.read_bytes(), KEEP)[0]
        except (Reject, Ignored):
            continue
        if image.header.modality == "US":
            continue
        films += 1
        boxes = find_text(image.pixels)
        if boxes:
            with_text.append(f"{file.name} ({len(boxes)} boxes)")
    print_share("real pictures with text", len(with_text), films)
    print("    " + "\n    ".join(with_text))


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def ingest_film(data: bytes, options: ReadOptions) -> None:
    """Decode, search (as the options say), code and shrink a film."""
    for image in read_file(data, options):
        encode(image.pixels)
        preview(image.pixels, image.window)


def measure_time(films: int, seed: int) -> None:
    """Full-size films with the search and without, in turns; the least of a few times counts."""
    cv2.setNumThreads(1)
    sums = dict.fromkeys(SYNTAXES, np.zeros(2))
    for number in range(films):
        picture = draw(np.random.default_rng((seed, 1, number)), "FULL")
        for syntax in SYNTAXES:
            data = dicom_bytes(replace(picture, inverted=False), seed=seed, serial=str(number), syntax=syntax)
            turns = [[cpu_ms(partial(ingest_film, data, each)) for each in (KEEP, SEARCH)] for _ in range(TURNS)]
            sums[syntax] = sums[syntax] + np.min(turns, axis=0)
    for name, (off, on) in {**sums, "all": np.sum(list(sums.values()), axis=0)}.items():
        print(
            f"{name:16} decoding, coding and preview {off / films:6.1f} ms, with the search {on / films:6.1f} ms "
            f"(mean of {films} films): {100 * (on / off - 1):+.1f} %"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--names", type=int, default=4, help="times that a film is written on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timed", type=int, default=8, help="full-size films whose reading is timed")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--png", type=Path)
    args = parser.parse_args()
    if args.films:
        measure_drawn(args.films, args.names, args.seed, args.png)
    if args.pictures:
        measure_pictures(args.pictures)
    if args.timed:
        measure_time(args.timed, args.seed)


if __name__ == "__main__":
    main()
