"""From a request to the arguments of a search: schemas, conditions, weights and ids in the connector's own terms."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from connector.connector import Connector
from connector.errors import ConditionError, DataError
from connector.schema.conditions import Condition, condition_from_json, parse_condition
from connector.schema.schema import Schema
from connector.server.records.bodies import read_json
from connector.server.records.models import LONGEST_TEXT, SearchBody
from connector.transformation import Weights

# A condition that a person or a page writes has far fewer parts.
MOST_PARTS = 5_000
MOST_CHARACTERS = 100_000


@dataclasses.dataclass(frozen=True)
class Question:
    """What `Connector.search` is asked, its picture apart; ids that came as text may still turn out to be numbers."""

    text: str | None
    like: str | int | None
    unlike: tuple[str | int, ...]
    where: Condition | None
    schema: type[Schema] | None
    limit: int
    offset: int
    weights: Weights
    min_score: float | None
    using: str


def question(shop: Connector[Any], body: SearchBody, *, has_picture: bool) -> Question:
    """The search that a request asks for.

    Raises:
        DataError: it names a schema that is not there, has a condition that does not fit, or asks for nothing.
    """
    if body.text is None and body.like is None and not body.unlike and not has_picture:
        raise DataError("There is nothing to search for. Send text, image, like or unlike.")
    if has_picture and body.like is not None:  # said before the picture is fetched for nothing
        raise DataError("image and like both stand for the picture of a query. Send one of them.")
    schema = named_schema(shop, body.schema_)
    return Question(
        body.text,
        body.like,
        tuple(body.unlike),
        condition(shop, body.where, schema),
        schema,
        body.limit,
        body.offset,
        Weights()
        if body.weights is None
        else Weights.of({str(part): weight for part, weight in body.weights.items()}),
        body.min_score,
        body.using,
    )


def named_schema(shop: Connector[Any], name: str | None) -> type[Schema] | None:
    """The schema of this name; None for all of the space.

    Raises:
        DataError: there is none.
    """
    if name is None:
        return None
    if (schema := shop.space.schema_named(name)) is not None:
        return schema
    known = ", ".join(schema.__name__ for schema in shop.space.schemas)
    raise DataError(f"There is no schema {name[:60]!r} here. Use one of {known}, or leave it out.")


def condition(
    shop: Connector[Any], where: str | Mapping[str, Any] | None, schema: type[Schema] | None
) -> Condition | None:
    """The condition of a request, in either form.

    Raises:
        ConditionError: it does not fit, is too long, or the space holds several schemas and none was named.
    """
    if where is None or where == "":
        return None
    schemas = shop.space.schemas if schema is None else (schema,)
    if len(schemas) != 1:
        raise ConditionError("where needs schema here: the space holds several. Send schema as well.")
    if isinstance(where, str):
        if len(where) > LONGEST_TEXT:
            raise ConditionError(f"The condition is longer than {LONGEST_TEXT:,} characters. Shorten it.")
        if not where.lstrip().startswith("{"):
            return parse_condition(where, schemas[0])
        where = read_json(where, "The condition")
    _check_size(where)
    return condition_from_json(where, schemas[0])


def _check_size(where: object) -> None:
    """Refuse what would take long to be told that it does not fit."""
    parts, characters, left = 0, 0, [where]
    while left:
        value = left.pop()
        parts += 1
        if isinstance(value, Mapping):
            characters += sum(map(len, value))
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, str):
            characters += len(value)
        if parts + len(left) > MOST_PARTS or characters > MOST_CHARACTERS:
            raise ConditionError(
                f"The condition has more than {MOST_PARTS:,} parts or {MOST_CHARACTERS:,} characters. Shorten it."
            )
