"""What every source gives: rows, one after the other, and the folder that relative paths in them start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self, TypeAlias

from connector.errors import RecordError, SourceUnavailable
from connector.schema.schema import Schema

Row: TypeAlias = Mapping[str, object] | Schema | RecordError


class Rows:
    """An iterable of rows that knows the folder its relative paths start from, and how far it has got."""

    def __init__(
        self,
        rows: Iterable[Row],
        base: Path,
        progress: Callable[[], float | None] = lambda: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._rows = rows
        self.base = base
        self.progress = progress
        self.close = close

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def broken(source: object, error: Exception) -> SourceUnavailable:
    """The error for a source that was there and cannot be read, or not to its end."""
    return SourceUnavailable(
        f"Source '{source}' could not be read: {error}. What was read before it is kept; run it again."
    )
