"""How much one input object may ask for, so that a hostile file costs a reject and not a machine."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on archives, headers and pixels. Sizes are bytes, times CPU seconds."""

    depth: int = 3  # a zip within a zip within a zip is still read
    member_bytes: int = GIB
    ratio: int = 1000  # uncompressed to compressed, checked beyond `ratio_from`
    ratio_from: int = MIB
    held_bytes: int = 256 * MIB  # a deflated container or data set that must be held to be read
    members: int = 10_000_000  # of one archive
    header_reads: int = 300_000  # of a DICOM header: some 0.3 s
    header_value: int = 4 * MIB  # a sequence or table that is opened
    pixels: int = 200_000_000  # a frame
    frames: int = 2000
    decoded_bytes: int = 2 * GIB  # all frames of an object
    decode_seconds: float = 5.0  # a frame, and more for a large one:
    decode_seconds_per_megapixel: float = 2.0
    child_bytes: int = 2 * GIB  # address space a decoder may take beyond what it starts with


DEFAULT = Limits()
