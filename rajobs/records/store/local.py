"""A folder on this machine (or a mounted file system) as a store."""

import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rajobs.records.errors import StoreError
from rajobs.records.store.base import Entry

_ETAG_BYTES = 1 << 16  # so many bytes of a file's head and of its tail go into its etag
_COPY_BYTES = 1 << 20  # copied at a time
_UNFINISHED = ".part-"  # prefix of a file's name until it is whole


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
        with _os_errors_as_store_errors("read from", self.uri):
            return (self.root / key).read_bytes()

    def read_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        with _os_errors_as_store_errors("read from", self.uri), (self.root / key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def stat(self, key: str) -> Entry | None:
        path = self.root / key
        with _os_errors_as_store_errors("look at", self.uri):
            return self._entry(path) if path.is_file() else None

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
        size = path.stat().st_size
        with path.open("rb") as file:
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


@contextmanager
def _os_errors_as_store_errors(action: str, uri: str) -> Iterator[None]:
    """Turns an OSError into one line without the path of the file (it may be a patient's name)."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot {action} {uri}: {error.strerror or type(error).__name__}") from None
