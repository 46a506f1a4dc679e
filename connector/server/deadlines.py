"""How much of a request is taken, and how long a client and an answer may take."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.server.config import ServerConfig
from connector.server.problems import RETRY_AFTER, Problem, response

STREAMED = "/ingest"  # its body is worked on as it comes, and never held
LEGACY = "/api/legacy/"  # answers when its job is done
# Bytes a second: a body may take body_seconds, and longer only if it comes faster than this; an answer likewise.
SLOWEST = 64 * 1024


class Deadlines:
    """Refuses bodies that are too large (from their header, where it says so), too slow, or too many at once.

    A body that comes is counted while it is read, whatever its header said. The route sees a `Problem` raised by
    `receive`, a stream's after all bytes that were within the limit, and whatever it answers then, the client gets that
    problem.
    """

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self._app = app
        self.config = config
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run(self._app)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, limits: Deadlines, scope: Scope, receive: Receive, send: Send) -> None:
        config, path = limits.config, scope["path"]
        self._limits = limits
        self._scope, self._receive, self._send = scope, receive, send
        self._streamed = path == STREAMED
        self._most = config.max_ingest_bytes if self._streamed else config.max_body_bytes
        self._seconds: float | None = config.request_seconds
        if self._streamed:
            self._seconds = None
        elif path.startswith(LEGACY):
            self._seconds = config.job_seconds + 10  # the job's own deadline has the better message
        self._loop = asyncio.get_running_loop()
        self._deadline = asyncio.timeout(None)
        self._came = 0
        self._held = 0
        self._waited = 0.0
        self._whole = False
        self._started = False
        self._refused: Problem | None = None

    async def run(self, app: ASGIApp) -> None:
        length = Headers(scope=self._scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._most:
            self._refused = self._too_large()
        else:
            await self._answered(app)
        if self._refused is not None and not self._started:
            await response(self._refused, self._scope)(self._scope, self._receive, self._send)

    async def _answered(self, app: ASGIApp) -> None:
        try:
            async with self._deadline:
                self._go_on()
                await app(self._scope, self._take, self._give)
        except TimeoutError:
            if not self._deadline.expired() or self._started:
                raise
            self._refused = Problem(
                503,
                "took_too_long",
                f"Answering took longer than {self._seconds:g} seconds. Ask for less, or try again later.",
                headers={"Retry-After": RETRY_AFTER},
            )
        except Exception:
            # What a route makes of a body that was refused half-way is its own affair.
            if self._refused is None or self._started:
                raise
        finally:
            self._limits.held -= self._held

    def _go_on(self) -> None:
        """The answer's time counts from here: it does not while the client is waited for."""
        when = None if self._seconds is None else self._loop.time() + self._seconds
        if not self._deadline.expired():
            self._deadline.reschedule(when)

    async def _take(self) -> Message:
        if self._refused is not None:
            raise self._refused
        if self._whole:  # what can still come is the news that the client has gone
            return await self._receive()
        began = self._loop.time()
        self._deadline.reschedule(None)
        try:
            async with asyncio.timeout(max(self._patience(), 0)):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse(self._too_slow()) from None
        self._waited += self._loop.time() - began
        self._go_on()
        return self._counted(message) if message["type"] == "http.request" else message

    def _patience(self) -> float:
        """Seconds to wait for more of the body."""
        return self._limits.config.body_seconds + self._came / SLOWEST - self._waited

    def _counted(self, message: Message) -> Message:
        body: bytes = message.get("body", b"")
        room = self._most - self._came
        self._came += len(body)
        if len(body) > room:
            problem = self._refuse(self._too_large())
            if not self._streamed:
                raise problem
            # How much comes at a time is the network's affair: what a stream has room for is taken, then it is refused.
            return {**message, "body": body[:room], "more_body": True}
        if not self._streamed:
            self._hold(len(body))
        self._whole = not message.get("more_body", False)
        return message

    def _hold(self, size: int) -> None:
        self._held += size
        self._limits.held += size
        if self._limits.held > self._limits.config.max_held_bytes:
            raise self._refuse(
                Problem(
                    429,
                    "too_many_bytes",
                    "Too many large requests at once. Try again later.",
                    headers={"Retry-After": RETRY_AFTER},
                )
            )

    async def _give(self, message: Message) -> None:
        if self._refused is not None and not self._started:
            return
        self._started = True
        await self._send(message)

    def _refuse(self, problem: Problem) -> Problem:
        self._refused = problem
        return problem

    def _too_large(self) -> Problem:
        return Problem(
            413, "body_too_large", f"The body is larger than {self._most:,} bytes. Send less at once."
        )

    def _too_slow(self) -> Problem:
        seconds = self._limits.config.body_seconds
        return Problem(
            408,
            "body_slow",
            f"No whole body came within {seconds:g} seconds. Send it faster, or in parts.",
            headers={"Connection": "close"},
        )
