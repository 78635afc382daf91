"""A film has the same pixels in every transfer syntax, and incomplete codestreams are rejected."""

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
from pydicom.pixels.encoders import RLELosslessEncoder
from rle.utils import encode_pixel_data

from rajobs.imaging.formats import reader
from rajobs.imaging.image import ReadOptions
from rajobs.records.errors import Reject
from tests.imaging.dicom_files import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, dicom, film, flow_rgb, scan_rgb

UID = "1.2.840.10008.1.2."
ALL = ReadOptions(ultrasound_regions="all")


def encode_rle(image):
    samples = image.shape[2] if image.ndim == 3 else 1
    size = {"rows": image.shape[0], "columns": image.shape[1], "samples_per_pixel": samples}
    return encode_pixel_data(image.tobytes(), bits_allocated=8 * image.itemsize, byteorder="<", **size)


def lossless_jpeg_encoder(predictor):
    return lambda image: imagecodecs.jpeg8_encode(image, lossless=True, predictor=predictor, bitspersample=12)


LOSSLESS = {
    "implicit": (IMPLICIT, None),
    "big endian": (BIG_ENDIAN, None),
    "deflated": (DEFLATED, None),
    "RLE": (UID + "5", encode_rle),
    **{
        f"JPEG lossless, predictor {p}": (UID + ("4.70" if p == 1 else "4.57"), lossless_jpeg_encoder(p))
        for p in range(1, 8)
    },
    "JPEG-LS": (UID + "4.80", lambda image: jpeg_ls.encode_buffer(image.tobytes(), *image.shape, 1, 12, 0)),
    "JPEG 2000": (UID + "4.90", lambda i: imagecodecs.jpeg2k_encode(i, level=0, codecformat="j2k", bitspersample=12)),
    "JP2 file": (UID + "4.90", lambda i: imagecodecs.jpeg2k_encode(i, level=0, codecformat="jp2", bitspersample=12)),
    "HTJ2K": (UID + "4.201", lambda image: imagecodecs.htj2k_encode(image, reversible=True)),
}
LOSSY = {
    "JPEG extended": (UID + "4.51", lambda image: imagecodecs.jpeg8_encode(image, level=98, bitspersample=12), 24),
    "JPEG-LS near": (UID + "4.81", lambda i: jpeg_ls.encode_buffer(i.tobytes(), *i.shape, 1, 12, 2), 2),
    "JPEG 2000": (
        UID + "4.91",
        lambda i: imagecodecs.jpeg2k_encode(i, level=60, codecformat="j2k", bitspersample=12),
        32,
    ),
}


def read_one(data, options=ALL):
    (image,) = reader.read_file(bytes(data), options)
    return image


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_codings_give_the_exact_pixels(name):
    image = film()
    syntax, encode = LOSSLESS[name]
    data = dicom(image, syntax=syntax, bits=12, frames=[bytes(encode(image))] if encode else None)
    decoded = read_one(data)
    assert np.array_equal(decoded.pixels, image)
    assert decoded.bits == 12
    inverted = dicom(
        image, syntax=syntax, bits=12, PhotometricInterpretation="MONOCHROME1",
        frames=[bytes(encode(image))] if encode else None,
    )  # fmt: skip
    assert np.array_equal(read_one(inverted).pixels, 4095 - image)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_codings_give_nearly_the_same_pixels(name):
    image = film()
    syntax, encode, tolerance = LOSSY[name]
    pixels = read_one(dicom(image, syntax=syntax, bits=12, frames=[bytes(encode(image))])).pixels
    assert np.abs(pixels.astype(int) - image).max() <= tolerance


def test_what_a_lossy_coding_puts_beyond_the_stored_bits_is_clipped_before_it_is_inverted():
    image = film(bits=10)
    image[20:40, 20:40] = 1023  # an edge beside white, at which the coding overshoots
    image[20:40, 10:20] = 0
    stream = bytes(imagecodecs.jpeg8_encode(image, level=60, bitspersample=12))
    assert imagecodecs.jpeg8_decode(stream).max() > 1023
    for photometric, expected in (("MONOCHROME1", 1023 - image.astype(int)), ("MONOCHROME2", image.astype(int))):
        decoded = read_one(
            dicom(image, syntax=UID + "4.51", bits=10, frames=[stream], PhotometricInterpretation=photometric)
        )
        assert decoded.bits == 10 and np.median(np.abs(decoded.pixels - expected)) < 20


