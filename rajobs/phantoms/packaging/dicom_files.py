"""Writes a picture as a DICOM file in one of many transfer syntaxes and file layouts.

Both vary as they do in real archives, and ingest must read all of them.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom import dcmwrite
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info

from rajobs.phantoms.packaging.canaries import identity
from rajobs.phantoms.packaging.sample_encodings import Array, Draft, draft_film
from rajobs.phantoms.picture import Picture

LAYOUTS = (
    "plain",
    "no-preamble",  # begins with the file meta elements
    "bare",  # neither preamble nor file meta elements: implicit little endian
    "tiff-preamble",
    "planted-preamble",
    "odd-vr",  # a wrong but harmless value representation
    "open-sequences",  # of undefined length
    "deep-sequence",  # thousands of levels in a private element
    "trailing",  # padding after the pixels
)
_DEEP = 3000  # levels


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """A transfer syntax and its encoder of a frame with so many bits (None: uncompressed)."""

    uid: uids.UID
    encode: Callable[[Array, int], bytes] | None = None
    method: str | None = None  # LossyImageCompressionMethod of a lossy encoding


def _encode_rle(frame: Array, depth: int) -> bytes:
    from rle.utils import encode_pixel_data

    samples = 1 if frame.ndim == 2 else frame.shape[2]
    shape = {"rows": frame.shape[0], "columns": frame.shape[1], "samples_per_pixel": samples}
    return encode_pixel_data(frame.tobytes(), bits_allocated=8 * frame.itemsize, byteorder="<", **shape)


def _encode_jpeg(frame: Array, depth: int) -> bytes:
    import imagecodecs

    if frame.ndim == 3:
        return bytes(imagecodecs.jpeg8_encode(frame, level=92, outcolorspace="YCBCR", subsampling="422"))
    return bytes(imagecodecs.jpeg8_encode(frame, level=95, bitspersample=depth))


def _encode_jpeg_lossless(frame: Array, depth: int) -> bytes:
    import imagecodecs

    colours = None if frame.ndim == 2 else "RGB"  # no conversion
    data = imagecodecs.jpeg8_encode(
        frame, lossless=True, predictor=1, bitspersample=depth, colorspace=colours, outcolorspace=colours
    )
    return bytes(data)


def _encode_jpeg_lossless_predictor_6(frame: Array, depth: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.ljpeg_encode(frame, bitspersample=depth))  # predictor 6


def _jpeg_ls_encoder(error: int) -> Callable[[Array, int], bytes]:
    def encode(frame: Array, depth: int) -> bytes:
        import jpeg_ls

        return bytes(jpeg_ls.encode_buffer(frame.tobytes(), *frame.shape[:2], 1, depth, error))

    return encode


def _jpeg2000_encoder(level: int | None) -> Callable[[Array, int], bytes]:
    def encode(frame: Array, depth: int) -> bytes:
        import imagecodecs

        lossless = level is None
        data = imagecodecs.jpeg2k_encode(
            frame, level=level, codecformat="j2k", reversible=lossless, bitspersample=depth
        )
        return bytes(data)

    return encode


def _htj2k_encoder(level: float | None) -> Callable[[Array, int], bytes]:
    def encode(frame: Array, depth: int) -> bytes:
        import imagecodecs

        return bytes(imagecodecs.htj2k_encode(frame, level=level, reversible=level is None))

    return encode


SYNTAXES = {
    "implicit": Syntax(uid=uids.ImplicitVRLittleEndian),
    "explicit": Syntax(uid=uids.ExplicitVRLittleEndian),
    "big-endian": Syntax(uid=uids.ExplicitVRBigEndian),
    "deflated": Syntax(uid=uids.DeflatedExplicitVRLittleEndian),
    "rle": Syntax(uid=uids.RLELossless, encode=_encode_rle),
    "jpeg-baseline": Syntax(uid=uids.JPEGBaseline8Bit, encode=_encode_jpeg, method="ISO_10918_1"),
    "jpeg-extended": Syntax(uid=uids.JPEGExtended12Bit, encode=_encode_jpeg, method="ISO_10918_1"),
    "jpeg-lossless": Syntax(uid=uids.JPEGLosslessSV1, encode=_encode_jpeg_lossless),
    "jpeg-lossless-any": Syntax(uid=uids.JPEGLossless, encode=_encode_jpeg_lossless_predictor_6),
    "jpeg-ls": Syntax(uid=uids.JPEGLSLossless, encode=_jpeg_ls_encoder(0)),
    "jpeg-ls-near": Syntax(uid=uids.JPEGLSNearLossless, encode=_jpeg_ls_encoder(2), method="ISO_14495_1"),
    "jpeg2000": Syntax(uid=uids.JPEG2000Lossless, encode=_jpeg2000_encoder(None)),
    "jpeg2000-lossy": Syntax(uid=uids.JPEG2000, encode=_jpeg2000_encoder(60), method="ISO_15444_1"),
    "htj2k": Syntax(uid=uids.HTJ2KLossless, encode=_htj2k_encoder(None)),
    "htj2k-lossy": Syntax(uid=uids.HTJ2K, encode=_htj2k_encoder(0.0001), method="ISO_15444_15"),
}


def dicom_bytes(
    picture: Picture, *, seed: int, serial: str, syntax: str = "explicit", form: str = "plain", layout: str = "plain"
) -> bytes:
    """The picture as a DICOM file; `serial` must differ between the instances of a phantom."""
    draft = draft_film(picture, seed=seed, serial=serial, form=form)
    encode_pixels(draft, syntax)
    return serialise(draft.dataset, syntax, layout=layout, preamble=identity(seed, picture.patient.number)["preamble"])


def encode_pixels(draft: Draft, syntax: str) -> None:
    """Encodes the frames into the dataset."""
    coding, dataset = SYNTAXES[syntax], draft.dataset
    if coding.encode is None:
        swap = syntax == "big-endian"
        data = b"".join((frame.byteswap() if swap else frame).tobytes() for frame in draft.frames)
        dataset.PixelData = data + b"\0" * (len(data) % 2)
    else:
        encapsulate_frames(draft, [coding.encode(np.ascontiguousarray(frame), draft.depth) for frame in draft.frames])
    dataset["PixelData"].VR = "OB" if coding.encode or draft.frames[0].itemsize == 1 else "OW"
    if coding.method is not None:
        raw = sum(frame.nbytes for frame in draft.frames)
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{raw / len(dataset.PixelData):.1f}"
        dataset.LossyImageCompressionMethod = coding.method


def encapsulate_frames(draft: Draft, streams: list[bytes]) -> None:
    """Puts encoded frames into the dataset as encapsulated pixel data."""
    draft.dataset.PixelData = encapsulate(streams)
    draft.dataset["PixelData"].VR = "OB"
    draft.dataset["PixelData"].is_undefined_length = True


def serialise(
    dataset: Dataset, syntax: str, *, layout: str = "plain", preamble: str = "", about: Dataset | None = None
) -> bytes:
    """The dataset as a file; `about` supplies SOP class and instance if the dataset itself has none."""
    assert layout in LAYOUTS, layout
    body = _dataset_bytes(dataset, syntax, layout)
    if layout == "bare":
        assert syntax == "implicit", syntax
        return body
    meta = file_meta_bytes(dataset if about is None else about, SYNTAXES[syntax].uid)
    if layout == "no-preamble":
        return meta + body
    # A preamble can also be the start of a TIFF file, or contain a name that nobody looks for there.
    first = {"tiff-preamble": b"II*\0\x08\0\0\0", "planted-preamble": preamble.encode()}.get(layout, b"")
    return first.ljust(128, b"\0") + b"DICM" + meta + body


def file_meta_bytes(dataset: Dataset, syntax: uids.UID) -> bytes:
    """The file meta elements as bytes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = uids.UID("2.25.302043790172249692526321623266752743501")
    meta.ImplementationVersionName = "RAJOBS PHANTOM"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()


