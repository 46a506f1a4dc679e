"""Many points in, one answer for each: checked first, sent in batches, the refused ones found by halving."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from connector.errors import PointError, Superseded
from connector.store.points import VERSION, is_buried, version_of
from connector.store.shape import Shape
from connector.store.store import Point

MAX_POINTS = 512
MAX_BYTES = 16 * 1024 * 1024  # half of what a Qdrant server takes by default
MAX_DEPTH = 64

# A float32 is written to JSON as a double: up to 22 characters, a comma, a space.
_BYTES_PER_VALUE = 24
_INT64 = range(-(2**63), 2**63)
_EXACT_AS_DOUBLE = 2**53

Numbered = tuple[int, Point]
# Writes one batch of points of one version. Returns, once acknowledged, the ids that a newer run had written before.
Send: TypeAlias = Callable[[list[Point]], Collection[str]]


class BatchRefused(Exception):
    """Qdrant refused a batch for good, for something in it; the message says what."""


def upsert_in_batches(
    points: Sequence[Point],
    shape: Shape,
    send: Send,
    *,
    max_points: int = MAX_POINTS,
    max_bytes: int = MAX_BYTES,
) -> list[PointError | None]:
    """Send every point that can be sent; return one entry per point: None, or why it was not written.

    `send` may raise `BatchRefused`. One bad point among n costs at most 2 log2(n) further calls.
    """
    return _in_batches(points, lambda point: check_point(point, shape), send, max_points, max_bytes)


def overwrite_in_batches(points: Sequence[Point], send: Send) -> list[PointError | None]:
    """Send the payloads of points, as `upsert_in_batches` sends whole ones; their vectors are not looked at."""
    return _in_batches(points, check_payload, send, MAX_POINTS, MAX_BYTES)


def chunks(ids: Sequence[str], size: int = 1000) -> Iterator[list[str]]:
    """Yield ids, as many at a time as are asked for in one call."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def _in_batches(
    points: Sequence[Point], check: Callable[[Point], int], send: Send, max_points: int, max_bytes: int
) -> list[PointError | None]:
    outcome: list[PointError | None] = [None] * len(points)
    sizes: dict[int, int] = {}
    # Within one batch Qdrant may apply points in any order, so of several with one id only one is sent.
    winners: dict[str, int] = {}
    for position, point in enumerate(points):
        try:
            sizes[position] = check(point)
        except PointError as error:
            outcome[position] = error
            continue
        before = winners.get(point.id)
        if before is not None and _is_older(point, points[before]):
            outcome[position] = superseded(point)
        else:
            winners[point.id] = position
    for group in _by_version(points, sorted(winners.values())):
        for batch in _batches(points, sizes, group, max_points, max_bytes):
            _settle(batch, send, outcome)
    for position in sizes.keys() - winners.values():
        # What was never sent shares the fate of the later one that was.
        outcome[position] = outcome[position] or outcome[winners[points[position].id]]
    return outcome


def held_back(batch: Sequence[Point], found: Mapping[str, Mapping[str, object]]) -> set[str]:
    """Return the ids of points of one version that, after a guarded write, are gone or a newer run's.

    Args:
        batch: the points that were to be written.
        found: what is there now, tombstones included: id -> payload, at least its version and whether it is buried.
    """
    version = version_of(batch[0])

    def lost(point: Point) -> bool:
        payload = found.get(point.id)
        if payload is None or is_buried(payload):
            return True
        there = payload.get(VERSION)
        return version is not None and isinstance(there, int) and there > version

    return {point.id for point in batch if lost(point)}


def superseded(point: Point) -> Superseded:
    """Say that a point was not written, because a newer one is there, or nothing any more."""
    return Superseded(
        f"Point {point.id}: a newer run has written or deleted it meanwhile, and stays. Nothing needs to be done."
    )


def _is_older(point: Point, other: Point) -> bool:
    ours, theirs = version_of(point), version_of(other)
    return ours is not None and theirs is not None and ours < theirs


def _by_version(points: Sequence[Point], positions: Sequence[int]) -> Iterator[list[int]]:
    """Positions grouped by their points' versions: a batch has one guard."""
    groups: dict[int | None, list[int]] = {}
    for position in positions:
        groups.setdefault(version_of(points[position]), []).append(position)
    yield from groups.values()


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


def _settle(batch: list[Numbered], send: Send, outcome: list[PointError | None]) -> None:
    try:
        held_back = send([point for _, point in batch])
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
        return
    if held_back:
        for position, point in batch:
            if point.id in held_back:
                outcome[position] = superseded(point)


def check_point(point: Point, shape: Shape) -> int:
    """Return the point's size as a request body, estimated upwards, in bytes.

    The engines are not asked: one accepts NaN, one turns it into null, one fails the whole batch, and one
    applies half of a batch that has a bad point in it.

    Raises:
        PointError: the id is no uuid, a vector does not fit, or the payload is not JSON.
    """
    size = check_payload(point)
    if not point.vectors:
        raise PointError(f"Point {point.id} has no vector. Give it a picture or a description.")
    for name, vector in point.vectors.items():
        _check_vector(point.id, name, vector, shape)
    return size + len(point.vectors) * (shape.length * _BYTES_PER_VALUE + 32)


def check_payload(point: Point) -> int:
    """Return the size of the point's id and payload as a request body, estimated upwards, in bytes.

    Raises:
        PointError: the id is no uuid, or the payload is not JSON.
    """
    _check_id(point.id)
    _check_version(point)
    try:
        return 256 + _json_size(point.payload)
    except (TypeError, ValueError) as error:
        raise PointError(f"Point {point.id}: its payload cannot be stored: {error}.") from error


def _check_version(point: Point) -> None:
    version = point.payload.get(VERSION)
    # Qdrant compares numbers as doubles: beyond 2**53 a newer version could look equal to an older one.
    if version is not None and not (type(version) is int and 0 <= version < _EXACT_AS_DOUBLE):
        raise PointError(f"Point {point.id}: {VERSION} is {version!r:.80}, not a whole number below 2**53.")


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
