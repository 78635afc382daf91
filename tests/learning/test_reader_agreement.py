from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from rajobs import studies
from rajobs.learning.reader_agreement import compare_readers
from rajobs.learning.study import Study
from rajobs.learning.targets import scores
from rajobs.records.tables.schemas import PREDICTIONS


@pytest.fixture
def study() -> Study:
    plain = studies.find("svdh_scoring")
    return replace(plain, targets=(scores("erosion", 5),), metrics=("accuracy", "mae", "calibration_error"))


SITES = ("MCP2", "MCP3", "MCP4", "PIP2")
PREDICTED = (0, 1, 3, 5)


def predictions(reference: tuple[int, ...], **read: tuple[int | None, ...]) -> pa.Table:
    """Answers to four joints, with the scores of each reader."""
    rows: list[dict[str, Any]] = []
    for at, (site, answer, true) in enumerate(zip(SITES, PREDICTED, reference, strict=True)):
        by_reader = {name: str(scores[at]) for name, scores in read.items() if scores[at] is not None}
        rows.append({
            "image_id": "i", "extremity": 0, "site": site, "side": "L", "patient": f"p{at % 2}", "target": "erosion",
            "truth": str(true), "predicted": str(answer), "p": [0.0] * 6, "split": "test", "bundles": ["b"],
            "readers": list(by_reader), "readings": list(by_reader.values()),
        })  # fmt: skip
    return PREDICTIONS.rows(rows)


def test_readers_and_model_are_judged_on_the_rows_that_a_reader_scored(study: Study) -> None:
    table = predictions((0, 1, 2, 5), truth=(0, 1, 2, 5), anna=(0, 2, 2, None), bert=(1, 2, 2, 5))
    compared = {(row.who, row.against): row for row in compare_readers(study, table)}
    assert list(compared) == [
        ("model", "reference"), ("anna", "reference"), ("bert", "reference"),
        ("model", "anna"), ("model", "bert"), ("anna", "bert"),
    ]  # fmt: skip
    accuracy = {pair: row.figures["accuracy"]["value"] for pair, row in compared.items()}
    assert accuracy == {
        ("model", "reference"): 3 / 4, ("anna", "reference"): 2 / 3, ("bert", "reference"): 2 / 4,
        ("model", "anna"): 1 / 3, ("model", "bert"): 1 / 4, ("anna", "bert"): 2 / 3,
    }  # fmt: skip
    assert compared["anna", "reference"].rows == 3
    assert compared["anna", "reference"].lead["accuracy"]["value"] == 0  # two of the three rows that anna scored
    assert compared["bert", "reference"].lead["accuracy"]["value"] == 1 / 4
    assert compared["bert", "reference"].lead["mae"]["value"] == -1 / 4  # 1 step of 4 rows less 2 of 4
    assert set(compared["anna", "reference"].figures) == {"accuracy", "mae"}, "no probability of a reader's is known"


def test_a_consensus_of_the_readers_judges_none_of_them(study: Study) -> None:
    rows = compare_readers(study, predictions((0, 1, 2, 5), anna=(0, 1, 2, 5), bert=(0, 1, 2, 4)))
    assert [(row.who, row.against) for row in rows] == [("model", "anna"), ("model", "bert"), ("anna", "bert")]
    assert not any(row.lead for row in rows)


def test_rows_without_an_adjudicated_score_judge_no_reader(study: Study) -> None:
    table = predictions((0, 1, 1, 1), truth=(0, None, None, None), anna=(0, 1, 1, 1))
    compared = compare_readers(study, table)
    assert {(row.who, row.against): row.rows for row in compared} == {
        ("model", "reference"): 1, ("anna", "reference"): 1, ("model", "anna"): 4,
    }  # fmt: skip


def test_without_named_readers_there_is_nothing_to_compare(study: Study) -> None:
    assert compare_readers(study, predictions((0, 1, 2, 5), truth=(0, 1, 2, 5))) == []
    assert compare_readers(study, predictions((0, 1, 2, 5))) == []
