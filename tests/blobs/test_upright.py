"""EXIF orientation: every value, every format that carries it, and metadata too broken to read."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from connector.blobs import BlobPolicy, decode
from connector.blobs.upright import (
    TURNS,
    is_sideways,
    orientation_of,
    stored_orientation,
    turned,
    turned_box,
)
from connector.space import PictureFrame
from tests.blobs.pictures import corner_colours, corners, fetched, photo, saved

POLICY = BlobPolicy()
UPRIGHT = (0, 1, 2, 3)


def stored_sideways(orientation: int, width: int = 64, height: int = 48) -> tuple[Image.Image, Image.Exif]:
    """A picture as a camera stores it, so that `orientation` makes it upright."""
    opposite = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = opposite.get(orientation, TURNS.get(orientation))
    image = corners(width, height)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return (image if turn is None else image.transpose(turn)), exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("frame", [None, PictureFrame(size=24), PictureFrame(size=24, fit="squash")])
def test_every_orientation_in_every_format(
    orientation: int, format_name: str, frame: PictureFrame | None
) -> None:
    image, exif = stored_sideways(orientation)
    picture = decode(fetched(saved(image, format_name, exif=exif)), POLICY, frame)
    assert corner_colours(picture.image) == UPRIGHT
    assert (picture.width, picture.height) == (64, 48)
    assert picture.image.size == (
        (64, 48) if frame is None else (24, 24) if frame.fit == "squash" else (32, 24)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_drafted_jpeg(orientation: int) -> None:
    image, exif = stored_sideways(orientation, 641, 483)
    picture = decode(fetched(saved(image, "JPEG", exif=exif)), POLICY, PictureFrame(size=32))
    assert corner_colours(picture.image) == UPRIGHT
    assert (picture.width, picture.height) == (641, 483)
    assert picture.image.size == (int(32 * 641 / 483), 32)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535, "6", b"\x06", 6.0, (6, 6)])
def test_what_is_no_orientation_changes_nothing(orientation: object) -> None:
    image = corners()
    image.getexif()[0x0112] = orientation
    assert orientation_of(image) == 1


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0MM\0*",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 30,
        b"Exif\0\0LoremIpsum" * 20,
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x1a\0\x05\0\0\0\x01\0\0\0\x1a\0\0\0\0"
        + b"\xff\xff\xff\xff\0\0\0\0",
    ],
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_broken_metadata_never_loses_a_picture(exif: bytes, format_name: str) -> None:
    data = saved(corners(), format_name, exif=exif, icc_profile=b"no profile at all" * 9)
    assert corner_colours(decode(fetched(data), POLICY).image) == UPRIGHT


def with_broken_tags(orientation: int) -> bytes:
    """EXIF that leads Pillow to warn: a tag before the orientation, and one after it, point beyond its end."""
    beyond = b"\0\0\0\x40\0\xff\xff\xff"
    tags = [
        b"\x01\x0e\0\x02" + beyond,
        b"\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation, 0, 0]),
        b"\x01\x31\0\x02" + beyond,
    ]
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x03" + b"".join(tags) + bytes(4)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_where_warnings_are_errors_broken_tags_cost_neither_the_picture_nor_its_orientation(
    format_name: str,
) -> None:
    image, _ = stored_sideways(6)
    data = saved(image, format_name, exif=with_broken_tags(6))
    with pytest.raises(UserWarning, match=r"larger than file|orrupt"), Image.open(BytesIO(data)) as opened:
        opened.getexif()
    picture = decode(fetched(data), POLICY)
    assert corner_colours(picture.image) == UPRIGHT
    with_frame = decode(fetched(data), POLICY, PictureFrame(size=24))
    assert corner_colours(with_frame.image) == UPRIGHT


def test_the_same_for_a_picture_that_a_caller_opened() -> None:
    image, _ = stored_sideways(6)
    with Image.open(BytesIO(saved(image, "PNG", exif=with_broken_tags(6)))) as opened:
        assert corner_colours(decode(fetched(opened), POLICY).image) == UPRIGHT


@pytest.mark.parametrize("orientation", range(10))
def test_a_stored_orientation_is_read_as_pillow_reads_it(orientation: int) -> None:
    for order in ("<", ">"):
        exif = Image.Exif()
        exif.endian = order
        exif[0x010E] = "a description long enough to lie outside its entry"
        exif[0x0112] = orientation
        block = exif.tobytes()
        for data in (
            saved(corners(), "JPEG", exif=block),
            saved(corners(), "PNG", exif=block),
            saved(corners(), "WEBP", exif=block),
            saved(corners(), "PNG", pnginfo=imagemagick(block)),
        ):
            with Image.open(BytesIO(data)) as opened:
                opened.load()
                assert stored_orientation(opened) == orientation_of(opened)


def imagemagick(block: bytes) -> PngInfo:
    """EXIF as ImageMagick wrote it into a PNG's text."""
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    return info


@pytest.mark.parametrize("profile", ["", "\nexif\n", "\nexif\n 4\nno hexadecimal"])
def test_a_damaged_text_of_exif_changes_nothing(profile: str) -> None:
    image = corners()
    image.info["Raw profile type exif"] = profile
    assert stored_orientation(image) == 1


def test_an_orientation_in_xmp_counts_too() -> None:
    image, _ = stored_sideways(6)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert corner_colours(decode(fetched(saved(image, "JPEG", xmp=xmp)), POLICY).image) == UPRIGHT


def test_a_broken_xmp_never_loses_a_tiff() -> None:
    image, exif = stored_sideways(6)
    exif[700] = b"tiff:Orientation=\xff\xfe\0"
    picture = decode(fetched(saved(image, "TIFF", exif=exif)), POLICY)
    assert corner_colours(picture.image) == UPRIGHT


def test_pil_images_are_turned_too_and_stay_as_they_are() -> None:
    image, exif = stored_sideways(8)
    image.info["exif"] = exif.tobytes()
    before = image.tobytes()
    picture = decode(fetched(image), POLICY)
    assert corner_colours(picture.image) == UPRIGHT
    assert image.tobytes() == before
    assert "exif" in image.info


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_decoded_picture_cannot_be_turned_twice(format_name: str) -> None:
    image, exif = stored_sideways(6)
    picture = decode(fetched(saved(image, format_name, exif=exif)), POLICY)
    assert ImageOps.exif_transpose(picture.image).tobytes() == picture.image.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_with_its_picture(orientation: int) -> None:
    image = photo(40, 30)
    box = (3.0, 5.0, 22.0, 19.0)
    whole = turned(image, orientation).crop(tuple(map(int, turned_box(box, 40, 30, orientation))))  # type: ignore[arg-type]
    part = turned(image.crop((3, 5, 22, 19)), orientation)
    assert whole.tobytes() == part.tobytes()
    assert (whole.size == (14, 19)) is is_sideways(orientation)
