"""Kinds of value a field can hold: how each is validated, described to a person, stored and read back."""

from __future__ import annotations

import datetime as dt
import enum
import numbers
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BeforeValidator,
    PlainValidator,
    Strict,
    StringConstraints,
    TypeAdapter,
)
from pydantic import Field as Bounds
from pydantic_core import PydanticCustomError

# What can stand in an annotation. Types made at run time have no better type than Any.
Annotation: TypeAlias = Any

INT64 = (-(2**63), 2**63 - 1)

# A length limit that never bites, but makes pydantic look at the characters: lone surrogates are refused.
# Strict, for otherwise bytes would be decoded, and a picture in the wrong column might pass for words.
Utf8 = Annotated[str, StringConstraints(min_length=0, strict=True)]
Int64 = Annotated[int, Bounds(ge=INT64[0], le=INT64[1])]


def _same(value: object) -> object:
    return value


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of value.

    Attributes:
        value_type: the Python type of one value: `float`, `datetime`, an Enum class.
        stored_type: what one value is in a payload, as a Python type: an Enum of strings is stored as `str`.
        annotation: what pydantic validates one value by.
        wants: continues "must be …" in a message.
        like: an example of one value, as one would write it in a row.
        encode: one value to its JSON-able form; `decode` is its inverse.
        ordered: whether `<` means something to Qdrant.
        choices: the only values there are (Enum members, Literal values).
        container: `list` or `tuple` when a field holds many of these.
    """

    value_type: type
    stored_type: type
    annotation: Annotation
    wants: str
    like: str = ""
    encode: Callable[[Any], object] = _same
    decode: Callable[[Any], object] = _same
    ordered: bool = False
    choices: tuple[object, ...] = ()
    container: type | None = None

    @property
    def spelling(self) -> str:
        """How the type is written inside `Field[…]`."""
        name = (
            "Literal"
            if self.choices and not issubclass(self.value_type, enum.Enum)
            else self.value_type.__name__
        )
        if name == "Literal":
            name = f"Literal[{', '.join(map(repr, self.choices))}]"
        if self.container is None:
            return name
        return f"list[{name}]" if self.container is list else f"tuple[{name}, ...]"

    @property
    def whole(self) -> Annotation:
        """What pydantic validates the field's value by: one value, or a container of them."""
        if self.container is None:
            return self.annotation
        many: Annotation = list[self.annotation] if self.container is list else tuple[self.annotation, ...]  # type: ignore[name-defined]  # made at run time
        return Annotated[many, BeforeValidator(_read_json_list)]

    @property
    def written(self) -> Callable[[Any], object] | None:
        """How a field's value becomes JSON-able: one value, or a container of them; None where it is so already."""
        if self.container is not None:
            return lambda values: [self.encode(value) for value in values]
        return None if self.encode is _same else self.encode

    @cached_property
    def _one(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.annotation)

    def operand(self, value: object) -> object:
        """One value as it may stand in a condition; only dates and UUIDs are read from text.

        Raises:
            pydantic.ValidationError: it is not a value of this kind.
        """
        if self.stored_type in (int, float) and not isinstance(value, (bool, int, float)):
            # numpy's numbers are as good as Python's, but strict validation wants the real thing.
            value = _plain_number(value)
        written = isinstance(value, str) and self.stored_type in (dt.datetime, dt.date, uuid.UUID)
        loose = written or bool(self.choices)
        return self._one.validate_python(value, strict=None if loose else True)


def many(kind: Kind, container: type) -> Kind:
    """The kind of a list (or tuple) of `kind`."""
    return replace(kind, container=container, wants=f"a list in which each is {kind.wants}", ordered=False)


