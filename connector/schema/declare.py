"""From a class body to its fields, or to a `SchemaError` that says what to write instead."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, get_args

from pydantic import TypeAdapter, ValidationError

from connector.errors import SchemaError
from connector.schema.annotations import (
    ADVICE,
    FIELD_TYPES,
    Place,
    field_type_of,
    kind_in,
    origin_of,
    refuse_annotation,
    without_none,
)
from connector.schema.declaration import Declaration, Default, constant
from connector.schema.fields import Id, SchemaField, Text
from connector.schema.kinds import Annotation
from connector.schema.showing import did_you_mean, show

if TYPE_CHECKING:
    from connector.schema.schema import Schema

# Words of the conditions' text form. In lower case they are Python's too, but `Or: Field[int]` is legal.
RESERVED = {"and", "or", "not", "in", "is"}


def read_fields(schema: type[Schema], names: Mapping[str, object]) -> dict[str, SchemaField]:
    """Every field of a schema class being made: those of its bases, then its own.

    Args:
        schema: the class.
        names: what annotations may name: the globals and locals of the class statement.

    Raises:
        SchemaError: the class cannot work.
    """
    annotations = _annotations(schema)
    fields = _inherited(schema)
    _refuse_strays(schema, annotations, fields)
    for name, annotation in annotations.items():
        place = Place(schema.__name__, name)
        resolved = _resolve(place, annotation, names)
        if ClassVar in (origin_of(resolved), resolved):
            continue
        _check_name(place, schema, fields)
        field_type, declaration = _declared(place, resolved, _default(place, schema))
        fields[name] = field_type(name, schema, declaration)
    _check_one_id(schema, fields)
    return fields


def _annotations(schema: type[Schema]) -> dict[str, object]:
    try:
        return dict(inspect.get_annotations(schema))
    except NameError as error:  # Python 3.14 evaluates annotations only now
        raise SchemaError(f"{schema.__name__}: {_unknown_name(error.name or '')}") from error


def _inherited(schema: type[Schema]) -> dict[str, SchemaField]:
    found: dict[str, SchemaField] = {}
    for base in reversed(schema.__mro__[1:]):
        definition = vars(base).get("__definition__")
        if definition is not None:
            for name, field in definition.all.items():
                found[name] = type(field)(name, schema, field.declaration)
    return found


def _refuse_strays(
    schema: type[Schema], annotations: Mapping[str, object], inherited: Mapping[str, SchemaField]
) -> None:
    for name, value in vars(schema).items():
        place = Place(schema.__name__, name)
        if name in annotations:
            continue
        if name in inherited:
            place.wrong(
                f"the name belongs to an inherited field, but here it is {_article(value)}. "
                f"Rename one of the two, or declare the field again with its type."
            )
        written = origin_of(value) or value
        if written in FIELD_TYPES.values() or isinstance(value, Default):
            kind = written.__name__ if isinstance(written, type) else "Field[…]"
            place.wrong(f"a field is declared with a colon. Write {name}: {kind}, with any default after it.")


def _resolve(place: Place, annotation: object, names: Mapping[str, object]) -> Annotation:
    # A class of its own, so that no field sees another one's name in place of the type it means.
    holder = type(place.schema, (), {"__annotations__": {place.name: annotation}})
    try:
        hints = typing.get_type_hints(holder, globalns=dict(names), localns={}, include_extras=True)
    except NameError as error:
        place.wrong(_unknown_name(error.name or str(annotation)))
    except (TypeError, SyntaxError, AttributeError) as error:
        raise SchemaError(
            f"{place.schema}.{place.name}: {annotation} cannot be read ({error}). {ADVICE}"
        ) from error
    return hints[place.name]


def _unknown_name(name: str) -> str:
    return (
        f"{name!r} is not known where the class is made.{did_you_mean(name, [*FIELD_TYPES, *_TYPE_NAMES])} "
        "A schema's types must be imported at run time, not only under TYPE_CHECKING."
    )


_TYPE_NAMES = ["str", "int", "float", "bool", "datetime", "date", "UUID", "Literal", "list", "tuple"]


def _check_name(place: Place, schema: type[Schema], fields: Mapping[str, SchemaField]) -> None:
    if place.name.startswith("_"):
        place.wrong("names with a leading underscore are kept for the store's own use. Drop the underscore.")
    if place.name.lower() in RESERVED:
        place.wrong("the name is a word of the condition language. Choose another.")
    for base in schema.__mro__[1:]:
        if place.name in vars(base) and place.name not in fields:
            place.wrong(
                f"the name belongs to {_article(vars(base)[place.name])} of {base.__name__}. Choose another."
            )


def _declared(
    place: Place, annotation: Annotation, default: Default | None
) -> tuple[type[SchemaField], Declaration]:
    bare, outer_none = without_none(annotation)
    field_type = field_type_of(bare)
    if field_type is None:
        refuse_annotation(place, bare)
    value, inner_none = without_none(get_args(bare)[0]) if get_args(bare) else (None, False)
    optional = outer_none or inner_none
    if field_type is Id and optional:
        place.wrong("an Id cannot be optional, for it names the record. Write Id.")
    kind = kind_in(place, field_type, value)
    if default is not None:
        default = _fitting(place, field_type, Declaration(kind, optional, default), default)
    return field_type, Declaration(kind, optional, default)


def _default(place: Place, schema: type[Schema]) -> Default | None:
    if place.name not in vars(schema):
        return None
    value = vars(schema)[place.name]
    if isinstance(value, Default):
        return value
    if callable(value) or isinstance(value, (property, classmethod, staticmethod, SchemaField)):
        place.wrong(f"it is declared as a field, but then it is {_article(value)}. Rename one of the two.")
    return constant(value)


def _fitting(
    place: Place, field_type: type[SchemaField], declaration: Declaration, default: Default
) -> Default:
    """The default, validated as a row's value would be: now, and whenever it is made again."""
    if field_type is Id:
        place.wrong("an Id cannot have a default, for two records would get one name. Remove the default.")
    if default.make() is None and not declaration.optional:
        kind = "Text[str | None]" if field_type is Text else f"{field_type.__name__}[… | None]"
        place.wrong(f"its default is None, but it is not optional. Write {kind} = field(default=None).")
    adapter: TypeAdapter[object] = TypeAdapter(declaration.annotation)

    def made() -> object:
        value = default.make()
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            told = f"its default {show(value)} does not fit: it must be {declaration.kind.wants}."
            raise SchemaError(
                f"{place.schema}.{place.name}: {told} Correct the default or the type."
            ) from error

    first = made()
    return constant(first) if default.constant else Default(made)


def _check_one_id(schema: type[Schema], fields: Mapping[str, SchemaField]) -> None:
    ids = [name for name, field in fields.items() if isinstance(field, Id)]
    if not ids:
        raise SchemaError(
            f"{schema.__name__} has no Id, so its records have no name. Add one line, such as: sku: Id."
        )
    if len(ids) > 1:
        named = " and ".join(ids)
        raise SchemaError(
            f"{schema.__name__} has {len(ids)} Ids: {named}. "
            "Keep one; make the others Field[str], which can be filtered by too."
        )


def _article(value: object) -> str:
    if isinstance(value, property):
        return "a property"
    if callable(value) or isinstance(value, (classmethod, staticmethod)):
        return "a method" if not isinstance(value, type) else "a class"
    return f"the value {show(value)}"
