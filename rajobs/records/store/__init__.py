"""Where objects live: a folder or an S3-compatible bucket behind one small interface.

A backend is one file here (local.py, s3.py) and, but for the local one, one line in BACKENDS.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from rajobs.records.errors import StoreError, UsageError
from rajobs.records.store.base import Entry, Store
from rajobs.records.store.local import LocalStore

__all__ = [
    "BACKENDS", "Entry", "LocalStore", "Store", "absolute", "follow", "get_many", "is_within", "open_store",
    "read_text", "relative", "split_uri",
]  # fmt: skip

BACKENDS: Mapping[str, str] = MappingProxyType({
    "s3": "rajobs.records.store.s3:S3Store",
})  # fmt: skip
"""The class that opens URIs of a scheme. It is imported with its client library when such a URI is first opened."""

_PARALLEL_REQUESTS = 16
_REQUEST_BATCH = 512  # answers kept in memory at most while many small objects are read


def open_store(uri: str | os.PathLike[str], *, private: bool = False) -> Store:
    """The store at a local path or at `s3://bucket/prefix`; only their owner can read the files of a `private` one.

    Other files follow the umask; on a server the bucket's policy decides who reads.
    """
    text = os.fspath(uri)
    scheme, is_uri, _ = text.partition("://")
    if not is_uri:
        return LocalStore(text, private=private)
    if scheme not in BACKENDS:
        forms = " or ".join(f"{known}://bucket/prefix" for known in BACKENDS)
        raise StoreError(f"cannot open a store of kind {scheme!r}; use a local path or {forms}")
    module, _, class_name = BACKENDS[scheme].partition(":")
    store: Store = getattr(import_module(module), class_name)(text)
    return store


def absolute(uri: str) -> str:
    """A URI that means the same in another process, whatever its working directory."""
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def is_within(uri: str, folder: str) -> bool:
    """Whether a place is a folder, or lies in it."""
    return _root(uri) == _root(folder) and Path(_path(uri)).is_relative_to(_path(folder))


def relative(uri: str, folder: str) -> str:
    """A place as seen from a folder, without what lies above both; a place on another store as it is."""
    if _root(uri) != _root(folder):
        return absolute(uri)
    return os.path.relpath(_path(uri), _path(folder))


def follow(folder: str, uri: str) -> str:
    """The place that `relative` describes, seen from the folder."""
    if "://" in uri or uri.startswith("/"):
        return uri
    return _root(folder) + os.path.normpath(f"{_path(folder)}/{uri}")


def _root(uri: str) -> str:
    """The scheme and the bucket of a place, or nothing for one of this machine."""
    scheme, is_uri, path = uri.partition("://")
    return f"{scheme}://{path.partition('/')[0]}" if is_uri else ""


def _path(uri: str) -> str:
    """Where a place lies below its root, by one name alone: links of this machine are followed."""
    root = _root(uri)
    return f"/{uri[len(root) :].strip('/')}" if root else os.path.realpath(absolute(uri))


def split_uri(uri: str) -> tuple[str, str]:
    """A URI as its parent's URI and its last name: an object's store and key."""
    if "://" in uri:
        parent, _, name = uri.rstrip("/").rpartition("/")
        return parent, name
    path = Path(uri).absolute()
    return str(path.parent), path.name


def read_text(uri: str, what: str) -> str:
    """A user's small text file, from this machine or a store."""
    parent, key = split_uri(uri)
    store = open_store(parent)
    if store.stat(key) is None:
        raise UsageError(f"there is no {what} {uri}")
    try:
        return store.get(key).decode()
    except UnicodeDecodeError:
        raise UsageError(f"the {what} {uri} is no text in UTF-8") from None


def get_many(store: Store, keys: Sequence[str]) -> Iterator[bytes]:
    """The bytes of many small objects, in order; several are requested at a time, since a store may be far away."""
    if not keys:
        return
    yield store.get(keys[0])  # alone, so that one thread makes the client that all of them share
    pool = ThreadPoolExecutor(_PARALLEL_REQUESTS)
    try:
        for first in range(1, len(keys), _REQUEST_BATCH):
            yield from pool.map(store.get, keys[first : first + _REQUEST_BATCH])
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the requests that are under way alone
