"""The five kinds of rows: hands are cut from films and joints from hands, by their known positions."""

from datetime import date

import pyarrow as pa
import pytest

from rajobs.imaging import rows as row_kinds
from rajobs.imaging.clinic_visits import visit_id, visits_of_clinic
from rajobs.imaging.hand_geometry import JOINT_SIDE, Position, positions_from_labels
from rajobs.imaging.rows import COLUMNS
from rajobs.records.errors import BadTable
from rajobs.records.identity import IMAGE_ID
from rajobs.records.tables.schemas import CLINIC, IMAGES

FIELDS = pa.schema([IMAGES.arrow.field(name) for name in COLUMNS])


def table(*modalities: str) -> pa.Table:
    """Images of 1000 x 800."""
    return pa.Table.from_pylist(
        [
            {"image_id": f"i{n}", "patient": "p", "modality": modality, "rows": 1000, "columns": 800}
            for n, modality in enumerate(modalities)
        ],
        schema=FIELDS,
    )


def hand(side: str | None, x: float) -> list[Position]:
    """Three joints, of which MCP3 and PIP3 are 100 pixels apart."""
    places = (("MCP3", x, 500.0), ("PIP3", x, 400.0), ("MCP5", x + 60, 520.0))
    return [Position(site=site, side=side, x=at, y=y) for site, at, y in places]


def test_films_and_scans_are_separate_kinds_of_rows() -> None:
    images = table("DX", "US", "CR", "RG")
    assert [row.image_id for row in row_kinds.FILMS.rows_of_part(images, {})] == ["i0", "i2", "i3"]
    assert [(row.image_id, row.at, row.box) for row in row_kinds.ULTRASOUND.rows_of_part(images, {})] == [
        ("i1", 1, None)
    ]
    assert row_kinds.EXTREMITIES.rows_of_part(images, {}) == []
    assert row_kinds.JOINTS.rows_of_part(images, {"i1": hand("L", 100)}) == []


def test_hands_are_numbered_from_left_to_right_and_hold_their_joints() -> None:
    places = {"i0": [*hand("L", 600), *hand("R", 150)]}
    left, right = row_kinds.EXTREMITIES.rows_of_part(table("DX"), places)
    assert [(row.extremity, row.side) for row in (left, right)] == [(0, "R"), (1, "L")]
    for row, places_of in ((left, hand("R", 150)), (right, hand("L", 600))):
        assert row.box is not None
        x0, y0, x1, y1 = row.box
        assert all(x0 < place.x < x1 and y0 < place.y < y1 for place in places_of)
        assert x0 >= 0 and x1 <= 800 and y0 >= 0 and y1 <= 1000
    assert left.box is not None and right.box is not None and left.box[2] < right.box[0]


def test_a_turned_hand_has_a_box_of_the_same_size_and_its_angle() -> None:
    upright = [
        *hand("R", 400),
        Position(site="MCP1", side="R", x=300, y=560),
        Position(site="IP", side="R", x=250, y=560),
    ]
    (straight,) = row_kinds.EXTREMITIES.rows_of_part(table("DX"), {"i0": upright})
    assert straight.angle == pytest.approx(0) and straight.box is not None
    quarter = [Position(site=p.site, side="R", x=900 - p.y, y=p.x) for p in upright]  # turned clockwise by 90 degrees
    (turned,) = row_kinds.EXTREMITIES.rows_of_part(table("DX"), {"i0": quarter})
    assert turned.angle == pytest.approx(90) and turned.box is not None
    assert turned.box[2] - turned.box[0] == pytest.approx(straight.box[2] - straight.box[0])
    angles = {row.site: row.angle for row in row_kinds.JOINTS.rows_of_part(table("DX"), {"i0": upright})}
    assert angles["MCP3"] == angles["PIP3"] == angles["MCP5"] == pytest.approx(0)
    assert angles["IP"] == angles["MCP1"] == pytest.approx(-90), "the thumb points to the left"


def test_a_joint_s_box_scales_with_its_hand() -> None:
    for scale in (1.0, 3.0):
        places = [Position(site=p.site, side=p.side, x=p.x * scale, y=p.y * scale) for p in hand("L", 200)]
        rows = row_kinds.JOINTS.rows_of_part(table("DX"), {"i0": places})
        assert [row.site for row in rows] == ["MCP3", "PIP3", "MCP5"]
        for row, place in zip(rows, places):
            assert row.box is not None
            x0, y0, x1, y1 = row.box
            assert x1 - x0 == y1 - y0 == pytest.approx(JOINT_SIDE * 100 * scale)
            assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((place.x, place.y))


