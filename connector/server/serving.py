"""Running the server in this process: the address, the signals, and an end that comes."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from connector.connector import Connector
from connector.errors import ConnectorError, DataError, OperationalError
from connector.server.app import create_app
from connector.server.config import ServerConfig
from connector.server.connection import PatientProtocol
from connector.server.guard import Standing
from connector.server.heap import settle

KEEP_ALIVE = 30  # seconds a connection may idle between two requests
BACKLOG = 2048
FILES = 65_536  # open ones, sockets included, where the system lets us
LAST = 3.0  # seconds beyond the drain after which nothing is waited for
SWITCH = 0.001  # seconds a thread may keep the interpreter from the event loop
# A picture of one pixel.
_DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNg"
    "AAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="
)

_log = logging.getLogger("connector")


def serve(shop: Connector[Any], config: ServerConfig, announce: Callable[[str], object]) -> None:
    """Serve until a signal says otherwise; `announce` is called with the URL once connections are taken.

    SIGTERM and SIGINT drain: no new request, what is in hand is finished, the rest is told. A second one kills.

    Raises:
        DataError: the address can be reached by others and there is no key, or there is no such address.
        OperationalError: the port is taken, or the store cannot be opened.
    """
    check_public(config)
    _open_folder(shop)
    listener = listen(config)
    _open_more_files()
    sys.setswitchinterval(SWITCH)
    app = create_app(shop, config)
    threading.Thread(target=_warm_up, args=(shop,), name="connector-warm-up", daemon=True).start()
    with contextlib.closing(listener):
        server = server_for(app, config, lambda: announce(url_of(listener)))
        server.run(sockets=[listener])


def check_public(config: ServerConfig) -> None:
    """Refuse to listen where others can reach it, when anybody may do anything.

    Raises:
        DataError: that is so, or there is no such host.
    """
    if config.has_keys or config.insist_public:
        return
    for _, address in _addresses(config):
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise DataError(
                f"--host {config.host}: others can reach it there, and may do anything without a key. "
                "Set CONNECTOR_WRITE_KEYS (and CONNECTOR_READ_KEYS), or insist with --insist-public."
            )


def listen(config: ServerConfig) -> socket.socket:
    """A socket that listens on the first address of the host.

    Raises:
        DataError: there is no such host.
        OperationalError: the port is taken, or is not ours to take.
    """
    family, address = _addresses(config)[0]
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise OperationalError(
            f"Port {config.port} of {config.host} cannot be had: {os.strerror(error.errno or 0)}. "
            "Stop what uses it, or choose another one with --port."
        ) from error


def url_of(listener: socket.socket) -> str:
    """The URL of a socket that listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server, with our signals: the first drains, the second kills, and a drain has an end.

    `ready` is called when it takes requests, and signals.
    """

    def __init__(
        self, config: uvicorn.Config, standing: Standing, limits: ServerConfig, ready: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._standing = standing
        self._limits = limits
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._standing.drain(self._limits.drain_seconds)
        # A thread that computes cannot be stopped from outside, and the interpreter would wait for it.
        last = threading.Timer(self._limits.drain_seconds + LAST, os._exit, (128 + sig,))
        last.daemon = True
        last.start()
        super().handle_exit(sig, frame)


def server_for(app: Any, config: ServerConfig, ready: Callable[[], object] = lambda: None) -> Server:
    """A server of an app of `create_app`; tests run it in a thread."""
    return Server(_uvicorn(app, config), app.state.standing, config, ready)


def _uvicorn(app: Any, config: ServerConfig) -> uvicorn.Config:
    seconds = {"header_seconds": config.header_seconds, "read_seconds": config.body_seconds}
    return uvicorn.Config(
        app,
        http=type("Connection", (PatientProtocol,), seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=config.drain_seconds,  # type: ignore[arg-type]  # it only waits for so long
    )


def _addresses(config: ServerConfig) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(
            config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise DataError(
            f"--host {config.host}: there is no such address here. Write 127.0.0.1, or 0.0.0.0."
        ) from error
    return [(family, address) for family, _, _, _, address in found]


def _open_folder(shop: Connector[Any]) -> None:
    """A folder that another process has open is better known now than at the first search; a server may come up later."""
    if not shop.qdrant.startswith(("http://", "https://")) and shop.store.describe() is not None:
        shop.store.indexed()


def _warm_up(shop: Connector[Any]) -> None:
    """Load the space's own model, so that nobody's first search waits for it; those that come meanwhile do."""
    try:
        if shop.store.describe() is None:
            return
        words = ["warm-up"] if shop.space.model_handler.reads_text else []
        shop.embed_ahead(words, [shop.picture(_DOT)])
    except ConnectorError as error:  # the first search will say it again, to whoever asks
        _log.warning("the model cannot be loaded yet: %s", error)
    settle()


def _open_more_files() -> None:
    """A connection is an open file, and the usual limit of 1,024 is soon reached."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may say no; it is only less room
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
