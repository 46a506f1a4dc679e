"""Rows from Arrow: Parquet files, and data frames of any library, read a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from connector.schema.schema import Definition
from connector.sources.source import Row, Rows, broken

if TYPE_CHECKING:
    import pyarrow

ARROW_ROWS = 64  # rows decoded at once: a column of picture bytes makes them large


@runtime_checkable
class ArrowStream(Protocol):
    """A data frame or table that speaks the Arrow C stream protocol: pandas, polars, pyarrow, DuckDB, …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def parquet_file(path: Path, base: Path, definition: Definition) -> Rows:
    """Rows of a Parquet file, by column name."""
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


def arrow_rows(source: ArrowStream) -> Iterator[Row]:
    """Rows of a data frame or table, by column name."""
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
