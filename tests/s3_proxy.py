"""A proxy before an S3 server: what a test's handler does to requests and answers on their way."""

import http.client
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Headers = list[tuple[str, str]]
OWN = ("connection", "transfer-encoding", "date", "server")  # headers of one connection, not of the answer


class ProxyServer(ThreadingHTTPServer):
    """Stands before an S3 server."""

    daemon_threads = True

    def __init__(self, behind: str, handler: type["ProxyHandler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.behind = urlsplit(behind).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, as one may whose answer was late."""


class ProxyHandler(BaseHTTPRequestHandler):
    """Passes requests on, and answers back; a subclass says in `pass_on` what else becomes of them."""

    protocol_version = "HTTP/1.1"

    def pass_on(self, body: bytes) -> None:
        """Answer a request."""
        raise NotImplementedError

    def _take(self) -> None:
        assert "Transfer-Encoding" not in self.headers, "a body without a length is not passed on"
        self.pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _take  # noqa: N815 - the library's names

    def ask(self, body: bytes, without: tuple[str, ...] = ()) -> tuple[int, Headers, bytes]:
        """The real server's answer to the request, or to the one without some headers. The host stays as signed."""
        assert isinstance(self.server, ProxyServer)
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect", *without):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def begin(self, status: int, headers: Headers, length: int) -> None:
        """Send an answer's head."""
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in (*OWN, "content-length"):
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        self.send_header("Content-Length", lengths[0] if self.command == "HEAD" and lengths else str(length))
        self.end_headers()

    def hang_up(self) -> None:
        """Closes the connection with a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: tests tell by what comes out."""


@contextmanager
def running(server: ProxyServer) -> Iterator[None]:
    """The server at work."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
