"""Files laid out into archives and folders, one after the other, never more than one archive in memory."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rajobs.phantoms.packaging.canaries import Identity, identity
from rajobs.phantoms.packaging.csv_tables import Fate
from rajobs.records.store import Store

CONTAINERS: tuple[tuple[str, ...], ...] = (
    ("zip",),
    ("folder",),
    ("tar",),
    ("tar.gz",),
    ("zip", "zip"),
    ("zip-deflated",),
    ("tar", "zip"),
    ("zip", "zip", "zip"),
    ("zip", "tgz"),
    ("tar", "tar"),
    ("zip",),
    ("tar",),
    ("folder",),
    ("zip", "tar"),
    ("zip",),
    ("tar",),
    ("zip", "zip"),
)
"""Kinds of archive, from the outermost inwards; members go to each level in turn. Packing is slow: few do it."""

ARCHIVE_BYTES = 64 << 20
_DAY_ONE = (1980, 1, 1, 0, 0, 0)
_LEVEL = 1  # films hardly shrink: the quickest level will do

Members = Iterable[tuple[str, bytes]]
"""Names and contents, in order."""


@dataclass(frozen=True, kw_only=True)
class ArchiveFile:
    """A file before it is laid into an archive: the folder and name it gets there, and the fate it must end in."""

    folder: str
    name: str
    data: bytes
    fate: Fate


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A whole archive with the fates of what is in it, by path below it ("" for the archive itself)."""

    ending: str
    data: bytes
    fates: tuple[tuple[str, Fate], ...]


def pack_zip(members: Members, who: Identity, *, deflate: bool = False) -> bytes:
    """A zip archive, with a planted comment."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = who["archive"].encode()
        for name, data in members:
            info = zipfile.ZipInfo(name, _DAY_ONE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data, compress_type=method, compresslevel=_LEVEL)
    return buffer.getvalue()


def pack_tar(members: Members, who: Identity) -> bytes:
    """A tar archive, with a planted owner."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname = len(data), 0o644, who["operator"]
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pack_tar_gz(members: Members, who: Identity) -> bytes:
    """A compressed tar archive, with a planted file name in its header."""
    buffer = io.BytesIO()
    with gzip.GzipFile(f"{who['archive']}.tar", "wb", _LEVEL, buffer, mtime=0) as packed:
        packed.write(pack_tar(members, who))
    return buffer.getvalue()


def _pack_zip_deflated(members: Members, who: Identity) -> bytes:
    return pack_zip(members, who, deflate=True)


_PACKERS: dict[str, tuple[str, Callable[[Members, Identity], bytes]]] = {
    "zip": (".zip", pack_zip),
    "zip-deflated": (".zip", _pack_zip_deflated),
    "tar": (".tar", pack_tar),
    "tar.gz": (".tar.gz", pack_tar_gz),
    "tgz": (".tgz", pack_tar_gz),
}


class ArchivePacker:
    """Takes files one at a time and puts an archive whenever one is full."""

    def __init__(self, put: Callable[[str, bytes], None], *, seed: int, most: int) -> None:
        self._put, self._seed, self._most = put, seed, most
        self._who: Identity = identity(seed, None)
        self._levels: list[list[tuple[str, bytes]]] = []
        self._bytes = self._opened = self._last = 0
        self.number = 0  # of the archive that is being filled, or was filled last
        self.archives = 0

    def add(self, member: ArchiveFile, *, patient: int | None, packed: bool = False) -> str:
        """Lays the file into the archive of the moment and gives its path below the source; `packed`: in no folder."""
        if packed and self._levels and self._kind == "folder":
            self.close()
        if not self._levels:
            self._open(patient, packed=packed)
        level = sum(map(len, self._levels)) % len(self._levels)
        name = f"{member.folder}/{member.name}" if member.folder else member.name
        path = self._prefix(level) + name
        if self._kind == "folder":
            self._put(path, member.data)
            self._levels[level].append((name, b""))
        else:
            self._levels[level].append((name, member.data))
            self._bytes += len(member.data)
        # The first ones are small, so that little phantoms have several kinds of archive too.
        full = min(self._most, 2 + 2 * self._opened)
        if self._bytes >= ARCHIVE_BYTES or sum(map(len, self._levels)) >= full:
            self.close()
        return path

    def add_archive(self, archive: Archive, *, patient: int | None) -> list[tuple[str, Fate]]:
        """Puts a ready archive under the next number and gives the paths in it with their fates."""
        self._last += 1
        who = identity(self._seed, patient)
        key = f"{self._last:05d}_{who['archive'].title()}{archive.ending}"
        self._put(key, archive.data)
        self.archives += 1
        return [(f"{key}!/{below}" if below else key, fate) for below, fate in archive.fates]

    def close(self) -> None:
        """Puts the archive that is being filled."""
        if not self._levels:
            return
        if self._kind != "folder":
            self._put(self._key, self._packed())
            self.archives += 1
        self._levels, self._bytes = [], 0

    @property
    def _chain(self) -> tuple[str, ...]:
        return CONTAINERS[(self._opened - 1) % len(CONTAINERS)]

    @property
    def _kind(self) -> str:
        return self._chain[0]

    @property
    def _key(self) -> str:
        ending = "" if self._kind == "folder" else _PACKERS[self._kind][0]
        return f"{self.number:05d}_{self._who['archive'].title()}{ending}"

    def _open(self, patient: int | None, *, packed: bool) -> None:
        self._last += 1
        self.number = self._last
        self._opened += 1
        while packed and self._kind == "folder":
            self._opened += 1
        self._who = identity(self._seed, patient)
        self._levels = [[] for _ in self._chain]

    def _inner(self, level: int) -> str:
        return f"{self._who['folder'].title()}_{level}{_PACKERS[self._chain[level]][0]}"

    def _prefix(self, level: int) -> str:
        if self._kind == "folder":
            return f"{self._key}/"
        return "".join(f"{name}!/" for name in [self._key, *map(self._inner, range(1, level + 1))])

    def _packed(self) -> bytes:
        data = b""
        for level in reversed(range(len(self._levels))):
            members = self._levels[level]
            if data:
                members.append((self._inner(level + 1), data))
            data = _PACKERS[self._chain[level]][1](members, self._who) if members else b""
        return data


def make_put_if_absent(store: Store) -> Callable[[str, bytes], None]:
    """Puts objects, but those that an interrupted run has put already."""

    def put(key: str, data: bytes) -> None:
        if store.stat(key) is None:
            store.put(key, data)

    return put
