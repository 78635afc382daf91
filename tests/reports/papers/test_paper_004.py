"""What evaluate measures of 004's protocol stands beside the paper's numbers, in the same unit and groups."""

from pathlib import Path
from typing import Any

import pytest

from rajobs.papers.protocols import PUBLISHED, read_protocol
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import PREDICTIONS
from rajobs.reports.page import Cell, PageTable, Text
from rajobs.reports.papers.paper_004 import counterparts
from rajobs.reports.papers.runs import PaperRuns, StudyRun

MODE = "here, published mode"


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def agreement(who: str, against: str, group: str, value: float, rows: int) -> dict[str, Any]:
    names = ("accuracy", "within_one", *(("any_sensitivity", "any_specificity") if who == "model" else ()))
    figures = {name: figure(value) for name in names}
    return {"target": "jsn", "group": group, "who": who, "against": against, "rows": rows, "figures": figures}


READER_SCORES = {
    "agreement": [
        agreement("model", "anna", "all", 0.5, 20), agreement("model", "anna", "MCP", 0.6, 10),
        agreement("model", "ben", "all", 0.4, 18), agreement("anna", "ben", "all", 0.7, 20),
    ],
    "totals": [{"target": "jsn", "against": "ben", "pearson": figure(0.8)}],
    "counts": {"jsn": {"model": [1], "anna": [1], "ben": [1]}},
}  # fmt: skip
METRICS = {
    "budget": 1.0, "reader_scores": READER_SCORES,
    "group_counts": {"jsn": {"MCP": {"train": {"0": 5, "4": 1}, "validation": {"0": 2}, "test": {"0": 9}}}},
    "parts": {
        "train": {"patients": 3, "films": 6, "female": 2, "male": 1, "age": [60.0, 50.0, 70.0]},
        "test": {"patients": 1, "films": 2, "female": 1, "male": 0, "age": [64.0, 64.0, 64.0]},
    },
}  # fmt: skip


def detected(*joints: tuple[str, str]) -> bytes:
    rows = [
        {"image_id": "i", "extremity": 0, "site": site, "patient": "p", "target": "joints", "truth": "1",
         "predicted": predicted, "p": [0.5, 0.5], "split": "test", "bundles": ["b"]}
        for site, predicted in joints
    ]  # fmt: skip
    return to_parquet(PREDICTIONS.rows(rows), PREDICTIONS)


@pytest.fixture
def runs(tmp_path: Path) -> PaperRuns:
    store, protocol = open_store(str(tmp_path)), read_protocol("004")
    answers = detected(("PIP2", "1"), ("IP", "0"), ("MCP2", "1"), ("MCP3", "0"))
    store.put("runs/004/detection/published/predictions.parquet", answers)
    judged = {
        (run.name, PUBLISHED): StudyRun(run=run, mode=PUBLISHED, store=store, metrics=METRICS) for run in protocol
    }
    return PaperRuns(paper="004", protocol=protocol, judged=judged, missing={}, apart={})


def tables(runs: PaperRuns, name: str) -> list[PageTable]:
    return [part for part in counterparts()[name](runs) if isinstance(part, PageTable)]


def below(table: PageTable, first: Cell) -> tuple[Cell, ...]:
    """Our row below the paper's."""
    at = next(number for number, row in enumerate(table.rows) if row[0] == first)
    return table.rows[at + 1]


def test_agreement_is_by_clinician_and_group_of_joints(runs: PaperRuns) -> None:
    jsn = tables(runs, "Table 3")[0]
    assert jsn.rows[0] == ("model with clinician 1, PEA", "paper", None, "0.654", "0.583", "0.725"), "as shares"
    whole, mcp = "0.500 (0.400 to 0.600)", "0.600 (0.500 to 0.700)"
    cells = tuple(None if cell is None else str(cell).replace("\xa0", " ") for cell in jsn.rows[1])
    assert cells == ("", MODE, "20", whole, None, mcp), "no PIP joint is judged"
    assert below(jsn, "between the clinicians, PCA")[2] == 20
    assert len(tables(runs, "Table 3")[1].rows) == 6, "nobody has scored erosion: the paper's numbers alone"


def test_any_damage_and_totals_are_by_reader(runs: PaperRuns) -> None:
    damage = below(tables(runs, "Tables S1 to S2")[0], "JSN, sensitivity")
    assert [str(cell)[:5] for cell in damage[2:]] == ["0.500", "0.400"]
    totals = below(tables(runs, "In the text")[1], "JSN")
    assert totals[2] is None and str(totals[3]).startswith("0.800"), "the second reader alone has totals"


def test_joints_are_counted_by_kind_and_scores_by_what_is_learnt(runs: PaperRuns) -> None:
    shares = {row[0]: row for row in tables(runs, "In the text")[0].rows}
    assert shares["joints"][1] == "0.953 (286 of 300)"
    assert [shares[kind][2] for kind in ("joints", "PIP joints", "IP joints", "MCP joints")] == [0.5, 1.0, 0.0, 0.5]
    jsn = tables(runs, "Table 2")[0]
    assert jsn.rows[2] == ("MCP", "paper", 510, 28, 184, 127, 81, 930)
    assert jsn.rows[3] == ("", MODE, 7, 0, 0, 0, 1, 8), "the test part teaches nothing"


def test_patients_are_summed_over_parts_and_ages_are_not(runs: PaperRuns) -> None:
    rows = {row[0]: row[2] for row in tables(runs, "Table 1")[0].rows}
    assert rows["all: female + male"] == "4 = 3 + 1" and rows["test: age, median (quartiles)"] == "64.0 (64.0, 64.0)"
    assert rows["all: age, median (quartiles)"] is None and rows["ACPA positive, all"] is None


def test_what_is_not_run_says_so_beside_the_paper_s_numbers() -> None:
    empty = PaperRuns(paper="004", protocol=read_protocol("004"), judged={}, missing={}, apart={})
    for name, draw in counterparts().items():
        texts = [part for part in draw(empty) if isinstance(part, Text)]
        assert any("Not run yet." in part.paragraphs for part in texts), name
