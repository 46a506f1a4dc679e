"""Reading URLs strictly."""

from __future__ import annotations

import pytest

from connector.blobs import BlobPolicy
from connector.blobs.urls import parse_url, redirected
from connector.errors import BlobForbidden

POLICY = BlobPolicy()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://example.com", ("http", "example.com", 80, "/")),
        ("HTTP://EXAMPLE.com/A?b=C#d", ("http", "example.com", 80, "/A?b=C")),
        ("https://example.com:8443/a", ("https", "example.com", 8443, "/a")),
        ("https://example.com:443/", ("https", "example.com", 443, "/")),
        ("http://example.com:/", ("http", "example.com", 80, "/")),
        ("http://example.com?x", ("http", "example.com", 80, "/?x")),
        ("http://example.com./", ("http", "example.com", 80, "/")),
        ("http://a_b.example.com/", ("http", "a_b.example.com", 80, "/")),
        ("http://bücher.example/ü.jpg", ("http", "xn--bcher-kva.example", 80, "/%C3%BC.jpg")),
        ("http://xn--bcher-kva.example/", ("http", "xn--bcher-kva.example", 80, "/")),
        ("http://93.184.215.14/", ("http", "93.184.215.14", 80, "/")),
        ("http://[2606:4700::1111]/", ("http", "2606:4700::1111", 80, "/")),
        ("http://[2606:4700:0:0:0:0:0:1111]:8080/", ("http", "2606:4700::1111", 8080, "/")),
        ("http://example.com/a%20b/%zz", ("http", "example.com", 80, "/a%20b/%zz")),
        ('http://example.com/<a>"{b}', ("http", "example.com", 80, "/%3Ca%3E%22%7Bb%7D")),
        ("http://example.com//double//@slash", ("http", "example.com", 80, "//double//@slash")),
        ("http://example.com/" + "a" * 8000, ("http", "example.com", 80, "/" + "a" * 8000)),
    ],
)
def test_urls_that_are_read(url: str, parts: tuple[str, str, int, str]) -> None:
    parsed = parse_url(url, POLICY, "'x'")
    assert (parsed.scheme, parsed.host, parsed.port, parsed.target) == parts


def test_host_header() -> None:
    assert parse_url("http://example.com:8080/", POLICY, "'x'").host_header == "example.com:8080"
    assert parse_url("https://example.com:443/", POLICY, "'x'").host_header == "example.com"
    assert parse_url("http://[2606:4700::1111]:8000/", POLICY, "'x'").host_header == "[2606:4700::1111]:8000"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://user@example.com/", "user name or password"),
        ("http://user:pw@example.com/", "user name or password"),
        ("http://example.com@127.0.0.1/", "user name or password"),
        ("http://@example.com/", "user name or password"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:65536/", "port 65536"),
        ("http://example.com:6379/", "Allowed are 80, 443, 8000, 8080, 8443"),
        ("http://example.com/a b", "white space"),
        ("http://example.com/a\tb", "white space"),
        ("http://exam\nple.com/", "white space"),
        ("http://example.com\\@127.0.0.1/", "backslash"),
        ("http://example.com/\r\nHost: x", "white space"),
        ("http://example.com/\0", "control character"),
        ("http://example.com/\u200b", "white space"),
        ("http://example.com/\u202e", "white space"),
        ("http://exam\u00adple.com/", "white space"),
        ("http://example.com/\ud800", "white space"),
        ("http://example.com/" + "a" * 8200, "limit is 8,192"),
        ("http:///a.jpg", "no valid host"),
        ("http://", "no valid host"),
        ("http://?x", "no valid host"),
        ("http://:80/", "no valid host"),
        ("http://a..b/", "no valid host"),
        ("http://-a.example/", "no valid host"),
        ("http://ex%61mple.com/", "no valid host"),
        ("http://exa*mple.com/", "no valid host"),
        ("http://" + "a" * 64 + ".com/", "no valid host"),
        ("http://" + "a." * 130 + "com/", "no valid host"),
        ("http://127.1/", "no valid host"),
        ("http://2130706433/", "no valid host"),
        ("http://0x7f000001/", "no valid host"),
        ("http://0x7f.0.0.1/", "no valid host"),
        ("http://0177.0.0.1/", "no valid host"),
        ("http://127.0.0.1.1/", "no valid host"),
        ("http://1.2.3.256/", "no valid host"),
        ("http://example.123/", "no valid host"),
        ("http://[::1/", "no well-formed URL"),
        ("http://::1/", "no well-formed URL"),
        ("http://[::1]x/", "no well-formed URL"),
        ("http://[fe80::1%25eth0]/", "no well-formed URL"),
        ("http://[127.0.0.1]/", "no valid host"),
        ("http://[]/", "no valid host"),
        ("http://example.com:80:80/", "no well-formed URL"),
        ("http://example.com:8o/", "no well-formed URL"),
        ("http://example.com:+80/", "no well-formed URL"),
        ("http://example.com:٨٠/", "no well-formed URL"),
    ],
)
def test_urls_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(BlobForbidden, match=why):
        parse_url(url, POLICY, "'x'")


