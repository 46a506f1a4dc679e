"""From one annotation to the class of the field and the kind of its values, or to what to write instead."""

from __future__ import annotations

import enum
import re
import types
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, NoReturn, Union, get_args, get_origin

from connector.errors import SchemaError
from connector.schema.fields import Blob, Field, Id, SchemaField, Text
from connector.schema.kinds import (
    BLOB,
    IDS,
    SCALARS,
    SUPPORTED,
    TEXT,
    Annotation,
    Kind,
    choice_of,
    enum_of,
    many,
)

FIELD_TYPES: dict[str, type[SchemaField]] = {"Id": Id, "Blob": Blob, "Text": Text, "Field": Field}

ADVICE = (
    "Write Field[…] for a value to store and filter by, Text for words that describe the record, "
    "or Blob for where its picture is."
)


@dataclass(frozen=True)
class Place:
    """Where in a class body something is wrong, for the start of the message."""

    schema: str
    name: str

    def wrong(self, what: str) -> NoReturn:
        """Raise the error about this place."""
        raise SchemaError(f"{self.schema}.{self.name}: {what}")


def kind_in(place: Place, field_type: type[SchemaField], value: Annotation) -> Kind:
    if field_type is Field:
        if value is None:
            place.wrong(
                f"Field needs the type of its value. Write Field[str], for example; it can be {SUPPORTED}."
            )
        return _value_kind(place, value)
    if field_type is Blob:
        return BLOB
    if field_type is Text:
        if value not in (None, str):
            place.wrong(
                "a Text holds words. Write Text or Text[str | None], or Field[…] for another type of value."
            )
        return TEXT
    if value is not None and origin_of(value) in (Union, types.UnionType):
        value = None if set(get_args(value)) == {str, int} else value
    if value not in IDS:
        place.wrong(
            f"{_spelled(value)} cannot name a record. Write Id (str or int), Id[str], Id[int] or Id[UUID]."
        )
    return IDS[value]


def _value_kind(place: Place, value: Annotation) -> Kind:
    origin = origin_of(value)
    for container in (list, tuple):
        if container in (origin, value):
            return _list_kind(place, container, value)
    kind: Kind | None = None
    if origin is Literal:
        kind = choice_of(get_args(value))
    elif isinstance(value, type) and issubclass(value, enum.Enum):
        kind = enum_of(value)
    elif isinstance(value, type):
        kind = SCALARS.get(value)
    if kind is None:
        place.wrong(
            f"Field[{_spelled(value)}] cannot be stored. A Field holds {SUPPORTED}{_all_of_one(value)}."
        )
    return kind


def _list_kind(place: Place, container: type, value: Annotation) -> Kind:
    items = [item for item in get_args(value) if item is not Ellipsis]
    if len(items) != 1:
        place.wrong(
            f"Field[{_spelled(value)}] does not say what its items are. Write Field[list[str]], for example."
        )
    item, optional = without_none(items[0])
    if optional:
        place.wrong(
            "a list cannot have None in it. Write Field[list[str] | None] if the whole list may be missing."
        )
    kind = _value_kind(place, item)
    if kind.container is not None:
        place.wrong("a Field holds a list of single values, not a list of lists. Flatten it.")
    return many(kind, container)


def origin_of(annotation: object) -> object:
    # `get_origin` has overloads that would take an Any for a ParamSpec.
    return get_origin(annotation)


def field_type_of(annotation: object) -> type[SchemaField] | None:
    """`Field` for `Field[int]`, and None for what is no field at all."""
    found = origin_of(annotation) or annotation
    return next((field_type for field_type in FIELD_TYPES.values() if field_type is found), None)


def without_none(annotation: Annotation) -> tuple[Annotation, bool]:
    """`X | None` as (X, True)."""
    if origin_of(annotation) not in (Union, types.UnionType):
        return annotation, False
    rest = [part for part in get_args(annotation) if part is not type(None)]
    optional = len(rest) < len(get_args(annotation))
    return Union[tuple(rest)], optional  # noqa: UP007  # the members are known only at run time


def refuse_annotation(place: Place, annotation: Annotation) -> NoReturn:
    name = _spelled(annotation)
    if isinstance(annotation, type):
        if issubclass(annotation, (bytes, PurePath)) or annotation.__module__.startswith("PIL."):
            place.wrong(f"{name} is no field. Write Blob; it takes paths, URLs, bytes and PIL pictures.")
        if annotation is str:
            place.wrong(f"str is no field. {ADVICE.replace('[…]', '[str]')}")
    if annotation in SCALARS or origin_of(annotation) in (list, tuple, Literal):
        place.wrong(f"{name} is no field. Write Field[{name}].")
    place.wrong(f"{name} is no field. {ADVICE}")


def _all_of_one(value: Annotation) -> str:
    choice = origin_of(value) is Literal or (isinstance(value, type) and issubclass(value, enum.Enum))
    return "; here the values must be all str or all int" if choice else ""


def _spelled(annotation: Annotation) -> str:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return re.sub(r"\b(?:typing|connector\.schema\.fields)\.", "", str(annotation))
