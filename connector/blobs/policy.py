"""What may be fetched, and how much of it: one frozen value, safe by default."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from connector.errors import BlobTooLarge, DataError

MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlobPolicy:
    """What a `BlobFetcher` may read and what a picture may cost.

    Attributes:
        roots: further folders beneath which files may be read; the base folder and the working directory
            always may.
        allow_files: False refuses every path and `file:` URL (right for a server that takes blobs from
            strangers).
        allow_private_addresses: True lifts the checks on addresses and on ports (for pictures inside one's
            own network).
        allowed_ports: the ports an `http(s)` URL may name.
        object_prefixes: what may be read from object stores, as in `("s3://my-bucket/photos/",)`; empty
            refuses all.
        max_bytes: bytes of one blob, after any content encoding is undone.
        max_pixels: width times height of one picture, read from its header.
        max_redirects: hops one URL may take; each is checked like the first.
        connect_seconds: for looking a host's name up, and for connecting to one of its addresses.
        total_seconds: for one try of one URL, from looking its host up to its last byte.
        max_connections: open connections in all.
        max_connections_per_host: open connections to one host.
        retries: further tries after a passing failure (no connection, time-out, 408, 429, 5xx).
        max_progressive_scans: passes over one progressive JPEG (each one costs a decode of the whole
            picture).
    """

    roots: tuple[Path, ...] = ()
    allow_files: bool = True
    allow_private_addresses: bool = False
    allowed_ports: tuple[int, ...] = (80, 443, 8000, 8080, 8443)
    object_prefixes: tuple[str, ...] = ()
    max_bytes: int = 64 * MIB
    max_pixels: int = 50_000_000
    max_redirects: int = 5
    connect_seconds: float = 5.0
    total_seconds: float = 20.0
    max_connections: int = 16
    max_connections_per_host: int = 4
    retries: int = 3
    max_progressive_scans: int = 100

    def __post_init__(self) -> None:
        for name in ("roots", "allowed_ports", "object_prefixes"):
            if isinstance(getattr(self, name), (str, bytes, Path, int)):
                raise DataError(f"{name} is {getattr(self, name)!r}. Give a list of them: {name}=[…].")
        # Lists and strings are what callers write; inside they are tuples and paths.
        object.__setattr__(self, "roots", tuple(Path(root) for root in self.roots))
        object.__setattr__(self, "allowed_ports", tuple(self.allowed_ports))
        object.__setattr__(self, "object_prefixes", tuple(self.object_prefixes))
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise DataError(f"{name} is {getattr(self, name)!r}. Use a number from {least}.")

    def too_many_bytes(self, name: str) -> BlobTooLarge:
        """The error for a blob beyond `max_bytes`; `name` is how messages call the blob."""
        return BlobTooLarge(
            f"{name} is larger than {self.max_bytes:,} bytes. "
            f"Use a smaller picture, or raise BlobPolicy(max_bytes=…)."
        )


_LEAST: dict[str, float] = {
    "max_bytes": 1,
    "max_pixels": 1,
    "max_redirects": 0,
    "connect_seconds": 0.001,
    "total_seconds": 0.001,
    "max_connections": 1,
    "max_connections_per_host": 1,
    "retries": 0,
    "max_progressive_scans": 1,
}
