"""Mutates files and reads them: each must end as images, reject or ignored in time, and none may crash the reader.

    python benchmarks/faults/mutated_files.py FILE_OR_FOLDER ... [--count 2000] [--seed 0]

Mutations are flipped bits, random bytes, cuts, wrong lengths, and zeroed, doubled or removed stretches, in header and
pixels. The fates are printed with the number of mutants that gave other pixels without an error, the slowest read and
the peak memory of the decoding process.
"""

import argparse
import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rajobs.imaging import file_types
from rajobs.imaging.image import Ignored, Image, ReadOptions
from rajobs.imaging.sandbox import Decoder
from rajobs.records.errors import Reject

LONGEST = 60.0  # seconds a mutant may take


@dataclass(kw_only=True)
class Tally:
    """Fates of the mutants."""

    fates: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: int = 0


def mutants(files: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """The files in turn by name, each with one fault."""
    draw = np.random.default_rng(seed)
    names = sorted(files)
    for number in range(count):
        name = names[number % len(names)]
        yield name, mutated(files[name], draw)


def mutated(data: bytes, draw: np.random.Generator) -> bytes:
    """The file with one fault; half of them in the first 4 KiB, where the lengths are."""
    out = bytearray(data)
    span = min(len(out), 4096) if draw.random() < 0.5 else len(out)
    at = int(draw.integers(0, span))
    length = int(draw.integers(1, 65))
    kind = int(draw.integers(0, 7))
    if kind == 0:
        out[at] ^= 1 << int(draw.integers(0, 8))
    elif kind == 1:
        out[at : at + length] = draw.bytes(len(out[at : at + length]))
    elif kind == 2:
        del out[at:]
    elif kind == 3:
        out[at : at + 4] = int(draw.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 65536])).to_bytes(4, "little")
    elif kind == 4:
        out[at : at + length] = bytes(len(out[at : at + length]))
    elif kind == 5:
        out[at:at] = out[at : at + length]
    else:
        del out[at : at + length]
    return bytes(out)


def fate(decoder: Decoder, data: bytes, options: ReadOptions) -> tuple[str, list[Image]]:
    """Fate of a file in words, and its images."""
    try:
        return "images", decoder.read(data, options)
    except Reject as reject:
        return f"rejects: {reject.reason}", []
    except Ignored as ignored:
        return f"ignored: {ignored.reason}", []


def digest(images: list[Image]) -> str:
    """A hash of all pixels."""
    total = hashlib.sha256()
    for image in images:
        total.update(repr((image.pixels.shape, image.pixels.dtype)).encode() + image.pixels.tobytes())
    return total.hexdigest()


def run(files: dict[str, bytes], *, count: int, seed: int, options: ReadOptions) -> Tally:
    """Read all mutants with one decoder."""
    tally = Tally()
    with Decoder() as decoder:
        whole = {name: digest(fate(decoder, data, options)[1]) for name, data in files.items()}
        for name, data in mutants(files, count, seed):
            start = time.perf_counter()
            word, images = fate(decoder, data, options)
            tally.slowest = max(tally.slowest, time.perf_counter() - start)
            tally.fates[word] += 1
            if images and digest(images) != whole[name]:
                tally.silent[name] += 1
            tally.peak = max(tally.peak, decoder.peak_bytes())
    assert tally.fates.total() == count
    return tally


def load(paths: list[str]) -> dict[str, bytes]:
    """The unchanged image files at and below the paths, by name."""
    files: dict[str, bytes] = {}
    for path in map(Path, paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                files[file.name] = file.read_bytes()
    return {name: data for name, data in files.items() if file_types.detect_file_type(data) is not None}


def main() -> None:
    """Read the mutants and print what became of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    options = ReadOptions(pictures="ultrasound", ultrasound_regions="all")
    start = time.perf_counter()
    tally = run(load(arguments.paths), count=arguments.count, seed=arguments.seed, options=options)
    print(f"{arguments.count} mutants in {time.perf_counter() - start:.0f} s, the slowest {tally.slowest:.2f} s")
    for word, number in tally.fates.most_common():
        print(f"{number:7} {word}")
    print(f"{tally.silent.total():7} gave other pixels than the unchanged file, which their coding cannot detect")
    for name, number in tally.silent.most_common():
        print(f"{number:14} {name}")
    print(f"peak memory of the decoding process: {tally.peak / 2**20:.0f} MiB")
    assert tally.slowest < LONGEST, "reading a mutant took too long"


if __name__ == "__main__":
    main()
