"""Every archive member becomes images, a reject or ignored, and only the crosswalk identifies patients."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from rajobs.imaging import ingest_rows
from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.coding import decode
from rajobs.imaging.image import Header, Ignored, Image
from rajobs.imaging.ingest_rows import IngestRows, RowBuilder, image_id, path_name
from rajobs.records.errors import Reject
from rajobs.records.identity import Key
from rajobs.records.tables.schemas import CROSSWALK, IGNORED, IMAGES, OBJECT_PLACES, REJECTS

KEY = Key(secret=b"0123456789abcdef0123456789abcdef")
CANARIES = ("Doe^Jane", "1.2.840.99", "ward7", "film.dcm", "2015-05-01")
HEADER = Header(
    sop_uid="1.2.840.99.1", patient_id="Doe^Jane", study_uid="1.2.840.99.2", series_uid="1.2.840.99.3",
    study_date=date(2015, 5, 1), sex="F", age_years=97, modality="DX", body_part="HAND",
)  # fmt: skip


def image(header: Header, frame: int = 0, value: int = 1) -> Image:
    pixels = np.full((6, 4), value, np.uint16)
    return Image(pixels=pixels, bits=12, window=(2000.0, 400.0), frame=frame, doppler=False, header=header)


def read(data: bytes, shows: str | None) -> list[Image]:
    """A reader whose result depends on a member's first bytes."""
    if data.startswith(b"reject"):
        raise Reject("truncated", "decode", "3 of 9 bytes")
    if data.startswith(b"text"):
        raise Ignored("not-an-image")
    if data.startswith(b"loop"):
        return [image(HEADER, frame, frame + 1) for frame in range(3)]
    return [image(Header(modality="US" if shows == "ultrasound" else "DX") if data.startswith(b"picture") else HEADER)]


def make_builder(
    *, patients: dict[str, str] | None = None, shows: dict[str, str] | None = None, origin: str = "tag"
) -> RowBuilder:
    return RowBuilder(key=KEY, read=read, origin=origin, patients=patients or {}, shows=shows or {})


def build(*members: ArchiveMember, **settings: Any) -> IngestRows:
    (rows,) = make_builder(**settings).build_rows(members)
    return rows


def member(data: bytes, path: str = "ward7/a.zip!/film.dcm") -> ArchiveMember:
    return ArchiveMember(path=path, data=data, size=len(data))


@pytest.fixture
def all_outcomes() -> IngestRows:
    """The rows of an image, a duplicate, a file that is ignored, two rejects and a picture without a header."""
    broken = ArchiveMember(path="ward7/b.zip", reject=Reject("corrupt", "archive"))
    return build(
        member(b"film"),
        member(b"film", "ward7/again.dcm"),
        member(b"text", "ward7/readme.txt"),
        member(b"reject", "ward7/cut.dcm"),
        broken,
        member(b"picture", "ward7/one.png"),
    )


def test_every_object_is_in_one_table_and_the_counts_add_up(all_outcomes: IngestRows) -> None:
    rows = all_outcomes
    counts = {name: rows.counts[name] for name in sorted(rows.counts) if name not in ("coded_bytes", "frames")}
    assert counts == {
        "objects": 6, "images": 2, "ignored:duplicate": 1, "ignored:not-an-image": 1,
        "reject:corrupt": 1, "reject:truncated": 1, "patient_by_folder": 1,
    }  # fmt: skip
    sources = [row["source"] for row in (*rows.places, *rows.rejects, *rows.ignored)]
    assert len(sources) == len(set(sources)) == 6
    assert {row["source"] for row in rows.crosswalk} == set(sources)


def test_the_rows_fit_their_tables(all_outcomes: IngestRows) -> None:
    for schema, rows in (
        (IMAGES, all_outcomes.images),
        (REJECTS, all_outcomes.rejects),
        (IGNORED, all_outcomes.ignored),
        (OBJECT_PLACES, all_outcomes.places),
    ):
        assert schema.rows(rows).num_rows == 2
    assert CROSSWALK.rows(all_outcomes.crosswalk).num_rows == 6


def test_only_the_crosswalk_identifies_a_patient(all_outcomes: IngestRows) -> None:
    images = all_outcomes.images
    written = str([images, all_outcomes.rejects, all_outcomes.ignored, all_outcomes.places])
    assert [canary for canary in CANARIES if canary in written] == []
    assert "datetime.date(2015" not in written
    crosswalk = {row["path"]: row for row in all_outcomes.crosswalk}
    film = crosswalk["ward7/a.zip!/film.dcm"]
    assert (film["patient_id"], film["sop_uid"], film["exam_date"]) == ("Doe^Jane", "1.2.840.99.1", date(2015, 5, 1))
    assert film["image_ids"] == [images[0]["image_id"]] and film["patient"] == images[0]["patient"]
    assert crosswalk["ward7/again.dcm"]["image_ids"] == film["image_ids"], "a duplicate points to the kept image"
    assert crosswalk["ward7/cut.dcm"]["image_ids"] == []


