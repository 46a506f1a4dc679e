"""The walk from a condition to a filter: what it refuses, and what it writes for the awkward cases."""

from __future__ import annotations

import pytest

from connector.errors import ConditionError
from connector.schema.nodes import Compare, Condition, In, Or
from connector.store.filters import Spelling, compile_where, not_newer, record_not_newer, tombstones_before
from connector.store.store import Where
from tests.store.samples import Thing


def spelled(name: str) -> object:
    return lambda **parts: (name, parts)


WORDS = Spelling(
    filter=lambda **parts: {**parts},
    field=lambda **parts: {**parts},
    value=lambda **parts: {**parts},
    any_of=lambda **parts: {**parts},
    text=lambda **parts: {**parts},
    numbers=lambda **parts: {**parts},
    moments=lambda **parts: {**parts},
    ids=lambda ids: {"ids": list(ids)},
)

HIDDEN = {"must_not": [{"key": "_deleted", "match": {"value": True}}]}

NOTHING = {
    "must": [{"key": "_schema", "is_empty": True}],
    "must_not": [{"key": "_schema", "is_empty": True}],
}


def compiled(condition: Condition) -> object:
    found = compile_where(Where((), condition), WORDS)
    assert isinstance(found, dict)
    return found["must"][0]


def test_no_restriction_means_all_but_tombstones() -> None:
    assert compile_where(None, WORDS) == HIDDEN
    assert compile_where(Where(), WORDS) == HIDDEN


def test_schemas_restrict_the_schemas_key() -> None:
    one = compile_where(Where(("Thing",)), WORDS)
    two = compile_where(Where(("Thing", "Other")), WORDS)
    assert one == {"must": [{"key": "_schema", "match": {"value": "Thing"}}], **HIDDEN}
    assert two == {"must": [{"key": "_schema", "match": {"any": ["Thing", "Other"]}}], **HIDDEN}


def test_guards_let_equal_versions_and_points_without_one_pass() -> None:
    newer = {"key": "_version", "range": {"gt": 7.0}}
    assert not_newer(7, WORDS) == {"must_not": [newer]}
    assert record_not_newer("a", 7, WORDS) == {
        "must": [{"ids": ["a"]}],
        "must_not": [*HIDDEN["must_not"], newer],
    }
    assert record_not_newer("a", None, WORDS) == {"must": [{"ids": ["a"]}], **HIDDEN}


def test_a_purge_means_tombstones_of_earlier_versions_only() -> None:
    older = {"key": "_version", "range": {"lt": 7.0}}
    assert tombstones_before(7, WORDS) == {"must": [*HIDDEN["must_not"], older]}


def test_values_of_several_kinds_are_matched_kind_by_kind() -> None:
    assert compiled(Thing.key.in_(["a", 1, "b", 2])) == {
        "should": [{"key": "key", "match": {"any": ["a", "b"]}}, {"key": "key", "match": {"any": [1, 2]}}]
    }


def test_floats_are_equal_within_a_closed_range() -> None:
    assert compiled(Thing.price == 0.1) == {"key": "price", "range": {"gte": 0.1, "lte": 0.1}}


def test_alternatives_without_any_are_never_true() -> None:
    assert compiled(Or(())) == NOTHING
    assert compiled(In(Thing.brand, ())) == NOTHING


def test_what_no_payload_can_hold_is_equal_to_nothing() -> None:
    assert compiled(Compare(Thing.price, "==", float("nan"))) == NOTHING
    assert compiled(Compare(Thing.stock, "==", 2**63)) == NOTHING
    assert compiled(Compare(Thing.brand, "==", "\ud800")) == NOTHING


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**70, float("inf"), float("nan")])
def test_an_order_that_doubles_cannot_keep_is_refused(value: float) -> None:
    with pytest.raises(ConditionError, match=r"exactly up to 2\*\*53 - 1.*use == and in_"):
        compiled(Compare(Thing.stock, "<", value))


@pytest.mark.parametrize("value", ["a", True])
def test_what_has_no_order_is_refused(value: object) -> None:
    with pytest.raises(ConditionError, match="orders numbers and dates only"):
        compiled(Compare(Thing.brand, "<", value))
