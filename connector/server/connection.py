"""A connection that does not wait for ever: uvicorn's own HTTP protocol, which gives up late headers and slow readers.

uvicorn waits without end for the rest of a header, for the first byte of a connection, and for a client that does not
read its answer. What it does well (the keep-alive of idle connections, bodies one piece at a time) stays its affair.
"""

from __future__ import annotations

import asyncio
import http
import json
import socket
import struct
import sys
import uuid

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from connector.server.deadlines import SLOWEST

if sys.platform == "linux":
    import fcntl
    import termios

LONGEST_HEADER = 64 * 1024  # bytes of one request's header


class PatientProtocol(HttpToolsProtocol):
    """One connection. Subclasses set the seconds.

    A connection is *idle* while no request of it is being answered. Whatever arrives then, or does not, a whole header
    must have come when `header_seconds` have passed; the rest of a body that nobody wanted counts as idling, too.
    A client may take its time with an answer, but must read it as fast as a body must come.
    """

    header_seconds = 10.0
    read_seconds = 30.0  # between two looks at how much a client has read of what is ready for it

    _header_timer: asyncio.TimerHandle | None = None
    _reading_timer: asyncio.TimerHandle | None = None
    _in_header = False
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        self._stop_reading_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_header:
            self._header_bytes += len(data)
            if self._header_bytes > LONGEST_HEADER:
                self._refuse(431, "header_too_large", f"The header is larger than {LONGEST_HEADER:,} bytes.")
        self._watch()

    def on_message_begin(self) -> None:
        self._in_header, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_header = False
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        self._stop_reading_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered in the shape of all other problems."""
        self._refuse(400, "bad_request", msg)

    def _watch(self) -> None:
        """Start or stop the clock of an idle connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if self.transport.is_closing() or (cycle is not None and not cycle.response_complete):
            self._stop_header_timer()
        elif self._header_timer is None and self.timeout_keep_alive_task is None:
            self._header_timer = self.loop.call_later(self.header_seconds, self._give_up)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer without an application, and close."""
        if self.transport.is_closing():
            return
        body = json.dumps(
            {
                "type": "about:blank",
                "title": http.HTTPStatus(status).phrase,
                "status": status,
                "detail": detail,
                "code": code,
                "request_id": uuid.uuid4().hex,
            }
        ).encode()
        lines = (
            f"HTTP/1.1 {status} Refused",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            "connection: close",
        )
        self.transport.write("\r\n".join((*lines, "", "")).encode() + body)
        self.transport.close()
        # A client that does not read is not waited for either.
        self._watch_reader()

    def _give_up(self) -> None:
        self._header_timer = None
        self.transport.abort()

    def _watch_reader(self) -> None:
        """See in `read_seconds` how much the client has read by then."""
        if self._reading_timer is None:
            self._reading_timer = self.loop.call_later(
                self.read_seconds, self._look_at_reader, _unread(self.transport)
            )

    def _look_at_reader(self, before: int) -> None:
        """Give up a client that has read too little since so many bytes were left; look again at one that reads.

        A byte now and then would keep a connection, and what is ready for it, for days.
        """
        self._reading_timer = None
        if before - _unread(self.transport) < SLOWEST * self.read_seconds:
            self._give_up_reader()
        else:
            self._watch_reader()

    def _give_up_reader(self) -> None:
        # A reset: otherwise the system itself would go on holding what the client does not read.
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not `close`, which waits for a client to read what is left.
        self.transport.abort()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None


def _unread(transport: asyncio.Transport) -> int:
    """Bytes that have not arrived at the client, those that the system holds for it included.

    Where the system does not tell, only ours are counted; it takes them a megabyte at a time, which is less fair to slow
    clients.
    """
    ours = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if sys.platform != "linux" or connection is None:
        return ours
    (held,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))
    return ours + int(held)
