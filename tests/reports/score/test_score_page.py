from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rajobs.learning.bundle_description import DrawnFilms
from rajobs.records.tables.schemas import FILMS, VIEWS
from rajobs.reports.score.bundles import BundleFacts
from rajobs.reports.score.page import FATES, IntakeCounts, ScoreFacts, score_page
from rajobs.reports.score.tallies import EXAMPLES, QUEUE, FilmTally

ReadPage = Callable[[str], str]
WORDS_ALONE = pytest.mark.usefixtures("blank_figures")
INTAKE = IntakeCounts(objects=12, images=8, frames=9, rejects={"truncated": 2, "too-deep": 1}, ignored={"duplicate": 1})
FACTS = ScoreFacts(intake=INTAKE)


def film_row(image: str, view: str | None, top: float = 0.97, **more: Any) -> dict[str, Any]:
    rest = (1 - top) / 3
    p = {f"{name}_p": (top if name == view else rest) if view else None for name in VIEWS}
    fate = "no-model" if view is None else "kept" if view in ("unilateral", "both") else "no-hand"
    return {"image_id": image, "patient": f"p{image}", "view": view, **p, "fate": fate, "bundles": ["b"], **more}


def tally(*rows: dict[str, Any], part: int = 1000) -> FilmTally:
    films = FilmTally()
    for first in range(0, len(rows), part):
        films.add(FILMS.rows(list(rows[first : first + part])))
    return films


def names(films: FilmTally) -> list[str]:
    return [film.image_id for film in films.shown()]


SIX = (
    film_row("a", "unilateral"),
    film_row("b", "both", 0.55),
    film_row("c", "other", disagreement=0.6),
    film_row("d", "foot", 0.4, disagreement=0.0),
    film_row("e", None),
    film_row("f", "other"),
)


@WORDS_ALONE
def test_the_page_says_which_columns_models_of_drawings_fill_and_what_was_left_out(read_page: ReadPage) -> None:
    drawn = DrawnFilms(phantom=4, rounds=2, films=3000, tried=500)
    bundles = (
        BundleFacts(hash="f00d", study="finder", columns={"joints": ("x", "y"), "extremities": ("box",)}, drawn=drawn),
        BundleFacts(hash="beef", study="grader", columns={"ultrasound": ("grade", "grade_p")}, drawn=None),
    )
    text = read_page(score_page(replace(FACTS, bundles=bundles, left_out=("scorer", "stager")), tally(*SIX), {}))
    assert "Learnt from drawings alone: finder, from 3,000 drawn films, tried on 500 others." in text
    assert "finder f00d drawings alone x and y of joints; box of extremities" in text
    assert "grader beef data grade and grade_p of ultrasound" in text
    assert "empty because of --no-scores: scorer and stager would fill them." in text
    for own_models in (bundles[1:], ()):
        assert "drawings" not in score_page(replace(FACTS, bundles=own_models), tally(*SIX), {}).partition("<main>")[2]


def test_every_fate_of_a_film_is_explained() -> None:
    (column,) = [column for column in FILMS.columns if column.name == "fate"]
    assert set(FATES) == set(column.values or ())


def test_doubt_is_a_low_probability_or_models_that_differ() -> None:
    doubts = {film.image_id: round(film.doubt, 2) for film in tally(*SIX).queue}
    assert doubts == {"b": 0.45, "c": 0.6, "d": 0.6}


def test_the_page_accounts_for_all_files_and_shows_the_doubtful_films(read_page: ReadPage, film: bytes) -> None:
    films = tally(*SIX)
    assert names(films) == ["a", "f", "c", "d", "b"]  # examples by view, then the queue
    previews = dict.fromkeys(names(films), film)
    page = score_page(replace(FACTS, ultrasound=3, missing=("hand_filter", "svdh_scoring")), films, previews)
    text = read_page(page)
    assert "Every file is accounted for: 12 = 8 + 3 + 1." in text
    assert "Truncated rejected 2 16.7 %" in text and "Duplicate ignored 1" in text
    assert (
        "film, kept 2" in text and "film, no hand 3" in text and "film, no model 1" in text and "ultrasound 3" in text
    )
    assert "Foot? foot 40 % unilateral 20 % d unsure" in text and "c models disagree" in text
    assert text.index("c models disagree") < text.index("Both? both 55 %")
    assert "Hand filter films" in text and "Svdh scoring joints" in text
    assert "no picture" not in text and page.count("data:image/png") == 3 + 5


@WORDS_ALONE
def test_counts_that_do_not_add_up_are_not_hidden() -> None:
    page = score_page(ScoreFacts(intake=replace(INTAKE, objects=13)), tally(*SIX), {})
    assert "do not add up: 13 came in, 12 are accounted for" in page


def test_the_page_says_that_no_film_was_judged(read_page: ReadPage) -> None:
    text = read_page(score_page(FACTS, tally(film_row("a", None)), {}))
    assert "No film was judged." in text and "No film is in doubt." in text and "Every study had a model." in text


@WORDS_ALONE
def test_many_films_give_few_pictures_of_different_patients_and_the_worst_doubts() -> None:
    sure = [film_row(f"s{n:03}", "both", patient="one" if n < 40 else f"p{n}") for n in range(200)]
    unsure = [film_row(f"u{n:03}", "other", 0.3 + n / 1000) for n in range(200)]
    films = tally(*sure, *unsure)
    chosen = films.shown()
    assert len(chosen) == EXAMPLES + QUEUE
    assert len({film.patient for film in chosen[:EXAMPLES]}) == EXAMPLES
    assert names(films)[EXAMPLES:] == [f"u{n:03}" for n in range(QUEUE)]
    page = score_page(FACTS, films, {})
    assert "The page shows the 18 most doubtful of 200." in page
    again = tally(*reversed([*sure, *unsure]), part=7)
    assert score_page(FACTS, again, {}) == page, "however the table is divided into parts"
