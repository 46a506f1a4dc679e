"""The HTTP of a remote model: one request at a time, tried again where that may help. The engine's one file with httpx.

Answers are returned whatever their status; what they mean is `handlers.remote`'s business. Three statuses mean the same
everywhere and are dealt with here: the key is refused (401, 403), and not now (408, 429, 502, 503, 504).
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import tenacity

from connector.errors import InvalidSpaceParamException, ModelUnavailable

MAX_ANSWER = 64 * 2**20
"""Bytes. The longest answers, 128 vectors of 4,096 numbers, have a sixth of that."""

_NOT_NOW = frozenset({408, 429, 502, 503, 504})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """How long to wait, and for what, in seconds.

    Attributes:
        tries: of a request that finds no server, or gets "not now" without being told for how long.
        first_pause, longest_pause: between those, doubling; a refused connection fails after 3.5 seconds in all.
        patience: of a request that is told when to come back; after that the server counts as overloaded.
        longest_hint: the most that a server can make us wait at once.
        first_look, longest_look: between two looks at a job, growing.
        job: for one job, from posting it to its result. Loading a large model takes minutes.
        look_again: how often to ask whether the server's model is still the same one.
        clock, sleep: what the time is, and how to wait; tests pass their own.
    """

    tries: int = 4
    first_pause: float = 0.5
    longest_pause: float = 10.0
    patience: float = 600.0
    longest_hint: float = 60.0
    first_look: float = 0.005
    longest_look: float = 1.0
    job: float = 600.0
    look_again: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


PACE = Pace()


@dataclasses.dataclass(frozen=True)
class Answer:
    """A server's answer.

    Attributes:
        status: the HTTP status.
        body: what its JSON says; None where it is no JSON.
        said: its reason or its beginning, on one line, for messages.
    """

    status: int
    body: Any
    said: str


class _NotNow(Exception):
    """The server cannot be reached, or cannot take the request now. `wait`: seconds, where it said so."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Wire:
    """Requests to one server. Safe to use from several threads.

    Args:
        base: the server's URL, without a slash at its end.
        key: its API key, sent as a bearer token to this server only: redirects are not followed, proxies of the
            environment are not used. It is in no message and in no log.
    """

    def __init__(self, base: str, key: str | None, pace: Pace) -> None:
        if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
            raise InvalidSpaceParamException(
                "remote_key is no key that HTTP can carry: it is empty, or has characters beyond ASCII."
            )
        self.base, self.pace, self._key = base, pace, key
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(
            base_url=base,
            headers=headers,
            timeout=httpx.Timeout(60.0, connect=3.0),
            follow_redirects=False,
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Wire({self.base!r})"

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None, *, once: str | None = None) -> Answer:
        """Send a request, and again while that may help.

        Args:
            body: what to send as JSON.
            once: a name for this request, so that a server that knows it already does not do it twice.

        Raises:
            ModelUnavailable: the server cannot be reached, is overloaded, refuses the key, or talks no HTTP.
        """
        # Not httpx's own: a lone surrogate cannot be sent as UTF-8, but as an escape.
        content = None if body is None else json.dumps(body).encode("ascii")
        headers = {"Content-Type": "application/json"} if content else {}
        if once:
            headers["Idempotency-Key"] = once
        try:
            answer = self._retrying()(self._once, method, path, content, headers)
        except _NotNow as error:
            raise ModelUnavailable(
                f"The server at {self.base} {error}. Nothing is lost: see that it runs, then start again."
            ) from error
        if answer.status in (401, 403):
            raise ModelUnavailable(
                f"The server at {self.base} refuses the key ({answer.status}: {answer.said}). Give it as "
                "EmbeddingEngineConfig(remote_key=…), or as CONNECTOR_REMOTE_KEY on the command line."
            )
        return answer

    def _retrying(self) -> tenacity.Retrying:
        faults = 0

        def pause(
            state: tenacity.RetryCallState,
        ) -> float:  # tenacity asks for this before it asks for `enough`
            nonlocal faults
            jitter: float = tenacity.wait_random(0, self.pace.first_pause / 2)(state)
            asked = _wait_of(state)
            if asked is not None:
                # On top, so that many clients told the same number do not come back at the same moment.
                return min(asked, self.pace.longest_hint) + jitter
            faults += 1
            doubled: float = self.pace.first_pause * 2.0 ** (faults - 1)
            return min(doubled, self.pace.longest_pause) + jitter

        def enough(state: tenacity.RetryCallState) -> bool:
            if _wait_of(state) is None:
                return faults >= self.pace.tries
            return self.pace.clock() - started >= self.pace.patience

        started = self.pace.clock()
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_NotNow),
            stop=enough,
            wait=pause,
            sleep=self.pace.sleep,
            reraise=True,
        )

    def _once(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            with self._client.stream(method, path, content=content, headers=headers) as response:
                data = self._read(response)
        # A border: no connection, a broken one, a time-out, an answer that is no HTTP; all may pass.
        except httpx.HTTPError as error:
            raise _NotNow(f"cannot be reached ({type(error).__name__}: {self.line(str(error))})") from error
        answer = Answer(response.status_code, _json(data), self._said(data))
        if answer.status in _NOT_NOW:
            wait = _seconds(response.headers.get("Retry-After"))
            raise _NotNow(f"is not ready or overloaded ({answer.status}: {answer.said})", wait)
        return answer

    def _read(self, response: httpx.Response) -> bytes:
        data = bytearray()
        until = self.pace.clock() + 120.0  # the client's time-out starts anew with every byte
        for part in response.iter_bytes():
            data += part
            if len(data) > MAX_ANSWER:
                raise ModelUnavailable(
                    f"The server at {self.base} answers with more than {MAX_ANSWER:,} bytes, which are no vectors. "
                    "Check the model's URL."
                )
            if self.pace.clock() > until:
                raise _NotNow("answers too slowly")
        return bytes(data)

    def _said(self, data: bytes) -> str:
        body = _json(data)
        detail = body.get("detail") if isinstance(body, dict) else None
        return self.line(detail if isinstance(detail, str) else data[:2000].decode("utf-8", "replace"))

    def line(self, text: str) -> str:
        """A server's words on one line of at most 300 characters, without the key."""
        shown = text.replace(self._key, "…") if self._key else text
        return (
            " ".join("".join(c if c.isprintable() else " " for c in shown).split())[:300] or "no reason given"
        )


def _wait_of(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.wait if isinstance(error, _NotNow) else None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # no JSON at all, or nested to break readers
        return None


def _seconds(header: str | None) -> float | None:
    """A Retry-After of whole seconds, which is what this API's servers send; a date is as good as none."""
    text = (header or "").strip()
    return float(text[:9]) if text.isascii() and text.isdigit() else None
