"""One meaning, three spellings: random conditions go to text and JSON and back, and mean what plain Python means."""

from __future__ import annotations

import datetime as dt
import json
import operator
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from connector.schema.conditions import Condition, condition_from_json, parse_condition, words_of
from connector.schema.schema import parse
from tests.schema.catalogue import BARE, Colour, Everything

# A plain predicate over a record, written without the code under test.
Predicate = Callable[[Any], bool]

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_WORDS = [
    "red",
    "Shoe",
    "canvas",
    "it's",
    'a "b"',
    "back\\slash",
    "new\nline",
    "tab\t",
    "👟",
    "\x00",
    "ÄÖ",
    "1",
    "x  y",
    "''",
    "\\n",
]

_VALUES: dict[str, list[Any]] = {
    "key": ["k", "1", 1, 2, "it's"],
    "word": [*_WORDS, ""],
    "count": [-3, 0, 7, 2**53 - 1, -(2**53) + 1],
    "price": [-0.5, 0.0, 59.9, 1e300, 1e-7, 3.0],
    "sold": [True, False],
    "when": [dt.datetime(2026, 1, day, 12, 30, 5, 7, tzinfo=dt.UTC) for day in (1, 2, 3)],
    "day": [dt.date(2026, 1, day) for day in (1, 2, 3)],
    "serial": [UUID(int=number) for number in (1, 2)],
    "colour": list(Colour),
    "season": ["summer", "winter"],
    "level": [1, 2, 3],
    "tags": _WORDS,
    "sizes": [41, 42, 43],
    "title": ["red shoe", "Canvas", "nothing"],
    "note": ["red", "shoe canvas"],
}
_ORDERED = ("count", "price", "when", "day")
_LISTS = ("tags", "sizes")
_TEXTS = ("title", "note")


def some_leaf(chance: random.Random) -> tuple[Condition, Predicate]:
    """A random comparison, and the predicate that says the same."""
    name = chance.choice(list(_VALUES))
    field: Any = getattr(Everything, name)
    wanted = chance.choice(_VALUES[name])
    if chance.random() < 0.1:
        return field.is_none(), lambda record: getattr(record, name) is None
    if name in _LISTS:
        return field.contains(wanted), lambda record: wanted in (getattr(record, name) or ())
    if name in _TEXTS or (name == "word" and words_of(wanted) and chance.random() < 0.3):
        return field.matches(wanted), lambda record: has_words(getattr(record, name), wanted)
    if chance.random() < 0.3:
        several = chance.choices(_VALUES[name], k=3)
        return field.in_(several), lambda record: getattr(record, name) in several
    op = chance.choice(list(_ORDERS) if name in _ORDERED else ["==", "!="])

    def says(record: Any) -> bool:
        found = getattr(record, name)
        return op == "!=" if found is None else _ORDERS[op](found, wanted)

    compared: Any = _ORDERS[op]
    return compared(field, wanted), says


def has_words(text: str | None, wanted: str) -> bool:
    """Whether all words are there, letter by letter."""

    def cut(of: str) -> set[str]:
        return set("".join(letter if letter.isalnum() else " " for letter in of).lower().split())

    return text is not None and cut(wanted) <= cut(text)


def some_condition(chance: random.Random, depth: int = 3) -> tuple[Condition, Predicate]:
    """A random condition, nested up to `depth`."""
    joint = chance.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
    if joint == "leaf":
        return some_leaf(chance)
    one, says_one = some_condition(chance, depth - 1)
    if joint == "not":
        return ~one, lambda record: not says_one(record)
    other, says_other = some_condition(chance, depth - 1)
    if joint == "and":
        return one & other, lambda record: says_one(record) and says_other(record)
    return one | other, lambda record: says_one(record) or says_other(record)


def some_record(chance: random.Random) -> Everything:
    """A random record with gaps."""
    row = dict(BARE)
    for name, values in _VALUES.items():
        if name in _LISTS:
            row[name] = chance.sample(values, k=chance.randrange(len(values)))
        elif name in ("key", "title") or chance.random() < 0.7:
            row[name] = chance.choice(values)
    return parse(Everything, row)


@pytest.mark.parametrize("seed", range(300))
def test_three_spellings_of_one_condition(seed: int) -> None:
    chance = random.Random(seed)
    condition, says = some_condition(chance)
    assert parse_condition(str(condition), Everything) == condition
    assert condition_from_json(json.loads(json.dumps(condition.to_json())), Everything) == condition
    for _ in range(20):
        record = some_record(chance)
        assert condition.matches(record) == says(record), (condition, record)


def test_equal_conditions_have_equal_hashes() -> None:
    one = (Everything.count < 3) & Everything.word.in_(["a", "b"])
    other = parse_condition("count<3 AND word IN ('a',\"b\")", Everything)
    assert one == other
    assert hash(one) == hash(other)
    assert one != (Everything.count <= 3) & Everything.word.in_(["a", "b"])
