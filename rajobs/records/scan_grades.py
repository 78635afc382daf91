"""Ultrasound grades out of frames: of a frame, of a scan (a loop of frames has one grade) and of a visit's joints.

A frame without a colour signal shows no flow: its grade is 0, and no model is asked. Nothing says whether power
Doppler was on when it was taken, so a scan without colour in any frame has no grade.

A loop is graded by its frames with the most signal, as a person grades it by the beat with the most signal: the
probability of each step (above 0, above 1, ...) is that of the frame that a tenth of the frames exceed. The highest
frame alone would take the flash of a moving probe for flow (in loops of six frames or more, one frame does not decide);
the middle frame would show the diastole. The grey-scale grade needs no colour; it follows the same rule, because some
frames show more of the joint than others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

P = NDArray[np.float64]
LIVELY = 0.9
"""Which frame of a loop decides, as a quantile: from the frame with the least signal (0) to that with the most (1)."""
WITHOUT_COLOUR = 0
PLACE = ("side", "site")
FLOW, GREY = "grade", "grey_grade"
SQUARES: Mapping[str, str] = {GREY: "gs", FLOW: "pd"}
"""How the clinic table names each grade of a joint: the squares d and e of its picture."""


def frame_grade(name: str, p: P, grade: int, doppler: bool) -> dict[str, Any]:
    """A frame's grade with its probabilities as the models gave them; without colour, flow is 0 by rule."""
    if name == FLOW and not doppler:
        return {name: WITHOUT_COLOUR, f"{name}_p": None}
    return {name: grade, f"{name}_p": p.tolist()}


def scan_grade(frames: Sequence[Mapping[str, Any]], name: str = FLOW) -> int | None:
    """A scan's grade (FLOW or GREY) out of its frames' grades and probabilities; None if it cannot be known."""
    graded = [frame for frame in frames if frame[name] is not None]
    if not any(frame["doppler"] or name != FLOW for frame in graded):
        return None
    if len(graded) == 1:
        return int(graded[0][name])  # the models' own answer, which need not be the median of the probabilities
    classes = max(max(len(frame[f"{name}_p"] or ()), frame[name] + 1) for frame in graded)
    return loop_grade(np.array([frame[f"{name}_p"] or np.eye(classes)[frame[name]] for frame in graded], np.float64))


def joint_grades(scans: Iterable[Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Grades of the joints that scans name, by column of the clinic table; the highest of several scans of a joint."""
    grades: dict[str, int] = {}
    for scan in scans:
        side, site = scan_place(scan).values()
        for name, square in SQUARES.items():
            grade = scan_grade(scan, name)
            if side and site and grade is not None:
                column = f"{side}_{site}_{square}"
                grades[column] = max(grade, grades.get(column, grade))
    return grades


def scan_place(scan: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Side and site of a scan. Labels name them for one frame, the one that a reader graded, which may be any."""
    return {name: next((frame[name] for frame in scan if frame[name] is not None), None) for name in PLACE}


def loop_grade(p: P, lively: float = LIVELY) -> int:
    """The grade of a loop out of the probabilities of its frames (frames x grades)."""
    above = 1 - np.cumsum(p, axis=1)[:, :-1]
    return int((np.quantile(above, lively, axis=0) > 0.5).sum())


def split_into_scans(frames: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """One patient's frames, in their table's order, as scans: within a loop frame numbers grow and the place stays."""
    scan: list[Mapping[str, Any]] = []
    place: dict[str, str] = {}
    for frame in frames:
        named = {name: frame[name] for name in PLACE if frame[name] is not None}
        is_elsewhere = any(place.get(name, value) != value for name, value in named.items())
        if scan and (frame["frame"] <= scan[-1]["frame"] or is_elsewhere):
            yield scan
            scan, place = [], {}
        scan.append(frame)
        place |= named
    if scan:
        yield scan
