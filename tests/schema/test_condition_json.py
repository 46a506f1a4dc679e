"""The JSON form is read strictly, and what cannot be read is located."""

from __future__ import annotations

import re

import pytest

from connector.errors import ConditionError
from connector.schema.condition_json import condition_from_json
from connector.schema.nodes import Condition
from tests.schema.catalogue import Everything, Product

E = Everything


@pytest.mark.parametrize(
    ("json", "condition"),
    [
        ({"field": "price", "op": "<", "value": 80}, E.price < 80),
        ({"field": "word", "op": "!=", "value": "a"}, E.word != "a"),
        ({"field": "word", "op": "in", "value": ["a", "b"]}, E.word.in_(["a", "b"])),
        ({"field": "word", "op": "not in", "value": ["a"]}, E.word.not_in(["a"])),
        ({"field": "tags", "op": "contains", "value": "x"}, E.tags.contains("x")),
        ({"field": "title", "op": "matches", "value": "red shoe"}, E.title.matches("red shoe")),
        ({"not": {"field": "word", "op": "is none"}}, ~E.word.is_none()),
        (
            {
                "and": [
                    {"field": "count", "op": ">=", "value": 1},
                    {"or": [{"field": "count", "op": "==", "value": 3}]},
                ]
            },
            (E.count >= 1) & (E.count == 3),
        ),
    ],
)
def test_what_can_be_read(json: object, condition: Condition) -> None:
    assert condition_from_json(json, Everything) == condition


GOOD = {"field": "price", "op": "<", "value": 80}


@pytest.mark.parametrize(
    ("json", "told"),
    [
        (3, '3 is no condition. Write {"field": "price", "op": "<", "value": 80}.'),
        ("price < 80", "'price < 80' is no condition."),
        ({}, "the keys are none. Use field, op and value, or one of and, or, not alone."),
        ({"field": "price"}, "the keys are field."),
        (GOOD | {"and": []}, "the keys are and, field, op, value."),
        ({"and": []}, "At and: [] is no list of conditions. Give at least one."),
        ({"or": GOOD}, "At or: <dict of 3> is no list of conditions."),
        (
            {"and": [GOOD, {"not": {"field": "prise", "op": "is none"}}]},
            "At and[1].not: Product has no field 'prise'. Did you mean 'price'?",
        ),
        ({"field": 3, "op": "<", "value": 1}, "Product has no field 3. It has sku"),
        ({"field": "price", "op": "=<", "value": 1}, "'=<' is no operator. Use one of ==, !=, <,"),
        ({"field": "price", "op": ["<"], "value": 1}, "['<'] is no operator."),
        (
            {"field": "price", "op": "contain", "value": 1},
            "'contain' is no operator. Did you mean 'contains'?",
        ),
        ({"field": "price", "op": "<"}, "'<' needs a value. Add one."),
        ({"field": "price", "op": "is none", "value": 1}, "'is none' takes no value. Remove it."),
        (
            {"field": "price", "op": "<", "value": "80"},
            "Product.price is compared with '80', but wants a number.",
        ),
        ({"field": "price", "op": "<", "value": None}, "Product.price is compared with None."),
        ({"field": "price", "op": "in", "value": 3}, "Product.price in 3 needs several values."),
    ],
)
def test_what_cannot_be_read_is_located(json: object, told: str) -> None:
    with pytest.raises(ConditionError, match="^" + re.escape(told)):
        condition_from_json(json, Product)


def test_depth_is_limited() -> None:
    nested: object = GOOD
    for _ in range(500):
        nested = {"and": [{"not": nested}]}
    with pytest.raises(ConditionError, match="nested deeper than 100 levels"):
        condition_from_json(nested, Product)
