"""A folder on this machine: Qdrant's engine itself, in this process (qdrant-edge).

`<folder>/<collection>/` holds `collection.json` and, in `shard/`, the engine's files.
What `upsert` acknowledged survives the end of the process (by the engine's write-ahead log), after `flush`
a power cut too. One process has a collection open at a time; a forked child must open its own.
`optimize` holds Python's global lock for as long as it runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import qdrant_edge as engine

from connector.errors import ConnectorError, PointError, StoreLocked, StoreUnavailable
from connector.store.batches import BatchRefused, upsert_in_batches
from connector.store.folder import check_space, read_spec, shape_of, sync_folder, write_spec
from connector.store.shard import add_indexes, from_engine, make_shard, to_filter, translated, write
from connector.store.store import (
    CollectionSpec,
    FloatVector,
    IndexKind,
    Point,
    ScoredPoint,
    Shape,
    Where,
    best_first,
)

_AT_ONCE = 1000


class EdgeStore:
    """The `Store` of a folder. Nothing is opened before it is needed, nothing is made before `create`."""

    def __init__(self, folder: Path, collection: str) -> None:
        self._folder = folder
        self._path = folder / collection
        self._lock = threading.RLock()
        self._opened: tuple[engine.EdgeShard, CollectionSpec] | None = None
        self._process = 0
        self._closed = False

    def describe(self) -> dict[str, object] | None:
        """Return the collection's metadata, or None; reads one small file."""
        self._check_open()
        spec = read_spec(self._path)
        return dict(spec.metadata) if spec else None

    def create(self, spec: CollectionSpec) -> None:
        """Make the collection, or add the payload indexes and metadata that the one there lacks."""
        self._check_open()
        with self._lock, self._border("created"):
            existing = read_spec(self._path)
            if existing is None:
                self._make(spec)
            else:
                shape_of(existing).check_spec(spec)
                self._renew(existing, spec)

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points; acknowledged ones survive the end of this process."""
        shard, shape = self._open()

        def send(batch: list[Point]) -> None:
            with self._border("written"):
                check_space(self._path)
                write(shard, batch)

        return upsert_in_batches(points, shape, send)

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> dict[str, Point]:
        """Return the points that exist, by id."""
        shard, _ = self._open()
        found: dict[str, Point] = {}
        for start in range(0, len(ids), _AT_ONCE):
            with self._border("read"):
                for record in shard.retrieve(list(ids[start : start + _AT_ONCE]), True, vectors):
                    found[str(record.id)] = from_engine(record)
        return found

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points by id."""
        shard, _ = self._open()
        for start in range(0, len(ids), _AT_ONCE):
            with self._border("written"):
                shard.update(engine.UpdateOperation.delete_points(list(ids[start : start + _AT_ONCE])))

    def delete_where(self, where: Where) -> None:
        """Delete the points that `where` means."""
        shard, _ = self._open()
        filter_ = to_filter(where) or engine.Filter()
        with self._border("written"):
            shard.update(engine.UpdateOperation.delete_points_by_filter(filter_))

    def count(self, where: Where | None = None) -> int:
        """Count points, exactly."""
        shard, _ = self._open()
        filter_ = to_filter(where)
        with self._border("read"):
            return shard.count(engine.CountRequest(exact=True, filter=filter_))

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
        """Return the points nearest to `vector`, best first."""
        shard, shape = self._open()
        shape.check_query(vector, using)
        filter_ = to_filter(where)
        with self._border("searched"):
            # The stub knows lists only; the engine takes arrays, and faster.
            nearest = engine.Query.Nearest(cast("list[float]", vector), using=using)
            found = shard.query(
                engine.QueryRequest(
                    query=nearest,
                    filter=filter_,
                    limit=limit,
                    offset=offset,
                    with_payload=True,
                    with_vector=with_vectors,
                )
            )
        hits = [ScoredPoint(from_engine(hit), hit.score) for hit in found]
        return best_first(hits, min_score)

    def scan(
        self, where: Where | None = None, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[Point]:
        """Yield points in the order of their ids."""
        filter_ = to_filter(where)
        offset: engine.PointId | None = None
        while True:
            shard, _ = self._open()
            request = engine.ScrollRequest(
                offset=offset, limit=batch, filter=filter_, with_payload=True, with_vector=vectors
            )
            with self._border("read"):
                records, offset = shard.scroll(request)
            yield from map(from_engine, records)
            if offset is None:
                return

    def flush(self) -> None:
        """Make what was acknowledged survive a power cut."""
        self._check_open()
        if self._opened is not None:
            with self._border("written"):
                self._opened[0].flush()

    def optimize(self) -> None:
        """Build the search graph now; every thread of this process waits meanwhile."""
        shard, _ = self._open()
        with self._border("optimized"):
            check_space(self._path)
            shard.optimize()

    def close(self) -> None:
        """Flush, and let other processes in."""
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, None
        if opened is not None and self._process == os.getpid():
            with self._border("closed"):
                try:
                    opened[0].flush()
                finally:
                    opened[0].close()

    def _open(self) -> tuple[engine.EdgeShard, Shape]:
        with self._lock:
            self._check_open()
            if self._opened is None:
                spec = read_spec(self._path)
                if spec is None:
                    raise StoreUnavailable(
                        f"There is no collection in {self._path} yet. Ingest something first."
                    )
                with self._border("opened"):
                    self._opened = engine.EdgeShard.load(str(self._path / "shard")), spec
                self._process = os.getpid()
            shard, spec = self._opened
            return shard, shape_of(spec)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"The store of {self._path} was closed. Open it again to go on.")
        if self._opened is not None and self._process != os.getpid():
            raise StoreUnavailable(
                f"{self._path} was opened before this process was forked, and would hang here. "
                "Open the store in the child process, or start it with the spawn method."
            )

    def _make(self, spec: CollectionSpec) -> None:
        # Made beside its place and moved there when whole: half a collection is never seen, by anyone.
        building = self._folder / f".{self._path.name}.creating"
        if building.exists():
            self._clear(building)
        building.mkdir(parents=True)
        try:
            check_space(building)
            make_shard(building / "shard", spec)
            write_spec(building, spec)
            self._move(building)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def _clear(self, building: Path) -> None:
        """Remove what a creation that was interrupted left, unless another process is at it now."""
        try:
            engine.EdgeShard.load(str(building / "shard")).close()
        # A border: bare exceptions again; whatever is wrong with the remains, they go, unless in use.
        except Exception as error:
            if isinstance(meaning := translated(error, building, "opened"), StoreLocked):
                raise meaning from error
        shutil.rmtree(building)

    def _move(self, building: Path) -> None:
        if read_spec(self._path) is not None:
            raise StoreUnavailable(f"Another process made {self._path} at this moment. Run it again.")
        if self._path.exists() and any(self._path.iterdir()):
            raise StoreUnavailable(
                f"{self._path} holds other files, and no collection. "
                "Choose another folder or another collection name."
            )
        building.replace(self._path)
        sync_folder(self._folder)

    def _renew(self, existing: CollectionSpec, spec: CollectionSpec) -> None:
        missing: dict[str, IndexKind] = {
            key: kind for key, kind in spec.indexes.items() if existing.indexes.get(key) != kind
        }
        metadata = {**existing.metadata, **spec.metadata}
        if not missing and metadata == existing.metadata:
            return
        shard, _ = self._open()
        add_indexes(shard, missing.items())
        shard.flush()
        indexes = {**existing.indexes, **missing}
        renewed = dataclasses.replace(existing, indexes=indexes, metadata=metadata)
        write_spec(self._path, renewed)
        self._opened = shard, renewed

    @contextlib.contextmanager
    def _border(self, done: str) -> Iterator[None]:
        """Translate what the engine and the disk raise."""
        try:
            yield
        except (ConnectorError, BatchRefused):
            raise
        except OSError as error:
            raise StoreUnavailable(
                f"The collection in {self._path} could not be {done}: {error.strerror or error}. "
                "Check the folder's permissions and the free space; nothing is lost."
            ) from error
        # A border: the engine raises bare exceptions, with nothing but a message.
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise translated(error, self._path, done) from error
