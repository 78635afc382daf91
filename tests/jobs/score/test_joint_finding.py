"""Hands and joints by models: which hand is which, and the models that are made from drawings alone."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from torch import nn

from rajobs import studies
from rajobs.__main__ import main
from rajobs.imaging import rows as row_kinds
from rajobs.imaging.formats import reader
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.image import ReadOptions
from rajobs.imaging.rows import COLUMNS, Row
from rajobs.imaging.windowing import to_bytes
from rajobs.jobs import builtin
from rajobs.jobs.score import joint_finding
from rajobs.jobs.score.joint_finding import (
    JointFinder,
    choose_hands,
    find_joints,
    keep_examined,
    on_film,
    positions_of_hand,
)
from rajobs.jobs.score.worker import _film_fate, hand_positions
from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.jobs.train.job import TrainRequest, train
from rajobs.learning.ensemble import count_learned_rows
from rajobs.learning.recipe import replace, to_toml
from rajobs.learning.voting_models import VotingModels, list_bundles
from rajobs.records.anatomy import FINGER_JOINTS, HAND_SITES
from rajobs.records.errors import BadBundle, UsageError
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import list_parts, read_file, read_part, read_table
from rajobs.records.tables.schemas import EXTREMITIES, FILMS, IMAGES, JOINTS, LABELS, PREDICTIONS

PLACES = tuple((side, site) for side in ("L", "R") for site in FINGER_JOINTS)
ROW = [(100.0 + 40 * at, 300.0 - 15 * at) for at in range(len(FINGER_JOINTS))]
REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom"


def seen(left: Sequence[float], right: Sequence[float], apart: float) -> np.ndarray:
    """What a finder says: sureness of each place of two hands, the right one's `apart` pixels to the right."""
    hands = [(x + shift, y) for shift in (0.0, apart) for x, y in ROW]
    return np.column_stack([hands, [*left, *right]])


def test_two_hands_side_by_side_are_two_and_two_on_each_other_the_surer_one() -> None:
    sure, less, none = [0.95] * 10, [0.85] * 10, [0.1] * 10
    assert {p.side for p in choose_hands(PLACES, seen(sure, less, 900.0), None)} == {"L", "R"}
    assert {p.side for p in choose_hands(PLACES, seen(sure, less, 10.0), None)} == {"L"}
    assert {p.side for p in choose_hands(PLACES, seen(sure, less, 10.0), "R")} == {"R"}, "the header decides a doubt"
    assert {p.side for p in choose_hands(PLACES, seen(sure, none, 10.0), "R")} == {"L"}, "and nothing else"
    few, weak = [0.95] * 5 + [0.1] * 5, [0.55] * 6 + [0.1] * 4
    positions = choose_hands(PLACES, seen(few, weak, 10.0), "L")
    assert len(positions) == 6 and {p.side for p in positions} == {"R"}, "places too few for a hand take none away"
    assert choose_hands(PLACES, seen([0.9] * 4 + [0.1] * 6, none, 900.0), None) == [], "a few points are no hand"


def test_places_shown_on_the_other_hand_go_to_the_hand_they_lie_on() -> None:
    """A finder that is not sure which hand is which shows some places of each on the other."""
    mixed = seen([0.9] * 10, [0.8] * 10, 900.0)
    mixed[:4, :2], mixed[10:14, :2] = mixed[10:14, :2].copy(), mixed[:4, :2].copy()
    hands = choose_hands(PLACES, mixed, None)
    for side, shift in (("L", 0.0), ("R", 900.0)):
        at = {place.site: (place.x, place.y) for place in hands if place.side == side}
        assert at == {site: (x + shift, y) for site, (x, y) in zip(FINGER_JOINTS, ROW)}
    lost = mixed.copy()
    lost[10:17, 2] = 0.1  # three places alone speak for a right hand
    assert {place.side for place in choose_hands(PLACES, lost, None)} == {"L", "R"}, (
        "and four that were shown for a left"
    )


