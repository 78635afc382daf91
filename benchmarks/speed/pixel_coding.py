"""Compares lossless codings for the `pixels` column: size and decoding time of a 12-bit film.

    python benchmarks/speed/pixel_coding.py [FILM.dcm ...]

Without files it uses a drawn film. One thread, best of several runs; films are cropped to 2010 x 1490.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging import coding
from rajobs.imaging.formats import reader
from rajobs.imaging.image import ReadOptions

ROWS, COLUMNS, RUNS = 2010, 1490, 5
Film = NDArray[np.uint16]


def _delta(film: Film) -> Film:
    """Difference to the pixel on the left, zigzag-coded to be unsigned."""
    step = np.diff(film.astype(np.int32), axis=1, prepend=0).astype(np.int16)
    return ((step.astype(np.int32) << 1) ^ (step.astype(np.int32) >> 15)).astype(np.uint16)


def _undelta(folded: Film) -> Film:
    step = (folded >> 1) ^ (~(folded & 1) + np.uint16(1))
    return np.cumsum(step, axis=1, dtype=np.uint16)


def _planes(film: Film) -> NDArray[np.uint8]:
    return np.ascontiguousarray(film.view(np.uint8).reshape(-1, 2).T)


def _from_planes(data: bytes | bytearray) -> Film:
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(2, -1).T).view(np.uint16).reshape(ROWS, COLUMNS)


Coding = tuple[Callable[[Film], Any], Callable[[bytes], Any]]


def _zstd(level: int) -> Coding:
    return (
        lambda film: imagecodecs.zstd_encode(_planes(_delta(film)).tobytes(), level=level),
        lambda data: _undelta(_from_planes(imagecodecs.zstd_decode(data))),
    )


def _png(level: int) -> Coding:
    return lambda film: imagecodecs.png_encode(film, level=level, filter=None, strategy=None), imagecodecs.png_decode


def _jpegxl(effort: int, tier: int) -> Coding:
    return (
        lambda film: imagecodecs.jpegxl_encode(
            film, lossless=True, effort=effort, decodingspeed=tier, numthreads=1, bitspersample=12
        ),
        lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
    )


def _blosc(codec: str, level: int) -> Coding:
    return (
        lambda film: imagecodecs.blosc2_encode(
            _delta(film).tobytes(), level=level, compressor=codec, shuffle=2, typesize=2, numthreads=1
        ),
        lambda data: _undelta(
            np.frombuffer(imagecodecs.blosc2_decode(data, numthreads=1), np.uint16).reshape(ROWS, COLUMNS)
        ),
    )


def candidates() -> dict[str, Coding]:
    """Encoder and decoder of every coding, by name."""
    return {
        "uncompressed": (
            lambda film: film.tobytes(),
            lambda data: np.frombuffer(data, np.uint16).reshape(ROWS, COLUMNS),
        ),
        "PNG, level 1": _png(1),
        "PNG, level 6": _png(6),
        "delta, zstd 1": _zstd(1),
        "delta, zstd 6": _zstd(6),
        "delta, blosc2 lz4": _blosc("lz4", 5),
        "delta, blosc2 zstd": _blosc("zstd", 3),
        "JPEG lossless, left": (
            lambda film: imagecodecs.jpeg8_encode(film, predictor=1, lossless=True, bitspersample=12),
            imagecodecs.jpeg8_decode,
        ),
        "JPEG lossless, plane": (
            lambda film: imagecodecs.jpeg8_encode(film, predictor=4, lossless=True, bitspersample=12),
            imagecodecs.jpeg8_decode,
        ),
        "JPEG-LS": (imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
        "HTJ2K, OpenJPH": (
            lambda film: imagecodecs.htj2k_encode(film, reversible=True),
            imagecodecs.htj2k_decode,
        ),
        "JPEG 2000": (
            lambda film: imagecodecs.jpeg2k_encode(film, level=0, codecformat="j2k", reversible=True, bitspersample=12),
            imagecodecs.jpeg2k_decode,
        ),
        "JPEG XL, effort 1": _jpegxl(1, 0),
        "JPEG XL, effort 2, tier 4": _jpegxl(2, 4),
        "JPEG XL, effort 3": _jpegxl(3, 0),
        "ours (coding.py)": (coding.encode, coding.decode),
    }


def _best(function: Callable[[], Any]) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(RUNS):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best * 1000, result


def _drawn() -> Film:
    """A film like one of a hand: soft shapes, an empty background and detector noise."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    shape = sum(900 * np.exp(-(((x - 250 * k) / 70) ** 2)) * (y > 200 * k % 500) for k in range(1, 6))
    film = 300 + shape + draw.normal(0, 12, (ROWS, COLUMNS))
    pixels: NDArray[np.uint16] = np.clip(film, 0, 4095).astype(np.uint16)
    return pixels


def _films(paths: list[str]) -> dict[str, Film]:
    films: dict[str, Film] = {}
    for number, path in enumerate(paths):
        pixels = reader.read_file(Path(path).read_bytes(), ReadOptions())[0].pixels
        if pixels.ndim == 2 and pixels.shape[0] >= ROWS and pixels.shape[1] >= COLUMNS and pixels.max() < 4096:
            films[f"film {number}"] = np.ascontiguousarray(pixels[:ROWS, :COLUMNS]).astype(np.uint16)
    return films or {"drawn": _drawn()}


def main() -> None:
    """Print one table per film."""
    for name, film in _films(sys.argv[1:]).items():
        print(
            f"\n{name}: {ROWS} x {COLUMNS}, 12 bit, {film.nbytes / 1e6:.2f} MB uncompressed, one thread, best of {RUNS}"
        )
        print(f"{'coding':28}{'MB':>8}{'ratio':>8}{'encode ms':>11}{'decode ms':>11}")
        for label, (encode, decode) in candidates().items():
            slow, data = _best(partial(encode, film))
            fast, back = _best(partial(decode, bytes(data)))
            assert np.array_equal(back, film), label
            print(f"{label:28}{len(data) / 1e6:8.2f}{film.nbytes / len(data):8.2f}{slow:11.1f}{fast:11.1f}")


if __name__ == "__main__":
    main()
