"""The vectors of a collection: what fits them, and how hits are ordered."""

from __future__ import annotations

import dataclasses

import numpy as np

from connector.errors import CollectionMismatch, DataError
from connector.store.store import CollectionSpec, FloatVector, ScoredPoint


@dataclasses.dataclass(frozen=True)
class Shape:
    """The vectors a collection holds: their names, their one length, and whether they have short forms."""

    length: int
    vectors: tuple[str, ...]
    quantized: bool = False

    def check_query(self, vector: FloatVector, using: str) -> None:
        """Refuse a query vector that no stored vector could be compared with.

        Raises:
            CollectionMismatch: the collection has no vector of this name or length.
            DataError: the vector holds NaN or infinity.
        """
        if using not in self.vectors:
            raise CollectionMismatch(
                f"The collection has no vector named {using!r}. It has: {', '.join(self.vectors)}."
            )
        if vector.shape != (self.length,):
            raise CollectionMismatch(
                f"The query has shape {vector.shape}, the collection's vectors have shape ({self.length},). "
                "Use the model that made the collection, or another collection."
            )
        if not np.isfinite(vector).all():
            raise DataError("The query vector holds NaN or infinity. Check what it was made of.")

    def check_spec(self, spec: CollectionSpec) -> None:
        """Raise `CollectionMismatch` unless `spec` describes the same vectors."""
        if spec.length != self.length or set(spec.vectors) != set(self.vectors):
            raise CollectionMismatch(
                f"Collection {spec.name!r} holds vectors {', '.join(sorted(self.vectors))} of {self.length} "
                f"values; asked for were {', '.join(sorted(spec.vectors))} of {spec.length}. "
                "Use another collection, or remove this one and ingest again."
            )


def best_first(hits: list[ScoredPoint], min_score: float | None) -> list[ScoredPoint]:
    """Order hits by score, equal ones by id, and drop those below `min_score`."""
    # Engines disagree on whether a hit at the threshold itself counts, so the threshold is applied here.
    kept = hits if min_score is None else [hit for hit in hits if hit.score >= min_score]
    return sorted(kept, key=lambda hit: (-hit.score, hit.point.id))
