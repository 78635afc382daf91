"""Frames as scans: what a frame without colour is graded, and which of a loop's frames speak for it."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from rajobs.records.scans import grade_of, loops, of_frame, of_scan
from rajobs.records.schema import HANDS, ULTRASOUND
from rajobs.records.visits import visits

ZERO, ONE, THREE = ([0.9, 0.1, 0.0, 0.0], [0.1, 0.8, 0.1, 0.0], [0.0, 0.0, 0.2, 0.8])


def frame(number: int, p: list[float], *, doppler: bool = True, site: str = "MCP2", scan: int = 0) -> dict[str, Any]:
    told = of_frame(np.array(p), int(np.argmax(p)), doppler)
    return {
        "image_id": f"{scan}-{number}", "patient": "p", "visit_date": date(2012, 5, 1), "site": site, "frame": number,
        "doppler": doppler, "bundles": ["u"], **told,
    }  # fmt: skip


def test_a_frame_without_colour_is_0_whatever_models_say_and_leaves_its_scan_open() -> None:
    dark = frame(0, THREE, doppler=False)
    assert (dark["grade"], dark["grade_p"]) == (0, None)
    assert of_scan([dark, dark]) is None, "nobody can tell whether power Doppler was on"
    assert of_scan([dark, frame(1, ONE)]) == 1, "between beats a loop may show no colour"
    assert of_scan([{**frame(0, ONE), "grade": None, "grade_p": None}]) is None, "no model was asked"


@pytest.mark.parametrize(
    ("lively", "of", "grade"),
    [(1, 1, 3), (1, 20, 0), (5, 20, 3)],
    ids=["a single frame speaks for itself", "one flash in twenty does not", "a quarter of the beats does"],
)
def test_a_loop_is_graded_by_its_liveliest_moments_but_not_by_a_flash(lively: int, of: int, grade: int) -> None:
    p = np.array([THREE] * lively + [ZERO] * (of - lively))
    assert grade_of(p) == grade


def test_frames_that_follow_one_another_are_a_loop_and_a_visit_has_its_scans_highest() -> None:
    flash = [frame(number, THREE if number == 4 else ONE) for number in range(20)]
    other = [frame(0, ZERO, scan=1), frame(0, ZERO, scan=2, site="MCP3"), frame(1, ONE, scan=2, site="MCP3")]
    flash[1:] = [{**each, "site": None} for each in flash[1:]]  # labels name a loop by its first frame
    assert [len(scan) for scan in loops([*flash, *other])] == [20, 1, 2]
    (visit,) = visits(HANDS.rows([]), ULTRASOUND.rows([*flash, *other])).to_pylist()
    assert visit["doppler_highest"] == 1
