"""Damaged and hostile archives: members before the damage stay images, and the rest becomes one reject."""

import struct
import zlib
from collections.abc import Callable
from datetime import date

import numpy as np

from rajobs.phantoms.packaging.archives import Archive, pack_tar, pack_tar_gz, pack_zip
from rajobs.phantoms.packaging.canaries import Identity, identity
from rajobs.phantoms.packaging.csv_tables import Fate
from rajobs.phantoms.packaging.damaged_files import checksum_of_zeros, deflated_zeros
from rajobs.phantoms.packaging.dicom_files import dicom_bytes
from rajobs.phantoms.packaging.dicom_headers import make_uid
from rajobs.phantoms.picture import Patient, Picture

_STAFF = Patient(number=-1, sex="O", birth=date(1970, 1, 1), ra=False)
_SHAPE = (640, 480)
_BOMB_BLOCKS = 32  # of 8 MiB
_ENCRYPTED_FLAG, _STORED, _DEFLATED = 1, 0, 8  # a flag and two compression methods of zip


def hostile_kinds() -> tuple[str, ...]:
    """The names of all kinds of damaged and hostile archives."""
    return tuple(_MAKERS)


def make_hostile(kind: str, *, seed: int, serial: str) -> Archive:
    """A damaged or hostile archive, with the fates of its members."""
    return _MAKERS[kind](_Source(kind, seed, serial))


class _Source:
    """Makes the members of an archive, test exposures of a detector, and their fates."""

    def __init__(self, kind: str, seed: int, serial: str) -> None:
        self.kind, self.seed, self.serial = kind, seed, serial
        self.who: Identity = identity(seed, None)

    def film(self, number: int) -> bytes:
        """An exposure of noise, which does not shrink when compressed."""
        rng = np.random.default_rng([self.seed, zlib.crc32(self.serial.encode()), number])
        frame = rng.integers(1000, 3000, _SHAPE, dtype=np.uint16)
        picture = Picture(
            frames=(frame,),
            modality="CR",
            body_part="test",
            bits=12,
            spacing_mm=0.2,
            patient=_STAFF,
            taken=date(2015, 1, 2),
            visit=0,
        )
        return dicom_bytes(picture, seed=self.seed, serial=f"{self.serial}-{number}")

    def image_fate(self, number: int) -> Fate:
        instance = make_uid(self.seed, "instance", f"{self.serial}-{number}")
        return Fate(name="images", kind="test-exposure", frames=1, sop_uid=instance)

    def reject_fate(self, reason: str) -> Fate:
        return Fate(name="rejects", reason=reason, kind=f"hostile:{self.kind}")


def _make_films(source: _Source, count: int) -> list[tuple[str, bytes]]:
    return [(f"QA{number}", source.film(number)) for number in range(count)]


def _bomb(source: _Source) -> Archive:
    """A member of 256 KB that expands to 256 MiB, after a sound one."""
    bomb, film = deflated_zeros(_BOMB_BLOCKS), source.film(0)
    entries = [
        ("QA0", _STORED, 0, zlib.crc32(film), film, len(film)),
        ("IM0001", _DEFLATED, 0, checksum_of_zeros(_BOMB_BLOCKS), bomb, _BOMB_BLOCKS << 23),
    ]
    fates = (("QA0", source.image_fate(0)), ("IM0001", source.reject_fate("too-large")))
    return Archive(suffix=".zip", data=_raw_zip(entries), fates=fates)


def _nested(source: _Source) -> Archive:
    """Nested zips: ingest reads the third level but not the fourth."""
    fourth = pack_zip([("QA1", source.film(1))], source.who)
    third = pack_zip([("QA0", source.film(0)), ("four.zip", fourth)], source.who)
    outer = pack_zip([("two.zip", pack_zip([("three.zip", third)], source.who))], source.who)
    third_path = "two.zip!/three.zip!/"
    fates = ((f"{third_path}QA0", source.image_fate(0)), (f"{third_path}four.zip", source.reject_fate("too-deep")))
    return Archive(suffix=".zip", data=outer, fates=fates)


def _make_members(
    source: _Source, names: tuple[str, ...]
) -> tuple[list[tuple[str, bytes]], tuple[tuple[str, Fate], ...]]:
    """Members under these names; all paths but the first are unsafe."""
    members = [(name, source.film(number)) for number, name in enumerate(names)]
    fates = [(names[0], source.image_fate(0)), *((name, source.reject_fate("unsafe-path")) for name in names[1:])]
    return members, tuple(fates)


