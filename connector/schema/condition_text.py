"""The text form of a condition: `price < 80 and brand in ('Acme', 'Bolt') or not (title matches 'red shoe')`.

    condition  = joined by "or"  of  joined by "and"  of  ["not"] test
    test       = "(" condition ")"  |  field op
    op         = ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
               | ["not"] "in" "(" value {"," value} ")"
               | "contains" value | "matches" value | "is" ["not"] "none"
    value      = number | 'text' | "text" | true | false

Keywords in upper or lower case. Read by recursive descent; nothing is evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.errors import ConditionError
from connector.schema import comparing
from connector.schema.definition import definition_of
from connector.schema.nodes import And, Condition, IsNone, Or
from connector.schema.showing import did_you_mean, show
from connector.schema.tokens import Token, tokens_of, unreadable

if TYPE_CHECKING:
    from connector.schema.schema import Schema
    from connector.schema.schema_field import SchemaField

# Deeper than any person writes, and far from Python's own limit.
DEEPEST = 100

_ORDERS = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPERATORS = "=, !=, <, <=, >, >=, in, not in, contains, matches, is none or is not none"


def parse_condition(text: str, schema: type[Schema]) -> Condition:
    """Read a condition's text form.

    Raises:
        ConditionError: it cannot be read, names a field the schema lacks, or has an unfit value;
            the message points at the place.
    """
    return _Reader(text, schema).whole()


class _Reader:
    """Walks the tokens once, left to right."""

    def __init__(self, text: str, schema: type[Schema]) -> None:
        self._text = text
        self._schema = definition_of(schema)
        self._tokens = tokens_of(text)
        self._place = 0
        self._depth = 0

    def whole(self) -> Condition:
        if self._at_end():
            raise self._wrong(self._next, "there is nothing to read. Write a condition such as price < 80.")
        condition = self._any()
        if not self._at_end():
            raise self._wrong(
                self._next, f"{self._next.raw!r} does not belong here. Join conditions by and, or."
            )
        return condition

    def _at_end(self) -> bool:
        return self._next.kind == "end"

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._took("or"):
            parts.append(self._all())
        return Or.of(parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._took("and"):
            parts.append(self._one())
        return And.of(parts)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(
                self._next, f"the condition is nested deeper than {DEEPEST} levels. Write it flatter."
            )
        condition = self._negated() if self._took("not") else self._test()
        self._depth -= 1
        return condition

    def _negated(self) -> Condition:
        return ~self._one()

    def _test(self) -> Condition:
        if self._took("("):
            condition = self._any()
            self._expect(")", "a closing parenthesis is missing.")
            return condition
        field = self._field()
        token = self._take()
        try:
            condition = self._compared(field, token)
        except ConditionError as error:
            # What is wrong is said by the field; where it is, only this reader knows.
            raise error if "\n" in str(error) else self._wrong(token, str(error)) from error
        self._refuse_chain(token)
        return condition

    def _field(self) -> SchemaField:
        token = self._take()
        if token.kind != "name":
            raise self._wrong(
                token, f"a field's name is expected here, as in price < 80.{self._turned_round(token)}"
            )
        field = self._schema.all.get(token.raw)
        if field is None:
            guess = did_you_mean(token.raw, self._schema.all)
            names = ", ".join(self._schema.all)
            raise self._wrong(
                token, f"{self._schema.name} has no field {show(token.raw)}.{guess} It has {names}."
            )
        return field

    def _compared(self, field: SchemaField, token: Token) -> Condition:
        match token.keyword:
            case "=" | "==":
                return comparing.equal(field, self._value())
            case "!=" | "<>":
                return ~comparing.equal(field, self._value())
            case "<" | "<=" | ">" | ">=" as op:
                return comparing.in_order(field, op, self._value())
            case "in":
                return comparing.one_of(field, self._values())
            case "not":
                self._expect(
                    "in",
                    "not is followed by in here. To negate a comparison, write not in front of the field.",
                )
                return ~comparing.one_of(field, self._values())
            case "contains":
                return comparing.containing(field, self._value())
            case "matches":
                return comparing.matching(field, self._value())
            case "is":
                return self._is(field)
            case _:
                raise self._wrong(token, f"an operator is expected after {field.name}: {_OPERATORS}.")

    def _is(self, field: SchemaField) -> Condition:
        negated = self._took("not")
        if not (self._took("none") or self._took("null")):
            raise self._wrong(
                self._next, "is can only be followed by none or not none. To compare with a value, write =."
            )
        return ~IsNone(field) if negated else IsNone(field)

    def _value(self) -> object:
        token = self._take()
        try:
            return token.value()
        except KeyError as error:
            raise self._wrong(token, self._no_value(token)) from error
        except ValueError as error:
            raise self._wrong(
                token, "this number is too long. Whole numbers have up to 19 digits."
            ) from error

    def _values(self) -> list[object]:
        self._expect("(", "in is followed by values in parentheses, as in brand in ('Acme', 'Bolt').")
        values: list[object] = []
        while not self._took(")"):
            if values:
                self._expect(",", "a comma or a closing parenthesis is expected here.")
            values.append(self._value())
        return values

    def _no_value(self, token: Token) -> str:
        if token.keyword in ("none", "null"):
            return "nothing equals none. Write is none, or is not none."
        if token.kind == "name" and token.keyword not in ("and", "or", "not"):
            return f"a value is expected here. If {token.raw} is one, put it in quotes: '{token.raw}'."
        return "a value is expected here, such as 80, true or 'Acme'."

    def _turned_round(self, token: Token) -> str:
        return (
            " The field comes first: write price < 80, not 80 > price."
            if token.kind in ("number", "text")
            else ""
        )

    def _refuse_chain(self, token: Token) -> None:
        if self._next.keyword in ("=", "==", "!=", "<>", *_ORDERS):
            raise self._wrong(self._next, "comparisons cannot be chained. Write price > 0 and price < 80.")

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += token.kind != "end"
        return token

    def _took(self, keyword: str) -> bool:
        if self._next.keyword != keyword:
            return False
        self._place += 1
        return True

    def _expect(self, keyword: str, told: str) -> None:
        if not self._took(keyword):
            raise self._wrong(self._next, told)

    def _wrong(self, token: Token, told: str) -> ConditionError:
        return unreadable(self._text, token.start, told)
