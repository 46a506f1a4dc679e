"""Fetching over http(s): no private address is ever dialled, nothing waits for ever, nothing grows without limit."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest

from connector.blobs import BlobFetcher, BlobPolicy
from connector.blobs.web import Wire, dial
from connector.errors import BlobForbidden, BlobNotFound, BlobTooLarge, BlobUnavailable, BlobUnreadable
from tests.blobs.servers import (
    Clock,
    LoopbackServer,
    PlayedStream,
    World,
    body,
    played,
    raw,
    redirect,
    status,
)

PRIVATE = "127.0.0.1 10.0.0.1 172.16.5.5 192.168.1.1 169.254.169.254 100.100.100.200 168.63.129.16 0.0.0.0 224.0.0.1 255.255.255.255 192.0.0.192 198.18.0.1 203.0.113.9".split()  # noqa: SIM905
PRIVATE_6 = "::1 :: ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::7f00:1 64:ff9b::7f00:1 64:ff9b:1::a00:1 2002:7f00:1:: 2001:0:4136:e378:8000:63bf:80ff:fffe 2001:470:1:2:0:5efe:a00:1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 2001:db8::1 3fff::1".split()  # noqa: SIM905

NAMES = {
    "public.example": ("93.184.215.14",),
    "half.example": ("93.184.215.14", "10.0.0.1"),
    "half6.example": ("2606:4700::1111", "::1"),
    "empty.example": (),
    "odd.example": ("not-an-address",),
    **{f"p{at}.example": (address,) for at, address in enumerate(PRIVATE + PRIVATE_6)},
    "localhost": ("127.0.0.1",),
    "metadata.google.internal": ("169.254.169.254",),
    "2130706433": ("127.0.0.1",),
    "127.1": ("127.0.0.1",),
    "0x7f.1": ("127.0.0.1",),
    "017700000001": ("127.0.0.1",),
}
HOSTILE = [
    *(f"{scheme}://{address}/a.jpg" for address in PRIVATE for scheme in ("http", "https")),
    *(f"http://[{address}]/a.jpg" for address in PRIVATE_6),
    *(f"http://{address}:8080/" for address in PRIVATE),
    *(f"https://p{at}.example/" for at in range(len(PRIVATE + PRIVATE_6))),
    "http://half.example/",
    "http://half6.example/",
    "http://odd.example/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://2130706433/",
    "http://127.1/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://public.example:22/",
    "http://public.example:6379/",
    "http://public.example:9200/",
    "http://public.example:65536/",
    "http://user@public.example/",
    "http://public.example@127.0.0.1/",
    "http://127.0.0.1\\@public.example/",
    "http://public.example#@127.0.0.1:22/ /",
    "http://public.example/\r\nX: y",
    "http://[::ffff:7f00:1]/",
    "http://[::1%25lo]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "ftp://public.example/",
    "gopher://public.example/",
    "dict://public.example:80/",
    "URL:http://public.example/",
]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def local(server: LoopbackServer, slept: list[float] | None = None, **policy: Any) -> BlobFetcher:
    """A fetcher that may reach the loopback server and never really sleeps."""
    wire = Wire(sleep=(slept if slept is not None else []).append)
    return BlobFetcher(BlobPolicy(allow_private_addresses=True, **policy), wire=wire)


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 100


@pytest.mark.parametrize("url", HOSTILE)
def test_no_hostile_url_reaches_dial(url: str) -> None:
    world = World(NAMES, played(b"reached"))
    with BlobFetcher(wire=world.wire) as blobs, pytest.raises(BlobForbidden) as caught:
        blobs.fetch(url)
    assert world.dialled == []
    assert str(caught.value).startswith("'")


@pytest.mark.parametrize("url", [url for url in HOSTILE if url.startswith("http")])
def test_no_redirect_to_a_hostile_url_reaches_dial(url: str) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: " + url.encode() + b"\r\n"
    world = World(NAMES, played(b"", head))
    refused = (BlobForbidden, BlobUnavailable)  # some of these headers are refused by h11 already
    with BlobFetcher(BlobPolicy(retries=0), wire=world.wire) as blobs, pytest.raises(refused):
        blobs.fetch("http://public.example/")
    assert set(world.dialled) == {("93.184.215.14", 80)}


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("http://public.example/a.jpg", ("93.184.215.14", 80)),
        ("http://93.184.215.14:8080/a.jpg", ("93.184.215.14", 8080)),
        ("http://[2606:4700::1111]/a.jpg", ("2606:4700::1111", 80)),
    ],
)
def test_public_addresses_are_dialled(url: str, dialled: tuple[str, int]) -> None:
    world = World(NAMES, played(b"data"))
    with BlobFetcher(wire=world.wire) as blobs:
        assert blobs.fetch(url).data == b"data"
    assert world.dialled == [dialled]


def test_one_look_up_and_the_checked_address_is_dialled() -> None:
    """A name server that changes its answer (DNS rebinding) is asked once only."""
    world = World(NAMES, played(b"data"))
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    wire = Wire(resolve=lambda *_: next(answers), dial=world.dial, clock=world.clock)
    with BlobFetcher(wire=wire) as blobs:
        assert blobs.fetch("http://rebinding.example/").data == b"data"
    assert world.dialled == [("93.184.215.14", 80)]


def test_the_name_stays_in_tls_and_host() -> None:
    world = World(NAMES, played(b"data"))
    with BlobFetcher(wire=world.wire) as blobs:
        blobs.fetch("https://public.example/a.jpg?q=1#f")
    (stream,) = world.streams
    assert world.dialled == [("93.184.215.14", 443)]
    assert stream.tls_name == "public.example"
    request = stream.written.decode()
    assert request.startswith("GET /a.jpg?q=1 HTTP/1.1\r\n")
    assert "Host: public.example\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    world = World({"two.example": ("2606:4700::1111", "93.184.215.14")}, played(b"data"))

    def no_ipv6(address: str, port: int, timeout: float) -> httpcore.NetworkStream:
        assert timeout == 5.0
        stream = world.dial(address, port, timeout)
        if ":" in address:
            raise httpcore.ConnectError("network is unreachable")
        return stream

    wire = Wire(resolve=world.resolve, dial=no_ipv6, clock=world.clock)
    with BlobFetcher(wire=wire) as blobs:
        assert blobs.fetch("http://two.example/").data == b"data"
    assert [address for address, _ in world.dialled] == ["2606:4700::1111", "93.184.215.14"]


def test_environment_is_not_read(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = server.on("/a", body(b"data", set_cookie="a=b"))
    with local(server) as blobs:
        assert blobs.fetch(url).data == b"data"
        assert blobs.fetch(url).data == b"data"
    assert not {"cookie", "authorization", "proxy-authorization"} & server.headers[-1].keys()


def test_connections_are_kept_for_the_next_picture(server: LoopbackServer) -> None:
    url = server.on("/a", body(b"data"))
    with local(server) as blobs:
        for _ in range(5):
            blobs.fetch(url)
    assert len(server.peers) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: LoopbackServer, code: int) -> None:
    server.on("/b/c", body(b"data"))
    url = server.on("/a", redirect("/b/c", code))
    with local(server) as blobs:
        fetched = blobs.fetch(url)
    assert fetched.data == b"data"
    assert fetched.reference == url


def test_five_redirects_and_no_more(server: LoopbackServer) -> None:
    for at in range(6):
        server.on(f"/{at}", redirect(f"/{at + 1}"))
    server.on("/6", body(b"data"))
    with local(server) as blobs:
        assert blobs.fetch(server.url("/1")).data == b"data"
        with pytest.raises(BlobForbidden, match="redirects more than 5 times"):
            blobs.fetch(server.url("/0"))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, BlobNotFound),
        (410, BlobNotFound),
        (401, BlobForbidden),
        (403, BlobForbidden),
        (400, BlobUnreadable),
        (406, BlobUnreadable),
        (204, BlobUnreadable),
        (206, BlobUnreadable),
        (304, BlobUnreadable),
        (300, BlobUnreadable),
    ],
)
def test_final_statuses_are_not_asked_again(
    server: LoopbackServer, code: int, error: type[Exception]
) -> None:
    url = server.on("/a", status(code))
    with local(server) as blobs, pytest.raises(error, match=str(code)) as caught:
        blobs.fetch(url + "?token=secret")
    assert len(server.requests) == 1
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_statuses_are_asked_again(server: LoopbackServer, code: int) -> None:
    slept: list[float] = []
    url = server.on("/a", status(code), status(code), body(b"data"))
    with local(server, slept) as blobs:
        assert blobs.fetch(url).data == b"data"
    assert len(server.requests) == 3
    assert len(slept) == 2


def test_retries_end(server: LoopbackServer) -> None:
    url = server.on("/a", status(503))
    with local(server, retries=2) as blobs, pytest.raises(BlobUnavailable, match="answered 503"):
        blobs.fetch(url)
    assert len(server.requests) == 3


def test_retry_after_in_both_forms(server: LoopbackServer) -> None:
    slept: list[float] = []
    url = server.on(
        "/a",
        status(429, retry_after="12"),
        status(503, date="Sat, 01 Aug 2026 10:00:00 GMT", retry_after="Sat, 01 Aug 2026 10:00:21 GMT"),
        body(b"data"),
    )
    with local(server, slept) as blobs:
        assert blobs.fetch(url).data == b"data"
    assert slept == [12.0, 21.0]


def test_a_server_that_asks_for_too_long_a_pause_is_left_alone(server: LoopbackServer) -> None:
    slept: list[float] = []
    url = server.on("/a", status(503, retry_after="86400"))
    with local(server, slept) as blobs, pytest.raises(BlobUnavailable):
        blobs.fetch(url)
    assert slept == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"garbage\r\n\r\n",
    ],
)
def test_broken_answers_are_asked_again(server: LoopbackServer, broken: bytes) -> None:
    url = server.on("/a", raw(broken), body(b"data"))
    with local(server) as blobs:
        assert blobs.fetch(url).data == b"data"


def test_too_large_is_seen_in_the_header_already(server: LoopbackServer) -> None:
    url = server.on("/a", status(200, b"only a few", content_length="1000000"))
    with local(server, max_bytes=1000) as blobs, pytest.raises(BlobTooLarge, match="larger than 1,000 bytes"):
        blobs.fetch(url)
    assert len(server.requests) == 1


def test_too_large_is_seen_while_streaming() -> None:
    """A body without a length and without an end: reading stops just after the limit."""
    world = World(NAMES)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            sent += 1000
            yield b"x" * 1000

    wire = Wire(resolve=world.resolve, dial=lambda *_: PlayedStream(endless()), clock=world.clock)
    with BlobFetcher(BlobPolicy(max_bytes=10_000), wire=wire) as blobs, pytest.raises(BlobTooLarge):
        blobs.fetch("http://public.example/")
    assert sent <= 12_000


def test_exactly_the_limit_is_allowed(server: LoopbackServer) -> None:
    url = server.on("/a", body(b"x" * 1000))
    with local(server, max_bytes=1000) as blobs:
        assert blobs.fetch(url).data == b"x" * 1000


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_dripping_bytes_meet_the_deadline(head: bytes) -> None:
    """One byte a second never runs into a time-out of its own, in the head or in the body; the deadline ends it."""
    drip = [head, *[b"x"] * 500]
    world = World(NAMES, drip, seconds=1.0)
    with (
        BlobFetcher(BlobPolicy(retries=0), wire=world.wire) as blobs,
        pytest.raises(BlobUnavailable, match="took too long"),
    ):
        blobs.fetch("http://public.example/")
    (stream,) = world.streams
    assert world.clock.now <= 1000 + 20 + 1
    assert all(timeout is not None and timeout <= 20 for timeout in stream.timeouts)
    assert stream.timeouts[-1] is not None
    assert stream.timeouts[-1] <= 2


def test_deadlines_of_threads_are_their_own() -> None:
    """Connections are shared between threads, the time one of them has used up is not."""
    clock = Clock()
    stalled = threading.Event()

    def slow(address: str, port: int, timeout: float) -> httpcore.NetworkStream:
        if port == 80:
            clock.now += 1.0
        else:
            stalled.set()
        return PlayedStream(iter(played(b"data")))

    wire = Wire(resolve=lambda *_: ["93.184.215.14"], dial=slow, clock=clock)
    with BlobFetcher(BlobPolicy(total_seconds=1.5), wire=wire) as blobs:
        first = threading.Thread(target=blobs.fetch, args=("http://a.example:8080/",))
        first.start()
        first.join()
        clock.now += 100
        assert blobs.fetch("http://b.example/").data == b"data"
    assert stalled.is_set()


def test_a_dead_server_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        slept: list[float] = []
        wire = Wire(sleep=slept.append, dial=dial)
        with (
            BlobFetcher(BlobPolicy(allow_private_addresses=True), wire=wire) as blobs,
            pytest.raises(
                BlobUnavailable, match=r"could not be fetched: the connection to 127\.0\.0\.1 failed"
            ),
        ):
            blobs.fetch(f"http://127.0.0.1:{port}/a.jpg")
    assert len(slept) == 3
    assert all(0 <= pause <= 10 for pause in slept)


def test_an_unknown_host_is_not_found_and_an_unanswered_look_up_is_unavailable() -> None:
    def unknown(host: str, port: int, timeout: float) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def unanswered(host: str, port: int, timeout: float) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with (
        BlobFetcher(wire=Wire(resolve=unknown)) as blobs,
        pytest.raises(BlobNotFound, match=r"no host nowhere\.example"),
    ):
        blobs.fetch("http://nowhere.example/")
    slept: list[float] = []
    with (
        BlobFetcher(wire=Wire(resolve=unanswered, sleep=slept.append)) as blobs,
        pytest.raises(BlobUnavailable),
    ):
        blobs.fetch("http://nowhere.example/")
    assert len(slept) == 3


def test_a_name_that_nobody_looks_up_costs_no_more_than_connecting_may() -> None:
    asked: list[float] = []

    def silent(host: str, port: int, timeout: float) -> list[str]:
        asked.append(timeout)
        raise TimeoutError

    policy = BlobPolicy(connect_seconds=3, total_seconds=2, retries=0)
    with (
        BlobFetcher(policy, wire=Wire(resolve=silent, clock=Clock())) as blobs,
        pytest.raises(BlobUnavailable, match=r"no name server said in time where silent\.example is"),
    ):
        blobs.fetch("http://silent.example/")
    assert asked == [2]


def test_a_host_without_addresses_is_unavailable() -> None:
    world = World(NAMES)
    with BlobFetcher(BlobPolicy(retries=0), wire=world.wire) as blobs, pytest.raises(BlobUnavailable):
        blobs.fetch("http://empty.example/")


def test_connections_are_bounded_in_all_and_per_host(server: LoopbackServer) -> None:
    """Eight threads, two places for the host: never more than two requests are under way, and all are served."""
    under_way, most = 0, 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def answer(handler: Any) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        both.wait(timeout=60)
        with lock:
            under_way -= 1
        body(b"data")(handler)

    url = server.on("/a", answer)
    with local(server, max_connections_per_host=2) as blobs:
        threads = [threading.Thread(target=blobs.fetch, args=(url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2
    assert len(server.requests) == 8


def test_closing_twice_and_fetching_again_is_fine(server: LoopbackServer) -> None:
    url = server.on("/a", body(b"data"))
    blobs = local(server)
    assert blobs.fetch(url).data == b"data"
    blobs.close()
    blobs.close()
    assert blobs.fetch(url).data == b"data"
    blobs.close()
