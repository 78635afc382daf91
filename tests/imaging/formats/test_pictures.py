"""Pictures and loops without a DICOM header, the coding of stored pixels, and previews."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from rajobs.imaging import coding, file_types, windowing
from rajobs.imaging.formats import reader
from rajobs.imaging.image import Mask, ReadOptions
from rajobs.records.errors import Reject
from tests.imaging.dicom_files import film, flow_rgb, scan_rgb

RADIOGRAPH = ReadOptions(pictures="radiograph")
SCREEN = ReadOptions(pictures="ultrasound", ultrasound_regions="all")


def encode_picture(array, kind, **options):
    buffer = io.BytesIO()
    Pillow.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def write_loop(path, code, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 20, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("bits", [8, 16])
def test_grey_pictures_are_read_exactly(kind, bits):
    if kind == "BMP" and bits == 16:
        return
    image = film(bits=bits)
    (decoded,) = reader.read_file(encode_picture(image, kind), RADIOGRAPH)
    assert np.array_equal(decoded.pixels, image)
    assert (decoded.bits, decoded.header.modality, decoded.header.patient_id) == (bits, "RG", None)


def test_a_colour_picture_is_read_by_what_the_user_says_it_shows():
    image = flow_rgb()
    data = encode_picture(image, "PNG")
    (decoded,) = reader.read_file(data, SCREEN)
    assert np.array_equal(decoded.pixels, image)
    assert decoded.doppler
    assert reader.read_file(data, RADIOGRAPH)[0].pixels.ndim == 2
    with pytest.raises(Reject, match="no-modality"):
        reader.read_file(data, ReadOptions())
    with pytest.raises(Reject, match="no-region"):
        reader.read_file(data, ReadOptions(pictures="ultrasound"))
    mask = Mask(manufacturer=None, model=None, rows=32, columns=48, boxes=((10, 8, 29, 19),))
    (masked,) = reader.read_file(data, ReadOptions(pictures="ultrasound", masks=(mask,)))
    assert np.array_equal(masked.pixels[8:20, 10:30], image[8:20, 10:30])
    assert not masked.pixels[:8].any()
    with pytest.raises(Reject, match="unsupported-picture"):
        reader.read_file(encode_picture(image, "GIF"), SCREEN)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_cut_pictures_are_rejected(kind):
    data = encode_picture(scan_rgb(200, 300), kind)
    assert reader.read_file(data, SCREEN)
    for share in (0.3, 0.7, 0.98):
        with pytest.raises(Reject):
            reader.read_file(data[: int(len(data) * share)], SCREEN)


def test_a_flipped_png_is_rejected():
    data = bytearray(encode_picture(scan_rgb(), "PNG"))
    data[len(data) // 2] ^= 4
    with pytest.raises(Reject, match="corrupt"):
        reader.read_file(bytes(data), SCREEN)


def test_a_tiff_without_a_readable_directory_is_corrupt_and_no_unknown_format():
    data = encode_picture(scan_rgb(), "TIFF")
    with pytest.raises(Reject, match="corrupt"):
        reader.read_file(data[:4] + b"\xff" * (len(data) - 4), SCREEN)


def test_a_tiff_of_an_unknown_compression_is_unsupported():
    data = bytearray(encode_picture(scan_rgb(), "TIFF"))
    directory = int.from_bytes(data[4:8], "little")
    entry = data.index((259).to_bytes(2, "little") + (3).to_bytes(2, "little"), directory)
    data[entry + 8 : entry + 10] = (33003).to_bytes(2, "little")  # JPEG 2000 of a slide scanner
    with pytest.raises(Reject, match="unsupported-picture"):
        reader.read_file(bytes(data), SCREEN)


def test_a_camera_s_jpeg_whose_second_view_was_cut_off_is_its_first():
    first, second = (np.full((32, 48, 3), value, np.uint8) for value in (40, 200))
    data = encode_picture(first, "MPO", save_all=True, append_images=[Pillow.fromarray(second)])
    (image,) = reader.read_file(data[: data.index(b"\xff\xd9") + 2], SCREEN)
    assert abs(int(image.pixels.mean()) - 40) < 6
    with pytest.raises(Reject, match="corrupt"):
        reader.read_file(data, SCREEN)


def test_damage_that_a_jpeg_decoder_only_warns_about_is_rejected(decoder):
    image = np.random.default_rng(0).integers(0, 255, (160, 200), np.uint8)
    data = encode_picture(image, "JPEG", quality=90)
    draw = np.random.default_rng(1)
    rejected = 0
    for at in draw.integers(len(data) // 3, len(data) - 40, 20).tolist():
        try:
            decoder.read(data[:at] + draw.bytes(12) + data[at + 12 :], RADIOGRAPH)
        except Reject:
            rejected += 1
    assert rejected >= 12


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_loops_are_read_frame_by_frame_and_cut_ones_are_rejected(tmp_path, decoder, name, code):
    frames = [np.full((64, 96, 3), 15 * k, np.uint8) for k in range(9)]
    data = write_loop(tmp_path / name, code, frames)
    images = decoder.read(data, SCREEN)
    assert [image.frame for image in images] == list(range(9))
    assert all(abs(int(image.pixels.mean()) - 15 * k) < 6 for k, image in enumerate(images))
    with pytest.raises(Reject, match=r"truncated|corrupt"):
        decoder.read(data[: len(data) * 2 // 3], SCREEN)
    with pytest.raises(Reject, match="not-a-joint-modality"):
        decoder.read(data, RADIOGRAPH)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (33, 70), (1, 1, 3), (31, 17, 3)])
@pytest.mark.parametrize("word", [np.uint8, np.uint16])
def test_the_stored_coding_is_lossless(shape, word):
    if len(shape) == 3 and word is np.uint16:
        return
    draw = np.random.default_rng(0)
    for top in (1, 255, np.iinfo(word).max):
        pixels = draw.integers(0, top, shape, word, endpoint=True)
        decoded = coding.decode(coding.encode(pixels))
        assert decoded.dtype == word
        assert np.array_equal(decoded, pixels)


def test_a_preview_is_small_and_windowed():
    image = film(600, 300)
    shown = cv2.imdecode(np.frombuffer(coding.preview(image, (2048, 4096)), np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (256, 128)
    assert shown[0].mean() < 20 < 200 < shown[-1].mean()
    colour = cv2.imdecode(np.frombuffer(coding.preview(scan_rgb(), None), np.uint8), cv2.IMREAD_UNCHANGED)
    assert colour.shape == (32, 48, 3)
    assert colour[10, 20].tolist() == [20, 40, 220]  # OpenCV's order
    wrong_window = windowing.to_unit(image, (60000, 1))  # it contains no pixel and is ignored
    assert 0.2 < wrong_window.mean() < 0.8


def test_file_types_are_detected_by_content():
    assert file_types.detect_file_type(b"") is None
    assert file_types.detect_file_type(b"BM is how this text begins, and it is no picture at all") is None
    assert file_types.detect_file_type(bytes(128) + b"DICM") == "dicom"
    assert file_types.detect_archive_type(b"PK\x03\x04") == "zip"
    assert file_types.detect_archive_type(bytes(512)) is None


def test_white_is_zero_is_inverted_at_every_depth():
    for bits in (8, 16):
        image = film(bits=bits)
        buffer = io.BytesIO()
        Pillow.fromarray(image).save(buffer, "TIFF", tiffinfo={262: 0})
        data = bytearray(buffer.getvalue())
        stored = np.array(Pillow.open(io.BytesIO(data))) if bits == 8 else (1 << bits) - 1 - image
        (decoded,) = reader.read_file(bytes(data), RADIOGRAPH)
        assert np.array_equal(decoded.pixels, stored), bits


def test_the_camera_s_orientation_is_heeded():
    image = film(bits=8)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn to the right to see it upright
    for kind in ("PNG", "TIFF"):
        (decoded,) = reader.read_file(encode_picture(image, kind, exif=exif), RADIOGRAPH)
        assert np.array_equal(decoded.pixels, np.rot90(image, -1)), kind


def test_what_alpha_hides_stays_hidden():
    image = scan_rgb()
    alpha = np.full(image.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    seen = image.copy()
    seen[:10] = 0
    (decoded,) = reader.read_file(encode_picture(np.dstack([image, alpha]), "PNG"), SCREEN)
    assert np.array_equal(decoded.pixels, seen)
    grey = film(bits=8)
    (decoded,) = reader.read_file(encode_picture(np.dstack([grey, np.full_like(grey, 255)]), "PNG"), RADIOGRAPH)
    assert np.array_equal(decoded.pixels, grey)
    buffer = io.BytesIO()
    Pillow.fromarray(film(bits=16)).save(buffer, "PNG", transparency=int(film(bits=16)[3, 3]))
    (decoded,) = reader.read_file(buffer.getvalue(), RADIOGRAPH)
    assert decoded.pixels[3, 3] == 0 and decoded.pixels[40, 40] == film(bits=16)[40, 40]
