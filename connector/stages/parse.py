"""Stage 1, schema: rows to drafts; a row that does not fit becomes a rejection."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from connector.draft import Draft, Item, plain, readings
from connector.errors import OperationalError, RecordError
from connector.pipeline import PATIENCE, PICTURE_BYTES_AHEAD
from connector.report import Rejection
from connector.schema.schema import Schema, definition_of, parse, unknown_columns
from connector.space import ImageSpace, SpaceEntry
from connector.store.points import point_id

if TYPE_CHECKING:
    from connector.rows import Row

log = logging.getLogger("connector")

COMPARED_AT_ONCE = 512  # ids in one question to the store


class Parser:
    """Makes drafts of rows, and remembers what it has seen of the source.

    Args:
        space: what records there are.
        entry: what a row is that does not say so itself; None where it could be anything in the space.
        unique: reject the second row of an id; otherwise rows of one id are applied in their order.

    Attributes:
        broken: why the source broke off, where it did; what was read before is still stored.
        seen: where ids must be unique, the row of each point id.
        schemas: what the source is about: the one schema it was said to be, or those whose rows came.
        unidentified: rejected rows that could have been any record.
    """

    def __init__(self, space: ImageSpace[Any], entry: SpaceEntry | None, *, unique: bool = False) -> None:
        self.broken: OperationalError | None = None
        self.seen: dict[str, int] = {}
        self.schemas: set[type[Schema]] = set() if entry is None else {entry.schema}
        self.unidentified = 0
        self._space = space
        self._entry = entry
        self._unique = unique
        self._warned: set[str] = set()

    def parse(self, rows: Iterable[tuple[int, Row]]) -> Iterator[list[Item]]:
        """Numbered rows to drafts and rejections.

        A source that breaks off ends the line here, and `broken` says why: what was read before is still stored.
        """
        items: list[Item] = []
        begun, held = time.monotonic(), 0
        try:
            for number, row in rows:
                items.append(item := self._item(number, row))
                held += 0 if isinstance(item, Rejection) else item.inline
                full = len(items) >= COMPARED_AT_ONCE or held >= PICTURE_BYTES_AHEAD
                if full or time.monotonic() - begun >= PATIENCE:
                    yield items
                    items, begun, held = [], time.monotonic(), 0
        except OperationalError as error:
            self.broken = error
        if items:
            yield items

    def _item(self, number: int, row: Row) -> Item:
        try:
            if isinstance(row, RecordError):
                raise row
            entry = self._entry_of(row)
        except RecordError as error:
            return self._refused(number, error, None)
        if self._entry is None:
            self.schemas.add(entry.schema)
        try:
            return self._draft(number, row, entry)
        except RecordError as error:
            return self._refused(number, error, entry)

    def _entry_of(self, row: Mapping[str, object] | Schema) -> SpaceEntry:
        if isinstance(row, Schema):
            if type(row) not in self._space.schemas:
                names = " and ".join(schema.__name__ for schema in self._space.schemas)
                raise RecordError(
                    f"A record is a {type(row).__name__}, but this space holds {names}. Add its blob to the space."
                )
            return self._space.entry(type(row))
        if self._entry is None:
            names = ", ".join(schema.__name__ for schema in self._space.schemas)
            raise RecordError(
                f"A row could be any of {names}. Pass schema=…, or records instead of mappings."
            )
        return self._entry

    def _refused(self, number: int, error: RecordError, entry: SpaceEntry | None) -> Rejection:
        if error.id is None or entry is None:
            self.unidentified += 1
        elif self._unique:  # the source has it, although not in a form that can be taken
            for key in readings(error.id):
                self.seen.setdefault(point_id(entry.schema.__name__, key), number)
        return Rejection(number, plain(error.id), error.field, error.code, str(error))

    def _draft(self, number: int, row: Mapping[str, object] | Schema, entry: SpaceEntry) -> Draft:
        if not isinstance(row, Schema):
            self._warn_of_unknown(entry.schema, row)
        record = parse(entry.schema, row, number)
        key = getattr(record, definition_of(entry.schema).id.name)
        source = getattr(record, entry.blob.name)
        description = None if entry.description is None else getattr(record, entry.description.name)
        id = point_id(entry.schema.__name__, key)
        if self._unique and (first := self.seen.setdefault(id, number)) != number:
            raise RecordError(
                f"{entry.schema.__name__} {key}: rows {first} and {number} have the same id; the first was taken. "
                "Remove one of them.",
                id=key,
            )
        if source is None and not description:
            raise RecordError(
                f"{entry.schema.__name__} {key}: there is neither a picture nor a description, so nothing to embed. "
                f"Fill {' or '.join(part.name for part in (entry.blob, entry.description) if part is not None)}.",
                id=key,
            )
        inline = len(source) if isinstance(source, (str, bytes)) else 0
        return Draft(number, entry, key, id, record, source, description, inline=inline)

    def _warn_of_unknown(self, schema: type[Schema], row: Mapping[str, object]) -> None:
        for column in unknown_columns(schema, row):
            if column not in self._warned and len(self._warned) < 20:
                self._warned.add(column)
                log.warning("Column %r is no field of %s and is left out.", column, schema.__name__)