def element_header(tag: tuple[int, int], vr: str) -> bytes:
    """The first six bytes of an element in explicit little endian, to find it in a file."""
    return tag[0].to_bytes(2, "little") + tag[1].to_bytes(2, "little") + vr.encode()


def _dataset_bytes(dataset: Dataset, syntax: str, layout: str) -> bytes:
    if layout == "open-sequences":
        _mark_undefined_lengths(dataset)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=syntax == "implicit", little_endian=syntax != "big-endian")
    body = buffer.getvalue()
    if layout == "odd-vr":
        assert syntax == "explicit", syntax
        body = body.replace(element_header((0x0028, 0x0010), "US"), element_header((0x0028, 0x0010), "SS"), 1)
    if layout == "deep-sequence":
        assert syntax == "explicit", syntax
        body += _deep_sequence()
    if layout == "trailing":
        assert syntax == "explicit", syntax
        body += element_header((0xFFFC, 0xFFFC), "OB") + b"\0\0" + (64).to_bytes(4, "little") + bytes(64)
    if syntax == "deflated":
        compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = compressor.compress(body) + compressor.flush()
        body += b"\0" * (len(body) % 2)
    return body


def _mark_undefined_lengths(dataset: Dataset) -> None:
    """Marks all sequences and their items as of undefined length."""
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for entry in element.value:
                entry.is_undefined_length_sequence_item = True
                _mark_undefined_lengths(entry)


def _deep_sequence() -> bytes:
    """A private element of thousands of nested sequences with explicit lengths."""
    headers: list[bytes] = []
    length = 0
    sequence, entry = element_header((0x7FE1, 0x1001), "SQ") + b"\0\0", b"\xfe\xff\x00\xe0"
    for _ in range(_DEEP):
        headers.append(entry + length.to_bytes(4, "little"))
        length += 8
        headers.append(sequence + length.to_bytes(4, "little"))
        length += 12
    creator = b"CLINIC PRIVATE"
    creator_element = element_header((0x7FE1, 0x0010), "LO") + len(creator).to_bytes(2, "little") + creator
    return creator_element + b"".join(reversed(headers))
