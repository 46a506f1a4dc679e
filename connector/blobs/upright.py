"""Which way is up: EXIF's orientation, and the turns it stands for."""

from __future__ import annotations

from PIL import ExifTags, Image

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


def orientation_of(image: Image.Image) -> int:
    """A picture's EXIF orientation, 1 to 8. A TIFF's is 1: it turns itself when it is decoded."""
    if image.format == "TIFF":
        return 1
    try:
        value = image.getexif().get(ORIENTATION)
    # A border: broken metadata raises nearly anything in Pillow, and must not lose the picture it is
    # attached to.
    except Exception:  # noqa: BLE001
        return 1
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
