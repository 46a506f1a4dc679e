"""A folder on this machine: Qdrant's engine itself, in this process (qdrant-edge).

What `upsert` acknowledged survives the end of the process (by the engine's write-ahead log), after `flush`
a power cut too. One process has a collection open at a time; a forked child must open its own.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import qdrant_edge as engine

from connector.errors import PointError, StoreUnavailable
from connector.store.batches import chunks, held_back, overwrite_in_batches, upsert_in_batches
from connector.store.folder import check_space
from connector.store.graph import WORTH_IT
from connector.store.lock import Clock
from connector.store.place import Place
from connector.store.points import DELETED, VERSION, is_buried, tombstone, version_of
from connector.store.shape import best_first
from connector.store.shard import (
    QUANTIZED,
    facets,
    from_engine,
    old_tombstones,
    outermost,
    similarities,
    to_filter,
    to_filter_of_vectors,
    write,
    write_payloads,
)
from connector.store.store import CollectionSpec, FloatVector, Point, ScoredPoint, Where
from connector.store.values import Extent, Facet, counted, extent_of, most_first

log = logging.getLogger("connector")

# The engine holds Python's lock for as long as one write takes, and is no faster with more.
POINTS_AT_ONCE = 256


class EdgeStore:
    """The `Store` of a folder. Nothing is opened before it is needed, nothing is made before `create`."""

    def __init__(self, folder: Path, collection: str, clock: Clock | None = None) -> None:
        self._place = Place(folder, collection, clock or Clock())
        self._within = False  # a block of `loading`

    def describe(self) -> dict[str, object] | None:
        """Return the collection's metadata, or None; reads one small file."""
        spec = self._place.read()
        return dict(spec.metadata) if spec else None

    def create(self, spec: CollectionSpec) -> None:
        """Make the collection, or add the payload indexes and metadata that the one there lacks."""
        self._place.create(spec)

    def indexed(self) -> frozenset[str] | None:
        """Return the payload keys that have an index."""
        shard, _ = self._place.open()
        with self._place.border("read"):
            return frozenset(shard.info().payload_schema)

    def renew(self, metadata: Mapping[str, object]) -> None:
        """Merge into the collection's metadata; whole or not at all."""
        self._place.renew(metadata)

    def lock(self, holder: str, *, wait: float = 0.0) -> contextlib.AbstractContextManager[None]:
        """Be the collection's one writer: the engine's own lock keeps other processes out, and ends with ours."""
        return self._place.lock(holder, wait)

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points; acknowledged ones survive the end of this process."""
        _, shape = self._place.open()

        def send(batch: list[Point]) -> set[str]:
            with self._changing() as shard:
                newer = _newer(shard, batch)
                write(shard, batch)
                return newer

        return upsert_in_batches(points, shape, send, max_points=POINTS_AT_ONCE)

    def overwrite(self, points: Sequence[Point]) -> list[PointError | None]:
        """Replace payloads; vectors stay."""
        self._place.open()

        def send(batch: list[Point]) -> set[str]:
            with self._changing() as shard:
                write_payloads(shard, batch)
                return _not_written(shard, batch)

        return overwrite_in_batches(points, send)

    def bury(self, ids: Sequence[str], *, schema: str, version: int) -> None:
        """Put tombstones in the place of points, unless a newer run wrote them."""
        for some in chunks(ids):
            with self._changing() as shard:
                write(shard, [tombstone(identity, schema, version) for identity in some])

    def purge(self, before: int) -> int:
        """Delete the tombstones of runs before this version; return how many there were."""
        old = old_tombstones(before)
        with self._changing(more=False) as shard:
            count = shard.count(engine.CountRequest(exact=True, filter=old))
            if count:
                shard.update(engine.UpdateOperation.delete_points_by_filter(old))
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
        shard, _ = self._place.open()
        payload = True if keys is None else [*keys, DELETED]
        found: dict[str, Point] = {}
        for some in chunks(ids):
            with self._place.border("read"):
                records = shard.retrieve(cast("list[engine.PointId]", some), payload, vectors)
            for record in records:
                # Asked of every row of every run: what is not wanted is not even looked at.
                point = from_engine(record) if vectors else Point(str(record.id), {}, record.payload or {})
                if tombstones or not is_buried(point.payload):
                    found[point.id] = point
        return found

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points by id."""
        for some in chunks(ids):
            with self._changing(more=False) as shard:
                shard.update(engine.UpdateOperation.delete_points(cast("list[engine.PointId]", some)))

    def delete_where(self, where: Where) -> None:
        """Delete the points that `where` means."""
        filter_ = to_filter(where)
        with self._changing(more=False) as shard:
            shard.update(engine.UpdateOperation.delete_points_by_filter(filter_))

    def count(self, where: Where | None = None) -> int:
        """Count points, exactly."""
        shard, _ = self._place.open()
        filter_ = to_filter(where)
        with self._place.border("read"):
            return shard.count(engine.CountRequest(exact=True, filter=filter_))

    def facet(self, key: str, where: Where | None = None, *, limit: int = 20) -> list[Facet]:
        """Return the values that most points have at a payload key, and how many; without an index by reading all."""
        shard, _ = self._place.open()
        filter_ = to_filter(where)
        with self._place.border("read"):
            found = facets(shard, key, filter_, limit)
        if found is None:
            return counted((point.payload for point in self.scan(where, keys=[key])), key, limit)
        return most_first(found)

    def extent(self, key: str, where: Where | None = None) -> Extent | None:
        """Return the smallest and the largest value at a payload key; without an index by reading all."""
        shard, _ = self._place.open()
        filter_ = to_filter(where)
        with self._place.border("read"):
            ends = outermost(shard, key, filter_)
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
        shard, shape = self._place.open()
        shape.check_query(vector, using)
        values = vector.tolist()
        with self._place.border("searched"):
            found = shard.query(
                engine.QueryRequest(
                    query=engine.Query.Nearest(values, using=using),
                    filter=to_filter_of_vectors(where),
                    limit=limit,
                    offset=offset,
                    with_payload=True,
                    with_vector=with_vectors,
                    params=QUANTIZED if shape.quantized else None,
                )
            )
            points = [from_engine(hit) for hit in found]
            others = similarities(shard, values, also, [point.id for point in points])
        hits = [
            ScoredPoint(point, hit.score, others.get(point.id, {}))
            for hit, point in zip(found, points, strict=True)
        ]
        return best_first(hits, min_score)

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
        offset: engine.PointId | None = None
        while True:
            shard, _ = self._place.open()
            request = engine.ScrollRequest(
                offset=offset, limit=batch, filter=filter_, with_payload=payload, with_vector=vectors
            )
            with self._place.border("read"):
                records, offset = shard.scroll(request)
            yield from map(from_engine, records)
            if offset is None:
                return

    def flush(self) -> None:
        """Make what was acknowledged survive a power cut."""
        self._place.flush()

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Build the search graph at the end of the outermost block, where so many points are in none that it is worth it."""
        if self._within:
            yield
            return
        self._within = True
        try:
            yield
        finally:
            self._within = False
        spec = self._place.read()
        if spec is None or self._place.unbuilt() * spec.length < WORTH_IT:
            return
        try:
            self._place.build()
        except StoreUnavailable as error:
            log.warning("%s", error)

    def optimize(self) -> None:
        """Build the search graph now; writes wait meanwhile, searches do not."""
        self._place.build()

    def close(self) -> None:
        """Flush, and let other processes in."""
        self._place.close()

    @contextlib.contextmanager
    def _changing(self, *, more: bool = True) -> Iterator[engine.EdgeShard]:
        """The shard, for one change of its points; asked for anew each time, for a copy may have taken its place."""
        with self._place.writing, self._place.border("written"):
            shard, _ = self._place.open()
            if more:
                check_space(self._place.path)
            yield shard


def _newer(shard: engine.EdgeShard, batch: list[Point]) -> set[str]:
    """The ids of points that a newer run has written; looked at before a write, when most are not there yet."""
    version = version_of(batch[0])
    if version is None:
        return set()
    records = shard.retrieve([point.id for point in batch], [VERSION], False)
    found = {str(record.id): (record.payload or {}).get(VERSION) for record in records}
    return {id for id, there in found.items() if isinstance(there, int) and there > version}


def _not_written(shard: engine.EdgeShard, batch: list[Point]) -> set[str]:
    records = shard.retrieve([point.id for point in batch], [VERSION, DELETED], False)
    return held_back(batch, {str(record.id): record.payload or {} for record in records})
