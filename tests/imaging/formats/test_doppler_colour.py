"""Flow is told from tints and from what machines and people draw on a scan."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from rajobs.imaging.formats.doppler_colour import has_doppler_colour
from rajobs.phantoms.ultrasound.scans import sample_scan_with_masks
from rajobs.phantoms.ultrasound.screen_annotations import ANNOTATIONS
from rajobs.phantoms.ultrasound.variation_ranges import ranges_of_difficulty

MAPS = {"gold": ((110, 0, 0), (222, 63, 0), (255, 250, 0)), "away": ((0, 0, 120), (0, 50, 215), (40, 150, 255))}


def speckle(tint=(1.0, 1.0, 1.0)):
    grey = np.clip(np.random.default_rng(0).rayleigh(70, (240, 320, 1)), 0, 255)
    return (grey * tint).astype(np.uint8)


def vessel(frame, colours):
    """The frame with a small vessel of six pixels across, dark at its edge and bright in its middle."""
    rows, columns = np.indices(frame.shape[:2], dtype=float)
    level = 1 - np.hypot((columns - 160) / 12, (rows - 100) / 4)
    table = np.stack([np.interp(level, (0, 0.5, 1), [colour[i] for colour in colours]) for i in range(3)], axis=2)
    return np.where(level[..., None] > 0, table, frame).astype(np.uint8)


@pytest.mark.parametrize("tint", [(1, 1, 1), (1, 0.85, 0.65), (1, 0.75, 0.35), (0.6, 0.8, 1)])
def test_a_doppler_signal_is_judged_against_the_frame_s_own_tint(tint):
    tinted = speckle(tint)
    _, packed = cv2.imencode(".jpg", tinted, [cv2.IMWRITE_JPEG_QUALITY, 85])  # JPEG smears colours a little
    for frame in (tinted, cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)):
        assert not has_doppler_colour(frame)
        for colours in MAPS.values():
            assert has_doppler_colour(vessel(frame, colours))


def test_a_flat_colour_and_a_palette_are_no_doppler_signal():
    flat, palette, dots = speckle(), speckle(), speckle()
    flat[60:90, 100:140] = (220, 40, 20)
    cv2.putText(flat, "MCP 2", (20, 200), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 160, 0), 2, cv2.LINE_AA)
    ramp = np.linspace(0, 1, 120)
    strip = np.stack([np.interp(ramp, (0, 0.5, 1), [colour[i] for colour in MAPS["gold"]]) for i in range(3)], axis=1)
    palette[40:160, 300:312] = strip[:, None]
    dots[::7, ::9] = (0, 255, 0)
    assert [has_doppler_colour(frame) for frame in (flat, palette, dots)] == [False, False, False]
    assert has_doppler_colour(vessel(flat, MAPS["gold"])), "flow among letters is flow"


@pytest.mark.slow
def test_drawn_annotations_are_grey_and_the_least_flow_is_seen():
    kinds, wrong, missed = set(), 0, 0
    annotated = replace(ranges_of_difficulty("standard"), annotated=1.0)
    for number in range(40):
        grey, flow = (
            sample_scan_with_masks(np.random.default_rng([number, grade]), grade=grade, ranges=annotated,
                                   grey_only=grade == 0)[0]
            for grade in (0, 1)
        )  # fmt: skip
        kinds |= {kind for kind in ANNOTATIONS if kind in str(grey.details["annotations"])}
        for picture, counted in ((grey, True), (flow, False)):
            x0, y0, x1, y1 = picture.region
            seen = has_doppler_colour(np.ascontiguousarray(picture.frames[0][y0 : y1 + 1, x0 : x1 + 1]))
            wrong, missed = wrong + (seen and counted), missed + (not seen and not counted)
    assert kinds == set(ANNOTATIONS)
    assert wrong == 0
    assert missed <= 1