def _unsafe_zip(source: _Source) -> Archive:
    word = source.who["folder"]
    members, fates = _make_members(
        source, ("QA0", f"../../{word}", f"/etc/{word}", f"C:\\{word}", f"a/../../{word}.dcm")
    )
    return Archive(suffix=".zip", data=pack_zip(members, source.who), fates=fates)


def _unsafe_tar(source: _Source) -> Archive:
    word = source.who["folder"]
    members, fates = _make_members(source, ("QA0", f"../{word}", f"/etc/{word}"))
    return Archive(suffix=".tar", data=pack_tar(members, source.who), fates=fates)


def _encrypted(source: _Source) -> Archive:
    """A zip with one encrypted member."""
    film = source.film(0)
    secret = np.random.default_rng(source.seed).bytes(4096)
    entries = [
        ("QA0", _STORED, 0, zlib.crc32(film), film, len(film)),
        ("IM0001", _STORED, _ENCRYPTED_FLAG, zlib.crc32(b"?"), secret, len(secret) - 12),
    ]
    fates = (("QA0", source.image_fate(0)), ("IM0001", source.reject_fate("encrypted")))
    return Archive(suffix=".zip", data=_raw_zip(entries), fates=fates)


def _flipped_zip(source: _Source) -> Archive:
    """A member with a flipped bit, which its checksum reveals."""
    data = bytearray(pack_zip(_make_films(source, 2), source.who))
    data[len(data) * 3 // 4] ^= 0x04  # in the samples of the second film
    return Archive(
        suffix=".zip", data=bytes(data), fates=(("QA0", source.image_fate(0)), ("QA1", source.reject_fate("corrupt")))
    )


def _cut_zip(source: _Source) -> Archive:
    """The directory at the end is missing, so that no member can be opened."""
    data = pack_zip(_make_films(source, 2), source.who)
    return Archive(suffix=".zip", data=data[: len(data) * 3 // 4], fates=(("", source.reject_fate("truncated")),))


def _garbled_zip(source: _Source) -> Archive:
    """The directory has wrong signatures."""
    data = pack_zip(_make_films(source, 2), source.who)
    return Archive(
        suffix=".zip", data=data.replace(b"PK\x01\x02", b"PK\x11\x22"), fates=(("", source.reject_fate("corrupt")),)
    )


def _broken_in_third(source: _Source, suffix: str, data: bytes, reason: str) -> Archive:
    """An archive of which two films can be read before the damage in the third."""
    fates = (("QA0", source.image_fate(0)), ("QA1", source.image_fate(1)), ("", source.reject_fate(reason)))
    return Archive(suffix=suffix, data=data, fates=fates)


def _cut_tar(source: _Source) -> Archive:
    data = pack_tar(_make_films(source, 3), source.who)
    return _broken_in_third(source, ".tar", data[: len(data) * 5 // 6], "truncated")


def _garbled_tar(source: _Source) -> Archive:
    """The header of the third member does not match its checksum; readers that stop there silently lose a film."""
    data = pack_tar(_make_films(source, 3), source.who)
    return _broken_in_third(source, ".tar", data.replace(b"QA2\0", b"QA\xff\0", 1), "corrupt")


def _cut_tar_gz(source: _Source) -> Archive:
    data = pack_tar_gz(_make_films(source, 3), source.who)
    return _broken_in_third(source, ".tar.gz", data[: len(data) * 5 // 6], "truncated")


def _raw_zip(entries: list[tuple[str, int, int, int, bytes, int]]) -> bytes:
    """A zip archive of (name, method, flags, checksum, compressed bytes, length), where the numbers may be wrong."""
    data, directory = b"", b""
    for name, method, flags, checksum, compressed, length in entries:
        stamp = 0, (1 << 5) | 1  # the first day of 1980
        fields = struct.pack("<5H3I2H", 20, flags, method, *stamp, checksum, len(compressed), length, len(name), 0)
        directory += b"PK\x01\x02\x14\x03" + fields + struct.pack("<3H2I", 0, 0, 0, 0o644 << 16, len(data))
        directory += name.encode()
        data += b"PK\x03\x04" + fields + name.encode() + compressed
    end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), len(data), 0)
    return data + directory + b"PK\x05\x06" + end


_MAKERS: dict[str, Callable[[_Source], Archive]] = {
    "bomb": _bomb,
    "nest": _nested,
    "unsafe-zip": _unsafe_zip,
    "unsafe-tar": _unsafe_tar,
    "encrypted": _encrypted,
    "flipped-zip": _flipped_zip,
    "cut-zip": _cut_zip,
    "garbled-zip": _garbled_zip,
    "cut-tar": _cut_tar,
    "garbled-tar": _garbled_tar,
    "cut-tar-gz": _cut_tar_gz,
}
