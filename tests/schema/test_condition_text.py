"""The text form is read leniently, and what cannot be read is pointed at."""

from __future__ import annotations

import pytest

from connector.errors import ConditionError
from connector.schema.condition_text import parse_condition
from connector.schema.fields import Field, Id
from connector.schema.nodes import Condition
from connector.schema.schema import Schema
from tests.schema.catalogue import Everything, Product

E = Everything


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("price < 80", E.price < 80),
        ("price<80", E.price < 80),
        ("price = 80", E.price == 80),
        ("price <> 80", E.price != 80),
        ("price >= -1.5e3", E.price >= -1500),
        ("price > +.5", E.price > 0.5),
        ("price < 5.", E.price < 5),
        ('word = "Acme"', E.word == "Acme"),
        ("word = 'it''s'", E.word == "it's"),
        (r"word = 'it\'s'", E.word == "it's"),
        ('word = "say ""hi"""', E.word == 'say "hi"'),
        (r"word = 'a\\b\n\t\x'", E.word == "a\\b\n\tx"),
        ("word IN ('a', \"b\")", E.word.in_(["a", "b"])),
        ("word Not In ('a')", E.word.not_in(["a"])),
        ("tags contains 'x'", E.tags.contains("x")),
        ("title matches 'red shoe'", E.title.matches("red shoe")),
        ("word is none", E.word.is_none()),
        ("word IS NOT NULL", ~E.word.is_none()),
        ("sold = TRUE or sold = false", (E.sold == True) | (E.sold == False)),  # noqa: E712
        ("key = 5 or key = '5'", (E.key == 5) | (E.key == "5")),
        ("not count < 3 and price < 3", ~(E.count < 3) & (E.price < 3)),
        ("not (count < 3 and price < 3)", ~((E.count < 3) & (E.price < 3))),
        ("count < 3 or count > 5 and price < 3", (E.count < 3) | ((E.count > 5) & (E.price < 3))),
        ("((count < 3 or count > 5)) and price < 3", ((E.count < 3) | (E.count > 5)) & (E.price < 3)),
        ("not not count < 3", E.count < 3),
        (" \n\t count\n<\n3 ", E.count < 3),
        ("when >= '2026-01-31' and colour = 'red'", (E.when >= "2026-01-31") & (E.colour == "red")),  # type: ignore[operator]
    ],
)
def test_what_can_be_read(text: str, condition: Condition) -> None:
    assert parse_condition(text, Everything) == condition


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("", 0, "there is nothing to read. Write a condition such as price < 80."),
        ("price", 5, "an operator is expected after price: =, !=, <, <=,"),
        ("price <", 7, "a value is expected here, such as 80, true or 'Acme'."),
        ("price << 80", 7, "a value is expected here, such as 80, true or 'Acme'."),
        (
            "prise < 80",
            0,
            "Product has no field 'prise'. Did you mean 'price'? It has sku, photo, title, brand, price.",
        ),
        ("price < '80'", 6, "Product.price is compared with '80', but wants a number. Write it like 59.90."),
        (
            "80 > price",
            0,
            "a field's name is expected here, as in price < 80. The field comes first: write price < 80, not 80 > price.",
        ),
        ("price > 0 < 80", 10, "comparisons cannot be chained. Write price > 0 and price < 80."),
        ("brand = Acme", 8, "a value is expected here. If Acme is one, put it in quotes: 'Acme'."),
        ("brand = none", 8, "nothing equals none. Write is none, or is not none."),
        (
            "brand is 'Acme'",
            9,
            "is can only be followed by none or not none. To compare with a value, write =.",
        ),
        ("brand not 'Acme'", 10, "not is followed by in here."),
        ("brand in 'Acme'", 9, "in is followed by values in parentheses, as in brand in ('Acme', 'Bolt')."),
        ("brand in ('Acme' 'Bolt')", 17, "a comma or a closing parenthesis is expected here."),
        ("brand in ()", 6, "Product.brand in [] would never be true."),
        ("(price < 80", 11, "a closing parenthesis is missing."),
        ("price < 80)", 10, "')' does not belong here. Join conditions by and, or."),
        ("price < 80 price > 2", 11, "'price' does not belong here. Join conditions by and, or."),
        ("price < 80 & price > 2", 11, "& is Python. In text, write and, or, not."),
        ("brand = 'Acme", 8, "this ' has no partner. Close the quotes; write a quote inside them twice."),
        ("price < 8x", 8, "'8' has no meaning here."),
        ("price = $3", 8, "'$' has no meaning here. Put text values in quotes, such as 'Acme'."),
        (
            "photo = 'a.jpg'",
            6,
            "Product.photo is a Blob and cannot be compared with ==. Only .is_none() can be asked of it.",
        ),
        (
            "title = 'red'",
            6,
            "Product.title is a Text and cannot be compared with ==. Use .matches('red shoe')",
        ),
        ("photo in ('a.jpg')", 6, "Product.photo is a Blob and cannot be compared with in."),
        ("sku < 3", 4, "Product.sku holds str and cannot be asked for <."),
        ("price = " + "9" * 5000, 8, "this number is too long."),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, place: int, told: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text, Product)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith(f"At position {place} of the condition: {told}")
    assert (
        caret.index("^") == shown.index(text[place : place + 40].replace("\n", " ")) if text[place:] else True
    )


@pytest.mark.parametrize("text", ["(" * 5000 + "price < 3" + ")" * 5000, "not " * 5000 + "price < 3"])
def test_depth_is_limited(text: str) -> None:
    with pytest.raises(ConditionError, match="nested deeper than 100 levels"):
        parse_condition(text, Product)


def test_a_long_condition_is_shown_around_the_mistake_only() -> None:
    text = " or ".join(["price < 3"] * 200) + " or prise < 3" + " or price < 3" * 200
    with pytest.raises(ConditionError) as caught:
        parse_condition(text, Product)
    _, shown, caret = str(caught.value).split("\n")
    assert len(shown) < 110
    assert shown[caret.index("^") :].startswith("prise")


def test_fields_may_have_names_of_soft_keywords_and_of_any_alphabet() -> None:
    class Awkward(Schema):
        contains: Id
        none: Field[int]
        matches: Field[str]
        größe: Field[int]

    text = "none is none or matches matches 'x' or größe < 3 or contains = 'none'"
    condition = parse_condition(text, Awkward)
    assert parse_condition(str(condition), Awkward) == condition
