"""The clinic's findings as a picture: Table 2's colours, a square for each finding, and the settings."""

import numpy as np
import pytest

from rajobs.imaging.clinic_visits import Finding
from rajobs.imaging.clinical_picture import (
    BLOCKS,
    GREEN,
    GREY,
    HEIGHT,
    ITEMS,
    ORANGE,
    RED,
    SCALES,
    TABLE_BLOCKS,
    WHITE,
    WIDTH,
    YELLOW,
    Drawing,
    clinical,
    draw_findings,
    finding_value,
)
from rajobs.imaging.rows import Row
from rajobs.phantoms.clinic.printed_tables import BOUNDS
from rajobs.records.errors import UnknownName
from rajobs.records.tables.schemas import CLINIC

TABLE_2 = [
    ("rf", 14.9, GREEN), ("rf", 15, YELLOW), ("rf", 29.9, YELLOW), ("rf", 30, RED),
    ("acpa", 4.4, GREEN), ("acpa", 4.5, RED),
    ("esr", 9, GREEN), ("esr", 10, YELLOW), ("esr", 20, RED),
    ("onset_days", 41, YELLOW), ("onset_days", 42, RED),
    ("crp", 0.29, YELLOW), ("crp", 0.3, RED),
    ("ana", 0, GREEN), ("ana", 40, YELLOW), ("ana", 80, YELLOW), ("ana", 160, RED),
    ("mmp3", 119.9, YELLOW), ("mmp3", 120, RED), ("mmp3", 121, RED),
    ("wbc", 3999, GREEN), ("wbc", 4000, YELLOW), ("wbc", 8000, RED),
    ("sex", "M", YELLOW), ("sex", "F", RED), ("sex", "O", GREY),
    ("skin", 0, GREEN), ("skin", 1, YELLOW),
    ("temperature", 37.4, GREEN), ("temperature", 37.5, YELLOW), ("temperature", 38, RED),
    ("trunk_pain", 0, GREEN), ("trunk_pain", 1, YELLOW),
    ("patient_vas", 9, GREEN), ("patient_vas", 10, YELLOW), ("patient_vas", 50, RED),
    ("doctor_vas", 9, GREEN), ("doctor_vas", 10, YELLOW), ("doctor_vas", 50, RED),
    *((f"L_MCP2_{name}", value, (GREEN, RED)[value]) for name in ("symptom", "tender", "swollen") for value in (0, 1)),
    *((f"R_wrist_{name}", at, (GREEN, YELLOW, ORANGE, RED)[at]) for name in ("gs", "pd") for at in range(4)),
]  # fmt: skip


def colour_of(drawn: np.ndarray, name: str) -> tuple[int, ...]:
    """The colour of a finding's square, which has only one."""
    left, top, side = BLOCKS[name]
    square = drawn[top : top + side, left : left + side]
    assert (square == square[0, 0]).all()
    return tuple(int(value) for value in square[0, 0])


@pytest.mark.parametrize(("name", "value", "colour"), TABLE_2)
def test_a_finding_has_the_colour_of_table_2(name: str, value: float | str, colour: tuple[int, ...]) -> None:
    # The clinic table stores 32-bit floats: rounding must not move 0.3 or 37.4 across a bound.
    stored: Finding = value if isinstance(value, str) else float(np.float32(value))
    drawn = draw_findings({name: stored})
    assert colour_of(drawn, name) == colour
    assert {colour_of(drawn, other) for other in BLOCKS if other != name} == {GREY}, "the others were not examined"


def test_phantoms_use_the_same_bounds() -> None:
    assert all(ITEMS[name].bounds == bounds for name, bounds in BOUNDS.items())


def test_every_finding_of_the_clinic_table_has_a_square_and_no_squares_overlap() -> None:
    not_findings = {"patient", "visit_date", "reader", "derived_from", "ra_clinical"}
    assert set(BLOCKS) == set(CLINIC.names) - not_findings, "the diagnosis must not be in the picture"
    count = np.zeros((HEIGHT, WIDTH), int)
    for left, top, side in BLOCKS.values():
        assert min(left, top) >= 0 and left + side <= WIDTH and top + side <= HEIGHT
        count[top : top + side, left : left + side] += 1
    assert count.max() == 1
    drawn = draw_findings({})
    assert drawn.shape == (494, 871, 3) and {tuple(map(int, c)) for c in drawn[count == 0]} == {WHITE}


