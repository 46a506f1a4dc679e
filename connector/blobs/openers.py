"""Opening a picture's bytes with Pillow: by what they are, and no further than the header until its size
is known.

Pillow's own guard against decompression bombs is a process-wide number that warns at 89 and refuses at 179
megapixels, and is checked in different places for different formats. It is left alone: every size that
leads to an allocation (the picture's, a GIF's first frame, the picture inside an ICO, a TIFF's tiles, a
WebP's canvas) is compared here with the policy first. Each format's opener is called directly, so that no
other format is ever guessed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from connector.blobs.formats import HEAD_BYTES, looks_like_html, sniff
from connector.blobs.headers import Size, gif_extent, jpeg_scans, webp_canvas
from connector.blobs.policy import BlobPolicy
from connector.blobs.upright import ORIENTATION, TURNS
from connector.errors import BlobTooLarge, BlobUnreadable, ConnectorError, MissingExtra

if TYPE_CHECKING:
    CheckSize = Callable[[Size], None]

LONGEST_SIDE = 1_000_000
"""Pixels. Pillow keeps a pointer for each row, so one column of 50 million rows would take gigabytes."""

_log = logging.getLogger("connector")


def check_size(size: Size, policy: BlobPolicy, name: str) -> None:
    """Raise `BlobTooLarge` for more pixels than the policy allows, or for a side beyond `LONGEST_SIDE`."""
    width, height = size
    if width * height > policy.max_pixels or max(size) > LONGEST_SIDE:
        raise BlobTooLarge(
            f"{name} has {width:,} x {height:,} pixels. The limit is {policy.max_pixels:,} in all and "
            f"{LONGEST_SIDE:,} a side; scale it down, or raise BlobPolicy(max_pixels=…)."
        )


@contextlib.contextmanager
def decoding(name: str, format_name: str | None) -> Iterator[None]:
    """Whatever a decoder raises in here is this one picture's problem: `BlobTooLarge` or `BlobUnreadable`."""
    try:
        yield
    except MissingExtra as error:  # one record's problem and not the run's, but its cure is worth saying
        raise BlobUnreadable(f"{name}: {error}") from error
    except ConnectorError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise BlobTooLarge(
            f"{name} is too large to decode ({type(error).__name__}). Scale it down."
        ) from error
    # A border: decoders raise OSError, ValueError, SyntaxError, struct.error, EOFError, ZeroDivisionError
    # and what else a damaged file can lead them to. None of it may end a run over a million other
    # pictures.
    except Exception as error:
        raise BlobUnreadable(
            f"{name} cannot be decoded as {format_name or 'a picture'} ({type(error).__name__}). "
            f"It is damaged or cut short: export it again."
        ) from error


def opened(data: bytes, policy: BlobPolicy, name: str) -> Image.Image:
    """Open a picture: its header is read and its size within the policy, its pixels not decoded yet (ICO's
    may be).

    Call it inside `decoding`.
    """
    format_name = sniff(data[: HEAD_BYTES * 16])
    if format_name is None:
        what = "a web page (HTML) and not" if looks_like_html(data[:256]) else "not"
        raise BlobUnreadable(f"{name} is {what} a picture in one of the formats read: {', '.join(_OPENERS)}.")
    if format_name == "JPEG":
        _check_scans(data, policy, name)
    _refuse_truncated_files()

    def check(size: Size) -> None:
        check_size(size, policy, name)

    image = _OPENERS[format_name](data, check)
    check(image.size)
    return image


def _check_scans(data: bytes, policy: BlobPolicy, name: str) -> None:
    most = policy.max_progressive_scans
    if jpeg_scans(data, most + 1) > most:
        raise BlobTooLarge(
            f"{name} is a JPEG of more than {most} scans, each of which costs a whole decode. "
            f"Save it as a plain JPEG."
        )


def _refuse_truncated_files() -> None:
    """Take back the one process-wide Pillow switch that would let half a picture pass as a whole one.

    Pillow offers no way to say it for one picture. It only ever tightens: False is Pillow's own default.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        _log.warning(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES was on and is now off: half a picture must not pass as one."
        )
        ImageFile.LOAD_TRUNCATED_IMAGES = False


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG that leaves its EXIF alone. Pillow's looks there for a resolution, and where warnings are errors a
    broken EXIF would lose the picture."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _jpeg(data: bytes, check: CheckSize) -> Image.Image:
    return _Jpeg(BytesIO(data))


def _png(data: bytes, check: CheckSize) -> Image.Image:
    return PngImagePlugin.PngImageFile(BytesIO(data))


def _bmp(data: bytes, check: CheckSize) -> Image.Image:
    return BmpImagePlugin.BmpImageFile(BytesIO(data))


def _gif(data: bytes, check: CheckSize) -> Image.Image:
    if extent := gif_extent(data):
        check(extent)
    return GifImagePlugin.GifImageFile(BytesIO(data))


def _webp(data: bytes, check: CheckSize) -> Image.Image:
    if canvas := webp_canvas(data):
        check(canvas)
    return WebPImagePlugin.WebPImageFile(BytesIO(data))


def _avif(data: bytes, check: CheckSize) -> Image.Image:
    return AvifImagePlugin.AvifImageFile(BytesIO(data))


class _Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF that turns itself upright by its tag alone. Pillow's reads EXIF and XMP too and may trip."""

    def load_end(self) -> None:
        turn = TURNS.get(self.tag_v2.get(ORIENTATION, 1))
        if turn is not None:
            self.im = self.im.transpose(turn)
        self._size = self.im.size


def _tiff(data: bytes, check: CheckSize) -> Image.Image:
    image = _Tiff(BytesIO(data))
    width = image.tag_v2.get(TiffImagePlugin.TILEWIDTH)
    height = image.tag_v2.get(TiffImagePlugin.TILELENGTH)
    if isinstance(width, int) and isinstance(height, int):
        check((width, height))
    return image


def _ico(data: bytes, check: CheckSize) -> Image.Image:
    """The largest picture of an icon, as Pillow ranks them; its directory may lie about sizes."""
    icon = IcoImagePlugin.IcoFile(BytesIO(data))
    start = icon.entry[0].offset
    if sniff(data[start : start + HEAD_BYTES]) == "PNG":
        return _png(data[start:], check)
    width, twice_height = BmpImagePlugin.DibImageFile(BytesIO(data[start:])).size
    check((width, twice_height // 2))
    return icon.frame(0)


def _heic(data: bytes, check: CheckSize) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise MissingExtra("heic", "HEIC") from error
    image: Image.Image = HeifImageFile(BytesIO(data))  # type: ignore[no-untyped-call]  # half typed
    return image


_OPENERS: dict[str, Callable[[bytes, CheckSize], Image.Image]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _avif,
    "ICO": _ico,
    "HEIC": _heic,
}
