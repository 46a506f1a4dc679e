"""Which values records have, counted here: for keys that the engine has no payload index to count by."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

FacetValue: TypeAlias = "str | int | bool"
Facet: TypeAlias = "tuple[FacetValue, int]"
Extent: TypeAlias = "tuple[object, object]"


def counted(payloads: Iterable[Mapping[str, object]], key: str, limit: int) -> list[Facet]:
    """Count the texts, whole numbers and truth values at `key`, each once a record; most frequent first."""
    # The type belongs to the key of the count: to Python True is 1.
    counts: Counter[tuple[type, FacetValue]] = Counter()
    for payload in payloads:
        counts.update({(type(value), value) for value in _values(payload, key) if _is_countable(value)})  # type: ignore[misc]  # the filter says so
    return most_first(((value, count) for (_, value), count in counts.items()))[:limit]


def most_first(facets: Iterable[Facet]) -> list[Facet]:
    """Order values by how many records have them, equal ones by themselves."""
    return sorted(facets, key=lambda facet: (-facet[1], isinstance(facet[0], str), str(facet[0])))


def extent_of(payloads: Iterable[Mapping[str, object]], key: str) -> Extent | None:
    """Return the smallest and the largest number or moment at `key` as stored, None where there is none."""
    ordered = (value for payload in payloads for value in _values(payload, key) if rank(value) is not None)
    least = most = next(ordered, None)
    if least is None:
        return None
    for value in ordered:
        if _rank(value) < _rank(least):
            least = value
        elif _rank(value) > _rank(most):
            most = value
    return least, most


def rank(value: object) -> float | int | None:
    """Where a stored value stands among others of its key: numbers by themselves, moments by their microsecond."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _rank(value: object) -> float | int:
    place = rank(value)
    assert place is not None  # only ranked values get here
    return place


def _values(payload: Mapping[str, object], key: str) -> Iterator[object]:
    value = payload.get(key)
    if isinstance(value, (list, tuple)):
        yield from value
    elif value is not None:
        yield value


def _is_countable(value: object) -> bool:
    return isinstance(value, (str, int))
