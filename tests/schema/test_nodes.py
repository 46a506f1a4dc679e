"""Conditions join, print, compare and meet records as two-valued logic wants it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from connector.errors import ConditionError
from connector.schema.fields import Field
from connector.schema.nodes import And, Compare, IsNone, Not, Or, words_of
from connector.schema.schema import parse
from tests.schema.catalogue import BARE, PRODUCT, Everything, Product


class Shoe(Product):
    size: Field[int]


LOW, HIGH, ACME = Product.price < 80, Product.price > 20, Product.brand == "Acme"

# Without its type, for checkers know that its truth cannot be asked for.
PLAIN: Any = LOW


def test_joining_is_flat_whatever_the_parentheses() -> None:
    assert (LOW & HIGH) & ACME == LOW & (HIGH & ACME) == And((LOW, HIGH, ACME))
    assert (LOW | HIGH) | ACME == LOW | (HIGH | ACME) == Or((LOW, HIGH, ACME))


def test_not_twice_is_nothing() -> None:
    assert ~~LOW == LOW
    assert Not(LOW) == ~LOW


def test_not_equal_is_not_of_equal() -> None:
    assert (Product.brand != "Acme") == ~(Product.brand == "Acme") == Not(ACME)
    assert Product.brand.not_in(["a"]) == ~Product.brand.in_(["a"])


@pytest.mark.parametrize(
    ("condition", "printed"),
    [
        (LOW, "price < 80.0"),
        (LOW & (HIGH | ACME), "price < 80.0 and (price > 20.0 or brand == 'Acme')"),
        (LOW & HIGH | ACME, "price < 80.0 and price > 20.0 or brand == 'Acme'"),
        (~(LOW & HIGH), "not (price < 80.0 and price > 20.0)"),
        (~ACME, "brand != 'Acme'"),
        (Product.brand.in_(["it's", "a\nb"]), r"brand in ('it''s', 'a\nb')"),
        (Product.brand.not_in(["a"]), "brand not in ('a')"),
        (~Everything.note.is_none(), "note is not none"),
        (Product.sku == 5, "sku == 5"),
        (Product.sku == "5", "sku == '5'"),
        (Everything.sold != True, "sold != true"),  # noqa: E712
        (Everything.when >= "2026-01-31", "when >= '2026-01-31T00:00:00Z'"),  # type: ignore[operator]
        (Product.title.matches("red shoe"), "title matches 'red shoe'"),
        (
            Everything.tags.contains("x") | ~Everything.tags.contains("y"),
            "tags contains 'x' or not (tags contains 'y')",
        ),
    ],
)
def test_printing_is_canonical(condition: object, printed: str) -> None:
    assert str(condition) == printed


def test_repr_says_which_schema() -> None:
    assert repr(LOW) == "<Product where price < 80.0>"


def test_a_missing_value_is_false_and_its_inversion_true() -> None:
    record = parse(Everything, BARE)
    for condition in (
        Everything.count < 3,
        Everything.count == 3,
        Everything.word.in_(["a"]),
        Everything.sizes.contains(4),
    ):
        assert not condition.matches(record)
        assert (~condition).matches(record)
    assert (Everything.count != 3).matches(record)


def test_ids_are_compared_with_their_type() -> None:
    record = parse(Product, PRODUCT | {"sku": 1})
    assert (Product.sku == 1).matches(record)
    assert not (Product.sku == "1").matches(record)
    assert not Product.sku.in_(["1", "2"]).matches(record)
    assert (Product.sku == 1) != (Product.sku == "1")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("red", True),
        ("RED canvas", True),
        ("shoe red", True),
        ("redd", False),
        ("re", False),
        ("red boot", False),
        ("shoe.", True),
    ],
)
def test_matching_needs_all_words_whole_in_any_order_and_case(words: str, found: bool) -> None:
    record = parse(Product, PRODUCT | {"title": "Red, canvas-shoe!"})
    assert Product.title.matches(words).matches(record) is found


def test_words_are_runs_of_letters_and_digits() -> None:
    assert words_of("Größe_43: naïve—ÉTÉ 👟 x2") == ["größe", "43", "naïve", "été", "x2"]


@pytest.mark.parametrize(
    "use",
    [
        lambda: bool(PLAIN),
        lambda: 0 < Product.price < 80,
        lambda: PLAIN and PLAIN,
        lambda: PLAIN or PLAIN,
        lambda: not PLAIN,
        lambda: 3 if PLAIN else 4,
    ],
)
def test_truth_of_a_condition_is_refused_with_the_cure(use: Callable[[], object]) -> None:
    with pytest.raises(
        ConditionError,
        match=r"neither true nor false.*Write & for and, | for or, ~ for not, with parentheses",
    ):
        use()


def test_two_schemas_in_one_condition_are_refused() -> None:
    for other in (Everything.price < 3, Shoe.price < 3):
        with pytest.raises(ConditionError, match=r"speaks of two schemas, Product and (Everything|Shoe)"):
            LOW & other


def test_a_subclass_speaks_of_itself() -> None:
    assert ((Shoe.price < 80) & (Shoe.size == 43)).schema is Shoe


def test_joining_with_something_else_is_refused() -> None:
    plain: Any = True
    with pytest.raises(
        ConditionError, match=r"The right side of & is True, not a condition\. Put parentheses"
    ):
        LOW & plain


def test_leaves_show_field_operator_and_value() -> None:
    assert isinstance(LOW, Compare)
    assert (LOW.field, LOW.op, LOW.value) == (Product.price, "<", 80.0)
    assert IsNone(Product.price).field is Product.price


def test_conditions_can_be_pickled_and_copied() -> None:
    condition = LOW & ~ACME
    assert pickle.loads(pickle.dumps(condition)) == condition
    assert copy.deepcopy(condition) == condition
