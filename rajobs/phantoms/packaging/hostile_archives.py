"""Damaged and hostile archives: what was read before the break stays an image, the rest is one reject."""

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
_ENCRYPTED, _STORED, _DEFLATED = 1, 0, 8


def hostile_kinds() -> tuple[str, ...]:
    """The names of the kinds of damaged and hostile archives."""
    return tuple(_KINDS)


def make_hostile(kind: str, *, seed: int, serial: str) -> Archive:
    """An archive of a kind, with the fates of what is in it."""
    return _KINDS[kind](_Source(kind, seed, serial))


class _Source:
    """Test exposures of a detector, to fill the archives with, and their fates."""

    def __init__(self, kind: str, seed: int, serial: str) -> None:
        self.kind, self.seed, self.serial = kind, seed, serial
        self.who: Identity = identity(seed, None)

    def film(self, number: int) -> bytes:
        """A flat exposure that does not shrink when packed."""
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

    def good(self, number: int) -> Fate:
        instance = make_uid(self.seed, "instance", f"{self.serial}-{number}")
        return Fate(name="images", kind="test-exposure", frames=1, sop_uid=instance)

    def bad(self, reason: str) -> Fate:
        return Fate(name="rejects", reason=reason, kind=f"hostile:{self.kind}")


def _films(source: _Source, count: int) -> list[tuple[str, bytes]]:
    return [(f"QA{number}", source.film(number)) for number in range(count)]


def _bomb(source: _Source) -> Archive:
    """A member of 256 KB that becomes 256 MiB, beside an honest one."""
    bomb, film = deflated_zeros(_BOMB_BLOCKS), source.film(0)
    entries = [
        ("QA0", _STORED, 0, zlib.crc32(film), film, len(film)),
        ("IM0001", _DEFLATED, 0, checksum_of_zeros(_BOMB_BLOCKS), bomb, _BOMB_BLOCKS << 23),
    ]
    fates = (("QA0", source.good(0)), ("IM0001", source.bad("too-large")))
    return Archive(ending=".zip", data=_raw_zip(entries), fates=fates)


def _nest(source: _Source) -> Archive:
    """Zips in zips: the third is read still, the fourth no more."""
    fourth = pack_zip([("QA1", source.film(1))], source.who)
    third = pack_zip([("QA0", source.film(0)), ("four.zip", fourth)], source.who)
    outer = pack_zip([("two.zip", pack_zip([("three.zip", third)], source.who))], source.who)
    below = "two.zip!/three.zip!/"
    fates = ((f"{below}QA0", source.good(0)), (f"{below}four.zip", source.bad("too-deep")))
    return Archive(ending=".zip", data=outer, fates=fates)


def _paths(source: _Source, names: tuple[str, ...]) -> tuple[list[tuple[str, bytes]], tuple[tuple[str, Fate], ...]]:
    members = [(name, source.film(number)) for number, name in enumerate(names)]
    fates = [(names[0], source.good(0)), *((name, source.bad("unsafe-path")) for name in names[1:])]
    return members, tuple(fates)


def _unsafe_zip(source: _Source) -> Archive:
    word = source.who["folder"]
    members, fates = _paths(source, ("QA0", f"../../{word}", f"/etc/{word}", f"C:\\{word}", f"a/../../{word}.dcm"))
    return Archive(ending=".zip", data=pack_zip(members, source.who), fates=fates)


def _unsafe_tar(source: _Source) -> Archive:
    word = source.who["folder"]
    members, fates = _paths(source, ("QA0", f"../{word}", f"/etc/{word}"))
    return Archive(ending=".tar", data=pack_tar(members, source.who), fates=fates)


def _encrypted(source: _Source) -> Archive:
    """One member of a zip asks for a password."""
    film = source.film(0)
    secret = np.random.default_rng(source.seed).bytes(4096)
    entries = [
        ("QA0", _STORED, 0, zlib.crc32(film), film, len(film)),
        ("IM0001", _STORED, _ENCRYPTED, zlib.crc32(b"?"), secret, len(secret) - 12),
    ]
    fates = (("QA0", source.good(0)), ("IM0001", source.bad("encrypted")))
    return Archive(ending=".zip", data=_raw_zip(entries), fates=fates)


def _flipped_zip(source: _Source) -> Archive:
    """A bit of a member is not as its checksum says."""
    data = bytearray(pack_zip(_films(source, 2), source.who))
    data[len(data) * 3 // 4] ^= 0x04  # among the second film's samples
    return Archive(ending=".zip", data=bytes(data), fates=(("QA0", source.good(0)), ("QA1", source.bad("corrupt"))))


def _cut_zip(source: _Source) -> Archive:
    """The directory at the end is gone: nothing can be opened."""
    data = pack_zip(_films(source, 2), source.who)
    return Archive(ending=".zip", data=data[: len(data) * 3 // 4], fates=(("", source.bad("truncated")),))


def _garbled_zip(source: _Source) -> Archive:
    """The directory is there, but is none."""
    data = pack_zip(_films(source, 2), source.who)
    return Archive(ending=".zip", data=data.replace(b"PK\x01\x02", b"PK\x11\x22"), fates=(("", source.bad("corrupt")),))


def _broken(source: _Source, ending: str, data: bytes, reason: str) -> Archive:
    """Two films can be read before the archive breaks in the third."""
    fates = (("QA0", source.good(0)), ("QA1", source.good(1)), ("", source.bad(reason)))
    return Archive(ending=ending, data=data, fates=fates)


def _cut_tar(source: _Source) -> Archive:
    data = pack_tar(_films(source, 3), source.who)
    return _broken(source, ".tar", data[: len(data) * 5 // 6], "truncated")


def _garbled_tar(source: _Source) -> Archive:
    """The third member's head does not fit its checksum: a reader that stops there in silence has lost a film."""
    data = pack_tar(_films(source, 3), source.who)
    return _broken(source, ".tar", data.replace(b"QA2\0", b"QA\xff\0", 1), "corrupt")


def _cut_tar_gz(source: _Source) -> Archive:
    data = pack_tar_gz(_films(source, 3), source.who)
    return _broken(source, ".tar.gz", data[: len(data) * 5 // 6], "truncated")


def _raw_zip(entries: list[tuple[str, int, int, int, bytes, int]]) -> bytes:
    """A zip archive of (name, method, flags, checksum, packed bytes, true length): what no honest writer makes."""
    data, directory = b"", b""
    for name, method, flags, checksum, packed, length in entries:
        stamp = 0, (1 << 5) | 1  # the first day of 1980
        fields = struct.pack("<5H3I2H", 20, flags, method, *stamp, checksum, len(packed), length, len(name), 0)
        directory += b"PK\x01\x02\x14\x03" + fields + struct.pack("<3H2I", 0, 0, 0, 0o644 << 16, len(data))
        directory += name.encode()
        data += b"PK\x03\x04" + fields + name.encode() + packed
    end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), len(data), 0)
    return data + directory + b"PK\x05\x06" + end


_KINDS: dict[str, Callable[[_Source], Archive]] = {
    "bomb": _bomb,
    "nest": _nest,
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
