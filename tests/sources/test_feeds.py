"""Feeds are streamed line by line, and a line that cannot be read is one rejection."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from connector.errors import RecordError
from connector.rows import open_rows
from connector.sources.feeds import LINE_LIMIT
from tests.sources.wares import ENTRY, ROWS, read, write_jsonl


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
    monkeypatch.setattr("connector.sources.feeds.LINE_LIMIT", 1000)
    path = write_jsonl(tmp_path / "feed.jsonl", [{"sku": "x" * 5000}, {"sku": "b"}])
    rows = read(path)
    assert isinstance(rows[0], RecordError)
    assert rows[1:] == [{"sku": "b"}]
    assert LINE_LIMIT > 64 * 2**20 * 4 / 3  # the largest picture allowed by default, in base64, fits


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


def test_the_progress_of_a_file_that_is_being_closed_elsewhere_is_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two instructions of the thread that asks, the one that reads may close it."""
    handle = os.open(write_jsonl(tmp_path / "feed.jsonl", ROWS), os.O_RDONLY)
    with monkeypatch.context() as patch, open(handle, "rb", closefd=False) as half_closed:
        patch.setattr(Path, "open", lambda path, mode: half_closed)
        rows = open_rows(tmp_path / "feed.jsonl", ENTRY)
        assert rows.progress() == 0.0
        os.close(handle)
        assert rows.progress() == 1.0
    assert rows.progress() == 1.0


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
