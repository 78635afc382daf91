"""Pictures of what is read, packed for a page: each once, in the order of the tables, onto this machine's disk."""

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.coding import decode
from rajobs.imaging.reading_pictures import ReadingPicture, joint_places, joint_side, pack, upright_hand, whole_film
from rajobs.imaging.windowing import find_grey_range
from rajobs.jobs.sheet.plan import Subject
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, open_part
from rajobs.records.tables.schemas import IMAGES

FILM_SIDE = 800
"""Pixels of the longer side of a whole film: enough to tell what it shows."""
SCAN_QUALITY = 92
"""Of the JPEG in which a page holds a scan's frame: what is graded is coarse."""


BONE_PERCENTILE = 99.8
"""Of the values at joints: above it nothing is told apart."""


@dataclass(frozen=True, kw_only=True)
class PictureFolder:
    """Packed pictures by the subject's name: what the page has to know, and the text that it unpacks."""

    folder: Path

    def about(self, subject: Subject) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / f"{subject.name}.json").read_text())
        return content

    def text(self, subject: Subject) -> str:
        return (self.folder / f"{subject.name}.txt").read_text()

    def size(self, subject: Subject) -> int:
        return (self.folder / f"{subject.name}.txt").stat().st_size

    def put(self, subject: Subject, about: dict[str, Any], text: str) -> None:
        (self.folder / f"{subject.name}.json").write_text(json.dumps(about))
        (self.folder / f"{subject.name}.txt").write_text(text)


def pack_pictures(
    data: Store,
    subjects: Collection[Subject],
    folder: PictureFolder,
    on_progress: Callable[[int], None],
    *,
    scans: bool,
) -> None:
    """Pack every subject's picture: films at full depth, `scans` as pictures that play."""
    waiting: defaultdict[str, list[Subject]] = defaultdict(list)
    for subject in subjects:
        for frame in subject.frames:
            waiting[frame].append(subject)
    frames: dict[str, dict[str, str]] = defaultdict(dict)  # of loops that are not complete yet
    for image_id, pixels in _read_images(data, set(waiting)):
        for subject in waiting[image_id]:
            if not scans:
                folder.put(subject, *_pack_film(subject, pixels))
                on_progress(1)
                continue
            frames[subject.name][image_id] = _jpeg(pixels)
            if len(frames[subject.name]) == len(set(subject.frames)):
                folder.put(subject, *_pack_scan(subject, frames.pop(subject.name), pixels.shape[:2]))
                on_progress(1)


def _read_images(data: Store, wanted: set[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The stored pixels of these images, in the tables' order; row groups without any of them are not read."""
    for key in list_parts(data, "images"):
        with open_part(data, key, IMAGES) as file:
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["image_id"]).column(0).to_pylist()
                if wanted.isdisjoint(ids):
                    continue
                pixels = file.read_row_group(group, columns=["pixels"]).column(0)
                for at, image_id in enumerate(ids):
                    if image_id in wanted:
                        yield image_id, decode(pixels[at].as_py())


def _pack_film(subject: Subject, pixels: NDArray[Any]) -> tuple[dict[str, Any], str]:
    row = subject.row
    picture = upright_hand(pixels, row) if row.joints else whole_film(pixels, FILM_SIDE)
    rows, columns = picture.pixels.shape
    low, high = find_grey_range(picture.pixels, None)
    about: dict[str, Any] = {"kind": "grey", "rows": rows, "columns": columns}
    if row.joints:
        about |= _places(subject, picture)
        high = max(_brightest_bone(picture.pixels, about), low + 1)
    about |= {"low": low, "high": high}
    return about, base64.b64encode(pack(picture.pixels)).decode()


def _places(subject: Subject, picture: ReadingPicture) -> dict[str, Any]:
    """Where the joints are in the picture: column, row, and the angle that turns the finger upright."""
    row, to_film = subject.row, picture.to_film
    turned = float(np.rad2deg(np.arctan2(to_film[1, 0], to_film[0, 0])))  # of the picture against the film
    angles = {joint.site: joint.angle for joint in row.joints}
    spots = {
        site: [round(x, 1), round(y, 1), round(angles[site] - turned, 1)]
        for site, (x, y) in joint_places(row, picture).items()
    }
    return {
        "spots": spots, "angle": round(row.angle - turned, 1),
        "sidePx": round(joint_side(row) / float(np.hypot(*to_film[:, 0])), 1),
        "toFilm": [[round(float(value), 6) for value in line] for line in to_film],
    }  # fmt: skip


def _brightest_bone(pixels: NDArray[Any], about: Mapping[str, Any]) -> float:
    """What is shown as white: the brightest values at the joints, whatever marks and background are on the film."""
    half = max(1, round(about["sidePx"] / 2))
    at_joints = [
        pixels[max(0, round(y) - half) : round(y) + half, max(0, round(x) - half) : round(x) + half].ravel()
        for x, y, _ in about["spots"].values()
    ]
    return float(np.percentile(np.concatenate(at_joints), BONE_PERCENTILE))


def _pack_scan(subject: Subject, frames: dict[str, str], shape: Sequence[int]) -> tuple[dict[str, Any], str]:
    rows, columns = shape
    about = {"kind": "loop", "rows": rows, "columns": columns, "first": subject.frames.index(subject.image_id)}
    return about, "\n".join(frames[frame] for frame in subject.frames)


def _jpeg(pixels: NDArray[Any]) -> str:
    shown = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    encoded, data = cv2.imencode(".jpg", np.ascontiguousarray(shown), [cv2.IMWRITE_JPEG_QUALITY, SCAN_QUALITY])
    assert encoded
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
