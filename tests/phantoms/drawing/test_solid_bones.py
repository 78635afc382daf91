"""Bones as solids: rims come apart where a finger is bent, and joint spaces are as wide as planned."""

from dataclasses import replace

import numpy as np
import pytest

from rajobs.phantoms.drawing import solid_bones
from rajobs.phantoms.drawing.canvas import Canvas, blank_canvas
from rajobs.phantoms.drawing.joint_damage import damage_joint
from rajobs.phantoms.drawing.rays import JointSpace, Ray, is_assessable, pose_ray
from rajobs.phantoms.drawing.shown_space import contour_of, shown_width
from rajobs.phantoms.drawing.solid_bones import SolidBone, bone_thickness, draw_solid
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.people.joint_scores import Score

ADULT = Build(sex="F", age=35.0, seed=11, size=1.0, girth=1.0, flesh=1.0, density=1.0)
GAP = 1.6


@pytest.fixture
def canvas() -> Canvas:
    """A film of 0.1 mm, without trabeculae, which would hide small differences."""
    film = blank_canvas((400, 300), 0.1, np.random.default_rng(0))
    return replace(film, trabeculae=np.zeros_like(film.trabeculae))


def knuckle(*, jsn: int = 0, pitches: tuple[float, float] = (0.0, 0.0)) -> tuple[Ray, dict[str, Score]]:
    """A metacarpal and its proximal phalanx, 60 and 45 mm long, along the film."""
    ray = Ray(
        bones=("MC3", "PP3"), joints=("MCP3",), points=np.array([[0.0, 60.0], [0.0, 0.0], [0.0, -45.0]]), gaps=(GAP,),
        widths=((14.0, 8.2, 14.6), (15.6, 9.2, 11.2)), luxates=(0.0,), pitches=(*pitches, 0.0, 0.0),
    )  # fmt: skip
    return ray, {"MCP3": Score(jsn=jsn)}


def bones(ray: Ray, scores: dict[str, Score], build: Build = ADULT) -> tuple[SolidBone, SolidBone, JointSpace]:
    posed = pose_ray(ray, build, "R", scores)
    proximal, distal = (bone for bone in posed.bones if isinstance(bone, SolidBone))
    return proximal, distal, posed.spaces["MCP3"]


def dark_band_mm(canvas: Canvas, *solids: SolidBone) -> float:
    """The width of the dark band across the joint at half its depth, over the middle of the film."""
    to_px = np.array([[10.0, 0.0, 150.0], [0.0, 10.0, 200.0]])
    for solid in solids:
        draw_solid(canvas, solid, to_px)
    profile = canvas.bone[150:250, 145:156].mean(axis=1)
    half = (profile[30:70].min() + min(profile[:50].max(), profile[50:].max())) / 2
    return float((profile[20:80] < half).sum() / 10)


def test_the_dark_band_between_two_bones_is_as_wide_as_their_space(canvas: Canvas) -> None:
    proximal, distal, space = bones(*knuckle())
    assert space.width == pytest.approx(GAP, rel=0.15)
    # The lips of the socket narrow what is dark, and a faint head widens it; without both it is the space.
    without_lips = replace(distal, base=replace(distal.base, curve=0.0, lean=0.0))
    bright = replace(proximal, head=replace(proximal.head, plate=0.45))
    width = shown_width(bright, without_lips)
    assert width is not None and dark_band_mm(canvas, bright, without_lips) == pytest.approx(width, abs=0.25)


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (0.12, 0.0), (-0.1, 0.3), (0.15, -0.4)])
@pytest.mark.slow
def test_contours_lie_where_a_bent_and_turned_bone_shows_them(
    monkeypatch: pytest.MonkeyPatch, pitch: float, roll: float
) -> None:
    monkeypatch.setattr(solid_bones, "SLICE_MM", 0.1)
    fine = blank_canvas((400, 300), 0.05, np.random.default_rng(0))
    fine = replace(fine, trabeculae=np.zeros_like(fine.trabeculae))
    for solid, head in zip(bones(*knuckle(pitches=(pitch, pitch)))[:2], (True, False), strict=True):
        solid = replace(solid, roll=roll, holes=(), place=np.eye(2, 3))
        thickness, low = bone_thickness(solid, fine)
        u = low[0] + np.arange(len(thickness)) * fine.bone_pitch
        contour = contour_of(solid, head=head)
        for v in (-2.0, 0.0, 2.0):
            profile = thickness[:, round((v - low[1]) / fine.bone_pitch)]
            at = float(np.interp(v, contour[:, 1], contour[:, 0]))
            # A head begins at its outline. A base is brightest at its floor: in front of it only the lips are passed.
            near = np.abs(u - at) < 1.2
            seen = u[profile > 0.6].max() if head else u[near][profile[near].argmax()]
            assert seen == pytest.approx(at, abs=0.12 if head else 0.2)


