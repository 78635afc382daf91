"""Archives: every member is read exactly once however they are split, and broken and hostile ones are rejected."""

import bz2
import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections import Counter
from dataclasses import replace

import pytest

from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.limits import DEFAULT_LIMITS
from rajobs.records.identity import Key
from rajobs.records.store import open_store
from tests.imaging.attacks.archive_attacks import header

KEY = Key(secret=b"k" * 32)


def make_zip(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def make_tar(members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def content(number, size=3000):
    return bytes((number * 7 + i * i) % 251 for i in range(size))


FILES = {f"folder/IM{n:04}": content(n, 500 + 97 * n) for n in range(20)}
LONG = {"a" * 180 + "/ü" + "b" * 120: content(99)}
ARCHIVES = {
    "plain/one.dcm": content(50),
    "plain/two": content(51),
    "films.zip": make_zip({"folder/": b"", **FILES}),
    "stored.bin": make_zip({**FILES, "inner.zip": make_zip(FILES)}, zipfile.ZIP_STORED),
    "films.tar": make_tar({**FILES, **LONG, "inner.zip": make_zip(FILES), "inner.tgz": make_tar(FILES, "w:gz")}),
    "films.tar.gz": make_tar({**FILES, "deep.zip": make_zip({"deeper.tar": make_tar(FILES)})}, "w:gz"),
    "films.tar.bz2": make_tar(FILES, "w:bz2"),
    "films.tar.xz": make_tar(FILES, "w:xz"),
    "single.dcm.gz": gzip.compress(content(52)) + gzip.compress(content(53)),
    "empty.zip": make_zip({}),
}
EXPECTED = Counter(
    ["plain/one.dcm", "plain/two", "single.dcm.gz!/single.dcm", *(f"films.tar!/{name}" for name in LONG)]
    + [
        f"{archive}!/{name}"
        for archive in (
            *("films.zip", "stored.bin", "stored.bin!/inner.zip", "films.tar", "films.tar!/inner.zip"),
            *("films.tar!/inner.tgz", "films.tar.gz", "films.tar.gz!/deep.zip!/deeper.tar", "films.tar.bz2"),
            "films.tar.xz",
        )
        for name in FILES
    ]
)


def make_store(folder, objects):
    store = open_store(folder)
    for key, data in objects.items():
        store.put(key, data)
    return store


@pytest.fixture(scope="module")
def reader():
    with ArchiveReader() as shared:
        yield shared


def read_everything(reader, store, limits=DEFAULT_LIMITS, **sizes):
    pieces = list(reader.split(store, store.list(), **sizes))
    assert len({shard.name(KEY) for shard in pieces}) == len(pieces)
    return [member for shard in pieces for member in reader.members(store, shard, limits)]


def by_path(members):
    """Each member's data, or the reason of its reject."""
    return {member.path: member.reject.reason if member.reject else member.data for member in members}


@pytest.mark.parametrize("sizes", [{}, {"max_bytes": 4000}, {"max_members": 1}, {"max_members": 7}])
def test_every_member_is_read_exactly_once(reader, tmp_path, sizes):
    members = read_everything(reader, make_store(tmp_path, ARCHIVES), **sizes)
    assert Counter(member.path for member in members) == EXPECTED
    assert not [member.path for member in members if member.reject]
    outcomes = by_path(members)
    for name, data in FILES.items():
        assert outcomes[f"films.tar.gz!/deep.zip!/deeper.tar!/{name}"] == data
        assert outcomes[f"films.tar!/{name}"] == outcomes[f"stored.bin!/inner.zip!/{name}"] == data
    assert outcomes["single.dcm.gz!/single.dcm"] == content(52) + content(53)


def test_shards_are_small_stable_and_bounded(reader, tmp_path):
    many = make_zip({f"{n:05}": b"x" * 10 for n in range(4_000)})
    here, there = (make_store(tmp_path / place, {"many.zip": many}) for place in "ab")
    os.utime(tmp_path / "b" / "many.zip", (1, 1))
    pieces = list(reader.split(here, here.list(), max_members=1000))
    assert len(pieces) == 4
    assert max(len(pickle.dumps(shard)) for shard in pieces) < 1000
    assert [s.name(KEY) for s in pieces] == [s.name(KEY) for s in reader.split(there, there.list(), max_members=1000)]
    assert sum(1 for _ in reader.members(here, pieces[3])) == 1000


def test_a_zip_after_other_bytes_and_one_with_zip64_fields(reader, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(content(1))
    shifted = make_zip(FILES)
    store = make_store(tmp_path, {"wide.zip": buffer.getvalue(), "self.zip": b"PK\x03\x04 not really" + shifted})
    outcomes = by_path(read_everything(reader, store))
    assert outcomes["wide.zip!/big"] == content(1)
    assert all(outcomes[f"self.zip!/{name}"] == data for name, data in FILES.items())


def test_a_broken_archive_is_one_reject_and_the_members_before_the_break_are_read(reader, tmp_path):
    tar = make_tar(FILES)
    garbled = bytearray(tar)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        sixth = archive.getmembers()[6].offset
    garbled[sixth : sixth + 512] = b"\x55" * 512
    packed = make_tar({f"{n}": os.urandom(5000) for n in range(10)}, "w:gz")
    flipped = bytearray(make_zip(FILES))
    flipped[60] ^= 0xFF
    names = list(FILES)
    store = make_store(
        tmp_path,
        {
            "cut.zip": make_zip(FILES)[:-300],
            "cut.tar": tar[: sixth + 700],
            "garbled.tar": bytes(garbled),
            "cut.tar.gz": packed[: len(packed) // 2],
            "flipped.zip": bytes(flipped),
            "bad.bz2": bz2.compress(content(1))[:-20] + b"\0" * 20,
        },
    )
    for sizes in ({}, {"max_members": 2}):
        members = read_everything(reader, store, **sizes)
        assert max(Counter(m.path for m in members).values()) == 1
        outcomes = by_path(members)
        assert outcomes["cut.zip"] == "truncated"
        assert outcomes["cut.tar"] == "truncated"
        assert outcomes["garbled.tar"] == "corrupt"
        assert outcomes["cut.tar.gz"] == "truncated"
        assert [outcomes[f"garbled.tar!/{name}"] for name in names[:6]] == [FILES[name] for name in names[:6]]
        assert sum(path.startswith("garbled.tar!/") for path in outcomes) == 6
        assert 2 <= sum(path.startswith("cut.tar.gz!/") for path in outcomes) <= 5
        assert outcomes[f"flipped.zip!/{names[0]}"] in ("corrupt", "truncated")
        assert all(outcomes[f"flipped.zip!/{name}"] == FILES[name] for name in names[1:])
        assert outcomes["bad.bz2"] in ("corrupt", "truncated")


def test_hostile_members_are_rejected(reader, tmp_path):
    nest = make_zip({"fourth.zip": make_zip({"x": b"1"})})
    deep = make_zip({"second.zip": make_zip({"third.zip": nest, "file": b"2"})})
    encrypted = bytearray(make_zip(FILES, zipfile.ZIP_STORED))
    at = 0
    while (at := encrypted.find(b"PK\x01\x02", at)) >= 0:
        encrypted[at + 8] |= 1
        at += 4
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    buffer = io.BytesIO(make_tar({"good": b"3" * 600}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        archive.addfile(link)
    store = make_store(
        tmp_path,
        {
            "deep.zip": deep,
            "paths.zip": make_zip({"../up": b"1", "/root": b"2", "C:\\x": b"3", "a/../../b": b"4", "fine": b"5"}),
            "links.tar": buffer.getvalue(),
            "locked.zip": bytes(encrypted),
            "bomb.zip": make_zip({"bomb": bytes(20 << 20), "fine": b"6"}),
            "bomb.tar.gz": gzip.compress(bytes(20 << 20), 9),
        },
    )
    outcomes = by_path(read_everything(reader, store, replace(DEFAULT_LIMITS, ratio=200)))
    assert outcomes == {
        "deep.zip!/second.zip!/file": b"2",
        "deep.zip!/second.zip!/third.zip!/fourth.zip": "too-deep",
        **{f"paths.zip!/{name}": "unsafe-path" for name in ("../up", "/root", "C:\\x", "a/../../b")},
        "paths.zip!/fine": b"5",
        "links.tar!/good": b"3" * 600,
        "links.tar!/link": "unsafe-path",
        "locked.zip": "encrypted",
        "bomb.zip!/bomb": "too-large",
        "bomb.zip!/fine": b"6",
        "bomb.tar.gz": "too-large",
    }


def test_an_archive_of_slow_archives_is_given_up_as_a_whole(reader, tmp_path):
    folders = b"".join(header(f"{n}/", 0, b"5") for n in range(3000))
    slow = gzip.compress(folders)
    store = make_store(tmp_path, {"many.zip": make_zip({f"{n:02}.tgz": slow for n in range(40)} | {"z": b"film"})})
    outcomes = by_path(read_everything(reader, store, replace(DEFAULT_LIMITS, archive_seconds=0.02)))
    assert 5 < sum(reason == "too-large" for path, reason in outcomes.items() if path.startswith("many.zip!/")) < 40
    assert outcomes["many.zip"] == "too-large" and "many.zip!/z" not in outcomes
    few = make_store(tmp_path / "few", {"few.zip": make_zip({"0.tgz": slow, "1.tgz": slow, "z": b"film"})})
    assert by_path(read_everything(reader, few)) == {"few.zip!/z": b"film"}, "folders alone are no members"


@pytest.mark.slow
def test_archives_on_s3_are_read_by_ranges(reader, bucket, monkeypatch):
    store = open_store(f"{bucket}/site")
    for key, data in ARCHIVES.items():
        store.put(key, data)
    read_whole = []
    get = type(store).get
    monkeypatch.setattr(type(store), "get", lambda self, key, etag: read_whole.append(key) or get(self, key, etag))
    members = read_everything(reader, store, max_members=7)
    assert Counter(member.path for member in members) == EXPECTED
    assert sorted(read_whole) == ["plain/one.dcm", "plain/two"]
