"""What a point must be before it is sent: its id, its payload, its vectors; and how large it is as a request body.

The engines are not asked: one accepts NaN, one turns it into null, one fails the whole batch, and one applies half
of a batch that has a bad point in it. Every point of every run comes through here, so what is usual is looked at first.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Mapping

import numpy as np

from connector.errors import PointError
from connector.store.points import VERSION
from connector.store.shape import Shape
from connector.store.store import Point

MAX_DEPTH = 64

# A float32 in its shortest form takes up to 15 characters of JSON, and a comma.
_BYTES_PER_VALUE = 16
_INT64 = range(-(2**63), 2**63)
_EXACT_AS_DOUBLE = 2**53
_FLOAT32 = np.dtype(np.float32)
_IS_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def quiet() -> contextlib.AbstractContextManager[object]:
    """Let numpy say nothing of values that are too large; once for many points, because it costs as much as a point."""
    return np.errstate(over="ignore", invalid="ignore")


def check_point(point: Point, shape: Shape) -> int:
    """Return the point's size as a request body, estimated upwards, in bytes.

    Call it under `quiet`: numpy would warn of a vector that is too large before it is refused.

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
    identity: object = point.id  # whoever made the point may not have had a type checker
    payload = point.payload
    if not (isinstance(identity, str) and _IS_ID(identity)):
        raise PointError(f"{identity!r:.80} is no point id. Make it with connector.store.points.point_id.")
    version = payload.get(VERSION)
    # Qdrant compares numbers as doubles: beyond 2**53 a newer version could look equal to an older one.
    if version is not None and not (type(version) is int and 0 <= version < _EXACT_AS_DOUBLE):
        raise PointError(f"Point {point.id}: {VERSION} is {version!r:.80}, not a whole number below 2**53.")
    try:
        size = 258 + _keys_size(tuple(payload))
        for value in payload.values():
            size += _text_size(value) if type(value) is str else _json_size(value, 1)
        return size
    except (TypeError, ValueError) as error:
        raise PointError(f"Point {point.id}: its payload cannot be stored: {error}.") from error


def _check_vector(identity: str, name: str, vector: object, shape: Shape) -> None:
    if name not in shape.vectors:
        raise PointError(f"Point {identity}: the collection has no vector named {name!r}.")
    if not isinstance(vector, np.ndarray) or vector.dtype != _FLOAT32:
        raise PointError(f"Point {identity}: vector {name!r} is no float32 array.")
    if vector.shape != (shape.length,):
        raise PointError(
            f"Point {identity}: vector {name!r} has shape {vector.shape}, not ({shape.length},)."
        )
    # The sum of squares is finite only if every value is, and if the engine's own float32 norm will be.
    if not math.isfinite(vector.dot(vector)):
        raise PointError(
            f"Point {identity}: vector {name!r} holds NaN, infinity, or values too large to add up."
        )


def _json_size(value: object, depth: int = 0) -> int:
    """Return at least the bytes of `value` as JSON; raise TypeError or ValueError where it has none."""
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
    if depth >= MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return 2 + sum([1 + _json_size(item, depth + 1) for item in value])
    if isinstance(value, Mapping):
        return 2 + _keys_size(tuple(value)) + sum([_json_size(item, depth + 1) for item in value.values()])
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not a JSON value")


@functools.lru_cache(1024)
def _keys_size(keys: tuple[object, ...]) -> int:
    """Bytes of the keys of an object; the same ones come with every point."""
    size = 0
    for key in keys:
        if not isinstance(key, str):
            raise TypeError(f"a key is of type {type(key).__qualname__}, not str")
        size += 2 + _text_size(key)
    return size


def _text_size(text: str) -> int:
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise ValueError(
                f"a text holds half a character (a surrogate) at position {error.start}"
            ) from error
    # A quote is escaped to two bytes, a control character to six.
    return 2 + (2 if text.isprintable() else 6) * size
