"""A search result: the record as its class, its score, and what its parts scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from connector.schema.schema import Schema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
