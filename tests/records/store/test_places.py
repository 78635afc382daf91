"""Places and their relations: what lies in what, and one place as seen from another."""

from pathlib import Path

import pytest

from rajobs.records.store import follow, is_within, relative


@pytest.mark.parametrize(
    ("uri", "folder", "inside"),
    [
        ("s3://b/out/ledger", "s3://b/out", True),
        ("s3://b/out/", "s3://b/out", True),
        ("s3://b/out-ledger", "s3://b/out", False),
        ("s3://b/out/ledger", "s3://c/out", False),
        ("s3://b/out", "s3://b", True),
        ("/b/out", "s3://b", False),
    ],
)
def test_a_place_lies_in_another(uri: str, folder: str, inside: bool) -> None:
    assert is_within(uri, folder) is inside


def test_a_link_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    assert is_within("link/ledger", "out") and is_within("out/x/../ledger", "link") and not is_within("out", "link/l")
    assert relative("link/data", "out") == "data"


@pytest.mark.parametrize(
    ("uri", "folder", "seen"),
    [
        ("/c/doe/data", "/c/doe/out", "../data"),
        ("s3://b/doe/data", "s3://b/doe/out", "../data"),
        ("s3://b/data", "s3://c/out", "s3://b/data"),
        ("s3://b/data", "/out", "s3://b/data"),
        ("/data", "s3://c/out", "/data"),
    ],
)
def test_a_place_is_seen_from_a_folder_and_found_from_there(uri: str, folder: str, seen: str) -> None:
    assert relative(uri, folder) == seen and follow(folder, seen) == uri
