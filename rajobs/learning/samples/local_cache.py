"""Objects of a far store as files of this machine: copied once into a folder that their user alone can enter."""

import os
import stat
import tempfile
from pathlib import Path

from rajobs.records.errors import DataError, StoreError
from rajobs.records.manifest import digest
from rajobs.records.store import LocalStore, Store

CACHE = "RAJOBS_CACHE"
"""Environment variable that names where the folder lies, instead of the machine's folder for temporary files."""


def local_path(store: Store, key: str) -> Path:
    """An object as a file: itself, or a copy that is fetched once."""
    if isinstance(store, LocalStore):
        return store.root / key
    entry = store.stat(key)
    if entry is None:
        raise DataError(f"prepared arrays are gone from {store.uri}; start the job again")
    cache = LocalStore(str(cache_folder()), private=True)
    name = f"{digest([store.uri, key, entry.etag])}.npy"
    if cache.stat(name) is None:
        cache.put(name, store.get(key))
    return cache.root / name


def cache_folder() -> Path:
    """This user's own folder, which nobody else can enter; one that somebody else has made is refused."""
    folder = Path(os.environ.get(CACHE) or tempfile.gettempdir()).expanduser() / f"rajobs-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = folder.lstat()
        if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.getuid():
            raise StoreError(f"{folder} is no folder of this user; remove it, or name another place in {CACHE}")
        if stat.S_IMODE(entry.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}; name another place in {CACHE}") from None
    return folder
