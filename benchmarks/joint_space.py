"""Measures how well the joint space is measured: on drawn films against the truth, on films against their own copies.

    python benchmarks/joint_space.py drawn [--films 60] [--pitch 0.1 0.15 0.2] [--sheet CONTOURS.png]
    python benchmarks/joint_space.py copies FOLDER [--sheet CONTOURS.png]

FOLDER has films/, labels.csv with the places of joints (as `rajobs ingest --labels` takes them) and, to tell adults
from children, views.csv (image, adult). Each film is compared with its copies: turned, scaled and exposed otherwise;
and each joint with itself, where its place and the angle of its finger are off. One core is used.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import JOINT_SIDE, Position
from rajobs.imaging.joint_space.measure import MEASURED_SITES, JointSpace, measure_joint_space, share_of_metacarpal
from rajobs.imaging.rows import JOINTS, Row
from rajobs.phantoms.people.cohort import plan_sample
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.radiographs.films import draw_film

Pixels = NDArray[np.generic]
Bytes = NDArray[np.uint8]
Map = NDArray[np.float64]

CONFIDENT = 0.5
THRESHOLDS = (0.1, 0.3, 0.5, 0.7)
GROUPS = ("MCP", "PIP")
TILE, TILE_REACH, TILES = 160, 0.18, 120  # pixels, share of MCP3-PIP3 on either side, most on a sheet


# Drawn films


def drawn_film(seed: int, pitch: float) -> Picture:
    """A drawn hand whose pixels are `pitch` mm wide."""
    film = plan_sample(
        np.random.default_rng(seed), kind="unilateral", size="SMALL", difficulty="standard", beside=False
    )
    small = draw_film(film)
    finer = float(small.details["pitch"]) / pitch
    rows, columns = small.frames[0].shape[:2]
    return draw_film(replace(film, size=(round(rows * finer), round(columns * finer))))


def true_widths(picture: Picture) -> dict[str, float]:
    """The joint spaces in mm that a drawing shows, by site."""
    truths = picture.measures
    return {truth.site or "": float(truth.value) for truth in truths if truth.target == "jsw_mm"}


def drawn_joints(picture: Picture) -> tuple[Pixels, list[Row]]:
    """The pixels of a drawing with bright bones, and the rows of its joints."""
    at: dict[tuple[str | None, str], dict[str, float]] = defaultdict(dict)
    for truth in picture.truths:
        if truth.study == "joint_detection" and truth.target in "xy":
            at[truth.side, truth.site or ""][truth.target] = float(truth.value)
    pixels = picture.frames[0]
    shown = np.max(pixels) - pixels if picture.inverted else pixels
    return shown, joints_of(
        [Position(site=site, side=side, x=place["x"], y=place["y"]) for (side, site), place in at.items()]
    )


def joints_of(positions: Sequence[Position]) -> list[Row]:
    """The rows of the joints that are measured."""
    return [joint for joint in JOINTS.cut("", 0, positions) if joint.site in MEASURED_SITES]


def compare_with_truth(films: int, pitch: float, sheet: list[Bytes]) -> pd.DataFrame:
    """A row for each joint, measured or not; without a true width where the drawings tell none."""
    rows = []
    for seed in range(films):
        picture = drawn_film(seed, pitch)
        widths, spacing = true_widths(picture), picture.spacing_mm or pitch
        pixels, joints = drawn_joints(picture)
        jsn = {truth.site: truth.value for truth in picture.truths if (truth.target, truth.reader) == ("jsn", "truth")}
        for joint in joints:
            space = measure_joint_space(pixels, joint)
            sheet.append(tile(pixels, joint, space, f"{seed} {joint.site}", spacing))
            rows.append(
                {
                    "group": joint.site[:3], "jsn": jsn.get(joint.site),
                    "true": widths.get(joint.site, np.nan), "mm": space.mean_px * spacing if space else np.nan,
                    "confidence": confidence_of(space),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "jsn", "true", "mm", "confidence"])


def confidence_of(space: JointSpace | None) -> float:
    """What is not measured is not trusted."""
    return space.confidence if space else 0.0


def print_errors(table: pd.DataFrame, pitch: float) -> None:
    """Errors in mm by confidence, joint and JSN."""
    untold, table = table[table.true.isna()], table[table.true.notna()]
    sure = int((untold.confidence >= CONFIDENT).sum())
    print(
        f"drawn at {pitch} mm: {len(table)} joints whose width is told; {len(untold)} others, displaced, hidden or of "
        f"small children, of which {sure} are measured with a confidence of {CONFIDENT} and more"
    )
    for least in THRESHOLDS:
        _print_error(f"confidence {least} and more", table, table[table.confidence >= least])
    trusted = table[table.confidence >= CONFIDENT]
    for column in ("group", "jsn"):
        for name, part in table.groupby(column):
            _print_error(f"  {column} {name}", part, trusted[trusted[column] == name])


def _print_error(name: str, every: pd.DataFrame, measured: pd.DataFrame) -> None:
    error = measured.mm - measured.true
    fit = np.corrcoef(measured.mm, measured.true)[0, 1] if len(measured) > 2 else np.nan
    print(
        f"{name}: {len(measured)} of {len(every)} measured, median error {error.abs().median():.3f} mm (bias "
        f"{error.median():+.3f}, nine of ten within {error.abs().quantile(0.9):.3f}), correlation {fit:.3f}"
    )


# Films and their copies


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A film, changed, and the map from its places to those of the copy."""

    name: str
    pixels: Bytes
    to_copy: Map


