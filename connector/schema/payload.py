"""A record's stored form: the JSON-able values of its Id, Texts and Fields, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connector.errors import RecordError
from connector.schema.showing import show

if TYPE_CHECKING:
    from connector.schema.definition import Definition
    from connector.schema.schema_field import SchemaField


def written_payload(definition: Definition, values: Mapping[str, object]) -> dict[str, object]:
    """Stored values by field name, without Blobs and without what is None."""
    written = {}
    for name, write in definition.stored:
        value = values[name]
        if value is not None:
            written[name] = value if write is None else write(value)
    return written


def read_payload(definition: Definition, payload: Mapping[str, object]) -> dict[str, object]:
    """Values by field name, every field present, from what `written_payload` gave.

    Raises:
        RecordError: a stored value is not of the field's type any more (the schema was changed since).
    """
    return {name: _read(definition, field, payload) for name, field in definition.all.items()}


def _read(definition: Definition, field: SchemaField, payload: Mapping[str, object]) -> object:
    stored = payload.get(field.name)
    if stored is None:
        # A None was left out when stored, so an optional field without a value looks like a new one.
        return None if field.optional else field.default
    try:
        if field.kind.container is not None and isinstance(stored, (list, tuple)):
            return field.kind.container(field.kind.decode(item) for item in stored)
        return field.kind.decode(stored)
    except (ValueError, TypeError) as error:
        key = payload.get(definition.id.name)
        raise RecordError(
            f"{definition.name} {key}: the stored {field.name} is {show(stored)}, "
            f"but the schema now wants {field.kind.wants}. Ingest it again, or undo the change of type.",
            id=key,
            field=field.name,
        ) from error
