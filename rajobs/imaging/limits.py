"""Limits on what one input file may ask for, so that a hostile file costs a reject and not a machine."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on archives, headers and pixels. Sizes are in bytes, times in CPU seconds.

    Ingest stores a hash of the limits in use, field names included: renaming a field makes it read shards again.
    """

    depth: int = 3  # of nested archives: a zip within a zip within a zip is still read
    member_bytes: int = GIB
    ratio: int = 1000  # of uncompressed to compressed size, checked above `ratio_from` bytes
    ratio_from: int = MIB
    held_bytes: int = 256 * MIB  # of a nested zip or deflated data set that is read into memory
    members: int = 10_000_000  # of one archive
    archive_seconds: float = 6.0  # from one member to the next, plus:
    archive_seconds_per_mib: float = 0.5  # of the archive that is read for it
    header_seconds: float = 5.0  # for all of a file but its pixels, plus:
    header_seconds_per_mib: float = 0.02  # of the file
    header_reads: int = 300_000  # elements of a DICOM header: about 0.3 s
    sequence_items: int = 5000  # of a header's sequence that is parsed, those nested in it included
    header_value: int = 4 * MIB  # bytes of a header's sequence or table that is parsed
    header_text: int = 64 * 1024  # bytes of any other value
    pixels: int = 200_000_000  # of a frame
    frames: int = 2000
    decoded_bytes: int = 2 * GIB  # of all frames of a file
    decode_seconds: float = 5.0  # for a frame, plus:
    decode_seconds_per_megapixel: float = 2.0
    child_bytes: int = 2 * GIB  # address space that a decoder may take beyond what it starts with


DEFAULT_LIMITS = Limits()
