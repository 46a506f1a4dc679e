"""Qdrant through its own client: a server over REST (and gRPC for points), or `:memory:`."""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from qdrant_client import QdrantClient, models

from connector.errors import CollectionMismatch, PointError, StoreUnavailable
from connector.store.batches import BatchRefused, upsert_in_batches
from connector.store.retry import Passing, Refused, Retries
from connector.store.spelling import from_client, to_client, to_filter, to_index
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
from connector.store.wire import Calls, MemoryCalls, ServerCalls, Throttled, raise_for_status

if TYPE_CHECKING:
    from qdrant_client.conversions.common_types import PointId

T = TypeVar("T")

_AT_ONCE = 1000
_ABOUT_THE_POINTS = {400, 413, 422}


def open_memory(collection: str) -> ClientStore:
    """Open a store in memory, gone when closed: the client's own engine, fine up to some 20,000 points."""
    client = QdrantClient(":memory:")
    return ClientStore(client, collection, MemoryCalls(), indexes=False)


def open_server(
    url: str,
    collection: str,
    *,
    api_key: str | None = None,
    grpc_port: int | None = None,
    timeout: float = 30.0,
    retries: Retries | None = None,
) -> ClientStore:
    """Open a store on a server; with `grpc_port`, points are sent over gRPC."""
    seconds = math.ceil(timeout)

    def connect(port: int | None) -> QdrantClient:
        return QdrantClient(
            url=url,
            api_key=api_key,
            timeout=seconds,
            prefer_grpc=port is not None,
            grpc_port=port or 6334,
            check_compatibility=False,
            event_hooks={"response": [raise_for_status]},
        )

    calls = ServerCalls(without_credentials(url), timeout, retries or Retries())
    return ClientStore(connect(None), collection, calls, bulk=connect(grpc_port) if grpc_port else None)


