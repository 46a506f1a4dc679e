"""Rows from text feeds, line by line: JSON Lines and CSV. A line that cannot be read is one rejection."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pydantic_core

from connector.errors import RecordError
from connector.schema.schema import Definition
from connector.sources.source import Row, Rows, broken

LINE_LIMIT = 128 * 1024 * 1024  # a 64 MiB picture in base64, and room for the rest of the row


def jsonl_file(path: Path, base: Path, definition: Definition) -> Rows:
    """One JSON object a line."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise broken(path, error) from error
    return Rows(json_lines(file, str(path)), base, _file_progress(file, path.stat().st_size), file.close)


def json_lines(file: IO[bytes], name: str, limit: int | None = None) -> Iterator[Row]:
    """One row per non-blank line; a line that is no JSON object, or longer than `limit` bytes, becomes a RecordError."""
    limit = limit or LINE_LIMIT
    with file:
        first = True
        while True:
            try:
                line = file.readline(limit)
            except OSError as error:
                raise broken(name, error) from error
            if not line:
                return
            if first:
                line, first = line.removeprefix(b"\xef\xbb\xbf"), False
            if len(line) >= limit and not line.endswith(b"\n"):
                _skip_line(file, limit)
                yield RecordError(
                    f"A line is longer than {limit // 2**20} MiB. Put the picture in a file and name its path."
                )
            elif not line.isspace():
                yield _json_row(line)


def _skip_line(file: IO[bytes], limit: int) -> None:
    while (rest := file.readline(limit)) and not rest.endswith(b"\n"):
        pass


def _json_row(line: bytes) -> Row:
    try:
        value = pydantic_core.from_json(line, allow_inf_nan=False)
    except ValueError as error:
        return RecordError(f"A line is not JSON: {error}. Each line must be one JSON object.")
    if not isinstance(value, dict):
        return RecordError(
            f'A line is a JSON {type(value).__name__}, not an object. Write it as {{"column": value, …}}.'
        )
    return value


def csv_file(path: Path, base: Path, definition: Definition) -> Rows:
    """Lines of cells, the first of them naming the columns."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise broken(path, error) from error
    return Rows(
        _csv_rows(file, path, definition), base, _file_progress(file, path.stat().st_size), file.close
    )


def _csv_rows(file: IO[bytes], path: Path, definition: Definition) -> Iterator[Row]:
    """One row per CSV line, by the names in its first; empty cells of fields that may be left out are left out."""
    # The module's limit of 128 KiB a cell is process-wide, and a picture in base64 is longer; it is only ever widened.
    csv.field_size_limit(max(csv.field_size_limit(), LINE_LIMIT))
    omissible = {name for name, field in definition.all.items() if field.optional or field.has_default}
    lists = {name for name, field in definition.fields.items() if field.is_list}
    # Bytes that are no UTF-8 become lone surrogates, which the schema then refuses for that row alone.
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text)
        try:
            header = next(reader, None)
        except (csv.Error, OSError) as error:
            raise broken(path, error) from error
        if header is None:
            return
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield RecordError(f"A line of the CSV file could not be read: {error}.")
                continue
            except OSError as error:
                raise broken(path, error) from error
            if cells is None:
                return
            if cells:
                yield _csv_row(header, cells, omissible, lists)


def _csv_row(header: list[str], cells: list[str], omissible: set[str], lists: set[str]) -> Row:
    if len(cells) > len(header):
        return RecordError(
            f"A line has {len(cells)} cells, the header has {len(header)}. Quote cells that contain commas."
        )
    row: dict[str, object] = {}
    for name, cell in zip(header, cells, strict=False):
        if cell == "" and name in omissible:
            continue
        row[name] = csv_list(cell) if name in lists else cell
    return row


def csv_list(cell: str) -> object:
    """A list in a cell is written as a JSON array; anything else is left for the schema to refuse."""
    if not cell.lstrip().startswith("["):
        return cell
    try:
        return pydantic_core.from_json(cell)
    except ValueError:
        return cell


def _file_progress(file: IO[bytes], size: int) -> Callable[[], float | None]:
    def progress() -> float | None:
        if not size:
            return None
        try:
            return min(1.0, file.tell() / size)
        # Another thread reads the file, and closes it at its end, at any moment.
        except (ValueError, OSError):
            return 1.0

    return progress
