"""Views: squares, boxes that are black beyond the image, and views of previews and of stored pixels."""

import numpy as np
import pytest

from rajobs.imaging.coding import encode, preview
from rajobs.imaging.extremities import upright
from rajobs.imaging.rows import Row
from rajobs.imaging.views import TILES, ViewInput, boxed, cut, from_zero, handed, scanned, show, square, whole, widen
from rajobs.imaging.windowing import to_bytes
from rajobs.records.errors import UnknownName

ROW = Row(image_id="i", at=0)
PLAIN = {"upright": False, "mirror": False, "levels": "film"}


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (40, 20, 3), (5, 400)])
def test_padding_keeps_the_proportions_and_stretching_fills_the_square(shape: tuple[int, ...]) -> None:
    shown = ViewInput(pixels=np.full(shape, 200, np.uint8))
    padded, stretched = whole(shown, ROW, size=32, fit="pad"), whole(shown, ROW, size=32, fit="stretch")
    assert padded.shape == stretched.shape == (32, 32, *shape[2:])
    assert (stretched == 200).all()
    share = float(np.mean(padded == 200))
    assert share == pytest.approx(min(shape[:2]) / max(shape[:2]), abs=1 / 32) and set(np.unique(padded)) == {0, 200}
    assert (padded[15:17, 15:17] == 200).any(), "the picture is in the middle"
    with pytest.raises(UnknownName, match="did you mean pad"):
        square(shown.pixels, 32, "pads")


def test_shrinking_takes_the_mean_and_does_not_alias() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 200
    assert (square(stripes, 32, "stretch") == 100).all()


def test_a_box_is_black_beyond_the_image_and_is_scaled() -> None:
    pixels = np.full((20, 30), 100, np.uint8)
    out = cut(pixels, (-5, 15, 5, 25))
    assert out.shape == (10, 10) and (out[:5, 5:] == 100).all() and int(out.sum()) == 25 * 100
    assert not cut(pixels, (50, 50, 60, 60)).any()
    assert widen((10.0, 20.0, 30.0, 40.0), 0.5, 0.5) == (0, 5, 20, 25)
    assert widen((10.0, 10.0, 10.0, 10.0), 0.0, 1.0) == (10, 10, 11, 11), "never empty"


def test_a_joint_s_view_is_the_same_from_the_pixels_and_from_the_preview() -> None:
    pixels = np.full((600, 400), 100, np.uint16)
    pixels[300:340, 200:240] = 3000
    record = {
        "preview": preview(pixels, None), "pixels": encode(pixels), "columns": 400,
        "window_centre": None, "window_width": None,
    }  # fmt: skip
    row = Row(image_id="i", at=0, site="MCP2", box=(200.0, 300.0, 240.0, 340.0))
    around = []
    for reads in ("pixels", "preview"):
        shown = show(record, reads)
        inside = boxed(shown, row, size=24, margin=-0.2, **PLAIN)
        assert inside.shape == (24, 24) and inside.min() > 240
        around.append(float((boxed(shown, row, size=24, margin=0.5, **PLAIN) > 128).mean()))
    assert around == pytest.approx([0.25, 0.25], abs=0.08)


@pytest.mark.parametrize("offset", [0, 61_440])
def test_a_hand_at_a_film_s_edge_is_as_bright_with_any_offset_of_the_stored_values(offset: int) -> None:
    film = np.random.default_rng(3).integers(0, 4096, (120, 90)).astype(np.uint16)
    film[0, 0] = 0
    record = {
        "columns": 90, "pixels": encode(film + np.uint16(offset)), "window_centre": offset + 2048.5,
        "window_width": 4095.0,
    }  # fmt: skip
    row = Row(image_id="i", at=0, side="R", box=(-40.0, 10.0, 60.0, 110.0), angle=10.0)
    drawn = upright(show(record, "pixels"), row, size=64, frame="hand")
    assert drawn.std() > 60 and (drawn[:, :12] == 0).mean() > 0.9, "beyond the film it is as dark as the darkest pixel"
    own = boxed(show(record, "pixels"), row, size=64, margin=0.0, upright=True, mirror=False, levels="own")
    assert own.std() > 40 and (own[:, :12] == 0).mean() > 0.9


