"""Joints where labels are silent: models look for them once, and never where labels place them."""

from pathlib import Path
from typing import Any

import pytest

from rajobs import studies
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import EXTREMITIES, JOINTS
from rajobs.jobs.builtin import NAME
from rajobs.jobs.train.dataset import count_by_placing, open_placed_data, prepare
from rajobs.jobs.train.places import (
    FINDERS_KEPT,
    complete,
    drop_unused,
    name_sides,
    name_sides_of_readers,
    places_of,
    silent_films,
)
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table, to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS


def position(site: str, side: str | None, confidence: float | None = None) -> Position:
    return Position(site=site, side=side, x=1.0, y=2.0, confidence=confidence)


def test_films_are_silent_where_a_labelled_hand_or_joint_has_no_place() -> None:
    placed = places_of({"a": [position("MCP2", "L")], "b": [position("MCP2", None)]})
    assert silent_films(EXTREMITIES, [("a", "L", None), ("a", None, None), ("b", None, None)], placed) == frozenset()
    assert silent_films(EXTREMITIES, [("a", "R", None), ("c", None, None)], placed) == {"a", "c"}
    assert silent_films(JOINTS, [("a", "L", "MCP2"), ("a", None, "MCP2"), ("b", None, "MCP3")], placed) == {"b"}


def test_labels_win_and_say_which_side_a_single_hand_is() -> None:
    by_labels = {"a": [position("MCP2", "L")]}
    seen = [position(site, "R", 0.9) for site in ("MCP2", "MCP3", "PIP2")]
    both = [*seen, position("MCP2", "L", 0.9)]
    labelled = [("a", "L", "MCP3"), ("b", "L", "MCP2"), ("c", None, "MCP2"), ("d", "L", "MCP2")]
    completed = complete(
        by_labels, {"a": seen, "b": seen, "c": seen, "d": both, "e": []}, labelled, {("a", "L", "PIP2")}
    )
    shown = {image: [(p.side, p.site, p.confidence) for p in places] for image, places in completed.items()}
    assert shown["a"] == [("L", "MCP2", None), ("L", "MCP3", 0.9)], "PIP2 is labelled as not there"
    assert {side for side, _, _ in shown["b"]} == {"L"} and {side for side, _, _ in shown["c"]} == {"R"}
    assert {side for side, _, _ in shown["d"]} == {"L", "R"} and "e" not in shown
    named = name_sides({("c", None, "MCP2"): "1", ("d", None, "MCP2"): "2"}, completed)
    assert named == {("c", "R", "MCP2"): "1", ("d", None, "MCP2"): "2"}, "one of two hands is not guessed"
    readings = LABELS.rows([
        {"image_id": image, "site": "MCP2", "study": study, "target": "jsn", "value": "1", "reader": "one"}
        for image, study in (("c", "a"), ("c", "b"), ("d", "a"))
    ])  # fmt: skip
    assert name_sides_of_readers(readings, "a", completed).column("side").to_pylist() == ["R", None, None]


def test_what_old_finders_saw_and_what_was_seen_on_images_that_went_is_thrown_away(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    image = {
        "image_id": "a", "patient": "p", "modality": "CR", "rows": 1, "columns": 1, "bits": 8, "frame": 0,
        "doppler": False, "preview": b"", "pixels": b"",
    }  # fmt: skip
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows([image]), IMAGES))
    finders = [f"located/{number}" for number in range(FINDERS_KEPT + 2)]
    for folder in finders:
        store.put(f"{folder}/part-0-1.json", b'{"a": [], "went": []}')
        store.put(f"{folder}/part-9-2.json", b'{"went": []}')
        drop_unused(store, folder)
    drop_unused(store, finders[-3])
    assert [entry.key for entry in store.list("located/")] == [
        *(f"{folder}/part-0-1.json" for folder in finders[-FINDERS_KEPT:]), "located/finders.json"
    ]  # fmt: skip
    store.put(f"{finders[0]}/part-0-1.json", b'{"a": []}')
    drop_unused(store, finders[0])
    left = {entry.key.split("/")[1] for entry in store.list("located/")}
    assert left == {"0", *(folder.rpartition("/")[2] for folder in (finders[-3], *finders[-2:])), "finders.json"}


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_scores_without_places_give_rows_and_each_film_is_looked_at_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in data.iterdir():
        if entry.name in ("images", "manifest.json", "run.json"):
            (tmp_path / entry.name).symlink_to(entry)
    every = read_table(open_store(str(data)), "labels", LABELS).to_pylist()
    views = {row["image_id"] for row in every if row["target"] == "view" and row["value"] == "unilateral"}
    films = sorted(views & {row["image_id"] for row in every if row["target"] == "stage"})[:2]
    scores: list[dict[str, Any]] = [
        row
        for row in every
        if row["image_id"] in films and row["target"] in ("jsn", "stage") and row["reader"] == "truth"
    ]
    scores = [{**row, "side": None} if row["image_id"] == films[0] else row for row in scores]
    open_store(str(tmp_path)).put("labels/part-0.parquet", to_parquet(LABELS.rows(scores), LABELS))
    for name, least in (("svdh_scoring", 20), ("ra_staging", 2)):
        study = studies.find(name)
        source = open_placed_data(str(tmp_path), study, NAME, None)
        target = study.targets[0].name
        assert ("looking for joints" in capsys.readouterr().out) == (name == "svdh_scoring"), "once, for all studies"
        assert source.finders is not None and not source.unseen
        assert {side for _, side, _ in source.labels[target]} <= {"L", "R"}, "one hand has a side"
        rows = prepare(source, study.recipe("default").view, None).rows
        assert rows.num_rows >= least and count_by_placing(source, rows) == {"labels": 0, "models": rows.num_rows}