def test_the_hands_are_mirror_images() -> None:
    left = draw_findings(
        {f"L_{joint}_{finding}": 1 for joint in ("wrist", "IP", "DIP5") for finding in ("symptom", "swollen")}
    )
    right = draw_findings(
        {f"R_{joint}_{finding}": 1 for joint in ("wrist", "IP", "DIP5") for finding in ("symptom", "swollen")}
    )
    hands = np.s_[: min(BLOCKS[name][1] for name in ITEMS)]
    assert (left[hands] == right[hands][:, ::-1]).all() and (left != right).any()


def test_settings_leave_out_findings_change_acpa_and_fill_missing_ones() -> None:
    findings: dict[str, Finding] = {"acpa": 0.0, "rf": 100.0, "L_PIP3_pd": 2.0}
    for shows, drawn_name, left_out in (("squares", "rf", "L_PIP3_pd"), ("cruciforms", "L_PIP3_pd", "rf")):
        drawn = draw_findings(findings, Drawing(shows=shows))
        assert colour_of(drawn, drawn_name) in (RED, ORANGE) and colour_of(drawn, left_out) == WHITE
    for value in (0.0, 9.0):
        for shown, colour in (("positive", RED), ("negative", GREEN)):
            assert colour_of(draw_findings({"acpa": value}, Drawing(acpa=shown)), "acpa") == colour
    assert colour_of(draw_findings({}, Drawing(acpa="positive")), "acpa") == GREY, "nothing measured to change"
    filled = draw_findings({}, Drawing(missing="green"))
    assert colour_of(filled, "L_PIP3_pd") == GREEN and colour_of(filled, "crp") == YELLOW
    with pytest.raises(UnknownName, match="did you mean squares"):
        Drawing(shows="square")


def test_the_other_layout_shows_the_same_findings_in_other_places() -> None:
    count = np.zeros((HEIGHT, WIDTH), int)
    for left, top, side in TABLE_BLOCKS.values():
        assert min(left, top) >= 0 and left + side <= WIDTH and top + side <= HEIGHT
        count[top : top + side, left : left + side] += 1
    assert TABLE_BLOCKS.keys() == BLOCKS.keys() and count.max() == 1
    drawn = draw_findings({"rf": 100.0, "R_IP_gs": 2.0}, Drawing(layout="table"))
    for name, colour in (("rf", RED), ("R_IP_gs", ORANGE), ("L_IP_gs", GREY)):
        left, top, side = TABLE_BLOCKS[name]
        assert tuple(map(int, drawn[top + side // 2, left + side // 2])) == colour


def test_quantitative_colours_follow_the_value_and_meet_table_2_at_its_bounds() -> None:
    scale = Drawing(colours="scale")
    for name, value, colour in TABLE_2:
        if isinstance(value, str) or value in ITEMS.get(name, SCALES[name]).bounds:
            assert scale.colour(name, finding_value(value)) == colour, name
    reds = [scale.colour("crp", value)[1] for value in (0.0, 0.1, 0.2, 0.3)]
    assert reds == sorted(reds, reverse=True) and len(set(reds)) == 4, "yellow turns red by degrees"
    assert scale.colour("temperature", 36.5) == GREEN, "a healthy temperature is far below the first bound"
    assert scale.colour("rf", 5000.0) == RED


def test_the_view_has_the_network_s_size() -> None:
    small = clinical({"rf": 100.0}, Row(image_id="i", at=0), size=64)
    assert small.shape == (64, 64, 3) and small.dtype == np.uint8
    left, top, side = BLOCKS["rf"]
    x, y = round((left + side / 2) * 64 / WIDTH), round((top + side / 2) * 64 / HEIGHT)
    assert np.allclose(small[y, x], RED, atol=3)


def test_nan_and_none_are_missing_findings() -> None:
    assert (
        finding_value(float("nan")) is None
        and finding_value(None) is None
        and finding_value("F") == 1
        and finding_value(0.0) == 0
    )
