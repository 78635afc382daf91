"""Files that ask for more time or memory than they should, and odd ones that a careful reader reads."""

import gzip
import io
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image as Pillow

from tests.imaging.attacks.attack import CORRUPT, IMAGE, SLOW, TOO_LARGE, TRUNCATED, Attack, one_file
from tests.imaging.dicom_files import DEFLATED, EXPLICIT, dicom, film

MIB = 1 << 20
RLE, JPEG, LOSSLESS, J2K = (f"1.2.840.10008.1.2.{end}" for end in ("5", "4.50", "4.70", "4.90"))
SMALL = np.zeros((16, 16), np.uint16)
PIXELS = b"\xe0\x7f\x10\x00"


def rle_bomb() -> bytes:
    """16 x 16 samples in two segments, each of 20 MB of runs: 2.6 GB once they are written out."""
    runs = b"\x81\x05" * (10 * MIB)
    frame = struct.pack("<16I", 2, 64, 64 + len(runs), *[0] * 13) + runs + runs
    return dicom(SMALL, syntax=RLE, frames=[frame])


def jpeg(rows: int = 64, columns: int = 48, **options: object) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(film(rows, columns, bits=8)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def jpeg_with(junk: bytes) -> bytes:
    data = jpeg()
    return data[:2] + junk + data[2:]


def jpeg_of_scans() -> bytes:
    """A progressive JPEG that repeats its last scan, which refines every coefficient of a large picture."""
    data = jpeg(1000, 1000, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 600 + data[-2:]


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(chunks: bytes) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(film(bits=8)).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:33] + chunks + data[33:]


def sequence(tag: bytes, items: bytes, *, undefined: bool = False) -> bytes:
    length = b"\xff" * 4 if undefined else len(items).to_bytes(4, "little")
    return tag + b"SQ\0\0" + length + items + (b"\xfe\xff\xdd\xe0\0\0\0\0" if undefined else b"")


REGIONS = b"\x18\x00\x11\x60"
EMPTY_ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"


def many_items(*, undefined: bool) -> bytes:
    plain = dicom(film(), bits=12, Modality="US")
    at = plain.index(b"\x20\x00\x0d\x00UI")
    return plain[:at] + sequence(REGIONS, EMPTY_ITEM * 500_000, undefined=undefined) + plain[at:]


def many_values() -> bytes:
    values = b"1\\" * (2 * MIB - 1) + b"1 "
    plain = dicom(film(), bits=12)
    at = plain.index(b"\x28\x00\x00\x01US")  # bits allocated
    return plain[:at] + b"\x28\x00\x30\x00UN\0\0" + len(values).to_bytes(4, "little") + values + plain[at:]


def many_elements() -> bytes:
    plain, element = dicom(film(), bits=12), b"\x09\x00\x00\x10UN\0\0\0\0\0\0"
    at = plain.index(b"\x10\x00\x20\x00LO")
    return plain[:at] + element * 400_000 + plain[at:]


def deflated_in_stored_blocks() -> bytes:
    """A deflated data set that does not shrink: reading it piece by piece must not copy its rest each time."""
    meta = dicom(SMALL, syntax=DEFLATED)
    start = 132 + 12 + struct.unpack_from("<I", meta, 140)[0]
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = b"\x08\x00\x05\x00CS\0\0" + b"\x09\x00\x00\x10OB\0\0" + (200 * MIB).to_bytes(4, "little") + bytes(200 * MIB)
    return meta[:start] + packer.compress(body) + packer.flush()


def boxes() -> bytes:
    return b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\x08free" * (4 * MIB)


def j2k_of_many_tiles() -> bytes:
    stream = bytearray(imagecodecs.jpeg2k_encode(np.zeros((64, 64), np.uint16), level=0, codecformat="j2k"))
    for at, size in ((8, 8000), (12, 8000), (24, 32), (28, 32)):
        stream[at : at + 4] = size.to_bytes(4, "big")
    comments = (b"\xff\x64\x00\x64" + bytes(98)) * 1300  # so that the ratio is plausible
    frame = bytes(stream[:51]) + comments + bytes(stream[51:])
    return dicom(SMALL, syntax=J2K, frames=[frame], Rows=8000, Columns=8000)


def preamble(start: bytes, number: int = 1) -> bytes:
    data = dicom(film(seed=number), bits=12)
    return start.ljust(128, b"\x01")[:128] + data[128:]


def longer_pixels(padding: bytes) -> bytes:
    data = dicom(film(), bits=12)
    at = data.index(PIXELS) + 8
    length = int.from_bytes(data[at : at + 4], "little") + len(padding)
    return data[:at] + length.to_bytes(4, "little") + data[at + 4 :] + padding


def coded(ending: bytes = b"") -> bytes:
    stream = bytes(imagecodecs.jpeg8_encode(film(), lossless=True, predictor=1, bitspersample=12)) + ending
    return dicom(film(), syntax=LOSSLESS, bits=12, frames=[stream])


def two_fragments_without_the_second() -> bytes:
    """Two frames, of which the file ends after the first one's fragment."""
    stream = bytes(imagecodecs.jpeg8_encode(film(), lossless=True, predictor=1, bitspersample=12))
    data = dicom(np.stack([film(), film()]), syntax=LOSSLESS, bits=12, frames=[stream, stream], NumberOfFrames=2)
    return data[: data.rindex(b"\xfe\xff\x00\xe0")]


ATTACKS: tuple[Attack, ...] = (
    one_file("rle-bomb.dcm", rle_bomb, CORRUPT, mebibytes=250),
    one_file("rle-bomb.dcm.gz", lambda: gzip.compress(rle_bomb(), 1), {"rle-bomb.dcm.gz!/rle-bomb.dcm": CORRUPT}),
    one_file("fill.jpg", lambda: jpeg_with(b"\xff" * (64 * MIB)), TOO_LARGE),
    one_file("segments.jpg", lambda: jpeg_with(b"\xff\xe1\0\2" * (8 * MIB)), TOO_LARGE),
    one_file("scans.jpg", jpeg_of_scans, TOO_LARGE),
    one_file("fill.dcm", lambda: dicom(film(bits=8), syntax=JPEG, frames=[jpeg_with(b"\xff" * (64 * MIB))]), TOO_LARGE,
             long=True),
    one_file("segments.dcm", lambda: dicom(film(bits=8), syntax=JPEG, frames=[jpeg_with(b"\xff\xe1\0\2" * (8 * MIB))]),
             TOO_LARGE, long=True),
    one_file("chunks.png", lambda: png_with(chunk(b"teXt") * 4_000_000), TOO_LARGE),
    one_file("some-chunks.png", lambda: png_with(chunk(b"teXt") * 9_000), IMAGE),
    one_file("boxes.mp4", boxes, TOO_LARGE, shows="ultrasound"),
    one_file("items.dcm", lambda: many_items(undefined=False), TOO_LARGE),
    one_file("undefined-items.dcm", lambda: many_items(undefined=True), TOO_LARGE),
    one_file("values.dcm", many_values, TOO_LARGE),
    one_file("elements.dcm", many_elements, TOO_LARGE),
    one_file("stored-blocks.dcm", deflated_in_stored_blocks, "reject:no-pixels", mebibytes=700, long=True),
    one_file("tiles.dcm", j2k_of_many_tiles, f"{SLOW}|{CORRUPT}|{TRUNCATED}", seconds=150.0, mebibytes=2200, long=True),
    *(
        one_file(f"preamble-{name}.dcm", lambda start=start: preamble(start), IMAGE)  # type: ignore[misc]
        for name, start in (
            ("pk", b"PK\x03\x04\x14\0"), ("end", b"PK\x05\x06"), ("gzip", b"\x1f\x8b\x08\0"), ("bzip2", b"BZh91AY&SY"),
            ("xz", b"\xfd7zXZ\0"), ("tiff", b"II*\0"), ("png", b"\x89PNG\r\n\x1a\n"),
        )
    ),
    one_file("two-bytes-more.dcm", lambda: longer_pixels(b"\xff\xff"), IMAGE),
    one_file("a-row-more.dcm", lambda: longer_pixels(b"\xff" * 96), CORRUPT),
    one_file("padded-stream.dcm", lambda: coded(b"\xff\xff"), IMAGE),
    one_file("no-delimiter.dcm", lambda: coded()[:-8], IMAGE),
    one_file("cut-delimiter.dcm", lambda: coded()[:-3], IMAGE),
    one_file("cut-fragment.dcm", lambda: coded()[:-40], TRUNCATED),
    one_file("one-frame-less.dcm", two_fragments_without_the_second, TRUNCATED),
    one_file("no-photometric.dcm", lambda: dicom(film(), bits=12, PhotometricInterpretation=None), IMAGE),
    one_file("tiny-slope.dcm", lambda: dicom(film(), bits=12, RescaleSlope="1E-300", WindowCenter="1",
                                             WindowWidth="9"), IMAGE),
    one_file("first-day.dcm", lambda: dicom(film(), bits=12, StudyDate="00010101", PatientBirthDate="00010101"), IMAGE),
    one_file("plain.dcm", lambda: dicom(film(), syntax=EXPLICIT, bits=12), IMAGE),
)  # fmt: skip
