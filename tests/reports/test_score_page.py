from collections.abc import Callable
from typing import Any

import pyarrow as pa

from rajobs.records.schema import FILMS, VIEWS
from rajobs.reports.scoring import EXAMPLES, FATES, QUEUE, pick_previews, read_films, score_page

ReadPage = Callable[[str], str]
INTAKE = {
    "objects": 12,
    "images": 8,
    "frames": 9,
    "rejects": {"truncated": 2, "too-deep": 1},
    "ignored": {"duplicate": 1},
}


def film_row(image: str, view: str | None, top: float = 0.97, **more: Any) -> dict[str, Any]:
    rest = (1 - top) / 3
    p = {f"{name}_p": (top if name == view else rest) if view else None for name in VIEWS}
    fate = "unreadable" if view is None else "kept" if view in ("unilateral", "both") else "no-hand"
    return {"image_id": image, "patient": f"p{image}", "view": view, **p, "fate": fate, "bundles": ["b"], **more}


def table(*rows: dict[str, Any]) -> pa.Table:
    return FILMS.rows(list(rows))


SIX = table(
    film_row("a", "unilateral"),
    film_row("b", "both", 0.55),
    film_row("c", "other", disagreement=0.6),
    film_row("d", "foot", 0.4, disagreement=0.0),
    film_row("e", None),
    film_row("f", "other"),
)


def test_every_fate_of_a_film_is_explained() -> None:
    (column,) = [column for column in FILMS.columns if column.name == "fate"]
    assert set(FATES) == set(column.values or ())


def test_doubt_is_a_low_probability_or_models_that_differ() -> None:
    assert [round(float(doubt), 2) for doubt in read_films(SIX).doubt] == [0, 0.45, 0.6, 0.6, 0, 0]


def test_the_page_says_where_all_went_and_shows_the_doubtful(read_page: ReadPage, film: bytes) -> None:
    chosen = pick_previews(SIX)
    assert chosen == ["a", "f", "c", "d", "b"]  # examples by view, then the queue
    page = score_page({"intake": INTAKE, "ultrasound": 3}, SIX, dict.fromkeys(chosen, film), ["hand_filter", "coming"])
    text = read_page(page)
    assert "Every file is accounted for: 12 = 8 + 3 + 1." in text
    assert "Truncated rejected 2 16.7 %" in text and "Duplicate ignored 1" in text
    assert (
        "film, kept 2" in text and "film, no hand 3" in text and "film, unreadable 1" in text and "ultrasound 3" in text
    )
    assert "Foot? foot 40 % unilateral 20 % d unsure" in text and "c models disagree" in text
    assert text.index("c models disagree") < text.index("Both? both 55 %")
    assert "Hand filter films" in text and "Coming –" in text
    assert "no picture" not in text and page.count("data:image/png") == 3 + 5


def test_counts_that_do_not_add_up_are_not_hidden() -> None:
    page = score_page({"intake": {**INTAKE, "objects": 13}}, SIX, {}, [])
    assert "do not add up: 13 came in, 12 are accounted for" in page


def test_no_film_judged_is_said(read_page: ReadPage) -> None:
    text = read_page(score_page({"intake": INTAKE}, table(film_row("a", None)), {}, []))
    assert "No film was judged." in text and "No film is in doubt." in text and "Every study had a model." in text


def test_many_films_give_few_pictures_of_different_patients_and_the_worst_doubts() -> None:
    sure = [film_row(f"s{n:03}", "both", patient="one" if n < 40 else f"p{n}") for n in range(200)]
    unsure = [film_row(f"u{n:03}", "other", 0.3 + n / 1000) for n in range(200)]
    films = table(*sure, *unsure)
    chosen = pick_previews(films)
    assert len(chosen) == EXAMPLES + QUEUE
    patients = dict(zip(films.column("image_id").to_pylist(), films.column("patient").to_pylist()))
    assert len({patients[image] for image in chosen[:EXAMPLES]}) == EXAMPLES
    assert chosen[EXAMPLES:] == [f"u{n:03}" for n in range(QUEUE)]
    assert "The first 18 of 200 are shown." in score_page({"intake": INTAKE}, films, {}, [])
