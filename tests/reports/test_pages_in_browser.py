"""Pages of the jobs in a real browser: no complaint, no request, tables sort and are saved, light and dark differ."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rajobs import studies
from rajobs.records.tables.schemas import HISTORY
from rajobs.reports.demo_page import demo_page
from rajobs.reports.evaluation.apart import apart_page
from rajobs.reports.evaluation_page import EvaluationFacts, ModelFacts, evaluation_page
from rajobs.reports.page import Step
from rajobs.reports.score.page import score_page
from rajobs.reports.sweep_page import sweep_page
from tests.learning.judging.test_calibration import SCORING
from tests.learning.judging.test_side_by_side import apart_facts, two_models
from tests.reports import test_evaluation_page, test_sweep_page
from tests.reports.browser import Page
from tests.reports.score import test_score_page
from tests.reports.test_tables_in_browser import press_head, saved

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("blank_figures")]


def evaluation(film: bytes) -> str:
    study = studies.find("hand_filter")
    model = ModelFacts(hash="b5", recipe=study.recipes["default"], mode="clean", seed=7, budget=1.0)
    facts = EvaluationFacts(mode="clean", models=(model,), rows={"test": 4}, figures=test_evaluation_page.FIGURES)
    epoch = {"member": "views", "epoch": 1, "loss": 1.0, "validation_loss": 1.1, "metric": 0.5, "learning_rate": 1e-3}
    table = test_evaluation_page.predictions(test_evaluation_page.FOUR)
    return evaluation_page(study, facts, table, HISTORY.rows([epoch]), {"i3": film})[0]


def scored(film: bytes) -> str:
    films = test_score_page.tally(*test_score_page.SIX)
    return score_page(test_score_page.FACTS, films, dict.fromkeys(test_score_page.names(films), film))


PAGES: dict[str, Callable[[bytes], str]] = {
    "evaluate": evaluation,
    "tune": lambda film: sweep_page(test_sweep_page.STUDY, test_sweep_page.FIVE, test_sweep_page.FACTS),
    "score": scored,
    "apart": lambda film: apart_page(SCORING, apart_facts(two_models())),
    "demo": lambda film: demo_page([Step(name="Train", line="It learns.", counts=(("AUC", 0.91),), png=film)]),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_sorts_saves_and_is_silent(browser: Page, tmp_path: Path, film: bytes, name: str) -> None:
    file = tmp_path / f"{name}.html"
    file.write_text(PAGES[name](film), encoding="utf-8")
    browser.visit(file)
    tables = browser.run("document.querySelectorAll('table').length")
    assert browser.run("document.querySelectorAll('button.csv').length") == tables
    if tables:
        _check_first_table(browser)
    papers = []
    for scheme in ("light", "dark"):
        browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        papers.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert papers[0] != papers[1]
    assert not browser.complaints and browser.requests == [file.as_uri()]


def _check_first_table(browser: Page) -> None:
    """A table with several rows sorts both ways, and its CSV has its head and all its rows."""
    several = "[...document.querySelectorAll('.scroll')].find((box) => box.querySelectorAll('tbody tr').length > 1)"
    browser.run(f"{several}.id = 'chosen'")
    head = browser.run("document.querySelector('#chosen thead button').textContent")
    assert [press_head(browser, head) for _ in range(2)] == ["ascending", "descending"]
    rows = browser.run("document.querySelectorAll('#chosen tr').length")
    button = "(box.previousElementSibling?.querySelector('.csv') ?? box.nextElementSibling)"
    browser.run(f"{{ const box = document.querySelector('#chosen'); {button}.id = 'save'; }}")
    assert len(saved(browser, "#save")[1]) == rows
