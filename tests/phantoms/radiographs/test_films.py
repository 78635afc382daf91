"""Drawn films: a seed always draws the same film, labels follow the drawing, and disease shows only at its site."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest

from rajobs.phantoms.drawing.canvas import affine_map, blank_canvas
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.packaging.contact_sheet import contact_sheet
from rajobs.phantoms.people.build import draw_build
from rajobs.phantoms.people.cohort import OTHER_PARTS, PlannedFilm, plan_patient, plan_sample
from rajobs.phantoms.people.joint_scores import Score, hand_stage
from rajobs.phantoms.people.severity import TABLE_2, draw_course, scores_at, simulate_readings
from rajobs.phantoms.picture import Picture, Truth
from rajobs.phantoms.presets import PRESETS, get_preset
from rajobs.phantoms.radiographs import films
from rajobs.phantoms.radiographs.films import draw_film, draw_films, sample_film
from rajobs.phantoms.radiographs.foot import Foot
from rajobs.phantoms.radiographs.hand import Hand
from rajobs.phantoms.radiographs.marks import MARKS
from rajobs.phantoms.radiographs.other_parts.hands_and_wrists import OBLIQUE
from rajobs.phantoms.radiographs.other_parts.parts import PARTS
from rajobs.phantoms.radiographs.pose import draw_pose
from rajobs.records.anatomy import FINGER_JOINTS, HAND_SITES, KINDS, MCP, SITES

pytestmark = pytest.mark.slow

SHAPE = (503, 373)  # a quarter of a full-size film


def _hand_film(seed: int = 5, scores: dict[str, Score] | None = None) -> PlannedFilm:
    """A healthy adult's upright right hand, clear enough to measure."""
    film = plan_sample(np.random.default_rng(seed), kind="unilateral", size=SHAPE, difficulty="easy")
    return replace(film, sides=("R",), age=40.0, drift=0.0, scores={"R": scores or {}})


def _value(picture: Picture, target: str, site: str | None = None, reader: str = "truth") -> str:
    return next(t.value for t in picture.truths if (t.target, t.site, t.reader) == (target, site, reader))


def _place(picture: Picture, site: str) -> np.ndarray:
    return np.array([float(_value(picture, axis, site)) for axis in "xy"])


def _grey(picture: Picture) -> np.ndarray:
    frame = picture.frames[0].astype(np.float32)
    return (1 << picture.bits) - 1 - frame if picture.inverted else frame