def test_joints_off_the_film_are_not_there_and_too_few_are_no_hand() -> None:
    answers = np.column_stack([ROW, [0.9] * 10])
    answers[0, :2], answers[1, :2], answers[2, :2] = (-0.4, 299.4), (-20.0, 100.0), (600.0, 100.0)
    seen = on_film(answers, (300, 600))
    assert seen[:, 2].tolist() == [0.9, 0.0, 0.0] + [0.9] * 7 and np.array_equal(seen[:, :2], answers[:, :2])
    assert [place.site for place in positions_of_hand(PLACES[:10], seen, "R")] == [
        FINGER_JOINTS[at] for at in (0, *range(3, 10))
    ]
    seen[:5, 2] = 0.4
    assert positions_of_hand(PLACES[:10], seen, "R") == []


def test_a_film_whose_hand_nobody_found_tells_whether_models_looked_for_one() -> None:
    film = {"fate": "kept", "view": "unilateral"}
    for searched, why in ((True, "models found no hand on it"), (False, "nothing says where its joints are")):
        fate = _film_fate(film, 0, "hand_filter", searched=searched)
        assert fate == ("no-joints", f"hand_filter: unilateral; {why}")


@pytest.mark.slow
def test_models_are_made_from_drawings_and_a_second_start_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        str(tmp_path),
        "--rounds",
        "1",
        "--films",
        "3",
        "--tried",
        "3",
        "--workers",
        "1",
        "--only",
        "hand_filter/hands",
    ]
    builtin.main(arguments)
    builtin.main(arguments)
    assert "nothing to do" in capsys.readouterr().out
    (bundle,) = list_bundles(str(tmp_path), "hand_filter")
    description = json.loads((tmp_path / bundle[1] / "bundle.json").read_text())
    assert (description["mode"], description["films"], description["rows"]["train"]) == ("drawn", 3, 3)
    card = (tmp_path / bundle[1] / "card.md").read_text()
    assert "no clinical evidence" in card and "Tried on 3 drawn films of another seed" in card
    assert {"view.accuracy", "hands.accuracy"} <= description["validation"].keys() and "| hands.accuracy |" in card
    panel = VotingModels.load(studies.find("hand_filter"), [bundle])
    assert panel.models == panel.finders and len(panel.hashes) == 1, "one network tells views and shows hands"
    film = np.zeros((1, 1, 256, 256), np.uint8)
    points_found = panel.finders[0].locate(film)
    points = studies.find("hand_filter").points
    assert points is not None and points_found.shape == (1, points.outputs, 3) and np.isfinite(points_found).all()
    p, _ = panel.models[0].predict(film)["view"]
    assert p.shape == (1, 4) and p.sum() == pytest.approx(1)


@pytest.mark.slow
def test_models_whose_making_was_ended_after_the_last_round_are_those_of_one_that_was_not(tmp_path: Path) -> None:
    study = studies.find("hand_filter")
    recipe = study.recipe("hands")
    checkpoints = Checkpoints(store=open_store(str(tmp_path)), folder="kept", name="hands")
    with ThreadPoolExecutor(1) as pool:  # processes take longer to start than to draw
        drawer = builtin.FilmDrawer(pool=pool, study=study, settings=recipe.view, seed=0, films=3)
        one, other = (builtin._train_member(drawer, recipe, recipe.members[0], 2, 0, checkpoints) for _ in range(2))
    assert count_learned_rows(one[2]) == count_learned_rows(other[2])
    assert len(one[2].arrays) == len(other[2].arrays) == 3
    networks = [network for trained, _, _ in (one, other) if isinstance(network := trained.network, nn.Module)]
    for name, tensor in networks[0].state_dict().items():
        assert (tensor == networks[1].state_dict()[name]).all()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_finder_learns_from_labels_too_is_judged_and_answers_in_score(data: Path, tmp_path: Path) -> None:
    models, out = str(tmp_path / "models"), tmp_path / "evaluation"
    for study, name, target, changed in (
        ("joint_detection", "default", "joints", {"view.size": 256, "members.settings.width": 4}),
        ("hand_filter", "hands", "view", {"members.settings.width": 4}),
    ):
        recipe = studies.find(study).recipe(name)
        for setting, value in {**changed, "training.epochs": 1, "training.copies": 1}.items():
            recipe = replace(recipe, setting, value)
        (tmp_path / f"{study}.toml").write_text(to_toml(recipe))
        main(["train", study, str(data), models, "--recipe", str(tmp_path / f"{study}.toml")])
        (bundle,) = (tmp_path / "models" / study).glob("*/bundle.json")
        assert json.loads(bundle.read_text())["validation"][f"{target}.accuracy"]["value"] >= 0
    main(["evaluate", "joint_detection", str(data), models, str(out)])
    figures = json.loads((out / "metrics.json").read_text())["figures"]
    assert 0 <= figures["joints.accuracy"]["value"] <= 1
    rows = read_file(open_store(str(out)), "predictions.parquet", PREDICTIONS).to_pylist()
    assert {row["site"] for row in rows} == {site.name for site in HAND_SITES}
    assert {row["truth"] for row in rows} <= {"not found", "found"}
    main(["score", str(data), models, str(tmp_path / "tables")])
    assert read_table(open_store(str(tmp_path / "tables")), "films", FILMS).num_rows


