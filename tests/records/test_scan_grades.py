"""Scans out of frames: the grade of a frame without colour, and which frames decide a loop's grade."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from rajobs.records.scan_grades import FLOW, GREY, frame_grade, joint_grades, loop_grade, scan_grade, split_into_scans
from rajobs.records.tables.schemas import EXTREMITIES, ULTRASOUND
from rajobs.records.visits import build_visits

ZERO, ONE, THREE = ([0.9, 0.1, 0.0, 0.0], [0.1, 0.8, 0.1, 0.0], [0.0, 0.0, 0.2, 0.8])


def frame(
    number: int, p: list[float], *, doppler: bool = True, side: str | None = None, site: str = "MCP2", scan: int = 0
) -> dict[str, Any]:
    """A frame with the same probabilities for both grades."""
    flow, grey = (frame_grade(name, np.array(p), int(np.argmax(p)), doppler) for name in (FLOW, GREY))
    return {
        "image_id": f"{scan}-{number}", "patient": "p", "visit_date": date(2012, 5, 1), "side": side, "site": site,
        "frame": number, "doppler": doppler, "bundles": ["u"], **flow, **grey,
    }  # fmt: skip


def test_a_frame_without_colour_is_0_whatever_models_answer_and_its_scan_has_no_grade() -> None:
    dark = frame(0, THREE, doppler=False)
    assert (dark["grade"], dark["grade_p"]) == (0, None) and dark["grey_grade"] == 3 == scan_grade([dark, dark], GREY)
    assert scan_grade([dark, dark]) is None, "it is not known whether power Doppler was on"
    assert scan_grade([dark, frame(1, ONE)]) == 1, "between beats a loop may show no colour"
    assert scan_grade([{**frame(0, ONE), "grade": None, "grade_p": None}]) is None, "no model was asked"
    as_a_name = frame(0, [0.4, 0.25, 0.35, 0.0])  # the likeliest, where the median is 1
    assert as_a_name["grade"] == 0 == scan_grade([as_a_name])


@pytest.mark.parametrize(
    ("lively", "of", "grade"),
    [(1, 1, 3), (1, 20, 0), (5, 20, 3)],
    ids=["a single frame decides", "one flash in twenty does not", "a quarter of the frames does"],
)
def test_a_loop_is_graded_by_its_frames_with_the_most_signal_but_not_by_a_flash(
    lively: int, of: int, grade: int
) -> None:
    p = np.array([THREE] * lively + [ZERO] * (of - lively))
    assert loop_grade(p) == grade


def test_consecutive_frames_are_a_loop_and_a_visit_has_the_highest_grade_of_its_scans() -> None:
    flash = [frame(number, THREE if number == 4 else ONE) for number in range(20)]
    other = [frame(0, ZERO, scan=1), frame(0, ZERO, scan=2, site="MCP3"), frame(1, ONE, scan=2, site="MCP3")]
    flash[1:] = [{**each, "site": None} for each in flash[1:]]  # labels name a loop by its first frame
    assert [len(scan) for scan in split_into_scans([*flash, *other])] == [20, 1, 2]
    (visit,) = build_visits(EXTREMITIES.rows([]), ULTRASOUND.rows([*flash, *other])).to_pylist()
    assert visit["doppler_highest"] == 1


def test_a_joint_has_the_highest_grade_of_its_scans() -> None:
    loop = [frame(number, THREE if number == 4 else ONE, side="L") for number in range(20)]
    once_more, dark = frame(0, ZERO, side="L", scan=1), frame(0, THREE, side="R", doppler=False, scan=2)
    of_no_side = frame(0, THREE, scan=3)
    grades = joint_grades(split_into_scans([*loop, once_more, dark, of_no_side]))
    assert grades == {"L_MCP2_pd": 1, "L_MCP2_gs": 1, "R_MCP2_gs": 3}, "a flash, an open grade and no side fill nothing"


def test_a_scan_of_the_other_side_is_another_scan() -> None:
    assert len(list(split_into_scans([frame(0, ONE, side="L"), frame(1, ONE, side="R")]))) == 2


def test_a_loop_whose_label_names_a_later_frame_is_one_scan_of_that_place() -> None:
    loop = [frame(number, THREE if number == 12 else ONE, scan=1) for number in range(16)]
    loop = [{**each, "site": None} for each in loop]
    loop[12] |= {"side": "L", "site": "MCP2"}  # a reader grades the frame with the most signal
    (scan,) = split_into_scans(loop)
    assert len(scan) == 16 and joint_grades([scan]) == {"L_MCP2_pd": 1, "L_MCP2_gs": 1}, "one flash in sixteen"
    (visit,) = build_visits(EXTREMITIES.rows([]), ULTRASOUND.rows(loop)).to_pylist()
    assert visit["doppler_highest"] == 1
    assert [len(scan) for scan in split_into_scans([*loop, frame(16, ONE, side="L", site="MCP3")])] == [16, 1]
