"""What picture format bytes are, told by their first bytes and never by a name or a Content-Type."""

from __future__ import annotations

HEAD_BYTES = 64
"""How much of a blob's beginning `sniff` looks at."""

_DIB_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


def sniff(head: bytes) -> str | None:
    """The format whose signature `head` carries, or None. `head` is the blob's beginning, or all of it.

    | format | first bytes                                          | in base64             |
    |--------|------------------------------------------------------|-----------------------|
    | JPEG   | FF D8 FF (MPO comes with it)                         | `/9j/`                |
    | PNG    | 89 50 4E 47 0D 0A 1A 0A                              | `iVBORw0KGgo`         |
    | GIF    | GIF87a, GIF89a                                       | `R0lGOD`              |
    | WEBP   | RIFF .... WEBPVP8                                    | `UklGR`               |
    | BMP    | BM, four reserved zeros at 6, a known header length  | `Qk`                  |
    | TIFF   | II and MM with 42 or, for BigTIFF, 43                | `SUkq` `TU0A` `SUkr`  |
    | AVIF   | an ftyp box that names avif or avis                  | `AAAA…ZnR5cGF2aW`     |
    | HEIC   | an ftyp box that names one of HEIF's brands          | `AAAA…ZnR5cGhlaW`     |
    | ICO    | 00 00 01 00, at least one picture                    | `AAABAA`              |
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:15] == b"WEBPVP8":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "BMP" if int.from_bytes(head[14:18], "little") in _DIB_HEADERS else None
    if head.startswith(b"\0\0\1\0"):
        return "ICO" if head[4:6].strip(b"\0") else None
    return None


def _by_brands(head: bytes) -> str | None:
    """AVIF and HEIC share a container; its first box lists the brands (at 8, and from 16)."""
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIC_BRANDS else None


def looks_like_html(head: bytes) -> bool:
    """Whether these bytes begin a web page, the commonest thing to get instead of a picture."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n\0")[:15].lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--"))