@pytest.mark.parametrize("padded", [1, 30])
def test_a_film_with_a_high_offset_keeps_its_contrast_despite_padding_of_0(padded: int) -> None:
    film = np.random.default_rng(3).integers(0, 4096, (120, 90)).astype(np.uint16)
    high = film + np.uint16(20_000)
    film[:, :padded], high[:, :padded] = 0, 0
    row = Row(image_id="i", at=0, side="R", box=(-10.0, 10.0, 90.0, 110.0), angle=0.0)
    plain, stored = (
        upright(ViewInput(pixels=to_bytes(f, None), deep=from_zero(f)), row, size=64, frame="hand")
        for f in (film, high)
    )
    assert np.abs(plain.astype(int) - stored).max() <= 4 and plain.std() > 60


def test_colour_channels_keep_their_order() -> None:
    pixels = np.zeros((30, 20, 3), np.uint8)
    pixels[..., 0] = 250
    record = {
        "preview": preview(pixels, None), "pixels": encode(pixels), "columns": 20,
        "window_centre": None, "window_width": None,
    }  # fmt: skip
    for reads in ("preview", "pixels"):
        shown = show(record, reads)
        assert shown.scale == 1.0 and (shown.pixels == np.array([250, 0, 0])).all()


def test_a_box_is_turned_and_mirrored_and_its_own_levels_are_used() -> None:
    pixels = np.full((400, 400), 500, np.uint16)
    pixels[180:220, 220:300] = 520  # a bar that points to the right, slightly brighter than the rest
    pixels[210:220, 220:300] = 540  # its lower side is brighter
    image = ViewInput(pixels=np.zeros((400, 400), np.uint8), deep=pixels)
    row = Row(image_id="i", at=0, box=(100.0, 100.0, 300.0, 300.0), angle=90.0, side="R")
    settings = {"size": 64, "margin": 0.0, "upright": True, "mirror": True}
    upright = boxed(image, row, levels="own", **settings)
    bright = upright > 60
    assert bright[:28, 26:38].mean() > 0.9 and not bright[36:].any(), "the bar points up"
    assert upright[5:20, 36:38].mean() > upright[5:20, 27:29].mean() + 50, "what was below is on the right"
    left = Row(image_id="i", at=0, box=row.box, angle=90.0, side="L")
    assert np.array_equal(boxed(image, left, levels="own", **settings), upright[:, ::-1])
    assert not boxed(image, row, levels="film", **settings).any()
    with pytest.raises(UnknownName, match="did you mean film"):
        boxed(image, row, levels="films", **settings)


def test_a_scan_is_cropped_from_its_blanked_screen_and_has_three_channels() -> None:
    screen = np.zeros((60, 80, 3), np.uint8)
    screen[10:30, 20:60] = (90, 30, 10)
    drawn = scanned(ViewInput(pixels=screen), ROW, size=32, fit="stretch")
    assert drawn.shape == (32, 32, 3) and (drawn == (90, 30, 10)).all()
    assert scanned(ViewInput(pixels=screen[..., 0]), ROW, size=16, fit="pad").shape == (16, 16, 3)
    assert not scanned(ViewInput(pixels=np.zeros((9, 9), np.uint8)), ROW, size=8, fit="pad").any()


def test_a_hand_s_joints_are_channels_in_a_fixed_order() -> None:
    pixels = np.zeros((60, 60), np.uint8)
    pixels[10:20, 10:20], pixels[40:50, 40:50] = 100, 200
    joints = tuple(
        Row(image_id="i", at=0, site=site, box=box)
        for site, box in (("PIP2", (40.0, 40.0, 50.0, 50.0)), ("MCP1", (10.0, 10.0, 20.0, 20.0)))
    )
    hand = Row(image_id="i", at=0, box=(0.0, 0.0, 60.0, 60.0), joints=joints)
    shown = handed(ViewInput(pixels=pixels), hand, shows="joints", size=8, margin=0.0, **PLAIN)
    assert shown.shape == (8, 8, 22)
    brightest = {TILES[at]: int(value) for at, value in enumerate(shown.max(axis=(0, 1))) if value}
    assert brightest == {"MCP1": 100, "PIP2": 200}, "a missing joint is black"
    whole_hand = handed(ViewInput(pixels=pixels), hand, shows="hand", size=60, margin=0.0, **PLAIN)
    assert (whole_hand == pixels).all()
    with pytest.raises(UnknownName, match="did you mean joints"):
        handed(ViewInput(pixels=pixels), hand, shows="joint", size=8, margin=0.0, **PLAIN)
