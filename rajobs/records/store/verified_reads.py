"""The body of an object as it arrives from an S3 server: whole, in time, and the bytes that the server says it has.

A server, a proxy or a cable can break an answer off, slow it down, ignore the range, or turn a bit around. None of it
says anything about the object: a `BadAnswer` is asked for again.
"""

import base64
import hashlib
import io
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

PATIENCE = 30.0
"""Seconds that the server may take for anything: to begin its answer, and until the least rate is asked of it."""
LEAST_RATE = 1 << 10  # bytes a second, which the slowest line of a hospital has for each of many workers

_CHUNK = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_MD5 = re.compile(r"[0-9a-f]{32}")
_KMS = ("aws:kms", "aws:kms:dsse")
_DIGESTS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType({
    "ChecksumCRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "ChecksumSHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "ChecksumSHA256": lambda data: hashlib.sha256(data).digest(),
})  # fmt: skip


class BadAnswer(Exception):
    """An answer whose bytes are not the object's: why, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """A range of an object's bytes, of which there may be fewer."""

    start: int
    length: int

    @property
    def header(self) -> str:
        return f"bytes={self.start}-{self.start + self.length - 1}"


def read_answer(answer: Mapping[str, Any], asked: Range | None) -> bytes:
    """The bytes of a `get_object` answer, of the whole object or of a range; BadAnswer if they cannot be these."""
    length = _stated_length(answer, asked)
    data = _read_body(answer["Body"], length)
    if len(data) != length:
        raise BadAnswer("an answer ends early")
    if asked is None:
        _check_digests(answer, data)
    return data


def _stated_length(answer: Mapping[str, Any], asked: Range | None) -> int:
    """How many bytes have to come."""
    if asked is None:
        return int(answer["ContentLength"])
    stated = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    if stated is None:
        answer["Body"].close()  # all of the object is on its way, however large it is
        raise BadAnswer("an answer is not the range that was asked for")
    first, last, size = map(int, stated.groups())
    if first != asked.start or last != min(asked.start + asked.length, size) - 1:
        answer["Body"].close()
        raise BadAnswer("an answer is another range than the one that was asked for")
    return last - first + 1


def _read_body(body: Any, length: int) -> bytes:
    """As many bytes as were promised, however little arrives at a time, but not for ever."""
    begin, read, sink = time.monotonic(), 0, io.BytesIO()
    with body as raw:  # the library's own `read` waits for whole chunks, for as long as a byte comes now and then
        while read < length:
            part = raw.read1(min(_CHUNK, length - read))
            if not part:
                break
            read += sink.write(part)
            seconds = time.monotonic() - begin
            if seconds > PATIENCE and read < seconds * LEAST_RATE:
                raise BadAnswer(f"an answer comes slower than {LEAST_RATE} bytes a second")
    return sink.getvalue()


def _check_digests(answer: Mapping[str, Any], data: bytes) -> None:
    """Compare the bytes of a whole object with what the server knows of it: a checksum, else an ETag that is one."""
    for name, digest in _DIGESTS.items():
        stated = answer.get(name, "-")
        if "-" not in stated:  # one with a dash is of the pieces of an upload
            if base64.b64decode(stated) != digest(data):
                raise BadAnswer(f"an answer does not fit its {name.removeprefix('Checksum')}")
            return
    etag = answer.get("ETag", "").strip('"')
    encrypted = answer.get("ServerSideEncryption") in _KMS or "SSECustomerAlgorithm" in answer
    if _MD5.fullmatch(etag) and not encrypted and hashlib.md5(data, usedforsecurity=False).hexdigest() != etag:
        raise BadAnswer("an answer does not fit its ETag")