@pytest.mark.parametrize("name", [name for name, (_, encode) in LOSSLESS.items() if encode])
def test_cut_frames_and_wrong_headers_are_rejected(name):
    image = film()
    syntax, encode = LOSSLESS[name]
    stream = bytes(encode(image))
    with pytest.raises(Reject):
        read_one(dicom(image, syntax=syntax, bits=12, frames=[stream[: len(stream) // 2]]))
    with pytest.raises(Reject):
        read_one(dicom(image, syntax=syntax, bits=12, frames=[stream], Rows=image.shape[0] + 1))
    with pytest.raises(Reject):
        read_one(dicom(image, syntax=syntax, bits=12, frames=[stream, stream], NumberOfFrames=1))


def test_most_damage_to_a_lossless_jpeg_is_detected():
    image = film(300, 200)
    stream = bytes(lossless_jpeg_encoder(1)(image))
    draw = np.random.default_rng(0)
    rejected = 0
    for at in draw.integers(len(stream) // 4, len(stream) - 20, 30).tolist():
        broken = stream[:at] + draw.bytes(8) + stream[at + 8 :]
        try:
            read_one(dicom(image, syntax=UID + "4.70", bits=12, frames=[broken]))
        except Reject:
            rejected += 1
    # Damage that takes as many bits and leaves all values in range cannot be detected.
    assert rejected >= 18


def test_a_frame_may_be_one_fragment_or_several():
    frames = [film(seed=k) for k in range(3)]
    coded = [bytes(lossless_jpeg_encoder(1)(f)) for f in frames]
    stack = np.stack(frames)
    whole = dicom(stack, syntax=UID + "4.70", bits=12, frames=coded, NumberOfFrames=3)
    split = b"".join(
        b"\xfe\xff\x00\xe0" + len(part).to_bytes(4, "little") + part
        for stream in coded
        for part in (stream[:500], stream[500:] + b"\0" * (len(stream) % 2))
    )
    at = whole.index(b"\xfe\xff\x00\xe0")
    pieces = whole[:at] + b"\xfe\xff\x00\xe0\0\0\0\0" + split + b"\xfe\xff\xdd\xe0\0\0\0\0"
    for data in (whole, pieces):
        images = reader.read_file(data, ALL)
        assert [image.frame for image in images] == [0, 1, 2]
        assert all(np.array_equal(image.pixels, f) for image, f in zip(images, frames))


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN, UID + "5"])
def test_colour_is_read_from_both_planar_configurations(planar, syntax):
    image = flow_rgb()
    if syntax.endswith("5"):
        data = dicom(image, syntax=syntax, frames=[bytes(encode_rle(image))], PlanarConfiguration=planar)
    else:
        data = dicom(image, syntax=syntax)
        if planar:
            data = dicom(image, syntax=syntax, PlanarConfiguration=1)
            data = data.replace(image.tobytes(), np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes())
    decoded = read_one(data)
    assert np.array_equal(decoded.pixels, image)
    assert decoded.doppler


def to_ybr(rgb):
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.clip(np.rint(rgb @ matrix.T + (0, 128, 128)), 0, 255).astype(np.uint8)


def test_ybr_colours_become_rgb():
    image = scan_rgb(32, 48)
    image = np.repeat(np.repeat(image[::8, ::8], 8, axis=0), 8, axis=1)  # blocks: 4:2:2 loses nothing
    ybr = to_ybr(image)
    full = read_one(dicom(ybr, PhotometricInterpretation="YBR_FULL")).pixels
    assert np.abs(full.astype(int) - image).max() <= 2
    pairs = np.concatenate((ybr[:, 0::2, :1], ybr[:, 1::2, :1], ybr[:, 0::2, 1:]), axis=2)
    data = dicom(ybr, PhotometricInterpretation="YBR_FULL_422").replace(ybr.tobytes(), b"")
    at = data.index(b"\xe0\x7f\x10\x00OB") + 8
    data = data[:at] + pairs.size.to_bytes(4, "little") + pairs.tobytes()
    assert np.array_equal(read_one(data).pixels, full)
    stream = bytes(imagecodecs.jpeg8_encode(image, level=98, subsampling="444"))
    for stated in ("YBR_FULL_422", "YBR_FULL", "RGB"):  # the codestream says JFIF, so it is YCbCr whatever is stated
        pixels = read_one(dicom(image, syntax=UID + "4.50", frames=[stream], PhotometricInterpretation=stated)).pixels
        assert np.abs(pixels.astype(int) - image).max() <= 6
    lossless = bytes(imagecodecs.jpeg8_encode(ybr, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"))
    pixels = read_one(dicom(ybr, syntax=UID + "4.70", frames=[lossless], PhotometricInterpretation="YBR_FULL")).pixels
    assert np.array_equal(pixels, full)


def test_j2k_colour_transforms_are_undone():
    image = scan_rgb()
    for stated, reversible in (("YBR_RCT", True), ("RGB", True), ("YBR_ICT", False)):
        stream = bytes(
            imagecodecs.jpeg2k_encode(image, level=0 if reversible else 60, codecformat="j2k", reversible=reversible)
        )
        syntax = UID + ("4.90" if reversible else "4.91")
        pixels = read_one(dicom(image, syntax=syntax, frames=[stream], PhotometricInterpretation=stated)).pixels
        assert np.abs(pixels.astype(int) - image).max() <= (0 if reversible else 8)


def test_signed_films_agree_between_codings():
    values = film().astype(np.int16) - 2048
    native = read_one(dicom(values, bits=12))
    assert np.array_equal(native.pixels, film())
    assert native.bits == 12
    masked = read_one(dicom((values.view(np.uint16) & 0x0FFF).view(np.int16), bits=12))  # without sign extension
    assert np.array_equal(masked.pixels, film())
    stream = bytes(imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", bitspersample=12))
    coded = read_one(dicom(values, syntax=UID + "4.90", bits=12, frames=[stream]))
    assert np.array_equal(coded.pixels, film())
    unsigned = bytes(lossless_jpeg_encoder(1)(values.view(np.uint16) & 0x0FFF))
    assert np.array_equal(read_one(dicom(values, syntax=UID + "4.70", bits=12, frames=[unsigned])).pixels, film())


def test_rle_frames_of_pydicom_s_own_encoder_are_read():
    image = film()
    frame = RLELosslessEncoder.encode(
        image, rows=64, columns=48, samples_per_pixel=1, bits_allocated=16, bits_stored=12, pixel_representation=0,
        photometric_interpretation="MONOCHROME2", number_of_frames=1, encoding_plugin="pydicom",
    )  # fmt: skip
    assert np.array_equal(read_one(dicom(image, syntax=UID + "5", bits=12, frames=[frame])).pixels, image)