def test_a_hand_without_its_middle_finger_is_measured_by_its_other_joints() -> None:
    ring = [Position(site="MCP4", side="L", x=0, y=90), Position(site="PIP4", side="L", x=0, y=0)]
    other = [Position(site="MCP2", side="L", x=0, y=0), Position(site="MCP5", side="L", x=90, y=0)]
    sides = []
    for places in (ring, other, other[:1]):
        box = row_kinds.JOINTS.rows_of_part(table("DX"), {"i0": places})[0].box
        assert box is not None
        sides.append(box[2] - box[0])
    assert sides == pytest.approx([90 * JOINT_SIDE, 30 * JOINT_SIDE, 0])


def test_positions_are_read_from_labels_of_x_and_y() -> None:
    labels = {
        "x": {("i", "L", "MCP2"): "10.5", ("i", "L", "PIP2"): "11", ("i", "L", "elbow"): "1", ("j", None, "MCP2"): "7"},
        "y": {("i", "L", "MCP2"): "20", ("i", "L", "elbow"): "1", ("j", None, "MCP2"): "8"},
    }
    places = positions_from_labels(labels)
    assert places["i"] == [Position(site="MCP2", side="L", x=10.5, y=20.0)], "only known sites with x and y"
    assert places["j"] == [Position(site="MCP2", side=None, x=7.0, y=8.0)]


@pytest.mark.parametrize("value", ["12,5", "nan", "inf", "2000000", ""])
def test_an_invalid_position_is_refused_without_quoting_its_value(value: str) -> None:
    at = ("i", "L", "MCP2")
    with pytest.raises(BadTable, match="1 labels x or y of joint_detection are no places on a film") as refused:
        positions_from_labels({"x": {at: value}, "y": {at: "20"}})
    assert not value or value not in str(refused.value)


def test_a_visit_combines_the_readers_of_a_patient_s_day() -> None:
    first, second = date(2020, 3, 1), date(2020, 6, 1)
    clinic = CLINIC.rows([
        {"patient": "p1", "visit_date": first, "reader": "a", "doctor_vas": 10.0, "skin": 1.0, "sex": "F"},
        {"patient": "p1", "visit_date": second, "reader": "a", "doctor_vas": 5.0},
        {"patient": "p1", "visit_date": first, "reader": "b", "doctor_vas": 40.0, "sex": "M"},
        {"patient": "p1", "visit_date": first, "reader": "c", "doctor_vas": 30.0, "sex": "F"},
        {"patient": "p2", "visit_date": first, "reader": "a", "sex": "M", "doctor_vas": 20.0},
        {"patient": "p2", "visit_date": first, "reader": "b", "sex": "F", "doctor_vas": 21.0},
    ])  # fmt: skip
    visits = visits_of_clinic(clinic)
    assert [(visit.patient, visit.day) for visit in visits] == [("p1", first), ("p1", second), ("p2", first)]
    assert [visit.findings["doctor_vas"] for visit in visits] == [30, 5, 21], "the upper median of the numbers"
    assert [visit.findings["sex"] for visit in visits] == ["F", None, None], "a tie between words gives none"
    assert visits[0].findings["skin"] == 1 and visits[0].findings["L_IP_pd"] is None
    ids = [row.image_id for row in row_kinds.VISITS.rows_of_part(clinic, {})]
    assert ids == [visit_id("p1", first), visit_id("p1", second), visit_id("p2", first)] and len(set(ids)) == 3
    assert all(IMAGE_ID.fullmatch(name) for name in ids)


def test_a_variant_of_a_variant_belongs_to_the_original_person() -> None:
    day = date(2020, 3, 1)
    rows = [{"patient": patient, "visit_date": day, "derived_from": source}
            for patient, source in (("v2", "v1"), ("p", None), ("v1", "p"), ("x", "y"), ("y", "x"))]  # fmt: skip
    visits = visits_of_clinic(CLINIC.rows(rows))
    assert [(visit.patient, visit.derived_from) for visit in visits[:3]] == [("p", "p"), ("p", None), ("p", "p")]
    assert len({visit.image_id for visit in visits}) == 5, "a circle of variants ends"
