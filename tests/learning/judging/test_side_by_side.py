"""Models side by side: each on its own test part, and paired differences on the rows that all are judged by."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rajobs import studies
from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.side_by_side import JudgedModel, Measured, measure_models
from rajobs.records import metrics
from rajobs.records.tables.schemas import PREDICTIONS
from rajobs.reports.evaluation.apart import ApartFacts, ComparedModel, ModePair, apart_page
from rajobs.reports.evaluation_page import ModelFacts
from tests.learning.judging.test_calibration import SCORING, answers


def of_patients(table: pa.Table, first: int, last: int) -> pa.Table:
    names = [f"p{number}" for number in range(first, last)]
    return table.filter(pc.is_in(table.column("patient"), pa.array(names)))


def leaked(table: pa.Table) -> pa.Table:
    """The same rows by a model that knows two answers in three."""
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        if number % 3:
            row["predicted"] = row["truth"]
    return PREDICTIONS.rows(rows[::-1])


def two_models() -> tuple[JudgedModel, JudgedModel]:
    """A clean model judged by 30 patients, and a published one judged by 30, of whom 20 are the same."""
    table = answers(0)
    return (
        JudgedModel(table=of_patients(table, 0, 30), calibration=Calibration(thresholds={"jsn": 0.5})),
        JudgedModel(table=leaked(of_patients(table, 10, 40))),
    )


@pytest.fixture
def models() -> tuple[JudgedModel, JudgedModel]:
    return two_models()


def apart_facts(models: tuple[JudgedModel, ...]) -> ApartFacts:
    def compared(number: int, mode: str) -> ComparedModel:
        model = ModelFacts(hash=f"h{number}", recipe=SCORING.recipe("published"), mode=mode, seed=0, budget=1.0)
        return ComparedModel(number=number, model=model, rows={"train": 60})

    two = compared(1, "clean"), compared(2, "published")
    every = tuple(measure_models(SCORING, models))
    return ApartFacts(models=two, measured=every, modes=(ModePair(clean=two[0], published=two[1], measured=every),))


def measured(models: tuple[JudgedModel, ...]) -> dict[str, Measured]:
    return {each.name: each for each in measure_models(SCORING, models)}


def test_a_difference_is_paired_on_the_rows_that_all_share(models: tuple[JudgedModel, ...]) -> None:
    accuracy = measured(models)["jsn.accuracy"]
    assert accuracy.own_rows == (120, 120) and (accuracy.shared_rows, accuracy.shared_patients) == (80, 20)
    shared = [answers_of(SCORING.target("jsn"), of_patients(each.table, 10, 30)) for each in models]
    for one, other in zip(shared, accuracy.shared):
        assert one is not None and other is not None
        assert other["value"] == pytest.approx(metrics.accuracy(one))
    lead = accuracy.lead[1]
    assert accuracy.lead[0] is None and lead is not None and accuracy.shared[0] and accuracy.shared[1]
    assert lead["value"] == pytest.approx(accuracy.shared[1]["value"] - accuracy.shared[0]["value"])
    assert 0 < lead["low"] < lead["value"], "the rows are matched, whatever their order"
    assert measured(models)["jsn.sensitivity_at_90"].lead[1] is None, "one of them has no threshold"


def test_models_without_a_common_row_are_not_compared_and_a_target_may_be_one_model_s_alone() -> None:
    table = answers(0)
    apart = (
        JudgedModel(table=of_patients(table, 0, 20)),
        JudgedModel(table=of_patients(table, 20, 40)),
    )
    accuracy = measured(apart)["jsn.accuracy"]
    assert accuracy.shared_rows == 0 and accuracy.shared == (None, None) == accuracy.lead and None not in accuracy.own
    jsn = table.filter(pc.equal(table.column("target"), "jsn"))
    erosion = measured((apart[0], JudgedModel(table=jsn)))["erosion.accuracy"]
    assert erosion.shared_rows == 80 and erosion.own[1] is None and erosion.shared[0] is not None


@pytest.mark.slow
def test_the_page_shows_clean_beside_published_and_names_the_leaks(models: tuple[JudgedModel, ...]) -> None:
    facts = apart_facts(models)
    page = apart_page(SCORING, facts)
    assert "Clean beside published" in page and "of which they share 80 of 20 patients" in page
    assert "No leak of the paper is known" in page, "004 has none"
    of_000 = replace(SCORING, paper=studies.find("clinical_array").paper)
    assert "the best of five trials is chosen on the test set" in apart_page(of_000, facts).lower()
    alone = replace(facts, models=facts.models[:1], modes=())
    assert "Clean beside published" not in apart_page(SCORING, alone)
    assert "No recipe was trained in both modes" in apart_page(SCORING, replace(facts, modes=()))
