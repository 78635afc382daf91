"""What every job that learns or judges begins with: agreed labels, and a split of all labelled images that stands.

A message with the mend says what a frozen split does not follow of labels that come later.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rajobs import studies
from rajobs.jobs.train.dataset import LabelledData, _points_in_views, build_dataset, open_labelled_data
from rajobs.jobs.train.splits import count_classes, frozen_split
from rajobs.learning.ensemble import count_learned_rows
from rajobs.learning.points import UNKNOWN
from rajobs.learning.samples.prepared import Prepared
from rajobs.records.errors import DataError
from rajobs.records.manifest import to_json
from rajobs.records.splits import PARTS, LabelledImage, PrintedPatients, PrintedSplit, clean_split
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS, PREPARED

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


def follow_split(
    store: Store, parts: Mapping[str, str | None], mode: str, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, str], str]:
    """The split that is followed once these images have labels with these parts, and the message to the user."""
    labels = [
        {"image_id": name, "study": STUDY.name, "target": "view", "value": "both", "reader": "truth", "split": part}
        for name, part in parts.items()
    ]
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    split, _ = frozen_split(open_labelled_data(store.uri, STUDY), mode)
    return dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist())), capsys.readouterr().out


def test_labels_that_come_after_the_split_are_counted_and_the_mend_is_said(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    first: dict[str, str | None] = dict.fromkeys(FIRST)
    before, message = follow_split(store, first, "clean", capsys)
    assert message == "" and follow_split(store, first, "clean", capsys) == (before, "")
    later, message = follow_split(
        store, {**first, "i9": None, "i10": None, "of an image that is not there": None}, "clean", capsys
    )
    assert later == before
    assert "2 labelled images are not in it." in message and "another part" not in message
    assert "remove that file" in message and "splits/hand_filter.parquet" in message and message.count("\n") == 1
    store.delete("splits/hand_filter.parquet")
    anew, message = follow_split(store, {**first, "i9": None, "i10": None}, "clean", capsys)
    assert anew.keys() == before.keys() | {"i9", "i10"} and message == ""


def test_a_split_column_that_comes_after_the_split_is_not_followed_in_silence(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    first: dict[str, str | None] = dict.fromkeys(FIRST)
    before, _ = follow_split(store, first, "clean", capsys)
    other = {"train": "test", "validation": "train", "test": "validation"}
    labelled_parts: dict[str, str | None] = {**before, FIRST[0]: other[before[FIRST[0]]]}
    later, message = follow_split(store, labelled_parts, "clean", capsys)
    assert later == before and "1 images keep another part than the labels' split gives them" in message
    assert "not in it" not in message


@pytest.mark.parametrize("mode", ["clean", "published"])
def test_what_a_split_left_out_on_purpose_is_not_new(
    store: Store, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("train", "validation", "test")
    labelled_parts: dict[str, str | None] = {name: parts[number % 3] for number, name in enumerate(FIRST)}
    labelled_parts |= {"i7": "test", "like": "train", "i9": None}
    if mode == "published":  # it takes those that have a part alone
        del labelled_parts["like"]
    before, _ = follow_split(store, labelled_parts, mode, capsys)
    assert before.keys() ^ labelled_parts.keys() == ({"i7"} if mode == "clean" else {"i9"})
    assert follow_split(store, labelled_parts, mode, capsys) == (before, "")
    later, message = follow_split(store, {**labelled_parts, "i10": "train", "i11": None}, mode, capsys)
    count = 2 if mode == "clean" else 1
    assert later == before and f"{count} labelled images are not in it" in message


def ingested(place: Path, study: str, labels: list[dict[str, Any]], modality: str = "US") -> LabelledData:
    """Images of a patient each, and their labels by one reader unless they say another."""
    images = [
        {
            "image_id": name, "patient": f"p {name}", "frame": 0, "modality": modality, "rows": 2, "columns": 2,
            "bits": 8, "doppler": True, "preview": b"", "pixels": b"",
        }
        for name in dict.fromkeys(label["image_id"] for label in labels)
    ]  # fmt: skip
    store = open_store(str(place))
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    read = LABELS.rows([{"study": study, "reader": "truth", **label} for label in labels])
    store.put("labels/part-0.parquet", to_parquet(read, LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    return open_labelled_data(str(place), studies.find(study))


def label(name: str, target: str, value: int, **more: str) -> dict[str, Any]:
    return {"image_id": name, "target": target, "value": str(value), **more}


def parts_of(source: LabelledData, mode: str = "clean") -> dict[str, str]:
    return {row["image_id"]: row["split"] for row in frozen_split(source, mode)[0].to_pylist()}


def test_an_image_with_a_later_target_s_label_alone_takes_part(tmp_path: Path) -> None:
    scans = [f"s{at:03}" for at in range(100)]
    grey = [label(name, "grey_grade", at % 4) for at, name in enumerate(scans)]
    flow = [label(name, "grade", at % 4) for at, name in enumerate(scans[:30])]
    part_of = parts_of(ingested(tmp_path / "some", "ultrasound_grading", [*grey, *flow]))
    assert part_of.keys() == set(scans)
    with_flow = Counter(part_of[name] for name in scans[:30])
    assert min(with_flow[part] for part in PARTS) > 3, "the first target's classes are dealt evenly all the same"
    assert len(parts_of(ingested(tmp_path / "none", "ultrasound_grading", grey))) == 100, (
        "there are patients with labels"
    )


def placed(name: str, *sides: str, sites: Sequence[str] = ("MCP2", "PIP2")) -> list[dict[str, Any]]:
    """Labels that place joints of hands, and score them."""
    places = [(axis, side, site) for axis in "xy" for side in sides for site in sites]
    return [
        *(label(name, axis, 9, study="joint_detection", side=side, site=site) for axis, side, site in places),
        *(label(name, "jsn", 1, side=side, site=site) for _, side, site in places[: len(places) // 2]),
    ]


def test_films_of_a_single_hand_alone_count_for_004_s_split(tmp_path: Path) -> None:
    single, both = [f"one{at}" for at in range(5)], [f"two{at}" for at in range(5)]
    labels = [label for at, name in enumerate(single) for label in placed(name, "LR"[at % 2])]
    labels += [label for name in both for label in placed(name, "L", "R")]
    labels += placed("foot", "L", sites=("MTP1", "MTP2"))
    source = ingested(tmp_path, "svdh_scoring", labels, "CR")
    printed = PrintedPatients(train=2, validation=1, test=2, images=1)
    source = replace(source, study=replace(source.study, printed_split=printed))
    assert parts_of(source, "published").keys() == set(single)
    source.store.delete("splits/svdh_scoring-published.parquet")
    more = replace(source, study=replace(source.study, printed_split=replace(printed, train=3)))
    with pytest.raises(DataError, match="6 patients with 1 labelled films of a single hand each, there are 5"):
        parts_of(more, "published")
    finder = replace(source, study=replace(source.study, printed_split=replace(printed, train=3, validation=0)))
    assert Counter(parts_of(finder, "published").values()) == {"train": 3, "test": 2}, "a cascade validates nothing"


def test_a_recipe_s_sites_alone_are_learnt_and_judged(tmp_path: Path) -> None:
    sites = ("MCP2", "PIP2", "RC", "MCP1")
    source = ingested(
        tmp_path, "svdh_scoring", [x for at in range(9) for x in placed(f"f{at}", "L", sites=sites)], "CR"
    )
    split, _ = frozen_split(source, "clean")
    rows = PREPARED.rows([
        {"image_id": f"f{at}", "extremity": 0, "site": site, "side": "L", "patient": f"p f{at}"}
        for at in range(9) for site in sites
    ])  # fmt: skip
    arrays = Prepared(rows=rows, arrays=(np.zeros((36, 8, 8), np.uint8),), starts=np.zeros(1, np.int64))
    for name, left_out in (("default", set()), ("published", {"RC"})):
        dataset = build_dataset(source, arrays, split, source.study.recipe(name))
        used = np.array(rows.column("site").to_pylist())[dataset.parts != ""]
        assert set(sites) - set(used.tolist()) == left_out
        learned = count_learned_rows(dataset)["jsn"]
        assert set(learned) == set(sites) - left_out, "score asks it about no other site"


def test_a_film_whose_joints_are_scored_for_erosion_alone_takes_part(tmp_path: Path) -> None:
    films = [f"f{at}" for at in range(10)]
    labels = [label(name, "erosion", at % 3, side="L", site="MCP2") for at, name in enumerate(films)]
    labels += [label(name, "jsn", 1, side="L", site="MCP2") for name in films[:5]]
    assert parts_of(ingested(tmp_path, "svdh_scoring", labels, "CR")).keys() == set(films)


@pytest.mark.parametrize("others", [0, 40])
def test_where_every_image_has_the_first_target_the_others_change_no_split(tmp_path: Path, others: int) -> None:
    scans = [f"s{at:03}" for at in range(60)]
    labels = [label(name, "grade", at * at % 4) for at, name in enumerate(scans)]
    labels += [label(name, "grey_grade", 3) for name in scans[:others]]
    source = ingested(tmp_path, "ultrasound_grading", labels)
    items = [
        LabelledImage(
            image_id=row["image_id"], patient=f"p {row['image_id']}", derived_from=None, stratum=row["value"]
        )
        for row in labels if row["target"] == "grade"
    ]  # fmt: skip
    assert frozen_split(source, "clean")[0] == clean_split(items, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_an_adjudicated_grade_stands_whichever_place_a_reader_names_and_in_whichever_order(
    tmp_path: Path, order: int
) -> None:
    labels = [
        label("a", "grade", 3), label("a", "grade", 0, reader="anna", side="L", site="MCP2"),
        label("b", "grade", 1, reader="anna", site="MCP3"), label("b", "grade", 2, reader="bert", site="MCP2"),
    ]  # fmt: skip
    source = ingested(tmp_path, "ultrasound_grading", labels[::order])
    assert source.labels["grade"] == {("a", None, None): "3", ("b", None, None): "2"}


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_a_joint_that_is_not_assessable_teaches_no_score(tmp_path: Path, recipe: str) -> None:
    joints = ("MCP2", "MCP3", "PIP2")
    labels = [
        label("a", target, 1, side="L", site=site) for target in ("jsn", "erosion") for site in joints
    ]  # fmt: skip
    labels += [label("a", "assessable", 0, side="L", site="MCP2"), label("a", "assessable", 1, side="L", site="PIP2")]
    ingested(tmp_path, "svdh_scoring", labels, "CR")
    study = studies.find("svdh_scoring")
    source = open_labelled_data(str(tmp_path), study.for_recipe(study.recipe(recipe)))
    taught = {target: sorted(site for _, _, site in places if site) for target, places in source.labels.items()}
    scores = {target: ["MCP3", "PIP2"] for target in ("jsn", "erosion")}
    assert taught == (scores if recipe == "published" else {**scores, "assessable": ["MCP2", "PIP2"]})


def test_labels_of_joints_stay_apart(tmp_path: Path) -> None:
    labels = [label("a", "jsn", at, side=side, site="MCP2") for at, side in enumerate("LR")]
    source = ingested(tmp_path, "svdh_scoring", labels, "CR")
    assert source.labels["jsn"] == {("a", "L", "MCP2"): "0", ("a", "R", "MCP2"): "1"}


def test_two_readers_teach_as_two_and_a_tie_of_classes_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = [(0, "anna"), (3, "bert")]
    labels = [label("a", "jsn", value, reader=reader, side="L", site="MCP2") for value, reader in read]
    labels += [label("a", "jsn", 1, reader=reader, side="L", site="MCP3") for _, reader in read]
    labels += [
        label("a", "assessable", at, reader=reader, side="L", site="PIP2") for at, (_, reader) in enumerate(read)
    ]
    source = ingested(tmp_path, "svdh_scoring", labels, "CR")
    assert source.shares["jsn"] == {("a", "L", "MCP2"): {"0": 0.5, "3": 0.5}}
    assert source.labels["jsn"] == {("a", "L", "MCP2"): "2", ("a", "L", "MCP3"): "1"}
    assert source.labels["assessable"] == {}
    message = "1 labels assessable are left out: no majority of their readers agrees on one class\n"
    assert capsys.readouterr().out == message


@pytest.mark.parametrize("view", [None, "unilateral", "both"])
def test_a_joint_without_a_label_is_unknown_and_absence_is_a_label(tmp_path: Path, view: str | None) -> None:
    places = [("MCP2", 10), ("MCP3", 20), ("PIP2", 12)]
    labels = [
        label("a", axis, at, study="joint_detection", side="L", site=site) for site, at in places for axis in "xy"
    ]
    labels.append(label("a", "present", 0, study="joint_detection", side="L", site="PIP5"))
    labels += [label("a", "view", view)] if view else [label("b", "view", "other")]
    source = ingested(tmp_path, "hand_filter", labels, "CR")
    points = _points_in_views(source, {})[0]
    assert STUDY.points is not None
    names = STUDY.points.point_names
    shown = {name for name, at in zip(names, points) if np.isfinite(at).all() and (at != UNKNOWN).all()}
    absent = {name for name, at in zip(names, points) if np.isnan(at).all()}
    assert shown == {("L", site) for site, _ in places}
    other_hand = {name for name in names if name[0] == "R"} if view == "unilateral" else set()
    assert absent == {("L", "PIP5"), *other_hand}, "a film of one hand has no other"


def test_001_s_published_split_counts_hands_that_can_be_cut_and_shows_what_whole_patients_miss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Films of both hands at one stage: odd counts of hands cannot be met, and a hand without a place is none."""
    stages = [str(n % 6) for n in range(300)]
    labels: list[dict[str, Any]] = []
    for number, stage in enumerate(stages):
        for side in ("L", "R"):
            labels.append(
                {"image_id": f"f{number}", "side": side, "study": "ra_staging", "target": "stage", "value": stage}
            )
            if side == "L" or number % 10:  # of every tenth film nobody placed the right hand's joints
                place = {"image_id": f"f{number}", "side": side, "site": "MCP2", "study": "joint_detection"}
                labels += [{**place, "target": axis, "value": "1"} for axis in ("x", "y")]
    source = ingested(tmp_path, "ra_staging", labels, modality="DX")
    split, _ = frozen_split(source, "published")
    assert "whole patients do not give all of the paper's counts: train stage" in capsys.readouterr().out
    counts = count_classes(source, split)
    assert {part: sum(of.values()) for part, of in counts.items()} == {"train": 240, "test": 104}
    assert set(split.column("split").to_pylist()) == {"train", "test"}, "none is held back for validation"
    printed = source.study.printed_split
    assert isinstance(printed, PrintedSplit)
    missed = {
        (part, name): abs(counts[part][name] - printed.count(name, part)) for part in counts for name in printed.learn
    }
    assert max(missed.values()) <= 2 and sum(missed.values()) > 0
