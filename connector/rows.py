"""Where rows come from: iterables, JSON Lines, CSV, Parquet, a folder of pictures, data frames, standard input.

A row is a mapping of column names to values, a record of the schema, or a `RecordError` in place of a row that
could not even be read: one broken line is one rejection, not the end of the run. Everything is streamed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from connector.errors import DataError, SourceUnavailable
from connector.schema.schema import Schema, definition_of
from connector.sources import open_source
from connector.sources.arrow import ArrowStream, arrow_rows, parquet_file
from connector.sources.feeds import csv_file, json_lines, jsonl_file
from connector.sources.folder import folder_rows
from connector.sources.source import Row, Rows

if TYPE_CHECKING:
    from connector.space import SpaceEntry

__all__ = ["Row", "Rows", "Source", "open_rows"]

Source: TypeAlias = str | Path | Rows | Iterable[Mapping[str, Any] | Schema] | ArrowStream

_READERS = {".jsonl": jsonl_file, ".ndjson": jsonl_file, ".csv": csv_file, ".parquet": parquet_file}


def open_rows(
    source: Source, entry: SpaceEntry, base: Path | str | None = None, *, query: str | None = None
) -> Rows:
    """Open a source.

    Args:
        source: a `.jsonl`, `.csv` or `.parquet` file, a folder of pictures, "-" for JSON Lines on standard input,
            a database's URL with a query, or another source that `connector.sources` knows, an iterable of mappings or
            records, or anything that speaks Arrow (pandas, polars, pyarrow).
        entry: the schema, blob and description that a folder's pictures and sidecar texts fill.
        base: the folder that relative picture paths start from; by default the source's own, or the working directory.
        query: the SQL that a database is asked.

    Raises:
        SourceUnavailable: the file or folder is not there or cannot be read (also half-way, while iterating).
        DataError: this kind of source is not known.
    """
    here = None if base is None else Path(base)
    if isinstance(source, Rows):
        return source
    if isinstance(source, (str, Path)):
        other = None if str(source) == "-" else open_source(str(source), entry, query=query, base=here)
        return other or _open_path(str(source), entry, here)
    if isinstance(source, ArrowStream):
        return Rows(arrow_rows(source), here or Path.cwd())
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise DataError(
            f"A source of rows was expected, got a {type(source).__name__}. "
            "Pass a list of rows, such as [{...}, {...}], or the path of a feed."
        )
    return Rows(cast("Iterable[Row]", source), here or Path.cwd())


def _open_path(source: str, entry: SpaceEntry, base: Path | None) -> Rows:
    if source == "-":
        return Rows(json_lines(_standard_input(), "standard input"), base or Path.cwd())
    path = Path(source)
    if path.is_dir():
        return folder_rows(path, base or path, entry)
    if not path.exists():
        raise SourceUnavailable(
            f"Source '{source}' was not found. Check the path; relative ones start from {Path.cwd()}."
        )
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"Source '{source}' is of an unknown kind. "
            "Give a .jsonl, .csv or .parquet file, a folder of pictures, or - for JSON Lines on standard input."
        )
    return reader(path, base or path.parent, definition_of(entry.schema))


def _standard_input() -> IO[bytes]:
    """Standard input under a reader of our own: a run that is interrupted leaves a thread waiting in it, and Python would
    not end while that thread held its own reader's lock."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):  # something else stands in for it
        return sys.stdin.buffer
