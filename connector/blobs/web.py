"""Fetching over http(s): every hop is checked, and the address that was checked is the one connected to.

Name look-up happens once a hop, inside the connection's own opening (`_CheckedBackend.connect_tcp`), so
nothing can change between the check and the use (DNS rebinding). The name stays in the Host header and in
TLS. Proxies from the environment, .netrc and cookies are not used: httpcore knows none of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar

import httpcore

from connector.blobs.addresses import why_not_public
from connector.blobs.answers import PassingFailure, check_status, read_body, retry_after, retrying
from connector.blobs.names import NAMES
from connector.blobs.policy import BlobPolicy
from connector.blobs.stamps import WebStamp, place_of, web_stamp
from connector.blobs.urls import WebUrl, parse_url, redirected
from connector.errors import BlobForbidden, BlobNotFound, BlobUnavailable

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_ADDRESSES = 4
"""How many of a host's addresses are tried before giving up."""
_KEPT_OPEN = 15.0
"""Seconds an idle connection is kept for the next picture of the same host."""

Body = tuple[bytes, str | None]
"""What a server sent, and its stamp."""


def dial(address: str, port: int, timeout: float) -> httpcore.NetworkStream:
    """Connect to an address (never a name) within `timeout` seconds."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout=timeout)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The trusted certificates (certifi's and the system's); reading them takes longer than many a picture."""
    return httpcore.default_ssl_context()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wire:
    """The four ways in which fetching touches the world; tests put their own here."""

    resolve: Callable[[str, int, float], Sequence[str]] = NAMES.addresses
    dial: Callable[[str, int, float], httpcore.NetworkStream] = dial
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Web:
    """A pool of connections under one policy; may be used by several threads at once."""

    def __init__(self, policy: BlobPolicy, wire: Wire) -> None:
        self._policy = policy
        self._wire = wire
        self._deadline = _Deadline(wire.clock)
        self._slots = _Slots(policy.max_connections, policy.max_connections_per_host)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(),
            max_connections=policy.max_connections,
            keepalive_expiry=_KEPT_OPEN,
            network_backend=_CheckedBackend(policy, wire, self._deadline),
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def read(self, url: str, name: str, unless: str | None = None) -> Body | None:
        """The body a URL answers with, after redirects and retries, and its stamp; None where the server that
        gave the stamp `unless` answers that nothing has changed. `name` is how messages call the blob.

        Raises `BlobForbidden`, `BlobNotFound`, `BlobTooLarge`, `BlobUnreadable`, or, when every try met a
        passing failure, `BlobUnavailable`.
        """
        start = parse_url(url, self._policy, name)
        known = WebStamp.parse(unless)
        try:
            return retrying(self._policy.retries, self._wire.sleep)(self._follow, start, name, known)
        except PassingFailure as failure:
            raise BlobUnavailable(f"{name} could not be fetched: {failure}. Try again later.") from failure

    def _follow(self, url: WebUrl, name: str, known: WebStamp | None) -> Body | None:
        """One try: the hops from `url` to a body, within one deadline."""
        for hop in range(self._policy.max_redirects + 1):
            place = place_of(str(url)) if hop else ""
            with self._slots.of(url.host):
                if hop == 0:  # waiting for a free connection is not the server's fault
                    self._deadline.start(self._policy.total_seconds)
                answer = self._ask(url, name, place, known if known and known.place == place else None)
            if not isinstance(answer, WebUrl):
                return answer
            url = answer
        raise BlobForbidden(
            f"{name} redirects more than {self._policy.max_redirects} times. Use the picture's final URL."
        )

    def _ask(self, url: WebUrl, name: str, place: str, known: WebStamp | None) -> Body | WebUrl | None:
        """One request: the body and its stamp, where a redirect leads, or None for what `known` says already."""
        condition = known.condition if known else {}
        try:
            with self._pool.stream(
                "GET",
                httpcore.URL(
                    scheme=url.scheme.encode(),
                    host=url.host.encode(),
                    port=url.port,
                    target=url.target.encode(),
                ),
                headers={
                    "Host": url.host_header,
                    "Accept": "image/*, */*;q=0.5",
                    "Accept-Encoding": "identity",
                    "User-Agent": "qdrant-image-connector",
                    **condition,
                },
            ) as response:
                headers = {key.lower(): value for key, value in response.headers}
                if response.status in _REDIRECTS:
                    return redirected(url, headers.get(b"location"), self._policy, name)
                if response.status == 304 and condition:
                    response.read()  # it has no body, and once that is known the connection serves the next
                    return None
                check_status(response.status, retry_after(headers), name)
                if known and known.answered_by(headers):
                    return None
                return read_body(response.iter_stream(), headers, self._policy, name), web_stamp(
                    headers, place
                )
        except AddressRefused as refused:
            raise BlobForbidden(
                f"{name} leads to {refused}. Only public addresses are fetched from, unless "
                f"BlobPolicy(allow_private_addresses=True)."
            ) from None
        except _NoSuchHost:
            raise BlobNotFound(f"{name} was not found: there is no host {url.host}. Check the URL.") from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _explained(error, url, name) from error


