"""What every store says of the values its records have: how frequent they are, and how far they reach."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from connector.errors import StoreUnavailable
from connector.store.points import to_point
from connector.store.store import Store, Where
from connector.store.values import counted, extent_of, rank
from tests.store.samples import AT, Other, Thing, full_spec, random_things, spec, thing, thing_point, vector

THINGS = random_things(120, seed=11)
COUNTED = ("brand", "stock", "new", "batch", "colour", "grade", "size", "tags", "sizes")
ORDERED = ("price", "stock", "seen", "day", "sizes", "ratings", "days")


@pytest.fixture(params=["with indexes", "without"])
def filled(request: pytest.FixtureRequest, store: Store) -> Store:
    """A store of Things and one Other, its payload keys indexed or not."""
    store.create(full_spec() if request.param == "with indexes" else spec())
    store.upsert([thing_point(one, number) for number, one in enumerate(THINGS)])
    store.upsert([to_point(Other(key="o", title="red shoe"), {"text": vector(1)}, at=AT)])
    return store


def stored(name: str, things: list[Thing]) -> list[list[Any]]:
    """What is stored of a field, as a list for each record."""
    found = []
    for one in things:
        value = thing_point(one).payload.get(name)
        found.append(value if isinstance(value, list) else [] if value is None else [value])
    return found


def test_facet_counts_the_records_that_have_a_value(filled: Store) -> None:
    for name in COUNTED:
        expected = Counter(value for values in stored(name, THINGS) for value in set(values))
        found = filled.facet(name, Where(("Thing",)), limit=100)
        assert dict(found) == dict(expected), name
        assert {type(value) for value, _ in found} == {type(value) for value in expected}, name
        counts = [count for _, count in found]
        assert counts == sorted(counts, reverse=True), name


def test_facet_keeps_the_most_frequent_and_the_condition(filled: Store) -> None:
    where = Where(("Thing",), Thing.stock == 5)
    kept = [one for one in THINGS if one.stock == 5]
    expected = Counter(value for values in stored("brand", kept) for value in values)
    assert dict(filled.facet("brand", where)) == dict(expected)
    cut = filled.facet("brand", Where(("Thing",)), limit=2)
    whole = filled.facet("brand", Where(("Thing",)))
    assert [count for _, count in cut] == [count for _, count in whole][:2]


def test_facet_passes_over_what_was_deleted_and_what_nobody_has(filled: Store) -> None:
    filled.bury([thing_point(one).id for one in THINGS], schema="Thing", version=1)
    assert filled.facet("brand") == []
    assert filled.facet("nothing") == []
    assert filled.extent("price") is None
    assert filled.extent("nothing") is None


def test_extent_is_the_least_and_the_most_as_stored(filled: Store) -> None:
    for name in ORDERED:
        values = [value for values in stored(name, THINGS) for value in values]
        expected = (min(values, key=_rank), max(values, key=_rank))
        assert filled.extent(name, Where(("Thing",))) == expected, name


def _rank(value: object) -> float:
    place = rank(value)
    assert place is not None
    return place


def test_extent_keeps_the_condition(filled: Store) -> None:
    prices = [one.price for one in THINGS if one.price is not None and one.price < 1]
    assert filled.extent("price", Where(("Thing",), Thing.price < 1)) == (min(prices), max(prices))
    assert filled.extent("price", Where(("Thing",), Thing.price > 1000)) is None


def test_text_reaches_nowhere(filled: Store) -> None:
    assert filled.extent("brand") is None


def test_where_there_is_no_collection_both_say_so(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="There is no collection"):
        store.facet("brand")
    with pytest.raises(StoreUnavailable, match="There is no collection"):
        store.extent("price")


def test_counting_here_tells_true_from_one() -> None:
    payloads: list[dict[str, object]] = [{"x": True}, {"x": 1}, {"x": [1, 1, "1"]}, {"x": 1.5}, {}]
    assert counted(payloads, "x", 10) == [(1, 2), (True, 1), ("1", 1)]
    assert [type(value) for value, _ in counted(payloads, "x", 10)] == [int, bool, str]


def test_extent_here_reads_moments_and_leaves_the_rest() -> None:
    payloads: list[dict[str, object]] = [
        {"x": "2026-01-01T00:00:00Z"},
        {"x": "2026-01-01T00:00:00.000001Z"},
        {"x": "red"},
        {"x": True},
    ]
    assert extent_of(payloads, "x") == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z")
    words: list[dict[str, object]] = [{"x": "red"}]
    assert extent_of(words, "x") is None
    assert math.isclose(rank(0.5) or 0, 0.5)
    assert rank("2026-01-01") == rank("2026-01-01T00:00:00+00:00")


def test_a_point_of_another_schema_is_not_counted(filled: Store) -> None:
    filled.upsert([thing_point(thing("late", brand="Rare"), 1)])
    assert ("Rare", 1) in filled.facet("brand", Where(("Thing",)), limit=100)
    assert filled.facet("brand", Where(("Other",)), limit=100) == []


def test_a_store_tells_which_payload_keys_have_an_index(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        store.indexed()
    store.create(spec())
    first = store.indexed()
    store.create(full_spec())
    second = store.indexed()
    if first is None or second is None:
        assert (first, second) == (None, None)  # in memory, where there are none
        return
    assert first >= spec().indexes.keys()
    assert second >= full_spec().indexes.keys()
    assert "brand" in second - first
