"""What the server is told: where it listens, who may ask, and how much of anything it takes."""

from __future__ import annotations

import dataclasses
import os

from connector.blobs.policy import MIB, BlobPolicy
from connector.errors import DataError

GIB = 1024 * MIB
SHORTEST_KEY = 8  # characters; a shorter one is a slip, such as the empty string


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Limits and manners of one server, safe by default.

    Attributes:
        host: the address to listen on; one that others can reach needs keys, or `insist_public`.
        port: the port; 0 takes any free one.
        read_keys: keys that may search, read and embed. As soon as there is one key of either kind, all but
            `/health`, `/ready` and the page's own files needs one.
        write_keys: keys that may do everything.
        cors_origins: origins of web pages that may call this server, such as "https://shop.example"; "*" is all.
        models: the models of the jobs API that are offered; empty is all that are known and the space's own.
        max_body_bytes: of one request, bodies of `/ingest` apart.
        max_ingest_bytes: of one `/ingest`; streamed, never held.
        max_held_bytes: of all bodies that are being read at one moment; beyond it requests are put off with 429.
        max_requests: in hand at one moment; beyond it requests are put off with 503. `/health` is always answered.
        max_jobs: unfinished jobs of all models; beyond it a job is put off with 429.
        max_batch: inputs of one job.
        job_seconds: from a job's arrival to its failure, loading its model included.
        keep_seconds: how long the result of a job can be read.
        keep_bytes: of results that are kept; the oldest go first.
        max_searches: in hand or waiting; beyond it a search is put off with 429. By default twelve for each core:
            who is let in is answered soon, and nobody waits in a queue that only grows.
        max_reads: of records, counts, facets and thumbnails, likewise.
        request_seconds: for answering a request that has come in whole; `/ingest` and legacy jobs have their own.
        header_seconds: from a connection, or the first byte of a request, to the end of its header.
        body_seconds: of waiting for a request's body, and one more for every 64 KiB of it that have come. A client that
            reads its answer more slowly than that, over as many seconds, is given up.
        drain_seconds: for what is in hand when the server is told to stop.
        insist_public: listen where others can reach it without any key.
        blob_policy: what may be fetched for a caller, and how large it may be.
    """

    host: str = "127.0.0.1"
    port: int = 8888
    read_keys: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    write_keys: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    cors_origins: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    max_body_bytes: int = 32 * MIB
    max_ingest_bytes: int = 4 * GIB
    max_held_bytes: int = 256 * MIB
    max_requests: int = 1024
    max_jobs: int = 1024
    max_batch: int = 256
    job_seconds: float = 600.0
    keep_seconds: float = 600.0
    keep_bytes: int = 256 * MIB
    max_searches: int = dataclasses.field(default_factory=lambda: 12 * (os.cpu_count() or 2))
    max_reads: int = 64
    request_seconds: float = 30.0
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    drain_seconds: float = 10.0
    insist_public: bool = False
    blob_policy: BlobPolicy = dataclasses.field(default_factory=lambda: BlobPolicy(allow_files=False))

    def __post_init__(self) -> None:
        for name in ("read_keys", "write_keys", "cors_origins", "models"):
            if isinstance(value := getattr(self, name), str):
                raise DataError(f"{name} is a single text. Give a list of them: {name}=[…].")
            object.__setattr__(self, name, tuple(value))
        for name in ("read_keys", "write_keys"):
            if any(not _sound(key) for key in getattr(self, name)):
                # The message does not show the key: it may be a good one with a slip in it.
                raise DataError(
                    f"{name} holds a key that cannot be one. Use {SHORTEST_KEY} or more visible ASCII characters."
                )
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise DataError(f"{name} is {getattr(self, name)!r}. Use a number above 0.")
        if not 0 <= self.port <= 65535:
            raise DataError(f"port is {self.port}. Use a number from 0 to 65535.")

    @property
    def has_keys(self) -> bool:
        """Whether callers need a key."""
        return bool(self.read_keys or self.write_keys)


_POSITIVE = tuple(
    field.name
    for field in dataclasses.fields(ServerConfig)
    if field.name.startswith(("max_", "keep_")) or field.name.endswith("_seconds")
)


def _sound(key: str) -> bool:
    return len(key) >= SHORTEST_KEY and all("!" <= character <= "~" for character in key)
