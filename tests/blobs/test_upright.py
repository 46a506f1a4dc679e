"""EXIF orientation: every value, every format that carries it, and metadata too broken to read."""

from __future__ import annotations

import pytest
from PIL import Image, ImageOps

from connector.blobs import BlobPolicy, decode
from connector.blobs.upright import TURNS, is_sideways, orientation_of, turned, turned_box
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
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_metadata_never_loses_a_picture(exif: bytes, format_name: str) -> None:
    data = saved(corners(), format_name, exif=exif, icc_profile=b"no profile at all" * 9)
    assert corner_colours(decode(fetched(data), POLICY).image) == UPRIGHT


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
