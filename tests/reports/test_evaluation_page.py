from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from rajobs import studies
from rajobs.learning.recipe import to_dict
from rajobs.learning.study import Study
from rajobs.learning.targets import scores
from rajobs.records.tables.schemas import HISTORY, PREDICTIONS
from rajobs.reports import figures as draw
from rajobs.reports.evaluation_page import evaluation_page, wrong_answers

ReadPage = Callable[[str], str]
FIGURES = {
    "view.accuracy": {"value": 0.8125, "low": 0.7, "high": 0.9},
    "view.balanced_accuracy": {"value": 0.75, "low": 0.5, "high": float("nan")},
}


@pytest.fixture
def study() -> Study:
    return studies.find("hand_filter")


@pytest.fixture
def facts(study: Study) -> dict[str, Any]:
    bundle = {"hash": "b5", "recipe": to_dict(study.recipes["default"]), "mode": "clean", "seed": 7, "budget": 1.0}
    return {"mode": "clean", "budget": 1.0, "bundles": [bundle], "rows": {"train": 6, "validation": 2, "test": 4}}


def predictions(rows: Sequence[tuple[str, str, str, list[float] | None]], **more: Any) -> pa.Table:
    return PREDICTIONS.rows(
        [
            {
                "image_id": image, "hand": 0, "site": "", "patient": f"p{image}", "target": "view", "truth": truth,
                "predicted": predicted, "p": p, "split": "test", "bundles": ["b5"], **more,
            }
            for image, truth, predicted, p in rows
        ]
    )  # fmt: skip


FOUR = (
    ("i1", "unilateral", "unilateral", [0.7, 0.1, 0.1, 0.1]),
    ("i2", "both", "unilateral", [0.6, 0.3, 0.1, 0.0]),
    ("i3", "foot", "other", [0.0, 0.0, 0.05, 0.95]),
    ("i4", "other", "other", [0.0, 0.0, 0.2, 0.8]),
)


def test_the_surest_mistakes_of_the_test_part_come_first(study: Study) -> None:
    table = pa.concat_tables(
        [predictions(FOUR), predictions([("t", "both", "foot", [0.0, 0.0, 1.0, 0.0])], split="train")]
    )
    assert wrong_answers(study, table) == ["i3", "i2"]
    assert wrong_answers(study, table, most=1) == ["i3"]
    unlikely = predictions([("i5", "both", "unilateral", [0.01, 0.0, 0.0, 0.99])])  # not as sure of what it says
    assert wrong_answers(study, pa.concat_tables([unlikely, table])) == ["i3", "i2", "i5"]


def test_the_page_shows_measures_paper_mistakes_and_making(
    study: Study, facts: Mapping[str, Any], read_page: ReadPage, film: bytes
) -> None:
    epoch = {"member": "views", "epoch": 1, "loss": 1.0, "validation_loss": 1.1, "metric": 0.5, "learning_rate": 1e-3}
    history = HISTORY.rows([epoch, {**epoch, "epoch": 2}])
    page, drawn = evaluation_page(study, facts, predictions(FOUR), FIGURES, history, {"i3": film})
    text = read_page(page)
    assert set(drawn) == {
        "view-confusion.png", "view-roc.png", "view-calibration.png", "view-confidence.png", "history.png",
    }  # fmt: skip
    assert all(image.startswith(b"\x89PNG") for image in drawn.values())
    assert "Accuracy 0.812 0.700 to 0.900 Share of answers that are right." in text
    assert "other, truly foot view, 95 % sure i3" in text and "unilateral, truly both" in text
    assert page.count("no picture") == 1  # i2 has none
    assert "not comparable" in text and "0.952 – –" in text  # printed, and none of ours is the same measure
    assert "b5 default views (compact) clean 7 1" in text
    assert "epochs and rows" not in text


