"""What a Qdrant client raises, read once at the border: refused for good, or worth another try."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import grpc
import httpx
import pydantic
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from connector.errors import StoreUnavailable
from connector.store.retry import Passing, Refused, Retries, retry_after_seconds, within

T = TypeVar("T")

_LONGEST_REASON = 300
_PASSING_STATUSES = {408, 429}
_GRPC_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.UNIMPLEMENTED: 400,
}


class Throttled(StoreUnavailable):
    """The server went on saying "too much" without saying for how long; a smaller request might do."""


class Calls(Protocol):
    """How one call of a client is made: with retries, with a lock, with its errors translated."""

    place: str

    def __call__(self, call: Callable[[], T]) -> T:
        """Return what `call` returns.

        Raises:
            Refused: Qdrant said no for good.
            StoreUnavailable: it did not answer, however often it was asked.
        """
        ...


class ServerCalls:
    """Calls to a server: each try has a deadline, and passing trouble is tried again."""

    def __init__(self, place: str, timeout: float, retries: Retries) -> None:
        self.place = place
        self._timeout = timeout
        self._retries = retries

    def __call__(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, after as many tries as the budget has."""

        def once() -> T:
            try:
                return within(self._timeout, call)
            except (Refused, Passing):
                raise
            # A border: the client lets through what httpx, grpc, json and pydantic raise, besides its own.
            except Exception as error:
                meaning = understand(error)
                if meaning is None:
                    raise
                raise meaning from error

        try:
            return self._retries.run(once)
        except Passing as error:
            kind = Throttled if error.throttled else StoreUnavailable
            raise kind(
                f"Qdrant at {self.place} did not answer as it should, up to {self._retries.attempts} times: "
                f"{error}. Check that it runs and can be reached; nothing is lost; run it again."
            ) from error

    def brief(self) -> ServerCalls:
        """Return calls to the same server that give up within seconds."""
        soon = dataclasses.replace(self._retries, attempts=4, seconds=10.0, cap=1.0, longest_hint=2.0)
        return ServerCalls(self.place, min(self._timeout, 10.0), soon)


class MemoryCalls:
    """Calls to the client's own in-memory engine, which is not made for threads: one at a time."""

    place = ":memory:"

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __call__(self, call: Callable[[], T]) -> T:
        """Return what `call` returns."""
        try:
            with self._lock:
                return call()
        except ValueError as error:
            raise Refused(str(error), 404 if "not found" in str(error) else 400) from error


def raise_for_status(response: httpx.Response) -> None:
    """Raise `Refused` or `Passing` for an answer that is no success; a response hook of httpx.

    Here, before the client sees it, because the client drops a Retry-After that is a date.
    """
    if response.status_code < 300:
        return
    response.read()
    raise _by_status(response.status_code, _reason(response), response.headers.get("retry-after"))


def understand(error: Exception) -> Refused | Passing | None:
    """Return what an error of the client means, or None when it is not about the server."""
    match error:
        case Refused() | Passing():
            return error
        case ResponseHandlingException(source=source):
            return understand(source)
        case ResourceExhaustedResponse(retry_after_s=seconds):
            return Passing(str(error), retry_after=float(seconds))
        case UnexpectedResponse(status_code=status, headers=headers):
            retry_after = headers.get("retry-after") if headers else None
            return _by_status(status or 500, _one_line(str(error)), retry_after)
        case grpc.RpcError():
            return _by_grpc(error)
        case httpx.HTTPError() | pydantic.ValidationError() | QdrantException():
            return Passing(f"{type(error).__name__}: {_one_line(str(error))}")
        case json.JSONDecodeError() | UnicodeDecodeError():
            return Passing("the answer is not JSON; something else may listen there, or a proxy between")
        case AssertionError():
            return Passing("the answer says nothing about the request")
    return None


def _by_status(status: int, reason: str, retry_after: str | None) -> Refused | Passing:
    told = f"{status} {reason}".strip()
    if status in _PASSING_STATUSES or status >= 500:
        seconds = retry_after_seconds(retry_after)
        return Passing(told, retry_after=seconds, throttled=status == 429 and seconds is None)
    return Refused(told, status)


def _by_grpc(error: grpc.RpcError) -> Refused | Passing:
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call) else None) or ""
    told = f"{code.name} {_one_line(details)}".strip()
    if (status := _GRPC_STATUSES.get(code)) is not None:
        return Refused(told, status)
    return Passing(told, throttled=code is grpc.StatusCode.RESOURCE_EXHAUSTED)


def _reason(response: httpx.Response) -> str:
    """What Qdrant says is wrong, or the start of whatever else answered."""
    try:
        return _one_line(str(response.json()["status"]["error"]))
    except (ValueError, KeyError, TypeError):
        return _one_line(response.text)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
