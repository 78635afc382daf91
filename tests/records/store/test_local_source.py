"""A folder as a source: what may not be read, is gone or is no file is named as that, and a failing disk as that."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rajobs.records.errors import MediumFault, StoreError, Unreadable
from rajobs.records.store import local, open_store
from rajobs.records.store.local import NOT_A_FILE, OUTSIDE_LINK, UNREADABLE, LocalStore

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_another_user() -> Iterator[None]:
    """The superuser may read everything: tests in a container often are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def tags(store: LocalStore, **options: bool) -> dict[str, str]:
    return {entry.key: entry.etag for entry in store.list_source(**options)}


def test_what_may_not_be_read_is_an_object_and_ends_no_listing(folder: Path) -> None:
    store = LocalStore(str(folder))
    for name in ("a", "closed/b", "secret", "z"):
        store.put(name, name.encode())
    (folder / "closed").chmod(0)
    (folder / "secret").chmod(0)
    with as_another_user():
        listed = tags(store)
        assert {key: tag for key, tag in listed.items() if tag == UNREADABLE} == {
            "closed/": UNREADABLE, "secret": UNREADABLE,
        }  # fmt: skip
        assert list(listed) == ["a", "closed/", "secret", "z"]
        with pytest.raises(Unreadable, match="Permission denied") as refused:
            store.get("secret")
        assert "secret" not in str(refused.value)
    (folder / "closed").chmod(0o755)
    (folder / "z").unlink()
    with pytest.raises(Unreadable):
        store.read_range("z", 0, 1)


def test_links_that_leave_the_source_are_followed_only_when_that_is_asked_for(tmp_path: Path) -> None:
    source, outside = LocalStore(str(tmp_path / "source")), LocalStore(str(tmp_path / "outside"))
    for name in ("inside/a", "b"):
        source.put(name, name.encode())
    for name in ("c", "more/d"):
        outside.put(name, name.encode())
    (source.root / "file").symlink_to(outside.root / "c")
    (source.root / "folder").symlink_to(outside.root)
    (source.root / "folder-again").symlink_to(outside.root)
    (source.root / "same").symlink_to(source.root / "inside")
    (outside.root / "back").symlink_to(source.root)
    (source.root / "nowhere").symlink_to("gone")
    assert {key for key, tag in tags(source).items() if tag == OUTSIDE_LINK} == {"file", "folder", "folder-again"}
    assert tags(source)["nowhere"] == NOT_A_FILE and "same/a" not in tags(source)
    followed = tags(source, follow_links=True)
    assert set(followed) == {"b", "file", "folder/c", "folder/more/d", "inside/a", "nowhere"}, "each folder once"
    assert followed["file"] == followed["folder/c"] == next(outside.list("c")).etag


def test_a_file_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable):
        open_store(tmp_path).get("pipe")


def test_a_fault_of_the_medium_is_retried_and_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(local.time, "sleep", waits.append)
    # Nothing is mapped at this process's address 0, so that the system itself answers EIO.
    with pytest.raises(MediumFault, match="Input/output error"):
        LocalStore("/proc/self").read_range("mem", 0, 16)
    assert waits == list(local._RETRY_WAITS)
    store, opened, stale = LocalStore(str(tmp_path)), local._open_file, iter((True, True, False))
    store.put("film", b"film")

    def flaky(path: Path) -> object:
        if next(stale):
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return opened(path)

    monkeypatch.setattr(local, "_open_file", flaky)
    assert store.get("film") == b"film", "the third attempt succeeds"


def test_a_source_that_cannot_be_listed_at_all_is_the_user_s_mistake(folder: Path) -> None:
    (folder / "source").mkdir(mode=0)
    with as_another_user(), pytest.raises(StoreError, match="cannot list"):
        list(LocalStore(str(folder / "source")).list_source())
