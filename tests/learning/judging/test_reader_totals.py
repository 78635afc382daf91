"""Totals are compared on the sites that all readers of a hand scored, and with the readers' mean."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rajobs.learning.judging.readers.totals import MEAN, MODEL, compare_totals, hand_readings
from rajobs.records.statistics.agreement import icc_agreement
from rajobs.records.tables.schemas import PREDICTIONS
from rajobs.reports.trial.reader_totals import reader_total_sections
from tests.learning.judging.test_calibration import answers


def with_readers(table: pa.Table, seed: int = 0) -> pa.Table:
    """Two readers who are often one step off, and an adjudicated score; bert has not read MCP3 of the first patient."""
    rng, rows = np.random.default_rng(seed), []
    for row in table.to_pylist():
        near = [str(min(max(int(row["truth"]) + int(rng.integers(-1, 2)), 0), 4)) for _ in range(2)]
        read = {"anna": near[0], "bert": near[1], "truth": row["truth"]}
        if (row["patient"], row["site"]) == ("p0", "MCP3"):
            del read["bert"]
        rows.append({**row, "readers": list(read), "readings": list(read.values())})
    return PREDICTIONS.rows(rows)


def test_a_hand_s_totals_are_over_the_sites_that_all_its_readers_scored() -> None:
    table = with_readers(answers(0))
    first = next(each for each in hand_readings(table) if (each.patient, each.measure) == ("p0", "svdh"))
    rows: list[dict[str, Any]] = [
        row for row in table.to_pylist() if (row["image_id"], row["extremity"], row["site"]) == ("film 0", 0, "MCP2")
    ]
    assert first.by_reader == {
        name: sum(int(dict(zip(row["readers"], row["readings"]))[name]) for row in rows) for name in ("anna", "bert")
    }
    assert first.expected == pytest.approx(sum(np.arange(len(row["p"])) @ row["p"] for row in rows), abs=1e-5)
    assert first.of(MEAN) == np.mean(list(first.by_reader.values())) and first.of("carl") is None


@pytest.mark.slow
def test_the_model_is_compared_with_the_readers_mean_with_each_and_they_with_one_another() -> None:
    readings = hand_readings(with_readers(answers(0)))
    compared = {(each.who, each.against): each for each in compare_totals(readings) if each.measure == "svdh"}
    assert list(compared) == [(MODEL, MEAN), (MODEL, "anna"), (MODEL, "bert"), ("anna", "bert")]
    both = compared["anna", "bert"]
    assert both.patients == 40 and len(both.one) == 80
    pairs = np.array([both.one, both.other]).T
    assert both.figures["icc_agreement"]["value"] == pytest.approx(icc_agreement(pairs), abs=1e-9)
    assert both.figures["pearson"]["value"] == pytest.approx(float(np.corrcoef(pairs.T)[0, 1]), abs=1e-9)
    agreement = {pair: each.figures["icc_agreement"]["value"] for pair, each in compared.items()}
    assert agreement[MODEL, MEAN] > max(agreement[MODEL, "anna"], agreement[MODEL, "bert"]), "errors of readers cancel"
    drawn: dict[str, bytes] = {}
    (section,) = reader_total_sections(readings, list(compare_totals(readings)), drawn)
    assert set(drawn) == {"hand-readers.png", "hand-reader-totals.png"} and "Pearson 0." in str(section.parts[-1])


def test_without_named_readers_there_is_no_section() -> None:
    adjudicated = with_readers(answers(0)).to_pylist()
    rows = [{**row, "readers": ["truth"], "readings": [row["truth"]]} for row in adjudicated]
    for table in (answers(0), PREDICTIONS.rows(rows)):
        readings = hand_readings(table)
        assert readings == [] and reader_total_sections(readings, list(compare_totals(readings)), {}) == []
