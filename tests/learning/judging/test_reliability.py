"""Agreement with the readers: hands and feet apart, and totals with what a constant error does to them."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import cohen_kappa_score

from rajobs import studies
from rajobs.learning.judging.reliability import kind_agreement, total_agreement
from rajobs.reports.reliability import reliability_sections
from tests.learning.judging.test_calibration import SCORING, answers


def test_scores_are_judged_by_kind_of_site() -> None:
    hands = answers(0)
    feet = hands.set_column(2, hands.schema.field("site"), pa.array(["MTP2"] * hands.num_rows))
    kinds = list(kind_agreement(SCORING, pa.concat_tables([hands, feet.slice(0, 80)])))
    assert [(each.target, each.kind) for each in kinds] == [
        ("jsn", "MCP"), ("jsn", "MTP"), ("erosion", "MCP"), ("erosion", "MTP"),
    ]  # fmt: skip
    rows = [row for row in hands.to_pylist() if row["target"] == "erosion"]
    truth, predicted = ([int(row[name]) for row in rows] for name in ("truth", "predicted"))
    known = cohen_kappa_score(truth, predicted, weights="quadratic", labels=range(11))
    assert kinds[2].figures["qwk"]["value"] == pytest.approx(known, abs=1e-9) and kinds[2].rows == 160
    nowhere = hands.set_column(2, hands.schema.field("site"), pa.array(["no site"] * hands.num_rows))
    assert not [*kind_agreement(SCORING, nowhere), *total_agreement(nowhere)], "of predictions from elsewhere"
    assert not list(kind_agreement(studies.find("ra_staging"), hands)), "a stage has no site"


def test_totals_of_a_model_that_is_always_too_high_agree_less_than_they_correlate() -> None:
    table = answers(0)
    # Every joint's score, and its probabilities, one too high.
    p = pa.array([np.roll(row, 1).tolist() for row in table.column("p").to_pylist()], table.schema.field("p").type)
    high = table.set_column(table.schema.get_field_index("p"), "p", p)
    (right,), (wrong,) = ([each for each in total_agreement(rows) if each.measure == "svdh"] for rows in (table, high))
    assert right.figures["icc_agreement"]["value"] > 0.6 and right.patients == 40 and len(right.truth) == 80
    assert wrong.figures["icc_agreement"]["value"] < wrong.figures["icc_consistency"]["value"] - 0.1
    assert wrong.figures["mean_difference"]["value"] - right.figures["mean_difference"]["value"] > 2
    for of in (right, wrong):
        assert all(figure["low"] < figure["value"] < figure["high"] for figure in of.figures.values())
    assert not list(total_agreement(answers(0, patients=4)))


def test_the_page_shows_both() -> None:
    drawn: dict[str, bytes] = {}
    (section,) = reliability_sections(
        tuple(kind_agreement(SCORING, answers(0))), tuple(total_agreement(answers(0))), drawn
    )
    assert set(drawn) == {"hand-totals.png", "hand-differences.png"}
    (table,) = (part for part in section.parts if getattr(part, "caption", "") == "Differences of totals")
    assert table.columns[4:] == ("mean difference", "lower limit", "upper limit") and len(table.rows) == 3
    assert reliability_sections((), (), drawn) == []
