"""The parts of a schema: `Id`, `Blob`, `Text`, `Field[T]`, and `Blob + Text`, the `DescribedBlob`.

Each is a descriptor: on the class it is the field itself (`Product.price < 80`), on a record the value.
At run time records keep their values in `__dict__`, where Python finds them first and fast. The `__set__`
that only type checkers see tells them which values a constructor takes, and that a record cannot be assigned
to. The last `__get__` overload is for a field that something else holds, such as a `DescribedBlob`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, Protocol, Self, TypeAlias, overload

from typing_extensions import TypeVar

from connector.errors import InvalidSpaceParamException
from connector.schema import comparing
from connector.schema.declaration import field
from connector.schema.schema_field import SchemaField
from connector.schema.showing import show

__all__ = [
    "Blob",
    "BlobSource",
    "DescribedBlob",
    "Field",
    "Id",
    "OptionalBlob",
    "OptionalText",
    "SchemaField",
    "Text",
    "field",
]

if TYPE_CHECKING:
    from PIL.Image import Image

    from connector.schema.nodes import Condition
    from connector.schema.schema import Schema

    BlobSource: TypeAlias = str | Path | bytes | Image

    class Holder(Protocol):
        """Any dataclass. No wider: if None were one, a field of one schema would pass for one of any."""

        __dataclass_fields__: ClassVar[dict[str, Any]]

else:
    # Annotations of a schema are evaluated when its class is made, and Pillow must not be imported for that.
    BlobSource = str | Path | bytes

K = TypeVar("K", default=str | int)
V = TypeVar("V", default=BlobSource)
W = TypeVar("W", default=str)
T = TypeVar("T")
E = TypeVar("E")
R = TypeVar("R", bound="Schema")
S = TypeVar("S", bound="Schema", default=Any, covariant=True)


class Id(SchemaField, Generic[K]):
    """Names the record; exactly one in a schema.

    Plain `Id` holds `str` or `int` and keeps what came (1 and "1" are two records).
    `Id[str]`, `Id[int]` and `Id[UUID]` hold one type and convert to it.
    """

    role = "an Id"
    comparable = True
    cure = "Use ==, != or .in_([…])."

    @overload
    def __get__(self, instance: None, owner: type[Schema]) -> Self: ...
    @overload
    def __get__(self, instance: Schema, owner: type[Schema]) -> K: ...
    @overload
    def __get__(self, instance: Holder, owner: type[object]) -> Self: ...
    def __get__(self, instance: object, owner: type[object]) -> Self | K:
        return self

    if TYPE_CHECKING:

        def __set__(self, instance: Never, value: K) -> None: ...

    def __eq__(self, other: K) -> Condition:  # type: ignore[override]  # a condition, not a bool, is the point
        return comparing.equal(self, other)

    def __ne__(self, other: K) -> Condition:  # type: ignore[override]  # as above
        return ~comparing.equal(self, other)

    __hash__ = SchemaField.__hash__

    def in_(self, ids: Iterable[K]) -> Condition:
        """True of the records with one of these ids."""
        return comparing.one_of(self, ids)

    def not_in(self, ids: Iterable[K]) -> Condition:
        """True of all other records."""
        return ~comparing.one_of(self, ids)


class Blob(SchemaField, Generic[V, S]):
    """Where a record's picture is: a path, a URL, base64 text, bytes or a PIL picture.

    `Blob[BlobSource | None]`, or `OptionalBlob` for short, may be missing.
    `Product.photo + Product.title` is the `DescribedBlob` of both.
    """

    role = "a Blob"

    @overload
    def __get__(self, instance: None, owner: type[R]) -> Blob[V, R]: ...
    @overload
    def __get__(self, instance: Schema, owner: type[Schema]) -> V: ...
    @overload
    def __get__(self, instance: Holder, owner: type[object]) -> Self: ...
    def __get__(self, instance: object, owner: type[object]) -> object:
        return self

    if TYPE_CHECKING:

        def __set__(self, instance: Never, value: V) -> None: ...

    def __add__(self, other: Text[Any, S]) -> DescribedBlob[S]:
        return _described(self, other)


class Text(SchemaField, Generic[W, S]):
    """Words that describe the record, embedded with its picture. Blank text counts as missing.

    `Text[str | None]`, or `OptionalText` for short, may be missing.
    """

    role = "a Text"
    cure = (
        "Use .matches('red shoe') to find words in it, or declare it as Field[str] to compare it as a whole."
    )

    @overload
    def __get__(self, instance: None, owner: type[R]) -> Text[W, R]: ...
    @overload
    def __get__(self, instance: Schema, owner: type[Schema]) -> W: ...
    @overload
    def __get__(self, instance: Holder, owner: type[object]) -> Self: ...
    def __get__(self, instance: object, owner: type[object]) -> object:
        return self

    if TYPE_CHECKING:

        def __set__(self, instance: Never, value: W) -> None: ...

    def __add__(self, other: Blob[Any, S]) -> DescribedBlob[S]:
        return _described(self, other)

    def matches(self, words: str) -> Condition:
        """True where all of these words occur, in any order and case."""
        return comparing.matching(self, words)


class Field(SchemaField, Generic[T]):
    """A value that is stored and can be filtered by.

    `T` is str, int, float, bool, datetime, date, UUID, an Enum, a Literal, or a list of these; or any of them
    `| None`. A datetime without a zone is taken for UTC, and all are kept in UTC.
    """

    role = "a Field"
    comparable = True

    @property
    def value_type(self) -> type:
        """The Python type of one value (of one item, where it holds a list)."""
        return self.kind.value_type

    @property
    def is_list(self) -> bool:
        """Whether a value is a list or a tuple."""
        return self.kind.container is not None

    @overload
    def __get__(self, instance: None, owner: type[Schema]) -> Self: ...
    @overload
    def __get__(self, instance: Schema, owner: type[Schema]) -> T: ...
    @overload
    def __get__(self, instance: Holder, owner: type[object]) -> Self: ...
    def __get__(self, instance: object, owner: type[object]) -> Self | T:
        return self

    if TYPE_CHECKING:

        def __set__(self, instance: Never, value: T) -> None: ...

    def __eq__(self, other: T) -> Condition:  # type: ignore[override]  # a condition, not a bool, is the point
        return comparing.equal(self, other)

    def __ne__(self, other: T) -> Condition:  # type: ignore[override]  # as above
        return ~comparing.equal(self, other)

    def __lt__(self, other: T) -> Condition:
        return comparing.in_order(self, "<", other)

    def __le__(self, other: T) -> Condition:
        return comparing.in_order(self, "<=", other)

    def __gt__(self, other: T) -> Condition:
        return comparing.in_order(self, ">", other)

    def __ge__(self, other: T) -> Condition:
        return comparing.in_order(self, ">=", other)

    __hash__ = SchemaField.__hash__

    def in_(self, values: Iterable[T]) -> Condition:
        """True where the value is one of these."""
        return comparing.one_of(self, values)

    def not_in(self, values: Iterable[T]) -> Condition:
        """True where the value is none of these, or missing."""
        return ~comparing.one_of(self, values)

    @overload
    def contains(self: Field[list[E]], value: E) -> Condition: ...
    @overload
    def contains(self: Field[list[E] | None], value: E) -> Condition: ...
    @overload
    def contains(self: Field[tuple[E, ...]], value: E) -> Condition: ...
    @overload
    def contains(self: Field[tuple[E, ...] | None], value: E) -> Condition: ...
    def contains(self, value: object) -> Condition:
        """True where the list has this value in it."""
        return comparing.containing(self, value)

    @overload
    def matches(self: Field[str], words: str) -> Condition: ...
    @overload
    def matches(self: Field[str | None], words: str) -> Condition: ...
    def matches(self, words: str) -> Condition:
        """True where all of these words occur in the text, in any order and case."""
        return comparing.matching(self, words)


OptionalText: TypeAlias = Text[str | None, Any]
OptionalBlob: TypeAlias = Blob[BlobSource | None, Any]


@dataclass(frozen=True)
class DescribedBlob(Generic[S]):
    """A picture and its description, fused into one vector: `Product.photo + Product.title`."""

    blob: Blob[Any, S]
    description: Text[Any, S]


def _described(left: SchemaField, right: object) -> DescribedBlob[Any]:
    parts = (left, right) if isinstance(left, Blob) else (right, left)
    blob, description = parts
    if not isinstance(blob, Blob) or not isinstance(description, Text):
        shown = f"{right!r} ({right.role})" if isinstance(right, SchemaField) else show(right)
        wanted = "a Text" if isinstance(left, Blob) else "a Blob"
        raise InvalidSpaceParamException(
            f"{left!r} + {shown} is no described picture. "
            f"Add {wanted} to {left.role}, as in Product.photo + Product.title."
        )
    if blob.schema is not description.schema:
        raise InvalidSpaceParamException(
            "ImageSpace image and description field must be in the same schema. "
            f"{blob!r} and {description!r} are not: take both from {blob.schema.__name__} or both from "
            f"{description.schema.__name__}."
        )
    return DescribedBlob(blob, description)
