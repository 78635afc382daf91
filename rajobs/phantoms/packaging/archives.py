"""Packs files into zip and tar archives and folders, with at most one archive in memory."""

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
"""Kinds of archive in turn, each from the outermost level inwards. Few are compressed, because that is slow."""

ARCHIVE_BYTES = 64 << 20
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEVEL = 1  # of compression; films hardly shrink, so the fastest level is enough

Members = Iterable[tuple[str, bytes]]
"""Names and contents of an archive's members, in order."""


@dataclass(frozen=True, kw_only=True)
class ArchiveFile:
    """A file to be packed: its folder and name in the archive, and the fate that ingest must give it."""

    folder: str
    name: str
    data: bytes
    fate: Fate


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A finished archive and the fates of its members, by path in it ("" for the archive itself)."""

    suffix: str
    data: bytes
    fates: tuple[tuple[str, Fate], ...]


def pack_zip(members: Members, who: Identity, *, deflate: bool = False) -> bytes:
    """A zip archive with a planted comment."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = who["archive"].encode()
        for name, data in members:
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data, compress_type=method, compresslevel=_LEVEL)
    return buffer.getvalue()


def pack_tar(members: Members, who: Identity) -> bytes:
    """A tar archive with a planted owner."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname = len(data), 0o644, who["operator"]
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pack_tar_gz(members: Members, who: Identity) -> bytes:
    """A compressed tar archive with a planted file name in its header."""
    buffer = io.BytesIO()
    with gzip.GzipFile(f"{who['archive']}.tar", "wb", _LEVEL, buffer, mtime=0) as compressed:
        compressed.write(pack_tar(members, who))
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
    """Collects files one at a time and writes an archive whenever it is full.

    `put` writes an object under a key; `most` is the largest number of files in an archive.
    """

    def __init__(self, put: Callable[[str, bytes], None], *, seed: int, most: int) -> None:
        self._put, self._seed, self._most = put, seed, most
        self._who: Identity = identity(seed, None)
        self._levels: list[list[tuple[str, bytes]]] = []  # members of the open archive, by level of nesting
        self._bytes = self._opened = self._last_number = 0
        self.number = 0  # of the open archive, or of the last one if none is open
        self.archives = 0  # archives written so far

    def add(self, file: ArchiveFile, *, patient: int | None, in_archive: bool = False) -> str:
        """Adds a file to the open archive and returns its path; with `in_archive`, never to a plain folder."""
        if in_archive and self._levels and self._kind == "folder":
            self.close()
        if not self._levels:
            self._open(patient, in_archive=in_archive)
        level = sum(map(len, self._levels)) % len(self._levels)
        name = f"{file.folder}/{file.name}" if file.folder else file.name
        path = self._prefix(level) + name
        if self._kind == "folder":
            self._put(path, file.data)
            self._levels[level].append((name, b""))
        else:
            self._levels[level].append((name, file.data))
            self._bytes += len(file.data)
        # The first archives are small, so that small phantoms contain several kinds of archive too.
        limit = min(self._most, 2 + 2 * self._opened)
        if self._bytes >= ARCHIVE_BYTES or sum(map(len, self._levels)) >= limit:
            self.close()
        return path

    def add_archive(self, archive: Archive, *, patient: int | None) -> list[tuple[str, Fate]]:
        """Writes a finished archive under the next number and returns the paths in it with their fates."""
        self._last_number += 1
        who = identity(self._seed, patient)
        key = f"{self._last_number:05d}_{who['archive'].title()}{archive.suffix}"
        self._put(key, archive.data)
        self.archives += 1
        return [(f"{key}!/{path}" if path else key, fate) for path, fate in archive.fates]

    def close(self) -> None:
        """Writes the open archive, if there is one."""
        if not self._levels:
            return
        if self._kind != "folder":
            self._put(self._key, self._pack_levels())
            self.archives += 1
        self._levels, self._bytes = [], 0

    @property
    def _formats(self) -> tuple[str, ...]:
        return CONTAINERS[(self._opened - 1) % len(CONTAINERS)]

    @property
    def _kind(self) -> str:
        return self._formats[0]

    @property
    def _key(self) -> str:
        suffix = "" if self._kind == "folder" else _PACKERS[self._kind][0]
        return f"{self.number:05d}_{self._who['archive'].title()}{suffix}"

    def _open(self, patient: int | None, *, in_archive: bool) -> None:
        self._last_number += 1
        self.number = self._last_number
        self._opened += 1
        while in_archive and self._kind == "folder":
            self._opened += 1
        self._who = identity(self._seed, patient)
        self._levels = [[] for _ in self._formats]

    def _inner_name(self, level: int) -> str:
        return f"{self._who['folder'].title()}_{level}{_PACKERS[self._formats[level]][0]}"

    def _prefix(self, level: int) -> str:
        if self._kind == "folder":
            return f"{self._key}/"
        return "".join(f"{name}!/" for name in [self._key, *map(self._inner_name, range(1, level + 1))])

    def _pack_levels(self) -> bytes:
        """The open archive's bytes, packed from the innermost level outwards."""
        data = b""
        for level in reversed(range(len(self._levels))):
            members = self._levels[level]
            if data:
                members.append((self._inner_name(level + 1), data))
            data = _PACKERS[self._formats[level]][1](members, self._who) if members else b""
        return data


def make_put_if_absent(store: Store) -> Callable[[str, bytes], None]:
    """A function that writes objects, except those that an interrupted run has written already."""

    def put(key: str, data: bytes) -> None:
        if store.stat(key) is None:
            store.put(key, data)

    return put