def test_a_small_budget_and_the_other_mode_are_said(
    study: Study, facts: Mapping[str, Any], read_page: ReadPage
) -> None:
    other = {"mode": "clean", "figures": {"view.accuracy": {"value": 0.7125, "low": 0.6, "high": 0.8}}}
    page, _ = evaluation_page(
        study, {**facts, "mode": "published", "budget": 0.05, "other": other, "rules": ["Dark films are nought."]},
        predictions(FOUR), FIGURES, None, {},
    )  # fmt: skip
    text = read_page(page)
    assert "Dark films are nought." in text
    assert "with 5 % of the recipe's epochs" in text
    assert "with the leaks that it has" in text and "foot as other" in text
    assert "View, accuracy 0.812 0.713 -0.100" in text


def test_folded_probabilities_are_answers_of_the_papers_classes(study: Study, facts: Mapping[str, Any]) -> None:
    three = predictions([("i1", "other", "other", [0.1, 0.1, 0.8]), ("i2", "both", "unilateral", [0.6, 0.3, 0.1])])
    page, _ = evaluation_page(study, facts, three, {}, None, {})
    assert '<th scope="row" class="">foot</th>' not in page and '<th scope="row" class="">other</th>' in page


def test_answers_without_probabilities_leave_out_what_needs_them(study: Study, facts: Mapping[str, Any]) -> None:
    _, drawn = evaluation_page(study, facts, predictions([("i1", "both", "foot", None)]), {}, None, {})
    assert set(drawn) == {"view-confusion.png"}


def test_scores_in_order_get_the_readers_beside_the_model(study: Study, facts: Mapping[str, Any]) -> None:
    ordered = replace(study, targets=(scores("stage", 2),), headline="stage.qwk", metrics=("qwk",))
    table = predictions([("i1", "0", "0", [0.8, 0.1, 0.1]), ("i2", "2", "1", [0.2, 0.6, 0.2])], target="stage")
    figures = {"stage.qwk": {"value": 0.4, "low": 0.1, "high": 0.6}}
    page, drawn = evaluation_page(ordered, facts, table, figures, None, {})
    assert "stage-scores.png" in drawn and "QWK, stage" in page


