"""Table 3 of 004: the model beside each clinician by group of joints, on what it found, and they on all they read."""

import numpy as np
import pyarrow as pa
import pytest

from rajobs.learning.judging.readers.scores import ALL, ReaderScores, judge_readers
from rajobs.learning.judging.readers.totals import MODEL
from rajobs.records.tables.schemas import END_TO_END, PREDICTIONS
from rajobs.reports.evaluation.reader_scores import reader_score_sections
from tests.learning.judging.test_calibration import SCORING, answers
from tests.learning.judging.test_end_to_end import end_to_end
from tests.learning.judging.test_reader_totals import with_readers


def at_joints(table: pa.Table) -> pa.Table:
    """MCP3 as PIP3, and MCP2 of every fifth patient as the wrist, which 004 does not score."""
    rows = table.to_pylist()
    for row in rows:
        row["site"] = "PIP3" if row["site"] == "MCP3" else "RC" if int(row["patient"][1:]) % 5 == 1 else "MCP2"
    return PREDICTIONS.rows(rows)


def judged(table: pa.Table) -> ReaderScores:
    scores = judge_readers(SCORING, table)
    assert scores is not None
    return scores


def test_scores_are_compared_by_group_of_joints_with_each_reader_and_between_them() -> None:
    table = at_joints(with_readers(answers(0)))
    scores = judged(table)
    by_pair = {(each.target, each.who, each.against, each.group): each for each in scores.agreement}
    assert {(who, against) for _, who, against, _ in by_pair} == {(MODEL, "anna"), (MODEL, "bert"), ("anna", "bert")}
    rows = [row for row in table.to_pylist() if row["target"] == "jsn" and row["site"] != "RC"]
    pip = [row for row in rows if row["site"] == "PIP3" and "bert" in row["readers"]]
    each = by_pair["jsn", MODEL, "bert", "PIP and IP"]
    readings = [dict(zip(row["readers"], row["readings"]))["bert"] for row in pip]
    assert each.rows == len(pip) == 78, "bert has not read one patient's two"
    assert each.figures["accuracy"]["value"] == np.mean([row["predicted"] == of for row, of in zip(pip, readings)])
    assert each.figures["any_sensitivity"]["value"] == pytest.approx(
        np.mean([row["predicted"] != "0" for row, of in zip(pip, readings) if of != "0"])
    )
    assert by_pair["jsn", MODEL, "anna", ALL].rows == len(rows) == 144, "without the wrist"
    assert set(by_pair["jsn", "anna", "bert", ALL].figures) == {"accuracy", "within_one"}


@pytest.mark.slow
def test_end_to_end_the_model_answers_for_the_joints_found_and_readers_for_all() -> None:
    rows = at_joints(with_readers(answers(0))).to_pylist()
    lost = {(row["image_id"], row["side"]) for row in end_to_end().to_pylist() if row["predicted"] is None}
    for row in rows:
        if (row["image_id"], row["side"]) in lost and row["site"] == "MCP2":
            row |= dict.fromkeys(("predicted", "p", "extremity"))
    scores = judged(END_TO_END.rows(rows))
    counts = {
        (each.who, each.against): each.rows for each in scores.agreement if (each.target, each.group) == ("jsn", ALL)
    }
    assert counts == {(MODEL, "anna"): 128, (MODEL, "bert"): 126, ("anna", "bert"): 142}
    assert sum(scores.counts["jsn"][MODEL]) == 128 and sum(scores.counts["jsn"]["anna"]) == 144


def test_totals_of_films_are_sums_of_likeliest_scores_with_pearson_for_each_reader() -> None:
    table = at_joints(with_readers(answers(0)))
    totals = {(each.target, each.against): each for each in judged(table).totals}
    assert set(totals) == {(score, reader) for score in ("jsn", "erosion") for reader in ("anna", "bert")}
    each = totals["erosion", "anna"]
    first = [
        row for row in table.to_pylist()
        if (row["image_id"], row["side"], row["target"]) == ("film 0", "L", "erosion") and row["site"] != "RC"
    ]  # fmt: skip
    assert each.model[0] == sum(int(row["predicted"]) for row in first)
    assert each.reader[0] == sum(int(dict(zip(row["readers"], row["readings"]))["anna"]) for row in first)
    assert each.pearson["value"] == pytest.approx(float(np.corrcoef(each.model, each.reader)[0, 1]))


@pytest.mark.slow
def test_the_page_has_a_table_for_each_score_and_the_figures_of_004() -> None:
    drawn: dict[str, bytes] = {}
    table = at_joints(with_readers(answers(0)))
    (section,) = reader_score_sections(SCORING, judged(table), drawn, ", end to end")
    assert {"jsn-by-reader-end-to-end.png", "erosion-totals-2-end-to-end.png"} <= set(drawn)
    assert len(drawn) == 12, "six figures, and the data of each"
    captions = [getattr(part, "caption", "") for part in section.parts]
    assert sum("JSN" in each for each in captions) == 2 and "Pearson" in str(section.parts)
    unread = judged(at_joints(answers(0)))
    assert {each.against for each in unread.agreement} == {"reference"}, "without readers, the reference"
    assert reader_score_sections(SCORING, None, {}) == []
