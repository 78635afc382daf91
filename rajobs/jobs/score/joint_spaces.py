"""The joint space of every joint: measured on a film's pixels in the pass that draws the models' views."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.joint_space.measure import measure_joint_space
from rajobs.imaging.rows import Row
from rajobs.imaging.views import ViewInput
from rajobs.jobs.score.steps import Record
from rajobs.learning.samples.row_arrays import ViewRequest
from rajobs.learning.study import View

NAME = "joint space"  # of the request beside those of the models


def _measure(image: ViewInput, row: Row) -> NDArray[Any]:
    """The mean width in pixels and its confidence; nan where it cannot be measured."""
    space = measure_joint_space(image.pixels if image.deep is None else image.deep, row)
    return np.array([np.nan, np.nan]) if space is None else np.array([space.mean_px, space.confidence])


def space_request(joints: Sequence[Row]) -> ViewRequest:
    """What to measure beside the models' views, one row per joint."""
    return ViewRequest(view=View(draw=_measure, version=1, reads="pixels", settings={}), settings={}, rows=joints)


def space_columns(measured: NDArray[Any], spacing_mm: float | None) -> Record:
    """The columns of a joint, null where nothing was measured; without spacing there are no millimetres."""
    width, confidence = (float(value) for value in measured)
    if np.isnan(width):
        return {}
    jsw_mm = None if spacing_mm is None else width * spacing_mm
    return {"jsw_px": width, "jsw_mm": jsw_mm, "jsw_confidence": confidence}