def turned(film: Bytes, degrees: float) -> tuple[Bytes, Map]:
    """Clockwise about the middle, on a film large enough."""
    rows, columns = film.shape
    to_copy = np.asarray(cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), -degrees, 1.0), np.float64)
    wide, high = np.abs(to_copy[:, :2]) @ np.array([columns, rows])
    to_copy[:, 2] += [(round(wide) - columns) / 2, (round(high) - rows) / 2]
    how = cv2.INTER_NEAREST if degrees % 90 == 0 else cv2.INTER_CUBIC
    pixels = cv2.warpAffine(film, to_copy, (round(wide), round(high)), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pixels, np.uint8), to_copy


def scaled(film: Bytes, factor: float) -> tuple[Bytes, Map]:
    """With fewer or more pixels."""
    rows, columns = (round(side * factor) for side in film.shape)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    x, y = columns / film.shape[1], rows / film.shape[0]
    pixels = np.asarray(cv2.resize(film, (columns, rows), interpolation=how), np.uint8)
    return pixels, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def exposed(film: Bytes, gamma: float = 1.0, contrast: float = 1.0, noise: float = 0.0) -> tuple[Bytes, Map]:
    """With other greys, as shares of the whole range."""
    light = ((film / np.float32(255)) ** np.float32(gamma) - 0.5) * np.float32(contrast) + 0.5
    light += np.random.default_rng(0).normal(0, noise, film.shape) if noise else 0
    return np.clip(light * 255 + 0.5, 0, 255).astype(np.uint8), np.eye(2, 3)


COPIES: MappingProxyType[str, Callable[[Bytes], tuple[Bytes, Map]]] = MappingProxyType(
    {f"turned {degrees}": lambda film, by=degrees: turned(film, by) for degrees in (90, 180, 270, 10, -10)}
    | {f"scaled {factor}": lambda film, by=factor: scaled(film, by) for factor in (0.7, 0.85, 1.15, 1.3)}
    | {f"gamma {gamma}": lambda film, by=gamma: exposed(film, gamma=by) for gamma in (0.7, 1.4)}
    | {f"contrast {factor}": lambda film, by=factor: exposed(film, contrast=by) for factor in (0.6, 1.3)}
    | {"noise": lambda film: exposed(film, noise=0.02)}
)
ITSELF = "itself"
SHIFT, TILT, SHIFTS = 0.07, 15.0, 3  # a quarter of a joint's width as a share of MCP3-PIP3, degrees, tries


