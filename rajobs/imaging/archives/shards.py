"""Archives and folders split into shards: bounded, deterministic pieces of work that do not list their members' names.

An archive is recognised by its content. Zips are split by their central directory and tars by their headers, both with
range reads; what cannot seek (tar.gz and the like) is one shard, read as a stream. Loose files are grouped into shards.
"""

import json
from dataclasses import dataclass
from typing import Any

from rajobs.records.identity import Key
from rajobs.records.store import Entry, Store

ARCHIVE_ITSELF = "archive"
"""The kind of a shard that has no members: it stands for bytes of an archive that belong to none."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A piece of a source: loose files, members of an archive, an archive read as a stream, or an archive itself.

    `members` depends on `kind`. files: the files' entries. zip: first and last index (exclusive), the same of the bytes
    of their entries in the central directory, and the number of bytes before the archive. tar: first and last index
    (exclusive), the same of their bytes. stream, archive: empty.
    """

    source: str
    key: str
    kind: str  # files | zip | tar | stream | archive
    members: tuple[Any, ...]
    size: int
    etag: str

    def name(self, key: Key) -> str:
        """A keyed hash of the content: the same archive in another source, or copied later, has the same shards."""
        members = [(e.key, e.size, e.etag) for e in self.members] if self.kind == "files" else self.members
        content = json.dumps([self.key, self.kind, members, self.size, self.etag])
        return key.pseudonym("shard", content)

    @property
    def origin(self) -> str:
        """The archive, and the index of the first member unless it is 0: an archive may hold one name twice."""
        if self.kind == ARCHIVE_ITSELF:
            return f"{self.etag}/{self.kind}"
        first = self.members[0] if self.kind in ("zip", "tar") else 0
        return f"{self.etag}/{first}" if first else self.etag

    @property
    def count(self) -> int:
        """Members, as far as is known: an archive that is read as a stream counts as one."""
        if self.kind == "files":
            return len(self.members)
        return int(self.members[1] - self.members[0]) if self.members else 1

    def to_json(self) -> str:
        members = [[e.key, e.size, e.etag] for e in self.members] if self.kind == "files" else self.members
        return json.dumps({**vars(self), "members": members})

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        content = json.loads(text)
        loose = content["kind"] == "files"
        members = [Entry(key=m[0], size=m[1], etag=m[2]) if loose else m for m in content["members"]]
        return cls(**{**content, "members": tuple(members)})


def files_shard(store: Store, entries: list[Entry]) -> Shard:
    """Loose files as one shard."""
    first, size = entries[0], sum(entry.size for entry in entries)
    return Shard(source=store.uri, key=first.key, kind="files", members=tuple(entries), size=size, etag=first.etag)


def archive_shard(store: Store, entry: Entry, kind: str, run: tuple[int, ...]) -> Shard:
    """A piece of an archive."""
    return Shard(source=store.uri, key=entry.key, kind=kind, members=run, size=entry.size, etag=entry.etag)
