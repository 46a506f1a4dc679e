"""Parquet files and data frames of any library give the same rows, and one that breaks half-way ends the run."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.errors import SourceUnavailable
from connector.rows import open_rows
from tests.sources.wares import ENTRY, ROWS, read


def test_parquet_is_streamed_and_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "feed.parquet"
    many = [{"sku": f"{n}", "photo": f"{n}.jpg"} for n in range(1000)]
    pq.write_table(pa.Table.from_pylist(many), path)
    rows = open_rows(path, ENTRY)
    iterator = iter(rows)
    assert next(iterator) == many[0]
    assert list(iterator) == many[1:]
    assert rows.progress() == 1.0


def test_a_picture_struct_as_data_sets_write_it_becomes_its_bytes_or_its_path() -> None:
    table = pa.Table.from_pylist(
        [
            {"sku": "a", "photo": {"bytes": b"jpeg", "path": "a.jpg"}},
            {"sku": "b", "photo": {"bytes": None, "path": "b.jpg"}},
        ]
    )
    assert read(table) == [{"sku": "a", "photo": b"jpeg"}, {"sku": "b", "photo": "b.jpg"}]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS, index=["x", "y"]),
        pl.DataFrame(ROWS),
        pa.Table.from_pylist(ROWS),
    ],
)
def test_data_frames_of_any_library_that_speaks_arrow(frame: Any) -> None:
    assert read(frame) == ROWS


def test_missing_numbers_of_a_data_frame_are_none() -> None:
    assert read(pd.DataFrame({"sku": ["a", "b"], "price": [1.0, None]}))[1] == {"sku": "b", "price": None}


def test_a_parquet_file_that_is_none_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "feed.parquet").write_bytes(b"PAR1 or so")
    with pytest.raises(SourceUnavailable, match="could not be read"):
        open_rows(tmp_path / "feed.parquet", ENTRY)


def test_a_parquet_file_that_breaks_half_way_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "feed.parquet"
    many = [{"sku": f"{n:06}", "photo": f"{n}.jpg" * 20} for n in range(20_000)]
    pq.write_table(
        pa.Table.from_pylist(many), path, row_group_size=1000, compression="none", use_dictionary=False
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60_000] = b"\xff" * 60_000
    path.write_bytes(data)
    rows = iter(open_rows(path, ENTRY))
    with pytest.raises(SourceUnavailable, match="could not be read"):
        list(rows)
