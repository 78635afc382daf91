"""Archives: every object exactly once whatever the shards, broken ones as one object, hostile ones refused."""

import bz2
import gzip
import io
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from dataclasses import replace

import pytest

from rajobs.imaging.archives import shards
from rajobs.imaging.limits import DEFAULT
from rajobs.records.store import open_store


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def blob(number, size=3000):
    return bytes((number * 7 + i * i) % 251 for i in range(size))


FILES = {f"folder/IM{n:04}": blob(n, 500 + 97 * n) for n in range(20)}
LONG = {"a" * 180 + "/ü" + "b" * 120: blob(99)}
CONTENT = {
    "plain/one.dcm": blob(50),
    "plain/two": blob(51),
    "films.zip": zipped({"folder/": b"", **FILES}),
    "stored.bin": zipped({**FILES, "inner.zip": zipped(FILES)}, zipfile.ZIP_STORED),
    "films.tar": tarred({**FILES, **LONG, "inner.zip": zipped(FILES), "inner.tgz": tarred(FILES, "w:gz")}),
    "films.tar.gz": tarred({**FILES, "deep.zip": zipped({"deeper.tar": tarred(FILES)})}, "w:gz"),
    "films.tar.bz2": tarred(FILES, "w:bz2"),
    "films.tar.xz": tarred(FILES, "w:xz"),
    "single.dcm.gz": gzip.compress(blob(52)) + gzip.compress(blob(53)),
    "empty.zip": zipped({}),
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


def filled(folder, content):
    store = open_store(folder)
    for key, data in content.items():
        store.put(key, data)
    return store


def everything(store, limits=DEFAULT, **sizes):
    cut = list(shards.inventory(store, **sizes))
    assert len({shard.id for shard in cut}) == len(cut)
    return [member for shard in cut for member in shards.read_members(store, shard, limits)]


def fates(members):
    return {member.path: member.reject.reason if member.reject else member.data for member in members}


@pytest.mark.parametrize("sizes", [{}, {"max_bytes": 4000}, {"max_members": 1}, {"max_members": 7}])
def test_every_object_exactly_once(tmp_path, sizes):
    members = everything(filled(tmp_path, CONTENT), **sizes)
    assert Counter(member.path for member in members) == EXPECTED
    assert not [member.path for member in members if member.reject]
    by_path = fates(members)
    for name, data in FILES.items():
        assert by_path[f"films.tar.gz!/deep.zip!/deeper.tar!/{name}"] == data
        assert by_path[f"films.tar!/{name}"] == by_path[f"stored.bin!/inner.zip!/{name}"] == data
    assert by_path["single.dcm.gz!/single.dcm"] == blob(52) + blob(53)


def test_shards_are_small_stable_and_bounded(tmp_path):
    many = zipped({f"{n:05}": b"x" * 10 for n in range(4_000)})
    here, there = (filled(tmp_path / place, {"many.zip": many}) for place in "ab")
    os.utime(tmp_path / "b" / "many.zip", (1, 1))
    cut = list(shards.inventory(here, max_members=1000))
    assert len(cut) == 4
    assert max(len(pickle.dumps(shard)) for shard in cut) < 1000
    assert [s.id for s in cut] == [s.id for s in shards.inventory(there, max_members=1000)]
    assert sum(1 for _ in shards.read_members(here, cut[3])) == 1000


def test_a_zip_behind_other_bytes_and_one_with_zip64_fields(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(blob(1))
    shifted = zipped(FILES)
    store = filled(tmp_path, {"wide.zip": buffer.getvalue(), "self.zip": b"PK\x03\x04 not really" + shifted})
    found = fates(everything(store))
    assert found["wide.zip!/big"] == blob(1)
    assert all(found[f"self.zip!/{name}"] == data for name, data in FILES.items())


def test_broken_archives_are_one_object_and_keep_what_was_read(tmp_path):
    tar = tarred(FILES)
    garbled = bytearray(tar)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        sixth = archive.getmembers()[6].offset
    garbled[sixth : sixth + 512] = b"\x55" * 512
    packed = tarred({f"{n}": os.urandom(5000) for n in range(10)}, "w:gz")
    flipped = bytearray(zipped(FILES))
    flipped[60] ^= 0xFF
    names = list(FILES)
    store = filled(
        tmp_path,
        {
            "cut.zip": zipped(FILES)[:-300],
            "cut.tar": tar[: sixth + 700],
            "garbled.tar": bytes(garbled),
            "cut.tar.gz": packed[: len(packed) // 2],
            "flipped.zip": bytes(flipped),
            "bad.bz2": bz2.compress(blob(1))[:-20] + b"\0" * 20,
        },
    )
    for sizes in ({}, {"max_members": 2}):
        found = everything(store, **sizes)
        assert max(Counter(m.path for m in found).values()) == 1
        by = fates(found)
        assert by["cut.zip"] == "truncated"
        assert by["cut.tar"] == "truncated"
        assert by["garbled.tar"] == "corrupt"
        assert by["cut.tar.gz"] == "truncated"
        assert [by[f"garbled.tar!/{name}"] for name in names[:6]] == [FILES[name] for name in names[:6]]
        assert sum(path.startswith("garbled.tar!/") for path in by) == 6
        assert 2 <= sum(path.startswith("cut.tar.gz!/") for path in by) <= 5
        assert by[f"flipped.zip!/{names[0]}"] in ("corrupt", "truncated")
        assert all(by[f"flipped.zip!/{name}"] == FILES[name] for name in names[1:])
        assert by["bad.bz2"] in ("corrupt", "truncated")


def test_hostile_members(tmp_path):
    nest = zipped({"fourth.zip": zipped({"x": b"1"})})
    deep = zipped({"second.zip": zipped({"third.zip": nest, "file": b"2"})})
    encrypted = bytearray(zipped(FILES, zipfile.ZIP_STORED))
    at = 0
    while (at := encrypted.find(b"PK\x01\x02", at)) >= 0:
        encrypted[at + 8] |= 1
        at += 4
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    buffer = io.BytesIO(tarred({"good": b"3" * 600}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        archive.addfile(link)
    store = filled(
        tmp_path,
        {
            "deep.zip": deep,
            "paths.zip": zipped({"../up": b"1", "/root": b"2", "C:\\x": b"3", "a/../../b": b"4", "fine": b"5"}),
            "links.tar": buffer.getvalue(),
            "locked.zip": bytes(encrypted),
            "bomb.zip": zipped({"bomb": bytes(20 << 20), "fine": b"6"}),
            "bomb.tar.gz": gzip.compress(bytes(20 << 20), 9),
        },
    )
    by = fates(everything(store, replace(DEFAULT, ratio=200)))
    assert by == {
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


@pytest.fixture
def bucket(monkeypatch):
    """A real S3 server in a process of its own, and an empty bucket on it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        store = open_store("s3://films/site")
        store.client.create_bucket(Bucket="films")
        yield store
        store.client.close()
    finally:
        server.kill()
        server.wait()


def test_archives_on_s3_are_read_by_ranges(bucket, monkeypatch):
    for key, data in CONTENT.items():
        bucket.put(key, data)
    whole = []
    monkeypatch.setattr(
        type(bucket), "get", lambda self, key: whole.append(key) or type(bucket).read_range(self, key, 0, 1 << 30)
    )
    members = everything(bucket, max_members=7)
    assert Counter(member.path for member in members) == EXPECTED
    assert sorted(whole) == ["plain/one.dcm", "plain/two"]