def test_ports_are_adjustable_and_free_within_private_networks() -> None:
    assert parse_url("http://example.com:9000/", BlobPolicy(allowed_ports=(9000,)), "'x'").port == 9000
    assert parse_url("http://example.com:9000/", BlobPolicy(allow_private_addresses=True), "'x'").port == 9000
    with pytest.raises(BlobForbidden, match="port 80"):
        parse_url("http://example.com/", BlobPolicy(allowed_ports=(9000,)), "'x'")


@pytest.mark.parametrize(
    ("start", "location", "leads_to"),
    [
        ("http://a.example/x/y", b"z", "http://a.example/x/z"),
        ("http://a.example/x/y", b"/z?q", "http://a.example/z?q"),
        ("http://a.example/x", b"//b.example/z", "http://b.example/z"),
        ("http://a.example/x", b"https://b.example/z", "https://b.example/z"),
        ("https://a.example/x", b"https://b.example/z", "https://b.example/z"),
        ("http://a.example/x", "/ü".encode(), "http://a.example/%C3%BC"),
        ("http://a.example/x", b"?q", "http://a.example/x?q"),
        ("https://a.example/x", b"http://b.example/z", "from https to http"),
        ("https://a.example/x", b"http://a.example/x", "from https to http"),
        ("http://a.example/x", None, "unusable"),
        ("http://a.example/x", b"", "unusable"),
        ("http://a.example/x", b"/a b", "unusable"),
        ("http://a.example/x", b"ht\ntp://b.example", "unusable"),
        ("http://a.example/x", b"\x01http://b.example", "unusable"),
        ("http://a.example/x", b"\\\\b.example", "unusable"),
        ("http://a.example/x", b"/\xff", "unusable"),
        ("http://a.example/x", b"/" + b"a" * 9000, "unusable"),
        ("http://a.example/x", b"file:///etc/passwd", "not http"),
        ("http://a.example/x", b"data:,x", "not http"),
        ("http://a.example/x", b"ftp://b.example/", "not http"),
        ("http://a.example/x", b"gopher://b.example/", "not http"),
        ("http://a.example/x", b"http://[::1", "no well-formed"),
        ("http://a.example/x", b"http://u:p@b.example/", "user name"),
        ("http://a.example/x", b"http://b.example:22/", "port 22"),
        ("http://a.example/x", b"http://2130706433/", "no valid host"),
    ],
)
def test_redirects_are_read_as_strictly(start: str, location: bytes | None, leads_to: str) -> None:
    url = parse_url(start, POLICY, "'x'")
    if leads_to.startswith("http"):
        assert str(redirected(url, location, POLICY, "'x'")) == leads_to
        return
    with pytest.raises(BlobForbidden, match=leads_to) as caught:
        redirected(url, location, POLICY, "'x'")
    assert "u:p" not in str(caught.value)
