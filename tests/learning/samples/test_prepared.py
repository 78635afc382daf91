"""Prepared arrays: drawn once, read back row by row, and only what is new is drawn again."""

import resource
from dataclasses import replace
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest

from rajobs.imaging.coding import encode, preview
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import JOINTS, ULTRASOUND, VISITS
from rajobs.imaging.views import boxed, square
from rajobs.imaging.windowing import to_bytes
from rajobs.learning.samples import prepared
from rajobs.learning.study import Study, View
from rajobs.records.errors import DataError, UnknownName
from rajobs.records.store import LocalStore
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import CLINIC, IMAGES

SETTINGS = {"size": 16, "fit": "pad"}


def film(number: int) -> np.ndarray:
    """A 12-bit film of 40 x 30 with a bright square whose place tells its number."""
    pixels = np.random.default_rng(number).integers(100, 900, (40, 30), dtype=np.uint16)
    at = number % 32
    pixels[at : at + 8, at : at + 8] = 3500
    return pixels


def put_images(store: LocalStore, part: str, numbers: range, modality: str = "DX") -> None:
    """A part of the images table."""
    rows = [
        {
            "image_id": f"i{n}", "patient": f"p{n // 2}", "derived_from": "i0" if n == 3 else None,
            "modality": modality,
            "rows": 40, "columns": 30, "bits": 12, "frame": 0, "doppler": False, "window_centre": None,
            "preview": preview(film(n), None), "pixels": encode(film(n)),
        }
        for n in numbers
    ]  # fmt: skip
    store.put(f"images/{part}.parquet", to_parquet(IMAGES.rows(rows), IMAGES))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """20 films in two parts (one of two row groups), and a part with ultrasound alone."""
    store = LocalStore(str(tmp_path))
    put_images(store, "part-a", range(18))
    put_images(store, "part-b", range(18, 20))
    put_images(store, "part-c", range(20, 22), modality="US")
    return store


def prepare_all(store: LocalStore, study: Study, settings: dict[str, object], positions: dict | None = None) -> int:
    """Prepare what is missing; how many rows."""
    todo = prepared.missing(store, study, settings, positions or {})
    return sum(prepared.prepare(store, key, study, settings, positions or {}) for key in todo)


def test_rows_come_back_with_their_own_arrays(store: LocalStore, study: Study) -> None:
    assert prepare_all(store, study, SETTINGS) == 20
    arrays = prepared.read_prepared(store, study, SETTINGS, {})
    assert len(arrays) == 20 and arrays.shape == (1, 16, 16)
    assert arrays.rows.column("image_id").to_pylist() == [f"i{n}" for n in range(20)]
    assert arrays.rows.column("derived_from").to_pylist()[3] == "i0"
    at = np.array([19, 0, 17, 18, 0])
    for row, picture in zip(at, arrays.take(at)):
        shown = cv2.imdecode(np.frombuffer(preview(film(int(row)), None), np.uint8), cv2.IMREAD_UNCHANGED)
        assert (picture[0] == square(shown, 16, "pad")).all()
    assert all(is_mapped(array) for array in arrays.arrays)


def is_mapped(array: np.ndarray) -> bool:
    """Whether an array lies in the part of memory that shows a file."""
    maps = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
    spans = [line[0].split("-") for line in maps if line[-1].endswith(".npy")]
    return any(int(first, 16) <= array.ctypes.data < int(end, 16) for first, end in spans)


@pytest.mark.slow
def test_more_parts_than_a_process_may_open_files_are_read(store: LocalStore, study: Study) -> None:
    for number in range(100):
        put_images(store, f"part-{number}", range(22 + number, 23 + number))
    prepare_all(store, study, SETTINGS)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 40, before[1]))
    try:
        arrays = prepared.read_prepared(store, study, SETTINGS, {})
        assert arrays.take(np.arange(len(arrays))).shape == (120, 1, 16, 16)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_view_of_the_preview_reads_the_film_itself_where_its_fit_needs_it(store: LocalStore, study: Study) -> None:
    view = replace(study.view, fits_from_pixels=("bilinear",))
    published, settings = replace(study, view=view), {"size": 16, "fit": "bilinear"}
    prepare_all(store, published, settings)
    arrays = prepared.read_prepared(store, published, settings, {}).take(np.arange(20))
    expected = cv2.resize(to_bytes(film(7), None), (16, 16), interpolation=cv2.INTER_LINEAR)
    assert (arrays[7, 0] == expected).all(), "between four pixels of the film, not of its preview"
    assert prepared.view_folder(published, settings) != prepared.view_folder(published, SETTINGS)