def copies_of(film: Bytes) -> Iterator[Copy]:
    """The film itself, and its copies."""
    yield Copy(name=ITSELF, pixels=film, to_copy=np.eye(2, 3))
    for name, change in COPIES.items():
        pixels, to_copy = change(film)
        yield Copy(name=name, pixels=pixels, to_copy=to_copy)


def misplaced(joint: Row, rng: np.random.Generator) -> Row:
    """A joint whose place and angle are off."""
    assert joint.box is not None
    x0, y0, x1, y1 = joint.box
    right, down = rng.uniform(-SHIFT, SHIFT, 2) * (x1 - x0) / JOINT_SIDE
    box = (x0 + right, y0 + down, x1 + right, y1 + down)
    return replace(joint, box=box, angle=joint.angle + float(rng.uniform(-TILT, TILT)))


def read_positions(folder: Path) -> dict[str, list[Position]]:
    """The joints of each film by the labels x and y of joint_detection."""
    at: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            if row["study"] == "joint_detection":
                at[row["image"], row["side"], row["site"]][row["target"]] = float(row["value"])
    films: dict[str, list[Position]] = defaultdict(list)
    for (image, side, site), place in at.items():
        films[image].append(Position(site=site, side=side or None, x=place["x"], y=place["y"]))
    return films


def read_adults(folder: Path) -> set[str]:
    """The films of adults."""
    path = folder / "views.csv"
    if not path.exists():
        return set()
    with path.open() as file:
        return {row["image"] for row in csv.DictReader(file) if row["adult"] == "1"}


def compare_with_copies(folder: Path, sheet: list[Bytes]) -> tuple[pd.DataFrame, float]:
    """A row for each joint and copy, and the seconds that a joint took."""
    rng, adults, rows, seconds = np.random.default_rng(0), read_adults(folder), [], []
    for image, positions in sorted(read_positions(folder).items()):
        film = cv2.imread(str(folder / "films" / image), cv2.IMREAD_GRAYSCALE)
        assert film is not None, image
        for copy in copies_of(np.asarray(film, np.uint8)):
            moved = [_moved(position, copy.to_copy) for position in positions]
            for joint in joints_of(moved):
                tries = [(copy.name, joint)]
                if copy.name == ITSELF:
                    tries += [(f"misplaced {number}", misplaced(joint, rng)) for number in range(SHIFTS)]
                for name, row in tries:
                    start = time.thread_time()
                    space = measure_joint_space(copy.pixels, row)
                    seconds.append(time.thread_time() - start)
                    rows.append(
                        {
                            "joint": f"{image} {joint.side} {joint.site}", "group": joint.site[:3], "copy": name,
                            "adult": image in adults, "confidence": confidence_of(space),
                            "share": share_of_metacarpal(space.mean_px, row) if space else np.nan,
                        }
                    )  # fmt: skip
                    if name == ITSELF:
                        sheet.append(tile(copy.pixels, joint, space, f"{image[:3]}{image[-7:-4]} {joint.site}"))
    return pd.DataFrame(rows), float(np.median(seconds))


def _moved(position: Position, to_copy: Map) -> Position:
    x, y = (float(value) for value in to_copy @ [position.x, position.y, 1])
    return replace(position, x=x, y=y)


def print_agreement(table: pd.DataFrame, seconds: float) -> None:
    """How well copies agree, by confidence, and the shares of MCP3-PIP3."""
    print(f"{table.joint.nunique()} joints; {1000 * seconds:.2f} ms of one core each (median)")
    itself = table[table["copy"] == ITSELF].set_index("joint")
    for least in THRESHOLDS:
        sure = table[(table.confidence >= least) & table.joint.map(itself.confidence >= least)]
        off = sure["copy"].str.startswith("misplaced")
        copies = sure[~off]
        print(f"confidence {least} and more:")
        for group in GROUPS:
            part = copies[copies.group == group]
            spread = part.groupby("joint").share.agg(lambda shares: shares.std() / shares.mean()).dropna()
            every = int((itself.group == group).sum())
            print(
                f"  {group}: {len(spread)} of {every} joints measured ({len(spread) / max(every, 1):.3f}), in "
                f"{len(part) / max(len(spread), 1) / (1 + len(COPIES)):.3f} of their copies; standard deviation over "
                f"the width: median {spread.median():.4f}, root mean square {np.sqrt((spread**2).mean()):.4f}, at most "
                f"0.06 for {(spread <= 0.06).mean():.3f}"
            )
        _print_misplaced(sure[off], itself)
    _print_shares(itself[itself.confidence >= CONFIDENT])