def test_of_two_hands_on_a_film_of_one_the_larger_is_the_examined_one() -> None:
    hand, child = (
        [
            Position(site=site, side=side, x=size * x, y=size * y, confidence=0.9)
            for site, (x, y) in zip(FINGER_JOINTS, ROW)
        ]
        for side, size in (("L", 1.0), ("R", 0.6))
    )
    positions = {"one": [*child, *hand], "both": [*child, *hand], "single": child}
    assert keep_examined(positions, {"one", "single"}) == {"one": hand, "both": [*child, *hand], "single": child}


def test_films_of_which_a_hand_is_not_found_are_looked_at_from_farther_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def hand(side: str, sure: float) -> list[Position]:
        return [Position(site=site, side=side, x=1.0, y=1.0, confidence=sure) for site in FINGER_JOINTS]

    near = {"whole": {"L": hand("L", 0.6)}, "half": {"L": hand("L", 0.95), "R": []}, "unsure": {"R": []}}
    far = {
        "half": {"L": hand("L", 0.95), "R": hand("R", 0.95)},
        "none": {"R": hand("R", 0.95)},
        "unsure": {"R": hand("R", 0.8)},
    }
    asked: list[tuple[float, set[str]]] = []

    def hands_of(self: JointFinder, films: Sequence[Row], scale: float) -> dict[str, Any]:
        asked.append((scale, {film.image_id for film in films}))
        return near if scale == 1 else far

    monkeypatch.setattr(JointFinder, "hands_of", hands_of)
    films = [Row(image_id=name, at=at) for at, name in enumerate(("whole", "half", "none", "unsure"))]
    panel: Any = SimpleNamespace(finders=(None,))
    positions = find_joints(None, "", None, films, panel, panel)  # type: ignore[arg-type]
    assert asked == [
        (1.0, {"whole", "half", "none", "unsure"}),
        (joint_finding.SECOND_SCALE, {"half", "none", "unsure"}),
    ]
    assert {name: {place.side for place in hand} for name, hand in positions.items()} == {
        "whole": {"L"}, "half": {"L", "R"}, "none": {"R"},
    }, "what is seen from there alone must be sure"  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_models_of_the_package_find_the_joints_of_a_real_hand(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("no real files here")
    source = tmp_path / "films"
    source.mkdir()
    for name in ("hand_cr_kodak_j2k", "hip_cr_jpegls", "chest_cr_mono1_j2k", "lower_leg_cr_mono1_j2k"):
        shutil.copy(REAL / f"{name}.dcm", source)
    truth = np.loadtxt(Path(__file__).with_name("real_hand.csv"), str, delimiter=",", skiprows=1)
    at = {site: np.array([x, y], float) for _, site, x, y in truth.tolist()}
    width = 0.28 * float(np.linalg.norm(at["MCP3"] - at["PIP3"]))
    corner = _cut(source / "hand_cr_kodak_j2k.dcm", source / "cut.png", at)
    main(["ingest", str(source), str(tmp_path / "data"), "--pictures", "radiograph"])
    main(["score", str(tmp_path / "data"), "builtin", str(tmp_path / "out")])
    store = open_store(str(tmp_path / "out"))
    views = read_table(store, "films", FILMS).column("view").to_pylist()
    assert sorted(views) == ["other", "other", "other", "unilateral", "unilateral"]
    hands = read_table(store, "extremities", EXTREMITIES).to_pylist()
    assert [hand["side"] for hand in hands] == ["R", "R"]
    assert max(hand["svdh_total"] for hand in hands) <= 6, "the hand is sound; at most 5 is wanted"
    shown: dict[str, dict[str, Any]] = {hand["image_id"]: {} for hand in hands}
    for row in read_table(store, "joints", JOINTS).to_pylist():
        scored = row["x"] is not None and row["site"] in FINGER_JOINTS
        assert (row["jsn"] is not None and row["erosion"] is not None) == scored, (
            "the package scores finger joints alone"
        )
        if row["x"] is not None:
            shown[row["image_id"]][row["site"]] = row
    part, film = sorted(shown.values(), key=len)
    assert at.keys() <= film.keys() and len(part) >= 6, "a hand cut to a few fingers"
    for joints, begin in ((film, np.zeros(2)), (part, corner)):
        for site in joints.keys() & at.keys():
            row = joints[site]
            assert np.hypot(*(np.array([row["x"], row["y"]]) + begin - at[site])) < width / 2, site
            assert row["confidence"] > 0.5


def _cut(film: Path, out: Path, at: dict[str, np.ndarray]) -> np.ndarray:
    """Three fingers and a thumb without tips and wrist, as a picture; where it begins on the film."""
    (image,) = reader.read_file(film.read_bytes(), ReadOptions())
    pixels, places = to_bytes(image.pixels, image.window), np.array(list(at.values()))
    top = min(where[1] for site, where in at.items() if site.startswith("PIP")) - 0.02 * len(pixels)
    bottom, edge = places[:, 1].max() + 0.03 * len(pixels), 0.05 * len(pixels)
    left, right = at["IP"][0] - edge, at["PIP4"][0] + edge
    cv2.imwrite(str(out), pixels[round(top) : round(bottom), round(left) : round(right)])
    return np.array([round(left), round(top)])


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_models_of_the_package_are_judged_on_all_labelled_films_however_few(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("no real files here")
    film = "hand_cr_kodak_j2k.dcm"
    rows = ["image,side,study,target,site,value,reader"]
    for side, site, x, y in np.loadtxt(Path(__file__).with_name("real_hand.csv"), str, delimiter=",", skiprows=1):
        rows += [f"{film},{side},joint_detection,{axis},{site},{at},one" for axis, at in (("x", x), ("y", y))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "films").mkdir()
    shutil.copy(REAL / film, tmp_path / "films")
    data, out = tmp_path / "data", tmp_path / "evaluation"
    main(["ingest", str(tmp_path / "films"), str(data), "--labels", str(tmp_path / "labels.csv")])
    main(["evaluate", "joint_detection", str(data), "builtin", str(out)])
    answers = read_file(open_store(str(out)), "predictions.parquet", PREDICTIONS).to_pylist()
    named = [row for row in answers if row["site"] in FINGER_JOINTS]
    assert {row["truth"] for row in named} == {row["predicted"] for row in named} == {"found"}
    assert not (data / "splits").exists(), "one patient makes no split, and none is needed"


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_hand_taken_for_the_other_side_s_shows_no_joints_and_is_seen_again_as_what_it_is(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, inside = open_store(str(data)), builtin.package_folder()
    filters, joints = (
        VotingModels.load(studies.find(study), list_bundles(inside, study))
        for study in ("hand_filter", "joint_detection")
    )
    truth = hand_positions(read_table(store, "labels", LABELS))
    known = {name: hands[0].side for name, hands in truth.items() if len({place.side for place in hands}) == 1}

    def find_sides() -> dict[str, str | None]:
        """The side of each single hand with all finger joints."""
        side_of: dict[str, str | None] = {}
        for key in list_parts(store, "images"):
            images = read_part(store, key, IMAGES, [*COLUMNS, "laterality"])
            films = [row for row in row_kinds.FILMS.rows_of_part(images, {}) if row.image_id in known]
            for name, hand in find_joints(store, key, images, films, filters, joints).items():
                if sum(place.site in FINGER_JOINTS for place in hand) == len(FINGER_JOINTS):
                    side_of[name] = hand[0].side
        return side_of

    before = find_sides()
    assert len(before) > 3 and all(known[name] == side for name, side in before.items())
    other, choose, points_of = {"L": "R", "R": "L"}, joint_finding.choose_hands, JointFinder.points_of

    def choose_the_other_side(*points: Any) -> list[Position]:
        return [dataclasses.replace(place, side=other[place.side or ""]) for place in choose(*points)]

    def watched(self: JointFinder, models: VotingModels, rows: Sequence[Row], *scale: float) -> list[Any]:
        if models is joints:
            looks.append([row.side != known[row.image_id] for row in rows])
        return points_of(self, models, rows, *scale)

    looks: list[list[bool]] = []
    monkeypatch.setattr(joint_finding, "choose_hands", choose_the_other_side)
    monkeypatch.setattr(JointFinder, "points_of", watched)
    again = find_sides()
    assert any(all(look) for look in looks) and any(not any(look) for look in looks), "wrong first, and then right"
    assert len(again) >= 0.9 * len(before) and all(known[name] == side for name, side in again.items())


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_cascade_learns_is_judged_by_the_joints_it_looks_for_and_finds_beside_a_network(
    data: Path, tmp_path: Path
) -> None:
    models, out = tmp_path / "models", tmp_path / "evaluation"
    request = TrainRequest(study="joint_detection", data=str(data), out=str(models), recipe="published", budget=0.3)
    with pytest.raises(UsageError, match="a boosted cascade, which one worker trains"):
        train(dataclasses.replace(request, workers=2))
    train(request)
    (bundle,) = list_bundles(str(models), "joint_detection")
    files = {path.name for path in (models / bundle[1]).iterdir()}
    assert files == {"weights-joints.xml", "bundle.json", "card.md", "history.parquet", "lease"}
    main(["evaluate", "joint_detection", str(data), str(models), str(out)])
    rows = read_file(open_store(str(out)), "predictions.parquet", PREDICTIONS).to_pylist()
    assert {row["site"] for row in rows} == set(FINGER_JOINTS), "it does not look for the wrist's"
    store = open_store(str(data))
    inside = builtin.package_folder()
    joints = VotingModels.load(studies.find("joint_detection"), [bundle, *list_bundles(inside, "joint_detection")])
    hands = VotingModels.load(studies.find("hand_filter"), list_bundles(inside, "hand_filter"))
    seen = set[str]()
    wrist = {site.name for site in HAND_SITES} - set(FINGER_JOINTS)
    for key in list_parts(store, "images"):
        images = read_part(store, key, IMAGES, [*COLUMNS, "laterality"])
        positions = find_joints(store, key, images, row_kinds.FILMS.rows_of_part(images, {}), hands, joints)
        seen |= {place.site for places in positions.values() for place in places}
        if seen >= wrist:
            break
    assert seen >= wrist, "the network's word on the wrist stands alone, on fingers both have one"
    path = models / bundle[1] / "weights-joints.xml"
    path.write_bytes(path.read_bytes().replace(b"<height>24<", b"<height>25<"))
    with pytest.raises(BadBundle, match=r"weights-joints\.xml"):
        VotingModels.load(studies.find("joint_detection"), [bundle])
