"""decode: what the plain route gives (open, turn, convert, resize), only sooner; and thumbnails."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, ImageOps, JpegImagePlugin

from connector.blobs import BlobFetcher, BlobPolicy, Picture, decode, thumbnail
from connector.space import PictureFrame
from tests.blobs.pictures import FORMATS, corner_colours, corners, fetched, photo, saved

POLICY = BlobPolicy()
FRAME = PictureFrame(size=64)


def plainly(data: bytes, frame: PictureFrame) -> Image.Image:
    """The route everybody writes."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    short, long = min(image.size), max(image.size)
    new_long = int(frame.size * long / short)
    size = (frame.size, new_long) if image.width <= image.height else (new_long, frame.size)
    if frame.fit == "squash":
        size = (frame.size, frame.size)
    return image.resize(size, Image.Resampling[frame.resample.upper()])


def closeness(a: Image.Image, b: Image.Image) -> tuple[float, float]:
    """Peak signal-to-noise ratio in dB, and the cosine of the pixels."""
    x, y = np.asarray(a).astype("float64"), np.asarray(b).astype("float64")
    error = float(((x - y) ** 2).mean())
    cosine = float((x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum()))
    return (99.0 if error == 0 else 10 * math.log10(255**2 / error)), cosine


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        PictureFrame(size=50, fit="squash"),
        PictureFrame(size=70, resample="bilinear"),
        PictureFrame(size=300),
    ],
)
def test_small_pictures_are_pixel_identical_to_the_plain_route(format_name: str, frame: PictureFrame) -> None:
    for size in ((200, 120), (121, 203), (64, 64)):
        data = saved(photo(*size), format_name)
        picture = decode(fetched(data), POLICY, frame)
        expected = plainly(data, frame)
        assert picture.image.size == expected.size
        assert picture.image.tobytes() == expected.tobytes()


def test_large_pngs_are_pixel_identical_to_the_plain_route() -> None:
    data = saved(photo(900, 700), "PNG")
    assert decode(fetched(data), POLICY, FRAME).image.tobytes() == plainly(data, FRAME).tobytes()


