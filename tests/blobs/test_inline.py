"""base64 and data: URLs: the WHATWG's rules, strictly, in linear time, within the limit."""

from __future__ import annotations

import base64
import contextlib
import re

import pytest

from connector.blobs import BlobFetcher, BlobPolicy
from connector.blobs.inline import decode_base64, decode_data_url
from connector.errors import BlobTooLarge, BlobUnreadable

POLICY = BlobPolicy()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("Zg==", b"f"),
        ("Zg", b"f"),
        ("Zm8=", b"fo"),
        ("Zm8", b"fo"),
        ("Zm9v", b"foo"),
        (" Z m 9 v\r\n\t\f", b"foo"),
        ("Zm9v" * 3, b"foo" * 3),
        ("-_-_", b"\xfb\xff\xbf"),
        ("+/-_", b"\xfb\xff\xbf"),
        ("Zh", b"f"),  # bits left over are dropped
        ("Z g = =", b"f"),
    ],
)
def test_base64_that_is_read(text: str, data: bytes) -> None:
    assert decode_base64(text, POLICY, "'x'") == data


@pytest.mark.parametrize(
    "text",
    [
        "Z",
        "Zm9vZ",
        "=",
        "====",
        "Zg=",
        "Zm8==",
        "Zm9v=",
        "Z=g=",
        "Zg===",
        "Zm9v!",
        "Zm9\u00e9",
        "Zm9v\0",
        "Zm\x0b9v",
        "%5A",
    ],
)
def test_base64_that_is_refused(text: str) -> None:
    with pytest.raises(BlobUnreadable, match="damaged base64"):
        decode_base64(text, POLICY, "'x'")


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("data:,abc", b"abc"),
        ("data:", None),
        ("data:abc", None),
        ("data:;base64,Zm9v", b"foo"),
        ("DATA:image/png;BASE64,Zm9v", b"foo"),
        ("data:image/png;base64,Zm9v", b"foo"),
        ("data:image/png; base64 ,Zm9v", b"foo"),
        ("data:image/png;charset=utf-8;base64,Zm9v", b"foo"),
        ("data:image/png;base64;x=y,Zm9v", b"Zm9v"),
        ("data:base64,Zm9v", b"Zm9v"),
        ("data:image/png;base64,Zm%39v", b"foo"),
        ("data:image/png;base64,Zm9v%0A", b"foo"),
        ("data:image/png;base64,Zg%3D%3D", b"f"),
        ("data:image/png;base64,Zm9v#Zm9v", b"foo"),
        ("data:,%41%zz%4", b"A%zz%4"),
        ("data:,%2541", b"%41"),
        ("data:,a,b", b"a,b"),
        ("data:,caf\u00e9", "caf\u00e9".encode()),
        ("data:;base64,Zm9v,Zm9v", None),
        ("data:;base64,%", None),
        ("data:;base64,Z", None),
    ],
)
def test_data_urls(url: str, data: bytes | None) -> None:
    if data is None:
        with pytest.raises(BlobUnreadable):
            decode_data_url(url, POLICY, "'data:…'")
    else:
        assert decode_data_url(url, POLICY, "'data:…'") == data


def test_the_limit_is_met_before_decoding() -> None:
    small = BlobPolicy(max_bytes=30)
    exactly = base64.b64encode(b"x" * 30).decode()
    assert len(decode_base64(exactly, small, "'x'")) == 30
    assert len(decode_data_url("data:," + "%78" * 30, small, "'x'")) == 30
    for text in (base64.b64encode(b"x" * 33).decode(), "!" * 100_000):
        with pytest.raises(
            BlobTooLarge, match=re.escape("'x' is larger than 30 bytes. Use a smaller picture")
        ):
            decode_base64(text, small, "'x'")
    for url in ("data:," + "x" * 31, "data:;base64," + "A" * 100_000, "data:," + "%" * 100_000):
        with pytest.raises(BlobTooLarge):
            decode_data_url(url, small, "'x'")


@pytest.mark.parametrize("body", ["%", "%4", "%41", "%41a", "%%", "=", " ", "\u00e9"])
def test_five_megabytes_of_anything_stay_linear(body: str) -> None:
    text = body * (5_000_000 // len(body))
    for url in ("data:," + text, "data:;base64," + text):
        with contextlib.suppress(BlobUnreadable):
            decode_data_url(url, POLICY, "'data:…'")


def test_messages_never_contain_the_blob() -> None:
    damaged = base64.b64encode(b"\xff\xd8\xff\xe0" + b"secret" * 900).decode() + "Q"
    with BlobFetcher() as blobs, pytest.raises(BlobUnreadable) as caught:
        blobs.fetch(damaged)
    assert damaged[:20] not in str(caught.value)
    assert len(str(caught.value)) < 200
