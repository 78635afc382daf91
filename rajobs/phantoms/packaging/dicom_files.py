"""A picture as the bytes of a DICOM file, in a transfer syntax and a layout of the file.

Both vary as they do in archives, and every one that is offered here must be read.
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
    "no-preamble",  # begins with the file's meta elements
    "bare",  # neither preamble nor meta elements: implicit little endian
    "tiff-preamble",
    "planted-preamble",
    "odd-vr",  # a wrong type of value that does no harm
    "open-sequences",  # of undefined length
    "deep-sequence",  # thousands of levels in a private element
    "trailing",  # padding behind the pixels
)
_DEEP = 3000


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """A transfer syntax and how a frame is coded in it (None: samples as they are)."""

    uid: uids.UID
    encode: Callable[[Array, int], bytes] | None = None
    method: str | None = None  # of a lossy coding, as the header names it


def _rle(frame: Array, depth: int) -> bytes:
    from rle.utils import encode_pixel_data

    samples = 1 if frame.ndim == 2 else frame.shape[2]
    shape = {"rows": frame.shape[0], "columns": frame.shape[1], "samples_per_pixel": samples}
    return encode_pixel_data(frame.tobytes(), bits_allocated=8 * frame.itemsize, byteorder="<", **shape)


def _jpeg(frame: Array, depth: int) -> bytes:
    import imagecodecs

    if frame.ndim == 3:
        return bytes(imagecodecs.jpeg8_encode(frame, level=92, outcolorspace="YCBCR", subsampling="422"))
    return bytes(imagecodecs.jpeg8_encode(frame, level=95, bitspersample=depth))


def _jpeg_lossless(frame: Array, depth: int) -> bytes:
    import imagecodecs

    colours = None if frame.ndim == 2 else "RGB"  # as they are
    data = imagecodecs.jpeg8_encode(
        frame, lossless=True, predictor=1, bitspersample=depth, colorspace=colours, outcolorspace=colours
    )
    return bytes(data)


def _jpeg_lossless_six(frame: Array, depth: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.ljpeg_encode(frame, bitspersample=depth))  # predictor 6


def _jpeg_ls(error: int) -> Callable[[Array, int], bytes]:
    def encode(frame: Array, depth: int) -> bytes:
        import jpeg_ls

        return bytes(jpeg_ls.encode_buffer(frame.tobytes(), *frame.shape[:2], 1, depth, error))

    return encode


def _jpeg2000(level: int | None) -> Callable[[Array, int], bytes]:
    def encode(frame: Array, depth: int) -> bytes:
        import imagecodecs

        lossless = level is None
        data = imagecodecs.jpeg2k_encode(
            frame, level=level, codecformat="j2k", reversible=lossless, bitspersample=depth
        )
        return bytes(data)

    return encode


def _htj2k(level: float | None) -> Callable[[Array, int], bytes]:
    def encode(frame: Array, depth: int) -> bytes:
        import imagecodecs

        return bytes(imagecodecs.htj2k_encode(frame, level=level, reversible=level is None))

    return encode


SYNTAXES = {
    "implicit": Syntax(uid=uids.ImplicitVRLittleEndian),
    "explicit": Syntax(uid=uids.ExplicitVRLittleEndian),
    "big-endian": Syntax(uid=uids.ExplicitVRBigEndian),
    "deflated": Syntax(uid=uids.DeflatedExplicitVRLittleEndian),
    "rle": Syntax(uid=uids.RLELossless, encode=_rle),
    "jpeg-baseline": Syntax(uid=uids.JPEGBaseline8Bit, encode=_jpeg, method="ISO_10918_1"),
    "jpeg-extended": Syntax(uid=uids.JPEGExtended12Bit, encode=_jpeg, method="ISO_10918_1"),
    "jpeg-lossless": Syntax(uid=uids.JPEGLosslessSV1, encode=_jpeg_lossless),
    "jpeg-lossless-any": Syntax(uid=uids.JPEGLossless, encode=_jpeg_lossless_six),
    "jpeg-ls": Syntax(uid=uids.JPEGLSLossless, encode=_jpeg_ls(0)),
    "jpeg-ls-near": Syntax(uid=uids.JPEGLSNearLossless, encode=_jpeg_ls(2), method="ISO_14495_1"),
    "jpeg2000": Syntax(uid=uids.JPEG2000Lossless, encode=_jpeg2000(None)),
    "jpeg2000-lossy": Syntax(uid=uids.JPEG2000, encode=_jpeg2000(60), method="ISO_15444_1"),
    "htj2k": Syntax(uid=uids.HTJ2KLossless, encode=_htj2k(None)),
    "htj2k-lossy": Syntax(uid=uids.HTJ2K, encode=_htj2k(0.0001), method="ISO_15444_15"),
}


def dicom_bytes(
    picture: Picture, *, seed: int, serial: str, syntax: str = "explicit", form: str = "plain", layout: str = "plain"
) -> bytes:
    """The picture as one DICOM file; `serial` tells the instances of a phantom apart."""
    draft = draft_film(picture, seed=seed, serial=serial, form=form)
    encode_pixels(draft, syntax)
    return serialise(draft.dataset, syntax, layout=layout, preamble=identity(seed, picture.patient.number)["preamble"])


def encode_pixels(draft: Draft, syntax: str) -> None:
    """Codes the frames into the dataset."""
    coding, dataset = SYNTAXES[syntax], draft.dataset
    if coding.encode is None:
        swap = syntax == "big-endian"
        data = b"".join((frame.byteswap() if swap else frame).tobytes() for frame in draft.frames)
        dataset.PixelData = data + b"\0" * (len(data) % 2)
    else:
        coded = [coding.encode(np.ascontiguousarray(frame), draft.depth) for frame in draft.frames]
        encapsulate_frames(draft, coded)
    dataset["PixelData"].VR = "OB" if coding.encode or draft.frames[0].itemsize == 1 else "OW"
    if coding.method is not None:
        raw = sum(frame.nbytes for frame in draft.frames)
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{raw / len(dataset.PixelData):.1f}"
        dataset.LossyImageCompressionMethod = coding.method


def encapsulate_frames(draft: Draft, streams: list[bytes]) -> None:
    """Already coded frames, encapsulated, into the dataset."""
    draft.dataset.PixelData = encapsulate(streams)
    draft.dataset["PixelData"].VR = "OB"
    draft.dataset["PixelData"].is_undefined_length = True


def serialise(
    dataset: Dataset, syntax: str, *, layout: str = "plain", preamble: str = "", about: Dataset | None = None
) -> bytes:
    """The dataset as a file of a layout; `about` names class and instance where the dataset itself does not."""
    assert layout in LAYOUTS, layout
    body = _body(dataset, syntax, layout)
    if layout == "bare":
        assert syntax == "implicit", syntax
        return body
    meta = file_meta_bytes(dataset if about is None else about, SYNTAXES[syntax].uid)
    if layout == "no-preamble":
        return meta + body
    # A film that is also the head of a TIFF, and a name where nobody looks.
    first = {"tiff-preamble": b"II*\0\x08\0\0\0", "planted-preamble": preamble.encode()}.get(layout, b"")
    return first.ljust(128, b"\0") + b"DICM" + meta + body


def file_meta_bytes(dataset: Dataset, syntax: uids.UID) -> bytes:
    """The file meta elements."""
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
    """The first six bytes of an element in explicit little endian: what to look for when a file is altered."""
    return tag[0].to_bytes(2, "little") + tag[1].to_bytes(2, "little") + vr.encode()


def _body(dataset: Dataset, syntax: str, layout: str) -> bytes:
    if layout == "open-sequences":
        _open_sequences(dataset)
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
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = packer.compress(body) + packer.flush()
        body += b"\0" * (len(body) % 2)
    return body


def _open_sequences(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for entry in element.value:
                entry.is_undefined_length_sequence_item = True
                _open_sequences(entry)


def _deep_sequence() -> bytes:
    """A private element of thousands of sequences one within the other, each of a stated length."""
    heads: list[bytes] = []
    length = 0
    sequence, entry = element_header((0x7FE1, 0x1001), "SQ") + b"\0\0", b"\xfe\xff\x00\xe0"
    for _ in range(_DEEP):
        heads.append(entry + length.to_bytes(4, "little"))
        length += 8
        heads.append(sequence + length.to_bytes(4, "little"))
        length += 12
    creator = b"CLINIC PRIVATE"
    owner = element_header((0x7FE1, 0x0010), "LO") + len(creator).to_bytes(2, "little") + creator
    return owner + b"".join(reversed(heads))
