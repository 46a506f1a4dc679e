"""The client's words (qdrant_client): its filters, points and payload indexes, beside ours."""

from __future__ import annotations

from typing import cast

import numpy as np
from qdrant_client import models

from connector.store.filters import (
    Spelling,
    compile_search,
    compile_where,
    not_newer,
    record_not_newer,
    tombstones_before,
)
from connector.store.store import IndexKind, Point, Quantization, Where

_SPELLING = Spelling(
    filter=models.Filter,
    field=models.FieldCondition,
    value=models.MatchValue,
    any_of=models.MatchAny,
    text=models.MatchText,
    numbers=models.Range,
    moments=models.DatetimeRange,
    ids=lambda ids: models.HasIdCondition(has_id=list(ids)),
)


# Short forms find three times as many hits as are asked for, and the vectors themselves put those in order.
QUANTIZED = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True, oversampling=3.0))


def to_quantization(
    kind: Quantization | None,
) -> models.ScalarQuantization | models.BinaryQuantization | None:
    """Return how short forms of vectors are asked for."""
    if kind is None:
        return None
    if kind == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    return models.ScalarQuantization(scalar=int8)


def to_filter(where: Where | None) -> models.Filter:
    """Return `where` in the client's words."""
    return cast("models.Filter", compile_where(where, _SPELLING))


def to_filter_of_vectors(where: Where | None) -> models.Filter | None:
    """Return `where` for a search by vectors, of which tombstones have none; None where every point is meant."""
    return cast("models.Filter | None", compile_search(where, _SPELLING))


def only_not_newer(version: int | None) -> models.Filter | None:
    """Return the condition of a write of this version: no newer point is there."""
    return None if version is None else cast("models.Filter", not_newer(version, _SPELLING))


def record_to_change(identity: str, version: int | None) -> models.Filter:
    """Return the filter for one record that is there and that a run of this version may change."""
    return cast("models.Filter", record_not_newer(identity, version, _SPELLING))


def old_tombstones(before: int) -> models.Filter:
    """Return the filter for tombstones of runs before this version."""
    return cast("models.Filter", tombstones_before(before, _SPELLING))


def to_index(kind: IndexKind) -> models.PayloadSchemaType | models.TextIndexParams:
    """Return what a payload index of this kind is to the client."""
    if kind != "text":
        return models.PayloadSchemaType(kind)
    return models.TextIndexParams(
        type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD, lowercase=True, min_token_len=1
    )


def to_client(point: Point) -> models.PointStruct:
    """Return a point as the client sends it."""
    vectors = {name: vector.tolist() for name, vector in point.vectors.items()}
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def from_client(record: models.Record | models.ScoredPoint) -> Point:
    """Return a point as the client gave it."""
    vectors = record.vector if isinstance(record.vector, dict) else {}
    arrays = {name: np.asarray(values, dtype=np.float32) for name, values in vectors.items()}
    return Point(str(record.id), arrays, record.payload or {})
