"""`sniff`: formats by their first bytes."""

from __future__ import annotations

import pytest

from connector.blobs.formats import HEAD_BYTES, looks_like_html, sniff
from tests.blobs.pictures import FORMATS, corners, saved


@pytest.mark.parametrize("format_name", FORMATS)
def test_real_files_are_known_by_their_beginning(format_name: str) -> None:
    assert sniff(saved(corners(), format_name)[:HEAD_BYTES]) == format_name


@pytest.mark.parametrize(
    ("head", "format_name"),
    [
        (b"", None),
        (b"\xff\xd8", None),
        (b"GIF88a", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"BM and other texts that begin with these two letters", None),
        (b"\0\0\1\0\0\0", None),
        (b"\0\0\2\0\1\0", None),
        (b"MM\0+\0\x08", "TIFF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x14ftypheic\0\0\0\0mif1avif", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41mp42", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"\0" * 18, None),
        (b"%!PS-Adobe-3.0 EPSF-3.0", None),
    ],
)
def test_near_misses(head: bytes, format_name: str | None) -> None:
    assert sniff(head) == format_name


def test_html_is_told_from_other_bytes() -> None:
    assert looks_like_html(b"\xef\xbb\xbf\n  <!DOCTYPE HTML><html>")
    assert looks_like_html(b"<html lang=en>")
    assert not looks_like_html(b"<svg/>")
    assert not looks_like_html(b"\xff\xd8\xff")
