"""Which way is up: EXIF's orientation, and the turns it stands for."""

from __future__ import annotations

import re

from PIL import ExifTags, Image

from connector.blobs.headers import exif_orientation

ORIENTATION = ExifTags.Base.Orientation
Box = tuple[float, float, float, float]

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the picture upright. 1, and everything that is no orientation, needs
nothing."""


_IN_XMP = re.compile(r'tiff:Orientation(?:="|>)([0-9])')


def orientation_of(image: Image.Image) -> int:
    """The orientation, 1 to 8, of a picture that a caller gave, who may have changed it in memory.

    A TIFF's is 1: it turns itself when it is decoded.
    """
    if image.format == "TIFF":
        return 1
    try:
        return _known(image.getexif().get(ORIENTATION))
    # A border: broken metadata raises nearly anything in Pillow, a warning too where warnings are errors, and
    # must not lose the picture it is attached to.
    except Exception:  # noqa: BLE001
        return stored_orientation(image)


def stored_orientation(image: Image.Image) -> int:
    """The orientation, 1 to 8, that a picture's file gives it, read without a warning; a TIFF's is 1."""
    if image.format == "TIFF":
        return 1
    exif = image.info.get("exif") or _exif_of_imagemagick(image.info.get("Raw profile type exif"))
    if isinstance(exif, bytes) and (value := exif_orientation(exif)) is not None:
        return _known(value)
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or ""
    found = _IN_XMP.search(xmp.decode("latin-1") if isinstance(xmp, bytes) else str(xmp))
    return _known(int(found[1])) if found else 1


def _exif_of_imagemagick(profile: object) -> bytes | None:
    """EXIF as older ImageMagicks wrote it into a PNG: a name, a length, and hexadecimal lines."""
    if not isinstance(profile, str):
        return None
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return None


def _known(value: object) -> int:
    return value if isinstance(value, int) and value in TURNS else 1


def is_sideways(orientation: int) -> bool:
    """Whether turning upright swaps width and height."""
    return orientation >= 5


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture upright; the same object where nothing is to be done."""
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def turned_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Where `box` of a `width` x `height` picture lies after `turned`."""
    left, top, right, bottom = box
    if orientation in (2, 3, 7, 8):  # x runs the other way
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):  # y runs the other way
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if is_sideways(orientation) else (left, top, right, bottom)
