"""The files in archives: every encoding decodes to the drawing, and damaged files are damaged as their names say."""

import io
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from datetime import date

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import generate_frames

from rajobs.phantoms.packaging.canaries import FIELDS, canaries, leaks
from rajobs.phantoms.packaging.damaged_files import damage_kinds, make_damaged
from rajobs.phantoms.packaging.dicom_files import LAYOUTS, SYNTAXES, dicom_bytes
from rajobs.phantoms.packaging.file_encodings import FILM_ENCODINGS
from rajobs.phantoms.packaging.hostile_archives import hostile_kinds, make_hostile
from rajobs.phantoms.packaging.picture_files import PICTURE_SUFFIXES
from rajobs.phantoms.packaging.sample_encodings import draft_film
from rajobs.phantoms.packaging.stray_files import STRAYS, make_stray
from rajobs.phantoms.picture import PHANTOM_VERSION, Patient, Picture, Truth

pytestmark = pytest.mark.slow

_ERRORS = {"jpeg-baseline": 4, "jpeg-extended": 40, "jpeg-ls-near": 2, "jpeg2000-lossy": 40, "htj2k-lossy": 20}
_BY_IMAGECODECS = ("jpeg-extended", "jpeg-lossless", "jpeg-lossless-any")  # pydicom itself has no decoder for them


def _film(number: int = 1, shape: tuple[int, int] = (121, 90), bits: int = 12) -> Picture:
    rng = np.random.default_rng(number)
    rows, columns = np.indices(shape)
    smooth = 1800 + 1200 * np.sin(rows / 23 + number) * np.cos(columns / 17)
    return Picture(
        frames=(((smooth + rng.normal(0, 5, shape)).clip(0, 4095) * 2.0 ** (bits - 12)).astype(np.uint16),),
        modality="CR",
        body_part="hand",
        bits=bits,
        spacing_mm=0.15,
        patient=Patient(number=number, sex="F", birth=date(1950, 2, 3), ra=True),
        taken=date(2015, 5, 6),
        visit=1,
        laterality="L",
        view_position="PA",
        window=(2000, 3000),
        truths=(Truth(study="hand_filter", target="view", value="unilateral"),),
    )


def _decoded(data: bytes, syntax: str) -> np.ndarray:
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if syntax in _BY_IMAGECODECS:
        return imagecodecs.jpeg8_decode(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax].uid
    return dataset.pixel_array


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(
    ("syntax", "form", "layout"), sorted({shape for shape in FILM_ENCODINGS if shape[0] not in PICTURE_SUFFIXES})
)
def test_every_encoding_decodes_to_the_drawing(syntax: str, form: str, layout: str, bits: int) -> None:
    film = _film(bits=bits)
    data = dicom_bytes(film, seed=3, serial="a", syntax=syntax, form=form, layout=layout)
    source = draft_film(film, seed=3, serial="a", form=form).frames[0]
    error = np.abs(_decoded(data, syntax).astype(int) - source).max()
    assert error <= _ERRORS.get(syntax, 0)


def test_films_are_written_in_every_syntax_and_layout() -> None:
    assert {shape[0] for shape in FILM_ENCODINGS} == {*SYNTAXES, *PICTURE_SUFFIXES}
    assert {shape[2] for shape in FILM_ENCODINGS if shape[2]} == set(LAYOUTS)


def test_colour_scans_keep_their_frames_and_region() -> None:
    frames = tuple(np.full((40, 60, 3), value, np.uint8) for value in (10, 90))
    scan = replace(_film(), frames=frames, modality="US", bits=8, region=(3, 4, 50, 30), window=None)
    dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(scan, seed=0, serial="u")))
    assert dataset.NumberOfFrames == 2
    assert dataset.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 == 50
    assert (dataset.pixel_array == np.stack(frames)).all()


def test_planted_words_are_unique_and_all_appear_in_the_files() -> None:
    words = canaries(seed=3, patients=200)
    assert len(set(words)) == len(words)
    assert not set(words) & set(canaries(seed=4, patients=200))
    of_patient = canaries(seed=3, patients=2)[2 * len(FIELDS) :]
    texts = [dicom_bytes(_film(), seed=3, serial=str(n), layout="planted-preamble") for n in range(40)]
    texts += [make_stray(kind, seed=3, serial="9", patient=_film().patient).data for kind in STRAYS]
    missing = set(of_patient) - set(leaks(b"".join(texts), of_patient))
    assert {FIELDS[of_patient.index(word)] for word in missing} <= {"folder", "archive"}, "these stand in paths only"


