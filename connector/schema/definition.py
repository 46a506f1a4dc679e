"""What a schema class says, read once when the class is made; all later work looks here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NotRequired

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import SchemaValidator
from pydantic_core.core_schema import CoreConfig
from typing_extensions import TypedDict

from connector.errors import SchemaError
from connector.schema.fields import Blob, Field, Id, SchemaField, Text

if TYPE_CHECKING:
    from connector.schema.schema import Schema


@dataclass(frozen=True, eq=False)
class Definition:
    """A schema's fields, in the order in which they were declared, those of base classes first.

    Attributes:
        name: the class's name.
        schema: the class.
        all: every field by its name.
        refuses_unknown: whether a row with an unknown column is rejected (otherwise the column is ignored).
    """

    name: str
    schema: type[Schema]
    all: Mapping[str, SchemaField]
    refuses_unknown: bool = False

    @cached_property
    def id(self) -> Id[Any]:
        """The one that names the record."""
        return next(field for field in self.all.values() if isinstance(field, Id))

    @cached_property
    def blobs(self) -> dict[str, Blob[Any, Any]]:
        """Those that say where a picture is."""
        return {name: field for name, field in self.all.items() if isinstance(field, Blob)}

    @cached_property
    def texts(self) -> dict[str, Text[Any, Any]]:
        """Those that describe the record in words."""
        return {name: field for name, field in self.all.items() if isinstance(field, Text)}

    @cached_property
    def fields(self) -> dict[str, Field[Any]]:
        """Those that are stored to be filtered by."""
        return {name: field for name, field in self.all.items() if isinstance(field, Field)}

    @cached_property
    def stored(self) -> tuple[tuple[str, Callable[[Any], object] | None], ...]:
        """Those a payload has, each with how its value is written; None where that is the value itself."""
        return tuple(
            (name, field.kind.written) for name, field in self.all.items() if not isinstance(field, Blob)
        )

    @cached_property
    def validator(self) -> SchemaValidator:
        """pydantic's, from a row to a dict of values by field name; compiled at the first row."""
        # A TypedDict and not a model: a field may have any name, `json`, `copy` and `schema` included.
        parts = {
            name: NotRequired[field.annotation] if field.has_default else field.annotation
            for name, field in self.all.items()
        }
        # Through a name of type Any: checkers want the parts written out, and they are known only now.
        make_type: Any = TypedDict
        row = make_type(self.name, parts)
        row.__pydantic_config__ = ConfigDict(extra="forbid" if self.refuses_unknown else "ignore")
        # Without their input, pydantic's own messages cannot carry a picture's bytes into a traceback.
        # A TypedDict's own settings do not reach that far, so the validator is made from its schema.
        return SchemaValidator(TypeAdapter(row).core_schema, CoreConfig(hide_input_in_errors=True))


def definition_of(schema: type[Schema]) -> Definition:
    """What `schema` says.

    Raises:
        SchemaError: it is no schema class, or the bare `Schema`.
    """
    found = getattr(schema, "__definition__", None)
    if isinstance(found, Definition):
        return found
    raise SchemaError(f"{schema!r} is no schema. Declare one: class Product(Schema): sku: Id; photo: Blob.")
