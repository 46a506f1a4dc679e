"""What must be known of a picture before Pillow touches its bytes, because Pillow would allocate or loop
first.

Each function reads what the decoder itself reads and is content with damaged input: the decoder will say
what is wrong.
"""

from __future__ import annotations

import re
import struct
from struct import unpack_from

Size = tuple[int, int]

_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4

_SOS, _EOI = 0xDA, 0xD9
# In a JPEG's entropy-coded data FF is followed by 00 or a restart marker; anything else ends the scan.
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")


def webp_canvas(data: bytes) -> Size | None:
    """A WebP's size; libwebp allocates two canvases of it on opening."""
    if len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def gif_extent(data: bytes) -> Size | None:
    """The size a GIF's screen and first frame span; Pillow grows the screen to the frame, on opening."""
    try:
        width, height, flags = unpack_from("<HHB", data, 6)
        at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        while data[at] != 0x2C:  # up to the first frame's descriptor
            if data[at] == 0x3B:
                return width, height
            at = _after_blocks(data, at + 2) if data[at] == 0x21 else at + 1
        left, top, frame_width, frame_height = unpack_from("<HHHH", data, at + 1)
    except (IndexError, struct.error):
        return None
    return max(width, left + frame_width), max(height, top + frame_height)


def _after_blocks(data: bytes, at: int) -> int:
    while length := data[at]:
        at += length + 1
    return at + 1


def jpeg_scans(data: bytes, enough: int) -> int:
    """How many scans a JPEG has, counted up to its end marker and no further than `enough`.

    Bytes FF DA also occur in metadata and in whatever follows the picture (a phone's "motion photo" is an
    MP4), so they are only counted where a marker can stand.
    """
    if data.count(b"\xff\xda") < enough:
        return 0
    scans, at = 0, 2
    while scans < enough and (found := _MARKER.search(data, at)):
        marker, at = data[found.end() - 1], found.end()
        if marker == _EOI:
            break
        scans += marker == _SOS
        at += int.from_bytes(data[at : at + 2], "big")
    return scans


def exif_orientation(exif: bytes) -> int | None:
    """The orientation in a picture's EXIF block, as it stands there; None where it names none.

    Pillow reads the whole block, with a warning for whatever in it is broken. Where warnings are errors that
    would lose the orientation, and warnings cannot be switched off for one thread alone.
    """
    tiff = re.sub(rb"^(?:Exif\0\0){1,2}", b"", exif)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (at,) = unpack_from(order + "I", tiff, 4)
        (entries,) = unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count, short = unpack_from(order + "HHIH", tiff, entry)
            if tag == _ORIENTATION and count == 1 and kind in (_SHORT, _LONG):
                return int(short if kind == _SHORT else unpack_from(order + "I", tiff, entry + 8)[0])
    except struct.error:  # the block ends before the tag
        pass
    return None
