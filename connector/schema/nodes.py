"""Conditions as values: eight small frozen nodes. `comparing` builds them from a field and its operand.

Two-valued logic: a comparison with a missing value is False, `~` turns False into True, `!=` is `not ==`.
`.matches(record)` is the reference meaning; every store must answer as it does.
"""

from __future__ import annotations

import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeAlias

from connector.errors import ConditionError
from connector.schema.literals import literal
from connector.schema.showing import show

if TYPE_CHECKING:
    from connector.schema.schema import Schema
    from connector.schema.schema_field import SchemaField

Op: TypeAlias = Literal["==", "<", "<=", ">", ">="]

_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_WORD = re.compile(r"[^\W_]+")


class Condition(ABC):
    """What `where=` takes: made by comparing fields, joined by `&`, `|` and `~`."""

    __slots__ = ()

    @property
    @abstractmethod
    def schema(self) -> type[Schema]:
        """The schema whose fields it is about."""

    @abstractmethod
    def matches(self, record: Schema) -> bool:
        """Whether the condition is true of this record."""

    @abstractmethod
    def to_json(self) -> dict[str, object]:
        """The JSON form, which `condition_from_json` reads back into an equal condition."""

    @abstractmethod
    def _identity(self) -> tuple[object, ...]:
        """What makes it equal to another."""

    @abstractmethod
    def __str__(self) -> str:
        """The text form, which `parse_condition` reads back into an equal condition."""

    def __and__(self, other: Condition) -> Condition:
        return And.of((self, _condition(other, "&")))

    def __or__(self, other: Condition) -> Condition:
        return Or.of((self, _condition(other, "|")))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise ConditionError(
            f"The condition {show(str(self))} is neither true nor false before it meets a record. "
            "Write & for and, | for or, ~ for not, with parentheses around each comparison, as in "
            "(Product.price > 0) & (Product.price < 80)."
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<{self.schema.__name__} where {self}>"


@dataclass(frozen=True, eq=False, repr=False)
class _Joined(Condition):
    """Two or more conditions of one schema in a row, never one of its own class among them."""

    parts: tuple[Condition, ...]
    word: ClassVar[str]

    @classmethod
    def of(cls, parts: Iterable[Condition]) -> Condition:
        """Join, flat: `a & (b & c)` is the same condition as `(a & b) & c`, and one alone stays itself."""
        flat: list[Condition] = []
        for part in parts:
            flat.extend(part.parts if isinstance(part, cls) else [part])
        for part in flat:
            _same_schema(flat[0], part)
        return flat[0] if len(flat) == 1 else cls(tuple(flat))

    @property
    def schema(self) -> type[Schema]:
        return self.parts[0].schema

    def to_json(self) -> dict[str, object]:
        return {self.word: [part.to_json() for part in self.parts]}

    def _identity(self) -> tuple[object, ...]:
        return (self.word, *(part._identity() for part in self.parts))

    def __str__(self) -> str:
        return f" {self.word} ".join(
            f"({part})" if isinstance(part, Or) else str(part) for part in self.parts
        )


class And(_Joined):
    """All of `parts` are true."""

    word = "and"

    def matches(self, record: Schema) -> bool:
        return all(part.matches(record) for part in self.parts)


class Or(_Joined):
    """At least one of `parts` is true."""

    word = "or"

    def matches(self, record: Schema) -> bool:
        return any(part.matches(record) for part in self.parts)


@dataclass(frozen=True, eq=False, repr=False)
class Not(Condition):
    """`part` is not true, be it false or without a value to look at."""

    part: Condition

    @property
    def schema(self) -> type[Schema]:
        return self.part.schema

    def matches(self, record: Schema) -> bool:
        return not self.part.matches(record)

    def to_json(self) -> dict[str, object]:
        match self.part:
            case Compare(op="=="):
                return self.part.to_json() | {"op": "!="}
            case In():
                return self.part.to_json() | {"op": "not in"}
            case _:
                return {"not": self.part.to_json()}

    def _identity(self) -> tuple[object, ...]:
        return ("not", self.part._identity())

    def __invert__(self) -> Condition:
        return self.part

    def __str__(self) -> str:
        match self.part:
            case Compare(op="=="):
                return self.part.spelled("!=")
            case In():
                return self.part.spelled("not in")
            case IsNone():
                return self.part.spelled("is not none")
            case _:
                return f"not ({self.part})"


@dataclass(frozen=True, eq=False, repr=False)
class _Leaf(Condition):
    """A condition about one field."""

    field: SchemaField

    @property
    def schema(self) -> type[Schema]:
        return self.field.schema

    def _value(self, record: Schema) -> object:
        return getattr(record, self.field.name)

    def _about(self, word: str, *values: object) -> tuple[object, ...]:
        return (word, self.field.schema, self.field.name, *values)

    def _json(self, op: str) -> dict[str, object]:
        return {"field": self.field.name, "op": op}


@dataclass(frozen=True, eq=False, repr=False)
class Compare(_Leaf):
    """The value is equal to, below or above `value`."""

    op: Op
    value: object

    def matches(self, record: Schema) -> bool:
        found = self._value(record)
        # Type and all, for a plain Id: "1" is not 1, and 1 is not True.
        return found is not None and _TESTS[self.op](found, self.value)

    def to_json(self) -> dict[str, object]:
        return self._json(self.op) | {"value": self.field.kind.encode(self.value)}

    def _identity(self) -> tuple[object, ...]:
        return self._about(self.op, self.value)

    def spelled(self, op: str) -> str:
        """The text form with another operator."""
        return f"{self.field.name} {op} {literal(self.field.kind.encode(self.value))}"

    def __str__(self) -> str:
        return self.spelled(self.op)


@dataclass(frozen=True, eq=False, repr=False)
class In(_Leaf):
    """The value is one of `values`."""

    values: tuple[object, ...]

    def matches(self, record: Schema) -> bool:
        return self._value(record) in self.values

    def to_json(self) -> dict[str, object]:
        return self._json("in") | {"value": [self.field.kind.encode(value) for value in self.values]}

    def _identity(self) -> tuple[object, ...]:
        return self._about("in", self.values)

    def spelled(self, op: str) -> str:
        """The text form with another operator."""
        values = ", ".join(literal(self.field.kind.encode(value)) for value in self.values)
        return f"{self.field.name} {op} ({values})"

    def __str__(self) -> str:
        return self.spelled("in")


@dataclass(frozen=True, eq=False, repr=False)
class Contains(_Leaf):
    """The list has `value` in it."""

    value: object

    def matches(self, record: Schema) -> bool:
        found = self._value(record)
        return isinstance(found, (list, tuple)) and self.value in found

    def to_json(self) -> dict[str, object]:
        return self._json("contains") | {"value": self.field.kind.encode(self.value)}

    def _identity(self) -> tuple[object, ...]:
        return self._about("contains", self.value)

    def __str__(self) -> str:
        return f"{self.field.name} contains {literal(self.field.kind.encode(self.value))}"


@dataclass(frozen=True, eq=False, repr=False)
class Matches(_Leaf):
    """All words of `text` occur in the value; a word is a run of letters and digits, in any case."""

    text: str

    def matches(self, record: Schema) -> bool:
        found = self._value(record)
        return isinstance(found, str) and set(words_of(self.text)) <= set(words_of(found))

    def to_json(self) -> dict[str, object]:
        return self._json("matches") | {"value": self.text}

    def _identity(self) -> tuple[object, ...]:
        return self._about("matches", self.text)

    def __str__(self) -> str:
        return f"{self.field.name} matches {literal(self.text)}"


@dataclass(frozen=True, eq=False, repr=False)
class IsNone(_Leaf):
    """There is no value."""

    def matches(self, record: Schema) -> bool:
        return self._value(record) is None

    def to_json(self) -> dict[str, object]:
        return self._json("is none")

    def _identity(self) -> tuple[object, ...]:
        return self._about("is none")

    def spelled(self, op: str) -> str:
        """The text form with another operator."""
        return f"{self.field.name} {op}"

    def __str__(self) -> str:
        return self.spelled("is none")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case: runs of letters and digits."""
    return [word.lower() for word in _WORD.findall(text)]


def _condition(other: object, op: str) -> Condition:
    if isinstance(other, Condition):
        return other
    raise ConditionError(
        f"The right side of {op} is {show(other)}, not a condition. "
        f"Put parentheses around each comparison: (Product.price > 0) {op} (Product.price < 80)."
    )


def _same_schema(one: Condition, other: Condition) -> None:
    if one.schema is not other.schema:
        names = f"{one.schema.__name__} and {other.schema.__name__}"
        raise ConditionError(
            f"One condition speaks of two schemas, {names}. "
            "Take all its fields from one class; a subclass's inherited fields are its own."
        )
