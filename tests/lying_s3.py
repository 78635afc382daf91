"""An S3 server that lies: a proxy whose answers look whole and are not the object's bytes."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.s3_proxy import Headers, ProxyHandler, ProxyServer, running

LIES = ("half", "flip", "no range", "drip", "no token", "lacking", "slow listing", "no condition")
"""Half a body with a length that matches; a bit turned around; all of the object for a range; a byte now and then; a
listing that goes on nowhere; one without an object that is there; one of which a byte comes now and then; a put in
spite of its condition."""
DRIP = 0.1  # seconds between two bytes


class LyingS3(ProxyServer):
    """Stands before an S3 server, and lies as often as it is asked to about keys that end in `about`."""

    def __init__(self, behind: str) -> None:
        super().__init__(behind, _Handler)
        self.lie, self.left, self.about = "", 0, ""
        self.checksums = True  # whether it passes the server's checksums on
        self.requests: Counter[str] = Counter()  # by method

    def tell(self, lie: str, times: int = 1 << 30, about: str = "") -> None:
        assert lie in LIES
        self.lie, self.left, self.about = lie, times, about


class _Handler(ProxyHandler):
    server: LyingS3

    def pass_on(self, body: bytes) -> None:
        listing = "list-type=2" in self.path
        self.server.requests["LIST" if listing else self.command] += 1
        lie = self._lie(listing)
        without = {"no range": ("range",), "no condition": ("if-none-match",)}.get(lie, ())
        status, headers, answer = self.ask(body, without)
        if not self.server.checksums:
            headers = [(name, value) for name, value in headers if not name.lower().startswith("x-amz-checksum")]
        if lie in ("no token", "lacking"):
            answer = _listing(answer, lie)
        elif lie == "half":
            answer = answer[: len(answer) // 2]
        elif lie == "flip":
            middle = len(answer) // 2
            answer = answer[:middle] + bytes([answer[middle] ^ 1]) + answer[middle + 1 :]
        self._answer(status, headers, answer, DRIP if lie in ("drip", "slow listing") else 0.0)

    def _lie(self, listing: bool) -> str:
        """The lie that this request hears, if any."""
        lie = self.server.lie
        fits = {
            "no token": listing, "lacking": listing, "slow listing": listing, "no condition": self.command == "PUT",
            "no range": "Range" in self.headers,
        }.get(lie, self.command == "GET" and not listing)  # fmt: skip
        path = self.path.partition("?")[0]
        if not lie or not fits or not (listing or path.endswith(self.server.about)) or self.server.left == 0:
            return ""
        self.server.left -= 1
        return lie

    def _answer(self, status: int, headers: Headers, answer: bytes, pause: float) -> None:
        self.begin(status, headers, len(answer))
        if not pause:
            self.wfile.write(answer)
            return
        for byte in answer:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)


def _listing(answer: bytes, lie: str) -> bytes:
    if lie == "no token":
        return answer.replace(b"<IsTruncated>false", b"<IsTruncated>true")
    return re.sub(rb"<Contents>.*?</Contents>", b"", answer, count=1, flags=re.DOTALL)


@contextmanager
def lying(behind: str) -> Iterator[LyingS3]:
    """A server before the one at `behind` that lies once it is asked to."""
    server = LyingS3(behind)
    with running(server):
        yield server
