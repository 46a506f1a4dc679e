"""Every kind of source gives the same rows, streams them, and turns what cannot be read into one rejection."""

import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.errors import DataError, RecordError, SourceUnavailable
from connector.rows import LINE_LIMIT, open_rows
from connector.schema.fields import Blob, Field, Id, Text, field
from connector.schema.schema import Schema
from connector.space import ImageSpace, SpaceEntry


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text[str | None]
    price: Field[float | None]
    tags: Field[list[str]] = field(default=[])


ENTRY: SpaceEntry = ImageSpace(Product.photo + Product.title).entries[0]
ROWS: list[dict[str, Any]] = [
    {"sku": "a", "photo": "a.jpg", "title": 'Größe, 3 "Stück"', "price": 1.5},
    {"sku": "b", "photo": "b.jpg", "title": "zwei\nZeilen", "price": 2.0},
]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(source: Any, **options: Any) -> list[Any]:
    return list(open_rows(source, ENTRY, **options))


def test_json_lines(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "feed.jsonl", ROWS)
    rows = open_rows(path, ENTRY)
    assert list(rows) == ROWS
    assert rows.base == tmp_path


def test_json_lines_with_a_byte_order_mark_windows_line_ends_and_blank_lines(tmp_path: Path) -> None:
    text = "\r\n\r\n".join(json.dumps(row) for row in ROWS)
    (tmp_path / "feed.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(tmp_path / "feed.jsonl") == ROWS


def test_a_line_that_is_no_json_object_is_one_rejection_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(b'{"sku": "a"}\n{"sku": \n[1]\n"x"\n\xff\xfe\n{"price": NaN}\n{"sku": "b"}\n')
    rows = read(path)
    assert [type(row) for row in rows] == [dict, *[RecordError] * 5, dict]
    assert "not JSON" in str(rows[1])
    assert "JSON list, not an object" in str(rows[2])


def test_a_line_beyond_the_limit_is_one_rejection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.rows.LINE_LIMIT", 1000)
    path = write_jsonl(tmp_path / "feed.jsonl", [{"sku": "x" * 5000}, {"sku": "b"}])
    rows = read(path)
    assert isinstance(rows[0], RecordError)
    assert rows[1:] == [{"sku": "b"}]
    assert LINE_LIMIT > 64 * 2**20 * 4 / 3  # the largest picture allowed by default, in base64, fits


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    rows = open_rows("-", ENTRY)
    assert list(rows) == ROWS
    assert rows.base == Path.cwd()


def test_csv_keeps_commas_quotes_and_line_breaks_inside_cells(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    pd.DataFrame(ROWS).to_csv(path, index=False)
    assert read(path) == [{**row, "price": str(row["price"])} for row in ROWS]


def test_csv_leaves_out_empty_cells_of_fields_that_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text('sku,photo,title,price,tags\na,,,,\nb,b.jpg,t,1,"[""x"", ""y""]"\n', encoding="utf-8")
    assert read(path) == [
        {"sku": "a", "photo": ""},
        {"sku": "b", "photo": "b.jpg", "title": "t", "price": "1", "tags": ["x", "y"]},
    ]


def test_a_csv_line_with_too_many_cells_is_one_rejection(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("sku,photo\na,a.jpg,oops\nb,b.jpg\n", encoding="utf-8")
    first, second = read(path)
    assert isinstance(first, RecordError)
    assert "3 cells, the header has 2" in str(first)
    assert second == {"sku": "b", "photo": "b.jpg"}


def test_an_empty_csv_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "feed.csv").touch()
    assert read(tmp_path / "feed.csv") == []


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


def test_iterables_pass_through_and_are_not_read_ahead() -> None:
    def rows() -> Iterator[Mapping[str, Any]]:
        yield ROWS[0]
        raise AssertionError("read too far")

    assert next(iter(open_rows(rows(), ENTRY))) == ROWS[0]


def test_a_folder_of_pictures_with_sidecars(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "sub/c.webp", ".hidden.jpg", ".git/d.jpg", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a.txt").write_text("  a red mug\n", encoding="utf-8")
    (tmp_path / "b.jpg.txt").write_text("a blue mug", encoding="utf-8")
    (tmp_path / "b.json").write_text('{"price": 3}', encoding="utf-8")
    rows = open_rows(tmp_path, ENTRY)
    assert list(rows) == [
        {"sku": "a.PNG", "photo": "a.PNG", "title": "a red mug"},
        {"sku": "b.jpg", "photo": "b.jpg", "title": "a blue mug", "price": 3},
        {"sku": "sub/c.webp", "photo": "sub/c.webp"},
    ]
    assert rows.base == tmp_path
    assert rows.progress() == 1.0


@pytest.mark.parametrize("sidecar", [b"\xff\xfe\x00", b""], ids=["not UTF-8", "empty"])
def test_a_text_sidecar_that_cannot_be_read_is_one_rejection(tmp_path: Path, sidecar: bytes) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").touch()
    (tmp_path / "a.txt").write_bytes(sidecar)
    first, second = read(tmp_path)
    if sidecar:
        assert isinstance(first, RecordError)
        assert first.id == "a.jpg"
    else:
        assert first["title"] == ""
    assert second == {"sku": "b.jpg", "photo": "b.jpg"}


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_a_json_sidecar_that_is_no_object_is_one_rejection(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    (row,) = read(tmp_path)
    assert isinstance(row, RecordError)
    assert "sidecar of 'a.jpg'" in str(row)


def test_a_missing_source_says_where_it_was_looked_for() -> None:
    with pytest.raises(SourceUnavailable, match=r"'no/such.jsonl' was not found.*start from"):
        open_rows("no/such.jsonl", ENTRY)


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


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feed.xlsx").touch()
    with pytest.raises(DataError, match=r"unknown kind.*\.jsonl, \.csv or \.parquet"):
        open_rows(tmp_path / "feed.xlsx", ENTRY)


@pytest.mark.parametrize("source", [{"sku": "a"}, 5])
def test_what_is_no_source_is_refused_with_the_cure(source: Any) -> None:
    with pytest.raises(DataError, match="Pass a list of rows"):
        open_rows(source, ENTRY)


def test_progress_of_a_file_is_the_share_of_its_bytes(tmp_path: Path) -> None:
    rows = open_rows(write_jsonl(tmp_path / "feed.jsonl", ROWS * 10_000), ENTRY)
    iterator = iter(rows)
    next(iterator)
    start = rows.progress()
    for _ in range(10_000):
        next(iterator)
    middle = rows.progress()
    assert start is not None
    assert middle is not None
    assert start < 0.1 < 0.4 < middle < 0.6
