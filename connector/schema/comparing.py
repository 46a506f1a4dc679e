"""From a field and its operand to a condition, or to a `ConditionError` that says what to write instead."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Literal, TypeAlias

from pydantic import ValidationError

from connector.errors import ConditionError
from connector.schema.kinds import INT64
from connector.schema.nodes import Compare, Condition, Contains, In, Matches, words_of
from connector.schema.schema_field import SchemaField, compares_none, incomparable
from connector.schema.showing import show

Order: TypeAlias = Literal["<", "<=", ">", ">="]

# Qdrant compares ranges as 64-bit floats; beyond this, neighbouring whole numbers become one.
EXACT = 2**53


def equal(field: SchemaField, other: object) -> Condition:
    """`field == other`."""
    _check(field, "==", other)
    return Compare(field, "==", operand(field, other))


def in_order(field: SchemaField, op: Order, other: object) -> Condition:
    """`field < other` and its three sisters; numbers, dates and times only."""
    _check(field, op, other)
    if not field.kind.ordered:
        raise ConditionError(
            f"{field!r} holds {field.kind.spelling} and cannot be asked for {op}. "
            "Only int, float, date and datetime have an order; use ==, != or .in_([…])."
        )
    value = operand(field, other)
    if isinstance(value, int) and abs(value) >= EXACT:
        raise ConditionError(
            f"{field!r} {op} {value} is beyond ±2^53, where Qdrant's ranges cannot tell whole numbers apart. "
            "Compare with a smaller number, or use == for this one."
        )
    return Compare(field, op, value)


def one_of(field: SchemaField, values: object) -> Condition:
    """`field.in_(values)`."""
    _check(field, "in", values)
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ConditionError(
            f"{field!r} in {show(values)} needs several values. Write {field!r}.in_([{show(values)}])."
        )
    found = tuple(dict.fromkeys(operand(field, value) for value in values))
    if not found:
        raise ConditionError(
            f"{field!r} in [] would never be true. Give at least one value, or leave the condition out."
        )
    return In(field, found)


def containing(field: SchemaField, value: object) -> Condition:
    """`field.contains(value)`, for lists."""
    if field.kind.container is None:
        raise ConditionError(
            f"{field!r} holds {field.kind.spelling}, not a list, so it contains nothing. "
            "Use == for the whole value, or .matches('…') for words in a text."
        )
    return Contains(field, operand(field, value))


def matching(field: SchemaField, words: object) -> Condition:
    """`field.matches(words)`, for a Text or a Field[str]."""
    if (
        field.kind.value_type is not str
        or field.kind.container is not None
        or field.kind.choices
        or field.role == "an Id"
    ):
        raise ConditionError(
            f"{field!r} is {field.role} of {field.kind.spelling} and has no words. Use == or .in_([…])."
        )
    if not isinstance(words, str) or not words_of(words):
        raise ConditionError(
            f"{field!r} matches {show(words)} names no word. Give at least one letter or digit."
        )
    return Matches(field, _encodable(field, words))


def operand(field: SchemaField, value: object) -> object:
    """The value that `field` is compared with, as one of its own kind.

    Raises:
        ConditionError: it is None, another field, a condition, or not of the field's kind.
    """
    if value is None:
        raise compares_none(field)
    if isinstance(value, (SchemaField, Condition)):
        raise ConditionError(
            f"{field!r} is compared with {value!r}. Compare a field with a value, such as {field.kind.like}."
        )
    try:
        return field.kind.operand(value)
    except ValidationError as error:
        raise ConditionError(_unfit(field, value)) from error


def _unfit(field: SchemaField, value: object) -> str:
    wants = field.kind.wants.removeprefix("a list in which each is ")
    shown = f"the {type(value).__name__} {value}" if isinstance(value, dt.date) else show(value)
    if isinstance(value, int) and not INT64[0] <= value <= INT64[1]:
        return f"{field!r} is compared with {shown}, which does not fit into 64 bits. Use a smaller number."
    return f"{field!r} is compared with {shown}, but wants {wants}. Write it like {field.kind.like}."


def _encodable(field: SchemaField, words: str) -> str:
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise ConditionError(
            f"{field!r} matches text that UTF-8 cannot encode. Remove its lone surrogates."
        ) from error
    return words


def _check(field: SchemaField, op: str, other: object) -> None:
    if not field.comparable:
        incomparable(field, op, other)
    if field.kind.container is not None:
        raise ConditionError(
            f"{field!r} holds a list and cannot be asked for {op}. Use {field!r}.contains({field.kind.like})."
        )
