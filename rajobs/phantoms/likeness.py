"""New drawings like the scans that a model got wrong: 002's way to better drawings, with their lineage told."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from rajobs.imaging.coding import decode
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.write import PhantomSummary, write_pictures
from rajobs.records.errors import DataError, UsageError
from rajobs.records.store import Store, open_store, split_uri
from rajobs.records.tables.parquet_parts import check_predictions, list_parts, open_part, read_part
from rajobs.records.tables.schemas import IMAGES, PREDICTIONS

TARGETS = ("grade", "grey_grade")
"""What is answered about scans: only they can be drawn like an image."""


@dataclass(frozen=True, kw_only=True)
class WrongScan:
    """A scan with a wrong answer, and its true Doppler grade where that was asked."""

    image_id: str
    grade: int | None


def write_like(
    out: str,
    predictions: str,
    *,
    drawings: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Draws and writes scans like the errors in a predictions table: one of each, or so many in turn."""
    from rajobs.phantoms.packaging.contact_sheet import contact_sheet

    table, data = read_predictions(predictions)
    wrong = wrong_scans(table)
    count = len(wrong) if drawings is None else drawings
    if count < 1:
        raise UsageError(f"at least one drawing is to be made, not {count}")
    wrong = wrong[:count]
    images = _images(data, wrong)
    told = hashlib.sha256(json.dumps([(one.image_id, one.grade) for one in wrong]).encode()).hexdigest()[:16]
    # People and instances of its own: beside the phantom that was learnt from, nobody is two persons.
    own = int.from_bytes(hashlib.sha256(f"like/{seed}/{told}".encode()).digest()[:4], "big")
    return write_pictures(
        out,
        _drawn(wrong, images, count, own),
        contact_sheet=contact_sheet,
        seed=own,
        patients=count,
        damage=0.0,
        arguments={"like": told, "asked_seed": seed},
        readable=True,
        progress=progress,
    )


def read_predictions(uri: str) -> tuple[pa.Table, str]:
    """A predictions table of `rajobs evaluate`, and the place of the data it was made on."""
    place, key = split_uri(uri)
    store = open_store(place)
    check_predictions(store, key, uri, "--like")
    with open_part(store, key, PREDICTIONS) as file:
        data = (file.schema_arrow.metadata or {}).get(b"data")
    if data is None:
        raise UsageError(f"{uri} does not tell what data it was made on; make it with `rajobs evaluate`")
    return read_part(store, key, PREDICTIONS), data.decode()


def wrong_scans(table: pa.Table) -> list[WrongScan]:
    """The scans with a wrong answer, in the table's order, each once."""
    found = [row for row in table.to_pylist() if row["target"] in TARGETS]
    if not found:
        raise UsageError("only ultrasound can be drawn like an image, and these predictions are of something else")
    grades = {row["image_id"]: int(row["truth"]) for row in found if row["target"] == "grade"}
    wrong = dict.fromkeys(row["image_id"] for row in found if row["truth"] != row["predicted"])
    if not wrong:
        raise DataError("these predictions hold no wrong answer to draw new images like")
    return [WrongScan(image_id=name, grade=grades.get(name)) for name in wrong]


def _images(data: str, wrong: Sequence[WrongScan]) -> dict[str, bytes]:
    """The coded pixels of scans, by image_id."""
    store = open_store(data)
    wanted = {one.image_id for one in wrong}
    found: dict[str, bytes] = {}
    for key in list_parts(store, "images"):
        if len(found) < len(wanted):
            found |= _images_of(store, key, wanted)
    if len(found) < len(wanted):
        raise DataError(
            f"{len(wanted) - len(found)} of {len(wanted)} images with a wrong answer are not at {data}, where the "
            "predictions were made; bring them back there"
        )
    return found


def _images_of(store: Store, key: str, wanted: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    ids = read_part(store, key, IMAGES, ["image_id"]).column("image_id").to_pylist()
    if not wanted & set(ids):
        return found
    with open_part(store, key, IMAGES) as file:
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["image_id"]).column("image_id").to_pylist()
            if wanted & set(names):
                pixels = file.read_row_group(group, columns=["pixels"]).column("pixels")
                found |= {name: pixels[at].as_py() for at, name in enumerate(names) if name in wanted}
    return found


def _drawn(wrong: Sequence[WrongScan], images: dict[str, bytes], count: int, seed: int) -> Iterator[Picture]:
    from rajobs.phantoms.ultrasound.scans import draw_like

    for number in range(count):
        model = wrong[number % len(wrong)]
        pixels = decode(images[model.image_id])
        shown = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        picture = draw_like(
            shown, np.random.default_rng([seed, number]), derived_from=model.image_id, grade=model.grade
        )
        yield replace(picture, patient=replace(picture.patient, number=number))
