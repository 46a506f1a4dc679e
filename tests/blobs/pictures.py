"""Pictures drawn for the tests of this folder: small, colourful, and different in every corner."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from connector.blobs.fetch import Fetched, digest

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "ICO")
QUADRANTS = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 220, 40))
"""Colours of the corners: left top, right top, left bottom, right bottom."""


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Four coloured quadrants, so that every turn of the picture can be told from every other."""
    image = Image.new("RGB", (width, height))
    for at, colour in enumerate(QUADRANTS):
        left, top = at % 2 * width // 2, at // 2 * height // 2
        image.paste(colour, (left, top, left + width - width // 2, top + height - height // 2))
    return image


def photo(width: int, height: int) -> Image.Image:
    """Smooth waves of colour with some grain, about as hard to compress and to resize as a photograph."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([127 + 90 * np.sin(x / 37 + c) * np.cos(y / 53 - c) for c in range(3)], axis=-1)
    grain = np.random.default_rng(7).normal(0, 6, waves.shape)
    return Image.fromarray((waves + grain).clip(0, 255).astype("uint8"))


def saved(image: Image.Image, format_name: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    out = BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


def fetched(data: bytes | Image.Image) -> Fetched:
    """Content as `BlobFetcher` would have handed it over."""
    if isinstance(data, Image.Image):
        return Fetched(None, data, digest(data.tobytes()), None, "'PIL image'")
    return Fetched(data, None, digest(data), None, "'test.bin'")


def png_claiming(width: int, height: int, compressed: bytes = b"") -> bytes:
    """A PNG whose header claims a size, with hardly any data behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", compressed or zlib.compress(b"\0")), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def progressive_with_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated until it has that many."""
    data = saved(corners(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + b"\xff\xd9"


def close_to(image: Image.Image, x: float, y: float, colour: tuple[int, int, int], by: int = 40) -> bool:
    """Whether the pixel at a fraction of width and height has about that colour."""
    pixel = image.getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


def corner_colours(image: Image.Image) -> tuple[int, ...]:
    """Which quadrant colour lies in each corner, as indexes into QUADRANTS."""
    found = []
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)):
        found += [at for at, colour in enumerate(QUADRANTS) if close_to(image, x, y, colour)]
    return tuple(found)
