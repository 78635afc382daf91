"""Reads the files of a source: archives through a child process, which has neither the store nor the key."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from rajobs.imaging import file_types
from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.archives.shards import ARCHIVE_ITSELF, Shard, archive_shard, files_shard
from rajobs.imaging.child_process.child import ChildUser
from rajobs.imaging.child_process.exchange import (
    ChildDied,
    ExchangeBytes,
    empty_if_large,
    write_exchange,
)
from rajobs.imaging.image import Ignored
from rajobs.imaging.limits import DEFAULT_LIMITS, MIB, Limits
from rajobs.records.errors import Reject, Unreadable
from rajobs.records.store import Entry, Store
from rajobs.records.store.local import NOT_READ, UNREADABLE
from rajobs.records.store.seekable import open_object

_SPLIT_BUFFER = 64 << 10  # reading a header also reads the small members behind it
_READ_BUFFER = MIB
_TOGETHER = 64  # small members that come at once; one by one once a child has died


class ArchiveReader(ChildUser):
    """Splits sources into shards and reads these, archives in a child process."""

    def __init__(self, members: int | None = None) -> None:
        """`members` is an exchange file for members, which then lie there until the next ones are asked for."""
        super().__init__("rajobs.imaging.child_process.archive_main", members)

    def split(
        self, store: Store, entries: Iterable[Entry], *, max_bytes: int = 64 * MIB, max_members: int = 512,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Iterator[Shard]:  # fmt: skip
        """The shards of a source's entries: every archive split, adjacent loose files grouped."""
        loose: list[Entry] = []
        loose_bytes = 0
        for entry in entries:
            kind = _archive_kind(store, entry)
            if kind is not None:
                yield from self._split_archive(store, entry, kind, max_bytes, max_members, limits)
                continue
            if loose and (loose_bytes + entry.size > max_bytes or len(loose) >= max_members):
                yield files_shard(store, loose)
                loose, loose_bytes = [], 0
            loose.append(entry)
            loose_bytes += entry.size
        if loose:
            yield files_shard(store, loose)

    def _split_archive(
        self, store: Store, entry: Entry, kind: str, max_bytes: int, max_members: int, limits: Limits
    ) -> list[Shard]:
        """The shards of an archive. One that cannot be opened is read as a stream, which then reports the reason."""
        if kind not in ("zip", "tar"):
            return [archive_shard(store, entry, "stream", ())]
        request = {"job": "split", "kind": kind, "max_bytes": max_bytes, "max_members": max_members}
        try:
            (answer,) = self._ask(store, entry, request, _SPLIT_BUFFER, limits)
        except (ChildDied, Unreadable):
            self.close()
            return [archive_shard(store, entry, "stream", ())]
        split = answer["split"]
        shards = [archive_shard(store, entry, split["kind"], tuple(run)) for run in split["runs"]]
        return shards + [archive_shard(store, entry, ARCHIVE_ITSELF, ()) for _ in range(split["has_gaps"])]

    def members(self, store: Store, shard: Shard, limits: Limits = DEFAULT_LIMITS) -> Iterator[ArchiveMember]:
        """The files of a shard, one after the other; those that cannot be read come with their reject."""
        if shard.kind == "files":
            for entry in shard.members:
                yield _read_loose_file(store, entry, limits)
        elif shard.kind == ARCHIVE_ITSELF:
            reject = Reject("corrupt", "archive", "bytes that belong to no member")
            yield ArchiveMember(path=shard.key, reject=reject, size=shard.size)
        else:
            yield from self._read_archive(store, shard, limits)

    def _read_archive(self, store: Store, shard: Shard, limits: Limits) -> Iterator[ArchiveMember]:
        """The members of an archive's shard; if the child dies of one, the archive's reject comes last."""
        count, reject = 0, Reject("decoder-crashed", "archive")
        archive = Entry(key=shard.key, size=shard.size, etag=shard.etag)
        for together in (_TOGETHER, 1):
            request: dict[str, object] = {"job": "read", "kind": shard.kind, "key": shard.key}
            request |= {"members": shard.members, "skip": count, "together": together}
            try:
                for answer in self._ask(store, archive, request, _READ_BUFFER, limits):
                    for member in self._take_members(answer["members"]):
                        count += 1
                        yield member
                return
            except ChildDied as died:
                self.close()
                if died.over_time and together == 1:
                    break  # it would take as long again
            except Unreadable:
                self.close()
                reject = Reject("unreadable", "archive")
                break
        yield ArchiveMember(path=shard.key, reject=reject, size=shard.size)

    def _ask(
        self, store: Store, archive: Entry, request: dict[str, object], buffer: int, limits: Limits
    ) -> Iterator[dict[str, Any]]:
        """What the child answers, with the bytes that it asks for; a child that is not heard to the end is ended."""
        child, finished = self.start(), False
        try:
            with open_object(store, archive.key, buffer=buffer, etag=archive.etag) as file:
                child.send({**request, "size": archive.size, "buffer": buffer, "limits": dataclasses.asdict(limits)})
                while not finished:
                    answer = child.receive(_longest_step(limits))
                    if "start" in answer:
                        file.seek(answer["start"])
                        data = file.read(answer["length"])
                        write_exchange(child.to_child, data)
                        child.send({"size": len(data)})
                    elif "members" in answer:
                        yield answer
                        child.send({})
                    else:
                        finished = True
                        if "split" in answer:
                            yield answer
            empty_if_large(child.to_child)
            empty_if_large(child.shared)
        finally:
            if not finished:
                self.close()

    def _take_members(self, described: list[dict[str, Any]]) -> Iterator[ArchiveMember]:
        """Members as the child describes them, with their bytes from the exchange file."""
        start = 0
        for member in described:
            assert self._child is not None
            lying = ExchangeBytes(handle=self._child.shared, start=start, size=member["bytes"])
            start += len(lying)
            data = bytes(lying.view()) if self._shared is None else lying
            reject = Reject(*member["reject"]) if member["reject"] else None
            yield ArchiveMember(path=member["path"], data=data, reject=reject, size=member["size"])


def _archive_kind(store: Store, entry: Entry) -> str | None:
    if entry.etag in NOT_READ:
        return None
    try:
        head = store.read_range(entry.key, 0, min(file_types.HEAD_BYTES, entry.size), entry.etag)
    except Unreadable:
        return None  # its turn among the loose files comes
    return file_types.detect_archive_type(head)


def _read_loose_file(store: Store, entry: Entry, limits: Limits) -> ArchiveMember:
    if entry.etag in NOT_READ:
        fate = Reject("unreadable", "archive") if entry.etag == UNREADABLE else Ignored(entry.etag)
        return ArchiveMember(path=entry.key, reject=fate, size=entry.size)
    if entry.size > limits.member_bytes:
        reject = Reject("too-large", "archive", "a file above the limit")
        return ArchiveMember(path=entry.key, reject=reject, size=entry.size)
    try:
        return ArchiveMember(path=entry.key, data=store.get(entry.key, entry.etag), size=entry.size)
    except Unreadable:
        return ArchiveMember(path=entry.key, reject=Reject("unreadable", "archive"), size=entry.size)


def _longest_step(limits: Limits) -> float:
    """CPU seconds that the child may take from one message to the next."""
    return limits.archive_seconds + limits.archive_seconds_per_mib * limits.held_bytes / MIB