def without_credentials(url: str) -> str:
    """Return the URL as it may be shown: no user, no password, no query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class ClientStore:
    """The `Store` of a server, or of memory."""

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        calls: Calls,
        *,
        bulk: QdrantClient | None = None,
        indexes: bool = True,
    ) -> None:
        self._client = client
        self._bulk = bulk or client
        self._collection = collection
        self._calls = calls
        self._indexes = indexes
        self._shape: Shape | None = None
        self._closed = False

    def describe(self) -> dict[str, object] | None:
        """Return the collection's metadata, or None; one request."""
        info = self._info()
        return dict(info.config.metadata or {}) if info else None

    def create(self, spec: CollectionSpec) -> None:
        """Make the collection, or add the payload indexes and metadata that the one there lacks."""
        info = self._info()
        if info is None:
            self._make(spec)
            info = self._info()
        if info is None:
            raise self._missing()
        shape = self._read_shape(info)
        shape.check_spec(spec)
        self._shape = shape
        if self._indexes:
            for key, kind in spec.indexes.items():
                if key not in info.payload_schema:
                    self._add_index(key, kind)
        metadata = info.config.metadata or {}
        if {**metadata, **spec.metadata} != metadata:
            self._ask(lambda: self._client.update_collection(self._collection, metadata=dict(spec.metadata)))

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points; acknowledged ones are applied and can be found."""

        def send(batch: list[Point]) -> None:
            structs = [to_client(point) for point in batch]
            try:
                self._settled(lambda: self._bulk.upsert(self._collection, structs, wait=True))
            except Refused as error:
                if error.status in _ABOUT_THE_POINTS:
                    raise BatchRefused(str(error)) from error
                raise self._refusal(error) from error
            except Throttled as error:
                # A write larger than the server's whole allowance is refused for ever; halves may pass.
                if len(batch) == 1:
                    raise
                raise BatchRefused("too much at once") from error

        return upsert_in_batches(points, self._known_shape(), send)

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> dict[str, Point]:
        """Return the points that exist, by id."""
        found: dict[str, Point] = {}
        for some in _chunks(ids):
            records = self._ask(
                lambda some=some: self._client.retrieve(  # type: ignore[misc]  # the default binds the loop's value
                    self._collection, some, with_payload=True, with_vectors=vectors
                )
            )
            found.update((str(record.id), from_client(record)) for record in records)
        return found

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points by id."""
        for some in _chunks(ids):
            self._delete(models.PointIdsList(points=list(some)))

    def delete_where(self, where: Where) -> None:
        """Delete the points that `where` means."""
        self._delete(models.FilterSelector(filter=to_filter(where) or models.Filter()))

    def count(self, where: Where | None = None) -> int:
        """Count points, exactly."""
        filter_ = to_filter(where)
        return self._ask(lambda: self._client.count(self._collection, count_filter=filter_, exact=True)).count

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
        self._known_shape().check_query(vector, using)
        filter_ = to_filter(where)
        found = self._ask(
            lambda: self._client.query_points(
                self._collection,
                query=vector.tolist(),
                using=using,
                query_filter=filter_,
                limit=limit,
                offset=offset,
                with_payload=True,
                with_vectors=with_vectors,
            )
        )
        return best_first([ScoredPoint(from_client(hit), hit.score) for hit in found.points], min_score)

    def scan(
        self, where: Where | None = None, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[Point]:
        """Yield points in the order of their ids."""
        filter_ = to_filter(where)
        offset: PointId | None = None
        while True:
            records, offset = self._page(filter_, offset, batch, vectors)
            yield from map(from_client, records)
            if offset is None:
                return

    def flush(self) -> None:
        """Nothing to do: a server acknowledges what its own log holds."""
        self._check_open()

    def optimize(self) -> None:
        """Nothing to do: a server optimizes by itself."""
        self._check_open()

    def close(self) -> None:
        """Close the connections; what was in memory is gone."""
        self._closed = True
        self._client.close()
        if self._bulk is not self._client:
            self._bulk.close()

    def _make(self, spec: CollectionSpec) -> None:
        vectors = {
            name: models.VectorParams(size=spec.length, distance=models.Distance.COSINE)
            for name in spec.vectors
        }
        try:
            self._calls(
                lambda: self._client.create_collection(
                    self._collection, vectors_config=vectors, metadata=dict(spec.metadata)
                )
            )
        except Refused as error:
            # A first try that was applied but not answered, or another process, may have made it meanwhile.
            if self._info() is None:
                raise self._refusal(error) from error

    def _add_index(self, key: str, kind: IndexKind) -> None:
        self._settled_or_raise(
            lambda: self._client.create_payload_index(
                self._collection, key, field_schema=to_index(kind), wait=True
            )
        )

    def _delete(self, selector: models.PointsSelector) -> None:
        self._settled_or_raise(
            lambda: self._client.delete(self._collection, points_selector=selector, wait=True)
        )

    def _page(
        self, filter_: models.Filter | None, offset: PointId | None, limit: int, vectors: bool
    ) -> tuple[list[models.Record], PointId | None]:
        return self._ask(
            lambda: self._client.scroll(
                self._collection,
                scroll_filter=filter_,
                offset=offset,
                limit=limit,
                with_payload=True,
                with_vectors=vectors,
            )
        )

    def _info(self) -> models.CollectionInfo | None:
        self._check_open()
        try:
            return self._calls(lambda: self._client.get_collection(self._collection))
        except Refused as error:
            if error.status == 404:
                return None
            raise self._refusal(error) from error

    def _known_shape(self) -> Shape:
        if self._shape is None:
            info = self._info()
            if info is None:
                raise self._missing()
            self._shape = self._read_shape(info)
        return self._shape

    def _read_shape(self, info: models.CollectionInfo) -> Shape:
        vectors = info.config.params.vectors
        lengths = {params.size for params in vectors.values()} if isinstance(vectors, dict) else set()
        if not isinstance(vectors, dict) or len(lengths) != 1:
            raise CollectionMismatch(
                f"Collection {self._collection!r} at {self._calls.place} was not made by this package: "
                "its vectors have no names, or not one length. Use another collection name."
            )
        return Shape(lengths.pop(), tuple(vectors))

    def _settled_or_raise(self, write: Callable[[], models.UpdateResult]) -> None:
        try:
            self._settled(write)
        except Refused as error:
            raise self._refusal(error) from error

    def _settled(self, write: Callable[[], models.UpdateResult]) -> None:
        """Make a write and return when it is applied, not only saved."""

        def call() -> None:
            result = write()
            if result.status != models.UpdateStatus.COMPLETED:
                raise Passing(f"the write was saved but not applied ({result.status.value})")

        self._check_open()
        self._calls(call)

    def _ask(self, call: Callable[[], T]) -> T:
        self._check_open()
        try:
            return self._calls(call)
        except Refused as error:
            raise self._refusal(error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"The store at {self._calls.place} was closed. Open it again to go on.")

    def _missing(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"There is no collection {self._collection!r} at {self._calls.place}. Ingest something first."
        )

    def _refusal(self, error: Refused) -> StoreUnavailable:
        if error.status in (401, 403):
            return StoreUnavailable(
                f"Qdrant at {self._calls.place} does not let us in ({error}). "
                "Pass a valid api_key, or set QDRANT_API_KEY."
            )
        if error.status == 404:
            return self._missing()
        return StoreUnavailable(f"Qdrant at {self._calls.place} refused the request: {error}.")


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield list(ids[start : start + _AT_ONCE])
