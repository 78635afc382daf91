from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rajobs import studies
from rajobs.reports.sweep_page import PairedDifference, SweepFacts, TrialRow, short_names, sweep_page

ReadPage = Callable[[str], str]
WORDS_ALONE = pytest.mark.usefixtures("blank_figures")
STUDY = studies.find("hand_filter")
FACTS = SweepFacts(budget=1.0)
RATE = "training.learning_rate"


def trial(number: int, score: float | None, rate: float, **more: Any) -> TrialRow:
    row = TrialRow(
        number=number, name={0: "published", 1: "default"}.get(number, ""), state="finished", score=score,
        settings={RATE: rate, "training.optimiser": "adam"}, epochs=2, hours=0.5, cause=None,
        curve=() if score is None else (score / 2, score),
    )  # fmt: skip
    return replace(row, **more)


FIVE = [
    trial(0, 0.80, 1e-4),
    trial(1, 0.85, 1e-3),
    trial(2, 0.90, 2e-3),
    trial(3, 0.70, 1e-2, state="stopped"),
    trial(4, None, 0.0, state="failed", hours=None, cause="learning_rate must be above 0, not 0.0"),
]


@pytest.mark.slow
def test_trials_are_listed_best_first_with_failures_and_their_cause(read_page: ReadPage) -> None:
    page = sweep_page(STUDY, FIVE, replace(FACTS, importance={RATE: 0.9, "training.optimiser": 0.1}, best="best.toml"))
    text = read_page(page)
    places = [
        text.index(f"{words} finished")
        for words in ("trial 2 0.900", "trial 1 (default) 0.850", "trial 0 (published) 0.800")
    ]
    assert places == sorted(places)
    assert "trial 3 0.700 stopped early" in text
    assert "trial 4 learning_rate must be above 0, not 0.0" in text
    assert "training.learning_rate 0.002 0.0001" in text and "The best recipe is in best.toml" in text
    assert "2.00 hours of trials" in text
    assert page.count("data:image/png") == 3  # curves, parallel lines, importance
    assert "training.optimiser adam" in text  # the same in all trials


@WORDS_ALONE
def test_the_best_of_many_does_not_win_by_its_own_score(read_page: ReadPage) -> None:
    text = read_page(sweep_page(STUDY, FIVE, FACTS))
    assert "Trial 2 has 0.900 and trial 0 (published) 0.800, a difference of 0.100." in text
    assert "looks better than it is" in text and "wins:" not in text
    assert "Too few trials finished to say how much each setting matters." in text


@WORDS_ALONE
def test_a_paired_comparison_decides_and_says_so_plainly() -> None:
    def page(low: float, high: float) -> str:
        comparison = PairedDifference(
            against="the published recipe", difference=0.02, low=low, high=high, on="80 test films"
        )
        return sweep_page(STUDY, FIVE, replace(FACTS, comparison=comparison))

    assert (
        "The best recipe wins: +0.020 (+0.010 to +0.030) against the published recipe, paired, on 80 test films."
        in page(0.01, 0.03)
    )
    assert "looks better than it is" in page(0.01, 0.03), "the part that chose it does not prove it"
    assert "does not clearly win" in page(-0.01, 0.03)
    assert "The best recipe loses" in page(-0.05, -0.01)


@WORDS_ALONE
def test_a_trial_that_was_stopped_is_never_the_best_and_those_left_are_counted(read_page: ReadPage) -> None:
    late = trial(3, 0.95, 1e-2, state="stopped", cause="out of time")
    text = read_page(sweep_page(STUDY, [*FIVE[:3], late], replace(FACTS, wanted=6)))
    assert "Trial 2 has 0.900" in text and "trial 3 0.950 out of time" in text
    assert "The time was up: 3 trials are left. Start the same command again to run the rest." in text
    text = read_page(sweep_page(STUDY, [late], replace(FACTS, wanted=6)))
    assert "No trial finished, so there is no best recipe." in text and "6 trials are left" in text
    assert "No trial has a score" in read_page(sweep_page(STUDY, [], replace(FACTS, wanted=6)))


def test_a_sweep_that_the_published_recipe_wins(read_page: ReadPage) -> None:
    text = read_page(sweep_page(STUDY, [trial(0, 0.9, 1e-4), trial(1, 0.8, 1e-3)], FACTS))
    assert "No trial did better than trial 0 (published)." in text


def test_a_sweep_without_a_score_is_still_a_page(read_page: ReadPage, hostile: str) -> None:
    page = sweep_page(STUDY, [trial(0, None, 1e-4, state="failed", cause=hostile)], FACTS)
    assert "No trial has a score" in read_page(page) and hostile not in page


def test_names_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    paths = ["training.augment.rotate", "members.m1.settings.width", "members.m2.settings.width", RATE]
    assert short_names(paths) == {
        "training.augment.rotate": "rotate",
        "members.m1.settings.width": "m1.settings.width",
        "members.m2.settings.width": "m2.settings.width",
        RATE: "learning rate",
    }
