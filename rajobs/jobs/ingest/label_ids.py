"""Which image a label names: by image_id, SOP instance UID, path, or a file name that only one file has."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rajobs.imaging.ingest_rows import file_name, image_id, path_name
from rajobs.jobs import console
from rajobs.records.identity import IMAGE_ID, Key
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_part
from rajobs.records.tables.schemas import IMAGES, OBJECT_PLACES
from rajobs.records.user_tables import UID

Frame = tuple[str, int]
"""A name in the labels' column `image`, and the frame."""


@dataclass(frozen=True, kw_only=True)
class _Matches:
    """The objects that have a name of labels, each by the image_id of its first frame; and their frames."""

    objects: Mapping[str, set[str]]
    frames: Mapping[Frame, str]


def label_ids(store: Store, key: Key, labels: pa.Table) -> dict[Frame, str]:
    """The image_id of everything that labels name, as far as it was ingested."""
    wanted = {(row["image"], int(row["frame"] or 0)) for row in labels.select(["image", "frame"]).to_pylist()}
    names = {name for name, _ in wanted if not IMAGE_ID.fullmatch(name)}
    several = {name for name, frame in wanted if frame}
    by_path = _match(store, key, names, several, "path")
    by_name = _match(store, key, {name for name in names if name not in by_path.objects}, several, "name")
    ids = {**_images_named_by_id(store, wanted), **by_path.frames, **by_name.frames}
    ambiguous = {name for match in (by_path, by_name) for name, files in match.objects.items() if len(files) > 1}
    if ambiguous:
        console.line(
            f"{len(ambiguous)} names of the labels belong to several files each: their labels are left out; name such "
            "images by their path, or by SOP instance UID where an archive holds a path twice or two sources the same"
        )
    return {frame: image for frame, image in ids.items() if frame[0] not in ambiguous and frame in wanted}


def _match(store: Store, key: Key, names: Collection[str], several: Collection[str], column: str) -> _Matches:
    """The objects whose UID, and whose path or file name (`column`), labels name; all frames only of `several`."""
    uids = {image_id(key, name, 0): name for name in names if UID.fullmatch(name)}
    if column == "path":
        wanted = {path_name(key, name): name for name in names}
    else:
        wanted = {file_name(key, name): name for name in names if "/" not in name}
    objects: defaultdict[str, set[str]] = defaultdict(set)
    frames: dict[Frame, str] = {}
    for part in list_parts(store, OBJECT_PLACES.name) if wanted else ():
        first_row = 0
        for place in read_part(store, part, OBJECT_PLACES, [column, "image_id", "frames"]).to_pylist():
            for name in (uids.get(place["image_id"]), wanted.get(place[column])):
                if name is not None:
                    objects[name].add(place["image_id"])
                    frames[name, 0] = place["image_id"]
                    if name in several:
                        frames |= _frames(store, part, name, first_row, place["frames"])
            first_row += place["frames"]
    return _Matches(objects=objects, frames=frames)


def _frames(store: Store, part: str, name: str, first: int, count: int) -> dict[Frame, str]:
    """The frames of an object, which stand together in the images part, in the order of the places."""
    images = read_part(store, f"images/{part.rpartition('/')[2]}", IMAGES, ["image_id", "frame"])
    return {(name, row["frame"]): row["image_id"] for row in images.slice(first, count).to_pylist()}


def _images_named_by_id(store: Store, wanted: Collection[Frame]) -> Mapping[Frame, str]:
    """Images that labels name by image_id, which is of one frame."""
    asked: defaultdict[str, list[Frame]] = defaultdict(list)
    for name, frame in wanted:
        if IMAGE_ID.fullmatch(name):
            asked[name].append((name, frame))
    there: dict[Frame, str] = {}
    for part in list_parts(store, IMAGES.name) if asked else ():
        for name in read_part(store, part, IMAGES, ["image_id"]).column("image_id").to_pylist():
            there |= dict.fromkeys(asked.get(name, ()), name)
    return there
