"""What the golden probes are: four pictures and four sentences that never change, or vectors of old could not be compared.

The pictures are drawn in whole numbers, so that every machine draws the same, and come as PNG files, so that they
can go the way of a record's own. A test holds their digest.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grid: TypeAlias = "NDArray[np.int64]"

Drawing: TypeAlias = "Callable[[Grid, Grid], list[Grid]]"

SENTENCES: Mapping[str, str] = {
    "plain": "a red mug on the table",
    "figures": "2 striped T-shirts, size 42-44, photo_0017.jpg (59.90 EUR)",
    "accents": "Ein grüner Hut für den Café-Besuch – très chic, 青い帽子",
    "long": "an old photo of two blue shoes and a hat on a canvas bag, " * 12,  # longer than any CLIP reads
}


def _rings(x: Grid, y: Grid) -> list[Grid]:
    """Rings that narrow outwards: shapes, and detail that a resize blurs in its own way."""
    ring = ((x - 225) ** 2 + (y - 150) ** 2) // 1500
    return [ring * 90 % 256, 255 - ring * 60 % 256, ring % 2 * 200]


def _stripes(x: Grid, y: Grid) -> list[Grid]:
    """Slanted stripes, coarse on the left and fine on the right."""
    stripe = (x + 2 * y) // (37 - x // 10)
    return [stripe % 2 * 230, stripe % 3 * 110, stripe % 5 * 50]


def _ramp(x: Grid, y: Grid) -> list[Grid]:
    """Soft changes of colour, without an edge."""
    return [x * 255 // 319, y * 255 // 319, 255 - (x + y) * 255 // 638]


def _tiles(x: Grid, y: Grid) -> list[Grid]:
    """Tiles of colours that follow no pattern a model could know."""
    tile = (x // 23 * 7919 + y // 23 * 104729) * 2654435761 % 2**32
    return [tile >> 24, tile >> 16, tile >> 8]


PICTURES: Mapping[str, tuple[int, int, Drawing]] = {
    "rings": (450, 300, _rings),
    "stripes": (300, 375, _stripes),
    "ramp": (320, 320, _ramp),
    "tiles": (520, 260, _tiles),
}
"""Names to width, height and what draws it: of all proportions, larger and smaller than models want.

Their proportions leave an even margin around the centre crop of every usual size. Libraries differ in how they halve an
odd one; a picture moved by half a pixel is no reason to refuse a model.
"""


@functools.cache
def drawn() -> tuple[bytes, ...]:
    """The pictures, in the order of `PICTURES`: the bytes of PNG files."""
    return tuple(_png(*drawing) for drawing in PICTURES.values())


@functools.cache
def digest() -> str:
    """Digest of pixels and sentences (hex): vectors of other probes cannot be compared."""
    pixels = (_pixels(*drawing).tobytes() for drawing in PICTURES.values())
    words = (sentence.encode() for sentence in SENTENCES.values())
    return hashlib.blake2b(b"".join((*pixels, *words)), digest_size=8).hexdigest()


def _pixels(width: int, height: int, draw: Drawing) -> NDArray[np.uint8]:
    import numpy as np

    y, x = np.mgrid[:height, :width].astype(np.int64)
    return (np.stack(draw(x, y), axis=-1) & 255).astype(np.uint8)


def _png(width: int, height: int, draw: Drawing) -> bytes:
    # Each line of a PNG begins with the number of its filter; 0 is none.
    lines = b"".join(b"\0" + line.tobytes() for line in _pixels(width, height, draw))
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
