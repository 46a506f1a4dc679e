"""Two ends of the wire for tests: a real HTTP server on loopback, and connections that are only played."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore

from connector.blobs.web import Wire

Answer = Callable[[BaseHTTPRequestHandler], None]


class LoopbackServer:
    """A server on 127.0.0.1 whose paths are answered by functions; `requests` lists the paths asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.peers: set[object] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                outer.headers.append({key.lower(): value for key, value in self.headers.items()})
                outer.peers.add(self.client_address)
                answers = outer.answers.get(self.path.partition("?")[0], [status(404)])
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            do_POST = do_GET  # noqa: N815  http.server's own name

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def on(self, path: str, *answers: Answer) -> str:
        """Answer `path` with each of `answers` in turn, the last one for ever; returns its URL."""
        self.answers[path] = list(answers)
        return self.url(path)

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def body(data: bytes, content_type: str = "image/jpeg", **headers: str) -> Answer:
    """200 with a body; header names are given with underscores."""
    return status(200, data, content_type=content_type, **headers)


def status(code: int, data: bytes = b"", **headers: str) -> Answer:
    """Any status."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            if name == "date":  # the server has already written its own
                handler._headers_buffer = [  # type: ignore[attr-defined]
                    line
                    for line in handler._headers_buffer  # type: ignore[attr-defined]
                    if not line.lower().startswith(b"date:")
                ]
            handler.send_header(name.replace("_", "-"), value)
        if "content_length" not in headers:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        with contextlib.suppress(OSError):  # the client may have had enough
            handler.wfile.write(data)
            handler.wfile.flush()

    return answer


def redirect(location: str, code: int = 302) -> Answer:
    """A redirect."""
    return status(code, location=location)


def unless_same(data: bytes, **validators: str) -> Answer:
    """A server that honours conditions: 304 where one it is asked with is among `validators`, else the body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = (handler.headers["If-None-Match"], handler.headers["If-Modified-Since"])
        same = any(value in validators.values() for value in asked if value)
        (status(304, b"", **validators) if same else body(data, "image/jpeg", **validators))(handler)

    return answer


def raw(data: bytes) -> Answer:
    """These bytes, then the end of the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(data)
            handler.wfile.flush()
        handler.close_connection = True

    return answer


class PlayedStream(httpcore.NetworkStream):
    """A connection that answers with prepared pieces; each read moves the clock on by `seconds`."""

    def __init__(self, pieces: Iterator[bytes], seconds: float = 0.0, clock: Clock | None = None) -> None:
        self._pieces = pieces
        self._seconds = seconds
        self._clock = clock
        self.written = b""
        self.tls_name: str | None = None
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        if self._clock:
            self._clock.now += self._seconds
        return next(self._pieces, b"")

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.written += buffer

    def close(self) -> None:
        pass

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self.tls_name = server_hostname
        return self


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A stubbed network: names with addresses, one played answer for everybody, and a record of who was dialled."""

    def __init__(
        self, names: Mapping[str, Sequence[str]], pieces: Sequence[bytes] = (), seconds: float = 0.0
    ) -> None:
        self.names = names
        self.clock = Clock()
        self.looked_up: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.slept: list[float] = []
        self.streams: list[PlayedStream] = []
        self._pieces = pieces
        self._seconds = seconds

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[str]:
        self.looked_up.append(host)
        return self.names.get(host, ())

    def dial(self, address: str, port: int, timeout: float) -> httpcore.NetworkStream:
        self.dialled.append((address, port))
        self.streams.append(PlayedStream(iter(self._pieces), self._seconds, self.clock))
        return self.streams[-1]

    @property
    def wire(self) -> Wire:
        return Wire(resolve=self.resolve, dial=self.dial, sleep=self.slept.append, clock=self.clock)


def played(data: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n") -> list[bytes]:
    """A whole answer, in one piece."""
    return [head + b"Content-Length: %d\r\n\r\n" % len(data) + data]
