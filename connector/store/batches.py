"""Many points in, one answer for each: checked first, sent in batches, the refused ones found by halving."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from connector.errors import PointError
from connector.store.store import Point, Shape

MAX_POINTS = 512
MAX_BYTES = 16 * 1024 * 1024  # half of what a Qdrant server takes by default
MAX_DEPTH = 64

# A float32 is written to JSON as a double: up to 22 characters, a comma, a space.
_BYTES_PER_VALUE = 24
_INT64 = range(-(2**63), 2**63)

Numbered = tuple[int, Point]


class BatchRefused(Exception):
    """Qdrant refused a batch for good, for something in it; the message says what."""


def upsert_in_batches(
    points: Sequence[Point],
    shape: Shape,
    send: Callable[[list[Point]], None],
    *,
    max_points: int = MAX_POINTS,
    max_bytes: int = MAX_BYTES,
) -> list[PointError | None]:
    """Send every point that can be sent; return one entry per point: None, or why it was refused.

    `send` writes one batch and returns when it is acknowledged, or raises `BatchRefused`.
    One bad point among n costs at most 2 log2(n) further calls.
    """
    outcome: list[PointError | None] = [None] * len(points)
    sizes: dict[int, int] = {}
    for position, point in enumerate(points):
        try:
            sizes[position] = check_point(point, shape)
        except PointError as error:
            outcome[position] = error
    # Within one batch Qdrant may apply points in any order, so of several with one id only the last is sent.
    last = {points[position].id: position for position in sizes}
    for batch in _batches(points, sizes, sorted(last.values()), max_points, max_bytes):
        _settle(batch, send, outcome)
    for position in sizes:
        outcome[position] = outcome[last[points[position].id]]
    return outcome


def _batches(
    points: Sequence[Point], sizes: Mapping[int, int], sent: Sequence[int], max_points: int, max_bytes: int
) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    held = 0
    for position in sent:
        if batch and (len(batch) >= max_points or held + sizes[position] > max_bytes):
            yield batch
            batch, held = [], 0
        batch.append((position, points[position]))
        held += sizes[position]
    if batch:
        yield batch


def _settle(
    batch: list[Numbered], send: Callable[[list[Point]], None], outcome: list[PointError | None]
) -> None:
    try:
        send([point for _, point in batch])
    except BatchRefused as refusal:
        if len(batch) == 1:
            position, point = batch[0]
            error = PointError(f"Qdrant refused point {point.id}: {refusal}")
            error.__cause__ = refusal
            outcome[position] = error
            return
        middle = len(batch) // 2
        _settle(batch[:middle], send, outcome)
        _settle(batch[middle:], send, outcome)


def check_point(point: Point, shape: Shape) -> int:
    """Return the point's size as a request body, estimated upwards, in bytes.

    The engines are not asked: one accepts NaN, one turns it into null, one fails the whole batch, and one
    applies half of a batch that has a bad point in it.

    Raises:
        PointError: the id is no uuid, a vector does not fit, or the payload is not JSON.
    """
    _check_id(point.id)
    if not point.vectors:
        raise PointError(f"Point {point.id} has no vector. Give it a picture or a description.")
    for name, vector in point.vectors.items():
        _check_vector(point.id, name, vector, shape)
    try:
        size = _json_size(point.payload)
    except (TypeError, ValueError) as error:
        raise PointError(f"Point {point.id}: its payload cannot be stored: {error}.") from error
    return 64 + size + len(point.vectors) * (shape.length * _BYTES_PER_VALUE + 32)


def _check_id(identity: object) -> None:
    try:
        valid = isinstance(identity, str) and str(uuid.UUID(identity)) == identity
    except ValueError:
        valid = False
    if not valid:
        raise PointError(f"{identity!r:.80} is no point id. Make it with connector.store.points.point_id.")


def _check_vector(identity: str, name: str, vector: object, shape: Shape) -> None:
    if name not in shape.vectors:
        raise PointError(f"Point {identity}: the collection has no vector named {name!r}.")
    if not isinstance(vector, np.ndarray) or vector.dtype != np.float32:
        raise PointError(f"Point {identity}: vector {name!r} is no float32 array.")
    if vector.shape != (shape.length,):
        raise PointError(
            f"Point {identity}: vector {name!r} has shape {vector.shape}, not ({shape.length},)."
        )
    # The sum of squares is finite only if every value is, and if the engine's own float32 norm will be.
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(float(np.dot(vector, vector)))
    if not finite:
        raise PointError(
            f"Point {identity}: vector {name!r} holds NaN, infinity, or values too large to add up."
        )


def _json_size(value: object, depth: int = 0) -> int:
    """Return at least the bytes of `value` as JSON; raise TypeError or ValueError where it has none."""
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind is str:
        return _text_size(value)  # type: ignore[arg-type]  # narrowed by its exact type
    if value is None or kind is bool:
        return 5
    if kind is int:
        if value not in _INT64:
            raise ValueError("a whole number does not fit into 64 bits")
        return 20
    if kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]  # narrowed by its exact type
            raise ValueError(f"{value} has no JSON")
        return 25
    if isinstance(value, list):
        return 2 + sum(1 + _json_size(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return 2 + sum(_entry_size(key, item, depth) for key, item in value.items())
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not a JSON value")


def _entry_size(key: object, value: object, depth: int) -> int:
    if type(key) is not str:
        raise TypeError(f"a key is of type {type(key).__qualname__}, not str")
    return 2 + _text_size(key) + _json_size(value, depth + 1)


def _text_size(text: str) -> int:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"a text holds half a character (a surrogate) at position {error.start}") from error
    # A quote is escaped to two bytes, a control character to six.
    return 2 + (2 if text.isprintable() else 6) * size
