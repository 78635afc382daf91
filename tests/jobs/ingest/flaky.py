"""An S3 server on a bad day: a proxy that fails some requests, breaks off some answers and dawdles over others."""

import http.client
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("error", "busy", "reset", "lost", "cut", "slow")
"""500; 503; the connection reset before the request is passed on, or after it; half an answer; a late one."""
SLOW = (0.5, 2.0)  # seconds
OWN = ("connection", "transfer-encoding", "date", "server")  # headers of one connection, not of the answer


class FlakyS3(ThreadingHTTPServer):
    """Stands before an S3 server. Whether the n-th request for one object is struck follows from the seed."""

    daemon_threads = True

    def __init__(self, behind: str, *, share: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(behind).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
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

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, as one may whose answer was late."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyS3

    def _pass_on(self) -> None:
        assert "Transfer-Encoding" not in self.headers, "a body without a length is not passed on"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault, seconds = self.server.fate(f"{self.command} {self.path} {self.headers.get('Range')}")
        if fault == "error":
            self._refuse(500, "InternalError")
        elif fault == "busy":
            self._refuse(503, "SlowDown")
        elif fault == "reset":
            self._hang_up()
        else:
            if fault == "slow":
                time.sleep(seconds)
            status, headers, answer = self._ask(body)
            if fault == "lost" or (fault == "cut" and not answer):
                self._hang_up()
            else:
                self._answer(status, headers, answer, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - the library's names

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """The real server's answer. The host's name stays the one that was signed."""
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], answer: bytes, *, cut: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in (*OWN, "content-length"):
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        self.send_header("Content-Length", lengths[0] if self.command == "HEAD" and lengths else str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 2] if cut else answer)
        if cut:
            self._hang_up()

    def _refuse(self, status: int, code: str) -> None:
        answer = f"<Error><Code>{code}</Code><Message>a bad day</Message></Error>".encode()
        self._answer(
            status, [("Content-Type", "application/xml")], b"" if self.command == "HEAD" else answer, cut=False
        )

    def _hang_up(self) -> None:
        """Closes the connection with a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: tests tell by what comes out."""


@contextmanager
def flaky(behind: str, *, share: float = 0.05, seed: int = 0) -> Iterator[FlakyS3]:
    """A flaky server before the one at `behind`, for as long as it is needed."""
    with FlakyS3(behind, share=share, seed=seed) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
