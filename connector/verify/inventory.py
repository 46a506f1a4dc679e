"""What a collection holds, in 50 bytes a record: one pass over its points, looked up by id afterwards."""

from __future__ import annotations

import array
import enum
import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from connector.embedding import FUSED, IMAGE, TEXT
from connector.store.points import (
    DESCRIPTION,
    PAYLOAD,
    PICTURE,
    SCHEMA,
    WRITTEN_AT,
    Digests,
    digest_payload,
    digest_text,
    digests,
)
from connector.verify.audit import Kind

if TYPE_CHECKING:
    from connector.store.store import Point

UNIT_TOLERANCE = (
    1e-3  # far above float32 rounding and what a quantized store gives back, far below any real mistake
)


class Mark(enum.IntFlag):
    """What is known of one stored point."""

    SEEN = 1  # a row has this id
    RIGHT = 2  # a row with this id is stored exactly
    PICTURE = 4  # a row with this id has another picture
    WORDS = 8
    VALUES = 16
    TORN = 32  # its values are not those that its digest is of
    FAULTY = 64  # something is wrong with it whatever the source says
    SUSPECT = 128  # its vector is also that of a record of other content
    UNOWNED = 256  # it does not say which schema it is of

    STALE = PICTURE | WORDS | VALUES
    DISTRUSTED = TORN | FAULTY | UNOWNED  # what it says of itself does not tell whether it is right


PARTS = {
    Mark.PICTURE: ("picture", "another picture"),
    Mark.WORDS: ("words", "other words"),
    Mark.VALUES: ("values", "other values"),
}


class Inventory:
    """The points of a collection: their ids, short digests of what they were made of, and what is known of them.

    Columns and no objects: an id (16 bytes), four digests of 64 bits (picture, words, values, fused vector) and the
    marks (2 bytes), with an eighth more while they grow. Two different contents pass for the same once in 10^19 times.
    """

    def __init__(self) -> None:
        self._ids = bytearray()
        self._growing = {name: array.array("Q") for name in ("picture", "text", "values", "vector")}
        self._marking = array.array("H")
        self._sorted: NDArray[np.bytes_] = np.empty(0, "S16")
        self._columns: dict[str, NDArray[np.uint64]] = {}
        self.marks: NDArray[np.uint16] = np.empty(0, np.uint16)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, point: Point, marks: Mark, words: str | None = None) -> None:
        """Take one point; `words` names the field that is its description."""
        held = digests(point)
        values = values_of(point)
        text = digest_words(values.get(words) if words is not None else None)
        # What is there is compared, and not what the point says is there.
        if digest_payload(values) != held.payload or text != held.text:
            marks |= Mark.TORN
        fused = None if marks & Mark.FAULTY else point.vectors.get(FUSED)
        self._ids += uuid.UUID(point.id).bytes
        self._growing["picture"].append(_short(held.picture))
        self._growing["text"].append(_short(text))
        self._growing["values"].append(_short(digest_values(values, words)))
        self._growing["vector"].append(0 if fused is None else _short(fused.tobytes()))
        self._marking.append(int(marks))

    def seal(self) -> None:
        """No more points will come: make ids findable and find vectors that several records share."""
        self._sorted = np.frombuffer(self._ids, "S16")
        self._columns = {name: np.frombuffer(column, np.uint64) for name, column in self._growing.items()}
        self.marks = np.frombuffer(self._marking, np.uint16)
        # Stores hand points out in the order of their ids; where one does not, they are sorted here.
        if len(self) and not bool(np.all(self._sorted[1:] > self._sorted[:-1])):
            order = np.argsort(self._sorted, kind="stable")
            self._sorted = self._sorted[order]
            self._columns = {name: column[order] for name, column in self._columns.items()}
            self.marks = self.marks[order]
        self.marks[self._sharing()] |= np.uint16(Mark.SUSPECT)

    def _sharing(self) -> NDArray[np.intp]:
        """Places of points whose vector is also that of a point with another picture or other words."""
        vectors = self._columns["vector"]
        order = np.argsort(vectors, kind="stable")
        if len(order) < 2:
            return order[:0]
        here, before = order[1:], order[:-1]
        same = (vectors[here] == vectors[before]) & (vectors[here] != 0)
        other = np.zeros(len(same), bool)
        for name in ("picture", "text"):
            other |= self._columns[name][here] != self._columns[name][before]
        runs = np.concatenate(([0], np.cumsum(~same)))
        return order[np.isin(runs, runs[1:][same & other])]

    def places(self, ids: Sequence[str]) -> list[int]:
        """Where each point is, -1 where there is none."""
        if not len(self):
            return [-1] * len(ids)
        wanted = np.array([uuid.UUID(id).bytes for id in ids], "S16")
        places = np.minimum(np.searchsorted(self._sorted, wanted), len(self) - 1)
        return [int(place) for place in np.where(self._sorted[places] == wanted, places, -1)]

    def differences(self, place: int, now: Digests, *, pictures: bool) -> Mark:
        """Which parts of a stored record are not what they are now; without `pictures` that part counts as equal.

        `now.payload` is the digest of the values without the words (`digest_values`).
        """
        looked = {Mark.WORDS: ("text", now.text), Mark.VALUES: ("values", now.payload)}
        if pictures:
            looked[Mark.PICTURE] = ("picture", now.picture)
        different = Mark(0)
        for mark, (name, digest) in looked.items():
            if int(self._columns[name][place]) != _short(digest):
                different |= mark
        return different

    def mark(self, place: int, marks: Mark) -> None:
        """Note what is known of a point."""
        self.marks[place] |= np.uint16(marks)

    def has(self, place: int, marks: Mark) -> bool:
        """Whether any of these is known of a point."""
        return bool(self.marks[place] & np.uint16(marks))

    def marked(self) -> Iterator[tuple[str, Mark]]:
        """Points that no row is equal to, or that are torn, in the order of their ids, with their marks."""
        for place in map(int, np.flatnonzero((self.marks & np.uint16(Mark.RIGHT | Mark.TORN)) != Mark.RIGHT)):
            yield self.id(place), Mark(int(self.marks[place]))

    def id(self, place: int) -> str:
        """The id of the point there."""
        return str(
            uuid.UUID(bytes=bytes(self._sorted[place]).ljust(16, b"\0"))
        )  # numpy drops zeros at the end


