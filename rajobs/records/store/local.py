"""A folder on this machine (or a mounted file system) as a store."""

import errno
import hashlib
import io
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from rajobs.records.errors import MediumFault, StoreError, Unreadable
from rajobs.records.store.base import Entry

Answer = TypeVar("Answer")

_ETAG_BYTES = 1 << 16  # so many bytes of a file's head and of its tail go into its etag
_COPY_BYTES = 1 << 20  # copied at a time
_UNFINISHED = ".part-"  # prefix of a file's name until it is whole
_RETRY_WAITS = (0.2, 1.0, 3.0)  # seconds before a disk or file system that failed is asked again
_MEDIUM_FAULTS = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ETIMEDOUT", "EREMOTEIO", "ENOTCONN", "ECONNRESET", "ECONNABORTED", "EHOSTDOWN"),
        *("EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOLINK", "ENODEV", "ENXIO", "EUCLEAN", "EMFILE", "ENFILE"),
    )
    if hasattr(errno, name)  # not every system has all of them
)
_OBJECT_FAULTS = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG))

UNREADABLE, NOT_A_FILE, OUTSIDE_LINK = "unreadable", "not-a-file", "outside-link"
NOT_READ = (UNREADABLE, NOT_A_FILE, OUTSIDE_LINK)
"""What stands as the tag of an entry of `list_source` that is not read, and says why."""


