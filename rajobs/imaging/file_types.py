"""File types by content: names and extensions are not trusted."""

import re

LOOPS = ("avi", "mp4")
OTHER = "other"  # a picture or loop in a coding that is not read
DAMAGED = "damaged"  # once a DICOM file or a picture, but its first bytes were changed, moved or cut off
HEAD_BYTES = 512  # the first bytes, by which an archive is recognised
FILE_HEAD_BYTES = 1024  # those by which a file is

_PICTURE_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", OTHER),
    (b"GIF89a", OTHER),
    (b"\x00\x00\x00\x0cjP  ", OTHER),
    (b"\xff\x4f\xff\x51", OTHER),
    (b"8BPS", OTHER),
    (b"\x1aE\xdf\xa3", OTHER),  # Matroska, WebM
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", OTHER),  # WMV
    (b"\x00\x00\x01\xba", OTHER),  # MPEG program stream
)
_ARCHIVE_SIGNATURES = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)
META_START = b"\x02\x00\x00\x00UL\x04\x00"
"""The element that a DICOM file's meta elements begin with: their length."""
# Parts of a format's head, each at its position, that remain when the first bytes are damaged.
_HEAD_PARTS = ((12, b"IHDR"), (6, b"JFIF\0"), (6, b"Exif\0\0"), (8, b"AVI LIST"), (0, b"RIFF"), (4, b"ftyp"))
_ZERO_BYTES = 64  # a damaged preamble: no other usual file begins with so many zeros
# A data set without a preamble begins with one of these groups: file meta, command set or identification.
_BARE_START = re.compile(rb"\x02\x00\x00\x00UL\x04\x00|\x08\x00[\x00-\xff]\x00|\x00\x08\x00[\x00-\xff]", re.DOTALL)


def detect_file_type(data: bytes) -> str | None:
    """dicom, png, jpeg, tiff, bmp, avi, mp4, OTHER, DAMAGED, or None for what is no image."""
    if data[128:132] == b"DICM" or data[132:140] == META_START:
        return "dicom"
    for signature, kind in _PICTURE_SIGNATURES:
        if data.startswith(signature):
            return kind
    return _container_kind(data) or ("dicom" if _is_bare_dicom(data) else DAMAGED if _is_damaged(data) else None)


def _is_damaged(data: bytes) -> bool:
    head = data[:FILE_HEAD_BYTES]
    if head and not any(head[:_ZERO_BYTES]):
        return True  # an empty preamble without the mark that should follow it
    moved = META_START in head or b"DICM\x02\x00" in head
    return moved or any(head[at : at + len(part)] == part for at, part in _HEAD_PARTS)


def _container_kind(data: bytes) -> str | None:
    """The kind of a RIFF file, of an ISO media file (MP4, HEIC, AVIF) or of a BMP."""
    if data[:4] == b"RIFF":
        return {b"AVI ": "avi", b"WEBP": OTHER}.get(data[8:12])
    if data[4:8] == b"ftyp":
        return OTHER if data[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"avis") else "mp4"
    if (
        data[:2] == b"BM"
        and len(data) > 26
        and data[6:10] == b"\0\0\0\0"
        and data[14] in (12, 40, 52, 56, 64, 108, 124)
    ):
        return "bmp"
    return None


def _is_bare_dicom(data: bytes) -> bool:
    """Whether this is a DICOM data set without a preamble: the first element must be plausible."""
    if len(data) < 16 or not _BARE_START.match(data):
        return False
    vr = data[4:6]
    if vr.isalpha() and vr.isupper():
        return True
    length = int.from_bytes(data[4:8], "little")
    # Implicit VR: the group begins with (0008,0000), (0008,0005) or (0008,0008), which are all short.
    return data[:2] == b"\x08\x00" and length <= 256 and length % 2 == 0


def detect_archive_type(head: bytes) -> str | None:
    """zip, tar, gzip, bzip2, xz or None, by the first HEAD_BYTES bytes; a DICOM file may begin with anything."""
    if head[128:132] == b"DICM":
        return None
    for signature, kind in _ARCHIVE_SIGNATURES:
        if head.startswith(signature):
            return kind
    return "tar" if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    if len(head) < HEAD_BYTES:
        return False
    if head[257:262] == b"ustar":
        return True
    # Tars of old have no signature, but a checksum.
    try:
        stated = int(head[148:156].rstrip(b" \0") or b"-", 8)
    except ValueError:
        return False
    return stated > 0 and stated == sum(head[:148]) + 8 * 32 + sum(head[156:512])
