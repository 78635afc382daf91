"""End to end: a joint that no model placed is wrong in every share of all joints, and adds nothing to its total."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from rajobs.learning.judging.end_to_end import EndToEndFigure, end_to_end_figures, end_to_end_totals, placed_shares
from rajobs.learning.judging.reliability import total_agreement
from rajobs.records.tables.schemas import END_TO_END, PREDICTIONS
from rajobs.reports.evaluation.end_to_end import EndToEndFacts, end_to_end_sections
from tests.learning.judging.test_calibration import SCORING, answers

SOUND = ("jsn", "0")


def end_to_end(lost: int = 5, worse: int = 0) -> pa.Table:
    """Answers where models place joints: every fifth patient's MCP2 was not placed; some scores are read worse."""
    rows: list[dict[str, Any]] = []
    for row in answers(0).to_pylist():
        number = int(row["patient"][1:])
        row |= {"confidence": 0.9, "distance": 0.1 if number % 4 else 0.8}
        if row["site"] == "MCP2" and number % lost == 0:
            row |= dict.fromkeys(("extremity", "predicted", "p", "confidence", "distance"))
        elif number < worse:
            row["predicted"] = str(min(int(row["truth"]) + 1, 4))
        rows.append(row)
    return END_TO_END.rows(rows)


def figure(figures: list[EndToEndFigure], target: str, metric: str) -> EndToEndFigure:
    (chosen,) = (each for each in figures if (each.target, each.metric) == (target, metric))
    return chosen


def test_joints_count_once_whatever_labels_they_have() -> None:
    every, *kinds = placed_shares(SCORING, end_to_end())
    assert (every.kind, every.labelled, every.patients) == ("all", 160, 40) and not kinds, "all are of one kind"
    assert every.placed["value"] == 144 / 160 and every.near is not None
    assert every.near["value"] == pytest.approx(1 - 36 / 144), (
        "8 hand pairs near the label's edge, 2 of them without MCP2"
    )
    two = [{**row, "site": row["site"].replace("MCP3", "PIP3")} for row in end_to_end().to_pylist()]
    shares = {each.kind: each.placed["value"] for each in placed_shares(SCORING, END_TO_END.rows(two))}
    assert shares == {"all": 0.9, "MCP": 0.8, "PIP": 1.0}


def test_a_joint_that_was_not_placed_is_wrong_in_every_share_and_in_no_kappa() -> None:
    table, known = end_to_end(), answers(0)
    foot = [{**row, "site": "MTP1", "image_id": "a foot"} for row in known.to_pylist()[:1]]
    known = pa.concat_tables([known, PREDICTIONS.rows(foot)])
    figures = list(end_to_end_figures(SCORING, known, table))
    close, qwk = figure(figures, "jsn", "within_one"), figure(figures, "jsn", "qwk")
    jsn = [row for row in table.to_pylist() if row["target"] == "jsn"]
    hits = sum(row["predicted"] is not None and abs(int(row["truth"]) - int(row["predicted"])) <= 1 for row in jsn)
    assert close.every is not None and close.every["value"] == pytest.approx(hits / 160, abs=1e-9)
    assert close.placed is not None and close.placed["value"] == pytest.approx(hits / 144, abs=1e-9)
    assert close.rows == {"by_labels": 160, "placed": 144, "every": 160} and qwk.every is None
    specific = figure(figures, "jsn", "any_specificity")
    sound = [row for row in jsn if row["truth"] == "0"]
    cleared = sum(row["predicted"] == "0" for row in sound)
    assert specific.every is not None and specific.every["value"] == pytest.approx(cleared / len(sound), abs=1e-9)
    assert close.change is not None and close.change["value"] == 0, "the same answers on the joints that both have"
    worse = figure(list(end_to_end_figures(SCORING, known, end_to_end(worse=30))), "jsn", "accuracy")
    assert worse.change is not None and worse.change["high"] < -0.2
    tuned = replace(SCORING, metrics=("accuracy", "tuned_f1"))
    assert {each.metric for each in end_to_end_figures(tuned, known, table)} == {"accuracy"}, "no threshold, no figure"


def test_what_was_not_placed_adds_nothing_to_its_total() -> None:
    whole = {each.target: each for each in end_to_end_totals(answers(0), end_to_end(lost=1000))}
    known = {each.measure: each.figures["icc_agreement"]["value"] for each in total_agreement(answers(0))}
    for measure, of in whole.items():
        assert of.by_labels is not None and of.by_labels["value"] == pytest.approx(known[measure], abs=1e-9)
    some = {each.target: each for each in end_to_end_totals(answers(0), end_to_end(lost=2))}
    for each in some.values():
        assert each.every is not None and each.placed is not None and each.every["value"] < each.placed["value"] - 0.05
    nothing = end_to_end(lost=1).filter(pa.compute.equal(end_to_end(lost=1).column("site"), "MCP2"))
    (jsn, *_) = end_to_end_totals(answers(0), nothing)
    assert jsn.rows == {"by_labels": 80, "placed": 0, "every": 80} and jsn.placed is None


def test_the_page_has_both_beside_the_figures_with_labelled_places() -> None:
    table = end_to_end()
    facts = EndToEndFacts(
        shares=tuple(placed_shares(SCORING, table)), figures=tuple(end_to_end_figures(SCORING, answers(0), table)),
        totals=tuple(end_to_end_totals(answers(0), table)), beyond=7, taught=1,
    )  # fmt: skip
    (section,) = end_to_end_sections(SCORING, facts, {})
    assert "7 labels at sites that no finder looks for" in section.lead and "1 film of those" in str(section.parts[0])
    (jsn,) = (part for part in section.parts if getattr(part, "caption", "") == "JSN, end to end")
    assert jsn.columns[1:4] == ("places by labels", "by models, placed", "by models, all")
    assert jsn.rows[0][1:4] == (160, 144, 160)
    assert end_to_end_sections(SCORING, None, {}) == []
