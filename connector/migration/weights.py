"""Other weights for a collection: its fused vectors are made anew from the stored parts, and nothing is embedded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from connector.embedding import FUSED, IMAGE, TEXT, FloatVector
from connector.errors import CollectionMismatch, ConnectorError, DataError, EmbeddingError, StoreUnavailable
from connector.origin import check_declared
from connector.report import Rejection, Report
from connector.schema.schema import definition_of
from connector.space import ImageSpace
from connector.store.lock import holder
from connector.store.points import schema_name, to_record
from connector.store.store import Point

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.store.store import Store

FUSING: Final = (
    "fusing"  # in a collection's metadata: the weights that an unfinished `fuse_again` is going to
)

AT_ONCE = 1000
# Parts are stored as float32, so fusing them again moves the last bits of what was fused from the model's own output.
SAME = 1e-6


def can_fuse_again(space: ImageSpace[Any], stored: Mapping[str, Any]) -> bool:
    """Whether a collection with this metadata is this space's, but for the weights, and `fuse_again` can set those."""
    fusion = {**stored.get("fusion", {}), "weights": list(space.weights)}
    if fusion == stored.get("fusion") and not stored.get(FUSING):
        return False
    try:
        same_model = check_declared("", space, {**stored, "fusion": fusion})
    except CollectionMismatch:
        return False
    return same_model and unfusable(stored) is None


def fuse_again(
    connector: Connector[Any],
    *,
    wait: float = 0.0,
    on_rejection: Callable[[Rejection], object] | None = None,
    on_progress: Callable[[Report, float | None], object] | None = None,
) -> Report:
    """Bring a collection to the weights of the connector's space: fused vectors are made anew from the stored parts.

    Nothing is embedded or fetched, and the records stay as they are. It happens in place: until it is done a search
    meets vectors of the old weights and of the new. A run that broke off is gone on with by the next one, to these
    weights or to any others.

    A record whose picture and description cancel each other out at the new weights is a rejection. It keeps its parts
    and loses its fused vector, so it is found by `using="image"` or `using="text"` only.

    Returns:
        a `Report` that balances: changed are the fused vectors written, unchanged those that were right already.

    Raises:
        DataError: the parts were not kept, or raw outputs were fused (their lengths are not kept).
        CollectionMismatch: more than the weights differs.
        StoreLocked: somebody else was writing to the collection for longer than `wait` seconds.
    """
    started = time.perf_counter()
    store, space, name = connector.store, connector.space, connector.collection
    stored = cast("Mapping[str, Any] | None", store.describe())
    if stored is None:
        raise StoreUnavailable(
            f"There is no collection '{name}' in {connector.qdrant}. Ingest into it first."
        )
    if why := unfusable(stored):
        raise DataError(
            f"Collection '{name}' cannot be fused again: {why}. Migrate it, which embeds its pictures and words anew."
        )
    fusion = {**stored["fusion"], "weights": list(space.weights)}
    check_declared(name, space, {**stored, "fusion": fusion})
    with store.lock(holder(), wait=wait):
        store.renew({FUSING: list(space.weights)})
        report = _rewrite(store, space, on_rejection, on_progress)
        store.flush()
        store.renew({"fusion": fusion, FUSING: None})
    report.seconds = time.perf_counter() - started
    return report


def unfusable(stored: Mapping[str, Any]) -> str | None:
    fusion = stored.get("fusion", {})
    if fusion.get("parts") != "unit":
        return "parts='raw' fuses what the model puts out, of which only the directions are stored"
    return None if fusion.get("keep_parts") else "keep_parts=False kept nothing to fuse"


def _rewrite(
    store: Store,
    space: ImageSpace[Any],
    on_rejection: Callable[[Rejection], object] | None,
    on_progress: Callable[[Report, float | None], object] | None,
) -> Report:
    report, total = Report(), store.count()
    for batch in _batches(store.scan(vectors=True)):
        due = [
            (report.read + at, point, vector)
            for at, (point, vector) in enumerate(zip(batch, _fused(batch, space), strict=True))
            if not _has(point, vector)
        ]
        outcomes = store.upsert([_with_fused(point, vector) for _, point, vector in due]) if due else []
        for (row, point, vector), refused in zip(due, outcomes, strict=True):
            report.written += refused is None
            error = refused if refused is not None or vector.any() else _cancelled(space)
            if error is None:
                report.changed += 1
            else:
                rejection = _rejection(row, point, space, error)
                report.reject(rejection)
                if on_rejection is not None:
                    on_rejection(rejection)
        report.read += len(batch)
        report.unchanged += len(batch) - len(due)
        if on_progress is not None:
            on_progress(report, min(1.0, report.read / total) if total else None)
    return report


def _batches(points: Iterator[Point]) -> Iterator[list[Point]]:
    while batch := list(itertools.islice(points, AT_ONCE)):
        yield batch


def _fused(points: Sequence[Point], space: ImageSpace[Any]) -> list[FloatVector]:
    """What each point's fused vector must be: of length one, or zeros where its parts cancel out or it has none."""
    from connector.engine.fusion import fuse

    length = next((vector.shape[0] for point in points for vector in point.vectors.values()), 0)
    nothing = np.zeros(length, np.float32)
    images, texts = (
        np.stack([point.vectors.get(part, nothing) for point in points]) for part in (IMAGE, TEXT)
    )
    return list(fuse(images, texts, space.weights, space.parts))


def _has(point: Point, fused: FloatVector) -> bool:
    if not point.vectors.keys() & {IMAGE, TEXT}:
        return True  # no part of it was ever embedded: there is nothing to fuse
    stored = point.vectors.get(FUSED)
    return stored is not None and bool(np.allclose(stored, fused, rtol=0, atol=SAME))


def _with_fused(point: Point, fused: FloatVector) -> Point:
    vectors = {name: vector for name, vector in point.vectors.items() if name != FUSED}
    return Point(point.id, vectors | ({FUSED: fused} if fused.any() else {}), point.payload)


def _cancelled(space: ImageSpace[Any]) -> EmbeddingError:
    image, text = space.weights
    return EmbeddingError(
        f"the picture's and the description's vectors cancel out at weights {image:g} and {text:g}, so there is no fused "
        "vector. Change one of them, or the weights."
    )


def _rejection(row: int, point: Point, space: ImageSpace[Any], error: ConnectorError) -> Rejection:
    schema = next((each for each in space.schemas if each.__name__ == schema_name(point)), None)
    key = point.id if schema is None else getattr(to_record(point, schema), definition_of(schema).id.name)
    plain = key if isinstance(key, (str, int)) else str(key)
    return Rejection(row, plain, None, error.code, f"{schema_name(point)} {key}: {error}")
