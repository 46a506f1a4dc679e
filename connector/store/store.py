"""The store's protocol: about a dozen calls on one Qdrant collection, and the values that cross it."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from connector.errors import CollectionMismatch, DataError, PointError

if TYPE_CHECKING:
    from connector.schema.nodes import Condition
    from connector.store.retry import Retries

IndexKind: TypeAlias = Literal["keyword", "integer", "float", "bool", "datetime", "uuid", "text"]
FloatVector: TypeAlias = NDArray[np.float32]

# Qdrant refuses these in a collection's name, and a folder's name could not hold most of them either.
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


@dataclasses.dataclass(frozen=True)
class CollectionSpec:
    """What a collection is made of.

    Attributes:
        name: the collection's name.
        length: values in each vector; the same for all names.
        vectors: the names of the vectors a point may have; distance is always cosine.
        indexes: payload key -> kind of payload index.
        metadata: JSON-able; says what made the collection. Comes back from `Store.describe`.
    """

    name: str
    length: int
    vectors: tuple[str, ...]
    indexes: Mapping[str, IndexKind]
    metadata: Mapping[str, object]


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One record as Qdrant holds it: a uuid, named float32 vectors (shape (length,)), a JSON-able payload."""

    id: str
    vectors: Mapping[str, FloatVector]
    payload: Mapping[str, object]


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredPoint:
    """A point found by `Store.query`, with its cosine similarity to the query (-1 to 1)."""

    point: Point
    score: float


@dataclasses.dataclass(frozen=True)
class Where:
    """Which points are meant: those of any of `schemas` (all schemas when empty) that fulfil `condition`."""

    schemas: tuple[str, ...] = ()
    condition: Condition | None = None


@dataclasses.dataclass(frozen=True)
class Shape:
    """The vectors a collection holds: their names and their one length."""

    length: int
    vectors: tuple[str, ...]

    def check_query(self, vector: FloatVector, using: str) -> None:
        """Refuse a query vector that no stored vector could be compared with.

        Raises:
            CollectionMismatch: the collection has no vector of this name or length.
            DataError: the vector holds NaN or infinity.
        """
        if using not in self.vectors:
            raise CollectionMismatch(
                f"The collection has no vector named {using!r}. It has: {', '.join(self.vectors)}."
            )
        if vector.shape != (self.length,):
            raise CollectionMismatch(
                f"The query has shape {vector.shape}, the collection's vectors have shape ({self.length},). "
                "Use the model that made the collection, or another collection."
            )
        if not np.isfinite(vector).all():
            raise DataError("The query vector holds NaN or infinity. Check what it was made of.")

    def check_spec(self, spec: CollectionSpec) -> None:
        """Raise `CollectionMismatch` unless `spec` describes the same vectors."""
        if spec.length != self.length or set(spec.vectors) != set(self.vectors):
            raise CollectionMismatch(
                f"Collection {spec.name!r} holds vectors {', '.join(sorted(self.vectors))} of {self.length} "
                f"values; asked for were {', '.join(sorted(spec.vectors))} of {spec.length}. "
                "Use another collection, or remove this one and ingest again."
            )


class Store(Protocol):
    """One collection in Qdrant, wherever Qdrant is. Every call may raise `StoreUnavailable`; nothing is lost.

    Calls may come from several threads. A folder's store belongs to the process that opened it (`StoreLocked`
    for others) and must not be used after a fork.
    """

    def describe(self) -> dict[str, object] | None:
        """Return the collection's metadata, or None when there is no collection. Cheap; creates nothing."""
        ...

    def create(self, spec: CollectionSpec) -> None:
        """Make the collection with its payload indexes, or bring the one that is there up to date.

        Idempotent: an existing collection keeps its points, gains the indexes and metadata it lacks.

        Raises:
            CollectionMismatch: it exists with vectors of other names or another length.
        """
        ...

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points; later ones win over earlier ones of the same id.

        Returns one entry per point, in order: None where Qdrant acknowledged it, or why it was refused.
        A refused point never holds its neighbours back.
        """
        ...

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> dict[str, Point]:
        """Return the points that exist, by id."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points by id; ids that do not exist are passed over."""
        ...

    def delete_where(self, where: Where) -> None:
        """Delete the points that `where` means."""
        ...

    def count(self, where: Where | None = None) -> int:
        """Count points, exactly."""
        ...

    def query(
        self,
        vector: FloatVector,
        *,
        using: str,
        where: Where | None = None,
        limit: int = 10,
        offset: int = 0,
        min_score: float | None = None,
        with_vectors: bool = False,
    ) -> list[ScoredPoint]:
        """Return the points nearest to `vector` (shape (length,)) by their vector named `using`, best first.

        Points without that vector are not returned. Equal scores are ordered by id.
        `min_score` keeps hits with score >= min_score; it may be zero or negative.
        """
        ...

    def scan(
        self, where: Where | None = None, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[Point]:
        """Yield points in the order of their ids, `batch` held at a time."""
        ...

    def flush(self) -> None:
        """Make what was acknowledged survive a power cut, not only the end of this process."""
        ...

    def optimize(self) -> None:
        """Build the search structures now, where Qdrant does not do so by itself (a folder)."""
        ...

    def close(self) -> None:
        """Release what is held. Closing twice is fine; any other use afterwards raises `StoreUnavailable`."""
        ...


def open_store(
    location: str | Path,
    collection: str,
    *,
    api_key: str | None = None,
    prefer_grpc: bool = False,
    grpc_port: int = 6334,
    timeout: float = 30.0,
    retries: Retries | None = None,
) -> Store:
    """Open a collection; nothing is created and no server is called yet.

    `location` is a folder (`"./shop.qdrant"`), `":memory:"`, or a server (`"https://qdrant.example:6333"`).
    `prefer_grpc` sends points over gRPC (port `grpc_port`), everything else over REST.
    `timeout` is how many seconds one request to a server may take, `retries` how often it is tried.

    Raises:
        DataError: the collection's name or the location cannot work.
    """
    check_name(collection)
    text = str(location)
    scheme = urllib.parse.urlsplit(text).scheme.lower() if "://" in text else ""
    if scheme in ("http", "https"):
        from connector.store.client import open_server

        return open_server(
            text,
            collection,
            api_key=api_key,
            grpc_port=grpc_port if prefer_grpc else None,
            timeout=timeout,
            retries=retries,
        )
    if text == ":memory:":
        from connector.store.client import open_memory

        return open_memory(collection)
    if scheme or not text:
        raise DataError(
            f"Qdrant cannot be opened at {text!r}. Use a folder ('./shop.qdrant'), ':memory:', "
            "or a server ('https://qdrant.example:6333')."
        )
    from connector.store.edge import EdgeStore

    return EdgeStore(Path(location), collection)


def best_first(hits: list[ScoredPoint], min_score: float | None) -> list[ScoredPoint]:
    """Order hits by score, equal ones by id, and drop those below `min_score`."""
    # Engines disagree on whether a hit at the threshold itself counts, so the threshold is applied here.
    kept = hits if min_score is None else [hit for hit in hits if hit.score >= min_score]
    return sorted(kept, key=lambda hit: (-hit.score, hit.point.id))


def check_name(collection: str) -> None:
    """Raise `DataError` unless `collection` can name a collection in a folder and on a server alike."""
    fits = 0 < len(collection) <= 200 and not collection.startswith(".")
    if not fits or _NOT_IN_NAMES.search(collection):
        raise DataError(
            f"{collection!r} cannot name a collection. Use up to 200 letters, digits, '-', '_' or '.', "
            "not starting with '.'."
        )
