"""BlobFetcher: every kind of source ends as the same `Fetched`, or as an error that says what to do."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from connector.blobs import BlobFetcher, BlobPolicy
from connector.errors import BlobForbidden, BlobTooLarge, BlobUnreadable
from tests.blobs.pictures import corners, photo, saved

JPEG = saved(corners(), "JPEG")
JPEG_64 = base64.b64encode(JPEG).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cats").write_bytes(JPEG)
    return tmp_path


def test_the_same_bytes_from_everywhere_have_the_same_digest(folder: Path) -> None:
    sources: list[Any] = [
        JPEG,
        bytearray(JPEG),
        "cats",
        Path("cats"),
        folder / "cats",
        (folder / "cats").as_uri(),
        JPEG_64,
        base64.urlsafe_b64encode(JPEG).decode(),
        "data:image/jpeg;base64," + JPEG_64,
        "data:text/plain;base64," + JPEG_64,
    ]
    with BlobFetcher(base=folder) as blobs:
        fetched = [blobs.fetch(source) for source in sources]
    assert {each.data for each in fetched} == {JPEG}
    assert len({each.digest for each in fetched}) == 1
    assert len(fetched[0].digest) == 32
    assert [each.reference for each in fetched[:4]] == [None, None, "cats", "cats"]
    assert fetched[6].reference is fetched[8].reference is None


def test_digests_of_pil_images_tell_what_would_look_different() -> None:
    red, palette = corners(), corners().convert("P")
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.open(saved_as_file(corners(), exif))
    other_palette = palette.copy()
    other_palette.putpalette([1, 2, 3] * 256)
    see_through = palette.copy()
    see_through.info["transparency"] = 3
    pictures = [
        red,
        corners(48, 64),
        red.convert("L"),
        palette,
        other_palette,
        see_through,
        sideways,
        photo(64, 48),
        Image.new("RGB", (12, 2)),
        Image.new("RGB", (2, 12)),
    ]
    with BlobFetcher() as blobs:
        digests = [blobs.fetch(picture).digest for picture in pictures]
        assert len(set(digests)) == len(pictures)
        assert blobs.fetch(red.copy()).digest == digests[0]
        fetched = blobs.fetch(red)
    assert fetched.image is red
    assert fetched.data is None
    assert fetched.reference is None


def saved_as_file(image: Image.Image, exif: Image.Exif) -> Any:
    from io import BytesIO

    return BytesIO(saved(image, "PNG", exif=exif))


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (b"", BlobUnreadable, "'bytes' (0 bytes) is empty. Give a picture."),
        ("data:,", BlobUnreadable, "'data:…' (6 characters) is empty. Give a picture."),
        (None, BlobUnreadable, "'NoneType' is no blob. Give a path, a URL, bytes, base64 or a PIL image."),
        (3.5, BlobUnreadable, "'float' is no blob. Give a path, a URL, bytes, base64 or a PIL image."),
        (
            "ftp://example.com/a",
            BlobForbidden,
            "'ftp://example.com/a' has a scheme that is not fetched. Use http(s), file:, data: or a path.",
        ),
        (
            b"x" * 101,
            BlobTooLarge,
            "'bytes' (101 bytes) is larger than 100 bytes. Use a smaller picture, or raise BlobPolicy(max_bytes=…).",
        ),
    ],
)
def test_errors_say_what_happened_to_what_and_what_to_do(
    source: Any, error: type[Exception], text: str
) -> None:
    with BlobFetcher(BlobPolicy(max_bytes=100)) as blobs, pytest.raises(error) as caught:
        blobs.fetch(source)
    assert str(caught.value) == text


def test_pixels_of_a_pil_image_are_limited_before_it_is_loaded() -> None:
    with (
        BlobFetcher(BlobPolicy(max_pixels=100)) as blobs,
        pytest.raises(BlobTooLarge, match="64 x 48 pixels"),
    ):
        blobs.fetch(corners())


def test_a_closed_pil_image_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(saved(corners(), "PNG"))
    with Image.open(path) as image:
        pass
    with BlobFetcher() as blobs, pytest.raises(BlobUnreadable, match="'PIL image' cannot be decoded"):
        blobs.fetch(image)


def test_a_fetcher_is_shared_by_threads(folder: Path) -> None:
    with BlobFetcher(base=folder) as blobs, ThreadPoolExecutor(8) as pool:
        fetched = list(pool.map(blobs.fetch, ["cats", JPEG, JPEG_64] * 30))
    assert len({each.digest for each in fetched}) == 1
