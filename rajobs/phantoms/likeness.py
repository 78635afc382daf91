"""Draws scans like those that a model graded wrongly, as paper 002 does, each with the scan it is derived from."""

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
from rajobs.records.store import Store, follow, open_store, split_uri
from rajobs.records.tables.parquet_parts import check_predictions, list_parts, open_part, read_part
from rajobs.records.tables.schemas import IMAGES, PREDICTIONS

TARGETS = ("grade", "grey_grade")
"""The targets of scans; only scans can be drawn like an image."""


@dataclass(frozen=True, kw_only=True)
class WrongScan:
    """A scan with a wrong answer."""

    image_id: str
    grade: int | None  # the true Doppler grade, if the predictions contain it


def write_like(
    out: str,
    predictions: str,
    *,
    drawings: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Draws and writes scans like the errors in a predictions table: one for each, or `drawings` of them in turn."""
    from rajobs.phantoms.packaging.contact_sheet import contact_sheet

    table, data = read_predictions(predictions)
    wrong = wrong_scans(table)
    count = len(wrong) if drawings is None else drawings
    if count < 1:
        raise UsageError(f"at least one drawing is to be made, not {count}")
    wrong = wrong[:count]
    images = _read_images(data, wrong)
    errors_hash = hashlib.sha256(json.dumps([(scan.image_id, scan.grade) for scan in wrong]).encode()).hexdigest()[:16]
    # A seed of its own gives new people and instances, so that none is also in the phantom the model was trained on.
    own_seed = int.from_bytes(hashlib.sha256(f"like/{seed}/{errors_hash}".encode()).digest()[:4], "big")
    return write_pictures(
        out,
        _draw_scans(wrong, images, count, own_seed),
        contact_sheet=contact_sheet,
        seed=own_seed,
        patients=count,
        damage=0.0,
        arguments={"like": errors_hash, "asked_seed": seed},
        readable=True,
        on_progress=on_progress,
    )


def read_predictions(uri: str) -> tuple[pa.Table, str]:
    """A predictions table of `rajobs evaluate`, and the URI of the data it was made from."""
    place, key = split_uri(uri)
    store = open_store(place)
    check_predictions(store, key, uri, "--like")
    with open_part(store, key, PREDICTIONS) as file:
        data = (file.schema_arrow.metadata or {}).get(b"data")
    if data is None:
        raise UsageError(f"{uri} does not name the data it was made from; make it with `rajobs evaluate`")
    return read_part(store, key, PREDICTIONS), follow(place, data.decode())


def wrong_scans(table: pa.Table) -> list[WrongScan]:
    """The scans with a wrong answer, each once, in the order of the table."""
    rows = [row for row in table.to_pylist() if row["target"] in TARGETS]
    if not rows:
        raise UsageError("only ultrasound can be drawn like an image, and these predictions are not of ultrasound")
    grades = {row["image_id"]: int(row["truth"]) for row in rows if row["target"] == "grade"}
    wrong = dict.fromkeys(row["image_id"] for row in rows if row["truth"] != row["predicted"])
    if not wrong:
        raise DataError("these predictions contain no wrong answer from which to draw new images")
    return [WrongScan(image_id=name, grade=grades.get(name)) for name in wrong]


def _read_images(data: str, wrong: Sequence[WrongScan]) -> dict[str, bytes]:
    """The encoded pixels of scans, by image_id."""
    store = open_store(data)
    wanted = {scan.image_id for scan in wrong}
    pixels: dict[str, bytes] = {}
    for key in list_parts(store, "images"):
        if len(pixels) < len(wanted):
            pixels |= _read_images_of_part(store, key, wanted)
    if len(pixels) < len(wanted):
        raise DataError(
            f"{len(wanted) - len(pixels)} of {len(wanted)} images with a wrong answer are not at {data}, where the "
            "predictions were made; bring them back there"
        )
    return pixels


def _read_images_of_part(store: Store, key: str, wanted: set[str]) -> dict[str, bytes]:
    pixels: dict[str, bytes] = {}
    ids = read_part(store, key, IMAGES, ["image_id"]).column("image_id").to_pylist()
    if not wanted & set(ids):
        return pixels
    with open_part(store, key, IMAGES) as file:
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["image_id"]).column("image_id").to_pylist()
            if wanted & set(names):
                column = file.read_row_group(group, columns=["pixels"]).column("pixels")
                pixels |= {name: column[row].as_py() for row, name in enumerate(names) if name in wanted}
    return pixels


def _draw_scans(wrong: Sequence[WrongScan], images: dict[str, bytes], count: int, seed: int) -> Iterator[Picture]:
    from rajobs.phantoms.ultrasound.scans import draw_like

    for number in range(count):
        original = wrong[number % len(wrong)]
        pixels = decode(images[original.image_id])
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        rng = np.random.default_rng([seed, number])
        picture = draw_like(rgb, rng, derived_from=original.image_id, grade=original.grade)
        yield replace(picture, patient=replace(picture.patient, number=number))
