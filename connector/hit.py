"""A search result: the record as its class, its score, and what its parts scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from connector.schema.schema import Schema, definition_of, to_payload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# As many decimals as a cosine of float32 vectors has.
DECIMALS = 6

R = TypeVar("R", bound=Schema, covariant=True)


@dataclasses.dataclass(frozen=True)
class PartScores:
    """Cosine of the query with the record's own picture and description; None where the record has no such part."""

    image: float | None = None
    text: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Hit(Generic[R]):
    """One record that was found.

    Attributes:
        record: the record, as its own class.
        score: cosine of the query with the record's vector, from -1 to 1; larger is nearer.
        id: the record's id.
        parts: what its picture and its description scored on their own.
        vectors: its stored vectors by name, float32 of length one, where the search asked for them.
    """

    record: R
    score: float
    id: str | int
    parts: PartScores = PartScores()
    vectors: Mapping[str, NDArray[np.float32]] | None = None


def record_object(record: Schema) -> dict[str, object]:
    """A record as a JSON object: plain values, its blob as a reference (None where it has none that can be written)."""
    payload = to_payload(record)
    definition = definition_of(type(record))
    blobs = {name: value for name in definition.blobs if isinstance(value := getattr(record, name), str)}
    return {name: (payload | blobs).get(name) for name in definition.all}


def plain_id(id: object) -> str | int:
    """A record's id as JSON has it."""
    return id if isinstance(id, int) else str(id)


def hit_object(hit: Hit[Any]) -> dict[str, object]:
    """A hit as a JSON object."""
    return {
        "id": plain_id(hit.id),
        "score": round(hit.score, DECIMALS),
        "parts": dataclasses.asdict(hit.parts),
        "schema": type(hit.record).__name__,
        "record": record_object(hit.record),
    }
