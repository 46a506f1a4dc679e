"""Qdrant through its own client: a server over REST (and gRPC for points), or `:memory:`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from qdrant_client import models

from connector.errors import PointError
from connector.store.batches import chunks
from connector.store.bulk import graphs_later
from connector.store.client_values import facets, outermost
from connector.store.connection import Connection
from connector.store.lease import INDEXES as LEASE_INDEXES
from connector.store.lease import LeaseLock
from connector.store.lock import Turn
from connector.store.points import DELETED, is_buried
from connector.store.retry import Refused
from connector.store.shape import best_first
from connector.store.spelling import (
    QUANTIZED,
    from_client,
    old_tombstones,
    to_filter,
    to_filter_of_vectors,
    to_index,
    to_quantization,
)
from connector.store.store import CollectionSpec, FloatVector, IndexKind, Point, ScoredPoint, Where
from connector.store.values import Extent, Facet, counted, extent_of, most_first
from connector.store.writes import Writes

if TYPE_CHECKING:
    from qdrant_client.conversions.common_types import PointId


class ClientStore:
    """The `Store` of a server, or of memory."""

    def __init__(self, connection: Connection, writes: Writes, lock: Turn | LeaseLock) -> None:
        self._to = connection
        self._writes = writes
        self._lock = lock

    def describe(self) -> dict[str, object] | None:
        """Return the collection's metadata, or None; one request."""
        info = self._to.info()
        return dict(info.config.metadata or {}) if info else None

    def create(self, spec: CollectionSpec) -> None:
        """Make the collection, or add the payload indexes and metadata that the one there lacks."""
        info = self._to.info()
        if info is None:
            self._make(spec)
            info = self._to.info()
        if info is None:
            raise self._to.missing()
        self._to.shape(info).check_spec(spec)
        if isinstance(self._lock, LeaseLock):  # in memory payload indexes have no effect
            indexes: dict[str, IndexKind] = {**spec.indexes, **LEASE_INDEXES}
            for key, kind in indexes.items():
                if key not in info.payload_schema:
                    self._add_index(key, kind)
        metadata = info.config.metadata or {}
        if {**metadata, **spec.metadata} != metadata:
            self.renew(spec.metadata)
        self._lock.made()

    def indexed(self) -> frozenset[str] | None:
        """Return the payload keys that have an index; one request."""
        info = self._to.info()
        if info is None:
            raise self._to.missing()
        return frozenset(info.payload_schema) if isinstance(self._lock, LeaseLock) else None

    def renew(self, metadata: Mapping[str, object]) -> None:
        """Merge into the collection's metadata; Qdrant itself merges, in one step."""
        name = self._to.real_name()
        self._to.ask(lambda: self._to.client.update_collection(name, metadata=dict(metadata)))

    def lock(self, holder: str, *, wait: float = 0.0) -> contextlib.AbstractContextManager[None]:
        """Be the collection's one writer: in memory among threads, on a server by a lease that expires."""
        self._to.check_open()
        return self._lock.held(f"Collection {self._to.collection!r}", holder, wait)

    def loading(self) -> contextlib.AbstractContextManager[None]:
        """Let a server build its search graphs when a first load is done; memory has none."""
        return graphs_later(self._to) if isinstance(self._lock, LeaseLock) else contextlib.nullcontext()

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points; acknowledged ones are applied and can be found."""
        self._lock.check()
        return self._writes.upsert(points)

    def overwrite(self, points: Sequence[Point]) -> list[PointError | None]:
        """Replace payloads; vectors stay."""
        self._lock.check()
        return self._writes.overwrite(points)

    def bury(self, ids: Sequence[str], *, schema: str, version: int) -> None:
        """Put tombstones in the place of points, unless a newer run wrote them."""
        self._lock.check()
        self._writes.bury(ids, schema=schema, version=version)

    def purge(self, before: int) -> int:
        """Delete the tombstones of runs before this version; return how many there were."""
        self._lock.check()
        old = old_tombstones(before)
        count = self._to.ask(
            lambda: self._to.client.count(self._to.collection, count_filter=old, exact=True)
        ).count
        if count:
            self._delete(models.FilterSelector(filter=old))
        return count

    def get(
        self,
        ids: Sequence[str],
        *,
        vectors: bool = False,
        keys: Sequence[str] | None = None,
        tombstones: bool = False,
    ) -> dict[str, Point]:
        """Return the points that exist, by id."""
        found: dict[str, Point] = {}
        payload = True if keys is None else [*keys, DELETED]
        for some in chunks(ids):
            records = self._to.ask(
                lambda some=some: self._to.client.retrieve(  # type: ignore[misc]  # the default binds the loop's value
                    self._to.collection, some, with_payload=payload, with_vectors=vectors
                )
            )
            points = map(from_client, records)
            found.update((point.id, point) for point in points if tombstones or not is_buried(point.payload))
        return found

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points by id."""
        self._lock.check()
        for some in chunks(ids):
            self._delete(models.PointIdsList(points=list(some)))

    def delete_where(self, where: Where) -> None:
        """Delete the points that `where` means."""
        self._lock.check()
        self._delete(models.FilterSelector(filter=to_filter(where)))

    def count(self, where: Where | None = None) -> int:
        """Count points, exactly."""
        filter_ = to_filter(where)
        return self._to.ask(
            lambda: self._to.client.count(self._to.collection, count_filter=filter_, exact=True)
        ).count

    def facet(self, key: str, where: Where | None = None, *, limit: int = 20) -> list[Facet]:
        """Return the values that most points have at a payload key, and how many; without an index by reading all."""
        found = facets(self._to, key, to_filter(where), limit)
        if found is None:
            return counted((point.payload for point in self.scan(where, keys=[key])), key, limit)
        return most_first(found)

    def extent(self, key: str, where: Where | None = None) -> Extent | None:
        """Return the smallest and the largest value at a payload key; without an index by reading all."""
        ends = outermost(self._to, key, to_filter(where))
        payloads = (point.payload for point in self.scan(where, keys=[key])) if ends is None else ends
        return extent_of(payloads, key)

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
        """Return the points nearest to `vector`, best first."""
        shape = self._to.shape()
        shape.check_query(vector, using)
        filter_ = to_filter_of_vectors(where)
        found = self._to.ask(
            lambda: self._to.client.query_points(
                self._to.collection,
                query=vector.tolist(),
                using=using,
                query_filter=filter_,
                limit=limit,
                offset=offset,
                with_payload=True,
                with_vectors=with_vectors or list(also),
                search_params=QUANTIZED if shape.quantized else None,
            )
        )
        return best_first([_scored(hit, vector, with_vectors, also) for hit in found.points], min_score)

    def scan(
        self,
        where: Where | None = None,
        *,
        vectors: bool = False,
        keys: Sequence[str] | None = None,
        batch: int = 1000,
    ) -> Iterator[Point]:
        """Yield points in the order of their ids."""
        filter_ = to_filter(where)
        payload = True if keys is None else list(keys)
        offset: PointId | None = None
        while True:
            records, offset = self._page(filter_, offset, batch, payload, vectors)
            yield from map(from_client, records)
            if offset is None:
                return

    def flush(self) -> None:
        """Nothing to do: a server acknowledges what its own log holds."""
        self._to.check_open()

    def optimize(self) -> None:
        """Nothing to do: a server optimizes by itself."""
        self._to.check_open()

    def close(self) -> None:
        """Close the connections, and give a lock back; what was in memory is gone."""
        self._lock.close()
        self._to.close()

    def _make(self, spec: CollectionSpec) -> None:
        vectors = {
            name: models.VectorParams(size=spec.length, distance=models.Distance.COSINE)
            for name in spec.vectors
        }
        try:
            self._to.calls(
                lambda: self._to.client.create_collection(
                    self._to.collection,
                    vectors_config=vectors,
                    quantization_config=to_quantization(spec.quantization),
                    metadata=dict(spec.metadata),
                )
            )
        except Refused as error:
            # A first try that was applied but not answered, or another process, may have made it meanwhile.
            if self._to.info() is None:
                raise self._to.refusal(error) from error

    def _add_index(self, key: str, kind: IndexKind) -> None:
        self._to.write_or_raise(
            lambda: self._to.client.create_payload_index(
                self._to.collection, key, field_schema=to_index(kind), wait=True
            )
        )

    def _delete(self, selector: models.PointsSelector) -> None:
        self._to.write_or_raise(
            lambda: self._to.client.delete(self._to.collection, points_selector=selector, wait=True)
        )

    def _page(
        self,
        filter_: models.Filter,
        offset: PointId | None,
        limit: int,
        payload: bool | list[str],
        vectors: bool,
    ) -> tuple[list[models.Record], PointId | None]:
        return self._to.ask(
            lambda: self._to.client.scroll(
                self._to.collection,
                scroll_filter=filter_,
                offset=offset,
                limit=limit,
                with_payload=payload,
                with_vectors=vectors,
            )
        )


def _scored(
    hit: models.ScoredPoint, query: FloatVector, with_vectors: bool, also: Sequence[str]
) -> ScoredPoint:
    point = from_client(hit)
    others = {name: float(query @ point.vectors[name]) for name in also if name in point.vectors}
    return ScoredPoint(point if with_vectors else dataclasses.replace(point, vectors={}), hit.score, others)
