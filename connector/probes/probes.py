"""Golden probes: a few pictures and sentences whose vectors a collection keeps, to notice that a model has moved under it.

A name, a digest of weights and a version say what a model should be; only its vectors say what it is. A driver, an
exported graph, a library beneath the handler can change them while everything that is declared stays equal.

    probes = record(handler, now)                   into the collection's metadata, when it is created
    check("shop", handler, probes)                  embeds the probes again and compares; raises on drift

A probe picture goes the way of a record's own: bytes, decoded, resized to the model's frame, embedded.
Nothing here imports a model library: the handler is loaded already.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from connector.errors import CollectionMismatch, EmbeddingError
from connector.probes.place import beneath
from connector.probes.probe_set import PICTURES, SENTENCES, drawn
from connector.probes.recorded import Recorded, Rows
from connector.store.points import rfc3339

if TYPE_CHECKING:
    from connector.engine.batches import Outcome
    from connector.engine.handlers import ImageHandler

FLOOR = 0.999
"""The least cosine that passes for the same model.

Measured against float32: the same weights in float16 keep 0.9998 or more. On the demo model, noise of 3 % on its weights
gives 0.998, bilinear instead of bicubic resizing 0.990, squashing instead of cropping 0.949."""

EIGHT_BITS_FLOOR = 0.99
"""The same where bfloat16 or int8 is on either side: they keep 8 bits of a number, and the worst model measured gave 0.997."""

_DIGEST = re.compile(r"[0-9a-f]{40,64}")


@dataclasses.dataclass(frozen=True)
class Drift:
    """How far the probes have moved.

    Attributes:
        images: each probe picture's name to the cosine of its vector then and now.
        texts: each sentence's name, likewise; empty for a model that reads pictures only.
        differs: what is known to differ, then and now: {"library": ("open_clip 3.3", "open_clip 3.4")}.
        since: when the vectors were recorded, RFC 3339.
        floor: the least cosine that is accepted.
    """

    images: Mapping[str, float]
    texts: Mapping[str, float]
    differs: Mapping[str, tuple[str, str]]
    since: str
    floor: float

    @property
    def moved(self) -> bool:
        """Whether any probe is below the floor."""
        return not all(cosine >= self.floor for cosine in (*self.images.values(), *self.texts.values()))

    def __str__(self) -> str:
        """Which probe of each kind has moved how far, and what differs."""
        kinds = [("picture", self.images), ("sentence", self.texts)]
        moves = "; ".join(_furthest(kind, cosines) for kind, cosines in kinds if cosines)
        return f"since {self.since}, {moves}.{_told(self.differs)}"


def record(handler: ImageHandler, at: dt.datetime) -> dict[str, object]:
    """Embed the probes, for a collection's metadata: JSON-able, 8 vectors as float16, and what made them.

    A probe that the model refuses is kept as a row of zeros and never compared.

    Raises:
        OperationalError: the model stopped working.
    """
    images, texts = _embedded(handler)
    return Recorded(rfc3339(at), _made(handler), images, texts).written()


def compare(
    collection: str, handler: ImageHandler, stored: Mapping[str, object], *, floor: float | None = None
) -> Drift:
    """Embed the probes again and say how far they have moved.

    Args:
        collection: its name, for messages.
        handler: the loaded model.
        stored: what `record` gave.
        floor: the least cosine to accept; by default `FLOOR`, or `EIGHT_BITS_FLOOR` where either side keeps 8 bits.

    Raises:
        CollectionMismatch: what is stored cannot be read, or is of other probes than this library's.
        OperationalError: the model stopped working.
    """
    then = Recorded.read(collection, stored)
    made = _made(handler)
    images, texts = _embedded(handler)
    return Drift(
        _cosines(PICTURES, then.images, images),
        {} if then.texts is None else _cosines(SENTENCES, then.texts, texts),
        {
            key: (then.made.get(key, ""), made.get(key, ""))
            for key in (*made, *sorted(then.made.keys() - made.keys()))
            if made.get(key) != then.made.get(key)
        },
        then.at,
        _floor(then.made, made) if floor is None else floor,
    )


def check(
    collection: str, handler: ImageHandler, stored: Mapping[str, object], *, floor: float | None = None
) -> Drift:
    """Embed the probes again, as `compare` does, and refuse a model that has moved.

    Raises:
        CollectionMismatch: a probe's cosine is below the floor, or what is stored cannot be compared.
        OperationalError: the model stopped working.
    """
    drift = compare(collection, handler, stored, floor=floor)
    if drift.moved:
        raise CollectionMismatch(
            f"Collection '{collection}' holds vectors that this model does not make any more: {drift}"
            f"{_unknown(drift.differs)} A cosine of {drift.floor:g} is needed. "
            "Go back to what made the collection, or embed it again with what is here now."
        )
    return drift


# --- the present vectors ------------------------------------------------------------------------------------------


def _embedded(handler: ImageHandler) -> tuple[Rows, Rows | None]:
    from connector.blobs.fetch import BlobFetcher
    from connector.blobs.picture import decode
    from connector.engine.engine import Engine

    # An engine of their own: one that remembers the probes would only hand back what it gave before, and a run's
    # report counts what its engine has embedded.
    engine = Engine(handler)
    with BlobFetcher() as fetcher:
        pictures = [decode(fetcher.fetch(png), fetcher.policy, engine.frame) for png in drawn()]
    images = engine.embed_images([(picture.digest, picture.image) for picture in pictures])
    texts = engine.embed_texts(list(SENTENCES.values())) if engine.reads_text else None
    return _units(images, engine.length), None if texts is None else _units(texts, engine.length)


def _units(outcomes: list[Outcome], length: int) -> Rows:
    import numpy as np

    from connector.engine.fusion import unit

    refused = np.zeros(length, np.float32)
    return unit(np.stack([refused if isinstance(each, EmbeddingError) else each for each in outcomes]))


def _made(handler: ImageHandler) -> dict[str, str]:
    return handler.identity | beneath() | {"length": str(handler.length)}


# --- then and now -------------------------------------------------------------------------------------------------


def _cosines(names: Mapping[str, object], then: Rows, now: Rows | None) -> dict[str, float]:
    """Each probe's cosine; 0 for one that the model cannot embed any more, none for one that it never could."""
    if now is None or now.shape != then.shape:
        return dict.fromkeys(names, 0.0)
    from connector.engine.fusion import unit

    cosines = (unit(then) * now).sum(axis=1)
    return {name: float(cosines[at]) for at, name in enumerate(names) if then[at].any()}


def _floor(then: Mapping[str, str], now: Mapping[str, str]) -> float:
    eight_bits = {then.get("precision"), now.get("precision")} & {"bfloat16", "int8"}
    return EIGHT_BITS_FLOOR if eight_bits else FLOOR


def _furthest(kind: str, cosines: Mapping[str, float]) -> str:
    name, least = min(cosines.items(), key=lambda probe: probe[1])
    return f"of {len(cosines)} {kind}s '{name}' moved furthest, to a cosine of {least:.4f}"


def _told(differs: Mapping[str, tuple[str, str]]) -> str:
    told = (f"{key} is {_short(now)}, was {_short(then)}" for key, (then, now) in differs.items())
    return f" It differs: {'; '.join(told)}." if differs else ""


def _unknown(differs: Mapping[str, tuple[str, str]]) -> str:
    if differs.keys() - {"name"}:  # a name makes no vectors
        return ""
    nothing = "Nothing else that" if differs else "Nothing that"
    return f" {nothing} is known differs: the device, a driver or a library underneath changed."


def _short(value: str) -> str:
    return f"'{value[:12]}…'" if _DIGEST.fullmatch(value) else repr(value)
