"""From a blob's source to its bytes, whatever the source is: `BlobFetcher.fetch`."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, overload

from connector.blobs.files import Files, path_of_file_url
from connector.blobs.inline import decode_base64, decode_data_url
from connector.blobs.objects import read_object
from connector.blobs.policy import BlobPolicy
from connector.blobs.sources import BlobSource, Kind, classify, reference, shown
from connector.errors import BlobForbidden, BlobUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

    from connector.blobs.web import Web, Wire

__all__ = ["BlobFetcher", "BlobSource", "Fetched", "Kind", "classify"]

Read = tuple[bytes, str | None]
"""A blob's bytes, and its source's stamp."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fetched:
    """A blob's content, not yet decoded.

    Attributes:
        data: its bytes; None where the source was a PIL image.
        image: the PIL image, where the source was one.
        digest: 128 bits of BLAKE2b in hex: over the bytes, or over a PIL image's mode, size, orientation
            and pixels.
        reference: what may be stored to find it again (path or URL without secrets), None where it was
            content itself.
        name: how messages call it.
        stamp: what its source said of it (see `stamps`), to be shown again as `unless`; None where the source
            says nothing that could be relied on.
    """

    data: bytes | None
    image: Image | None
    digest: str
    reference: str | None
    name: str
    stamp: str | None = None


class BlobFetcher:
    """Fetches blobs under one policy; a context manager, and safe to use from several threads at once.

        with BlobFetcher(base=Path("data")) as blobs:
            fetched = blobs.fetch("shoe.jpg")

    Args:
        policy: what may be fetched.
        base: the folder relative paths start from; None is the working directory.
        wire: how the network is reached; tests pass their own.

    Attributes:
        fetched: how many blobs' bytes were read.
        unmodified: how many were not, because their source said that they are what they were.
    """

    def __init__(
        self, policy: BlobPolicy | None = None, base: Path | None = None, *, wire: Wire | None = None
    ) -> None:
        self.policy = policy or BlobPolicy()
        self._files = Files(self.policy, base)
        self._wire = wire
        self._web: Web | None = None
        self._opening = threading.Lock()
        self._counting = threading.Lock()
        self.fetched = 0
        self.unmodified = 0

    def __enter__(self) -> BlobFetcher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections that were kept open."""
        with self._opening:
            web, self._web = self._web, None
        if web is not None:
            web.close()

    @overload
    def fetch(self, source: BlobSource, unless: None = None) -> Fetched: ...
    @overload
    def fetch(self, source: BlobSource, unless: str | None) -> Fetched | None: ...

    def fetch(self, source: BlobSource, unless: str | None = None) -> Fetched | None:
        """Get a blob's content, or None if its source says that it still is what it was.

            fetched = blobs.fetch("shoe.jpg")
            blobs.fetch("shoe.jpg", unless=fetched.stamp)      # None, without reading it

        Only files and web servers can say so. `unless` is a stamp from the same source; one that fits nothing
        (another source's, damaged, of an older form) has the blob read.

        Raises a `BlobError` (`BlobNotFound`, `BlobTooLarge`, `BlobForbidden`, `BlobUnreadable`),
        `BlobUnavailable` when a server does not answer, or `MissingExtra` for an object store whose
        library is not installed.
        """
        kind = classify(source)
        name = shown(kind, source)
        if kind is Kind.PICTURE:
            return self._count(self._from_picture(source, name))  # type: ignore[arg-type]  # PICTURE means a PIL image
        read = self._read(kind, source, name, unless)
        if read is None:
            return self._count(None)
        data, stamp = read
        if not data:
            raise BlobUnreadable(f"{name} is empty. Give a picture.")
        return self._count(Fetched(data, None, digest(data), reference(kind, source), name, stamp))

    def is_unmodified(self, source: BlobSource, unless: str, kind: Kind) -> bool:
        """Whether a file's stamp still is `unless`, where two system calls can tell; False says nothing, ask `fetch`.

        `kind` is the source's. Nothing is opened, no server is asked and nothing is raised.
        """
        known = kind is Kind.PATH and self._files.is_known_as(str(source), unless)
        if known:
            self._count(None)
        return known

    def _count(self, fetched: Fetched | None) -> Fetched | None:
        with self._counting:
            self.fetched += fetched is not None
            self.unmodified += fetched is None
        return fetched

    def _read(self, kind: Kind, source: object, name: str, unless: str | None) -> Read | None:
        text = str(source) if kind is not Kind.BYTES else ""
        match kind:
            case Kind.BYTES:
                return self._from_bytes(bytes(source), name), None  # type: ignore[call-overload]
            case Kind.BASE64:
                return decode_base64(text, self.policy, name), None
            case Kind.DATA_URL:
                return decode_data_url(text, self.policy, name), None
            case Kind.PATH:
                return self._files.read(text, name, unless)
            case Kind.FILE_URL:
                return self._files.read(path_of_file_url(text, name), name, unless)
            case Kind.WEB_URL:
                return self._opened_web().read(text, name, unless)
            case Kind.OBJECT_URL:
                return read_object(text, self.policy, name), None
            case Kind.UNKNOWN_URL:
                raise BlobForbidden(
                    f"{name} has a scheme that is not fetched. Use http(s), file:, data: or a path."
                )
            case _:
                raise BlobUnreadable(f"{name} is no blob. Give a path, a URL, bytes, base64 or a PIL image.")

    def _from_bytes(self, data: bytes, name: str) -> bytes:
        if len(data) > self.policy.max_bytes:
            raise self.policy.too_many_bytes(name)
        return data

    def _from_picture(self, image: Image, name: str) -> Fetched:
        from connector.blobs.openers import check_size, decoding
        from connector.blobs.upright import orientation_of

        check_size(image.size, self.policy, name)
        with decoding(name, image.format):
            palette = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
            parts = (image.mode, image.size, orientation_of(image), palette, image.info.get("transparency"))
            return Fetched(None, image, digest(repr(parts).encode(), image.tobytes()), None, name)

    def _opened_web(self) -> Web:
        with self._opening:
            if self._web is None:
                from connector.blobs.web import Web, Wire

                self._web = Web(self.policy, self._wire or Wire())
            return self._web


def digest(*parts: bytes) -> str:
    """128 bits of BLAKE2b over all parts, as 32 hex characters."""
    blake = hashlib.blake2b(digest_size=16)
    for part in parts:
        blake.update(part)
    return blake.hexdigest()
