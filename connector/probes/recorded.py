"""What a collection keeps of the probes: their vectors, when they were made and by what; written and read back."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from connector.errors import CollectionMismatch
from connector.probes.probe_set import PICTURES, SENTENCES, digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rows: TypeAlias = "NDArray[np.float32]"


@dataclasses.dataclass(frozen=True, eq=False)
class Recorded:
    """The probes as they were embedded once.

    Attributes:
        at: when, RFC 3339.
        made: what made them, of the model and of what is beneath it; `length` is among it.
        images: float32 (4, length), one row for each picture; zeros for one that the model refused.
        texts: likewise for the sentences; None of a model that reads pictures only.
    """

    at: str
    made: Mapping[str, str]
    images: Rows
    texts: Rows | None

    @classmethod
    def read(cls, collection: str, stored: Mapping[str, object]) -> Recorded:
        """Read them from a collection's metadata, which others may have written to.

        Raises:
            CollectionMismatch: it is not what `written` gives, or is of other probes.
        """
        if stored.get("set") != digest():
            raise CollectionMismatch(
                f"Collection '{collection}' keeps vectors of other probes ({stored.get('set')!r}) than this version of "
                f"the library has ({digest()!r}). Use the version that made the collection, or a newer one."
            )
        try:
            made = {key: str(value) for key, value in _mapping(stored["made"]).items()}
            length, texts = int(made["length"]), stored.get("texts")
            return cls(
                str(stored["at"]),
                made,
                _unpacked(stored["images"], len(PICTURES), length),
                None if texts is None else _unpacked(texts, len(SENTENCES), length),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CollectionMismatch(
                f"The probes that collection '{collection}' keeps cannot be read ({type(error).__name__}: {error}). "
                "Its metadata was written to by something else: embed the collection again."
            ) from error

    def written(self) -> dict[str, object]:
        """What goes into the metadata: JSON-able, the vectors as float16."""
        written: dict[str, object] = {"at": self.at, "set": digest(), "made": self.made}
        written["images"] = _packed(self.images)
        if self.texts is not None:
            written["texts"] = _packed(self.texts)
        return written


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"not a mapping: {value!r:.80}")
    return value


def _packed(rows: Rows) -> str:
    # float16 moves a vector of length one by a cosine of 1e-7, and halves what every opening of the collection reads.
    return base64.b64encode(rows.astype("<f2").tobytes()).decode()


def _unpacked(packed: object, count: int, length: int) -> Rows:
    import numpy as np

    raw = base64.b64decode(str(packed), validate=True)
    rows = np.frombuffer(raw, "<f2").astype(np.float32).reshape(count, length)
    if not np.isfinite(rows).all():
        raise ValueError("not every number is finite")
    return rows
