"""What every request meets first: an id, a place in the count, safe headers, a line in the log, a net below it all."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import logging
import random
import re
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.server.config import ServerConfig
from connector.server.metrics import Metrics
from connector.server.problems import RETRY_AFTER, Problem, response

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_QUIET = frozenset({"/health", "/ready", "/metrics"})  # asked for all day long; logged only when they fail
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# Seconds a request that is put off waits for that answer: refusals of clients that ask again at once would otherwise
# take the time that the accepted requests need. Waiting costs the server nothing.
PAUSE = 0.5
_GONE = 499  # nginx's word for a client that did not wait; never sent
_log = logging.getLogger("connector")


@dataclasses.dataclass
class Standing:
    """Where the server is in its life; written by who stops it, read by every request.

    Attributes:
        draining: no new request is taken.
        until: when what is in hand must be done, on `time.monotonic`; None while nobody has said so.
        in_hand: requests being answered.
    """

    draining: bool = False
    until: float | None = None
    in_hand: int = 0

    def drain(self, seconds: float) -> None:
        """Begin to stop; what is in hand has so long. Asked again, the first answer holds."""
        if not self.draining:
            self.until = time.monotonic() + seconds
            self.draining = True

    def left(self) -> float:
        """Seconds until what is in hand must be done."""
        return 0.0 if self.until is None else max(0.0, self.until - time.monotonic())

    async def quiet(self, seconds: float) -> bool:
        """Wait until no request is being answered, for so long at most; whether that came."""
        end = time.monotonic() + seconds
        while self.in_hand and time.monotonic() < end:
            await asyncio.sleep(0.02)
        return not self.in_hand


class Guard:
    """Around everything else, so that also what goes wrong in other guards has an id and a line in the log."""

    def __init__(self, app: ASGIApp, config: ServerConfig, metrics: Metrics, standing: Standing) -> None:
        self._app = app
        self._config = config
        self._metrics = metrics
        self._standing = standing
        self._headers = dict(_HEADERS)
        if not config.cors_origins:
            self._headers["Cross-Origin-Resource-Policy"] = "same-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        id = headers.get("x-request-id", "")
        if not _SANE_ID.fullmatch(id):
            # Not uuid4: it asks the system, and lets go of the interpreter, which busy threads do not soon give back.
            id = f"{random.getrandbits(128):032x}"  # a name, no secret
        scope.setdefault("state", {})["request_id"] = id
        # Every page that can be had can be asked about; the server itself leaves the body of such an answer out.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 429:
                    await asyncio.sleep(PAUSE)
                self._dress(MutableHeaders(scope=message), id)
            await send(message)

        self._count(1)
        try:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                await self._app(inner, receive, answer)
            else:
                await response(refusal, scope)(scope, receive, answer)
        except asyncio.CancelledError:
            if status:
                raise
            await response(_stopping(), scope)(scope, receive, answer)
        # The last net: whatever it was, the client gets a problem without internals, and the log all of it.
        except Exception:
            _log.exception("%s %s failed", scope["method"], _route(inner), extra={"request_id": id})
            if status:
                raise
            problem = Problem(
                500, "internal", "Something went wrong here. It is in the server's log under this request_id."
            )
            await response(problem, scope)(scope, receive, answer)
        finally:
            self._count(-1)
            self._told(scope["method"], _route(inner), status or _GONE, time.perf_counter() - began, id)

    def _count(self, change: int) -> None:
        self._standing.in_hand += change
        self._metrics.in_hand(self._standing.in_hand)

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        if scope["path"] == "/health":
            return None
        if self._standing.draining:
            return _stopping()
        if self._standing.in_hand > self._config.max_requests:
            return Problem(
                503,
                "overloaded",
                "Too many requests at once. Try again later.",
                headers={"Retry-After": RETRY_AFTER},
            )
        # A key cannot be sent by a page of somebody else; without keys, such pages must be told apart.
        return None if self._config.has_keys else self._foreign(scope["method"], headers)

    def _foreign(self, method: str, headers: Headers) -> Problem | None:
        """A request that a web page of another site makes in the browser of somebody who can reach this server."""
        host = headers.get("host", "")
        if not self._config.insist_public and not _is_local(host, self._config.host):
            return Problem(
                403,
                "host_forbidden",
                "This server listens on this machine only, and is not known by that host name. Use localhost, or set keys.",
            )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if method in _SAFE or origin is None or {origin, "*"} & set(self._config.cors_origins):
            return None
        same = site in ("same-origin", "none") if site else _netloc(origin) == host
        if same:
            return None
        return Problem(
            403,
            "origin_forbidden",
            "Web pages of other origins may not do that. Allow the origin (CONNECTOR_CORS_ORIGINS), or set keys.",
        )

    def _dress(self, headers: MutableHeaders, id: str) -> None:
        headers["X-Request-ID"] = id
        for name, value in self._headers.items():
            headers.setdefault(name, value)

    def _told(self, method: str, route: str, status: int, seconds: float, id: str) -> None:
        self._metrics.request(method, route, status, seconds)
        level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
        if _log.isEnabledFor(level):
            ms = round(seconds * 1000, 1)
            values = {"method": method, "route": route, "status": status, "ms": ms, "request_id": id}
            _log.log(level, "%s %s %d %s ms %s", method, route, status, ms, id, extra=values)


def _stopping() -> Problem:
    return Problem(
        503,
        "stopping",
        "This server is stopping. Ask another one, or try again later.",
        headers={"Retry-After": RETRY_AFTER, "Connection": "close"},
    )


def _route(scope: Scope) -> str:
    """The template of the route: never the path itself, of which there are too many and which may say too much."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _is_local(host: str, own: str) -> bool:
    """Whether a Host header can be this machine's: an address, localhost, or the name it listens on; no header will do."""
    try:
        name = urlsplit(f"//{host}").hostname if host else None
        if name is None or name == "localhost" or name.endswith(".localhost") or name == own.lower():
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
