"""Where rows come from: iterables, JSON Lines, CSV, Parquet, a folder of pictures, data frames, standard input.

A row is a mapping of column names to values, a record of the schema, or a `RecordError` in place of a row that
could not even be read: one broken line is one rejection, not the end of the run. Everything is streamed.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, TypeAlias, cast, runtime_checkable

import pydantic_core

from connector.errors import DataError, RecordError, SourceUnavailable
from connector.schema.schema import Definition, Schema, definition_of

if TYPE_CHECKING:
    import pyarrow

    from connector.space import SpaceEntry

Row: TypeAlias = "Mapping[str, object] | Schema | RecordError"

PICTURE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".gif",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".ico",
        ".heic",
        ".heif",
        ".mpo",
    ]
)
LINE_LIMIT = 128 * 1024 * 1024  # a 64 MiB picture in base64, and room for the rest of the row
ARROW_ROWS = 64  # rows decoded at once: a column of picture bytes makes them large


@runtime_checkable
class ArrowStream(Protocol):
    """A data frame or table that speaks the Arrow C stream protocol: pandas, polars, pyarrow, DuckDB, …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Source: TypeAlias = "str | Path | Rows | Iterable[Mapping[str, Any] | Schema] | ArrowStream"


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
    from connector.sources import open_source

    here = None if base is None else Path(base)
    if isinstance(source, Rows):
        return source
    if isinstance(source, (str, Path)):
        other = None if str(source) == "-" else open_source(str(source), entry, query=query, base=here)
        return other or _open_path(str(source), entry, here)
    if isinstance(source, ArrowStream):
        return Rows(_arrow_rows(source), here or Path.cwd())
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
        return _folder(path, base or path, entry)
    if not path.exists():
        raise SourceUnavailable(
            f"Source '{source}' was not found. Check the path; relative ones start from {Path.cwd()}."
        )
    readers = {".jsonl": _jsonl_file, ".ndjson": _jsonl_file, ".csv": _csv_file, ".parquet": _parquet_file}
    reader = readers.get(path.suffix.lower())
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


def broken(source: object, error: Exception) -> SourceUnavailable:
    return SourceUnavailable(
        f"Source '{source}' could not be read: {error}. What was read before it is kept; run it again."
    )


def _file_progress(file: IO[bytes], size: int) -> Callable[[], float | None]:
    def progress() -> float | None:
        if file.closed:
            return 1.0
        return min(1.0, file.tell() / size) if size else None

    return progress


def _jsonl_file(path: Path, base: Path, definition: Definition) -> Rows:
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


def _csv_file(path: Path, base: Path, definition: Definition) -> Rows:
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


def _parquet_file(path: Path, base: Path, definition: Definition) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise broken(path, error) from error
    total, done = file.metadata.num_rows, 0

    def rows() -> Iterator[Row]:
        nonlocal done
        with file:
            try:
                for batch in file.iter_batches(batch_size=ARROW_ROWS):
                    for row in batch_rows(batch):
                        yield row
                        done += 1
            except (OSError, pyarrow.ArrowException) as error:
                raise broken(path, error) from error

    return Rows(rows(), base, lambda: done / total if total else None, file.close)


def _arrow_rows(source: ArrowStream) -> Iterator[Row]:
    import pyarrow

    with pyarrow.RecordBatchReader.from_stream(source) as reader:
        for batch in reader:
            for start in range(0, batch.num_rows, ARROW_ROWS):
                yield from batch_rows(batch.slice(start, ARROW_ROWS))


def batch_rows(batch: pyarrow.RecordBatch) -> Iterator[Row]:
    """Rows of one batch. A picture stored as `{"bytes", "path"}`, as data sets do, becomes its bytes or its path."""
    for row in batch.to_pylist():
        yield {
            name: (value["bytes"] or value["path"]) if _is_picture_struct(value) else value
            for name, value in row.items()
            if not name.startswith("__index_level_")  # a data frame's unnamed row labels, which nobody wrote
        }


def _is_picture_struct(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"bytes", "path"}


def _folder(folder: Path, base: Path, entry: SpaceEntry) -> Rows:
    done, total = 0, -1

    def rows() -> Iterator[Row]:
        nonlocal done
        for row in _folder_rows(folder, entry):
            yield row
            done += 1

    def progress() -> float | None:
        nonlocal total
        if (
            total < 0
        ):  # counted when somebody watches: a second walk costs little beside the pictures themselves
            total = sum(1 for _ in _pictures(folder))
        return min(1.0, done / total) if total else None

    return Rows(rows(), base, progress)


def _folder_rows(folder: Path, entry: SpaceEntry) -> Iterator[Row]:
    """One row per picture, sorted by path: its relative path as id, sidecar `.txt` and `.json` as the rest.

    For `cat.jpg` the sidecars are `cat.txt` or `cat.jpg.txt` (the description) and `cat.json` or `cat.jpg.json`
    (an object with any of the schema's columns).
    """
    id_name = definition_of(entry.schema).id.name
    for path in _pictures(folder):
        name = path.relative_to(folder).as_posix()
        row: dict[str, object] = {id_name: name, entry.blob.name: name}
        try:
            if entry.description is not None and (words := _sidecar(path, ".txt")) is not None:
                row[entry.description.name] = words.decode("utf-8-sig").strip()
            if (text := _sidecar(path, ".json")) is not None:
                row |= sidecar_object(text)
        except (OSError, ValueError) as error:
            yield RecordError(
                f"A sidecar of '{name}' could not be read: {error}. Write UTF-8 text, or one JSON object.",
                id=name,
            )
        else:
            yield row


def _sidecar(picture: Path, suffix: str) -> bytes | None:
    for path in (picture.with_suffix(suffix), picture.with_name(picture.name + suffix)):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            continue
    return None


def sidecar_object(text: bytes) -> dict[str, object]:
    value = pydantic_core.from_json(text.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    if not isinstance(value, dict):
        raise ValueError(f"it holds a JSON {type(value).__name__}")
    return value


def _pictures(folder: Path) -> Iterator[Path]:
    """Pictures beneath a folder by their suffix, in the order of their paths; hidden ones and linked folders left out."""

    def refuse(error: OSError) -> None:
        raise broken(folder, error) from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Path(parent, name)