def test_an_image_s_row_has_pseudonyms_a_shifted_date_and_a_capped_age(all_outcomes: IngestRows) -> None:
    row = all_outcomes.images[0]
    assert row["image_id"] == image_id(KEY, "1.2.840.99.1", 0) == KEY.pseudonym("image", "1.2.840.99.1")
    assert row["patient"] == KEY.pseudonym("patient", "Doe^Jane")
    assert row["visit_date"] == KEY.shift("Doe^Jane", date(2015, 5, 1))
    assert row["age_years"] == 90 and (row["rows"], row["columns"], row["bits"]) == (6, 4, 12)
    assert (row["window_centre"], row["window_width"]) == (2000.0, 400.0)
    assert isinstance(row["pixels"], bytes) and (decode(row["pixels"]) == 1).all()


def test_frames_are_images_of_one_object() -> None:
    rows = build(member(b"loop"))
    assert [row["image_id"] for row in rows.images] == [image_id(KEY, "1.2.840.99.1", n) for n in range(3)]
    assert len({row["image_id"] for row in rows.images}) == 3 and rows.images[2]["frame"] == 2
    assert rows.places[0]["frames"] == 3 and rows.counts["images"] == 1 and rows.counts["frames"] == 3


def test_a_picture_s_patient_is_the_one_in_the_labels_or_else_its_folder() -> None:
    pictures = [member(b"picture" + bytes([n]), path) for n, path in enumerate(("a/1", "a/2", "b/1"))]
    patients = [row["patient"] for row in build(*pictures).images]
    assert patients[0] == patients[1] != patients[2]
    labelled = build(*pictures, patients={"a/1": "P1", "b/1": "P1"}).images
    assert labelled[0]["patient"] == labelled[2]["patient"] == KEY.pseudonym("patient", "P1") != labelled[1]["patient"]
    described = build(*pictures[:2], shows={"a/2": "ultrasound"}).images
    assert [row["modality"] for row in described] == ["DX", "US"]


def test_films_that_name_no_patient_are_their_exam_s_not_their_folder_s() -> None:
    def film(data: bytes, path: str, exam: str, patient: str | None = None) -> ArchiveMember:
        headers[data] = replace(HEADER, sop_uid=f"1.{len(headers)}", study_uid=exam, patient_id=patient)
        return member(data, path)

    headers: dict[bytes, Header] = {}
    films = (film(b"a", "w/1", "e1"), film(b"b", "w/2", "e2"), film(b"c", "v/3", "e1"), film(b"d", "w/4", "e2", "ANON"))
    builder = replace(make_builder(), read=lambda data, _: [image(headers[bytes(data)])])
    (rows,) = builder.build_rows(films)
    one, other, same, placeholder = (row["patient"] for row in rows.images)
    assert one == same != other and KEY.pseudonym("patient", "ANON") == placeholder != other
    assert (rows.counts["patient_by_exam"], rows.counts["patient_by_folder"]) == (3, 0)
    assert rows.placeholders == {placeholder}
    (labelled,) = replace(builder, patients={"w/1": "P1"}).build_rows(films)
    assert labelled.images[0]["patient"] == KEY.pseudonym("patient", "P1") and labelled.counts["patient_by_exam"] == 2


def test_a_header_s_source_is_never_taken_for_an_image_id() -> None:
    canary = "0123456789abcdef01234567"
    builder = replace(make_builder(), read=lambda _, __: [image(replace(HEADER, source_uid=canary))])
    (rows,) = builder.build_rows([member(b"film")])
    assert rows.images[0]["derived_from"] == image_id(KEY, canary, 0) != canary
    (rows,) = replace(builder, sources={HEADER.sop_uid or "": canary}).build_rows([member(b"film")])
    assert rows.images[0]["derived_from"] == canary, "labels may name an image_id"


def test_an_object_s_path_is_the_same_in_another_archive_but_its_source_is_not() -> None:
    one, other = build(member(b"film")), build(member(b"film"), origin="another archive of that name")
    assert one.places[0]["path"] == other.places[0]["path"] == path_name(KEY, "ward7/a.zip!/film.dcm")
    assert one.places[0]["source"] != other.places[0]["source"]


def test_an_archive_may_hold_a_name_twice() -> None:
    rows = build(*(member(data) for data in (b"text", b"text", b"reject", b"reject", b"film", b"picture")))
    for schema, table_rows in ((REJECTS, rows.rejects), (IGNORED, rows.ignored), (OBJECT_PLACES, rows.places)):
        assert schema.rows(table_rows).num_rows == 2
    assert CROSSWALK.rows(rows.crosswalk).num_rows == 6 == len({row["source"] for row in rows.crosswalk})


def test_a_shard_s_rows_come_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_rows, "PART_BYTES", 1)

    def members() -> Iterator[ArchiveMember]:
        yield from (member(b"film"), member(b"picture", "p"), member(b"film", "again"))

    parts = list(make_builder().build_rows(members()))
    assert [len(part.images) for part in parts] == [1, 1, 0]
    assert parts[2].counts == {"objects": 1, "ignored:duplicate": 1}, "duplicates are recognised across parts"
