"""What a string is: the table of `classify`, row by row, and what of a source may be shown and stored."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from connector.blobs import Kind, classify
from connector.blobs.sources import reference, shown
from tests.blobs.pictures import FORMATS, corners, saved

JPEG_64 = base64.b64encode(saved(corners(), "JPEG")).decode()
GIF_64 = base64.b64encode(saved(corners(1, 1), "GIF")).decode()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (b"\xff\xd8\xff", Kind.BYTES),
        (bytearray(b"x"), Kind.BYTES),
        (memoryview(b"x"), Kind.BYTES),
        (corners(), Kind.PICTURE),
        (Path("shoe.jpg"), Kind.PATH),
        (Path("http:/x"), Kind.PATH),
        (None, Kind.UNKNOWN),
        (7, Kind.UNKNOWN),
        (["shoe.jpg"], Kind.UNKNOWN),
        ("data:image/png;base64,iVBO", Kind.DATA_URL),
        ("DATA:,x", Kind.DATA_URL),
        ("data:", Kind.DATA_URL),
        ("file:///a/b.jpg", Kind.FILE_URL),
        ("FILE:b.jpg", Kind.FILE_URL),
        ("http://example.com/a.jpg", Kind.WEB_URL),
        ("HTTPS://example.com", Kind.WEB_URL),
        ("https://", Kind.WEB_URL),
        ("s3://bucket/key", Kind.OBJECT_URL),
        ("gs://bucket/key", Kind.OBJECT_URL),
        ("az://c/k", Kind.OBJECT_URL),
        ("abfs://c@a.dfs.core.windows.net/k", Kind.OBJECT_URL),
        ("hf://datasets/a/b/c.png", Kind.OBJECT_URL),
        ("ftp://example.com/a.jpg", Kind.UNKNOWN_URL),
        ("gopher://x", Kind.UNKNOWN_URL),
        ("jar:file:///x", Kind.PATH),
        ("ssh://x", Kind.UNKNOWN_URL),
        ("URL:file:///etc/passwd", Kind.UNKNOWN_URL),
        ("url:http://x", Kind.UNKNOWN_URL),
        ("cats", Kind.PATH),
        ("shoe.jpg", Kind.PATH),
        ("a/b/cdef", Kind.PATH),
        ("", Kind.PATH),
        (" http://example.com/a.jpg", Kind.PATH),
        ("http:/example.com/a.jpg", Kind.PATH),
        ("C:\\photos\\x.jpg", Kind.PATH),
        ("C:/photos/x.jpg", Kind.PATH),
        ("C://photos/x.jpg", Kind.PATH),
        ("a:b.jpg", Kind.PATH),
        ("javascript:alert(1)", Kind.PATH),
        ("/9j/", Kind.PATH),
        ("/9j/4AAQ", Kind.PATH),
        ("/9j/" + "a" * 50 + ".jpg", Kind.PATH),
        ("photos/" + "a" * 120, Kind.PATH),
        ("A" * 4000, Kind.PATH),
        ("a\0b", Kind.PATH),
        (JPEG_64, Kind.BASE64),
        (JPEG_64.replace("/", "_").replace("+", "-"), Kind.BASE64),
        ("\n".join(JPEG_64[at : at + 76] for at in range(0, len(JPEG_64), 76)) + "\n", Kind.BASE64),
        (JPEG_64.rstrip("="), Kind.BASE64),
        (JPEG_64 + "%", Kind.PATH),
        (JPEG_64 + "%" + JPEG_64 * 9, Kind.BASE64),
        (JPEG_64[:39], Kind.PATH),
        (GIF_64, Kind.BASE64),
    ],
)
def test_the_table(source: object, kind: Kind) -> None:
    assert classify(source) is kind


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_is_known_in_base64(format_name: str) -> None:
    data = saved(corners(), format_name)
    assert classify(base64.b64encode(data).decode()) is Kind.BASE64
    assert classify(base64.urlsafe_b64encode(data).decode()) is Kind.BASE64


def test_classify_needs_no_pillow() -> None:
    code = "import sys; from connector.blobs import classify; classify('a'); sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("shoe.jpg", "'shoe.jpg'"),
        (Path("a/shoe.jpg"), "'a/shoe.jpg'"),
        (b"abc", "'bytes' (3 bytes)"),
        (corners(), "'PIL image'"),
        (JPEG_64, f"'base64' ({len(JPEG_64):,} characters)"),
        ("data:image/png;base64,iVBORw0KGgo", "'data:…' (33 characters)"),
        ("https://user:secret@example.com/a.jpg", "'https://example.com/a.jpg'"),
        ("https://example.com/a.jpg?X-Amz-Signature=secret", "'https://example.com/a.jpg?…'"),
        ("https://example.com/a.jpg#secret", "'https://example.com/a.jpg'"),
        ("s3://id:secret@bucket/key", "'s3://bucket/key'"),
        ("a\nb\x1b[31m", "'a\\nb\\x1b[31m'"),
        ("caf\udce9", "'caf\\udce9'"),
        (7, "'int'"),
    ],
)
def test_shown_has_no_content_and_no_secret(source: object, text: str) -> None:
    assert shown(classify(source), source) == text


def test_shown_is_short() -> None:
    for source in (
        "a" * 5_000_000,
        "https://example.com/" + "b" * 9000,
        "/".join("abc" for _ in range(99)) + ".jpg",
    ):
        assert len(shown(classify(source), source)) <= 80


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("shoe.jpg", "shoe.jpg"),
        (Path("a/shoe.jpg"), "a/shoe.jpg"),
        ("file:///a/b.jpg", "file:///a/b.jpg"),
        ("https://example.com/a.jpg?w=200&id=7", "https://example.com/a.jpg?w=200&id=7"),
        ("https://example.com/a.jpg#top", "https://example.com/a.jpg"),
        ("https://u:p@example.com/a.jpg", "https://example.com/a.jpg"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature=s&versionId=3",
            "https://b.s3.amazonaws.com/k?versionId=3",
        ),
        (
            "https://x.blob.core.windows.net/c/k?sv=2024&se=2030&sr=b&sp=r&sig=s",
            "https://x.blob.core.windows.net/c/k",
        ),
        (
            "https://cdn.example.com/k?Expires=1&Policy=p&Key-Pair-Id=k&Signature=s",
            "https://cdn.example.com/k",
        ),
        ("https://example.com/k?policy=blue&se=1", "https://example.com/k?policy=blue&se=1"),
        ("https://example.com/k?access_token=s", "https://example.com/k"),
        ("s3://bucket/key.jpg", "s3://bucket/key.jpg"),
        (JPEG_64, None),
        ("data:,x", None),
        (b"x", None),
        (corners(), None),
    ],
)
def test_reference_keeps_what_finds_it_again_and_no_secret(source: object, stored: str | None) -> None:
    assert reference(classify(source), source) == stored
