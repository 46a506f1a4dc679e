"""What a source says of itself, short enough to keep beside a vector, so that an unchanged blob need not be read.

A file's stamp is its size and the time of its last change, `"51234-1718000000123456789"`. A web server's is its
ETag, else its Last-Modified; behind a redirect a digest of the address that answered goes before it, so that it is
shown to that address alone and proves nothing about any other.

No clock of this machine decides whether a blob has changed. What a stamp cannot tell is a file put in another's
place with its size and its time to the nanosecond; only reading it can.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from connector.blobs.sources import Kind, reference

TICK_NS = 10_000_000
"""The longest tick of a kernel's clock for files: two changes within one bear the same time."""
_COARSE_NS = 2_000_000_000
"""The same for file systems that know no fractions of a second; FAT counts in twos."""

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,80}"')
_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")
_HASHED = re.compile(r"etag:[0-9a-f]{32}")
_PLACED = re.compile(r"@([0-9a-f]{16}) (.*)", re.DOTALL)


def file_stamp(status: os.stat_result) -> str:
    """Size and time of the last change."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def settles_in(changed_ns: int, now_ns: int) -> int | None:
    """Nanoseconds until a further change to a file last changed at `changed_ns` must show in its stamp.

    None where that is too long to wait for. A file's time that lies in the future hides nothing: a change sets
    it back to now.
    """
    age = now_ns - changed_ns
    if changed_ns % 1_000_000_000 == 0:
        return 0 if not 0 <= age < _COARSE_NS else None
    return TICK_NS - age if 0 <= age < TICK_NS else 0


@dataclasses.dataclass(frozen=True)
class WebStamp:
    """A web server's stamp taken apart.

    Attributes:
        place: digest of the address that gave it; empty for the one the row names.
        validator: its ETag, `etag:` and a digest of one that is too long or too odd to keep, or a date.
    """

    place: str
    validator: str

    @classmethod
    def parse(cls, text: str | None) -> WebStamp | None:
        """Read a stored stamp; None where it is none that a server could be shown."""
        placed = _PLACED.fullmatch(text or "")
        place, validator = placed.groups() if placed else ("", text or "")
        known = any(form.fullmatch(validator) for form in (_ETAG, _DATE, _HASHED))
        return cls(place, validator) if known else None

    def __str__(self) -> str:
        return f"@{self.place} {self.validator}" if self.place else self.validator

    @property
    def condition(self) -> dict[bytes | str, bytes | str]:
        """The header that asks for the body only if it is another one; a digest cannot be asked with."""
        if _HASHED.fullmatch(self.validator):
            return {}
        return {"If-None-Match" if '"' in self.validator else "If-Modified-Since": self.validator}

    def answered_by(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a whole answer begins by saying what could not be asked: its ETag has this digest."""
        return _HASHED.fullmatch(self.validator) is not None and _validator(headers) == self.validator


def web_stamp(headers: Mapping[bytes, bytes], place: str) -> str | None:
    """The stamp an answer carries, if it carries one that a later change cannot share."""
    validator = _validator(headers)
    return str(WebStamp(place, validator)) if validator else None


def place_of(url: str) -> str:
    """16 hex characters for the address a redirect led to, less what signs it: signatures are new each time."""
    unsigned = reference(Kind.WEB_URL, url) or url
    return hashlib.blake2b(unsigned.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _validator(headers: Mapping[bytes, bytes]) -> str | None:
    etag = headers.get(b"etag", b"").strip()
    if etag.strip(b'W/"'):
        text = etag.decode("latin-1")
        # Kept, it would go back to the server as it is, and lie in a payload meanwhile.
        return text if _ETAG.fullmatch(text) else f"etag:{hashlib.blake2b(etag, digest_size=16).hexdigest()}"
    changed = headers.get(b"last-modified", b"").strip().decode("latin-1")
    return changed if _says_enough(changed, headers.get(b"date", b"").strip().decode("latin-1")) else None


def _says_enough(changed: str, now: str) -> bool:
    """Whether a Last-Modified is a second old by its server's own clock; in the same second there may have been
    a further change (RFC 9110, section 8.8.2.2)."""
    if not _DATE.fullmatch(changed) or not _DATE.fullmatch(now):
        return False
    try:
        return (parsedate_to_datetime(now) - parsedate_to_datetime(changed)).total_seconds() >= 1
    except ValueError:  # the 31st of February
        return False
