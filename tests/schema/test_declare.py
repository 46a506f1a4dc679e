"""A class body that cannot work fails when the class is made, and says what to write instead."""

from __future__ import annotations

import datetime as dt
import enum
import re
import textwrap
from typing import Any, ClassVar, Literal

import pytest

from connector.errors import SchemaError
from connector.schema.fields import Blob, Field, Id, OptionalBlob, OptionalText, Text, field
from connector.schema.schema import Schema, definition_of, parse

HEAD = """
import datetime as dt, enum, pathlib
from typing import Any, Literal, Optional
from connector.schema.fields import *
from connector.schema.schema import Schema

class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"

class Base(Schema):
    key: Id
    size: Field[int]
    def greet(self): ...

"""


def made(body: str, head: str = "class A(Schema):\n    key: Id\n") -> type[Schema]:
    """The class `A` with these lines in its body."""
    names: dict[str, Any] = {"__name__": "made"}
    exec(HEAD + head + textwrap.indent(body, "    "), names)
    schema: type[Schema] = names["A"]
    return schema


ADVICE = "Write Field[…] for a value to store and filter by, Text for words that describe the record, or Blob for where its picture is."
HOLDS = (
    "A Field holds str, int, float, bool, datetime, date, UUID, an Enum, a Literal, or a list of one of these"
)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("x: str", f"x: str is no field. {ADVICE.replace('[…]', '[str]')}"),
        ("x: int", "x: int is no field. Write Field[int]."),
        ("x: dt.datetime", "x: datetime is no field. Write Field[datetime]."),
        ("x: list[str]", "x: list[str] is no field. Write Field[list[str]]."),
        ("x: bytes", "x: bytes is no field. Write Blob; it takes paths, URLs, bytes and PIL pictures."),
        ("x: pathlib.Path", "x: Path is no field. Write Blob; it takes paths, URLs, bytes and PIL pictures."),
        ("x: dict", f"x: dict is no field. {ADVICE}"),
        ("x: Blob | Text", f"x: Union[Blob, Text] is no field. {ADVICE}"),
        ("x: Field", "x: Field needs the type of its value. Write Field[str], for example; it can be str,"),
        ("x: Field[dict]", f"x: Field[dict] cannot be stored. {HOLDS}."),
        ("x: Field[bytes]", f"x: Field[bytes] cannot be stored. {HOLDS}."),
        ("x: Field[Any]", f"x: Field[Any] cannot be stored. {HOLDS}."),
        ("x: Field[int | str]", f"x: Field[Union[int, str]] cannot be stored. {HOLDS}."),
        ("x: Field[Blob]", f"x: Field[Blob] cannot be stored. {HOLDS}."),
        (
            "x: Field[Mixed]",
            f"x: Field[Mixed] cannot be stored. {HOLDS}; here the values must be all str or all int.",
        ),
        (
            "x: Field[Literal['a', 1]]",
            f"x: Field[Literal['a', 1]] cannot be stored. {HOLDS}; here the values must be",
        ),
        (
            "x: Field[list]",
            "x: Field[list] does not say what its items are. Write Field[list[str]], for example.",
        ),
        ("x: Field[tuple[int, int]]", "x: Field[tuple[int, int]] does not say what its items are."),
        (
            "x: Field[list[list[int]]]",
            "x: a Field holds a list of single values, not a list of lists. Flatten it.",
        ),
        (
            "x: Field[list[int | None]]",
            "x: a list cannot have None in it. Write Field[list[str] | None] if the whole list",
        ),
        ("x: 'Feild[int]'", "x: 'Feild' is not known where the class is made. Did you mean 'Field'?"),
        (
            "x: 'Field[Datetime]'",
            "x: 'Datetime' is not known where the class is made. Did you mean 'datetime'?",
        ),
        ("x: 'Field[in'", "x: 'Field[in' cannot be read"),
        (
            "x: Text[int]",
            "x: a Text holds words. Write Text or Text[str | None], or Field[…] for another type of value.",
        ),
        ("x = Field[int]", "x: a field is declared with a colon. Write x: Field, with any default after it."),
        ("x = field(default=3)", "x: a field is declared with a colon."),
        (
            "_x: Field[int]",
            "_x: names with a leading underscore are kept for the store's own use. Drop the underscore.",
        ),
        ("Or: Field[int]", "Or: the name is a word of the condition language. Choose another."),
        (
            "x: Field[int] = 'abc'",
            "x: its default 'abc' does not fit: it must be a whole number. Correct the default or the type.",
        ),
        ("x: Field[float] = float('nan')", "x: its default nan does not fit: it must be a number."),
        (
            "x: Field[list[str]] = ['a', 3]",
            "x: its default ['a', 3] does not fit: it must be a list in which each is text.",
        ),
        (
            "x: Field[int] = field(default_factory=str)",
            "x: its default '' does not fit: it must be a whole number.",
        ),
        (
            "x: Field[int] = None",
            "x: its default is None, but it is not optional. Write Field[… | None] = field(default=None).",
        ),
        (
            "x: Text = None",
            "x: its default is None, but it is not optional. Write Text[str | None] = field(default=None).",
        ),
        (
            "x: Field[int]\ndef x(self): ...",
            "x: it is declared as a field, but then it is a method. Rename one of the two.",
        ),
        (
            "x: Field[int]\n@property\ndef x(self): ...",
            "x: it is declared as a field, but then it is a property.",
        ),
    ],
)
def test_a_field_that_cannot_work_says_what_to_write_instead(body: str, told: str) -> None:
    with pytest.raises(SchemaError, match="^" + re.escape(f"A.{told}")):
        made(body)


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        (
            "class A(Schema):\n",
            "x: Blob",
            "A has no Id, so its records have no name. Add one line, such as: sku: Id.",
        ),
        ("class A(Schema):\n", "a: Id\nb: Id", "A has 2 Ids: a and b. Keep one; make the others Field[str]"),
        ("class A(Base):\n", "other: Id", "A has 2 Ids: key and other."),
        (
            "class A(Schema):\n",
            "a: Id = 'x'",
            "A.a: an Id cannot have a default, for two records would get one name.",
        ),
        (
            "class A(Schema):\n",
            "a: Id | None",
            "A.a: an Id cannot be optional, for it names the record. Write Id.",
        ),
        (
            "class A(Schema):\n",
            "a: Id[float]",
            "A.a: float cannot name a record. Write Id (str or int), Id[str], Id[int] or",
        ),
        (
            "class A(Base):\n",
            "greet: Field[int]",
            "A.greet: the name belongs to a method of Base. Choose another.",
        ),
        (
            "class A(Base):\n",
            "def size(self): ...",
            "A.size: the name belongs to an inherited field, but here it is a method.",
        ),
        (
            "class A(Base):\n",
            "size = 3",
            "A.size: the name belongs to an inherited field, but here it is the value 3.",
        ),
        (
            "class A(Base, unknown='drop'):\n",
            "pass",
            "A: unknown='drop' is unknown itself. Use 'ignore' or 'refuse'.",
        ),
    ],
)
def test_a_class_that_cannot_work_says_what_to_change(head: str, body: str, told: str) -> None:
    with pytest.raises(SchemaError, match="^" + re.escape(told)):
        made(body, head)


