"""The engine's words (qdrant-edge): its filters, points, payload indexes and errors, beside ours."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import qdrant_edge as engine

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.batches import BatchRefused
from connector.store.filters import (
    Spelling,
    compile_search,
    compile_where,
    not_newer,
    record_not_newer,
    tombstones_before,
)
from connector.store.points import rfc3339, version_of
from connector.store.store import CollectionSpec, IndexKind, Point, Where
from connector.store.values import Facet

T = TypeVar("T")

_KINDS = {
    "keyword": engine.PayloadSchemaType.Keyword,
    "integer": engine.PayloadSchemaType.Integer,
    "float": engine.PayloadSchemaType.Float,
    "bool": engine.PayloadSchemaType.Bool,
    "datetime": engine.PayloadSchemaType.Datetime,
    "uuid": engine.PayloadSchemaType.Uuid,
}

_QUANTIZATIONS: Mapping[str, engine.ScalarQuantizationConfig | engine.BinaryQuantizationConfig] = {
    "scalar": engine.ScalarQuantizationConfig(
        engine.ScalarType.Int8, quantile=0.99, memory=engine.Memory.Pinned
    ),
    "binary": engine.BinaryQuantizationConfig(memory=engine.Memory.Pinned),
}

# Short forms find three times as many hits as are asked for, and the vectors themselves put those in order.
QUANTIZED = engine.SearchParams(quantization=engine.QuantizationSearchParams(rescore=True, oversampling=3.0))

_EXACT = engine.SearchParams(exact=True, quantization=engine.QuantizationSearchParams(ignore=True))

# How the engine's messages begin when the data is wrong, and not the disk or the engine itself.
_ABOUT_THE_POINTS = (
    "Vector dimension error",
    "Not existing vector name",
    "Wrong input",
    "Validation error",
    "Payload",
)

_NO_INDEX = ("No appropriate index for faceting", "No range index for")

_SPELLING = Spelling(
    filter=engine.Filter,
    field=engine.FieldCondition,
    value=engine.MatchValue,
    any_of=engine.MatchAny,
    text=engine.MatchText,
    numbers=engine.RangeFloat,
    moments=lambda **bounds: engine.RangeDateTime(**{name: rfc3339(bound) for name, bound in bounds.items()}),
    ids=lambda ids: engine.HasIdCondition(set(ids)),
    # The engine takes Python's True for the number 1; numpy's it knows as a truth value.
    boolean=np.bool_,
)


def close_shard(shard: engine.EdgeShard) -> None:
    """Close a shard. Who reads from it at this moment in another thread, as a stage that was left behind may, is waited for."""
    while True:
        try:
            return shard.close()
        except RuntimeError as error:
            if str(error) != "Already borrowed":  # what its binding says of an object that is in use
                raise
            time.sleep(0.001)


def make_shard(path: Path, spec: CollectionSpec) -> None:
    """Make an empty shard with its payload indexes in folder `path`, and leave it closed."""
    path.mkdir()
    parameters = engine.EdgeVectorParams(size=spec.length, distance=engine.Distance.Cosine)
    config = engine.EdgeConfig(
        vectors=dict.fromkeys(spec.vectors, parameters),
        quantization_config=_QUANTIZATIONS[spec.quantization] if spec.quantization else None,
    )
    shard = engine.EdgeShard.create(str(path), config)
    try:
        add_indexes(shard, spec.indexes.items())
        shard.flush()
    finally:
        shard.close()


def add_indexes(shard: engine.EdgeShard, indexes: Iterable[tuple[str, IndexKind]]) -> None:
    """Index these payload keys."""
    for key, kind in indexes:
        shard.update(engine.UpdateOperation.create_field_index(key, _index(kind)))


def _index(kind: IndexKind) -> engine.PayloadSchemaType | engine.TextIndexParams:
    if kind != "text":
        return _KINDS[kind]
    return engine.TextIndexParams(tokenizer=engine.TokenizerType.Word, lowercase=True, min_token_len=1)


def to_filter(where: Where | None) -> engine.Filter:
    """Return `where` in the engine's words."""
    return cast("engine.Filter", compile_where(where, _SPELLING))


def to_filter_of_vectors(where: Where | None) -> engine.Filter | None:
    """Return `where` for a search by vectors, of which tombstones have none; None where every point is meant."""
    return cast("engine.Filter | None", compile_search(where, _SPELLING))


def old_tombstones(before: int) -> engine.Filter:
    """Return the filter for tombstones of runs before this version."""
    return cast("engine.Filter", tombstones_before(before, _SPELLING))


def from_engine(record: engine.Record | engine.ScoredPoint) -> Point:
    """Return a point as the engine gave it."""
    vectors = record.vector
    if not isinstance(vectors, dict):
        return Point(str(record.id), {}, record.payload or {})
    arrays = {name: np.asarray(values, dtype=np.float32) for name, values in vectors.items()}
    return Point(str(record.id), arrays, record.payload or {})


