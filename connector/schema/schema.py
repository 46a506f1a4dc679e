"""`Schema`: annotations to immutable, validated, typed records; and the functions that rows go through.

They are functions and not methods, so that a schema may have fields called `parse`, `fields` or `json`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, Self, TypeVar

from pydantic import ValidationError
from typing_extensions import dataclass_transform

from connector.errors import RecordError, SchemaError
from connector.schema.declare import read_fields
from connector.schema.definition import Definition, definition_of
from connector.schema.fields import Blob, SchemaField, Text, field
from connector.schema.payload import read_payload, written_payload
from connector.schema.refusals import not_a_row, refusal, subject
from connector.schema.showing import did_you_mean, show

__all__ = [
    "Definition",
    "Schema",
    "definition_of",
    "from_payload",
    "parse",
    "to_payload",
    "to_row",
    "unknown_columns",
]

R = TypeVar("R", bound="Schema")


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
class Schema:
    """The base of all schemas: a class with annotations is a schema, its instances are records.

        class Product(Schema):
            sku: Id
            photo: Blob
            title: Text
            brand: Field[str]
            stock: Field[int] = field(default=0)

    Records are made by keyword, `Product(sku="a1", …)`, or from rows by `parse`. They do not change, they are
    equal when their values are, and `Product.brand` is the field where `record.brand` is the value.

    With `class Product(Schema, unknown="refuse")` a row with an unknown column is rejected; by default
    the column is ignored.

    Raises:
        SchemaError: when the class is made, if it cannot work.
        RecordError: when a record is made, if a value does not fit.
    """

    __definition__: ClassVar[Definition]

    def __init_subclass__(cls, *, unknown: Literal["ignore", "refuse"] | None = None) -> None:
        super().__init_subclass__()
        # One frame up is the class statement, whose names its annotations may use, in a function too.
        statement = sys._getframe(1)
        fields = read_fields(cls, {**statement.f_globals, **statement.f_locals})
        inherited = getattr(cls, "__definition__", None)
        refuses = (
            unknown == "refuse" if unknown is not None else bool(inherited and inherited.refuses_unknown)
        )
        if unknown not in (None, "ignore", "refuse"):
            raise SchemaError(
                f"{cls.__name__}: unknown={unknown!r} is unknown itself. Use 'ignore' or 'refuse'."
            )
        for name, part in fields.items():
            setattr(cls, name, part)
        cls.__definition__ = Definition(cls.__name__, cls, fields, refuses)

    if not TYPE_CHECKING:
        # Type checkers take the constructor from the annotations.

        def __init__(self, **values):
            definition = definition_of(type(self))
            for name in values:
                if name not in definition.all:
                    told = f"there is no field {name!r}.{did_you_mean(name, definition.all)}"
                    raise RecordError(f"{subject(definition, values, None)} {told}", field=name)
            self.__dict__.update(_validated(definition, values, None))

        def __setattr__(self, name, value):
            _refuse_change(self, name)

        def __delattr__(self, name):
            _refuse_change(self, name)

    def __replace__(self, **changes: object) -> Self:
        """A record with some values changed; `copy.replace` calls it from Python 3.13 on."""
        return type(self)(**to_row(self) | changes)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        # Lists and PIL pictures have no hash; equal records have equal ids, which is all a hash must know.
        return hash((type(self), self.__dict__[definition_of(type(self)).id.name]))

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name}={show(self.__dict__.get(name))}" for name in definition_of(type(self)).all
        )
        return f"{type(self).__name__}({values})"


def parse(schema: type[R], row: Mapping[str, object] | Schema, row_number: int | None = None) -> R:
    """One row as a record.

    Args:
        schema: the record's class.
        row: values by column name, or a record. Text is read as numbers, dates and truth values where
            the schema wants them; None and, except for `Field[str]`, blank text mean "no value".
        row_number: 0-based position in the source, for the error.

    Raises:
        RecordError: the row does not fit; the message is about its first problem.
    """
    if isinstance(row, Schema):
        if type(row) is schema:
            return row
        row = to_row(row)
    definition = definition_of(schema)
    if not isinstance(row, Mapping):
        raise not_a_row(definition, row, row_number)
    return _made(schema, _validated(definition, row, row_number))


def to_row(record: Schema) -> dict[str, object]:
    """A record's values by field name, as they are."""
    return {name: record.__dict__[name] for name in definition_of(type(record)).all}


def to_payload(record: Schema) -> dict[str, object]:
    """The JSON-able values of a record's Id, Texts and Fields by name, without Blobs and what is None."""
    return written_payload(definition_of(type(record)), record.__dict__)


def from_payload(schema: type[R], payload: Mapping[str, object]) -> R:
    """The record that `to_payload` wrote; a Blob's value is whatever reference the payload has, or None.

    Unknown keys are ignored, and a field that the payload knows nothing of takes its default, or None.
    """
    return _made(schema, read_payload(definition_of(schema), payload))


def unknown_columns(schema: type[Schema], row: Mapping[str, object]) -> list[str]:
    """The row's columns that the schema has no field for, in the row's order."""
    known = definition_of(schema).all
    if row.keys() <= known.keys():
        return []
    return [str(column) for column in row if column not in known]


def _made(schema: type[R], values: dict[str, object]) -> R:
    record = object.__new__(schema)
    record.__dict__.update(values)
    return record


def _validated(
    definition: Definition, row: Mapping[str, object], row_number: int | None
) -> dict[str, object]:
    """Values by field name, every field present."""
    validate = definition.validator.validate_python
    try:
        values: dict[str, object] = validate(row)
    except ValidationError:
        # Most rows have no gaps and pass at once; only the others are looked at value by value.
        try:
            values = validate(_without_gaps(definition, row))
        except ValidationError as error:
            raise refusal(definition, row, row_number, error) from error
    if len(values) < len(definition.all):
        for name, part in definition.all.items():
            if name not in values:
                values[name] = part.default
    return values


def _without_gaps(definition: Definition, row: Mapping[str, object]) -> dict[str, object]:
    """The row without what says "no value": an optional field then holds None, another its default."""
    kept = dict(row)
    for name, part in definition.all.items():
        if name in kept and _is_gap(part, kept[name]):
            del kept[name]
            if part.optional:
                kept[name] = None
    return kept


def _is_gap(part: SchemaField, value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, str) or value.strip():
        return False
    if isinstance(part, (Blob, Text)):
        return True
    return part.kind.stored_type is not str or bool(part.kind.choices) or part.kind.container is not None


def _refuse_change(record: Schema, name: str) -> NoReturn:
    told = subject(definition_of(type(record)), record.__dict__, None)
    raise AttributeError(
        f"{told} {name} cannot be changed, for records are immutable. "
        f"Make another with record.__replace__({name}=…); Python 3.13 calls it copy.replace."
    )
