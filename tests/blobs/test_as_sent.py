"""Pictures as vitrivr's service takes them: out of the request's own text, neither turned nor flattened."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector.blobs.as_sent import check_header, decode_as_sent, image_bytes
from connector.blobs.policy import BlobPolicy
from connector.errors import BlobForbidden, BlobTooLarge, BlobUnreadable
from connector.space import PictureFrame
from tests.blobs.pictures import corner_colours, corners, photo, png_claiming, progressive_with_scans, saved

POLICY = BlobPolicy()
PNG = saved(corners(), "PNG")


def text_of(data: bytes, label: str = "image/png") -> str:
    """A data: URL."""
    return f"data:{label};base64,{base64.b64encode(data).decode()}"


# what is taken


@pytest.mark.parametrize(
    "label",
    [
        "image/png",
        "image/jpeg",
        "image/webp",
        "IMAGE/Png",
        "image/svg+xml",
        "image/png;charset=utf-8",
        "image/png;a=b;c=d",
        "application/octet-stream",
        "",
    ],
)
def test_a_data_url_of_any_image_type_whose_label_is_not_believed(label: str) -> None:
    for url in (
        text_of(PNG, label),
        text_of(PNG, label).replace("data:", "DATA:").replace(";base64", ";BASE64"),
    ):
        assert image_bytes(url, POLICY) == PNG


def test_bare_base64_in_either_alphabet_with_white_space_and_without_padding() -> None:
    plain = base64.b64encode(PNG).decode()
    lines = "\n".join(plain[at : at + 76] for at in range(0, len(plain), 76))
    for text in (plain, base64.urlsafe_b64encode(PNG).decode(), plain.rstrip("="), lines, f"  {plain}\n"):
        assert image_bytes(text, POLICY) == PNG
        assert image_bytes(f"data:image/png;base64,{text}", POLICY) == PNG


# what is not


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com/a.png",
        "HTTPS://example.com/a.png",
        " http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "s3://bucket/a.png",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "URL:http://example.com/a.png",
        "C:\\a.png",
    ],
)
def test_nothing_is_fetched(text: str) -> None:
    with pytest.raises(BlobForbidden, match="and nothing is fetched here"):
        image_bytes(text, POLICY)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("data:image/png;base64,", "is empty"),
        ("/etc/passwd", "neither a data: URL nor base64 of a picture"),
        ("../../shoe.jpg", "neither a data: URL nor base64"),
        ("cats", "neither a data: URL nor base64"),
        ("//example.com/a.png", "neither a data: URL nor base64"),
        ("aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8=", "neither a data: URL nor base64"),
        ("\x00\x01", "neither a data: URL nor base64"),
        ("\ud83d", "neither a data: URL nor base64"),
        ("data:", "without ';base64,'"),
        ("data:image/png,abc", "without ';base64,'"),
        ("data:image/png;base64", "without ';base64,'"),
        ("data:text/plain;base64,aGVsbG8=", "says that it is 'text/plain'"),
        ("data:text/html;base64,aGVsbG8=", "says that it is 'text/html'"),
        ("data:application/pdf;base64,aGVsbG8=", "says that it is 'application/pdf'"),
        ("data:image/png;base64,@@@@", "damaged base64"),
        ("data:image/png;base64,http://example.com/a.png", "damaged base64"),
        (
            base64.b64encode(PNG).decode()[:61] + "!" + base64.b64encode(PNG).decode()[61:],
            "damaged base64|neither",
        ),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(BlobUnreadable, match=why) as raised:
        image_bytes(text, POLICY, "image 3")
    assert str(raised.value).startswith("image 3 ")
    assert len(str(raised.value)) < 200


def test_too_many_bytes_are_refused_before_they_are_decoded() -> None:
    small = BlobPolicy(max_bytes=100)
    for text in (text_of(bytes(200)), base64.b64encode(PNG + bytes(500)).decode()):
        with pytest.raises(BlobTooLarge, match="larger than 100 bytes"):
            image_bytes(text, small)


# the header alone


def test_a_header_is_enough_to_take_a_picture_that_breaks_off_later() -> None:
    data = saved(photo(300, 200), "JPEG")
    check_header(data[:2000], POLICY)
    with pytest.raises(BlobUnreadable, match="image 1 cannot be decoded as JPEG"):
        decode_as_sent(data[:2000], POLICY, name="image 1")


@pytest.mark.parametrize(
    ("data", "error", "why"),
    [
        (b"hello", BlobUnreadable, "not a picture in one of the formats"),
        (b"<html></html>", BlobUnreadable, "a web page"),
        (b"\xff\xd8\xff", BlobUnreadable, "cannot be decoded as JPEG"),
        (png_claiming(50_000, 50_000), BlobTooLarge, "50,000 x 50,000 pixels"),
        (progressive_with_scans(200), BlobTooLarge, "more than 100 scans"),
    ],
)
def test_a_header_can_be_refused(data: bytes, error: type[Exception], why: str) -> None:
    for check in (check_header, decode_as_sent):
        with pytest.raises(error, match=why):
            check(data, POLICY)


# decoding


def test_exif_is_not_obeyed() -> None:
    exif = Image.Exif()
    exif[274] = 6
    turned = decode_as_sent(saved(corners(), "JPEG", exif=exif, quality=95), POLICY)
    plain = decode_as_sent(saved(corners(), "JPEG", quality=95), POLICY)
    assert corner_colours(turned.image) == corner_colours(plain.image)
    assert turned.digest == plain.digest
    assert turned.image.info == {}
    assert not turned.image.getexif()


def _image(mode: str) -> Image.Image:
    noise = np.random.default_rng(2).integers(0, 256, (40, 60, 4), np.uint8)
    if mode == "I;16":
        return Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(noise, "RGBA").convert("RGB" if mode == "P" else "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("mode", "format_name", "options"),
    [
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("1", "PNG", {}),
        ("P", "PNG", {}),
        ("P", "PNG", {"transparency": bytes(range(256))}),
        ("P", "GIF", {"transparency": 3}),
        ("I;16", "PNG", {}),
        ("CMYK", "JPEG", {}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("CMYK", "TIFF", {}),
    ],
)
def test_every_mode_is_as_pillow_converts_it(mode: str, format_name: str, options: dict[str, Any]) -> None:
    data = saved(_image(mode), format_name, **options)
    with Image.open(BytesIO(data)) as opened:
        opened.load()
        opened.info.pop("transparency", None)  # Pillow warns of it
        expected = opened.convert("RGB")
    picture = decode_as_sent(data, POLICY)
    assert picture.image.mode == "RGB"
    assert (picture.width, picture.height) == (60, 40)
    assert picture.image.tobytes() == expected.tobytes()


def test_the_digest_is_that_of_pixels_and_size() -> None:
    """The original's cache took 60 x 20 and 20 x 60 of the same bytes for one picture, and any two palettes."""
    wide, tall = Image.new("RGB", (60, 20), (9, 9, 9)), Image.new("RGB", (20, 60), (9, 9, 9))
    red, blue = Image.new("P", (8, 8)), Image.new("P", (8, 8))
    red.putpalette([255, 0, 0])
    blue.putpalette([0, 0, 255])
    digests = {decode_as_sent(saved(each, "PNG"), POLICY).digest for each in (wide, tall, red, blue)}
    assert len(digests) == 4
    again = {decode_as_sent(saved(wide, name), POLICY).digest for name in ("PNG", "BMP", "GIF", "TIFF")}
    assert len(again) == 1, "whatever the file"


