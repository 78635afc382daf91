"""A run resumes in its own output; any other run is refused, and nothing is written."""

from pathlib import Path
from typing import Any

import pytest

from rajobs.records.errors import BadKey, WrongOutput
from rajobs.records.manifest import check_claim, claim, digest, put_manifest, read_manifest, to_json
from rajobs.records.store import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "out"))


def contents(store: LocalStore) -> dict[str, bytes]:
    """All objects of a store."""
    return {entry.key: store.get(entry.key) for entry in store.list()}


def test_a_run_finds_its_own_output_again(store: LocalStore) -> None:
    assert check_claim(store, "ingest", {"key": "k1"}) is False
    assert contents(store) == {} and not store.root.exists(), "a check writes nothing"
    claim(store, "ingest", {"key": "k1"})
    before = contents(store)
    claim(store, "ingest", {"key": "k1"})
    assert check_claim(store, "ingest", {"key": "k1"}) is True and contents(store) == before


def test_another_job_key_or_setting_is_refused(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(store, "ingest", {"key": "k1", "limit": 3})
    before = contents(store)
    with pytest.raises(WrongOutput, match="holds the output of rajobs ingest, not of score; choose another OUT"):
        claim(store, "score", {"key": "k1", "limit": 3})
    with pytest.raises(BadKey, match=r"another key \(fingerprint k1, this one is k2\)"):
        claim(store, "ingest", {"key": "k2", "limit": 3})
    with pytest.raises(WrongOutput, match="with limit 3, not 4; choose another OUT"):
        claim(store, "ingest", {"key": "k1", "limit": 4})
    monkeypatch.setattr("rajobs.records.manifest.SCHEMA_VERSION", 99)
    with pytest.raises(WrongOutput, match="schema"):
        claim(store, "ingest", {"key": "k1", "limit": 3})
    assert contents(store) == before


@pytest.mark.parametrize(
    ("earlier", "now", "words"),
    [
        ({"studies": {"a": ["0123456789abcdef"]}}, {"studies": {"a": ["fedcba9876543210"]}}, "with other models;"),
        ({"bundles": ["0123456789abcdef"]}, {"bundles": []}, "with other models;"),
        ({"data": "0123456789abcdef"}, {"data": "fedcba9876543210"}, "with other data;"),
        ({"space": "0123456789abcdef"}, {"space": "fedcba9876543210"}, "with another tune space;"),
        ({"study": "joint_detection"}, {"study": "hand_filter"}, "with study joint_detection, not hand_filter;"),
        ({"budget": 0.1}, {"budget": 1.0}, "with budget 0.1, not 1.0;"),
        ({"predictions": None}, {"predictions": "own.parquet"}, "without predictions;"),
        ({"predictions": "own.parquet"}, {"predictions": None}, "with predictions;"),
    ],
)
def test_a_difference_is_named_in_words_without_hashes(
    store: LocalStore, earlier: dict[str, Any], now: dict[str, Any], words: str
) -> None:
    claim(store, "score", earlier)
    with pytest.raises(WrongOutput) as refused:
        check_claim(store, "score", now)
    assert str(refused.value) == f"{store.uri} was made {words} choose another OUT"


@pytest.mark.parametrize("name", ["holiday.jpg", "run.json"])
@pytest.mark.parametrize("content", [b"not ours", b"[]", b'{"scripts": {}}'])
def test_somebody_s_own_files_are_left_alone(store: LocalStore, name: str, content: bytes) -> None:
    store.put(name, content)
    with pytest.raises(WrongOutput, match="no rajobs ingest wrote; choose an empty place"):
        claim(store, "ingest", {"key": "k1"})
    assert contents(store) == {name: content}


def test_an_equal_manifest_is_not_written_again(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_manifest(store) is None
    put_manifest(store, {"job": "ingest", "counts": {"b": 1, "a": 2}})
    monkeypatch.setattr(LocalStore, "put", None)  # would fail if it were called again
    put_manifest(store, {"counts": {"a": 2, "b": 1}, "job": "ingest"})
    assert (read_manifest(store) or {})["counts"] == {"a": 2, "b": 1}


def test_the_same_content_is_the_same_bytes() -> None:
    assert to_json({"b": [1, 2], "a": "ä"}) == to_json({"a": "ä", "b": (1, 2)})
    assert digest({"a": 1}) != digest({"a": 2}) and len(digest([])) == 16