def test_the_same_seed_draws_the_same_films_and_another_seed_other_ones() -> None:
    first, again, other = (list(islice(draw_films(patients=1, seed=seed, size="SMALL"), 2)) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        assert a.truths == b.truths
        assert a.frames[0].tobytes() == b.frames[0].tobytes()
    assert first[0].patient != other[0].patient


def test_any_film_can_be_drawn_alone() -> None:
    third = next(islice(draw_films(patients=1, seed=9, size="SMALL"), 2, None))
    alone = draw_film(list(plan_patient(0, seed=9, size="SMALL"))[2])
    assert alone.truths == third.truths
    assert alone.frames[0].tobytes() == third.frames[0].tobytes()


def test_small_films_show_the_same_anatomy() -> None:
    full, small = (draw_film(replace(_hand_film(), size=size)) for size in ("FULL", "SMALL"))
    for site in FINGER_JOINTS:
        assert np.abs(_place(full, site) / 3 - _place(small, site)).max() < 1.0


def test_a_cohort_has_the_views_of_a_pacs_dump_in_its_proportions() -> None:
    plans = [film for number in range(24) for film in plan_patient(number, seed=0)]
    share = {view: count / len(plans) for view, count in Counter(film.view for film in plans).items()}
    assert 180 <= len(plans) <= 280
    assert 0.14 < share["unilateral"] < 0.28
    assert 0.07 < share["both"] < 0.18
    assert 0.10 < share["foot"] < 0.22
    assert 0.42 < share["other"] < 0.62


@pytest.fixture(scope="module")
def sound() -> Picture:
    """A hand without disease."""
    return draw_film(_hand_film())


@pytest.mark.parametrize("site", ["MCP3", "PIP2", "IP", "CMC3", "RC"])
def test_a_higher_jsn_changes_the_film_only_at_its_site(sound: Picture, site: str) -> None:
    for jsn in (2, 4):
        _assert_changes_only_at(sound, draw_film(_hand_film(scores={site: Score(jsn=jsn)})), site)


@pytest.mark.parametrize("site", ["MCP2", "PIP4", "lunate", "ulna"])
def test_a_higher_erosion_changes_the_film_only_at_its_site(sound: Picture, site: str) -> None:
    for erosion in (1, 5):
        _assert_changes_only_at(sound, draw_film(_hand_film(scores={site: Score(erosion=erosion)})), site)


def _assert_changes_only_at(sound: Picture, sick: Picture, site: str) -> None:
    # Processing that evens out a film's brightness carries a trace of every bone over centimetres.
    changed = np.abs(_grey(sick) - _grey(sound)) > 0.01 * (1 << sound.bits)
    rows, columns = np.nonzero(changed)
    assert rows.size > 10
    away = np.hypot(columns - _place(sound, site)[0], rows - _place(sound, site)[1]) * (sound.spacing_mm or 1)
    # A displaced bone changes up to its other end, a whole phalanx away.
    assert away.max() < (52 if site in FINGER_JOINTS else 22)


def _gap_mm(picture: Picture, site: str) -> float:
    """Width of the dark band across a joint at half its depth, along the line between the neighbouring joints."""
    grey, at = _grey(picture), _place(picture, site)
    finger = site[-1]
    axis = _place(picture, f"PIP{finger}") - _place(picture, f"MCP{finger}")
    axis /= np.linalg.norm(axis)
    pitch = picture.spacing_mm or 1.0
    steps = np.arange(-3.0, 3.0, 0.05)
    profiles = []
    for aside in np.arange(-1.5, 1.6, 0.5):
        line = at + (steps[:, None] * axis + aside * np.array([-axis[1], axis[0]])) / pitch
        sampled = cv2.remap(
            grey, line[None, :, 0].astype(np.float32), line[None, :, 1].astype(np.float32), cv2.INTER_LINEAR
        )[0]
        profiles.append(sampled)
    profile = np.mean(profiles, axis=0)
    middle = profile[40:80].min()
    bone = min(profile[:50].max(), profile[70:].max())
    return float((profile[35:85] < (middle + bone) / 2).sum() * 0.05 * (1 - middle / bone))


def test_gaps_measured_on_the_film_fall_with_jsn() -> None:
    sites = ("MCP2", "MCP3", "MCP4")
    gaps: dict[str, list[float]] = {site: [] for site in sites}
    planned: dict[str, list[float]] = {site: [] for site in sites}
    for jsn in (0, 2, 3):
        scores = {site: Score(jsn=jsn) for site in sites}
        picture = draw_film(replace(_hand_film(scores=scores), size=(2010, 1490), build_seed=1))
        spaces = {truth.site: float(truth.value) for truth in picture.measures}
        for site in sites:
            gaps[site].append(_gap_mm(picture, site))
            planned[site].append(spaces.get(site, 0.0))  # a displaced joint has no space
    for site in sites:
        assert planned[site] == sorted(planned[site], reverse=True)
        assert max(planned[site][1:]) < 0.75 * planned[site][0]
        assert max(gaps[site][1:]) < gaps[site][0]
    # On a film, spaces of JSN 2 and 3 are about as narrow as its blur, and a thick plate narrows what is dark.
    shown = np.mean([gaps[site] for site in sites], axis=0)
    assert max(shown[1:]) < 0.75 * shown[0]


def test_the_stage_of_a_hand_is_that_of_its_worst_joint() -> None:
    scores = {"PIP3": Score(jsn=1), "MCP2": Score(erosion=2), "RC": Score(jsn=3)}
    picture = draw_film(_hand_film(scores=scores))
    assert _value(picture, "stage") == str(max(hand_stage({s: score}) for s, score in scores.items()))
    assert _value(picture, "ra") == "1"
    assert _value(draw_film(_hand_film()), "stage") == "0"


def test_labels_cover_every_site_and_lie_inside_the_film() -> None:
    picture = draw_film(_hand_film(scores={site.name: Score() for site in HAND_SITES}))
    named = {t.site for t in picture.truths if t.study == "joint_detection" and t.target in "xy"}
    assert not [t for t in picture.truths if t.target == "present"]
    assert named == {site.name for site in HAND_SITES}
    for site in named:
        assert site is not None
        column, row = _place(picture, site)
        assert 0 <= column < picture.frames[0].shape[1]
        assert 0 <= row < picture.frames[0].shape[0]
    scored = [t for t in picture.truths if t.target in ("jsn", "erosion") and t.reader == "truth"]
    assert len(scored) == sum((s.jsn_max is not None) + (s.erosion_max is not None) for s in HAND_SITES)


def test_joints_that_have_not_ossified_are_labelled_as_not_there() -> None:
    child = draw_film(replace(_hand_film(), age=2.0))
    there = {truth.site for truth in child.truths if truth.target == "x"}
    absent = {truth.site for truth in child.truths if truth.target == "present" and truth.value == "0"}
    assert {"scaphoid", "trapezium"} <= absent and there.isdisjoint(absent)
    assert there | absent == {site.name for site in HAND_SITES}


def test_a_joint_lies_between_two_bones_that_are_brighter() -> None:
    picture = draw_film(replace(_hand_film(), size=(2010, 1490)))
    grey = _grey(picture)
    for finger in "234":
        knuckle, middle = _place(picture, f"MCP{finger}"), _place(picture, f"PIP{finger}")
        step = (middle - knuckle) / np.linalg.norm(middle - knuckle) * 3.0 / (picture.spacing_mm or 1)
        at = [
            grey[int(row) - 2 : int(row) + 3, int(col) - 2 : int(col) + 3].mean()
            for col, row in (knuckle - step, knuckle, knuckle + step)
        ]
        assert at[1] < at[0]
        assert at[1] < at[2]


def test_monochrome1_shows_the_same_film() -> None:
    films = (sample_film(np.random.default_rng(seed), kind="unilateral", size=(96, 71)) for seed in range(40))
    dark = dict[bool, bool]()
    for film in films:
        dark[film.inverted] = bool(_grey(film).mean() < (1 << film.bits) * 0.75)
        if len(dark) == 2:
            break
    assert dark == {True: True, False: True}


def test_scores_follow_table_2() -> None:
    rng = np.random.default_rng(1)
    counts: Counter[int] = Counter()
    for _ in range(300):
        hands = scores_at(draw_course(rng, ra=True), 1)["hand"]
        counts.update(hands[side][site].jsn for side in "LR" for site in MCP)
    share = [counts[score] / counts.total() for score in range(5)]
    printed = np.array(TABLE_2["jsn", "MCP"]) / sum(TABLE_2["jsn", "MCP"])
    assert np.abs(share - printed).max() < 0.08


def test_readers_agree_as_often_as_the_preset_says() -> None:
    rng = np.random.default_rng(2)
    truth = {
        site: Score(jsn=2 if SITES[site].jsn_max else 0, erosion=1 if SITES[site].erosion_max else 0) for site in MCP
    }
    for preset in PRESETS.values():
        same = [simulate_readings(rng, truth, preset)[site].jsn == 2 for _ in range(200) for site in MCP]
        assert abs(float(np.mean(same)) - preset.jsn_exact) < 0.06


def test_a_sheet_shows_pictures_of_each_kind() -> None:
    pictures = [
        sample_film(np.random.default_rng(1), kind=kind, size=(200, 148))
        for kind in ("unilateral", "both", "foot", "other")
    ]
    page = cv2.imdecode(np.frombuffer(contact_sheet(pictures), np.uint8), cv2.IMREAD_COLOR)
    assert page is not None
    assert page.shape[0] > 4 * 300


def test_wrong_names_are_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        sample_film(np.random.default_rng(0), kind="paw")
    with pytest.raises(ValueError, match="difficulty"):
        sample_film(np.random.default_rng(0), kind="both", difficulty="murder")


def test_labels_use_the_values_of_the_contract() -> None:
    picture = sample_film(np.random.default_rng(11), kind="both", size=(200, 148))
    assert Truth(study="hand_filter", target="view", value="both") in picture.truths
    assert {t.side for t in picture.truths if t.target == "stage"} == {"L", "R"}
    assert {t.reader for t in picture.truths} == {"truth", "reader1", "reader2"}


def _part_film(part: str, view: str = "other") -> PlannedFilm:
    film = plan_sample(np.random.default_rng(3), kind=view, size=SHAPE, difficulty="standard")
    return replace(film, part=part, sides=() if view == "other" else ("L",))


@pytest.mark.parametrize("part", [*OTHER_PARTS, "lateral_foot"])
def test_the_only_labels_of_a_part_without_named_joints_are_its_view_and_its_kind(part: str) -> None:
    """Hands of other kinds included: a finder must not learn to show joints on a lateral hand or a single finger."""
    labels = {"view": "foot"} if part == "lateral_foot" else {"view": "other", "kind": part}
    picture, again = (draw_film(_part_film(part, labels["view"])) for _ in range(2))
    assert picture.truths == tuple(
        Truth(study="hand_filter", target=target, value=value) for target, value in labels.items()
    )
    assert picture.frames[0].tobytes() == again.frames[0].tobytes()
    assert picture.body_part == part
    grey = _grey(picture) / ((1 << picture.bits) - 1)
    assert np.ptp(np.percentile(grey, (2, 98))) > 0.3, "something is to be seen"


def test_every_view_of_a_part_is_drawn_for_all_ages() -> None:
    drawn = set()
    for number, (part, views) in enumerate(PARTS.items()):
        for view in views:
            for age in (2.0, 11.0, 60.0):
                rng = np.random.default_rng(number)
                canvas = blank_canvas((120, 120), 3.0, rng)
                build = draw_build(rng, sex="F", age=age)
                pencil = Pencil(canvas=canvas, to_px=affine_map(0, (60, 60), scale=1 / 3), rng=rng)
                view.draw(pencil, build)
                assert canvas.bone.max() > 1 and canvas.soft.max() > 5, part
        drawn.add(part)
    assert drawn == {*OTHER_PARTS, "lateral_foot"}


def test_samples_show_every_part_and_what_is_near_to_a_hand_most() -> None:
    plans = [plan_sample(np.random.default_rng(seed), kind=kind, size=SHAPE, difficulty="easy")
             for seed in range(400) for kind in ("foot", "other")]  # fmt: skip
    parts = Counter(plan.part for plan in plans if plan.view == "other")
    assert parts.keys() == set(OTHER_PARTS) == set(KINDS)
    assert {plan.part for plan in plans if plan.view == "foot"} == {"foot", "lateral_foot"}
    near = ("wrist", "finger", "hand_lateral", "hand_oblique", "hand_ball_catcher", "forearm", "ankle")
    assert 1 / 3 < sum(parts[part] for part in near) / 400 < 0.55


def test_a_film_of_a_hand_shows_it_from_its_back() -> None:
    """An oblique hand is of view other, with its own kind."""
    poses = [draw_pose(np.random.default_rng(seed), get_preset("hard")) for seed in range(200)]
    assert max(abs(pose.tilt) for pose in poses) <= OBLIQUE[0]


def test_marks_are_drawn_as_often_as_the_preset_says_and_move_no_joint(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [draw_film(replace(_hand_film(seed), size="SMALL", difficulty="hard")) for seed in range(18)]
    assert 1 <= sum(bool(picture.details["marks"]) for picture in drawn) <= 10
    with monkeypatch.context() as always:
        always.setattr(films, "get_preset", lambda name: replace(get_preset(name), marks=1.0))
        marked = [draw_film(replace(_hand_film(seed), size="SMALL", difficulty="hard")) for seed in range(18)]
    assert {kind for kind in MARKS for picture in marked if kind in str(picture.details["marks"])} == set(MARKS)
    for bare, picture in zip(drawn, marked, strict=True):
        assert bare.truths == picture.truths
        assert bare.details["marks"] or (_grey(bare) != _grey(picture)).any()


def test_no_label_mentions_a_bystander(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = set()
    for seed in range(12):
        film = replace(_hand_film(seed), size="SMALL", beside=True)
        drawn = list[Hand | Foot]()
        with monkeypatch.context() as watch:
            watch.setattr(films, "draw_hand", lambda canvas, hand, to_px, seen=drawn: seen.append(hand))
            watch.setattr(films, "draw_foot", lambda canvas, foot, to_px, seen=drawn: seen.append(foot))
            picture = draw_film(film)
        examined, bystander = drawn
        kinds.add(type(bystander))
        assert isinstance(examined, Hand)
        assert isinstance(bystander, Foot) or bystander.build.size < 0.9 * examined.build.size
        assert _value(picture, "view") == "unilateral"
        named = {t.site for t in picture.truths if t.target == "x"}
        assert {t.side for t in picture.truths if t.target == "x"} == {"R"}
        assert named <= set(examined.joints)
        _assert_joints_of(picture, examined, sorted(str(site) for site in named))
    assert kinds == {Hand, Foot}


def _assert_joints_of(picture: Picture, hand: Hand, named: list[str]) -> None:
    """The labelled places are those of this hand's joints after one common shift, turn and enlargement."""
    labelled = np.array([_place(picture, site) for site in named])
    drawn = np.array([hand.joints[site] for site in named])
    fitted, inside = cv2.estimateAffinePartial2D(drawn, labelled)
    assert fitted is not None
    assert inside.all()
    assert abs(np.hypot(*fitted[:, 0]) * (picture.spacing_mm or 1) - 1) < 0.02


def test_a_repeat_shows_the_same_joints_of_the_same_visit_in_another_pose() -> None:
    plain, repeated = ([*plan_patient(3, seed=1, size=SHAPE, repeats=twice)] for twice in (False, True))
    hands = [film for film in plain if film.part == "hand"]
    assert hands and len(repeated) == len(plain) + len(hands)
    assert [film for film in repeated if len(film.entropy) == 4] == plain, "the others stay as they are"
    at = repeated.index(hands[0])
    one, other = draw_film(repeated[at]), draw_film(repeated[at + 1])
    assert (one.patient, one.taken, one.visit, one.laterality) == (
        other.patient,
        other.taken,
        other.visit,
        other.laterality,
    )
    scores = [
        {
            (t.side, t.site, t.target): t.value
            for t in film.truths
            if t.reader == "truth" and t.target in ("jsn", "erosion")
        }
        for film in (one, other)
    ]
    both = scores[0].keys() & scores[1].keys()
    assert len(both) > 20 and all(scores[0][key] == scores[1][key] for key in both)
    places = [{(t.side, t.site): t.value for t in film.truths if t.target == "x"} for film in (one, other)]
    assert all(places[0][key] != places[1][key] for key in places[0].keys() & places[1].keys())