def write(shard: engine.EdgeShard, batch: list[Point]) -> None:
    """Upsert a batch of one version; points that a newer run wrote stay as they are.

    Raises:
        BatchRefused: something in it is not to the engine's liking; part of it may have been applied.
    """
    version = version_of(batch[0])
    guard = None if version is None else cast("engine.Filter", not_newer(version, _SPELLING))
    with _about_the_points():
        # The engine reads a sequence value by value: of an array it would first make an object of numpy's for each, which
        # takes three times as long. A view of one makes floats of Python's, and no list of them.
        points = [
            engine.Point(
                point.id,
                cast("engine.Vector", {name: vector.data for name, vector in point.vectors.items()}),
                dict(point.payload),
            )
            for point in batch
        ]
        shard.update(engine.UpdateOperation.upsert_points(points, condition=guard))


def write_payloads(shard: engine.EdgeShard, batch: list[Point]) -> None:
    """Replace the payloads of those of these points that are there, and that no newer run wrote.

    Raises:
        BatchRefused: something in it is not to the engine's liking; part of it may have been applied.
    """
    with _about_the_points():
        for point in batch:
            here = cast("engine.Filter", record_not_newer(point.id, version_of(point), _SPELLING))
            payload = dict(point.payload)
            shard.update(engine.UpdateOperation.overwrite_payload_by_filter(here, payload))


def similarities(
    shard: engine.EdgeShard, vector: list[float], names: Sequence[str], ids: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return by id how similar the vectors of these names are to `vector`; where a point has none, nothing.

    The engine compares them where they lie: to fetch them and compare here takes ten times as long.
    """
    found: dict[str, dict[str, float]] = {}
    if not names or not ids:
        return found
    here = engine.Filter(must=[engine.HasIdCondition(set(ids))])
    requests = [
        engine.QueryRequest(
            query=engine.Query.Nearest(vector, using=name), filter=here, limit=len(ids), params=_EXACT
        )
        for name in names
    ]
    for name, hits in zip(names, shard.query_batch(engine.QueryBatchRequest(requests)), strict=True):
        for hit in hits:
            found.setdefault(str(hit.id), {})[name] = hit.score
    return found


def facets(shard: engine.EdgeShard, key: str, filter_: engine.Filter, limit: int) -> list[Facet] | None:
    """Return the most frequent values at a payload key, counted exactly; None where it has no index to count by."""
    request = engine.FacetRequest(key, limit=limit, exact=True, filter=filter_)
    return _if_indexed(lambda: [(hit.value, hit.count) for hit in shard.facet(request)])


def outermost(shard: engine.EdgeShard, key: str, filter_: engine.Filter) -> list[Mapping[str, object]] | None:
    """Return the payloads with the smallest and the largest value at a key; None where it has no index to order by."""

    def first(direction: engine.Direction) -> list[Mapping[str, object]]:
        order = engine.OrderBy(key, direction)
        request = engine.ScrollRequest(limit=1, filter=filter_, with_payload=[key], order_by=order)
        return [record.payload or {} for record in shard.scroll(request)[0]]

    return _if_indexed(lambda: first(engine.Direction.Asc) + first(engine.Direction.Desc))


def _if_indexed(call: Callable[[], T]) -> T | None:
    try:
        return call()
    # A border: the engine raises bare exceptions and tells them apart by their words only.
    except Exception as error:
        if str(error).startswith(_NO_INDEX):
            return None
        raise


@contextlib.contextmanager
def _about_the_points() -> Iterator[None]:
    try:
        yield
    # A border: the engine raises bare exceptions and tells them apart by their words only.
    except Exception as error:
        if isinstance(error, (TypeError, ValueError)) or str(error).startswith(_ABOUT_THE_POINTS):
            raise BatchRefused(str(error)) from error
        raise


def translated(error: Exception, path: Path, done: str) -> StoreUnavailable | StoreLocked:
    """Return what an error of the engine means; `done` is what could not be: "read", "written"."""
    text = str(error)
    if "WouldBlock" in text:
        return StoreLocked(
            f"{path} is open in another process, or elsewhere in this one. "
            "Close that one first, or use a Qdrant server, which serves many."
        )
    told = f"The collection in {path} could not be {done}"
    if "No space left" in text or "os error 28" in text:
        return StoreUnavailable(f"{told}: the disk is full. Free some space; nothing acknowledged is lost.")
    if "Permission denied" in text or "Read-only" in text:
        return StoreUnavailable(
            f"{told}: {text}. Qdrant writes even when it only reads; make the folder writable."
        )
    return StoreUnavailable(f"{told}: {text}. Nothing acknowledged is lost; run it again.")
