"""What is read from a picture's bytes before Pillow sees them."""

from __future__ import annotations

import pytest

from connector.blobs.headers import gif_extent, jpeg_scans, webp_canvas
from tests.blobs.pictures import corners, progressive_with_scans, saved


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}])
def test_webp_canvas(options: dict[str, object]) -> None:
    data = saved(corners(70, 50), "WEBP", **options)
    assert webp_canvas(data) == (70, 50)
    assert webp_canvas(data[:29]) is None


def test_gif_extent() -> None:
    data = saved(corners(70, 50), "GIF", comment=b"x" * 700)
    assert gif_extent(data) == (70, 50)
    assert gif_extent(data[:40]) is None
    assert gif_extent(b"GIF89a" + b"\x05\0\x06\0\0\0\0;") == (5, 6)
    wide = b"GIF89a" + b"\x01\0\x01\0\0\0\0" + b"!\xff\x02ab\0" + b"?" + b",\x0a\0\x14\0\xff\xff\xff\xff\0"
    assert gif_extent(wide) == (65545, 65555)


def test_jpeg_scans_are_counted_up_to_the_limit() -> None:
    plain = saved(corners(), "JPEG")
    assert jpeg_scans(plain, 1) == 1
    assert jpeg_scans(plain, 5) == 0
    many = progressive_with_scans(150)
    assert jpeg_scans(many, 101) == 101
    assert jpeg_scans(many, 1000) == 0
    assert jpeg_scans(many, 150) == 150


def test_scans_are_not_counted_where_none_can_be() -> None:
    """In metadata, and behind the picture, where phones put a film."""
    once = saved(corners(), "JPEG", comment=b"\xff\xda\xff\xd9" * 200)
    assert jpeg_scans(once, 100) == 1
    assert jpeg_scans(once + b"\xff\xda" * 200, 100) == 1


def test_scans_are_not_hidden_behind_an_end_marker_in_a_comment() -> None:
    many = progressive_with_scans(150)
    first = many.index(b"\xff\xda", many.index(b"\xff\xda") + 2)
    hidden = many[:first] + b"\xff\xfe\x00\x04\xff\xd9" + many[first:]
    assert jpeg_scans(hidden, 101) == 101
