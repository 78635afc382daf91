"""Damaged and hostile files, each with the one fate that ingest must give it."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from pydicom.uid import UID, CTImageStorage

from rajobs.phantoms.packaging.archives import ArchiveFile
from rajobs.phantoms.packaging.canaries import identity
from rajobs.phantoms.packaging.csv_tables import Fate
from rajobs.phantoms.packaging.dicom_files import (
    SYNTAXES,
    element_header,
    encapsulate_frames,
    encode_pixels,
    file_meta_bytes,
    serialise,
)
from rajobs.phantoms.packaging.dicom_headers import make_uid
from rajobs.phantoms.packaging.picture_files import PICTURE_SUFFIXES, picture_bytes
from rajobs.phantoms.packaging.sample_encodings import Draft, draft_film
from rajobs.phantoms.picture import Picture

_UNKNOWN_SYNTAX = UID("1.2.826.0.1.3680043.10.9999.1")
_BLOCK = 8 << 20  # bytes of zeros in one block of a decompression bomb


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The picture from which a damaged file is made, under an instance UID of its own."""

    picture: Picture
    seed: int
    serial: str

    def draft(self) -> Draft:
        return draft_film(self.picture, seed=self.seed, serial=self.serial)

    def encoded(self, syntax: str) -> Draft:
        draft = self.draft()
        encode_pixels(draft, syntax)
        return draft

    def file(self, syntax: str) -> bytes:
        return serialise(self.encoded(syntax).dataset, syntax)

    def stream(self, syntax: str) -> tuple[Draft, bytearray]:
        draft, encode = self.draft(), SYNTAXES[syntax].encode
        assert encode is not None, syntax
        return draft, bytearray(encode(draft.frames[0], draft.depth))

    def picture_file(self, kind: str) -> bytearray:
        return bytearray(picture_bytes(self.picture, kind, identity(self.seed, self.picture.patient.number)))


@dataclass(frozen=True, kw_only=True)
class _Damage:
    reason: str
    make: Callable[[_Source], bytes]
    picture_kind: str = ""  # of a picture file; empty for DICOM
    labelled: bool = False  # whether labels.csv names the picture file


def damage_kinds() -> tuple[str, ...]:
    """The names of all kinds of damaged and hostile files."""
    return tuple(_DAMAGES)


def make_damaged(kind: str, picture: Picture, *, seed: int, serial: str) -> tuple[ArchiveFile, bool]:
    """A damaged file of the picture at half its size, and whether labels should name it."""
    damage = _DAMAGES[kind]
    small = replace(picture, frames=tuple(np.ascontiguousarray(frame[::2, ::2]) for frame in picture.frames[:1]))
    source = _Source(picture=small, seed=seed, serial=serial)
    instance = "" if damage.picture_kind else make_uid(seed, "instance", serial)
    fate = Fate(name="rejects", reason=damage.reason, kind=f"damage:{kind}", sop_uid=instance)
    folder = identity(seed, picture.patient.number)["folder"].title()
    name = f"{serial}{PICTURE_SUFFIXES[damage.picture_kind] if damage.picture_kind else ''}"
    return ArchiveFile(folder=folder, name=name, data=damage.make(source), fate=fate), damage.labelled