def test_with_a_frame_it_is_resized_as_pillow_does_it() -> None:
    image = photo(700, 500)
    picture = decode_as_sent(saved(image, "PNG"), POLICY, PictureFrame(224))
    assert picture.image.tobytes() == image.resize((313, 224), Image.Resampling.BICUBIC).tobytes()
    assert (picture.width, picture.height) == (700, 500)


def test_resized_first_is_the_order_in_which_open_clip_does_it() -> None:
    image = _image("RGBA").resize((700, 500), Image.Resampling.NEAREST)
    data = saved(image, "PNG")
    first = decode_as_sent(data, POLICY, PictureFrame(224), resized_first=True).image
    last = decode_as_sent(data, POLICY, PictureFrame(224)).image
    resized = image.resize((313, 224), Image.Resampling.BICUBIC)
    assert first.tobytes() == resized.convert("RGB").tobytes()
    assert last.tobytes() == image.convert("RGB").resize((313, 224), Image.Resampling.BICUBIC).tobytes()
    assert first.tobytes() != last.tobytes()


def test_a_strip_costs_no_more_than_it_must() -> None:
    picture = decode_as_sent(saved(Image.new("RGB", (1, 20_000)), "PNG"), POLICY, PictureFrame(224))
    assert picture.image.size == (224, 224 * 16)