def test_optional_has_several_spellings() -> None:
    schema = made(
        "a: Field[int | None]\nb: Field[int] | None\nc: Optional[Field[int]]\nd: Field[Optional[int]]\n"
        "e: Text | None\nf: Text[str | None]\ng: Blob | None\nh: Blob[BlobSource | None]\n"
        "i: OptionalText\nj: OptionalBlob = None\nk: Field[int] | None = None"
    )
    fields = definition_of(schema).all
    assert [name for name, declared in fields.items() if not declared.optional] == ["key"]
    assert all(declared.has_default for name, declared in fields.items() if name != "key")


def test_annotations_may_name_what_is_local_to_a_function() -> None:
    class Size(enum.Enum):
        SMALL = "s"

    class Local(Schema):
        key: Id
        size: Field[Size]
        day: Field[dt.date]

    assert parse(Local, {"key": 1, "size": "s", "day": "2026-01-31"}).size is Size.SMALL


def test_class_variables_methods_and_properties_are_the_users_own() -> None:
    class Priced(Schema):
        currency: ClassVar[str] = "EUR"
        key: Id
        price: Field[float]

        @property
        def label(self) -> str:
            return f"{self.price:.2f} {self.currency}"

    assert list(definition_of(Priced).all) == ["key", "price"]
    assert parse(Priced, {"key": 1, "price": 5}).label == "5.00 EUR"


def test_a_subclass_may_declare_a_field_again() -> None:
    class Base(Schema):
        key: Id
        photo: Blob
        size: Field[int]

    class Narrow(Base):
        size: Field[Literal[1, 2]] = field(default=1)  # pyright: ignore[reportIncompatibleVariableOverride]
        note: OptionalText = field(default=None)
        back: OptionalBlob = field(default=None)

    assert list(definition_of(Narrow).all) == ["key", "photo", "size", "note", "back"]
    assert parse(Narrow, {"key": 1, "photo": "x"}).size == 1


def test_several_bases_give_their_fields_once() -> None:
    class Root(Schema):
        key: Id

    class Left(Root):
        left: Field[int]

    class Right(Root):
        right: Text

    class Both(Left, Right):
        own: Field[int]

    assert set(definition_of(Both).all) == {"key", "left", "right", "own"}
    assert all(declared.schema is Both for declared in definition_of(Both).all.values())
