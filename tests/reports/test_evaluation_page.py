from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from rajobs import studies
from rajobs.jobs.evaluate.predictions import figures_of
from rajobs.learning.comparison import Comparison, MemberFigures
from rajobs.learning.judging.predictions import with_printed_classes
from rajobs.learning.study import Study
from rajobs.learning.targets import scores
from rajobs.records.tables.schemas import HISTORY, PREDICTIONS
from rajobs.reports import figures as draw
from rajobs.reports.evaluation_page import EvaluationFacts, ModelFacts, evaluation_page, wrong_answers

ReadPage = Callable[[str], str]
WORDS_ALONE = pytest.mark.usefixtures("blank_figures")
FIGURES = {
    "view.accuracy": {"value": 0.8125, "low": 0.7, "high": 0.9},
    "view.balanced_accuracy": {"value": 0.75, "low": 0.5, "high": float("nan")},
}


@pytest.fixture
def study() -> Study:
    return studies.find("hand_filter")


@pytest.fixture
def facts(study: Study) -> EvaluationFacts:
    model = ModelFacts(hash="b5", recipe=study.recipes["default"], mode="clean", seed=7, budget=1.0)
    rows = {"train": 6, "validation": 2, "test": 4}
    return EvaluationFacts(mode="clean", models=(model,), rows=rows, figures=FIGURES)


