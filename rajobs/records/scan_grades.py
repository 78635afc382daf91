"""What the frames of a scan come to: the grades of one, of a loop as one, and of a visit's joints.

A frame without a colour signal shows no flow: its grade is 0, and no model is asked. Nobody can tell whether power
Doppler was on when it was taken, so that a scan without colour on any frame leaves its grade open.

A loop is graded by its liveliest moments, as a person does who looks for the beat with the most signal: each step up
(above 0, above 1, ...) is as likely as on the frame that one in ten exceeds. The highest frame alone would take the
flash of a moving probe for flow (of six frames and more, one does not decide); the middle one would be the diastole's.
The grey-scale grade needs no colour. The same moments tell it: those on which the probe shows the most of the joint.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

P = NDArray[np.float64]
LIVELY = 0.9
"""Which of a loop's frames speaks for it, from the one with the least signal (0) to the one with the most (1)."""
WITHOUT_COLOUR = 0
PLACE = ("side", "site")
FLOW, GREY = "grade", "grey_grade"
SQUARES: Mapping[str, str] = {GREY: "gs", FLOW: "pd"}
"""What the clinic table calls each grade of a joint: the squares d and e of its picture."""


def of_frame(name: str, p: P, grade: int, doppler: bool) -> dict[str, Any]:
    """A grade of a frame with its probabilities, as models gave them; flow by rule where there is no colour."""
    if name == FLOW and not doppler:
        return {name: WITHOUT_COLOUR, f"{name}_p": None}
    return {name: grade, f"{name}_p": p.tolist()}


def of_scan(frames: Sequence[Mapping[str, Any]], name: str = FLOW) -> int | None:
    """A scan's grade of a name out of its frames' grades and probabilities; None where nobody can tell it."""
    told = [frame for frame in frames if frame[name] is not None]
    if not any(frame["doppler"] or name != FLOW for frame in told):
        return None
    if len(told) == 1:
        return int(told[0][name])  # the answer that was given, of scores learnt as names the likeliest one
    classes = max(max(len(frame[f"{name}_p"] or ()), frame[name] + 1) for frame in told)
    return grade_of(np.array([frame[f"{name}_p"] or np.eye(classes)[frame[name]] for frame in told], np.float64))


def of_joints(scans: Iterable[Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """What scans of known joints say, by the clinic table's column; of several of a joint the highest grade."""
    found: dict[str, int] = {}
    for scan in scans:
        side, site = place_of(scan).values()
        for name, square in SQUARES.items():
            grade = of_scan(scan, name)
            if side and site and grade is not None:
                column = f"{side}_{site}_{square}"
                found[column] = max(grade, found.get(column, grade))
    return found


def place_of(scan: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Where a scan was made: labels name the frame that a reader graded, and any of a loop's may be that one."""
    return {name: next((frame[name] for frame in scan if frame[name] is not None), None) for name in PLACE}


def grade_of(p: P, lively: float = LIVELY) -> int:
    """The grade of a loop out of the probabilities of its frames, frames x grades."""
    above = 1 - np.cumsum(p, axis=1)[:, :-1]
    return int((np.quantile(above, lively, axis=0) > 0.5).sum())


def loops(frames: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Frames of one patient, in the order of their tables, scan by scan: a loop's follow one another."""
    held: list[Mapping[str, Any]] = []
    place: dict[str, str] = {}
    for frame in frames:
        named = {name: frame[name] for name in PLACE if frame[name] is not None}
        elsewhere = any(place.get(name, here) != here for name, here in named.items())  # one not named may be any
        if held and (frame["frame"] <= held[-1]["frame"] or elsewhere):
            yield held
            held, place = [], {}
        held.append(frame)
        place |= named
    if held:
        yield held
