"""API keys: who may read, who may write, and what is open to everybody."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.server.config import ServerConfig
from connector.server.page.routes import FILES as PAGE
from connector.server.problems import Problem, response

OPEN = frozenset({"/health", "/ready", *PAGE})
_JOBS = ("/api/tasks/", "/api/legacy/tasks/")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Right(enum.IntEnum):
    """What a request needs, and what a key gives; more includes less."""

    NONE = 0
    READ = 1
    WRITE = 2


def needed(method: str, path: str) -> Right:
    """What a request needs.

    Searching and handing in jobs change nothing that lasts; stopping a model, ingesting and deleting do.
    """
    path = path.rstrip("/") or "/"
    if method in _SAFE:
        return Right.NONE if path in OPEN else Right.READ
    if method == "POST" and (path == "/search" or path.startswith(_JOBS)):
        return Right.READ
    return Right.WRITE


class Keys:
    """Lets a request pass whose key gives what it needs; without any key in the configuration, every one.

    A key comes as `Authorization: Bearer …` or as `X-API-Key: …`. Compared is its digest, with all known ones, so
    that neither its length nor how much of it is right shows in the time.
    """

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self._app = app
        self._known = [(_digest(key), Right.READ) for key in config.read_keys] + [
            (_digest(key), Right.WRITE) for key in config.write_keys
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._known:
            refusal = self._refusal(needed(scope["method"], scope["path"]), Headers(scope=scope))
            if refusal is not None:
                await response(refusal, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, need: Right, headers: Headers) -> Problem | None:
        if need is Right.NONE:
            return None
        offered = list(_offered(headers))
        right = max((self._right(key) for key in offered), default=Right.NONE)
        if right >= need:
            return None
        if right is Right.NONE:
            code, what = (
                ("key_unknown", "This key is not known") if offered else ("key_missing", "A key is needed")
            )
            return Problem(
                401,
                code,
                f"{what} here. Send one as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
                headers={"WWW-Authenticate": 'Bearer realm="connector"'},
            )
        return Problem(403, "key_reads_only", "This key may only read. Ask for one that may write.")

    def _right(self, key: str) -> Right:
        digest, right = _digest(key), Right.NONE
        for known, gives in self._known:  # all of them, whichever fits
            if hmac.compare_digest(digest, known):
                right = max(right, gives)
        return right


def _offered(headers: Headers) -> Iterable[str]:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        yield credentials.strip()
    if key := headers.get("x-api-key", "").strip():
        yield key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