class LocalStore:
    """A folder. A file is written under another name beside its place and renamed when it is whole."""

    def __init__(self, root: str, *, private: bool = False) -> None:
        self.root = Path(root).expanduser().absolute()
        self.uri = str(self.root)
        self._mode = 0o600 if private else 0o666  # less the umask, as for any new file

    def put(self, key: str, data: bytes) -> None:
        self._write(key, io.BytesIO(data))

    def put_new(self, key: str, data: bytes) -> bool:
        """The name is taken first, which one writer alone can do, also on a network's file system."""
        path = self.root / key
        with _os_errors_as_store_errors("write to", self.uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode))
            except FileExistsError:
                return False
        self.put(key, data)
        return True

    def put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as source:
            self._write(key, source)

    def _write(self, key: str, source: BinaryIO) -> None:
        path = self.root / key
        with _os_errors_as_store_errors("write to", self.uri):
            handle, unfinished = _create_unfinished(path.parent, self._mode)
            try:
                with os.fdopen(handle, "wb") as file:
                    shutil.copyfileobj(source, file, _COPY_BYTES)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise

    def get(self, key: str, etag: str = "") -> bytes:
        return self._ask("read from", lambda: self._read(self.root / key, 0, -1))

    def read_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        return self._ask("read from", lambda: self._read(self.root / key, start, length))

    def _read(self, path: Path, start: int, length: int) -> bytes:
        with _open_file(path) as file:
            file.seek(start)
            return file.read(length)

    def stat(self, key: str) -> Entry | None:
        path = self.root / key
        return self._ask("look at", lambda: self._entry(path) if path.is_file() else None)

    def _ask(self, action: str, question: Callable[[], Answer]) -> Answer:
        """The answer of the file system, which is asked again where it fails itself."""
        for wait in (*_RETRY_WAITS, None):
            try:
                return question()
            except OSError as error:
                if wait is None or error.errno not in _MEDIUM_FAULTS:
                    raise _store_error(action, self.uri, error) from None
            time.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def age(self, key: str) -> float | None:
        """A file that is written now shows the clock of the file system's server, which is not this machine's."""
        path = self.root / key
        with _os_errors_as_store_errors("look at", self.uri):
            if not path.is_file():
                return None
            handle, now = _create_unfinished(path.parent, self._mode)
            try:
                os.write(handle, b"now")
                return os.fstat(handle).st_mtime - path.stat().st_mtime
            finally:
                os.close(handle)
                now.unlink()

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with _os_errors_as_store_errors("list", self.uri):
            yield from self._list_folder(prefix[: prefix.rfind("/") + 1], prefix, ())

    def _list_folder(self, folder: str, prefix: str, parents: tuple[str, ...]) -> Iterator[Entry]:
        """A folder's objects, sorted by whole keys as S3 does it: a folder's name sorts with its slash."""
        base = self.root / folder
        real_path = os.path.realpath(base)
        if real_path in parents or not base.is_dir():
            return  # a link that leads back up, or no folder
        with os.scandir(base) as children:
            names = sorted(f"{child.name}/" if child.is_dir() else child.name for child in children)
        for name in names:
            key = folder + name
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._list_folder(key, prefix, (*parents, real_path))
            elif key.startswith(prefix) and not name.startswith(_UNFINISHED) and (self.root / key).is_file():
                yield self._entry(self.root / key)

    def list_source(self, *, follow_links: bool = False) -> Iterator[Entry]:
        """Everything below the folder, as an input: what is not read is there, too, with one of NOT_READ as its tag.

        A link to a folder within the source is passed over, since its files are listed at their own place; one that
        leaves the source is not followed unless that is asked for, and then each folder is listed once.
        """
        if not self._ask("look at", self.root.is_dir):
            return
        real_root = os.path.realpath(self.root)
        seen: set[str] = set()
        folders = [("", iter(self._ask("list", lambda: _children(self.root))))]
        while folders:
            place, children = folders[-1]
            child = next(children, None)
            if child is None:
                folders.pop()
                continue
            key = place + child.name
            entry, is_folder = self._look_at(key, child, real_root, seen, follow_links)
            if is_folder:
                try:
                    folders.append((f"{key}/", iter(self._ask("list", lambda: _children(self.root / key)))))  # noqa: B023
                except Unreadable:
                    entry = _unread(f"{key}/", UNREADABLE)
            if entry is not None:
                yield entry

    def _look_at(
        self, key: str, child: os.DirEntry[str], real_root: str, seen: set[str], follow: bool
    ) -> tuple[Entry | None, bool]:
        """The entry of what lies in a folder, and whether it is a folder that is to be listed."""
        if child.is_symlink():
            return self._look_at_link(key, real_root, seen, follow)
        if child.is_dir(follow_symlinks=False):
            return None, True
        is_file = child.is_file(follow_symlinks=False)
        return self._source_entry(key) if is_file else _unread(key, NOT_A_FILE), False

    def _look_at_link(self, key: str, real_root: str, seen: set[str], follow: bool) -> tuple[Entry | None, bool]:
        """A link's entry, or whether it is a folder that is to be listed."""
        path, real_path = self.root / key, os.path.realpath(self.root / key)
        try:
            mode = self._ask("look at", path.stat).st_mode
        except Unreadable:
            return _unread(key, NOT_A_FILE), False  # it leads nowhere
        inside = f"{real_path}/".startswith(f"{real_root.rstrip('/')}/")
        if stat.S_ISDIR(mode):
            if inside or (follow and real_path in seen):
                return None, False
            seen.add(real_path)
            return (None, True) if follow else (_unread(key, OUTSIDE_LINK), False)
        if not stat.S_ISREG(mode):
            return _unread(key, NOT_A_FILE), False
        return (self._source_entry(key) if inside or follow else _unread(key, OUTSIDE_LINK)), False

    def _source_entry(self, key: str) -> Entry:
        try:
            return self._ask("look at", lambda: self._entry(self.root / key))
        except Unreadable:
            return _unread(key, UNREADABLE)

    def delete(self, key: str) -> None:
        with _os_errors_as_store_errors("delete from", self.uri):
            path = self.root / key
            path.unlink(missing_ok=True)
            with suppress(OSError):
                for folder in path.parents[: len(Path(key).parents) - 1]:
                    folder.rmdir()  # a store has no folders, so that an empty one must not stay

    def sweep(self) -> None:
        with _os_errors_as_store_errors("delete from", self.uri):
            for folder, _, names in os.walk(self.root):
                for name in names:
                    if name.startswith(_UNFINISHED):
                        (Path(folder) / name).unlink(missing_ok=True)

    def _entry(self, path: Path) -> Entry:
        with _open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(file.read(_ETAG_BYTES))
            if size > _ETAG_BYTES:
                file.seek(max(_ETAG_BYTES, size - _ETAG_BYTES))
                digest.update(file.read(_ETAG_BYTES))
        # From the content, not the clock: the same archive with another date is the same input.
        return Entry(key=path.relative_to(self.root).as_posix(), size=size, etag=f"{digest.hexdigest()[:24]}-{size}")


def _create_unfinished(folder: Path, mode: int) -> tuple[int, Path]:
    """A new file's descriptor and path, in a folder that another process may be removing because it was empty."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), path
        except FileNotFoundError:
            continue


def _open_file(path: Path) -> BinaryIO:
    """A regular file, open for reading: waiting for the other end of a pipe would never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "no regular file")
    return os.fdopen(handle, "rb")


def _children(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted as S3 sorts keys: a folder's name with its slash."""
    with os.scandir(folder) as children:
        return sorted(children, key=lambda child: child.name + "/" * child.is_dir(follow_symlinks=False))


def _unread(key: str, why: str) -> Entry:
    return Entry(key=key, size=0, etag=why)


def _store_error(action: str, uri: str, error: OSError) -> StoreError:
    """One line without the path of the file (it may be a patient's name)."""
    why = error.strerror or type(error).__name__
    if error.errno in _MEDIUM_FAULTS:
        return MediumFault(
            f"cannot {action} {uri}: {why}; mend the disk or file system, and start the job again: it goes on from here"
        )
    return (Unreadable if error.errno in _OBJECT_FAULTS else StoreError)(f"cannot {action} {uri}: {why}")


@contextmanager
def _os_errors_as_store_errors(action: str, uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _store_error(action, uri, error) from None
