"""The store's protocol: some twenty calls on one Qdrant collection, and the values that cross it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from connector.errors import PointError
from connector.store.values import Extent, Facet

if TYPE_CHECKING:
    from connector.schema.nodes import Condition

IndexKind: TypeAlias = Literal["keyword", "integer", "float", "bool", "datetime", "uuid", "text"]
Quantization: TypeAlias = Literal["scalar", "binary"]
FloatVector: TypeAlias = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class CollectionSpec:
    """What a collection is made of.

    Attributes:
        name: the collection's name.
        length: values in each vector; the same for all names.
        vectors: the names of the vectors a point may have; distance is always cosine.
        indexes: payload key -> kind of payload index.
        metadata: JSON-able; says what made the collection. Comes back from `Store.describe`.
        quantization: short forms of the vectors, kept in memory beside them and searched first: a quarter of their
            size ("scalar"), a thirty-second ("binary"), or none. A collection keeps what it was made with.
    """

    name: str
    length: int
    vectors: tuple[str, ...]
    indexes: Mapping[str, IndexKind]
    metadata: Mapping[str, object]
    quantization: Quantization | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One record as Qdrant holds it: a uuid, named float32 vectors (shape (length,)), a JSON-able payload."""

    id: str
    vectors: Mapping[str, FloatVector]
    payload: Mapping[str, object]


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredPoint:
    """A point found by `Store.query`, with its cosine similarity to the query (-1 to 1).

    `also` is that of its other vectors that were asked about and that it has, by their names.
    """

    point: Point
    score: float
    also: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Where:
    """Which points are meant: those of any of `schemas` (all schemas when empty) that fulfil `condition`."""

    schemas: tuple[str, ...] = ()
    condition: Condition | None = None


class Store(Protocol):
    """One collection in Qdrant, wherever Qdrant is. Every call may raise `StoreUnavailable`; nothing is lost.

    Calls may come from several threads. A folder's store belongs to the process that opened it (`StoreLocked`
    for others) and must not be used after a fork.

    A point may say which run wrote it, by a whole number under the payload key `_version`. No call with points of
    an older version changes it then, whatever the order of arrival. A record deleted by a run leaves a tombstone
    of its version; tombstones are invisible to all calls that do not say otherwise.
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

    def indexed(self) -> frozenset[str] | None:
        """Return the payload keys that have an index; None where Qdrant has and needs none (in memory)."""
        ...

    def renew(self, metadata: Mapping[str, object]) -> None:
        """Merge into the metadata of the collection that is there; keys not named keep their values."""
        ...

    def lock(self, holder: str, *, wait: float = 0.0) -> AbstractContextManager[None]:
        """Be the collection's one writer within the block; who holds it is what others are told.

        A process that dies gives its lock up: in a folder at once, on a server within a minute. There may be no
        collection yet; the lock is then complete as soon as `create` made it.

        Raises:
            StoreLocked: somebody else held it for longer than `wait` seconds (also out of calls within the block,
                when this process was stopped for so long that another one took over).
        """
        ...

    def loading(self) -> AbstractContextManager[None]:
        """Write many points within the block: what is built of all of them is built once, in the end.

        A server builds no search graphs while an empty collection is filled. A folder's graph is built when the
        block ends without an exception and so many points came that it is worth it. Whatever ends the block, all
        that was written can be searched, and the next block puts right what a killed process left. A block within
        another one changes nothing.
        """
        ...

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points; later ones win over earlier ones of the same id, newer versions over older ones.

        Returns one entry per point, in order: None where Qdrant acknowledged it, or why it was not written;
        `Superseded` where a newer version is there. A refused point never holds its neighbours back.
        """
        ...

    def overwrite(self, points: Sequence[Point]) -> list[PointError | None]:
        """Replace the payload of points that exist; the vectors that are there stay, the points' own are not used.

        Returns as `upsert` does; a point that is not there, or not any more, is `Superseded`.
        """
        ...

    def bury(self, ids: Sequence[str], *, schema: str, version: int) -> None:
        """Delete records for good: put a tombstone of this version in the place of each that is not newer."""
        ...

    def purge(self, before: int) -> int:
        """Delete the tombstones of versions before this one; return how many there were."""
        ...

    def get(
        self,
        ids: Sequence[str],
        *,
        vectors: bool = False,
        keys: Sequence[str] | None = None,
        tombstones: bool = False,
    ) -> dict[str, Point]:
        """Return the points that exist, by id; with `keys`, no more of their payloads than these."""
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

    def facet(self, key: str, where: Where | None = None, *, limit: int = 20) -> list[Facet]:
        """Return the values that most points have at a payload key, each with the number of points, most first.

        Texts, whole numbers and truth values are counted; of a list each value once. Where `limit` cuts between
        equally frequent values, engines differ in which ones they keep.
        """
        ...

    def extent(self, key: str, where: Where | None = None) -> Extent | None:
        """Return the smallest and the largest value at a payload key, as stored; None where no point has any.

        Numbers are compared as such, texts that are dates or datetimes as moments; other values count for nothing.
        """
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
        also: Sequence[str] = (),
    ) -> list[ScoredPoint]:
        """Return the points nearest to `vector` (shape (length,)) by their vector named `using`, best first.

        Points come with all their vectors or none, and with the similarity of the vectors named in `also`.
        Points without the vector that is compared are not returned. Equal scores are ordered by id.
        `min_score` keeps hits with score >= min_score; it may be zero or negative.
        """
        ...

    def scan(
        self,
        where: Where | None = None,
        *,
        vectors: bool = False,
        keys: Sequence[str] | None = None,
        batch: int = 1000,
    ) -> Iterator[Point]:
        """Yield points in the order of their ids, `batch` held at a time; `keys` as in `get`."""
        ...

    def flush(self) -> None:
        """Make what was acknowledged survive a power cut, not only the end of this process."""
        ...

    def optimize(self) -> None:
        """Build the search graph now, where Qdrant does not do so by itself (a folder); writes wait, searches do not."""
        ...

    def close(self) -> None:
        """Release what is held. Closing twice is fine; any other use afterwards raises `StoreUnavailable`."""
        ...