def _plain_number(value: object) -> object:
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _read_json_list(value: object) -> object:
    """A CSV cell has no lists; `["a", "b"]` written into one is read."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return TypeAdapter(list[object]).validate_json(value)
    return value


def _in_utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _rfc3339(value: dt.datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


SCALARS: dict[type, Kind] = {
    str: Kind(str, str, Utf8, "text", "'Acme'"),
    int: Kind(int, int, Int64, "a whole number", "59", decode=int, ordered=True),
    float: Kind(
        float, float, Annotated[float, AllowInfNan(False)], "a number", "59.90", decode=float, ordered=True
    ),
    bool: Kind(bool, bool, bool, "true or false", "true", decode=bool),
    dt.datetime: Kind(
        dt.datetime,
        dt.datetime,
        Annotated[dt.datetime, AfterValidator(_in_utc)],
        "a date and time",
        "2026-01-31T12:00:00Z",
        encode=_rfc3339,
        decode=lambda value: _in_utc(dt.datetime.fromisoformat(value)),
        ordered=True,
    ),
    dt.date: Kind(
        dt.date,
        dt.date,
        dt.date,
        "a date",
        "2026-01-31",
        encode=dt.date.isoformat,
        decode=dt.date.fromisoformat,
        ordered=True,
    ),
    uuid.UUID: Kind(
        uuid.UUID,
        uuid.UUID,
        uuid.UUID,
        "a UUID",
        "0b2c6f1e-8d5a-4c53-9f0e-2f6d1a7b9c11",
        encode=str,
        decode=uuid.UUID,
    ),
}

SUPPORTED = "str, int, float, bool, datetime, date, UUID, an Enum, a Literal, or a list of one of these"


def choice_of(values: tuple[object, ...]) -> Kind | None:
    """The kind of `Literal['a', 'b']`, or None if the values cannot be stored as one type."""
    stored = _one_type(values)
    if stored is None:
        return None

    def read_number(value: object) -> object:
        # A CSV cell says "1" where the Literal says 1.
        return (
            int(value)
            if stored is int and isinstance(value, str) and value.strip().lstrip("+-").isdigit()
            else value
        )

    from typing import Literal

    annotation: Annotation = Annotated[Literal[values], BeforeValidator(read_number)]
    return Kind(stored, stored, annotation, _one_of(values), repr(values[0]), choices=values)


def enum_of(members: type[enum.Enum]) -> Kind | None:
    """The kind of an Enum, given by value or by name, or None if its values cannot be stored as one type."""
    values = tuple(member.value for member in members)
    stored = _one_type(values)
    if stored is None:
        return None

    def read_name(value: object) -> object:
        return (
            members[value]
            if isinstance(value, str) and value not in values and value in members.__members__
            else value
        )

    def written(member: enum.Enum) -> object:
        return member.value

    annotation: Annotation = Annotated[members, BeforeValidator(read_name)]
    choices = tuple(members)
    return Kind(
        members,
        stored,
        annotation,
        _one_of(values),
        repr(values[0]),
        encode=written,
        decode=members,
        choices=choices,
    )


def _one_type(values: tuple[object, ...]) -> type | None:
    kinds = {type(value) for value in values}
    return kinds.pop() if len(kinds) == 1 and kinds <= {str, int} else None


def _one_of(values: tuple[object, ...]) -> str:
    shown = [repr(value) for value in values[:8]] + (["…"] if len(values) > 8 else [])
    return "one of " + ", ".join(shown)


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("bool_id", "a bool is no id")
    return value


Named = Annotated[str, StringConstraints(min_length=1, strict=True)]

IDS: dict[type | None, Kind] = {
    None: Kind(str, str, Named | Annotated[Int64, Strict()], "text or a whole number", "'a1'"),
    str: Kind(str, str, Annotated[Named, BeforeValidator(_number_as_text)], "text", "'a1'"),
    int: Kind(int, int, Annotated[Int64, BeforeValidator(_no_bool)], "a whole number", "17"),
    uuid.UUID: SCALARS[uuid.UUID],
}

# Something to see must be in it: a description of spaces describes nothing.
TEXT = Kind(
    str, str, Annotated[str, StringConstraints(pattern=r"\S", strict=True)], "text", "'Red canvas shoe'"
)


def _blob_source(value: object) -> object:
    if isinstance(value, str):
        value.encode()
        if value:
            return value
    elif isinstance(value, PurePath):
        str(value).encode()
        return value
    elif isinstance(value, (bytes, bytearray, memoryview)):
        if len(value):
            return bytes(value)
    elif (pillow := sys.modules.get("PIL.Image")) is not None and isinstance(value, pillow.Image):
        # Nobody can hold a PIL picture before Pillow is imported, so there is no need to import it here.
        return value
    raise PydanticCustomError("blob_source", "no blob")


def _blob(value: object) -> object:
    try:
        return _blob_source(value)
    except UnicodeEncodeError as error:
        raise PydanticCustomError("string_unicode", "not UTF-8") from error


BLOB = Kind(
    object,
    str,
    Annotated[object, PlainValidator(_blob)],
    "a path, a URL, bytes or a PIL picture",
    "'photos/shoe.jpg'",
)
