"""Stamps: what is kept of a source's word, what is shown to whom, and what is not relied on."""

from __future__ import annotations

import pytest

from connector.blobs.stamps import TICK_NS, WebStamp, file_stamp, place_of, settles_in, web_stamp
from tests.blobs.files import status_of

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND + 123_456_789
LONG = '"' + "x" * 81 + '"'
CHANGED = b"Wed, 21 Oct 2015 07:28:00 GMT"
LATER = b"Wed, 21 Oct 2015 07:28:01 GMT"


def test_a_files_stamp_is_its_size_and_its_time() -> None:
    assert file_stamp(status_of(size=51234, changed_ns=NOW)) == f"51234-{NOW}"


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (0, TICK_NS),
        (TICK_NS - 1, 1),
        (TICK_NS, 0),
        (10**18, 0),
        (-1, 0),  # from the future: a change sets it back
        (-(10**18), 0),
    ],
)
def test_a_change_shows_after_a_tick(age: int, wait: int) -> None:
    assert settles_in(NOW, NOW + age) == wait


@pytest.mark.parametrize(("age", "wait"), [(0, None), (2 * SECOND - 1, None), (2 * SECOND, 0), (-1, 0)])
def test_a_time_without_fractions_may_be_two_seconds_long(age: int, wait: int | None) -> None:
    whole = NOW // SECOND * SECOND
    assert settles_in(whole, whole + age) == wait


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"', '"a-1:2/3,&="', '"' + "x" * 80 + '"'])
def test_an_etag_is_kept_and_asked_with(etag: str) -> None:
    stamp = web_stamp({b"etag": etag.encode(), b"last-modified": CHANGED, b"date": LATER}, "")
    assert stamp == etag
    known = WebStamp.parse(stamp)
    assert known is not None
    assert known.condition == {"If-None-Match": etag}


@pytest.mark.parametrize(
    "etag", [LONG, "unquoted", "*", '"a b"', '"half', '"\xe9"', 'w/"small"', '"a","b"', '"tab\t"']
)
def test_a_long_or_odd_etag_is_kept_as_a_digest_that_is_never_sent(etag: str) -> None:
    headers = {b"etag": etag.encode("latin-1")}
    stamp = web_stamp(headers, "")
    assert stamp is not None
    assert stamp.startswith("etag:")
    assert len(stamp) == 37
    assert etag.strip('"') not in stamp
    known = WebStamp.parse(stamp)
    assert known is not None
    assert known.condition == {}
    assert known.answered_by(headers)
    assert not known.answered_by({b"etag": b'"another one"'})
    assert not known.answered_by({})


def test_an_etag_that_could_be_asked_with_is_not_taken_from_a_whole_answer() -> None:
    known = WebStamp.parse('"abc"')
    assert known is not None
    assert not known.answered_by({b"etag": b'"abc"'})


@pytest.mark.parametrize("etag", [b"", b'""', b'W/""', b"  "])
def test_an_empty_etag_says_nothing(etag: bytes) -> None:
    assert web_stamp({b"etag": etag}, "") is None


@pytest.mark.parametrize(
    ("changed", "now", "kept"),
    [
        (CHANGED, LATER, True),
        (CHANGED, CHANGED, False),  # it may change again within this second
        (LATER, CHANGED, False),
        (CHANGED, b"", False),
        (b"yesterday", LATER, False),
        (b"Wednesday, 21-Oct-15 07:28:00 GMT", LATER, False),
        (b"Wed, 31 Feb 2015 07:28:00 GMT", LATER, False),
        (CHANGED + b"\r\nX-Evil: 1", LATER, False),
    ],
)
def test_last_modified_counts_when_it_is_a_second_old_by_its_servers_clock(
    changed: bytes, now: bytes, kept: bool
) -> None:
    stamp = web_stamp({b"last-modified": changed, b"date": now}, "")
    assert stamp == (changed.decode() if kept else None)
    if stamp is not None:
        known = WebStamp.parse(stamp)
        assert known is not None
        assert known.condition == {"If-Modified-Since": stamp}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "*",
        "abc",
        '"a" ',
        '"a", "b"',
        '"a"\r\nX-Evil: 1',
        "51234-1718000000123456789",
        '@short "a"',
        "@0123456789abcdef ",
        "@0123456789abcdef *",
        CHANGED.decode() + "\n",
        LONG,
        "etag:",
    ],
)
def test_what_no_server_gave_is_shown_to_none(text: str | None) -> None:
    assert WebStamp.parse(text) is None


def test_behind_a_redirect_a_stamp_belongs_to_the_address_that_answered() -> None:
    place = place_of("https://cdn.example/a.jpg")
    stamp = web_stamp({b"etag": b'"abc"'}, place)
    assert stamp == f'@{place} "abc"'
    known = WebStamp.parse(stamp)
    assert known == WebStamp(place, '"abc"')
    assert str(known) == stamp


def test_an_addresss_digest_is_the_same_whoever_signs_it() -> None:
    first = place_of("https://cdn.example/a.jpg?v=1&X-Amz-Signature=0123&X-Amz-Date=today&Expires=1")
    assert first == place_of("https://cdn.example/a.jpg?v=1&X-Amz-Signature=4567&X-Amz-Date=later&Expires=2")
    assert first != place_of("https://cdn.example/a.jpg?v=2&X-Amz-Signature=0123&X-Amz-Date=today&Expires=1")