def test_only_what_is_new_is_missing(store: LocalStore, study: Study) -> None:
    prepare_all(store, study, SETTINGS)
    before = {entry.key: entry.etag for entry in store.list("prepared/")}
    assert prepared.missing(store, study, SETTINGS, {}) == []
    put_images(store, "part-d", range(30, 33))
    assert prepared.missing(store, study, SETTINGS, {}) == ["images/part-d.parquet"]
    assert prepare_all(store, study, SETTINGS) == 3
    after = {entry.key: entry.etag for entry in store.list("prepared/")}
    assert before.items() < after.items() and len(after) == len(before) + 2


def test_another_view_lies_elsewhere_and_the_same_view_is_shared(store: LocalStore, study: Study) -> None:
    place = prepared.view_folder(study, SETTINGS)
    assert prepared.view_folder(study, {}) == place, "a setting at its default is the default"
    assert prepared.view_folder(replace(study, name="another"), SETTINGS) == place
    others = {
        prepared.view_folder(study, {"size": 20}),
        prepared.view_folder(replace(study, view=replace(study.view, version=2)), SETTINGS),
        prepared.view_folder(replace(study, view=replace(study.view, reads="pixels")), SETTINGS),
        prepared.view_folder(replace(study, rows=ULTRASOUND), SETTINGS),
    }
    assert len(others) == 4 and place not in others
    with pytest.raises(UnknownName, match="did you mean size"):
        prepared.view_folder(study, {"sise": 20})


def test_joints_are_cut_at_their_places_and_cut_again_when_those_change(store: LocalStore, study: Study) -> None:
    settings = {"size": 8, "margin": 0.0, "upright": False, "mirror": False, "levels": "film"}
    view = View(draw=boxed, version=1, reads="pixels", settings=settings)
    joints = replace(study, rows=JOINTS, view=view)
    at = {"i0": [Position(site="MCP3", side="L", x=4, y=30), Position(site="PIP3", side="L", x=4, y=4)]}
    assert prepare_all(store, joints, {}, at) == 2
    arrays = prepared.read_prepared(store, joints, {}, at)
    assert arrays.rows.column("site").to_pylist() == ["MCP3", "PIP3"]
    assert arrays.rows.column("side").to_pylist() == ["L", "L"]
    dark, bright = arrays.take(np.array([0, 1])).mean(axis=(1, 2, 3))
    assert bright > dark, "the bright square lies at PIP3"
    moved = {"i0": [*at["i0"][:1], Position(site="PIP3", side="L", x=5, y=4)]}
    assert prepared.missing(store, joints, {}, moved) == ["images/part-a.parquet"]
    assert prepare_all(store, joints, {}) == 0
    mend = "no rows of the kind joints.*; they are cut out of films where labels x and y .*: ingest again"
    with pytest.raises(DataError, match=mend):
        prepared.read_prepared(store, joints, {}, {})


def shade(findings: dict[str, object], row: object, *, size: int) -> np.ndarray:
    """A visit as an even plane: its RF."""
    return np.full((size, size), int(findings["rf"] or 0), np.uint8)


def test_visits_are_prepared_out_of_the_clinic_s_parts(store: LocalStore, study: Study) -> None:
    day = date(2020, 3, 1)
    rows = [
        {"patient": "p1", "visit_date": day, "reader": "anna", "rf": 10.0},
        {"patient": "p2", "visit_date": day, "reader": "anna", "rf": 40.0},
        {"patient": "p1", "visit_date": day, "reader": "ben", "rf": 20.0},
        {"patient": "p1-v", "visit_date": day, "derived_from": "p1", "rf": 30.0},
    ]
    store.put("clinic/part-k.parquet", to_parquet(CLINIC.rows(rows), CLINIC))
    view = View(draw=shade, version=1, reads="clinic", settings={"size": 4})
    visits = replace(study, rows=VISITS, view=view)
    assert prepared.missing(store, visits, {}, {}) == ["clinic/part-k.parquet"]
    assert prepare_all(store, visits, {}) == 3 and prepared.missing(store, visits, {}, {}) == []
    arrays = prepared.read_prepared(store, visits, {}, {})
    assert arrays.take(np.arange(3))[:, 0, 0, 0].tolist() == [20, 40, 30], "two readers: the upper median"
    assert arrays.rows.column("patient").to_pylist() == ["p1", "p2", "p1"]
    assert arrays.rows.column("derived_from").to_pylist() == [None, None, "p1"]
    assert is_mapped(arrays.arrays[0])
