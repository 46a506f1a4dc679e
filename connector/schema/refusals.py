"""From pydantic's errors to one `RecordError` about the first problem, in the words of the schema."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from connector.errors import RecordError
from connector.schema.showing import did_you_mean, near, show

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from connector.schema.definition import Definition
    from connector.schema.schema_field import SchemaField


QUOTES = "'\""


def refusal(
    definition: Definition, row: Mapping[str, object], row_number: int | None, error: ValidationError
) -> RecordError:
    """The error to raise for a row that pydantic refused."""
    details = error.errors(include_url=False, include_context=False)[0]
    name = str(details["loc"][0]) if details["loc"] else ""
    field = definition.all.get(name)
    told = (
        _unknown(name, definition) if field is None else f"{name} {_problem(field, details, row, definition)}"
    )
    return RecordError(
        f"{subject(definition, row, row_number)} {told}",
        row=row_number,
        id=id_in(definition, row),
        field=name or None,
    )


def not_a_row(definition: Definition, row: object, row_number: int | None) -> RecordError:
    """The error for a row that is no mapping."""
    told = f"the row is {show(row)}. Give a mapping from column names to values."
    return RecordError(f"{subject(definition, {}, row_number)} {told}", row=row_number)


def subject(definition: Definition, row: Mapping[str, object], row_number: int | None) -> str:
    """What a message is about: `Product a1:`, or `Product in row 3:` while its id is not known."""
    found = id_in(definition, row)
    if found is not None:
        return f"{definition.name} {show(found).strip(QUOTES)}:"
    return f"{definition.name} in row {row_number}:" if row_number is not None else f"{definition.name}:"


def id_in(definition: Definition, row: Mapping[str, object]) -> object:
    """The row's own id, where it could be one."""
    found = row.get(definition.id.name)
    if isinstance(found, str):
        # Reports are UTF-8, and an id that is not would break them too.
        return found if found and found.encode(errors="ignore").decode() == found else None
    return found if isinstance(found, (int, uuid.UUID)) and not isinstance(found, bool) else None


_NOT_UTF8 = (
    "holds characters that UTF-8 cannot encode (lone surrogates). Read the source with its right encoding."
)


def _problem(
    field: SchemaField, details: ErrorDetails, row: Mapping[str, object], definition: Definition
) -> str:
    value: object = details["input"]
    what = details["type"]
    if what == "missing":
        return _missing(field, row, definition)
    if what == "string_unicode":
        return _NOT_UTF8
    if what == "finite_number":
        return (
            f"must be a finite number, got {show(value)}. Leave it out if there is none{_if_optional(field)}."
        )
    if what in ("less_than_equal", "greater_than_equal"):
        return f"must fit into 64 bits, got {show(value)}. Store numbers this large as Field[str]."
    place = details["loc"][1] if len(details["loc"]) > 1 else None
    if field.kind.container is not None and isinstance(place, int):
        wants = field.kind.wants.removeprefix("a list in which each is ")
        return (
            f"has {show(value)} as item {place}, but each must be {wants}. Write it like {field.kind.like}."
        )
    return f"must be {field.kind.wants}, got {show(value)}. {_cure(field)}"


def _missing(field: SchemaField, row: Mapping[str, object], definition: Definition) -> str:
    unknown = [column for column in row if column not in definition.all]
    if (meant := near(field.name, map(str, unknown))) is not None:
        return f"is missing, but the row has {meant!r}. Rename that column to {field.name!r}."
    blank = " (blank)" if row.get(field.name) is not None else ""
    if field.role == "an Id":
        return f"is missing{blank}. Every record needs an id; give it one."
    return f"is missing{blank}. Give it a value{_if_optional(field)}."


def _if_optional(field: SchemaField) -> str:
    inner = {"a Blob": "Blob[BlobSource | None]", "a Text": "Text[str | None]"}
    written = inner.get(field.role, f"Field[{field.kind.spelling} | None]")
    return "" if field.optional else f", or declare {field.name}: {written}"


def _cure(field: SchemaField) -> str:
    if field.kind.container is not None:
        return f"Write it like [{field.kind.like}]."
    if field.kind.choices:
        return "Correct the row, or add the value to the type."
    return f"Write it like {field.kind.like}."


def _unknown(name: str, definition: Definition) -> str:
    return (
        f"has the unknown column {show(name)}.{did_you_mean(name, definition.all)} "
        f"{definition.name} refuses unknown columns; it has {_listed(definition.all)}."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
