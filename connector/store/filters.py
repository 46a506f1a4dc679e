"""Condition to filter: one walk, spelled in the words of either engine.

Every operator is written so that all engines agree with `Condition.matches`:

    ==, in on floats         a closed range; Qdrant's exact match knows no floats
    ==, < … on moments       ranges of datetimes; dates count as midnight UTC
    ==, in, contains         exact match; on a list, Qdrant matches any of its values
    matches                  all words occur, in any order and case; needs no text index, is faster with one
    is_none                  the key is absent, and not listed in `_present`

Tombstones and the lease of a lock are marked `_deleted`, and no filter made of a `Where` lets them through; a search
by vectors does not need to be told, for they have none.

A Qdrant server before 1.20 takes `matches` on a key without a text index for "contains the characters".
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import uuid
from collections.abc import Callable, Sequence

from connector.errors import ConditionError
from connector.schema.nodes import And, Compare, Condition, Contains, In, IsNone, Matches, Not, Or
from connector.store.points import DELETED, PRESENT, SCHEMA, VERSION
from connector.store.store import Where

_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_EXACT_AS_DOUBLE = 2**53
_INT64 = range(-(2**63), 2**63)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spelling:
    """How one engine spells the parts of a filter; each is called with Qdrant's own argument names."""

    filter: Callable[..., object]
    field: Callable[..., object]
    value: Callable[..., object]
    any_of: Callable[..., object]
    text: Callable[..., object]
    numbers: Callable[..., object]
    moments: Callable[..., object]
    ids: Callable[[Sequence[str]], object]
    boolean: Callable[[bool], object] = bool


def compile_where(where: Where | None, spelling: Spelling) -> object:
    """Return the engine's filter for `where`; None means every record, and tombstones are none.

    Raises:
        ConditionError: Qdrant cannot answer the condition exactly.
    """
    parts = _parts(where, spelling)
    hidden = [_buried(spelling)]
    return spelling.filter(must=parts, must_not=hidden) if parts else spelling.filter(must_not=hidden)


def compile_search(where: Where | None, spelling: Spelling) -> object | None:
    """Return the engine's filter for a search by vectors; None where all points are meant.

    Tombstones have no vectors and are never found, so nothing is said of them: each vector looked at would be asked.

    Raises:
        ConditionError: Qdrant cannot answer the condition exactly.
    """
    parts = _parts(where, spelling)
    return spelling.filter(must=parts) if parts else None


def _parts(where: Where | None, spelling: Spelling) -> list[object]:
    walk = _Walk(spelling)
    parts = []
    if where is not None and where.schemas:
        parts.append(walk.one_of(SCHEMA, where.schemas))
    if where is not None and where.condition is not None:
        parts.append(walk.condition(where.condition))
    return parts


def not_newer(version: int, spelling: Spelling) -> object:
    """Return the filter for points that a run of this version may write over."""
    return spelling.filter(must_not=[_newer(version, spelling)])


def record_not_newer(identity: str, version: int | None, spelling: Spelling) -> object:
    """Return the filter for one record that is there and that a run of this version may change."""
    newer = [] if version is None else [_newer(version, spelling)]
    return spelling.filter(must=[spelling.ids([identity])], must_not=[_buried(spelling), *newer])


def tombstones_before(version: int, spelling: Spelling) -> object:
    """Return the filter for tombstones of runs before this version; a lease has no version and is not meant."""
    older = spelling.field(key=VERSION, range=spelling.numbers(lt=float(version)))
    return spelling.filter(must=[_buried(spelling), older])


def _newer(version: int, spelling: Spelling) -> object:
    return spelling.field(key=VERSION, range=spelling.numbers(gt=float(version)))


def _buried(spelling: Spelling) -> object:
    return spelling.field(key=DELETED, match=spelling.value(value=spelling.boolean(True)))


