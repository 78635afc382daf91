"""An archive, as a file that can seek, cut into runs of members, and the members of such a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from rajobs.imaging.archives import tar_archive, zip_archive
from rajobs.imaging.archives.archive_members import (
    ArchiveMember,
    BrokenArchive,
    faults_as_rejects,
    read_archive,
    read_tar_member,
    read_zip_member,
)
from rajobs.imaging.archives.tar_archive import SeekableTar, padded_size
from rajobs.imaging.archives.tar_extensions import BLOCK
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject


@dataclass(frozen=True, kw_only=True)
class SplitArchive:
    """The runs of an archive's members; kind `stream`: it must be judged as a whole."""

    kind: str  # zip | tar | stream
    runs: tuple[tuple[int, ...], ...]  # see Shard.members
    has_gaps: bool = False  # some of its bytes belong to no member


@dataclass(frozen=True, kw_only=True)
class _MemberRange:
    """A member's index, the range of bytes by which it is located, and the bytes that it counts for."""

    index: int
    start: int
    stop: int
    weight: int


def split_archive(file: BinaryIO, kind: str, max_bytes: int, max_members: int, limits: Limits) -> SplitArchive:
    """The runs of a zip or tar, each bounded in bytes and in number of members."""
    if kind == "tar":
        return SplitArchive(kind=kind, runs=tuple(_group_into_runs(_tar_ranges(file, limits), max_bytes, max_members)))
    try:
        with faults_as_rejects():
            directory = zip_archive.find_directory(file)
            audit = zip_archive.DirectoryAudit(file, directory)
            ranges = (
                _MemberRange(index=m.index, start=m.entry_start, stop=m.entry_stop, weight=max(m.compressed, m.size))
                for m in zip_archive.iterate_all_members(file, directory, limits, audit)
            )
            runs = tuple((*run, directory.shift) for run in _group_into_runs(ranges, max_bytes, max_members))
            return SplitArchive(kind=kind, runs=runs, has_gaps=audit.has_gaps())
    except Reject:
        return SplitArchive(kind="stream", runs=((),))


def _tar_ranges(file: BinaryIO, limits: Limits) -> Iterator[_MemberRange]:
    """The members of a tar; if it breaks off, one range more, so that reading the last run comes to the break."""
    tar = SeekableTar(file, 0)
    index = stop = 0
    try:
        with faults_as_rejects():
            for member in tar_archive.iterate_members(tar, limits):
                stop = member.data_start + padded_size(member.size)
                yield _MemberRange(index=index, start=member.header_start, stop=stop, weight=member.size)
                index += 1
    except Reject:
        yield _MemberRange(index=index, start=stop, stop=tar.file_size + BLOCK, weight=0)


def _group_into_runs(ranges: Iterator[_MemberRange], max_bytes: int, max_members: int) -> Iterator[tuple[int, ...]]:
    """Runs of consecutive members, bounded in bytes and in number: first and last index, first and last byte."""
    run: list[int] = []
    run_bytes = 0
    for member in ranges:
        if run and (run_bytes + member.weight > max_bytes or member.index - run[0] >= max_members):
            yield tuple(run)
            run, run_bytes = [], 0
        first, start = (run[0], run[2]) if run else (member.index, member.start)
        run = [first, member.index + 1, start, member.stop]
        run_bytes += member.weight
    if run:
        yield tuple(run)


def read_piece(file: BinaryIO, key: str, kind: str, members: list[Any], limits: Limits) -> Iterator[ArchiveMember]:
    """The files of an archive's shard, one after the other; those that cannot be read come with their reject."""
    if kind == "stream":
        yield from read_archive(key, file, 1, limits, file)
        return
    try:
        with faults_as_rejects():
            if kind == "zip":
                first, _, start, stop, shift = members
                for zip_member in zip_archive.iterate_members(file, start, stop, first, limits):
                    yield from read_zip_member(key, file, zip_member, shift, 1, limits)
            else:
                _, _, start, stop = members
                tar = SeekableTar(file, start)
                for tar_member in tar_archive.iterate_members(tar, limits, stop=stop):
                    yield from read_tar_member(key, tar, tar_member, 1, limits)
    except (Reject, BrokenArchive) as error:
        reject = error.reject if isinstance(error, BrokenArchive) else error
        yield ArchiveMember(path=key, reject=reject, size=_size(file))


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)