def test_header_tags_cannot_be_relied_on() -> None:
    headers = [draft_film(_film(), seed=0, serial=str(n)).dataset for n in range(60)]
    parts = {header.get("BodyPartExamined") for header in headers}
    assert {"HAND", "EXTREMITY", "", None} <= parts
    assert {header.get("Laterality") for header in headers} == {"L", "", None}
    assert {"PA", "AP", "LL", None} <= {header.get("ViewPosition") for header in headers}
    assert {header.SoftwareVersions for header in headers} == {f"rajobs phantom {PHANTOM_VERSION} standard"}


_STATED = {
    "foreign-colour": ("PhotometricInterpretation", "HSV"),
    "foreign-syntax": ("Modality", "CR"),
    "burned-in": ("BurnedInAnnotation", "YES"),
    "tomogram": ("Modality", "CT"),
    "wide-samples": ("BitsAllocated", 32),
    "jpeg2000-bomb": ("Rows", 8000),
    "huge-frame": ("Columns", 65535),
    "many-frames": ("NumberOfFrames", 2_000_000),
}
"""What the headers say in files that are sound, or too large to decode here."""
_READERS_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    SyntaxError,
    RuntimeError,
    UserWarning,
    zlib.error,
)


@pytest.mark.parametrize("kind", damage_kinds())
def test_a_damaged_file_is_damaged_as_its_kind_says(kind: str) -> None:
    member, _ = make_damaged(kind, _film(shape=(242, 180)), seed=3, serial="X1")
    assert member.fate.name == "rejects"
    assert len(member.data) < 2_000_000
    if kind == "deflated-bomb":
        assert _inflated_size(member.data) > 800 << 20
    elif kind == "letter":
        assert Image.open(io.BytesIO(member.data)).format == "JPEG"
    elif kind in _STATED:
        keyword, value = _STATED[kind]
        assert pydicom.dcmread(io.BytesIO(member.data))[keyword].value == value
    else:
        with pytest.raises(_READERS_ERRORS):
            _read_strictly(member.data, member.name)


def _read_strictly(data: bytes, name: str) -> None:
    if name.endswith((".png", ".tif")):
        Image.open(io.BytesIO(data)).load()
        return
    dataset = pydicom.dcmread(io.BytesIO(data))
    if dataset.file_meta.TransferSyntaxUID != SYNTAXES["jpeg-lossless"].uid:
        dataset.pixel_array  # noqa: B018
        return
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if imagecodecs.jpeg8_decode(frame).shape != (dataset.Rows, dataset.Columns) or b"\xff\xd9" not in frame[-3:]:
        raise ValueError("the frame does not match the header")


def _inflated_size(data: bytes) -> int:
    unpacker, size = zlib.decompressobj(-15), 0
    start = 132 + 12 + struct.unpack("<I", data[140:144])[0]
    piece = unpacker.decompress(data[start:], 1 << 24)
    while piece:
        size += len(piece)
        piece = unpacker.decompress(unpacker.unconsumed_tail, 1 << 24)
    return size


def test_a_jpeg_2000_of_some_hundred_bytes_claims_122_megabytes() -> None:
    member, _ = make_damaged("jpeg2000-bomb", _film(), seed=3, serial="X1")
    dataset = pydicom.dcmread(io.BytesIO(member.data))
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    assert len(stream) < 400
    assert struct.unpack(">II", stream[8:16]) == (dataset.Columns, dataset.Rows)
    assert dataset.Rows * dataset.Columns * 2 == 122_400_000


def test_hostile_archives_are_damaged_as_their_kind_says() -> None:
    archives = {kind: make_hostile(kind, seed=3, serial="X1") for kind in hostile_kinds()}
    for kind in ("cut-zip", "garbled-zip"):
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(archives[kind].data))
    with zipfile.ZipFile(io.BytesIO(archives["flipped-zip"].data)) as archive:
        assert archive.testzip() == "QA1"
    with zipfile.ZipFile(io.BytesIO(archives["encrypted"].data)) as archive:
        assert pydicom.dcmread(archive.open("QA0")).pixel_array.shape == (640, 480)
        with pytest.raises(RuntimeError, match="password"):
            archive.read("IM0001")
    with zipfile.ZipFile(io.BytesIO(archives["bomb"].data)) as archive:
        bomb = archive.getinfo("IM0001")
        assert bomb.file_size == 256 << 20
        assert bomb.file_size > 1000 * bomb.compress_size
        assert archive.testzip() is None  # the checksum is right; only the size is hostile
    for kind in ("cut-tar", "cut-tar-gz"):
        with pytest.raises((EOFError, tarfile.TarError)):
            _extract(archives[kind].data)
    with tarfile.open(fileobj=io.BytesIO(archives["garbled-tar"].data)) as archive:
        assert archive.getnames() == ["QA0", "QA1"]  # tarfile reports no error
    with tarfile.open(fileobj=io.BytesIO(archives["unsafe-tar"].data)) as archive:
        assert archive.getnames()[1].startswith("../")


def _extract(data: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            file = archive.extractfile(info)
            assert file is not None
            file.read()