def _print_misplaced(table: pd.DataFrame, itself: pd.DataFrame) -> None:
    ratio = (table.share / table.joint.map(itself.share) - 1).abs()
    print(f"  placed wrongly: {len(table)} measured, {(ratio < 0.1).mean():.3f} within a tenth of the width")


def _print_shares(itself: pd.DataFrame) -> None:
    for (adult, group), part in itself.groupby(["adult", "group"]):
        low, high = part.share.quantile(0.1), part.share.quantile(0.9)
        print(
            f"{'adults' if adult else 'children'} {group}: {part.share.median():.4f} of MCP3-PIP3 (median of "
            f"{len(part)} joints; eight of ten from {low:.4f} to {high:.4f})"
        )


# Contours to look at


def tile(pixels: Pixels, joint: Row, space: JointSpace | None, text: str, spacing: float | None = None) -> Bytes:
    """A joint with its contours, its finger upwards."""
    assert joint.box is not None
    x0, y0, x1, y1 = joint.box
    turn, step = np.deg2rad(joint.angle), 2 * TILE_REACH * (x1 - x0) / JOINT_SIDE / TILE
    across, down = np.array([np.cos(turn), np.sin(turn)]) * step, np.array([-np.sin(turn), np.cos(turn)]) * step
    start = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - (across + down) * (TILE - 1) / 2
    to_film = np.column_stack([across, down, start])
    grey = cv2.warpAffine(pixels.astype(np.float32), to_film, (TILE, TILE), flags=cv2.WARP_INVERSE_MAP)
    low, high = np.percentile(grey, (3, 99.5))
    shown = np.clip((grey - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    picture = np.repeat(shown[..., None], 3, axis=2)
    if space:
        back = np.asarray(cv2.invertAffineTransform(to_film), np.float64)
        for line, colour in ((space.base, (0, 200, 255)), (space.head, (0, 255, 0))):
            corners = np.rint((line @ back[:, :2].T + back[:, 2]) * 16).astype(np.int32)
            cv2.polylines(picture, [corners], False, colour, 1, cv2.LINE_AA, 4)
        width = f"{space.mean_px * spacing:.2f} mm" if spacing else f"{share_of_metacarpal(space.mean_px, joint):.3f}"
        text += f" {width} {space.confidence:.2f}"
    cv2.putText(picture, text, (2, 9), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (80, 255, 255), 1, cv2.LINE_AA)
    return picture


def write_sheet(tiles: Sequence[Bytes], path: Path) -> None:
    """Some of the tiles, evenly chosen, ten a row."""
    chosen = [tiles[at] for at in np.unique(np.linspace(0, len(tiles) - 1, TILES).astype(int))]
    chosen += [np.zeros_like(chosen[0])] * (-len(chosen) % 10)
    rows: Iterable[Bytes] = (np.hstack(chosen[at : at + 10]) for at in range(0, len(chosen), 10))
    cv2.imwrite(str(path), np.vstack(list(rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    drawn = commands.add_parser("drawn", help="drawn films against their truth")
    drawn.add_argument("--films", type=int, default=60)
    drawn.add_argument("--pitch", type=float, nargs="+", default=[0.1])
    copies = commands.add_parser("copies", help="films against their own copies")
    copies.add_argument("folder", type=Path)
    for command in (drawn, copies):
        command.add_argument("--sheet", type=Path, help="where to write a picture of some joints with their contours")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    sheet: list[Bytes] = []
    if args.command == "drawn":
        for pitch in args.pitch:
            print_errors(compare_with_truth(args.films, pitch, sheet), pitch)
    else:
        print_agreement(*compare_with_copies(args.folder, sheet))
    if args.sheet:
        write_sheet(sheet, args.sheet)


if __name__ == "__main__":
    main()
