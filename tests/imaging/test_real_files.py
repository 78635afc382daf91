"""Twelve real files: which are rejected, and the size, header and polarity of the others."""

import numpy as np
import pytest

from rajobs.imaging.formats import reader, transfer_syntaxes
from rajobs.imaging.image import Ignored, ReadOptions
from rajobs.records.errors import Reject

FILMS = {
    "chest_cr_mono1_j2k": ((1955, 1841), 15, "CHEST", "PHILIPS"),
    "hand_cr_kodak_j2k": ((2500, 2048), 12, "HAND", "KODAK"),
    "hip_cr_jpeglossless": ((2140, 1760), 10, "HIP", "FUJIFILM"),
    "hip_cr_jpegls": ((2140, 1760), 10, "HIP", "FUJIFILM"),
    "lower_leg_cr_mono1_j2k": ((1760, 1760), 10, "EXTREMITY", "FUJIFILM"),
}
REJECTS = {
    "bad_sequence": ("not-a-joint-modality", "CT"),
    "modality_lut": ("not-a-joint-modality", "OT (--modalities OT)"),
    "voi_lut": ("not-a-joint-modality", "OT (--modalities OT)"),
    "multiframe_j2k_too_short": ("not-a-joint-modality", "MR"),
    "us_power_doppler_rgb": ("no-region", ""),
    "us_power_doppler_ybr_rct": ("no-region", ""),
}


def test_every_real_file_is_listed_here(real_files):
    assert set(real_files) == {*FILMS, *REJECTS, "us_palette16"}


@pytest.mark.parametrize("name", FILMS)
def test_films_have_their_size_depth_and_header(real_files, decoder, name):
    (image,) = decoder.read(real_files[name], ReadOptions())
    shape, bits, part, maker = FILMS[name]
    assert image.pixels.shape == shape
    assert (image.bits, image.header.body_part, image.header.manufacturer) == (bits, part, maker)
    assert image.pixels.dtype == np.uint16
    assert image.pixels.max() < 1 << bits
    assert image.header.modality == "CR"
    assert not image.doppler


def test_bones_are_bright(real_files, decoder):
    chest = decoder.read(real_files["chest_cr_mono1_j2k"], ReadOptions())[0].pixels
    # The spine is brighter than the lung next to it.
    assert np.median(chest[400:1200, 880:960]) > np.median(chest[500:800, 500:650]) + 2000
    hand = decoder.read(real_files["hand_cr_kodak_j2k"], ReadOptions())[0]
    assert np.median(hand.pixels[1950:2050, 950:1100]) > 2 * np.median(hand.pixels[1000:1200, 100:300])
    assert hand.window == (2048, 4096)
    assert hand.header.spacing_mm == pytest.approx(0.115)
    leg = decoder.read(real_files["lower_leg_cr_mono1_j2k"], ReadOptions())[0].pixels
    # Across the shaft the cortex is brighter than the soft tissue next to it.
    assert leg[880, 640:1100].max() > np.median(leg[880, 760:790])


def test_two_codings_of_one_film_give_the_same_pixels(real_files, decoder):
    one, other = (decoder.read(real_files[f"hip_cr_{kind}"], ReadOptions())[0] for kind in ("jpeglossless", "jpegls"))
    assert np.array_equal(one.pixels, other.pixels)
    assert one.window == other.window


@pytest.mark.parametrize("name", REJECTS)
def test_rejects_have_their_reason(real_files, decoder, name):
    with pytest.raises(Reject) as caught:
        decoder.read(real_files[name], ReadOptions())
    assert (caught.value.reason, caught.value.detail) == REJECTS[name]


def test_two_codings_of_one_power_doppler_give_the_same_pixels(real_files, decoder):
    options = ReadOptions(ultrasound_regions="all")
    (one,) = decoder.read(real_files["us_power_doppler_rgb"], options)
    (other,) = decoder.read(real_files["us_power_doppler_ybr_rct"], options)
    assert one.pixels.shape == (480, 640, 3)
    assert np.array_equal(one.pixels, other.pixels)
    assert one.doppler
    assert other.doppler
    red, _, blue = one.pixels[230, 180].astype(int)  # in the signal, which is yellow to red
    assert red > blue


def test_only_the_regions_of_a_palette_image_are_kept(real_files, decoder):
    (image,) = decoder.read(real_files["us_palette16"], ReadOptions())
    assert image.pixels.shape == (480, 640, 3)
    assert not image.pixels[420:].any()  # the text line with the patient's data
    assert not image.pixels[:20].any()
    assert image.pixels[100:400, 100:300].any()
    assert not image.doppler  # green markers are not a signal
    assert image.header.laterality == "R"
    assert image.header.spacing_mm == pytest.approx(0.3827, abs=1e-4)


@pytest.mark.slow
def test_damaged_files_never_crash_the_reader(real_files, decoder):
    """A few hundred files; `benchmarks/faults/mutated_files.py` reads thousands."""
    draw = np.random.default_rng(3)
    small = {name: data for name, data in real_files.items() if len(data) < 1_000_000}
    options = ReadOptions(ultrasound_regions="all")
    for _ in range(25):
        for data in small.values():
            broken = bytearray(data)
            at = int(draw.integers(0, len(broken) if draw.random() < 0.3 else 3000))
            broken[at : at + 4] = draw.bytes(4)
            if draw.random() < 0.3:
                del broken[int(draw.integers(140, len(broken))) :]
            try:
                plan = reader.plan_read(bytes(broken), options)
                native = plan.dicom is not None and plan.dicom.layout.syntax in transfer_syntaxes.NATIVE
                images = decoder.read(bytes(broken), options) if native else []  # the others take too long here
                assert all(image.pixels.size for image in images)
            except (Reject, Ignored):
                continue
