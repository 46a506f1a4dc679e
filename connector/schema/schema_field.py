"""What Id, Blob, Text and Field have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NoReturn

from connector.errors import ConditionError
from connector.schema import nodes
from connector.schema.declaration import Declaration
from connector.schema.kinds import Annotation

if TYPE_CHECKING:
    from connector.schema.nodes import Condition
    from connector.schema.schema import Schema


class SchemaField:
    """What all fields have in common.

    Attributes:
        name: as in the class body.
        schema: the class through which it is reached; an inherited field is another object for each subclass.
        kind: what its values are.
        optional: whether a value may be None.
    """

    role: ClassVar[str] = "a field"
    comparable: ClassVar[bool] = False
    cure: ClassVar[str] = "Only .is_none() can be asked of it."

    def __init__(self, name: str, schema: type[Schema], declaration: Declaration) -> None:
        self.name = name
        self.schema = schema
        self.declaration = declaration
        self.kind = declaration.kind
        self.optional = declaration.optional

    @property
    def has_default(self) -> bool:
        """Whether a row may leave it out."""
        return self.declaration.default is not None or self.optional

    @property
    def default(self) -> object:
        """The value of a row that leaves it out (a new one each time); None if there is no default."""
        return self.declaration.default.make() if self.declaration.default is not None else None

    @property
    def annotation(self) -> Annotation:
        """What pydantic validates its value by."""
        return self.declaration.annotation

    def is_none(self) -> Condition:
        """True of records that have no value here."""
        return nodes.IsNone(self)

    def __repr__(self) -> str:
        return f"{self.schema.__name__}.{self.name}"

    def __reduce__(self) -> tuple[Callable[..., object], tuple[type[Schema], str]]:
        # A field is reached through its class again, so that identity survives copying and pickling.
        return getattr, (self.schema, self.name)

    __hash__ = object.__hash__

    if not TYPE_CHECKING:
        # To type checkers these operators do not exist; at run time they must not quietly answer False.

        def __eq__(self, other):
            return self is other if isinstance(other, SchemaField) else incomparable(self, "==", other)

        def __ne__(self, other):
            return self is not other if isinstance(other, SchemaField) else incomparable(self, "!=", other)

        def __lt__(self, other):
            incomparable(self, "<", other)

        def __le__(self, other):
            incomparable(self, "<=", other)

        def __gt__(self, other):
            incomparable(self, ">", other)

        def __ge__(self, other):
            incomparable(self, ">=", other)


def compares_none(field: SchemaField) -> ConditionError:
    """The error for `field == None`."""
    return ConditionError(
        f"{field!r} is compared with None. Use {field!r}.is_none(), or ~{field!r}.is_none()."
    )


def incomparable(field: SchemaField, op: str, other: object) -> NoReturn:
    """Raise the error for a comparison that the field does not have."""
    if other is None:
        raise compares_none(field)
    raise ConditionError(f"{field!r} is {field.role} and cannot be compared with {op}. {field.cure}")
