"""Scans in archives: ingest gives each file its expected fate and stores nothing outside the scan's region."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rajobs.imaging import coding
from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.image import Image, Mask, ReadOptions
from rajobs.imaging.ingest_rows import IngestRows, RowBuilder
from rajobs.imaging.sandbox import Decoder
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.phantoms.likeness import write_like
from rajobs.phantoms.packaging.canaries import canaries, identity, leaks
from rajobs.phantoms.packaging.dicom_headers import make_uid
from rajobs.phantoms.packaging.scan_files import avi_bytes, burn_in
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.ultrasound.scans import draw_scans
from rajobs.phantoms.write import write_phantoms
from rajobs.records.errors import BadTable, DataError, StoreError, UsageError
from rajobs.records.identity import Key
from rajobs.records.labels.label_files import labels_by_path, values_by_image
from rajobs.records.labels.merging import match_labels
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, PREDICTIONS

pytestmark = pytest.mark.slow
KEY = Key(secret=b"a key for tests alone, drawn by nobody")
PATIENTS, SEED = 5, 2
LOSSLESS = ("rgb", "planar", "rct")


def labels_of(out: Path) -> pa.Table:
    labels = read_study_labels([str(out / "labels.csv")])
    assert labels is not None
    return labels


def ingest_phantom(out: Path, options: ReadOptions | None = None) -> IngestRows:
    """All of a phantom's archives, ingested in this process."""
    labels, options = labels_of(out), options or ReadOptions()
    by_path = labels_by_path(labels)
    shows = dict.fromkeys(by_path.column("image").to_pylist(), "ultrasound")
    store, ingested = open_store(str(out / "archives")), IngestRows()
    with Decoder() as decoder, ArchiveReader() as reader:

        def read(data: bytes, shown: str | None) -> list[Image]:
            return decoder.read(data, dataclasses.replace(options, pictures=shown))

        row_builder = RowBuilder(
            key=KEY, read=read, origin="", patients=values_by_image(by_path, "patient"), shows=shows,
            sources=values_by_image(labels, "derived_from"),
        )  # fmt: skip
        members = (member for shard in reader.split(store, store.list()) for member in reader.members(store, shard))
        for part in row_builder.build_rows(members):
            for name in ("images", "rejects", "ignored", "places", "crosswalk"):
                getattr(ingested, name).extend(getattr(part, name))
    return ingested


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scans") / "phantom"
    write_phantoms(str(out), patients=PATIENTS, seed=SEED, only="ultrasound")
    return out


@pytest.fixture(scope="module")
def ingested(phantom: Path) -> IngestRows:
    return ingest_phantom(phantom)


@pytest.fixture(scope="module")
def scans() -> list[Picture]:
    return list(draw_scans(patients=PATIENTS, seed=SEED))


def fates_in(ingested: IngestRows) -> dict[str, tuple[str, str, int]]:
    paths = {row["source"]: str(row["path"]) for row in ingested.crosswalk}
    fates = {paths[row["source"]]: ("images", "", int(str(row["frames"]))) for row in ingested.places}
    for name in ("rejects", "ignored"):
        fates |= {paths[row["source"]]: (name, str(row["reason"]), 0) for row in getattr(ingested, name)}
    return fates


def test_every_file_has_its_expected_fate(phantom: Path, ingested: IngestRows, scans: list[Picture]) -> None:
    expected = rows(phantom, "expected.csv")
    assert fates_in(ingested) == {row["object"]: (row["fate"], row["reason"], int(row["frames"])) for row in expected}
    kinds = Counter(row["kind"] for row in expected)
    assert sum(kinds[kind] for kind in kinds if kind.startswith(("scan", "loop"))) == len(scans)
    assert kinds["loop:avi"] and kinds["scan:explicit:no-region"] and any(kind.startswith("damage") for kind in kinds)
    forms = {kind.rpartition(":")[2] for kind in kinds if kind.startswith(("scan", "loop"))}
    assert {"rgb", "planar", "ybr", "ybr-422", "rct", "palette"} <= forms
    rejected = sum(row["fate"] == "rejects" for row in expected)
    assert rejected / len(expected) < 0.2, "ingest fails above this share"


def instances(phantom: Path, scans: list[Picture]) -> Iterator[tuple[Picture, str, str]]:
    """Every drawn scan with its SOP instance UID and the form of its samples."""
    kinds = {row["sop_uid"]: row["kind"] for row in rows(phantom, "expected.csv") if row["fate"] == "images"}
    for turn, scan in enumerate(scans):
        instance = make_uid(SEED, "instance", f"scan-{turn}")
        if instance in kinds:
            yield scan, instance, kinds[instance].rpartition(":")[2]


