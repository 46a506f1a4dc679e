"""Pictures as vitrivr's feature-extraction service takes them: inside the request, and neither turned nor flattened.

That service reads the pixels as they lie in the file: EXIF's orientation is ignored, transparency is dropped and not
laid on white, deep greys are converted as Pillow does it. `picture.decode` does better by a picture; only this gives
that service's vectors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PIL import Image

from connector.blobs.fetch import digest
from connector.blobs.formats import HEAD_BYTES, sniff
from connector.blobs.frames import framed
from connector.blobs.inline import decode_base64, decode_data_url, head_of_base64
from connector.blobs.openers import check_size, decoding, opened
from connector.blobs.picture import Picture
from connector.blobs.policy import BlobPolicy
from connector.errors import BlobForbidden, BlobUnreadable

if TYPE_CHECKING:
    from connector.transformation import PictureFrame

_SPACE = " \t\r\n\f"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,30}):")
_BASE64_DATA_URL = re.compile(r"data:([^;,]{0,100})(?:;[^,]{0,200})?;[ ]*base64[ ]*,", re.IGNORECASE)
# Browsers label a file of a type unknown to them with the first, or not at all.
_UNLABELLED = ("application/octet-stream", "")


def image_bytes(text: str, policy: BlobPolicy, name: str = "'image'") -> bytes:
    """The bytes of a picture that is in the text itself, not decoded yet. Nothing is ever opened or fetched.

    Taken are `data:image/…;base64,…` (any image type, which is not believed; in any case, with parameters) and bare
    base64 of a picture; base64 in the plain or the URL-safe alphabet, white space and missing padding forgiven.

    Raises:
        BlobForbidden: it is the URL of something elsewhere.
        BlobTooLarge: more bytes than the policy allows; raised before anything is decoded.
        BlobUnreadable: it is empty, damaged, or no picture.
    """
    text = text.strip(_SPACE)
    if not text:
        raise BlobUnreadable(f"{name} is empty. {_CURE}")
    scheme = _SCHEME.match(text)
    if scheme is None:
        # Before all of it is decoded: "/etc/passwd" and "shoe" are base64 of something, but of no picture.
        if sniff(head_of_base64(text)) is None:
            raise BlobUnreadable(f"{name} is neither a data: URL nor base64 of a picture. {_CURE}")
        return decode_base64(text, policy, name)
    if scheme[1].lower() != "data":
        raise BlobForbidden(f"{name} is a URL ({scheme[1].lower()}:), and nothing is fetched here. {_CURE}")
    return _of_data_url(text, policy, name)


_CURE = "Send the picture itself, as 'data:image/png;base64,…'."


def _of_data_url(text: str, policy: BlobPolicy, name: str) -> bytes:
    header = _BASE64_DATA_URL.match(text)
    if header is None:
        raise BlobUnreadable(f"{name} is a data: URL without ';base64,'. {_CURE}")
    label = header[1].strip().lower()
    if not label.startswith("image/") and label not in _UNLABELLED:
        raise BlobUnreadable(f"{name} says that it is {label[:40]!r} and no picture. {_CURE}")
    data = decode_data_url(text, policy, name)
    if not data:
        raise BlobUnreadable(f"{name} is empty. {_CURE}")
    return data


def check_header(data: bytes, policy: BlobPolicy, name: str = "'image'") -> None:
    """Refuse what is no picture or too large a one by its beginning alone, without decoding its pixels.

    Raises:
        BlobTooLarge: more pixels than the policy allows.
        BlobUnreadable: none of the formats read, or a header that cannot be read.
    """
    with decoding(name, sniff(data[:HEAD_BYTES])):
        opened(data, policy, name).close()


def decode_as_sent(
    data: bytes,
    policy: BlobPolicy,
    frame: PictureFrame | None = None,
    *,
    resized_first: bool = False,
    name: str = "'image'",
) -> Picture:
    """Decode a picture as the service does: first frame, not turned, Pillow's plain `convert("RGB")`.

    Args:
        frame: resize to it with Pillow, as the service's CLIP models do; None keeps the picture whole.
        resized_first: resize in the file's own mode and convert afterwards (open_clip's order). It makes a difference
            to palettes, which are then not smoothed, and to transparency.
        name: how messages call the picture.

    Returns:
        a picture whose digest is that of its RGB pixels and size: two files of the same pixels share it, and two
        pictures of the same bytes but another size or palette do not.

    Raises:
        BlobTooLarge: more pixels than the policy allows; raised before anything is decoded.
        BlobUnreadable: it is no picture, or damaged.
    """
    with decoding(name, sniff(data[:HEAD_BYTES])):
        image = opened(data, policy, name)
        image.load()
        check_size(image.size, policy, name)  # HEIC learns its size while decoding
        width, height = image.size
        # Of no consequence to the pixels of an RGB, but Pillow warns of it in palettes, and stumbles in some greys.
        image.info.pop("transparency", None)
        rgb = _rgb(_resized(image, frame)) if resized_first else _resized(_rgb(image), frame)
        if rgb is image:
            rgb = image.copy()  # a file's object keeps its EXIF beside `info`
        rgb.info = {}
        return Picture(rgb, digest(f"{rgb.width}x{rgb.height} ".encode(), rgb.tobytes()), width, height)


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _resized(image: Image.Image, frame: PictureFrame | None) -> Image.Image:
    if frame is None:
        return image
    target = framed(image.size, frame)
    return image.resize(target.size, target.resample, target.box)
