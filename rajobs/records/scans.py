"""What the frames of a scan come to: the power-Doppler grade of one, and of a loop as one.

A frame without a colour signal shows no flow: its grade is 0, and no model is asked. Nobody can tell whether power
Doppler was on when it was taken, so that a scan without colour on any frame leaves its grade open.

A loop is graded by its liveliest moments, as a person does who looks for the beat with the most signal: each step up
(above 0, above 1, ...) is as likely as on the frame that one in ten exceeds. The highest frame alone would take the
flash of a moving probe for flow (of six frames and more, one does not decide); the middle one would be the diastole's.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

P = NDArray[np.float64]
LIVELY = 0.9
"""Which of a loop's frames speaks for it, from the one with the least signal (0) to the one with the most (1)."""
WITHOUT_COLOUR = 0


def of_frame(p: P, grade: int, doppler: bool) -> dict[str, Any]:
    """The grade of a frame with its probabilities, as models gave them; by rule where there is no colour."""
    return {"grade": grade, "grade_p": p.tolist()} if doppler else {"grade": WITHOUT_COLOUR, "grade_p": None}


def of_scan(frames: Sequence[Mapping[str, Any]]) -> int | None:
    """A scan's grade out of its frames' `doppler`, `grade` and `grade_p`; None where nobody can tell it."""
    told = [frame for frame in frames if frame["grade"] is not None]
    if not any(frame["doppler"] for frame in told):
        return None
    classes = max(max(len(frame["grade_p"] or ()), frame["grade"] + 1) for frame in told)
    return grade_of(np.array([_sure(frame, classes) for frame in told], np.float64))


def grade_of(p: P, lively: float = LIVELY) -> int:
    """The grade of a loop out of the probabilities of its frames, frames x grades."""
    above = 1 - np.cumsum(p, axis=1)[:, :-1]
    return int((np.quantile(above, lively, axis=0) > 0.5).sum())


def _sure(frame: Mapping[str, Any], classes: int) -> Sequence[float]:
    return frame["grade_p"] or np.eye(classes)[frame["grade"]].tolist()


def loops(frames: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Frames of one patient, in the order of their tables, scan by scan: a loop's follow one another."""
    held: list[Mapping[str, Any]] = []
    for frame in frames:
        if held and (frame["frame"] <= held[-1]["frame"] or frame["site"] not in (None, held[0]["site"])):
            yield held
            held = []
        held.append(frame)
    if held:
        yield held