def predictions(rows: Sequence[tuple[str, str, str, list[float] | None]], **more: Any) -> pa.Table:
    return PREDICTIONS.rows(
        [
            {
                "image_id": image, "extremity": 0, "site": "", "patient": f"p{image}", "target": "view", "truth": truth,
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


def test_the_most_confident_mistakes_of_the_test_part_come_first(study: Study) -> None:
    table = pa.concat_tables(
        [predictions(FOUR), predictions([("t", "both", "foot", [0.0, 0.0, 1.0, 0.0])], split="train")]
    )
    assert wrong_answers(study, table) == ["i3", "i2"]
    assert wrong_answers(study, table, most=1) == ["i3"]
    unlikely = predictions(
        [("i5", "both", "unilateral", [0.01, 0.0, 0.0, 0.99])]
    )  # its own answer has a low probability
    assert wrong_answers(study, pa.concat_tables([unlikely, table])) == ["i3", "i2", "i5"]


def test_the_page_shows_measures_paper_mistakes_and_making(
    study: Study, facts: EvaluationFacts, read_page: ReadPage, film: bytes
) -> None:
    epoch = {"member": "views", "epoch": 1, "loss": 1.0, "validation_loss": 1.1, "metric": 0.5, "learning_rate": 1e-3}
    history = HISTORY.rows([epoch, {**epoch, "epoch": 2}])
    page, drawn = evaluation_page(study, facts, predictions(FOUR), history, {"i3": film})
    text = read_page(page)
    names = {"view-confusion", "view-roc", "view-calibration", "view-confidence", "history"}
    assert set(drawn) == {f"{name}.{kind}" for name in names for kind in ("png", "csv")}, "each with its data"
    assert all(content.startswith(b"\x89PNG") for name, content in drawn.items() if name.endswith("png"))
    assert drawn["view-confusion.csv"].splitlines()[1] == b"unilateral,1,0,0,0"
    assert drawn["history.csv"].splitlines()[2] == b"views,2,1.0,1.1,,,0.5"
    assert "Accuracy 0.812 0.700 to 0.900 Share of answers that are right." in text
    assert "other, truly foot view, 95 % sure i3" in text and "unilateral, truly both" in text
    assert page.count("no picture") == 1  # i2 has none
    assert "not comparable" in text and "0.952 – –" in text  # printed, and none of ours is the same measure
    assert "b5 default views (compact) clean 7 1" in text
    assert "epochs and rows" not in text


@WORDS_ALONE
def test_the_page_names_a_small_budget_rules_and_the_leaks_of_published_mode(
    study: Study, facts: EvaluationFacts, read_page: ReadPage
) -> None:
    facts = replace(facts, mode="published", budget=0.05, rules=("Dark films are nought.",))
    text = read_page(evaluation_page(study, facts, predictions(FOUR), None, {})[0])
    assert "Dark films are nought." in text
    assert "with 5 % of the recipe's epochs" in text
    assert "including its leaks" in text and "foot as other" in text


def test_answers_without_probabilities_leave_out_what_needs_them(study: Study, facts: EvaluationFacts) -> None:
    table = predictions([("i1", "both", "foot", None)])
    _, drawn = evaluation_page(study, replace(facts, figures={}), table, None, {})
    assert set(drawn) == {"view-confusion.png", "view-confusion.csv"}


@WORDS_ALONE
def test_ordered_scores_get_a_figure_of_readers_and_model(study: Study, facts: EvaluationFacts) -> None:
    ordered = replace(study, targets=(scores("stage", 2),), headline="stage.qwk", metrics=("qwk",))
    table = predictions([("i1", "0", "0", [0.8, 0.1, 0.1]), ("i2", "2", "1", [0.2, 0.6, 0.2])], target="stage")
    figures = {"stage.qwk": {"value": 0.4, "low": 0.1, "high": 0.6}}
    page, drawn = evaluation_page(ordered, replace(facts, figures=figures), table, None, {})
    assert "stage-scores.png" in drawn and "QWK, stage" in page


@WORDS_ALONE
def test_an_answer_is_as_sure_as_its_own_probability(
    study: Study, facts: EvaluationFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = replace(study, targets=(scores("stage", 3),), headline="stage.qwk", metrics=("qwk",))
    table = predictions([("i1", "1", "1", [0.4, 0.25, 0.35, 0.0])], target="stage")  # the median is not the likeliest
    probabilities: list[float] = []
    reliability = draw.reliability

    def record(confidence: draw.Reals, right: draw.Flags) -> bytes:
        probabilities.extend(confidence.tolist())
        return reliability(confidence, right)

    monkeypatch.setattr(draw, "reliability", record)
    evaluation_page(ordered, replace(facts, figures={}), table, None, {})
    assert probabilities == [0.25]


def test_without_test_rows_the_page_says_so_and_draws_nothing(
    study: Study, facts: EvaluationFacts, read_page: ReadPage
) -> None:
    page, drawn = evaluation_page(study, replace(facts, figures={}), PREDICTIONS.rows([]), None, {})
    assert "nothing to judge by" in read_page(page) and not drawn


FIGURE = {"value": 0.75, "low": 0.5, "high": 1.0}
MODEL = Comparison(target="view", who="model", against="reference", rows=4, figures={"accuracy": FIGURE})
LEAD = {"accuracy": {"value": -0.25, "low": -0.5, "high": 0.125}}


@WORDS_ALONE
def test_readers_are_compared_with_the_model(study: Study, facts: EvaluationFacts, read_page: ReadPage) -> None:
    readers = (MODEL, replace(MODEL, who="anna", lead=LEAD))
    text = read_page(evaluation_page(study, replace(facts, readers=readers), predictions(FOUR), None, {})[0])
    assert "View: model and readers" in text
    assert "Anna and reference 4 0.750 (0.500 to 1.000) -0.250 (-0.500 to +0.125)" in text
    without = read_page(evaluation_page(study, facts, predictions(FOUR), None, {})[0])
    assert "Model and readers" not in without


@WORDS_ALONE
def test_a_plain_model_is_compared_with_the_networks(study: Study, facts: EvaluationFacts, read_page: ReadPage) -> None:
    def page(*parts: str) -> str:
        plain = replace(MODEL, who="a plain tabular model", learnt=9, learnt_from=parts, lead=LEAD)
        return read_page(
            evaluation_page(study, replace(facts, baseline=(MODEL, plain)), predictions(FOUR), None, {})[0]
        )

    text = page("train")
    assert "The networks do not win against a plain tabular model" in text
    assert "A plain tabular model and reference 4 0.750 (0.500 to 1.000) -0.250 (-0.500 to +0.125)" in text
    assert "learnt from the split's train part." in text
    text = page("train", "validation")
    assert "learnt from the split's train and validation parts, as networks with folds do" in text
    without = read_page(evaluation_page(study, facts, predictions(FOUR), None, {})[0])
    assert "plain" not in without


@WORDS_ALONE
def test_the_page_shows_where_networks_disagree_and_that_the_test_part_chose_one(
    study: Study, facts: EvaluationFacts, read_page: ReadPage
) -> None:
    apart = pa.concat_tables([
        predictions([row], dissent=share) for row, share in zip(FOUR, (0.0, 0.5, 0.25, 0.0), strict=True)
    ])  # fmt: skip
    text = read_page(evaluation_page(study, facts, apart, None, {})[0])
    assert "View all networks agree 2 0.500 1.000 View a network disagrees 2 0.500 0.000" in text
    assert "networks disagree" not in read_page(evaluation_page(study, facts, predictions(FOUR), None, {})[0])
    (model,) = facts.models
    chosen = replace(facts, mode="published", models=(replace(model, mode="published", best="trial3"),))
    text = read_page(evaluation_page(study, chosen, predictions(FOUR), None, {})[0])
    assert "trial3 answers: the most accurate one on this very test part" in text and "That is a leak" in text


@WORDS_ALONE
@pytest.mark.parametrize("mode", ["clean", "published"])
def test_where_all_labelled_rows_judge_the_page_mentions_no_test_part(
    study: Study, facts: EvaluationFacts, read_page: ReadPage, mode: str
) -> None:
    (model,) = facts.models
    foreign = replace(facts, mode=mode, why_all_rows="Nobody can tell.", models=(replace(model, best="x", mode=mode),))
    for table in (predictions(FOUR), predictions(FOUR[:1])):
        text = read_page(evaluation_page(study, foreign, table, None, {})[0])
        assert "Nobody can tell." in text and "all labelled rows" in text
        text = text.replace("test part of the data that it was made with", "")
        assert "test part" not in text and "Clean mode" not in text and "Published mode" not in text
    assert "test part" in read_page(evaluation_page(study, facts, predictions(FOUR), None, {})[0])


@WORDS_ALONE
def test_for_answers_from_elsewhere_the_page_mentions_no_model(
    study: Study, facts: EvaluationFacts, read_page: ReadPage
) -> None:
    text = read_page(evaluation_page(study, replace(facts, models=()), predictions(FOUR), None, {})[0])
    assert "The answers come from a table of predictions." in text
    assert "Models that answered" not in text and "Clean mode" not in text


@WORDS_ALONE
def test_the_page_shows_every_network_alone_and_a_paper_s_trials_with_their_mean(
    facts: EvaluationFacts, read_page: ReadPage
) -> None:
    trials = tuple(
        MemberFigures(
            model="b5", member=f"trial{number}", target="grade", classes=("0", "1"), matrix=((3, 1), (2, 2)),
            figures={"accuracy": {"value": value, "low": value - 0.1, "high": value + 0.1}},
        )
        for number, value in ((1, 0.5), (2, 0.7))
    )  # fmt: skip
    study = studies.find("ultrasound_grading")
    page, drawn = evaluation_page(study, replace(facts, members=trials), PREDICTIONS.rows([]), None, {})
    words = read_page(page)
    assert "Each network alone" in words and "trial1 8 0.500 (0.400 to 0.600)" in words
    assert "mean – 0.600" in words and "standard deviation – 0.141" in words
    assert "0 trial2 4 0.625 0.600 0.750 0.667 0.500 0.625" in words, "as 002 prints them for each grade"
    assert {"grade-confusion-b5-trial1.png", "grade-confusion-b5-trial2.png"} <= set(drawn)


@WORDS_ALONE
def test_published_answers_are_judged_in_the_paper_s_three_classes(study: Study, read_page: ReadPage) -> None:
    printed, table = study.with_printed_classes(), with_printed_classes(study, predictions(FOUR))
    assert printed.target("view").classes == ("unilateral", "both", "other")
    assert table.column("truth").to_pylist() == ["unilateral", "both", "other", "other"]
    assert [len(p) for p in table.column("p").to_pylist()] == [3, 3, 3, 3]
    figures = figures_of(printed, table)
    assert figures["view.accuracy"]["value"] == figures["view.accuracy_as_printed"]["value"] == 0.75
    facts = EvaluationFacts(mode="published", figures=figures)
    words = read_page(evaluation_page(printed, facts, table, None, {})[0])
    assert "other 2 1.000 1.000" in words and "foot 1" not in words and "it counts foot as other" in words
