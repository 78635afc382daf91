"""Members in, rows out: one fate each, and nothing of a patient in any table but the crosswalk."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest

from rajobs.imaging import intake
from rajobs.imaging.archives.walk import ArchiveMember
from rajobs.imaging.coding import decode
from rajobs.imaging.fates import Ignored
from rajobs.imaging.image import Header, Image
from rajobs.imaging.intake import Intake, Taker, image_id, path_name
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
    """A reader that does what a member's bytes say."""
    if data.startswith(b"reject"):
        raise Reject("truncated", "decode", "3 of 9 bytes")
    if data.startswith(b"text"):
        raise Ignored("not-an-image")
    if data.startswith(b"loop"):
        return [image(HEADER, frame, frame + 1) for frame in range(3)]
    return [image(Header(modality="US" if shows == "ultrasound" else "DX") if data.startswith(b"picture") else HEADER)]


def taker(*, patients: dict[str, str] | None = None, shows: dict[str, str] | None = None, origin: str = "tag") -> Taker:
    return Taker(key=KEY, read=read, origin=origin, patients=patients or {}, shows=shows or {})


def take(*members: ArchiveMember, **how: Any) -> Intake:
    (lot,) = taker(**how).take_in(members)
    return lot


def member(data: bytes, path: str = "ward7/a.zip!/film.dcm") -> ArchiveMember:
    return ArchiveMember(path=path, data=data, size=len(data))


@pytest.fixture
def lot() -> Intake:
    """One of each fate."""
    broken = ArchiveMember(path="ward7/b.zip", reject=Reject("corrupt", "archive"))
    return take(
        member(b"film"),
        member(b"film", "ward7/again.dcm"),
        member(b"text", "ward7/readme.txt"),
        member(b"reject", "ward7/cut.dcm"),
        broken,
        member(b"picture", "ward7/one.png"),
    )


def test_every_object_has_one_fate_and_the_counts_add_up(lot: Intake) -> None:
    fates = {name: lot.counts[name] for name in sorted(lot.counts) if name not in ("coded_bytes", "frames")}
    assert fates == {
        "objects": 6, "images": 2, "ignored:duplicate": 1, "ignored:not-an-image": 1,
        "reject:corrupt": 1, "reject:truncated": 1,
    }  # fmt: skip
    sources = [row["source"] for rows in (lot.places, lot.rejects, lot.ignored) for row in rows]
    assert len(sources) == len(set(sources)) == 6
    assert {row["source"] for row in lot.crosswalk} == set(sources)


def test_the_rows_fit_their_tables(lot: Intake) -> None:
    for schema, rows in (
        (IMAGES, lot.images),
        (REJECTS, lot.rejects),
        (IGNORED, lot.ignored),
        (OBJECT_PLACES, lot.places),
    ):
        assert schema.rows(rows).num_rows == 2
    assert CROSSWALK.rows(lot.crosswalk).num_rows == 6


def test_no_table_but_the_crosswalk_names_anybody(lot: Intake) -> None:
    told = str([lot.images, lot.rejects, lot.ignored, lot.places])
    assert [canary for canary in CANARIES if canary in told] == []
    assert "datetime.date(2015" not in told
    crosswalk = {row["path"]: row for row in lot.crosswalk}
    film = crosswalk["ward7/a.zip!/film.dcm"]
    assert (film["patient_id"], film["sop_uid"], film["exam_date"]) == ("Doe^Jane", "1.2.840.99.1", date(2015, 5, 1))
    assert film["image_ids"] == [lot.images[0]["image_id"]] and film["patient"] == lot.images[0]["patient"]
    assert crosswalk["ward7/again.dcm"]["image_ids"] == film["image_ids"], "a duplicate leads to the image that is kept"
    assert crosswalk["ward7/cut.dcm"]["image_ids"] == []


def test_an_image_s_row_holds_pseudonyms_a_shifted_date_and_a_capped_age(lot: Intake) -> None:
    row = lot.images[0]
    assert row["image_id"] == image_id(KEY, "1.2.840.99.1", 0) == KEY.pseudonym("image", "1.2.840.99.1")
    assert row["patient"] == KEY.pseudonym("patient", "Doe^Jane")
    assert row["visit_date"] == KEY.shift("Doe^Jane", date(2015, 5, 1))
    assert row["age_years"] == 90 and (row["rows"], row["columns"], row["bits"]) == (6, 4, 12)
    assert (row["window_centre"], row["window_width"]) == (2000.0, 400.0)
    assert isinstance(row["pixels"], bytes) and (decode(row["pixels"]) == 1).all()


def test_frames_are_images_of_one_object() -> None:
    lot = take(member(b"loop"))
    assert [row["image_id"] for row in lot.images] == [image_id(KEY, "1.2.840.99.1", n) for n in range(3)]
    assert len({row["image_id"] for row in lot.images}) == 3 and lot.images[2]["frame"] == 2
    assert lot.places[0]["frames"] == 3 and lot.counts["images"] == 1 and lot.counts["frames"] == 3


def test_a_picture_s_patient_is_the_labels_or_its_folder() -> None:
    here, beside, there = (member(b"picture" + bytes([n]), path) for n, path in enumerate(("a/1", "a/2", "b/1")))
    patients = [row["patient"] for row in take(here, beside, there).images]
    assert patients[0] == patients[1] != patients[2]
    named = take(here, beside, there, patients={"a/1": "P1", "b/1": "P1"}).images
    assert named[0]["patient"] == named[2]["patient"] == KEY.pseudonym("patient", "P1") != named[1]["patient"]
    shown = take(here, beside, shows={"a/2": "ultrasound"}).images
    assert [row["modality"] for row in shown] == ["DX", "US"]


def test_labels_and_duplicates_find_an_object_by_its_path_and_place() -> None:
    one, other = take(member(b"film")), take(member(b"film"), origin="another archive of that name")
    assert one.places[0]["path"] == other.places[0]["path"] == path_name(KEY, "ward7/a.zip!/film.dcm")
    assert one.places[0]["source"] != other.places[0]["source"]


def test_a_name_may_stand_in_an_archive_twice() -> None:
    lot = take(*(member(data) for data in (b"text", b"text", b"reject", b"reject", b"film", b"picture")))
    for schema, rows in ((REJECTS, lot.rejects), (IGNORED, lot.ignored), (OBJECT_PLACES, lot.places)):
        assert schema.rows(rows).num_rows == 2
    assert CROSSWALK.rows(lot.crosswalk).num_rows == 6 == len({row["source"] for row in lot.crosswalk})


def test_a_shard_s_rows_come_in_bounded_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PART_BYTES", 1)

    def members() -> Iterator[ArchiveMember]:
        yield from (member(b"film"), member(b"picture", "p"), member(b"film", "again"))

    lots = list(taker().take_in(members()))
    assert [len(lot.images) for lot in lots] == [1, 1, 0]
    assert lots[2].counts == {"objects": 1, "ignored:duplicate": 1}, "what is there is known across lots"