def _short(content: str | bytes | None) -> int:
    """64 bits of a digest's digest; 0 for None."""
    if content is None:
        return 0
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1


def values_of(point: Point) -> dict[str, object]:
    """A record's own stored values, without what the connector writes beside them."""
    return {name: value for name, value in point.payload.items() if not name.startswith("_")}


def digest_values(values: Mapping[str, object], words: str | None) -> str:
    """The digest of a record's values without its description, so that other words are no other values."""
    return digest_payload({name: value for name, value in values.items() if name != words})


def digest_words(description: object) -> str | None:
    """The digest of a description, None where there is none to embed."""
    return digest_text(description) if isinstance(description, str) and description else None


def faults(point: Point, names: Sequence[str], length: int) -> Iterator[tuple[Kind, str]]:
    """What is wrong with a point whatever the source says: what it lacks, and vectors that cannot be compared.

    Args:
        point: with its vectors.
        names: the vectors that a point of the space may have.
        length: values in each.
    """
    lacking = [key for key in (SCHEMA, PAYLOAD, WRITTEN_AT) if not isinstance(point.payload.get(key), str)]
    made_of = {IMAGE: point.payload.get(PICTURE), TEXT: point.payload.get(DESCRIPTION)}
    if not any(made_of.values()):
        lacking.append(f"{PICTURE} or {DESCRIPTION}")
    if lacking:
        yield Kind.HALF_WRITTEN, f"it lacks {', '.join(lacking)}"
    for name in names:
        vector = point.vectors.get(name)
        if vector is not None:
            yield from _vector_faults(name, vector, length)
        elif name == FUSED or made_of.get(name):
            yield Kind.WRONG_MODEL, f"it has no vector '{name}'"


def _vector_faults(name: str, vector: NDArray[Any], length: int) -> Iterator[tuple[Kind, str]]:
    norm = float(np.linalg.norm(np.asarray(vector, np.float64)))
    if vector.shape != (length,):
        yield Kind.WRONG_MODEL, f"its vector '{name}' has {vector.size} values, not {length}"
    elif not np.isfinite(norm):
        yield Kind.NAN_VECTOR, f"its vector '{name}' holds NaN or infinity"
    elif norm == 0:
        yield Kind.ZERO_VECTOR, f"its vector '{name}' is all zeros"
    elif abs(norm - 1) > UNIT_TOLERANCE:
        yield Kind.NOT_UNIT, f"its vector '{name}' has length {norm:.3f}, not 1"
