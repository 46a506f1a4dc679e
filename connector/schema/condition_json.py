"""The JSON form of a condition, as HTTP carries it.

{"field": "price", "op": "<", "value": 80}        ops: == != < <= > >= in, not in, contains, matches, is none
{"and": [ … ]}   {"or": [ … ]}   {"not": { … }}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connector.errors import ConditionError
from connector.schema import comparing
from connector.schema.definition import definition_of
from connector.schema.nodes import And, Condition, IsNone, Or
from connector.schema.showing import did_you_mean, show

if TYPE_CHECKING:
    from connector.schema.definition import Definition
    from connector.schema.schema import Schema
    from connector.schema.schema_field import SchemaField

# As deep as the text form goes.
DEEPEST = 100

_ORDERS: dict[str, comparing.Order] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}

OPS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "matches", "is none")


def condition_from_json(condition: object, schema: type[Schema]) -> Condition:
    """Read a condition's JSON form, already parsed into dicts and lists.

    Raises:
        ConditionError: it is no such form, names a field the schema lacks, or has an unfit value;
            the message says where, as in `and[1].not`.
    """
    return _read(condition, definition_of(schema), "")


def _read(found: object, schema: Definition, place: str) -> Condition:
    if place.count("[") + place.count("not") > DEEPEST:
        raise ConditionError(f"The condition is nested deeper than {DEEPEST} levels. Write it flatter.")
    if not isinstance(found, Mapping):
        raise _wrong(
            place, f'{show(found)} is no condition. Write {{"field": "price", "op": "<", "value": 80}}.'
        )
    keys = set(found)
    if keys == {"and"}:
        return And.of(_parts(found["and"], schema, f"{place}.and"))
    if keys == {"or"}:
        return Or.of(_parts(found["or"], schema, f"{place}.or"))
    if keys == {"not"}:
        return ~_read(found["not"], schema, f"{place}.not")
    if keys - {"field", "op", "value"} or not {"field", "op"} <= keys:
        raise _wrong(
            place, f"the keys are {_listed(keys)}. Use field, op and value, or one of and, or, not alone."
        )
    try:
        return _test(_field(found["field"], schema), found["op"], found)
    except ConditionError as error:
        raise _wrong(place, str(error)) from error


def _parts(found: object, schema: Definition, place: str) -> list[Condition]:
    if not isinstance(found, list) or not found:
        raise _wrong(place, f"{show(found)} is no list of conditions. Give at least one.")
    return [_read(part, schema, f"{place}[{number}]") for number, part in enumerate(found)]


def _field(name: object, schema: Definition) -> SchemaField:
    if isinstance(name, str) and name in schema.all:
        return schema.all[name]
    guess, names = did_you_mean(name, schema.all), ", ".join(schema.all)
    raise ConditionError(f"{schema.name} has no field {show(name)}.{guess} It has {names}.")


def _test(field: SchemaField, op: object, found: Mapping[str, object]) -> Condition:
    if op not in OPS:
        raise ConditionError(
            f"{show(op)} is no operator.{did_you_mean(op, OPS)} Use one of {', '.join(OPS)}."
        )
    if op == "is none":
        if "value" in found:
            raise ConditionError("'is none' takes no value. Remove it.")
        return IsNone(field)
    if "value" not in found:
        raise ConditionError(f"{show(op)} needs a value. Add one.")
    return _compared(field, op, found["value"])


def _compared(field: SchemaField, op: object, value: object) -> Condition:
    match op:
        case "==":
            return comparing.equal(field, value)
        case "!=":
            return ~comparing.equal(field, value)
        case "in":
            return comparing.one_of(field, value)
        case "not in":
            return ~comparing.one_of(field, value)
        case "contains":
            return comparing.containing(field, value)
        case "matches":
            return comparing.matching(field, value)
        case _:
            return comparing.in_order(field, _ORDERS[str(op)], value)


def _wrong(place: str, told: str) -> ConditionError:
    return ConditionError(f"At {place.lstrip('.')}: {told}" if place else told)


def _listed(keys: set[object]) -> str:
    return ", ".join(sorted(map(str, keys))) or "none"
