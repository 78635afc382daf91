"""The columns of a joint's space: millimetres only where the header gives spacing, nulls where nothing was measured."""

import numpy as np

from rajobs.jobs.score.joint_spaces import space_columns


def test_millimetres_need_the_header_s_spacing() -> None:
    measured = np.array([12.0, 0.8])
    assert space_columns(measured, 0.15) == {"jsw_px": 12.0, "jsw_mm": 12.0 * 0.15, "jsw_confidence": 0.8}
    assert space_columns(measured, None) == {"jsw_px": 12.0, "jsw_mm": None, "jsw_confidence": 0.8}


def test_what_was_not_measured_is_null_rather_than_0() -> None:
    assert space_columns(np.array([np.nan, np.nan]), 0.15) == {}
