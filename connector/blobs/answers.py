"""What a web server's answer means: its status, its body within the limit, whether and when to ask again."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime

import tenacity

from connector.blobs.policy import BlobPolicy
from connector.errors import BlobForbidden, BlobNotFound, BlobUnreadable

LONGEST_WAIT = 30.0
"""Seconds between two tries. A server that asks for a longer pause is not asked again in this run."""


class PassingFailure(Exception):
    """A try that may go better next time.

    Attributes:
        pause: seconds the server asked to wait, or None.
    """

    def __init__(self, what: str, pause: float | None = None) -> None:
        super().__init__(what)
        self.pause = pause


def check_status(status: int, pause: float | None, name: str) -> None:
    """Return for 200; raise what any other status stands for."""
    if status == 200:
        return
    if status in (404, 410):
        raise BlobNotFound(f"{name} was not found: the server answered {status}. Check the URL.")
    if status in (401, 403, 407, 451):
        raise BlobForbidden(
            f"{name} is refused by its server (status {status}). Use a public or a signed URL."
        )
    if status in (408, 429) or status >= 500:
        raise PassingFailure(f"the server answered {status}", pause)
    raise BlobUnreadable(f"{name}: the server answered {status} and no picture. Check the URL.")


def retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds that Retry-After asks for, in either of its forms (RFC 9110, section 10.2.3), or None.

    A date is taken relative to the server's own Date header, so that a wrong clock on either side does not
    matter.
    """
    value = headers.get(b"retry-after", b"").decode("latin-1").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    asked, now = _date(value), _date(headers.get(b"date", b"").decode("latin-1"))
    if asked is None:
        return None
    return max(0.0, (asked - (now or datetime.datetime.now(datetime.UTC))).total_seconds())


def _date(value: str) -> datetime.datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)


def retrying(retries: int, sleep: Callable[[float], None]) -> tenacity.Retrying:
    """Call again after a `PassingFailure`, up to `retries` times, with full jitter and as late as the
    server asked."""
    jitter = tenacity.wait_random_exponential(multiplier=0.5, max=10)

    def wait(state: tenacity.RetryCallState) -> float:
        return max(jitter(state), _pause(state))

    def stop(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number > retries or _pause(state) > LONGEST_WAIT

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(PassingFailure),
        stop=stop,
        wait=wait,
        sleep=sleep,
        reraise=True,
    )


def _pause(state: tenacity.RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome else None
    return (failure.pause or 0.0) if isinstance(failure, PassingFailure) else 0.0


def read_body(
    chunks: Iterable[bytes], headers: Mapping[bytes, bytes], policy: BlobPolicy, name: str
) -> bytes:
    """The whole body, its content encoding undone; too many bytes are given up on as early as they show."""
    limit = policy.max_bytes
    claimed = headers.get(b"content-length", b"")
    if claimed.isdigit() and int(claimed[:19]) > limit:
        raise policy.too_many_bytes(name)
    encoding = headers.get(b"content-encoding", b"").strip().lower() or b"identity"
    if encoding != b"identity":
        chunks = _inflated(chunks, encoding, limit, name)
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise policy.too_many_bytes(name)
    if not body:
        raise BlobUnreadable(f"{name} is empty: the server sent no bytes. Check the URL.")
    return bytes(body)


def _inflated(chunks: Iterable[bytes], encoding: bytes, limit: int, name: str) -> Iterator[bytes]:
    """Undo gzip or deflate, which some servers apply unasked, never making more than the limit and one
    byte."""
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise BlobUnreadable(
            f"{name} comes with a content encoding that was not asked for. Use another address."
        )
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip and zlib, told by the header
    room = limit + 1
    try:
        for chunk in chunks:
            part = inflater.decompress(chunk, room)
            room -= len(part)
            yield part
            if room == 0:
                return
    except zlib.error as error:
        raise BlobUnreadable(f"{name} comes with a damaged content encoding. Use another address.") from error
    if not inflater.eof:
        raise PassingFailure("the body broke off")
