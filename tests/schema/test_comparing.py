"""What a field may be compared with, and the words for what it may not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from connector.errors import ConditionError
from tests.schema.catalogue import Colour, Everything, Product

# Without their types, so that what checkers refuse can be tried.
E: Any = Everything
P: Any = Product


@pytest.mark.parametrize(
    ("compare", "told"),
    [
        (
            lambda: P.price < "80",
            "Product.price is compared with '80', but wants a number. Write it like 59.90.",
        ),
        (
            lambda: P.price == "59",
            "Product.price is compared with '59', but wants a number. Write it like 59.90.",
        ),
        (
            lambda: P.price < True,
            "Product.price is compared with True, but wants a number. Write it like 59.90.",
        ),
        (lambda: P.price == float("nan"), "Product.price is compared with nan, but wants a number."),
        (lambda: P.price == None, "Product.price is compared with None. Use Product.price.is_none(), or"),  # noqa: E711
        (lambda: P.photo == None, "Product.photo is compared with None. Use Product.photo.is_none(), or"),  # noqa: E711
        (
            lambda: P.price == P.brand,
            "Product.price is compared with Product.brand. Compare a field with a value, such as 59.90.",
        ),
        (
            lambda: P.price < (P.price < 3),
            "Product.price is compared with <Product where price < 3.0>. Compare a field with",
        ),
        (
            lambda: P.brand < "B",
            "Product.brand holds str and cannot be asked for <. Only int, float, date and datetime have an order",
        ),
        (lambda: E.sold > False, "Everything.sold holds bool and cannot be asked for >."),
        (lambda: E.colour > "red", "Everything.colour holds Colour and cannot be asked for >."),
        (lambda: E.level < 2, "Everything.level holds Literal[1, 2, 3] and cannot be asked for <."),
        (
            lambda: E.colour == "pink",
            "Everything.colour is compared with 'pink', but wants one of 'red', 'blue'.",
        ),
        (lambda: E.level == 4, "Everything.level is compared with 4, but wants one of 1, 2, 3."),
        (
            lambda: E.sold == 1,
            "Everything.sold is compared with 1, but wants true or false. Write it like true.",
        ),
        (lambda: E.count == 2**70, "which does not fit into 64 bits. Use a smaller number."),
        (lambda: E.count == 10**5000, "bits>, which does not fit into 64 bits. Use a smaller number."),
        (
            lambda: E.count < 2**53 + 1,
            "Everything.count < 9007199254740993 is beyond ±2^53, where Qdrant's ranges cannot",
        ),
        (
            lambda: E.when < 3,
            "Everything.when is compared with 3, but wants a date and time. Write it like 2026-01-31T12:00:00Z.",
        ),
        (
            lambda: E.day < dt.datetime(2026, 1, 1, 5),
            "Everything.day is compared with the datetime 2026-01-01 05:00:00, but wants a date.",
        ),
        (
            lambda: E.tags == ["a"],
            "Everything.tags holds a list and cannot be asked for ==. Use Everything.tags.contains('Acme').",
        ),
        (
            lambda: E.sizes < 3,
            "Everything.sizes holds a list and cannot be asked for <. Use Everything.sizes.contains(59).",
        ),
        (lambda: E.tags.in_(["a"]), "Everything.tags holds a list and cannot be asked for in."),
        (lambda: E.sizes.contains("a"), "Everything.sizes is compared with 'a', but wants a whole number."),
        (
            lambda: P.brand.contains("A"),
            "Product.brand holds str, not a list, so it contains nothing. Use == for the whole value",
        ),
        (
            lambda: P.brand.in_([]),
            "Product.brand in [] would never be true. Give at least one value, or leave the condition out.",
        ),
        (
            lambda: P.brand.in_("Acme"),
            "Product.brand in 'Acme' needs several values. Write Product.brand.in_(['Acme']).",
        ),
        (lambda: P.price.in_(5), "Product.price in 5 needs several values. Write Product.price.in_([5])."),
        (
            lambda: P.title.matches("-- _"),
            "Product.title matches '-- _' names no word. Give at least one letter or digit.",
        ),
        (lambda: P.title.matches(3), "Product.title matches 3 names no word."),
        (lambda: P.title.matches("a\ud800"), "Product.title matches text that UTF-8 cannot encode."),
        (lambda: P.brand == "a\ud800", "Product.brand is compared with 'a\\ud800', but wants text."),
        (
            lambda: P.price.matches("a"),
            "Product.price is a Field of float and has no words. Use == or .in_([…]).",
        ),
        (lambda: E.season.matches("a"), "has no words."),
        (
            lambda: P.sku == 1.0,
            "Product.sku is compared with 1.0, but wants text or a whole number. Write it like 'a1'.",
        ),
        (lambda: P.sku == True, "Product.sku is compared with True, but wants text or a whole number."),  # noqa: E712
    ],
)
def test_unfit_comparisons_raise_with_the_cure(compare: Callable[[], object], told: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compare()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        (lambda: P.price < 80, 80.0),
        (lambda: P.price < np.float32(0.5), 0.5),
        (lambda: E.count < np.int64(5), 5),
        (lambda: E.count == 2**63 - 1, 2**63 - 1),
        (lambda: E.when < "2026-01-31T12:00:00+02:00", dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC)),
        (lambda: E.when < dt.datetime(2026, 1, 31), dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        (lambda: E.day == "2026-01-31", dt.date(2026, 1, 31)),
        (lambda: E.serial == str(UUID(int=5)), UUID(int=5)),
        (lambda: E.colour == Colour.RED, Colour.RED),
        (lambda: E.colour == "red", Colour.RED),
        (lambda: E.colour == "RED", Colour.RED),
        (lambda: E.tags.contains("a"), "a"),
    ],
)
def test_operands_become_values_of_the_fields_type(condition: Callable[[], Any], value: object) -> None:
    found = condition().value
    assert found == value
    assert type(found) is type(value)


def test_one_of_takes_any_iterable_and_drops_repetitions() -> None:
    built: Any = Product.brand.in_(name for name in ("a", "b", "a"))
    assert built.values == ("a", "b")