@pytest.mark.parametrize("size", [(600, 450), (641, 483), (1001, 777), (777, 1001), (1290, 970)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_drafted_jpegs_are_all_but_identical(size: tuple[int, int], mode: str) -> None:
    data = saved(photo(*size).convert(mode), "JPEG", quality=90)
    picture = decode(fetched(data), POLICY, FRAME)
    decibels, cosine = closeness(picture.image, plainly(data, FRAME))
    assert decibels > 44
    assert cosine > 0.9998
    assert (picture.width, picture.height) == size


def test_a_drafted_picture_does_not_shift() -> None:
    """At a width that is no multiple of eight the raster reaches beyond the picture; without its box it would shift."""
    edges = Image.new("RGB", (1033, 1033), "white")
    for at in range(0, 1033, 40):
        edges.paste("black", (at, 0, at + 20, 1033))
    data = saved(edges, "JPEG", quality=95)
    decibels, _ = closeness(decode(fetched(data), POLICY, FRAME).image, plainly(data, FRAME))
    shifted = Image.open(BytesIO(data))
    assert isinstance(shifted, JpegImagePlugin.JpegImageFile)
    shifted.draft(None, (128, 128))
    naive, _ = closeness(shifted.resize((64, 64), Image.Resampling.BICUBIC), plainly(data, FRAME))
    assert decibels > 36
    assert decibels > naive + 6


def test_large_jpegs_are_decoded_small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = JpegImagePlugin.JpegImageFile.load_read

    def watch(self: JpegImagePlugin.JpegImageFile, read_bytes: int) -> bytes:
        sizes.append(self.size)
        return real(self, read_bytes)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load_read", watch)
    decode(fetched(saved(photo(1600, 1200), "JPEG")), POLICY, FRAME)
    assert sizes[0] == (200, 150)  # an eighth, still more than twice the target's (85, 64)


def test_what_is_left_to_the_model_comes_as_it_is() -> None:
    leaving = PictureFrame(size=64, leave=4)
    for size, left in (((640, 200), (640, 200)), ((1024, 768), (256, 192)), ((20, 30), (20, 30))):
        picture = decode(fetched(saved(photo(*size), "JPEG")), POLICY, leaving)
        assert picture.image.size == left, "a JPEG decoded at a reduced size stays at that"
        assert (picture.width, picture.height) == size
    large = saved(photo(600, 450), "PNG")
    assert decode(fetched(large), POLICY, leaving).image.tobytes() == plainly(large, FRAME).tobytes()


def test_nothing_is_left_to_the_model_that_would_shift_or_be_cut() -> None:
    leaving = PictureFrame(size=64, leave=4)
    for data in (saved(photo(641, 483), "JPEG"), saved(photo(8, 400), "PNG")):
        made, resized = (decode(fetched(data), POLICY, frame).image for frame in (leaving, FRAME))
        assert made.tobytes() == resized.tobytes()


def test_a_picture_left_to_the_model_has_left_its_file() -> None:
    mine = photo(100, 80)
    given = decode(fetched(saved(mine, "JPEG")), POLICY, PictureFrame(size=64, leave=4)).image
    assert not given.info
    assert not isinstance(given, JpegImagePlugin.JpegImageFile)


def test_without_a_frame_the_picture_keeps_its_size() -> None:
    picture = decode(fetched(saved(photo(1600, 1200), "JPEG")), POLICY)
    assert picture.image.size == (1600, 1200)
    assert picture.image.mode == "RGB"


@pytest.mark.parametrize(
    "size", [(200, 120), (4000, 1500)]
)  # the larger is kept in more than one piece by Pillow
def test_a_files_picture_is_its_pixels_and_nothing_else(size: tuple[int, int]) -> None:
    pixels = photo(*size)
    exif = Image.Exif()
    exif[0x0112] = 1
    data = saved(pixels, "PNG", exif=exif)
    for image in (decode(fetched(data), POLICY).image for _ in range(2)):
        assert (type(image), image.mode, image.size) == (Image.Image, "RGB", size)
        assert (image.info, dict(image.getexif())) == ({}, {})
        assert image.tobytes() == pixels.tobytes()
        image.paste((1, 2, 3), (0, 0, 9, 9))  # harms no other


def test_a_strip_is_cut_and_small() -> None:
    for size in ((1, 4000), (4000, 1)):
        picture = decode(fetched(saved(Image.new("RGB", size, "red"), "PNG")), POLICY, FRAME)
        assert min(picture.image.size) == 64
        assert max(picture.image.size) <= 16 * 64 + 4
        assert (picture.width, picture.height) == size


def test_the_first_frame_of_an_animation_and_the_first_page() -> None:
    others = [Image.new("RGB", (64, 48), colour) for colour in ("white", "black")]
    for format_name in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        data = saved(corners(), format_name, save_all=True, append_images=others)
        assert corner_colours(decode(fetched(data), POLICY).image) == (0, 1, 2, 3)


def test_frames_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(self: object) -> int:
        raise AssertionError("all frames were walked")

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "n_frames", property(count))
    data = saved(corners(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert corner_colours(decode(fetched(data), POLICY).image) == (0, 1, 2, 3)


def test_mpo_comes_with_jpeg() -> None:
    data = saved(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert corner_colours(decode(fetched(data), POLICY).image) == (0, 1, 2, 3)


def test_pil_images_are_decoded_too() -> None:
    image = photo(200, 120)
    assert decode(fetched(image), POLICY, FRAME).image.size == (106, 64)
    whole = decode(fetched(image), POLICY)
    assert whole.image is not image
    assert whole.image.tobytes() == image.tobytes()


def test_an_opened_jpeg_is_not_drafted_behind_its_owners_back(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(photo(1600, 1200), "JPEG"))
    with Image.open(path) as image, BlobFetcher() as blobs:
        decode(blobs.fetch(image), POLICY, FRAME)
        assert image.size == (1600, 1200)


def test_a_picture_is_a_frozen_value() -> None:
    picture = decode(fetched(saved(corners(), "PNG")), POLICY)
    assert isinstance(picture, Picture)
    assert picture.digest == fetched(saved(corners(), "PNG")).digest
    with pytest.raises(dataclasses.FrozenInstanceError):
        picture.width = 1  # type: ignore[misc]


def test_threads_decode_at_once_and_agree() -> None:
    blobs = [fetched(saved(photo(300 + at, 200), FORMATS[at % len(FORMATS)])) for at in range(16)]
    alone = [decode(blob, POLICY, FRAME).image.tobytes() for blob in blobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda blob: decode(blob, POLICY, FRAME).image.tobytes(), blobs * 4))
    assert together == alone * 4


def test_thumbnails() -> None:
    for data in (saved(photo(1600, 1200), "JPEG"), saved(photo(700, 525), "PNG")):
        small = Image.open(BytesIO(thumbnail(fetched(data), POLICY)))
        assert (small.format, small.size) == ("JPEG", (256, 192))
    tiny = thumbnail(fetched(saved(corners().convert("RGBA"), "PNG")), POLICY, side=100)
    assert Image.open(BytesIO(tiny)).size == (64, 48)
    strip = thumbnail(fetched(saved(Image.new("L", (4000, 1)), "PNG")), POLICY)
    assert Image.open(BytesIO(strip)).size == (256, 1)
