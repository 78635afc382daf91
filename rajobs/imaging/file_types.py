"""What an object is, by its content: names lie."""

import re

PICTURES = ("png", "jpeg", "tiff", "bmp")
LOOPS = ("avi", "mp4")
OTHER = "other"  # a picture or loop of a coding that is not read
DAMAGED = "damaged"  # what was a DICOM file or a picture, with its first bytes changed, moved or cut
ARCHIVES = ("zip", "tar", "gzip", "bzip2", "xz")

_PICTURE_HEADS = (
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
_ARCHIVE_HEADS = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)
# The file meta elements begin with their length; further signs stand behind a format's first bytes.
META = b"\x02\x00\x00\x00UL\x04\x00"
_SIGNS = ((12, b"IHDR"), (6, b"JFIF\0"), (6, b"Exif\0\0"), (8, b"AVI LIST"), (0, b"RIFF"), (4, b"ftyp"))
_EMPTY = 64  # zeros that no other usual file begins with
# Groups that a data set without a preamble may begin with: file meta, command set or identification.
_BARE = re.compile(rb"\x02\x00\x00\x00UL\x04\x00|\x08\x00[\x00-\xff]\x00|\x00\x08\x00[\x00-\xff]", re.DOTALL)


def kind_of(data: bytes) -> str | None:
    """dicom, one of PICTURES or LOOPS, "other", "damaged", or None for what is no image."""
    if data[128:132] == b"DICM" or data[132:140] == META:
        return "dicom"
    for head, kind in _PICTURE_HEADS:
        if data.startswith(head):
            return kind
    return _boxed(data) or ("dicom" if _is_bare(data) else DAMAGED if _is_damaged(data) else None)


def _is_damaged(data: bytes) -> bool:
    head = data[:1024]
    if head and not any(head[:_EMPTY]):
        return True  # an empty preamble, and not what should stand behind it
    moved = META in head or b"DICM\x02\x00" in head
    return moved or any(head[at : at + len(sign)] == sign for at, sign in _SIGNS)


def _boxed(data: bytes) -> str | None:
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


def _is_bare(data: bytes) -> bool:
    """A DICOM data set without preamble: its first element must be one, with a length that fits."""
    if len(data) < 16 or not _BARE.match(data):
        return False
    vr = data[4:6]
    if vr.isalpha() and vr.isupper():
        return True
    length = int.from_bytes(data[4:8], "little")
    # Implicit: (0008,0000), (0008,0005), (0008,0008) and so on, short values all of them.
    return data[:2] == b"\x08\x00" and length <= 256 and length % 2 == 0


def archive_of(head: bytes) -> str | None:
    """One of ARCHIVES by the first 512 bytes, or None."""
    for magic, kind in _ARCHIVE_HEADS:
        if head.startswith(magic):
            return kind
    return "tar" if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    if len(head) < 512 or head[128:132] == b"DICM":
        return False
    if head[257:262] == b"ustar":
        return True
    try:
        stated = int(head[148:156].rstrip(b" \0") or b"-", 8)
    except ValueError:
        return False
    return stated > 0 and stated == sum(head[:148]) + 8 * 32 + sum(head[156:512])