def test_ingest_keeps_the_drawn_region_and_nothing_else(
    phantom: Path, ingested: IngestRows, scans: list[Picture]
) -> None:
    by_id = {str(row["image_id"]): row for row in ingested.images}
    ids = {row["sop_uid"]: row["image_ids"] for row in ingested.crosswalk if row.get("sop_uid")}
    seen = Counter[str]()
    for scan, instance, form in instances(phantom, scans):
        assert scan.region is not None
        x0, y0, x1, y1 = scan.region
        frames = [by_id[str(name)] for name in ids[instance]]  # type: ignore[attr-defined]
        assert len(frames) == len(scan.frames)
        for row, drawn in zip(frames, scan.frames, strict=True):
            pixels = coding.decode(row["pixels"])  # type: ignore[arg-type]
            inside = pixels[y0 : y1 + 1, x0 : x1 + 1].astype(int)
            error = np.abs(inside - drawn[y0 : y1 + 1, x0 : x1 + 1].astype(int))
            assert error.max() == 0 if form in LOSSLESS else error.mean() < 6
            assert pixels.sum(dtype=np.int64) == inside.sum(), "names, dates and scales lie outside the region"
            true = {truth.target: truth.value for truth in scan.truths if truth.reader == "truth"}
            if true.get("grade", "0") != "0":
                assert row["doppler"], form
            assert row["spacing_mm"] == pytest.approx(scan.spacing_mm)
            assert (row["modality"], row["patient"]) == (
                "US", KEY.pseudonym("patient", identity(SEED, scan.patient.number).patient),
            )  # fmt: skip
        seen[form] += 1
    assert seen.total() >= 10
    assert {row["manufacturer"] for row in ingested.images} > {"GE"}


def test_names_are_burned_in_outside_the_scan_only(scans: list[Picture]) -> None:
    scan = scans[0]
    assert scan.region is not None
    x0, y0, x1, y1 = scan.region
    burned = burn_in(scan, identity(SEED, 0)).frames[0].astype(int) - scan.frames[0]
    assert np.count_nonzero(burned) > 500
    assert not burned[y0 : y1 + 1, x0 : x1 + 1].any()
    other = burn_in(scan, identity(SEED, 1)).frames[0]
    assert (other != burn_in(scan, identity(SEED, 0)).frames[0]).any(), "another person's name"


def test_a_loop_without_a_header_can_be_read_with_a_mask_of_its_region(scans: list[Picture]) -> None:
    loop = next(scan for scan in scans if len(scan.frames) > 1)
    assert loop.region is not None
    x0, y0, x1, y1 = loop.region
    who = identity(SEED, loop.patient.number)
    data = avi_bytes(burn_in(loop, who), who)
    assert data == avi_bytes(burn_in(loop, who), who)
    assert leaks(data, canaries(seed=SEED, patients=PATIENTS))
    height, width = loop.frames[0].shape[:2]
    mask = Mask(manufacturer=None, model=None, rows=height, columns=width, boxes=(loop.region,))
    with Decoder() as decoder:
        images = decoder.read(data, ReadOptions(pictures="ultrasound", masks=(mask,)))
    assert len(images) == len(loop.frames)
    for image, drawn in zip(images, loop.frames, strict=True):
        inside = image.pixels[y0 : y1 + 1, x0 : x1 + 1].astype(int)
        assert np.abs(inside - drawn[y0 : y1 + 1, x0 : x1 + 1].astype(int)).mean() < 6
        assert image.pixels.sum(dtype=np.int64) == inside.sum()


def test_labels_match_the_ingested_scans(phantom: Path, ingested: IngestRows, scans: list[Picture]) -> None:
    ids = {(str(row["sop_uid"]), 0): str(row["image_ids"][0]) for row in ingested.crosswalk if row.get("sop_uid")}  # type: ignore[index]
    matched = match_labels(labels_of(phantom), ids, KEY)
    unmatched = len(matched.unmatched)
    refused = {row["sop_uid"] for row in rows(phantom, "expected.csv") if row["reason"] == "no-region"}
    labels = rows(phantom, "labels.csv")
    assert len(labels) == sum(len(scan.truths) for scan in scans)
    assert unmatched == sum(row["image"] in refused or row["patient"] != "" for row in labels) > 0
    assert len(matched.rows) == len(labels) - unmatched
    assert {row["target"] for row in matched.rows} == {"grade", "grey_grade"}
    assert all(row["site"] and row["side"] for row in matched.rows)


