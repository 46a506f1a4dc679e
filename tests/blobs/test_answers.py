"""What an answer means: Retry-After, and bodies with and without content encodings."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest

from connector.blobs import BlobPolicy
from connector.blobs.answers import PassingFailure, read_body, retry_after
from connector.errors import BlobTooLarge, BlobUnreadable

POLICY = BlobPolicy(max_bytes=1000)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b"120", 120.0),
        (b" 7 ", 7.0),
        (b"9" * 400, 999_999_999.0),
        (b"Sat, 01 Aug 2026 10:00:30 GMT", 30.0),
        (b"Sat, 01 Aug 2026 09:00:00 GMT", 0.0),
        (b"Saturday, 01-Aug-26 10:01:00 GMT", 60.0),
        (b"Sat, 01 Aug 2026 10:00:30 -0000", 30.0),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b"soon", None),
        (b"\xb2", None),
        (b"Sat, 99 Aug 2026 10:00:30 GMT", None),
    ],
)
def test_retry_after(value: bytes, seconds: float | None) -> None:
    assert retry_after({b"retry-after": value, b"date": b"Sat, 01 Aug 2026 10:00:00 GMT"}) == seconds


def test_retry_after_is_optional() -> None:
    assert retry_after({}) is None


def pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        (b"", b"picture" * 20),
        (b"identity", b"picture" * 20),
        (b"gzip", gzip.compress(b"picture" * 20, mtime=0)),
        (b"x-gzip", gzip.compress(b"picture" * 20, mtime=0)),
        (b"GZIP", gzip.compress(b"picture" * 20, mtime=0)),
        (b"deflate", zlib.compress(b"picture" * 20)),
    ],
)
def test_encodings_are_undone(encoding: bytes, encoded: bytes) -> None:
    assert read_body(pieces(encoded), {b"content-encoding": encoding}, POLICY, "'x'") == b"picture" * 20


def test_an_inflated_body_meets_the_limit_before_it_is_made() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)
    with pytest.raises(BlobTooLarge):
        read_body([bomb], {b"content-encoding": b"gzip"}, POLICY, "'x'")
    exactly = gzip.compress(b"\0" * 1000, mtime=0)
    assert len(read_body(pieces(exactly), {b"content-encoding": b"gzip"}, POLICY, "'x'")) == 1000


@pytest.mark.parametrize(
    ("encoding", "encoded", "error"),
    [
        (b"br", b"x", BlobUnreadable),
        (b"gzip, gzip", b"x", BlobUnreadable),
        (b"gzip", b"no gzip at all", BlobUnreadable),
        (b"gzip", gzip.compress(b"picture" * 20, mtime=0)[:-9], PassingFailure),
        (b"", b"", BlobUnreadable),
    ],
)
def test_bodies_that_are_not_taken(encoding: bytes, encoded: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_body(pieces(encoded), {b"content-encoding": encoding}, POLICY, "'x'")
