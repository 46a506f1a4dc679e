"""Opening: bombs of every kind are refused by their header, damage is a `BlobError`, names and types are not believed."""

from __future__ import annotations

import contextlib
import logging
import struct
import sys
import zlib
from typing import Any

import pytest
from PIL import Image, ImageFile

from connector.blobs import BlobFetcher, BlobPolicy, decode
from connector.errors import BlobError, BlobTooLarge, BlobUnreadable
from tests.blobs.pictures import FORMATS, corners, fetched, photo, png_claiming, progressive_with_scans, saved

POLICY = BlobPolicy()


def ico_of(picture: bytes, width: int = 16, height: int = 16) -> bytes:
    """An icon whose directory claims a size."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, width, height, 0, 0, 1, 32, len(picture), 22) + picture


def tiff_of(tags: dict[int, tuple[int, int]]) -> bytes:
    """A TIFF with these tags (number -> type, value) and no pixels."""
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


LONG = 4
TILE_BOMB = tiff_of(
    {
        256: (LONG, 16),
        257: (LONG, 16),
        258: (LONG, 8),
        259: (LONG, 5),
        262: (LONG, 1),
        277: (LONG, 1),
        322: (LONG, 40_000),
        323: (LONG, 40_000),
        324: (LONG, 8),
        325: (LONG, 8),
    }
)
DIB_BOMB = struct.pack("<IiiHHIIiiII", 40, 30_000, 60_000, 1, 32, 0, 0, 0, 0, 0, 0)
BOMBS = {
    "png": png_claiming(60_000, 60_000),
    "png, just above": png_claiming(50_001, 1000),
    "png, one column": png_claiming(1, 49_000_000),
    "png, one row": png_claiming(49_000_000, 1),
    "ico holding a png": ico_of(png_claiming(30_000, 30_000)),
    "ico holding a bitmap": ico_of(DIB_BOMB),
    "gif frame outside its screen": b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
    "gif frame to be disposed of": b"GIF89a\x01\0\x01\0\0\0\0!\xf9\x04\x09\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
    "gif screen": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
    "webp, lossless": b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f"
    + struct.pack("<I", 16383 | 16383 << 14)
    + bytes(9),
    "webp, extended": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xfe\xff\xff\xfe\xff\xff",
    "webp, lossy": b"RIFF\x1a\0\0\0WEBPVP8 \x0e\0\0\0" + b"\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(8),
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 1, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "tiff": tiff_of(
        {
            256: (LONG, 60_000),
            257: (LONG, 60_000),
            258: (LONG, 8),
            262: (LONG, 1),
            273: (LONG, 8),
            279: (LONG, 1),
        }
    ),
    "tiff tile": TILE_BOMB,
    "jpeg": saved(corners(), "JPEG").replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 65_500, 65_500)),
    "avif": saved(corners(), "AVIF").replace(
        b"ispe\0\0\0\0\0\0\0\x40\0\0\0\x30", b"ispe\0\0\0\0\0\0\x3f\xff\0\0\x3f\xff"
    ),
    "jpeg of 101 scans": progressive_with_scans(101),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_by_their_header(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoding_anyway(*args: object, **kwargs: object) -> None:
        raise AssertionError("memory for the picture was asked for")

    monkeypatch.setattr("PIL.Image.core.new", decoding_anyway)
    monkeypatch.setattr("PIL.Image.core.fill", decoding_anyway)
    with pytest.raises(
        BlobTooLarge, match=r"^'test.bin' (has [\d,]+ x [\d,]+ pixels|is a JPEG of more than 100 scans)"
    ):
        decode(fetched(BOMBS[bomb]), POLICY)


@pytest.mark.parametrize("limit", [None, 10**12])
def test_the_limit_does_not_lean_on_pillows(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for bomb in BOMBS.values():
        with pytest.raises(BlobTooLarge):
            decode(fetched(bomb), POLICY)


def test_pillows_own_settings_are_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    for data in (saved(corners(), "PNG"), BOMBS["png"]):
        try:
            decode(fetched(data), POLICY)
        except BlobTooLarge:
            continue
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_limit_is_the_policys() -> None:
    data = saved(corners(), "PNG")
    assert decode(fetched(data), BlobPolicy(max_pixels=64 * 48)).width == 64
    with pytest.raises(BlobTooLarge, match="64 x 48 pixels"):
        decode(fetched(data), BlobPolicy(max_pixels=64 * 48 - 1))
    assert decode(fetched(progressive_with_scans(100)), POLICY).width == 64
    with pytest.raises(BlobTooLarge, match="more than 20 scans"):
        decode(fetched(progressive_with_scans(100)), BlobPolicy(max_progressive_scans=20))


@pytest.mark.parametrize("format_name", FORMATS)
def test_truncated_files_are_refused(format_name: str) -> None:
    data = saved(photo(96, 80), format_name)
    for part in (0.2, 0.5, 0.9):
        with pytest.raises(BlobUnreadable, match=r"is damaged or cut short|not a picture"):
            decode(fetched(data[: int(len(data) * part)]), POLICY)


def test_half_a_picture_is_refused_even_where_the_application_allows_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = saved(photo(96, 80), "JPEG")
    with caplog.at_level(logging.WARNING, "connector"), pytest.raises(BlobUnreadable):
        decode(fetched(data[: len(data) // 2]), POLICY)
    assert "LOAD_TRUNCATED_IMAGES" in caplog.text


@pytest.mark.parametrize("format_name", FORMATS)
def test_damage_is_always_a_blob_error(format_name: str) -> None:
    """Bytes overwritten here and there: a picture or a BlobError, never anything else."""
    data = saved(photo(40, 32), format_name)
    for at in range(0, len(data), max(1, len(data) // 60)):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        with contextlib.suppress(BlobError):
            decode(fetched(damaged), POLICY)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            b"hello",
            "not a picture in one of the formats read: JPEG, PNG, GIF, WEBP, BMP, TIFF, AVIF, ICO, HEIC",
        ),
        (b"<!DOCTYPE html><html><title>Sign in</title>", r"a web page \(HTML\) and not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%PDF-1.7", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9", "not a picture"),
        (bytes(18), "not a picture"),
        (b"BM but only the two letters of a bitmap", "not a picture"),
        (saved(corners(), "PPM"), "not a picture"),
        (saved(corners(), "TGA"), "not a picture"),
        (b"\0\0\1\0\1\0", "cannot be decoded as ICO"),
        (b"GIF89a", "cannot be decoded as GIF"),
        (b"II*\0", "cannot be decoded as TIFF"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded as PNG"),
        (b"\xff\xd8\xff", "cannot be decoded as JPEG"),
    ],
)
def test_what_is_no_picture_says_so(data: bytes, text: str) -> None:
    with pytest.raises(BlobUnreadable, match=text):
        decode(fetched(data), POLICY)


@pytest.mark.parametrize("format_name", FORMATS)
def test_formats_are_told_by_their_bytes_and_not_by_names(format_name: str, tmp_path: Any) -> None:
    (tmp_path / "lies.png").write_bytes(saved(corners(), format_name))
    with BlobFetcher(base=tmp_path) as blobs:
        assert decode(blobs.fetch("lies.png"), POLICY).width in (48, 64)  # the largest size icons have of it


def test_a_compressed_bomb_within_the_pixel_limit_is_decoded_and_no_more() -> None:
    rows = b"".join(b"\0" + bytes(3 * 500) for _ in range(400))
    data = png_claiming(500, 400, zlib.compress(rows + bytes(5_000_000)))
    assert decode(fetched(data), POLICY).image.size == (500, 400)


def test_out_of_memory_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", no_memory)
    with pytest.raises(BlobTooLarge, match="too large to decode"):
        decode(fetched(saved(corners(), "PNG")), POLICY)


def test_heic_with_the_extra() -> None:
    heif = pytest.importorskip("pillow_heif")
    out: Any = sys.modules["io"].BytesIO()
    heif.from_pillow(corners()).save(out, quality=90)
    picture = decode(fetched(out.getvalue()), POLICY)
    assert (picture.width, picture.height) == (64, 48)
    with pytest.raises(BlobTooLarge):
        decode(fetched(out.getvalue()), BlobPolicy(max_pixels=64))


def test_heic_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(
        BlobUnreadable, match=r"^'test\.bin': HEIC .*pip install 'qdrant-image-connector\[heic\]'"
    ):
        decode(fetched(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), POLICY)