def test_films_and_scans_of_a_visit_are_packed_together(tmp_path: Path) -> None:
    write_phantoms(str(tmp_path / "all"), patients=1, seed=SEED, size="SMALL", damage=0.0)
    kinds = [row["kind"].partition(":")[0] for row in rows(tmp_path / "all", "expected.csv")]
    assert {"film", "scan"} <= set(kinds)
    assert kinds.index("scan") < len(kinds) - 1 - kinds[::-1].index("film"), (
        "the scans of a visit come before the films of the next"
    )
    labels = {row["study"] for row in rows(tmp_path / "all", "labels.csv")}
    assert {"ultrasound_grading", "hand_filter"} <= labels


@pytest.fixture(scope="module")
def predictions(ingested: IngestRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictions table with three wrong answers, and the data it was made from."""
    data = tmp_path_factory.mktemp("data")
    (data / "images").mkdir()
    (data / "images" / "part-1.parquet").write_bytes(to_parquet(IMAGES.rows(ingested.images[:9]), IMAGES))
    return _predictions(data, [str(row["image_id"]) for row in ingested.images[:9]], wrong=3)


def _predictions(data: Path, ids: list[str], *, wrong: int, target: str = "grade", about: bool = True) -> Path:
    answers: list[dict[str, object]] = [
        {
            "image_id": name, "extremity": 0, "site": "", "patient": "p", "derived_from": None, "target": target,
            "truth": "3" if number < wrong else "1", "predicted": "1", "p": None, "split": "test", "bundles": [],
        }
        for number, name in enumerate(ids)
    ]  # fmt: skip
    file = data / f"{target}-{wrong}-{about}.parquet"
    metadata = {"data": str(data)} if about else None
    file.write_bytes(to_parquet(PREDICTIONS.rows(answers), PREDICTIONS, about=metadata))
    return file


def test_drawings_like_errors_name_the_scan_they_are_derived_from(
    predictions: Path, phantom: Path, ingested: IngestRows, tmp_path: Path
) -> None:
    summary = write_like(str(tmp_path / "like"), str(predictions), drawings=5)
    assert (summary.pictures, summary.fates["images"]) == (5, 5)
    assert "rejects" not in summary.fates, "every drawing must be usable for training"
    drawn = ingest_phantom(tmp_path / "like")
    wrong = [str(row["image_id"]) for row in ingested.images[:3]]
    assert Counter(row["derived_from"] for row in drawn.images) == {wrong[0]: 2, wrong[1]: 2, wrong[2]: 1}
    assert not {row["patient"] for row in drawn.images} & {row["patient"] for row in ingested.images}
    assert not {row["image_id"] for row in drawn.images} & {row["image_id"] for row in ingested.images}
    grades = {row["value"] for row in rows(tmp_path / "like", "labels.csv") if row["target"] == "grade"}
    assert grades == {"3"}, "the true grade of the errors"
    write_like(str(tmp_path / "again"), str(predictions), drawings=5)
    assert contents(tmp_path / "like") == contents(tmp_path / "again")
    assert write_like(str(tmp_path / "like"), str(predictions), drawings=5).already
    assert write_like(str(tmp_path / "each"), str(predictions)).pictures == 3, "one for each error"


def test_predictions_that_cannot_be_drawn_like_are_refused_with_the_reason(
    predictions: Path, ingested: IngestRows, tmp_path: Path
) -> None:
    data, ids = predictions.parent, [str(row["image_id"]) for row in ingested.images[:3]]
    out = str(tmp_path / "out")
    with pytest.raises(DataError, match="no wrong answer"):
        write_like(out, str(_predictions(data, ids, wrong=0)))
    with pytest.raises(UsageError, match="only ultrasound"):
        write_like(out, str(_predictions(data, ids, wrong=2, target="view")))
    with pytest.raises(UsageError, match="rajobs evaluate"):
        write_like(out, str(_predictions(data, ids, wrong=2, about=False)))
    (csv_file := tmp_path / "predictions.csv").write_text("image_id,truth\n")
    with pytest.raises(BadTable, match="no Parquet file; --like takes"):
        write_like(out, str(csv_file))
    with pytest.raises(DataError, match="2 of 2 images"):
        write_like(out, str(_predictions(tmp_path, ids, wrong=2)))
    with pytest.raises(StoreError, match="no predictions"):
        write_like(out, str(tmp_path / "none.parquet"))
    assert not (tmp_path / "out").exists()