def truncate(data: bytes) -> bytes:
    """The first three fifths of a file."""
    return data[: len(data) * 3 // 5]


def deflated_zeros(blocks: int) -> bytes:
    """A raw deflate stream of `blocks` times 8 MiB of zeros, with about 8 KB for each block."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush a block does not depend on those before it, so the same compressed bytes can be repeated.
    return (compressor.compress(bytes(_BLOCK)) + compressor.flush(zlib.Z_FULL_FLUSH)) * blocks + b"\x03\x00"


def checksum_of_zeros(blocks: int) -> int:
    """The CRC-32 of `blocks` times 8 MiB of zeros."""
    checksum, zeros = 0, bytes(_BLOCK)
    for _ in range(blocks):
        checksum = zlib.crc32(zeros, checksum)
    return checksum


def _cut_pixels(source: _Source) -> bytes:
    return truncate(source.file("explicit"))


def _cut_header(source: _Source) -> bytes:
    data = source.file("explicit")
    return data[: data.index(element_header((0x0010, 0x4000), "LT")) + 8 + 5]


def _cut_fragment(source: _Source) -> bytes:
    return truncate(source.file("jpeg-lossless"))


def _cut_stream(source: _Source) -> bytes:
    """All lengths in the file are right, but the JPEG stream ends half way, without an end marker."""
    draft, stream = source.stream("jpeg-lossless")
    encapsulate_frames(draft, [bytes(stream[: len(stream) // 4 * 2])])
    return serialise(draft.dataset, "jpeg-lossless")


def _cut_deflated(source: _Source) -> bytes:
    return truncate(source.file("deflated"))


def _long_element(source: _Source) -> bytes:
    data = bytearray(source.file("explicit"))
    position = data.index(element_header((0x0009, 0x1002), "UN")) + 8
    data[position : position + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    return bytes(data)


def _text_for_number(source: _Source) -> bytes:
    data = source.file("explicit")
    position = data.index(element_header((0x0028, 0x0010), "US"))
    return data[:position] + element_header((0x0028, 0x0010), "LO") + b"\x04\x00many" + data[position + 10 :]


def _wrong_rows(source: _Source) -> bytes:
    draft = source.encoded("jpeg-lossless")
    draft.dataset.Rows += 17
    return serialise(draft.dataset, "jpeg-lossless")


def _flipped_rle(source: _Source) -> bytes:
    draft, stream = source.stream("rle")
    stream[11] ^= 0x80  # the second segment now begins far behind the end
    encapsulate_frames(draft, [bytes(stream)])
    return serialise(draft.dataset, "rle")


def _flipped_table(source: _Source) -> bytes:
    draft, stream = source.stream("jpeg-lossless")
    stream[stream.index(b"\xff\xc4") + 5] ^= 0x80  # now 128 codes of one bit
    encapsulate_frames(draft, [bytes(stream)])
    return serialise(draft.dataset, "jpeg-lossless")


def _flipped_png(source: _Source) -> bytes:
    data = source.picture_file("png")
    data[len(data) // 2] ^= 0x10
    return bytes(data)


def _cut_png(source: _Source) -> bytes:
    return truncate(bytes(source.picture_file("png")))


def _unknown_tiff_compression(source: _Source) -> bytes:
    """A TIFF whose header gives JBIG as compression."""
    data = source.picture_file("tiff")
    position = data.index((259).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little"))
    data[position + 8 : position + 10] = (34661).to_bytes(2, "little")
    return bytes(data)


def _scanned_letter(source: _Source) -> bytes:
    page = replace(source.picture, frames=(np.full((297, 210), 250, np.uint8),), bits=8)
    who = identity(source.seed, source.picture.patient.number)
    return picture_bytes(page, "jpeg", who)


def _unknown_syntax(source: _Source) -> bytes:
    dataset = source.encoded("explicit").dataset
    whole = serialise(dataset, "explicit")
    body = whole[132 + len(file_meta_bytes(dataset, SYNTAXES["explicit"].uid)) :]
    return bytes(128) + b"DICM" + file_meta_bytes(dataset, _UNKNOWN_SYNTAX) + body


def _unknown_colour_space(source: _Source) -> bytes:
    dataset = source.encoded("explicit").dataset
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, 0, "HSV"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    size = dataset.Rows * dataset.Columns * 3
    dataset.PixelData = bytes(size + size % 2)
    return serialise(dataset, "explicit")


def _wide_samples(source: _Source) -> bytes:
    dataset = source.encoded("explicit").dataset
    dataset.BitsAllocated = dataset.BitsStored = 32
    dataset.HighBit = 31
    dataset.PixelData = dataset.PixelData * 2
    return serialise(dataset, "explicit")


def _no_pixels(source: _Source) -> bytes:
    return serialise(source.draft().dataset, "explicit")


def _burned_in(source: _Source) -> bytes:
    dataset = source.encoded("explicit").dataset
    dataset.BurnedInAnnotation = "YES"
    return serialise(dataset, "explicit")


def _tomogram(source: _Source) -> bytes:
    dataset = source.encoded("explicit").dataset
    dataset.Modality, dataset.SOPClassUID = "CT", CTImageStorage
    return serialise(dataset, "explicit")


def _jpeg2000_bomb(source: _Source) -> bytes:
    """A stream of some hundred bytes that claims to hold 8000 by 7650 samples of 16 bits, 122 MB."""
    import imagecodecs

    draft = source.draft()
    tile = np.zeros((64, 64), np.uint16)
    stream = bytearray(imagecodecs.jpeg2k_encode(tile, codecformat="j2k", reversible=True))
    rows, columns = 8000, 7650
    for position, size in ((8, columns), (12, rows), (24, columns), (28, rows)):  # of the image and of its tile
        stream[position : position + 4] = size.to_bytes(4, "big")
    dataset = draft.dataset
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    encapsulate_frames(draft, [bytes(stream)])
    return serialise(dataset, "jpeg2000")


def _deflated_bomb(source: _Source) -> bytes:
    """A deflated file of about 800 KB that expands to 800 MiB."""
    dataset, side = source.draft().dataset, 20480
    blocks = 2 * side * side // _BLOCK
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    meta = file_meta_bytes(dataset, SYNTAXES["deflated"].uid)
    header = serialise(dataset, "explicit")[132 + len(file_meta_bytes(dataset, SYNTAXES["explicit"].uid)) :]
    header += element_header((0x7FE0, 0x0010), "OW") + b"\0\0" + (blocks * _BLOCK).to_bytes(4, "little")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = compressor.compress(header) + compressor.flush(zlib.Z_FULL_FLUSH)
    body = start + deflated_zeros(blocks)
    return bytes(128) + b"DICM" + meta + body + b"\0" * (len(body) % 2)


def _huge_frame(source: _Source) -> bytes:
    dataset = source.encoded("explicit").dataset
    dataset.Rows = dataset.Columns = 65535
    return serialise(dataset, "explicit")


def _many_frames(source: _Source) -> bytes:
    dataset = source.encoded("rle").dataset
    dataset.NumberOfFrames = 2_000_000
    return serialise(dataset, "rle")


_DAMAGES: dict[str, _Damage] = {
    "cut-pixels": _Damage(reason="truncated", make=_cut_pixels),
    "cut-header": _Damage(reason="truncated", make=_cut_header),
    "cut-fragment": _Damage(reason="truncated", make=_cut_fragment),
    "cut-stream": _Damage(reason="truncated", make=_cut_stream),
    "cut-deflated": _Damage(reason="truncated", make=_cut_deflated),
    "cut-png": _Damage(reason="truncated", make=_cut_png, picture_kind="png", labelled=True),
    "long-element": _Damage(reason="truncated", make=_long_element),
    "text-for-number": _Damage(reason="corrupt", make=_text_for_number),
    "lying-rows": _Damage(reason="corrupt", make=_wrong_rows),
    "flipped-rle": _Damage(reason="corrupt", make=_flipped_rle),
    "flipped-table": _Damage(reason="corrupt", make=_flipped_table),
    "flipped-png": _Damage(reason="corrupt", make=_flipped_png, picture_kind="png", labelled=True),
    "foreign-syntax": _Damage(reason="unsupported-syntax", make=_unknown_syntax),
    "foreign-colour": _Damage(reason="unsupported-syntax", make=_unknown_colour_space),
    "foreign-tiff": _Damage(
        reason="unsupported-picture", make=_unknown_tiff_compression, picture_kind="tiff", labelled=True
    ),
    "wide-samples": _Damage(reason="not-grey-or-colour", make=_wide_samples),
    "no-pixels": _Damage(reason="no-pixels", make=_no_pixels),
    "burned-in": _Damage(reason="burned-in-annotation", make=_burned_in),
    "tomogram": _Damage(reason="not-a-joint-modality", make=_tomogram),
    "letter": _Damage(reason="no-modality", make=_scanned_letter, picture_kind="jpeg"),
    "jpeg2000-bomb": _Damage(reason="too-large", make=_jpeg2000_bomb),
    "deflated-bomb": _Damage(reason="too-large", make=_deflated_bomb),
    "huge-frame": _Damage(reason="too-large", make=_huge_frame),
    "many-frames": _Damage(reason="too-large", make=_many_frames),
}