class _Walk:
    def __init__(self, spelling: Spelling) -> None:
        self._spell = spelling

    def condition(self, node: Condition) -> object:
        match node:
            case And(parts=parts):
                return self._spell.filter(must=[self.condition(part) for part in parts])
            case Or(parts=parts):
                return self._any([self.condition(part) for part in parts])
            case Not(part=part):
                return self._spell.filter(must_not=[self.condition(part)])
            case Compare(field=field, op="==", value=value):
                return self.one_of(field.name, [value])
            case Compare(field=field, op=operator, value=value):
                return self._ordered(field.name, operator, value)
            case In(field=field, values=values):
                return self.one_of(field.name, values)
            case Contains(field=field, value=value):
                return self.one_of(field.name, [value])
            case Matches(field=field, text=text):
                return self._words(field.name, text)
            case IsNone(field=field):
                return self._none(field.name)
        raise ConditionError(f"Qdrant cannot answer {type(node).__name__} conditions.")

    def one_of(self, key: str, values: Sequence[object]) -> object:
        """Any value at `key` equals one of `values`."""
        plain = [_plain(value) for value in values]
        texts = [value for value in plain if type(value) is str and _is_storable(value)]
        numbers = [value for value in plain if type(value) is int and value in _INT64]
        parts: list[object] = [self._match(key, kind) for kind in (texts, numbers) if kind]
        others = [value for value in plain if isinstance(value, (bool, float, datetime.datetime))]
        parts += [self._equal(key, value) for value in others]
        return parts[0] if len(parts) == 1 else self._any(parts)

    def _match(self, key: str, values: Sequence[object]) -> object:
        one = len(values) == 1
        spelled = self._spell.value(value=values[0]) if one else self._spell.any_of(any=list(values))
        return self._spell.field(key=key, match=spelled)

    def _equal(self, key: str, value: bool | float | datetime.datetime) -> object:
        if isinstance(value, bool):
            return self._spell.field(key=key, match=self._spell.value(value=self._spell.boolean(value)))
        if isinstance(value, datetime.datetime):
            return self._spell.field(key=key, range=self._spell.moments(gte=value, lte=value))
        if not math.isfinite(value):
            return self._any([])  # nothing that is not finite is ever stored
        return self._spell.field(key=key, range=self._spell.numbers(gte=value, lte=value))

    def _ordered(self, key: str, operator: str, value: object) -> object:
        plain = _plain(value)
        bound = _BOUNDS[operator]
        if isinstance(plain, datetime.datetime):
            return self._spell.field(key=key, range=self._spell.moments(**{bound: plain}))
        if isinstance(plain, bool) or not isinstance(plain, (int, float)):
            raise ConditionError(f"{key} {operator} {value!r}: Qdrant orders numbers and dates only. Use ==.")
        if not math.isfinite(plain) or (isinstance(plain, int) and abs(plain) >= _EXACT_AS_DOUBLE):
            raise ConditionError(
                f"{key} {operator} {value!r}: Qdrant compares numbers as doubles, exactly up to 2**53 - 1. "
                "Compare with a smaller number, or use == and in_."
            )
        return self._spell.field(key=key, range=self._spell.numbers(**{bound: float(plain)}))

    def _words(self, key: str, text: str) -> object:
        return self._spell.field(key=key, match=self._spell.text(text=text))

    def _none(self, key: str) -> object:
        absent = self._spell.field(key=key, is_empty=True)
        return self._spell.filter(must=[absent], must_not=[self.one_of(PRESENT, [key])])

    def _any(self, parts: Sequence[object]) -> object:
        if parts:
            return self._spell.filter(should=list(parts))
        # Qdrant reads an empty "should" as no condition at all; a contradiction is what no point fulfils.
        absent = self._spell.field(key=SCHEMA, is_empty=True)
        return self._spell.filter(must=[absent], must_not=[absent])


def _plain(value: object) -> object:
    """Return the value as the payload holds it, but moments as aware datetimes."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC) if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    return value


def _is_storable(text: str) -> bool:
    """Whether a payload can hold this text; lone surrogates have no UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
