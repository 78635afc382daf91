"""A frozen split and labels that come after it: it stands, and what it does not follow is said with the mend."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rajobs import studies
from rajobs.jobs.lesson import open_source, split_of
from rajobs.records.manifest import to_json
from rajobs.records.parts import to_parquet
from rajobs.records.schema import IMAGES, LABELS
from rajobs.records.store import Store, open_store

STUDY = studies.find("hand_filter")
FIRST = tuple(f"i{number}" for number in range(9))
MADE_FROM = {"like": "i7"}  # a drawing that teaches takes the film that it was made from, which judges, out


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Thirteen films of as many patients; labels come later."""
    names = [*FIRST, "like", "i9", "i10", "i11"]
    images = [
        {
            "image_id": name, "patient": f"p {name}", "derived_from": MADE_FROM.get(name), "frame": 0,
            "modality": "DX", "rows": 2, "columns": 2, "bits": 8, "doppler": False, "preview": b"", "pixels": b"",
        }
        for name in names
    ]  # fmt: skip
    store = open_store(str(tmp_path))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    return store


def told(
    store: Store, parts: Mapping[str, str | None], mode: str, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, str], str]:
    """The split that is followed once these images have a label, and a part if they are given one; what is said."""
    labels = [
        {"image_id": name, "study": STUDY.name, "target": "view", "value": "both", "reader": "truth", "split": part}
        for name, part in parts.items()
    ]
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    split, _ = split_of(open_source(store.uri, STUDY), mode)
    return dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist())), capsys.readouterr().out


def test_labels_that_come_after_the_split_are_counted_and_the_mend_is_said(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    first: dict[str, str | None] = dict.fromkeys(FIRST)
    before, said = told(store, first, "clean", capsys)
    assert said == "" and told(store, first, "clean", capsys) == (before, "")
    later, said = told(
        store, {**first, "i9": None, "i10": None, "of an image that is not there": None}, "clean", capsys
    )
    assert later == before
    assert "2 labelled images are not in it." in said and "another part" not in said
    assert "remove that file" in said and "splits/hand_filter.parquet" in said and said.count("\n") == 1
    store.delete("splits/hand_filter.parquet")
    anew, said = told(store, {**first, "i9": None, "i10": None}, "clean", capsys)
    assert anew.keys() == before.keys() | {"i9", "i10"} and said == ""


def test_a_split_column_that_comes_after_the_split_is_not_followed_in_silence(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    first: dict[str, str | None] = dict.fromkeys(FIRST)
    before, _ = told(store, first, "clean", capsys)
    other = {"train": "test", "validation": "train", "test": "validation"}
    given: dict[str, str | None] = {**before, FIRST[0]: other[before[FIRST[0]]]}
    later, said = told(store, given, "clean", capsys)
    assert later == before and "1 images keep another part than the labels' split gives them" in said
    assert "not in it" not in said


@pytest.mark.parametrize("mode", ["clean", "published"])
def test_what_a_split_left_out_on_purpose_is_not_new(
    store: Store, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("train", "validation", "test")
    given: dict[str, str | None] = {name: parts[number % 3] for number, name in enumerate(FIRST)}
    given |= {"i7": "test", "like": "train", "i9": None}
    if mode == "published":  # it takes those that have a part alone
        del given["like"]
    before, _ = told(store, given, mode, capsys)
    assert before.keys() ^ given.keys() == ({"i7"} if mode == "clean" else {"i9"})
    assert told(store, given, mode, capsys) == (before, "")
    later, said = told(store, {**given, "i10": "train", "i11": None}, mode, capsys)
    count = 2 if mode == "clean" else 1
    assert later == before and f"{count} labelled images are not in it" in said