def test_a_bent_finger_lays_a_rim_over_its_joint(canvas: Canvas) -> None:
    flat, bent = (bones(*knuckle(pitches=(0.0, pitch)))[2] for pitch in (0.0, 0.5))
    assert flat.clear > 0.3 > bent.clear
    assert is_assessable(flat) and not is_assessable(bones(*knuckle(pitches=(-0.3, 0.7)))[2])


def test_no_width_is_told_where_the_end_of_a_bone_is_an_island_in_cartilage() -> None:
    toddler, teenager = (bones(*knuckle(), replace(ADULT, age=age))[2] for age in (3.0, 15.0))
    assert toddler.width is None and is_assessable(toddler)
    assert teenager.width is not None


def test_a_fused_joint_is_assessable_however_its_bones_lie() -> None:
    for seed in range(20):
        build = replace(ADULT, seed=seed)
        damage = damage_joint(build, "R", "MCP3", Score(jsn=4), gap=GAP, half_head=7, half_base=7, luxates=0.62)
        assert (damage.space is None) == (not damage.fused)


@pytest.mark.slow
def test_a_higher_erosion_takes_more_bone_and_a_crumbling_joint_is_broad_and_dense(canvas: Canvas) -> None:
    def joint(build: Build, jsn: int, erosion: int) -> tuple[SolidBone, SolidBone]:
        ray, _ = knuckle()
        return bones(ray, {"MCP3": Score(jsn=jsn, erosion=erosion)}, build)[:2]

    def bone_mm(solids: tuple[SolidBone, ...]) -> float:
        return sum(float(bone_thickness(solid, canvas)[0].sum()) for solid in solids)

    bitten = broad = 0
    for seed in range(8):
        build = replace(ADULT, seed=seed)
        amounts = [bone_mm(joint(build, 0, erosion)) for erosion in (0, 1, 2, 3)]
        bitten += amounts == sorted(amounts, reverse=True)
        sound, destroyed = joint(build, 0, 0)[0], joint(build, 3, 5)[0]
        at_rim = sound.length - 0.35 * 7.3
        widths = [float(np.interp(at_rim, bone.sides[:, 0], bone.sides[:, 1])) for bone in (sound, destroyed)]
        broad += widths[1] > 1.05 * widths[0] and destroyed.head.plate > sound.head.plate
    assert bitten == 8
    assert 3 <= broad < 8, "most joints that are destroyed crumble, and some are bitten"


def test_slices_do_not_show(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    proximal, _, _ = bones(*knuckle(pitches=(0.2, 0.0)))
    coarse, _ = bone_thickness(proximal, canvas)
    monkeypatch.setattr(solid_bones, "SLICE_MM", solid_bones.SLICE_MM / 3)
    fine, _ = bone_thickness(proximal, canvas)
    assert np.abs(coarse - fine).max() < 0.12 * fine.max() and np.abs(coarse - fine).mean() < 0.01 * fine.max()


def test_a_child_s_growth_plate_is_dark_and_an_adult_has_none(canvas: Canvas) -> None:
    child = replace(ADULT, age=9.0)
    for build, dark in ((child, True), (ADULT, False)):
        proximal, _, _ = bones(*knuckle(), build)
        thickness, low = bone_thickness(proximal, canvas)
        axis = thickness[:, thickness.shape[1] // 2]
        inside = axis[int((45 - low[0]) * 10) : int((58 - low[0]) * 10)]
        assert bool(inside.min() < 0.35 * inside.max()) is dark


@pytest.mark.parametrize("roll", [0.0, 0.4])
def test_a_shaft_is_the_same_in_one_piece_and_in_slices(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch, roll: float
) -> None:
    proximal = replace(bones(*knuckle(pitches=(0.1, 0.0)))[0], roll=roll)
    whole, _ = bone_thickness(proximal, canvas)
    monkeypatch.setattr(solid_bones, "_SHAFT", (0.5, 0.5))
    sliced, _ = bone_thickness(proximal, canvas)
    assert np.abs(whole - sliced).mean() < 0.01 * sliced.max()
    assert np.abs(whole.sum(axis=1) - sliced.sum(axis=1)).max() < 0.05 * sliced.sum(axis=1).max()
