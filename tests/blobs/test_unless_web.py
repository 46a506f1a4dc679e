"""Web servers asked for a blob `unless` it is what it was: who is shown which stamp, and whose word counts."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from connector.blobs import BlobFetcher, BlobPolicy
from connector.blobs.web import Wire
from connector.errors import BlobNotFound, BlobTooLarge, BlobUnavailable, BlobUnreadable
from tests.blobs.servers import LoopbackServer, body, redirect, status, unless_same

CHANGED = "Wed, 21 Oct 2015 07:28:00 GMT"
LATER = "Thu, 22 Oct 2015 07:28:00 GMT"
LONG = '"' + "token-" * 40 + '"'


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def blobs() -> Iterator[BlobFetcher]:
    policy = BlobPolicy(allow_private_addresses=True)
    with BlobFetcher(policy, wire=Wire(sleep=lambda seconds: None)) as fetcher:
        yield fetcher


def conditions(server: LoopbackServer) -> list[str | None]:
    """What each request was conditional on."""
    return [sent.get("if-none-match", sent.get("if-modified-since")) for sent in server.headers]


@pytest.mark.parametrize(
    ("validators", "stamp"),
    [
        ({"ETag": '"strong"'}, '"strong"'),
        ({"etag": 'W/"weak"'}, 'W/"weak"'),
        ({"Last_Modified": CHANGED}, CHANGED),
        ({"ETag": '"strong"', "Last_Modified": CHANGED}, '"strong"'),
    ],
)
def test_an_unchanged_body_is_not_sent_again(
    server: LoopbackServer, blobs: BlobFetcher, validators: dict[str, str], stamp: str
) -> None:
    url = server.on("/a.jpg", unless_same(b"picture", **validators))
    fetched = blobs.fetch(url)
    assert (fetched.data, fetched.stamp) == (b"picture", stamp)
    assert blobs.fetch(url, unless=stamp) is None
    assert blobs.fetch(url, unless=stamp) is None
    assert conditions(server) == [None, stamp, stamp]
    assert (blobs.fetched, blobs.unmodified) == (1, 2)
    assert len(server.peers) == 1  # a 304 leaves the connection in use


@pytest.mark.parametrize(
    ("before", "after"),
    [({"ETag": '"1"'}, {"ETag": '"2"'}), ({"Last_Modified": CHANGED}, {"Last_Modified": LATER})],
)
def test_a_changed_body_comes_with_its_new_stamp(
    server: LoopbackServer, blobs: BlobFetcher, before: dict[str, str], after: dict[str, str]
) -> None:
    url = server.on("/a.jpg", unless_same(b"before", **before), unless_same(b"after", **after))
    stamp = blobs.fetch(url).stamp
    fetched = blobs.fetch(url, unless=stamp)
    assert fetched is not None
    assert (fetched.data, fetched.stamp) == (b"after", *after.values())
    assert blobs.fetch(url, unless=fetched.stamp) is None


def test_a_server_that_ignores_conditions_gives_the_body(server: LoopbackServer, blobs: BlobFetcher) -> None:
    url = server.on("/a.jpg", body(b"picture", ETag='"1"'))
    fetched = blobs.fetch(url, unless='"1"')
    assert fetched is not None
    assert (fetched.data, fetched.stamp) == (b"picture", '"1"')


def test_a_server_that_says_nothing_has_no_stamp(server: LoopbackServer, blobs: BlobFetcher) -> None:
    assert blobs.fetch(server.on("/a.jpg", body(b"picture"))).stamp is None


def test_a_change_in_this_very_second_could_be_followed_by_another(
    server: LoopbackServer, blobs: BlobFetcher
) -> None:
    url = server.on("/a.jpg", body(b"picture", last_modified=CHANGED, date=CHANGED))
    assert blobs.fetch(url).stamp is None


def test_a_long_etag_is_kept_as_a_digest_and_the_body_left_unread(server: LoopbackServer) -> None:
    url = server.on("/a.jpg", body(b"picture", ETag=LONG), body(b"x" * 1000, ETag=LONG))
    policy = BlobPolicy(allow_private_addresses=True, max_bytes=100)
    with BlobFetcher(policy) as blobs:
        stamp = blobs.fetch(url).stamp
        assert stamp is not None
        assert "token" not in stamp
        assert blobs.fetch(url, unless=stamp) is None
        with pytest.raises(BlobTooLarge):
            blobs.fetch(url)
    assert conditions(server) == [None, None, None]


def test_behind_a_redirect_only_the_address_that_gave_the_stamp_is_shown_it(
    server: LoopbackServer, blobs: BlobFetcher
) -> None:
    url = server.on("/a.jpg", redirect("/hop"))
    server.on("/hop", redirect("/final.jpg?v=1"))
    server.on("/final.jpg", unless_same(b"picture", ETag='"1"'))
    stamp = blobs.fetch(url).stamp
    assert blobs.fetch(url, unless=stamp) is None
    assert server.requests == ["/a.jpg", "/hop", "/final.jpg?v=1"] * 2
    assert conditions(server) == [None] * 5 + ['"1"']


def test_a_redirect_to_another_picture_is_followed_though_its_etag_is_the_same(
    server: LoopbackServer, blobs: BlobFetcher
) -> None:
    url = server.on("/a.jpg", redirect("/one.jpg"), redirect("/two.jpg"))
    server.on("/one.jpg", unless_same(b"one", ETag='"1"'))
    server.on("/two.jpg", unless_same(b"two", ETag='"1"'))
    stamp = blobs.fetch(url).stamp
    fetched = blobs.fetch(url, unless=stamp)
    assert fetched is not None
    assert fetched.data == b"two"
    assert fetched.stamp != stamp


@pytest.mark.parametrize("redirected_before", [False, True])
def test_an_address_that_begins_or_ceases_to_redirect(
    server: LoopbackServer, blobs: BlobFetcher, redirected_before: bool
) -> None:
    direct, moved = unless_same(b"direct", ETag='"1"'), redirect("/moved.jpg")
    url = server.on("/a.jpg", *((moved, direct) if redirected_before else (direct, moved)))
    server.on("/moved.jpg", unless_same(b"moved", ETag='"1"'))
    stamp = blobs.fetch(url).stamp
    fetched = blobs.fetch(url, unless=stamp)
    assert fetched is not None
    assert fetched.data == (b"direct" if redirected_before else b"moved")


def test_a_signature_is_neither_kept_nor_in_the_way(server: LoopbackServer, blobs: BlobFetcher) -> None:
    url = server.on(
        "/a.jpg",
        redirect("/b.jpg?X-Amz-Signature=5ec3e7&X-Amz-Date=1"),
        redirect("/b.jpg?X-Amz-Signature=0ther&X-Amz-Date=2"),
    )
    server.on("/b.jpg", unless_same(b"picture", ETag='"1"'))
    fetched = blobs.fetch(url)
    assert "5ec3e7" not in f"{fetched.stamp} {fetched.reference} {fetched.name}"
    assert blobs.fetch(url, unless=fetched.stamp) is None


def test_a_server_in_trouble_is_asked_again_with_the_same_condition(
    server: LoopbackServer, blobs: BlobFetcher
) -> None:
    url = server.on("/a.jpg", status(503), status(429), unless_same(b"picture", ETag='"1"'))
    assert blobs.fetch(url, unless='"1"') is None
    assert conditions(server) == ['"1"'] * 3


def test_an_unchanged_picture_is_not_what_a_failing_server_means(
    server: LoopbackServer, blobs: BlobFetcher
) -> None:
    with pytest.raises(BlobUnavailable):
        blobs.fetch(server.on("/a.jpg", status(503, ETag='"1"')), unless='"1"')
    with pytest.raises(BlobNotFound):
        blobs.fetch(server.on("/b.jpg", status(404, ETag=LONG)), unless='"1"')
    assert (blobs.fetched, blobs.unmodified) == (0, 0)


@pytest.mark.parametrize("unless", [None, "51234-1718000000123456789", "*", '@0123456789abcdef "1"'])
def test_nothing_has_changed_is_no_answer_to_what_was_not_asked(
    server: LoopbackServer, blobs: BlobFetcher, unless: str | None
) -> None:
    url = server.on("/a.jpg", status(304, ETag='"1"'))
    with pytest.raises(BlobUnreadable, match="answered 304"):
        blobs.fetch(url, unless=unless)


@pytest.mark.parametrize(
    "stamp", ["*", '"1"\r\nX-Evil: yes', '"1", "2"', "\u201c1\u201d", '"\ud800"', "x" * 100_000]
)
def test_a_stamp_that_somebody_meddled_with_is_not_sent(
    server: LoopbackServer, blobs: BlobFetcher, stamp: str
) -> None:
    url = server.on("/a.jpg", body(b"picture"))
    fetched = blobs.fetch(url, unless=stamp)
    assert fetched is not None
    assert fetched.data == b"picture"
    assert conditions(server) == [None]
    assert "x-evil" not in server.headers[0]


def test_the_condition_is_on_the_whole_answer_and_not_on_its_beginning(
    server: LoopbackServer, blobs: BlobFetcher
) -> None:
    """A body that breaks off has no stamp, though its ETag had come by then."""

    def cut_short(handler: BaseHTTPRequestHandler) -> None:
        status(200, b"pic", content_length="7", ETag='"1"')(handler)
        handler.close_connection = True

    url = server.on("/a.jpg", cut_short)
    with pytest.raises(BlobUnavailable):
        blobs.fetch(url)
    assert blobs.fetched == 0
