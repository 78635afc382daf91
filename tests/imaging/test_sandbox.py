"""Hostile files: the child process that decodes them is ended, the next file is read, and memory stays bounded."""

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from rajobs.imaging import sandbox
from rajobs.imaging.image import ReadOptions
from rajobs.imaging.limits import DEFAULT_LIMITS
from rajobs.imaging.sandbox import Decoder
from rajobs.records.errors import Reject
from tests.imaging.dicom_files import DEFLATED, EXPLICIT, dicom, film

J2K = "1.2.840.10008.1.2.4.90"


def encode_j2k(image):
    return bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k", bitspersample=12))


def reject_reason(decoder, data, **limits):
    with pytest.raises(Reject) as caught:
        decoder.read(data, ReadOptions(limits=replace(DEFAULT_LIMITS, **limits)))
    return caught.value.reason


def test_the_child_returns_the_film_unchanged(decoder):
    image = film(300, 200)
    data = dicom(image, syntax=J2K, bits=12, frames=[encode_j2k(image)], StudyDate="20200131")
    (decoded,) = decoder.read(data, ReadOptions())
    assert np.array_equal(decoded.pixels, image)
    assert decoded.pixels.flags.writeable
    assert decoded.header.study_date.isoformat() == "2020-01-31"
    assert decoded.window is None


def test_a_small_codestream_that_claims_122_megabytes_is_rejected(decoder):
    stream = bytearray(encode_j2k(np.zeros((16, 16), np.uint16)))
    for at in (8, 24):  # image and tile size
        stream[at : at + 8] = struct.pack(">II", 8000, 7600)
    data = dicom(np.zeros((16, 16), np.uint16), syntax=J2K, bits=12, frames=[bytes(stream)], Rows=7600, Columns=8000)
    assert len(stream) < 400
    assert reject_reason(decoder, data) == "too-large"
    # Without the limit on the ratio, memory is still bounded.
    assert reject_reason(decoder, data, ratio=10**9, child_bytes=100 << 20) in (
        "too-large",
        "corrupt",
        "decoder-crashed",
    )
    assert decoder.peak_bytes() < 500 << 20


@pytest.mark.slow
def test_a_deflated_data_set_that_would_fill_the_memory_is_rejected():
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = dicom(np.zeros((2, 2), np.uint16), syntax=EXPLICIT)
    meta = dicom(np.zeros((2, 2), np.uint16), syntax=DEFLATED)
    start = 132 + 12 + struct.unpack_from("<I", head, 140)[0]
    body = bytearray(head[start:])
    at = body.index(b"\xe0\x7f\x10\x00OW")
    body[at + 8 : at + 12] = (300_000_000).to_bytes(4, "little")
    packed = packer.compress(bytes(body))
    for _ in range(38):
        packed += packer.compress(bytes(8_000_000))
    data = meta[: 132 + 12 + struct.unpack_from("<I", meta, 140)[0]] + packed + packer.flush()
    assert len(data) < 400_000
    before = _peak_memory()
    with Decoder() as decoder:
        assert reject_reason(decoder, data) == "too-large"
    assert _peak_memory() - before < 330 << 20


def _peak_memory():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_frames_beyond_the_limits_are_rejected(decoder):
    image = film()
    assert reject_reason(decoder, dicom(image, bits=12), pixels=100) == "too-large"
    assert reject_reason(decoder, dicom(np.stack([image] * 3), bits=12, NumberOfFrames=3), frames=2) == "too-large"
    assert reject_reason(decoder, dicom(image, bits=12, Rows=60000, Columns=60000)) == "too-large"


@pytest.mark.slow
def test_a_killed_child_is_replaced_and_its_file_is_read():
    image = film()
    data = dicom(image, syntax=J2K, bits=12, frames=[encode_j2k(image)])
    with Decoder() as decoder:
        decoder.read(data, ReadOptions())
        os.kill(decoder._child.process.pid, signal.SIGKILL)
        assert np.array_equal(decoder.read(data, ReadOptions())[0].pixels, image)


@pytest.mark.slow
def test_a_decoder_that_hangs_is_ended_by_its_own_timer():
    image = film(1200, 1000)
    data = dicom(image, syntax=J2K, bits=12, frames=[encode_j2k(image)])
    start = time.perf_counter()
    with Decoder() as decoder:
        limits = {"decode_seconds": 0.02, "decode_seconds_per_megapixel": 0.0}
        assert reject_reason(decoder, data, **limits) == "decoder-crashed"
        assert np.array_equal(decoder.read(data, ReadOptions())[0].pixels, image)
    assert time.perf_counter() - start < 20


def test_the_child_ends_with_its_parent_and_gets_no_secrets(monkeypatch):
    monkeypatch.setenv("RAJOBS_KEY", "canary")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from rajobs.imaging.child_process.child import Child\n"
        "child = Child('rajobs.imaging.child_process.file_main')\n"
        "print(child.process.pid, flush=True); sys.stdin.read()"
    )
    root = str(Path(sandbox.__file__).parents[2])
    parent = subprocess.Popen([sys.executable, "-c", code, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    assert b"canary" not in Path(f"/proc/{child}/environ").read_bytes()
    parent.kill()
    parent.communicate()
    for _ in range(200):
        if not _is_alive(child):
            break
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