def test_an_answer_is_as_sure_as_its_own_probability(
    study: Study, facts: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = replace(study, targets=(scores("stage", 3),), headline="stage.qwk", metrics=("qwk",))
    table = predictions([("i1", "1", "1", [0.4, 0.25, 0.35, 0.0])], target="stage")  # the median is not the likeliest
    told: list[float] = []
    drawn = draw.reliability
    monkeypatch.setattr(draw, "reliability", lambda sure, right: told.extend(sure.tolist()) or drawn(sure, right))
    evaluation_page(ordered, facts, table, {}, None, {})
    assert told == [0.25]


def test_no_test_rows_is_said_and_not_drawn(study: Study, facts: Mapping[str, Any], read_page: ReadPage) -> None:
    page, drawn = evaluation_page(study, facts, PREDICTIONS.rows([]), {}, None, {})
    assert "nothing to judge by" in read_page(page) and not drawn


def test_the_readers_stand_beside_the_model(study: Study, facts: Mapping[str, Any], read_page: ReadPage) -> None:
    figure = {"value": 0.75, "low": 0.5, "high": 1.0}
    row = {"target": "view", "against": "reference", "rows": 4, "figures": {"accuracy": figure}}
    readers = [
        {**row, "who": "model"},
        {**row, "who": "anna", "lead": {"accuracy": {"value": -0.25, "low": -0.5, "high": 0.125}}},
    ]
    text = read_page(evaluation_page(study, {**facts, "readers": readers}, predictions(FOUR), FIGURES, None, {})[0])
    assert "View: readers and model" in text
    assert "Anna and reference 4 0.750 (0.500 to 1.000) -0.250 (-0.500 to +0.125)" in text
    without = read_page(evaluation_page(study, facts, predictions(FOUR), FIGURES, None, {})[0])
    assert "The readers" not in without


def test_a_plain_model_stands_beside_the_networks(study: Study, facts: Mapping[str, Any], read_page: ReadPage) -> None:
    figure = {"value": 0.75, "low": 0.5, "high": 1.0}
    row = {"target": "view", "against": "reference", "rows": 4, "figures": {"accuracy": figure}}
    worse = {"accuracy": {"value": -0.25, "low": -0.5, "high": 0.125}}
    plain = {**row, "who": "a plain tabular model", "learnt": 9, "learnt_from": ["train"], "lead": worse}
    baseline = [{**row, "who": "model"}, plain]
    text = read_page(evaluation_page(study, {**facts, "baseline": baseline}, predictions(FOUR), FIGURES, None, {})[0])
    assert "The networks do not win against a plain tabular model" in text
    assert "A plain tabular model and reference 4 0.750 (0.500 to 1.000) -0.250 (-0.500 to +0.125)" in text
    assert "learnt from the split's train part, on the same rows" in text
    baseline = [baseline[0], {**plain, "learnt_from": ["train", "validation"]}]
    text = read_page(evaluation_page(study, {**facts, "baseline": baseline}, predictions(FOUR), FIGURES, None, {})[0])
    assert "learnt from the split's train and validation parts, as networks with folds do" in text
    without = read_page(evaluation_page(study, facts, predictions(FOUR), FIGURES, None, {})[0])
    assert "plain" not in without


def test_where_members_differ_and_who_was_chosen_on_the_test_part_is_said(
    study: Study, facts: Mapping[str, Any], read_page: ReadPage
) -> None:
    apart = pa.concat_tables([
        predictions([row], dissent=share) for row, share in zip(FOUR, (0.0, 0.5, 0.25, 0.0), strict=True)
    ])  # fmt: skip
    text = read_page(evaluation_page(study, facts, apart, FIGURES, None, {})[0])
    assert "View all members agree 2 0.500 1.000 View a member says otherwise 2 0.500 0.000" in text
    assert "Where members differ" not in read_page(
        evaluation_page(study, facts, predictions(FOUR), FIGURES, None, {})[0]
    )
    (bundle,) = facts["bundles"]
    chosen = {**facts, "mode": "published", "bundles": [{**bundle, "mode": "published", "best": "trial3"}]}
    text = read_page(evaluation_page(study, chosen, predictions(FOUR), FIGURES, None, {})[0])
    assert "trial3 answers, the most accurate one on this very test part" in text and "That is a leak" in text


@pytest.mark.parametrize("mode", ["clean", "published"])
def test_where_all_labelled_rows_judge_no_test_part_is_spoken_of(
    study: Study, facts: Mapping[str, Any], read_page: ReadPage, mode: str
) -> None:
    (bundle,) = facts["bundles"]
    foreign = {
        **facts,
        "mode": mode,
        "all_rows": "Nobody can tell.",
        "bundles": [{**bundle, "best": "x", "mode": mode}],
    }
    for table in (predictions(FOUR), predictions(FOUR[:1])):
        page = evaluation_page(study, foreign, table, FIGURES, None, {})[0]
        text = read_page(page)
        assert "Nobody can tell." in text and "all labelled rows" in text
        spoken = text.replace("test part of the data that it was made with", "")
        assert "test part" not in spoken and "Clean mode" not in spoken and "Published mode" not in spoken
    assert "test part" in read_page(evaluation_page(study, facts, predictions(FOUR), FIGURES, None, {})[0])


def test_of_answers_that_were_brought_no_model_is_spoken_of(
    study: Study, facts: Mapping[str, Any], read_page: ReadPage
) -> None:
    page, _ = evaluation_page(study, {**facts, "bundles": []}, predictions(FOUR), FIGURES, None, {})
    text = read_page(page)
    assert "The answers were brought in a table." in text
    assert "Models that answered" not in text and "Clean mode" not in text
