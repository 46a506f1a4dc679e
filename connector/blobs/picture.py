"""From a blob's bytes to a picture a model can take: first frame, upright, RGB, at the size it wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageFile, JpegImagePlugin

from connector.blobs.fetch import Fetched
from connector.blobs.formats import HEAD_BYTES, sniff
from connector.blobs.frames import Target, framed, within
from connector.blobs.headers import Size
from connector.blobs.openers import check_size, decoding, opened
from connector.blobs.policy import BlobPolicy
from connector.blobs.tones import to_rgb
from connector.blobs.upright import Box, is_sideways, orientation_of, stored_orientation, turned, turned_box

if TYPE_CHECKING:
    from connector.transformation import PictureFrame

DRAFT = 2
"""How much larger than the target a JPEG is decoded at least; 2 costs a cosine of 1.3e-5 and saves most of
the work."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        image: mode RGB, upright, resized to the frame where there was one that does not leave that to the model. It
            carries no metadata any more, so that nothing downstream can turn it a second time.
        digest: of the blob (see `Fetched`).
        width: of the original, upright, in pixels.
        height: likewise.
    """

    image: Image.Image
    digest: str
    width: int
    height: int


def decode(fetched: Fetched, policy: BlobPolicy, frame: PictureFrame | None = None) -> Picture:
    """Decode a blob; several threads may do so at once (Pillow releases the GIL, and nothing here is locked).

    With a `frame` the picture is resized to it here, once: a large JPEG is decoded at a half, a quarter or
    an eighth of its size (never below twice the target) and resized from exactly the part of the raster
    that the original covers, unless the frame leaves that to the model. Without one the picture keeps its size.

    Raises `BlobTooLarge` before anything is decoded, or `BlobUnreadable`.
    """
    return _decoded(fetched, policy, (lambda size: framed(size, frame)) if frame else None)


def thumbnail(fetched: Fetched, policy: BlobPolicy, side: int = 256) -> bytes:
    """A JPEG of the whole picture that fits a square of `side` pixels; smaller pictures keep their size."""
    picture = _decoded(fetched, policy, lambda size: within(size, side))
    out = BytesIO()
    picture.image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _decoded(fetched: Fetched, policy: BlobPolicy, aim: Callable[[Size], Target] | None) -> Picture:
    format_name = sniff(fetched.data[:HEAD_BYTES]) if fetched.data else None
    with decoding(fetched.name, format_name):
        image, box, (width, height) = _upright(fetched, policy, aim)
        if aim and not _may_stay(target := aim((width, height)), (width, height), image.size, box):
            image = image.resize(target.size, target.resample, _part(target.box, (width, height), box))
        elif image is fetched.image:
            image = image.copy()  # the caller's stays the caller's
        elif isinstance(image, ImageFile.ImageFile):
            image = _bare(image)  # it keeps its EXIF beside `info` too
        image.info = {}
        return Picture(image, fetched.digest, width, height)


def _upright(
    fetched: Fetched, policy: BlobPolicy, aim: Callable[[Size], Target] | None
) -> tuple[Image.Image, Box, Size]:
    """The picture upright in RGB; which part of it the original covers (all, unless drafted); its size."""
    image = fetched.image or opened(fetched.data or b"", policy, fetched.name)
    drafts = aim and fetched.image is None and isinstance(image, JpegImagePlugin.JpegImageFile)
    if not drafts:
        image.load()  # before the orientation is asked for: a PNG's may come after its pixels
        check_size(image.size, policy, fetched.name)  # HEIC learns its size while decoding
    orientation = orientation_of(image) if fetched.image else stored_orientation(image)
    size = (image.height, image.width) if is_sideways(orientation) else image.size
    box: Box = (0, 0, *image.size)
    if drafts and aim:
        box = _draft(image, aim(size).size, orientation)
    rgb = to_rgb(image)
    return turned(rgb, orientation), turned_box(box, *rgb.size, orientation), size


def _bare(image: Image.Image) -> Image.Image:
    """An RGB file's pixels by themselves. They are copied only where Pillow keeps them in more than one piece: copying
    takes a third as long as decoding."""
    try:
        return Image.fromarrow(image, "RGB", image.size)
    except ValueError:
        return image.copy()


def _draft(image: Image.Image, target: Size, orientation: int) -> Box:
    """Ask libjpeg for a smaller raster, and return which part of that the original covers, to fractions."""
    width, height = target[::-1] if is_sideways(orientation) else target
    drafted = image.draft(None, (DRAFT * width, DRAFT * height))
    return drafted[1] if drafted else (0, 0, *image.size)


def _may_stay(target: Target, size: Size, raster: Size, lies: Box) -> bool:
    """Whether a raster is small enough to be left to the model: one that the original covers exactly, and is wanted whole."""
    whole: Box = (0, 0, *size)
    covered: Box = (0, 0, *raster)
    return target.box == whole and lies == covered and raster[0] * raster[1] <= target.leave


def _part(wanted: Box, size: Size, lies: Box) -> Box:
    """`wanted`, in pixels of the original of `size`, as a part of the raster in which the original `lies`."""
    left, top, right, bottom = lies
    x, y = (right - left) / size[0], (bottom - top) / size[1]
    return left + wanted[0] * x, top + wanted[1] * y, left + wanted[2] * x, top + wanted[3] * y
