"""Members of an archive on a far store, of which one that seems broken is read once more before it is believed.

The checksum of a whole object says nothing of a range of it. So it is the archive's own checksums which tell that a
range did not arrive as it was stored.
"""

from collections.abc import Callable, Iterator

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.records.errors import Reject

DOUBTED = ("corrupt", "truncated")
"""Reasons of a reject that bytes which were changed on their way can have, too."""

ReadMembers = Callable[[], Iterator[ArchiveMember]]
"""Begins to read the members of a shard; two readings may be under way at once."""


def read_doubted_again(read: ReadMembers) -> Iterator[ArchiveMember]:
    """The members of a shard; from a doubted one on that reads well the second time, those of the second reading.

    However many are doubted, a shard is read once more, unless that reading shows that bytes were changed.
    """
    members, second, ahead = read(), None, 0
    number = 0
    while (member := next(members, None)) is not None:
        if _is_doubted(member):
            if second is None:
                second, ahead = read(), 0
            other = None
            while ahead <= number:
                other = next(second, None)
                ahead += 1
            if other is not None and not _is_same(member, other):
                member, members, second = other, second, None
        yield member
        number += 1


def _is_doubted(member: ArchiveMember) -> bool:
    reject = member.reject
    return isinstance(reject, Reject) and reject.stage == "archive" and reject.reason in DOUBTED


def _is_same(one: ArchiveMember, other: ArchiveMember) -> bool:
    """Whether two readings end a file alike."""
    rejects = [(member.path, member.reject and member.reject.args) for member in (one, other)]
    return rejects[0] == rejects[1]
