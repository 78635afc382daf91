"""The folder for copies of prepared arrays is its user's own."""

import os
from pathlib import Path

import pytest

from rajobs.learning.samples.local_cache import cache_folder, local_path
from rajobs.records.errors import StoreError
from rajobs.records.store import open_store


def test_copies_lie_where_their_user_alone_can_read_them(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAJOBS_CACHE", str(tmp_path))
    own = tmp_path / f"rajobs-{os.getuid()}"
    own.mkdir(mode=0o755)  # as an earlier version made it
    store = open_store(f"{bucket}/data")
    store.put("prepared/v/part.npy", b"arrays")
    copy = local_path(store, "prepared/v/part.npy")
    assert copy.parent == own and copy.read_bytes() == b"arrays"
    assert own.stat().st_mode & 0o777 == 0o700 and copy.stat().st_mode & 0o777 == 0o600
    store.delete("prepared/v/part.npy")
    store.put("prepared/v/part.npy", b"others")
    assert local_path(store, "prepared/v/part.npy").read_bytes() == b"others"


def test_a_folder_that_somebody_else_has_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAJOBS_CACHE", str(tmp_path))
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"rajobs-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(StoreError, match="no folder of this user; remove it, or name another place in RAJOBS_CACHE"):
        cache_folder()
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)  # the folder's owner is another user then
    (tmp_path / f"rajobs-{os.getuid()}").mkdir()
    with pytest.raises(StoreError, match="no folder of this user"):
        cache_folder()
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAJOBS_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="cannot make"):
        cache_folder()
