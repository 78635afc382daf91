"""What a job prints of a figure."""

from math import nan

from rajobs.jobs import console


def test_a_value_without_an_interval_is_printed_and_says_why() -> None:
    """Twenty hands of a first sheet leave a handful of patients in the test part."""
    assert console.figure({"value": 0.75, "low": 0.5, "high": 1.0}) == "0.750 (0.500 to 1.000)"
    assert console.figure({"value": 0.75, "low": nan, "high": nan}) == "0.750 (no interval: too few patients)"
    assert console.figure({"value": 0.75, "low": None, "high": None}) == "0.750 (no interval: too few patients)"
    assert console.figure({"value": None, "low": None, "high": None}) == "unknown: too few rows"
