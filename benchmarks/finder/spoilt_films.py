"""Turns, mirrors, shrinks, pairs and degrades a film with its labels, to test how robust the joint finder is.

    python benchmarks/finder/spoilt_films.py FILM LABELS OUT [--step 15] [--spoil dark]
    rajobs ingest OUT/films OUT/data --labels OUT/labels.csv --pictures radiograph
    python benchmarks/finder/joint_finding_rate.py OUT/data MODELS

FILM is a radiograph of one right hand, LABELS a CSV (side, site, x, y) of its joints in the film's pixels. The mirrored
film is a left hand; pairs lie side by side on one film. `--spoil` degrades the film before it is turned.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.formats import reader
from rajobs.imaging.image import ReadOptions
from rajobs.imaging.windowing import to_bytes

Joints = dict[tuple[str, str], tuple[float, float]]
Pixels = NDArray[np.uint8]
LONG = 1600  # pixels of a written film's longest side


def moved(film: Pixels, joints: Joints, by: NDArray[np.float64], shape: tuple[int, int]) -> tuple[Pixels, Joints]:
    """Film and joints after an affine map."""
    factor = float(np.linalg.norm(by[:, 0]))
    small, to_shape = film, by
    if factor < 1:  # a warp alone would alias
        small = np.asarray(cv2.resize(film, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        ratio = np.array(film.shape[1::-1]) / small.shape[1::-1]
        to_shape = np.column_stack([by[:, :2] * ratio, by[:, 2] + by[:, :2] @ ((ratio - 1) / 2)])
    pixels = cv2.warpAffine(small, to_shape, (shape[1], shape[0]), flags=cv2.INTER_LINEAR)
    places = {name: tuple((by[:, :2] @ np.array(at) + by[:, 2]).tolist()) for name, at in joints.items()}
    return np.asarray(pixels, np.uint8), places


def turned(film: Pixels, joints: Joints, angle: float, zoom: float = 1.0) -> tuple[Pixels, Joints]:
    """Turned about the middle, on a film large enough for all of it."""
    rows, columns = film.shape
    by = np.asarray(cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, zoom), np.float64)
    width, height = np.abs(by[:, :2] / zoom) @ np.array([columns, rows])
    by[:, 2] += [(width - columns) / 2, (height - rows) / 2]
    return moved(film, joints, by, (round(height), round(width)))


def mirrored(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """Mirrored from left to right, with the sides swapped."""
    other = {"L": "R", "R": "L"}
    return film[:, ::-1].copy(), {(other[s], site): (film.shape[1] - 1 - x, y) for (s, site), (x, y) in joints.items()}


def pair(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """A right hand with its mirror image on its left."""
    twin, theirs = mirrored(film, joints)
    shifted = {name: (x + film.shape[1], y) for name, (x, y) in joints.items()}
    return np.hstack([twin, film]), {**theirs, **shifted}


def dark(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """Under-exposed, with noise as from few photons."""
    light = (film / 255.0) ** 1.5 * 0.25 + np.random.default_rng(0).normal(0, 0.02, film.shape)
    return _to_bytes(light), joints


def burnt(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """Over-exposed until the middle of the hand is white."""
    return _to_bytes((film / 255.0) ** 0.6 * 1.8), joints


def negative(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """With inverted grey values."""
    return 255 - film, joints


def blurred(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """Blurred by the width of a joint space, as if the hand had moved."""
    return np.asarray(cv2.GaussianBlur(film, (0, 0), 0.006 * max(film.shape)), np.uint8), joints


def cut(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """Cropped: without the fingertips, the little finger and the wrist."""
    top = round(min(y for (_, site), (_, y) in joints.items() if site.startswith("PIP")) - 0.02 * len(film))
    low = round(max(y for _, y in joints.values()) + 0.03 * len(film))
    left, right = (round(joints["R", site][0]) for site in ("IP", "PIP4"))
    edge = round(0.05 * len(film))
    by = np.array([[1.0, 0, -(left - edge)], [0, 1.0, -top]])
    shape = (low - top, right + edge - (left - edge))
    pixels, moved_joints = moved(film, joints, by, shape)
    return pixels, {name: (x, y) for name, (x, y) in moved_joints.items() if 0 <= x < shape[1] and 0 <= y < shape[0]}


def photographed(film: Pixels, joints: Joints) -> tuple[Pixels, Joints]:
    """Photographed askew on a light box, with a glare."""
    rows, columns = film.shape
    by = np.array([[0.82, -0.05, 0.12 * columns], [0.03, 0.85, 0.07 * rows]])
    pixels, places = moved(film, joints, by, film.shape)
    lit = cv2.warpAffine(np.ones(film.shape, np.float32), by, (columns, rows))
    glare = np.linspace(0, 0.25, columns)[None, :]
    return _to_bytes(np.where(lit > 0.5, 0.1 + 0.7 * pixels / 255 + glare, 0.9)), places


def _to_bytes(light: NDArray[np.float64]) -> Pixels:
    return np.asarray(np.clip(light * 255, 0, 255), np.uint8)


SPOILT = {each.__name__: each for each in (dark, burnt, negative, blurred, cut, photographed)}


def films(film: Pixels, joints: Joints, step: float) -> Iterator[tuple[str, str, Pixels, Joints]]:
    """Name, view, pixels and joints of every film."""
    both = pair(film, joints)
    for angle in np.arange(0, 360, step):
        yield f"turned-{angle:g}", "unilateral", *turned(film, joints, angle)
        yield f"left-{angle:g}", "unilateral", *turned(*mirrored(film, joints), angle)
        yield f"small-{angle:g}", "unilateral", *turned(film, joints, angle, 0.5)
        yield f"both-{angle:g}", "both", *turned(*both, angle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--step", type=float, default=15.0, help="degrees between two turns")
    parser.add_argument("--spoil", choices=SPOILT, help="how the film is degraded")
    args = parser.parse_args()
    (image,) = reader.read_file(args.film.read_bytes(), ReadOptions())
    pixels = to_bytes(image.pixels, image.window)
    scale = LONG / max(pixels.shape)
    with args.labels.open() as file:
        joints = {(row["side"], row["site"]): (float(row["x"]), float(row["y"])) for row in csv.DictReader(file)}
    by = np.array([[scale, 0, 0.0], [0, scale, 0.0]])
    pixels, joints = moved(pixels, joints, by, (round(pixels.shape[0] * scale), round(pixels.shape[1] * scale)))
    if args.spoil:
        pixels, joints = SPOILT[args.spoil](pixels, joints)
    (args.out / "films").mkdir(parents=True)
    rows = [("image", "side", "study", "target", "site", "value", "patient")]
    for name, view, shown, places in films(pixels, joints, args.step):
        cv2.imwrite(str(args.out / "films" / f"{name}.png"), shown)
        rows.append((f"{name}.png", "", "hand_filter", "view", "", view, "one"))
        for (side, site), at in places.items():
            for axis, value in zip("xy", at):
                rows.append((f"{name}.png", side, "joint_detection", axis, site, f"{value:.1f}", "one"))
    with (args.out / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
