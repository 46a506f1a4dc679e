"""Golden probes: a few pictures and sentences whose vectors a collection keeps, to notice that a model has moved under it.

A name, a digest of weights and a version say what a model should be; only its vectors say what it is. A driver, an
exported graph, a library beneath the handler can change them while everything that is declared stays equal.

    probes = record(handler, now)                   into the collection's metadata, when it is created
    check("shop", handler, probes)                  embeds the probes again and compares; raises on drift

A probe picture goes the way of a record's own: bytes, decoded, resized to the model's frame, embedded.
Nothing here imports a model library: the handler is loaded already.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import functools
import hashlib
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, TypeAlias

from connector.errors import CollectionMismatch, EmbeddingError
from connector.probes.probe_set import PICTURES, SENTENCES, digest, drawn
from connector.store.points import rfc3339

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from connector.engine.batches import Outcome
    from connector.engine.handlers import ImageHandler

    Rows: TypeAlias = "NDArray[np.float32]"

DAY = dt.timedelta(days=1)

FLOOR = 0.999
"""The least cosine that passes for the same model.

Measured against float32: the same weights in float16 keep 0.9998 or more. On the demo model, noise of 3 % on its weights
gives 0.998, bilinear instead of bicubic resizing 0.990, squashing instead of cropping 0.949."""

EIGHT_BITS_FLOOR = 0.99
"""The same where bfloat16 or int8 is on either side: they keep 8 bits of a number, and the worst model measured gave 0.997."""

_DIGEST = re.compile(r"[0-9a-f]{40,64}")
_MARKS = 16  # places that are remembered to have checked; jobs in containers have a new name every time
_BENEATH = ("numpy", "pillow", "timm", "tokenizers", "torch", "torchvision", "transformers")


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
    probes: dict[str, object] = {"at": rfc3339(at), "set": digest(), "made": _made(handler)}
    probes["images"] = _packed(images)
    if texts is not None:
        probes["texts"] = _packed(texts)
    return probes


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
    then = _Recorded.read(collection, stored)
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


def due(
    marks: Mapping[str, str] | None, now: dt.datetime, every: dt.timedelta = DAY, *, here: str | None = None
) -> bool:
    """Say whether the probes should be checked on this machine.

    They should where they never were, where the last check is `every` ago, and where it lies in the future: then the
    clock has jumped back, and nobody knows how old it is.

    Args:
        marks: what `marked` gave, or None.
        now: the present moment.
        every: how long a check is good for.
        here: what `place` says; a test's seam.
    """
    last = _moment((marks or {}).get(here or place()))
    return last is None or not dt.timedelta(0) <= _aware(now) - last < every


def marked(marks: Mapping[str, str] | None, now: dt.datetime, *, here: str | None = None) -> dict[str, str]:
    """Note that the probes were checked on this machine now: machine → RFC 3339, the latest 16 of them."""
    mine, at = here or place(), rfc3339(now)
    others = [(when, key) for key, when in (marks or {}).items() if key != mine and when <= at]
    return {key: when for when, key in sorted(others)[-(_MARKS - 1) :]} | {mine: at}


@functools.cache
def place() -> str:
    """A word for this machine and the libraries on it (hex): what another one has checked says nothing about this."""
    known = [platform.node(), *(f"{name} {number}" for name, number in _beneath().items())]
    return hashlib.blake2b("\n".join(known).encode(), digest_size=6).hexdigest()


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
    return handler.identity | _beneath() | {"length": str(handler.length)}


@functools.cache
def _beneath() -> dict[str, str]:
    """What is installed beneath the handlers, read without importing any of it."""
    found = {"machine": f"{platform.system()} {platform.machine()}"}
    for name in _BENEATH:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# --- then and now -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Recorded:
    """What `record` gave, read back."""

    at: str
    made: Mapping[str, str]
    images: Rows
    texts: Rows | None

    @classmethod
    def read(cls, collection: str, stored: Mapping[str, object]) -> _Recorded:
        """Read it from a collection's metadata, which others may have written to.

        Raises:
            CollectionMismatch: it is not what `record` writes, or is of other probes.
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


def _moment(text: str | None) -> dt.datetime | None:
    try:
        return None if text is None else _aware(dt.datetime.fromisoformat(text))
    except ValueError:  # written by something else: as good as never checked
        return None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
