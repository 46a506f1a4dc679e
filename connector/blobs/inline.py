"""Pictures inside the text itself: base64 and `data:` URLs, decoded strictly, in linear time, within the
limit.

The rules are the WHATWG's: forgiving-base64 (https://infra.spec.whatwg.org/#forgiving-base64) with the
URL-safe alphabet added, and the data: URL processor (https://fetch.spec.whatwg.org/#data-url-processor).
`base64.b64decode` is not used because it drops foreign characters in silence.
"""

from __future__ import annotations

import binascii
import re

from connector.blobs.formats import HEAD_BYTES
from connector.blobs.policy import BlobPolicy
from connector.errors import BlobUnreadable

_SPACE = b" \t\r\n\f"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_HEX_VALUES = bytes(
    int(chr(code), 16) if chr(code) in "0123456789abcdefABCDEF" else 255 for code in range(256)
)
_BASE64_MARK = re.compile(r";[ ]*base64[ ]*", re.IGNORECASE)


def head_of_base64(text: str) -> bytes:
    """The first bytes of base64 text, or b"" where its beginning is no base64."""
    start = text[: HEAD_BYTES * 2].encode("ascii", "replace").translate(_URL_SAFE, _SPACE).rstrip(b"=")
    start = start[: len(start) // 4 * 4]
    return b"" if start.translate(None, _ALPHABET) else binascii.a2b_base64(start)


def decode_base64(text: str, policy: BlobPolicy, name: str) -> bytes:
    """The bytes that base64 text stands for; `BlobTooLarge` is raised before anything is decoded."""
    return _base64(text.encode("ascii", "replace"), policy, name)


def decode_data_url(url: str, policy: BlobPolicy, name: str) -> bytes:
    """The bytes that a `data:` URL stands for; its media type is not believed, so it is not read."""
    header, comma, body = url.partition("#")[0].partition(",")
    if not comma:
        raise BlobUnreadable(f"{name} has no comma. Write data:image/png;base64,… or data:image/png,…")
    # Three characters a byte (%FF) is the most an escaped body can take, four of base64 for three bytes.
    if len(body) > 4 * policy.max_bytes + 1024:
        raise policy.too_many_bytes(name)
    raw = _unescape(body.encode("utf-8", "replace"))
    if _BASE64_MARK.fullmatch(header[header.rfind(";") :] if ";" in header else ""):
        return _base64(raw, policy, name)
    if len(raw) > policy.max_bytes:
        raise policy.too_many_bytes(name)
    return raw


def _base64(raw: bytes, policy: BlobPolicy, name: str) -> bytes:
    raw = raw.translate(_URL_SAFE, _SPACE)
    if len(raw) % 4 == 0:
        raw = raw[:-2] if raw.endswith(b"==") else raw.removesuffix(b"=")
    if len(raw) // 4 * 3 > policy.max_bytes:
        raise policy.too_many_bytes(name)
    if len(raw) % 4 == 1 or raw.translate(None, _ALPHABET):
        raise BlobUnreadable(
            f"{name} is damaged base64: a foreign character or a missing one. Encode it again."
        )
    return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))


def _unescape(body: bytes) -> bytes:
    """Undo percent-encoding; a percent sign without two hexadecimal digits behind it stays as it is."""
    if b"%" not in body:
        return body
    # Whole arrays at a time: urllib's unquote_to_bytes takes seconds for a few megabytes of "%".
    import numpy as np

    raw = np.frombuffer(body + b"  ", dtype=np.uint8).copy()
    digits = np.frombuffer(_HEX_VALUES, dtype=np.uint8)[raw]
    escapes = np.flatnonzero((raw[:-2] == ord("%")) & (digits[1:-1] < 16) & (digits[2:] < 16))
    raw[escapes] = digits[escapes + 1] * 16 + digits[escapes + 2]
    kept = np.ones(len(raw), dtype=bool)
    kept[escapes + 1] = kept[escapes + 2] = kept[-2:] = False
    return raw[kept].tobytes()
