"""The line walked backwards: a query to its vector, the vector to the nearest points, those to hits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connector.collection import Collection
from connector.embedding import FUSED, Embedder, FloatVector
from connector.hit import Hit, PartScores
from connector.query import Query, is_decoded
from connector.schema.schema import definition_of

if TYPE_CHECKING:
    from connector.blobs.picture import Picture
    from connector.schema.fields import BlobSource
    from connector.store.store import ScoredPoint

Decoding = Callable[["BlobSource"], "Picture"]


def find(query: Query, collection: Collection, embedder: Embedder, decode: Decoding) -> list[Hit[Any]]:
    """The hits of a query that has been checked; `decode` makes a picture of what is not one yet.

    Raises:
        DataError: a part of the query does not fit, or cannot be had.
        OperationalError: the model or Qdrant cannot be reached, or there is no such collection yet.
    """
    stored = collection.need(embedder)
    left_out = query.left_out
    found = collection.store.query(
        _vector(query, collection, embedder, decode),
        using=query.using,
        where=collection.where(query.where, query.schema, stored),
        limit=query.limit + query.offset + len(left_out) if left_out else query.limit,
        offset=0 if left_out else query.offset,
        min_score=query.min_score,
        with_vectors=query.with_vectors,
        also=[name for name in embedder.names if name != FUSED],
    )
    hits = [_hit(scored, collection, query.with_vectors) for scored in found]
    if not left_out:
        return hits
    # Records that are asked about are taken out before the page is cut, so that pages fit together.
    return [hit for hit in hits if hit.id not in left_out][query.offset : query.offset + query.limit]


def _vector(query: Query, collection: Collection, embedder: Embedder, decode: Decoding) -> FloatVector:
    """The unit vector to search with."""
    picture, stored = query.image, collection.vector
    if picture is not None and not is_decoded(picture):
        picture = decode(picture)
    return embedder.query(
        query.text,
        picture,
        None if query.like is None else stored(query.like, query.schema, query.using),
        query.weights,
        [stored(id, query.schema, query.using, "unlike") for id in query.unlike],
    )


def _hit(scored: ScoredPoint, collection: Collection, with_vectors: bool) -> Hit[Any]:
    record = collection.record(scored.point)
    key = getattr(record, definition_of(type(record)).id.name)
    vectors = scored.point.vectors if with_vectors else None
    return Hit(record, scored.score, key, PartScores(**scored.also), vectors)
