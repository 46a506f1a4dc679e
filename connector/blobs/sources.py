"""What a blob's source is, what it is called in messages, and what of it may be stored."""

from __future__ import annotations

import enum
import re
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, urlencode

from connector.blobs.formats import sniff
from connector.blobs.inline import head_of_base64

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

BlobSource: TypeAlias = "str | Path | bytes | Image"

SHORTEST_BASE64 = 40
"""Characters. The smallest real pictures (a GIF of one pixel) are a little longer than this in base64."""

OBJECT_SCHEMES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory"})
"""Object stores that may be named; which extra each needs is `objects.py`'s business."""

LONGEST_PATH = 4096
"""Characters. No system opens longer paths."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_ \t\r\n\f]+=?[ \t\r\n\f]*=?[ \t\r\n\f]*")


class Kind(enum.Enum):
    """What a blob's source is."""

    BYTES = "bytes"
    PICTURE = "PIL image"
    BASE64 = "base64"
    DATA_URL = "data: URL"
    PATH = "path"
    FILE_URL = "file: URL"
    WEB_URL = "http(s) URL"
    OBJECT_URL = "object store URL"
    UNKNOWN_URL = "URL of an unknown scheme"
    UNKNOWN = "no blob"


def classify(source: object) -> Kind:
    """Say what `source` is. The first row that fits decides; nothing is opened. Schemes may be in any case.

    | source                                                                 | kind        |
    |------------------------------------------------------------------------|-------------|
    | bytes, bytearray, memoryview                                           | BYTES       |
    | a PIL image                                                            | PICTURE     |
    | a Path                                                                 | PATH        |
    | anything else that is no string                                        | UNKNOWN     |
    | `data:…`                                                               | DATA_URL    |
    | `file:…`                                                               | FILE_URL    |
    | `URL:…`, an old prefix that some parsers unwrap                        | UNKNOWN_URL |
    | `http://…`, `https://…`                                                | WEB_URL     |
    | `s3://…` and the other OBJECT_SCHEMES                                  | OBJECT_URL  |
    | any other `scheme://…` of two letters or more (`C://x` has no scheme)  | UNKNOWN_URL |
    | base64 of a picture (below)                                            | BASE64      |
    | everything else: `cats`, `shoe.jpg`, `/9j/`, `C:\\x.jpg`, `a:b`         | PATH        |

    Text is base64 of a picture if it has 40 characters or more, if what its beginning decodes to is the signature
    of a picture format (`formats.sniff`: `/9j/` JPEG, `iVBORw0KGgo` PNG, `R0lGOD` GIF, …), and if all of it is of
    the plain or URL-safe alphabet, white space, and at most two `=` at the end. Beyond 4,096 characters the last
    condition is waived: what begins so and is too long for a path is damaged base64.

    A file whose name reads as one of the upper rows is reached by a `Path`, or as `./name`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Kind.BYTES
    if is_picture(source):
        return Kind.PICTURE
    if isinstance(source, PurePath):
        return Kind.PATH
    if not isinstance(source, str):
        return Kind.UNKNOWN
    return _kind_of_url(source) or (Kind.BASE64 if _is_base64(source) else Kind.PATH)


def _kind_of_url(text: str) -> Kind | None:
    found = _SCHEME.match(text)
    if found is None or len(found[1]) < 2:
        return None
    scheme = found[1].lower()
    if scheme in ("data", "file"):
        return Kind.DATA_URL if scheme == "data" else Kind.FILE_URL
    if scheme == "url":
        return Kind.UNKNOWN_URL
    if not text.startswith("//", found.end()):
        return None
    if scheme in ("http", "https"):
        return Kind.WEB_URL
    return Kind.OBJECT_URL if scheme in OBJECT_SCHEMES else Kind.UNKNOWN_URL


def _is_base64(text: str) -> bool:
    return (
        len(text) >= SHORTEST_BASE64
        and sniff(head_of_base64(text)) is not None
        and (len(text) > LONGEST_PATH or _BASE64.fullmatch(text) is not None)
    )


def is_picture(source: object) -> bool:
    """Whether `source` is a PIL image; Pillow is not imported, for where it never was there are none."""
    pillow = sys.modules.get("PIL.Image")
    # While another thread is importing Pillow the module is there but not yet its class, and no picture can exist.
    image_class = getattr(pillow, "Image", None)
    return image_class is not None and isinstance(source, image_class)


def shown(kind: Kind, source: object) -> str:
    """The source as messages quote it: at most 80 characters, no content, no credentials, no query."""
    if kind is Kind.BYTES:
        return f"'bytes' ({len(source):,} bytes)"  # type: ignore[arg-type]  # BYTES are sized
    if kind is Kind.PICTURE:
        return "'PIL image'"
    if kind is Kind.UNKNOWN:
        return f"'{type(source).__name__}'"
    text = str(source)
    if kind is Kind.BASE64:
        return f"'base64' ({len(text):,} characters)"
    if kind is Kind.DATA_URL:
        return f"'data:…' ({len(text):,} characters)"
    if kind is not Kind.PATH:
        text = without_secrets(text)
    # repr() makes control characters and lone surrogates harmless in logs; its own quotes may differ.
    return "'" + repr(_short(text))[1:-1] + "'"


def _short(text: str, most: int = 76) -> str:
    return text if len(text) <= most else f"{text[:32]}…{text[-(most - 33) :]}"


def without_secrets(url: str) -> str:
    """A URL for messages: no user info, no query, no fragment."""
    bare = re.sub(r"[?#].*", "", url, flags=re.DOTALL) + ("?…" if "?" in url else "")
    return re.sub(r"(://)[^/]*@", r"\1", bare, count=1)


def reference(kind: Kind, source: object) -> str | None:
    """What may be stored beside the vector: path or URL, less its secrets; None for content itself."""
    if kind in (Kind.PATH, Kind.FILE_URL):
        return str(source)
    if kind in (Kind.WEB_URL, Kind.OBJECT_URL):
        return _unsigned(str(source))
    return None


_SECRETS = frozenset({
    "access_token", "api_key", "apikey", "auth", "auth_token", "awsaccesskeyid", "googleaccessid", "hdnea",
    "hdnts", "hmac", "jwt", "ossaccesskeyid", "password", "secret", "sig", "signature", "token",
})  # fmt: skip
# Harmless words by themselves, but part of a signature where there is one (CloudFront, S3, Azure).
_BESIDE_SIGNATURE = frozenset({
    "expires", "key-pair-id", "policy", "saoid", "scid", "sdd", "se", "sip", "ske", "skoid", "sks", "skt",
    "sktid", "skv", "sp", "spr", "sr", "srt", "ss", "st", "suoid", "sv",
})  # fmt: skip


def _is_secret(name: str) -> bool:
    return name in _SECRETS or name.startswith(("x-amz-", "x-goog-", "x-oss-", "x-ms-"))


def _unsigned(url: str) -> str:
    """The URL without user info and fragment, and without the parameters that sign it."""
    url = re.sub(r"(://)[^/?#]*@", r"\1", url.partition("#")[0], count=1)
    address, mark, query = url.partition("?")
    names = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
    dropped = {name for name in names if _is_secret(name)}
    if not dropped:
        return url
    dropped |= _BESIDE_SIGNATURE
    kept = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k.lower() not in dropped]
    return f"{address}{mark}{urlencode(kept)}" if kept else address