def _explained(error: Exception, url: WebUrl, name: str) -> BlobForbidden | PassingFailure:
    # httpcore clears __cause__ and keeps the original as the first argument.
    origin = error.args[0] if error.args else None
    if isinstance(origin, ssl.SSLCertVerificationError):
        return BlobForbidden(
            f"{name}: the certificate of {url.host} is not trusted ({origin.verify_message})."
        )
    if isinstance(error, _NotLookedUp):
        return PassingFailure(f"no name server said in time where {url.host} is")
    if isinstance(error, httpcore.TimeoutException):
        return PassingFailure(f"{url.host} took too long")
    return PassingFailure(f"the connection to {url.host} failed ({type(error).__name__})")


class AddressRefused(Exception):
    """A host's address is not public. Raised under httpcore, which passes on what it does not know."""


class _NoSuchHost(Exception):
    """The name does not exist, as opposed to: nobody could be asked."""


class _NotLookedUp(httpcore.ConnectTimeout):
    """Nobody said in time where the name leads."""


class _CheckedBackend(httpcore.NetworkBackend):
    """Opens connections: looks the host up once, refuses it if any answer is not public, dials what was
    checked."""

    _NO_SUCH_HOST: ClassVar = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))

    def __init__(self, policy: BlobPolicy, wire: Wire, deadline: _Deadline) -> None:
        self._policy = policy
        self._wire = wire
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to `host`; the other parameters are httpcore's, the time left is the policy's."""
        failure: Exception = httpcore.ConnectError(f"no address for {host}")
        for address in self._checked_addresses(host, port)[:_MOST_ADDRESSES]:
            try:
                stream = self._wire.dial(address, port, self._deadline.left(self._policy.connect_seconds))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._addresses(host, port)
        except TimeoutError as error:
            raise _NotLookedUp from error
        except socket.gaierror as error:
            if error.errno in self._NO_SUCH_HOST:
                raise _NoSuchHost from error
            raise httpcore.ConnectError(error) from error
        if not self._policy.allow_private_addresses:
            for address in addresses:
                if why := why_not_public(address):
                    # The address itself stays unsaid: it may be a secret of the inner network.
                    raise AddressRefused(f"an address of {host} that is not public ({why})")
        return list(addresses)

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        if why_not_public(host) != "no internet address":
            return [host]  # it is one already
        return self._wire.resolve(host, port, self._deadline.left(self._policy.connect_seconds))


class _Deadline(threading.local):
    """When the try that this thread is at must end; connections are shared, deadlines are not."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends = math.inf

    def start(self, seconds: float) -> None:
        self._ends = self._clock() + seconds

    def left(self, most: float = math.inf) -> float:
        """Seconds left, at most `most`; none left is a time-out."""
        left = min(self._ends - self._clock(), most)
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return left


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every single wait ends with the whole try: a server dripping bytes gains
    nothing."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _Slots:
    """How many requests may be under way, in all and for one host."""

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, host: str) -> Iterator[None]:
        """Wait for a place for `host` and hold it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._taken.total() < self._total and self._taken[host] < self._per_host
            )
            self._taken[host] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[host] -= 1
                if not self._taken[host]:
                    del self._taken[host]  # hosts seen are not remembered
                self._changed.notify_all()
