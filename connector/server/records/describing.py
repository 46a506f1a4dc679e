"""What a collection's schemas are and which values their records have, as a page needs to know it for its filters."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from connector.connector import Connector
from connector.schema.conditions import Condition
from connector.schema.fields import Blob, Field, Id, SchemaField, Text
from connector.schema.schema import Schema, definition_of

MOST_VALUES = 20


def catalogue(shop: Connector[Any]) -> dict[str, Any]:
    """The collection's name, whether words can be searched for, and every schema with its fields."""
    return {
        "collection": shop.collection,
        "text": shop.space.model_handler.reads_text,
        "schemas": [
            {
                "name": entry.schema.__name__,
                "id": definition_of(entry.schema).id.name,
                "blob": entry.blob.name,
                "description": None if entry.description is None else entry.description.name,
                "fields": [_field(field) for field in definition_of(entry.schema).all.values()],
            }
            for entry in shop.space.entries
        ],
    }


def facets(shop: Connector[Any], where: Condition | None, schema: type[Schema] | None) -> dict[str, Any]:
    """The most frequent values of each choice and flag, and how far each ordered field reaches."""
    asked = schema if schema is not None or where is None else where.schema
    fields = _fields(shop.space.schemas if asked is None else (asked,))
    counted: dict[str, list[dict[str, object]]] = {}
    ranges: dict[str, dict[str, object]] = {}
    for name, field in fields.items():
        kind = filter_of(field)
        if kind in ("choice", "flag"):
            found = shop.facet(name, where, asked, limit=MOST_VALUES)
            counted[name] = [{"value": value, "count": count} for value, count in found]
        elif kind == "range" and (extent := shop.extent(name, where, asked)) is not None:
            ranges[name] = {"min": extent[0], "max": extent[1]}
    return {"facets": counted, "ranges": ranges}


def filter_of(field: SchemaField) -> str | None:
    """What fits to filter by a field: a "choice" among values, a "range", a "flag", "words" in it, or nothing."""
    if isinstance(field, Text):
        return "words"
    if not isinstance(field, Field):
        return None
    kind = field.kind
    if kind.stored_type is bool:
        return None if field.is_list else "flag"
    if kind.ordered:
        return "range"
    return "choice" if kind.stored_type in (str, int) else None


def kind_of(field: SchemaField) -> str:
    """What a field's values are, in one word; `list[…]` of many."""
    for kind, word in ((Id, "id"), (Blob, "blob"), (Text, "text")):
        if isinstance(field, kind):
            return word
    word = "uuid" if field.kind.stored_type is uuid.UUID else field.kind.stored_type.__name__
    return word if field.kind.container is None else f"list[{word}]"


def _field(field: SchemaField) -> dict[str, Any]:
    return {
        "name": field.name,
        "kind": kind_of(field),
        "optional": field.optional,
        "filter": filter_of(field),
    }


def _fields(schemas: Iterable[type[Schema]]) -> dict[str, SchemaField]:
    """Every field by its name; one that several schemas have means the same in each."""
    return {name: field for schema in schemas for name, field in definition_of(schema).fields.items()}
