"""An S3 server on a bad day: a proxy that fails some requests, breaks off some answers and dawdles over others."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.s3_proxy import Headers, ProxyHandler, ProxyServer, running

FAULTS = ("error", "busy", "reset", "lost", "cut", "slow")
"""500; 503; the connection reset before the request is passed on, or after it; half an answer; a late one."""
SLOW = (0.5, 2.0)  # seconds


class FlakyS3(ProxyServer):
    """Stands before an S3 server. Whether the n-th request for one object is struck follows from the seed."""

    def __init__(self, behind: str, *, share: float, seed: int) -> None:
        super().__init__(behind, _Handler)
        self.faults: Counter[str] = Counter()
        self._share, self._seed, self._struck = share, seed, 0
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def fate(self, request: str) -> tuple[str, float]:
        """What becomes of this request, and how late a late one is."""
        with self._lock:
            self._asked[request] += 1
            draw = random.Random(f"{self._seed} {request} {self._asked[request]}")
            # The kinds come in turn, so that each is met however few the requests are.
            fault = FAULTS[self._struck % len(FAULTS)] if draw.random() < self._share else "none"
            self._struck += fault != "none"
            self.faults[fault] += 1
        return fault, draw.uniform(*SLOW)


class _Handler(ProxyHandler):
    server: FlakyS3

    def pass_on(self, body: bytes) -> None:
        fault, seconds = self.server.fate(f"{self.command} {self.path} {self.headers.get('Range')}")
        if fault == "error":
            self._refuse(500, "InternalError")
        elif fault == "busy":
            self._refuse(503, "SlowDown")
        elif fault == "reset":
            self.hang_up()
        else:
            if fault == "slow":
                time.sleep(seconds)
            status, headers, answer = self.ask(body)
            if fault == "lost" or (fault == "cut" and not answer):
                self.hang_up()
            else:
                self._answer(status, headers, answer, cut=fault == "cut")

    def _answer(self, status: int, headers: Headers, answer: bytes, *, cut: bool) -> None:
        self.begin(status, headers, len(answer))
        self.wfile.write(answer[: len(answer) // 2] if cut else answer)
        if cut:
            self.hang_up()

    def _refuse(self, status: int, code: str) -> None:
        answer = f"<Error><Code>{code}</Code><Message>a bad day</Message></Error>".encode()
        self._answer(
            status, [("Content-Type", "application/xml")], b"" if self.command == "HEAD" else answer, cut=False
        )


@contextmanager
def flaky(behind: str, *, share: float = 0.05, seed: int = 0) -> Iterator[FlakyS3]:
    """A flaky server before the one at `behind`, for as long as it is needed."""
    server = FlakyS3(behind, share=share, seed=seed)
    with running(server):
        yield server
